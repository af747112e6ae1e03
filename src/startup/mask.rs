//! Secrets in a stream of bytes, replaced as they pass, however the stream is cut into reads.
//!
//! An Aho-Corasick automaton takes each byte once, so the work is linear in the output whatever the secrets
//! are. The crate's own stream replacement does not serve: it holds bytes back until a whole buffer was read,
//! and replaces one of two overlapping matches only.

use std::collections::VecDeque;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::noncontiguous::NFA;

/// What stands in a secret's place.
const MASK: &[u8] = b"***";

/// The texts to mask, ready to be searched for.
pub struct Mask {
    /// None when there is nothing to mask.
    automaton: Option<NFA>,
    /// By the automaton's state.
    states: Vec<State>,
}

/// What is known when the automaton is in one of its states.
#[derive(Clone, Copy, Default)]
struct State {
    /// How many of the last bytes are the beginning, or the whole, of a secret.
    open: usize,
    /// The length of the longest secret that ends here; 0 when none does.
    ended: usize,
}

impl Mask {
    /// A mask of these texts, none of them empty.
    pub fn new(secrets: &[Vec<u8>]) -> Self {
        if secrets.is_empty() {
            return Self {
                automaton: None,
                states: Vec::new(),
            };
        }
        let automaton =
            NFA::new(secrets).expect("an environment has far less than 2 GiB of secrets");
        let mut states = Vec::new();
        for secret in secrets {
            let mut id = start_of(&automaton);
            for (index, &byte) in secret.iter().enumerate() {
                id = automaton.next_state(Anchored::No, id, byte);
                if states.len() <= id.as_usize() {
                    states.resize(id.as_usize() + 1, State::default());
                }
                // Of the secrets that end in a state the automaton has the longest first: the state's own, then
                // those of its suffixes. The comparison with a naive search below depends on that.
                let ended = if automaton.is_match(id) {
                    automaton.pattern_len(automaton.match_pattern(id, 0))
                } else {
                    0
                };
                states[id.as_usize()] = State {
                    open: index + 1,
                    ended,
                };
            }
        }
        Self {
            automaton: Some(automaton),
            states,
        }
    }

    fn state(&self, id: StateID) -> State {
        // States beyond the last prefix of a secret are the automaton's own: nothing is open in them.
        self.states.get(id.as_usize()).copied().unwrap_or_default()
    }
}

fn start_of(automaton: &NFA) -> StateID {
    automaton
        .start_state(Anchored::No)
        .expect("every automaton of this kind supports unanchored searches")
}

/// Masks one stream. Overlapping secrets are masked together, so that no rest of one is left.
pub struct Masker<'a> {
    mask: &'a Mask,
    /// The automaton's state after all that was read.
    state: StateID,
    /// How many bytes were read.
    read: u64,
    /// The last bytes that were read, as far as they are not given out.
    held: VecDeque<u8>,
    /// Where secrets stand in what is held, in order. No two overlap.
    spans: VecDeque<Span>,
    /// Whether the mask of the first span is given out already.
    is_masked: bool,
}

/// Bytes of the stream, counted from its beginning.
#[derive(Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
}

impl<'a> Masker<'a> {
    pub fn new(mask: &'a Mask) -> Self {
        Self {
            mask,
            state: mask.automaton.as_ref().map_or(StateID::ZERO, start_of),
            read: 0,
            held: VecDeque::new(),
            spans: VecDeque::new(),
            is_masked: false,
        }
    }

    /// Takes the next piece, and gives out what is certain by now.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let Some(automaton) = &self.mask.automaton else {
            out.extend_from_slice(piece);
            return;
        };
        for &byte in piece {
            self.state = automaton.next_state(Anchored::No, self.state, byte);
            self.read += 1;
            let ended = self.mask.state(self.state).ended;
            if ended > 0 {
                self.cover(self.read - ended as u64, self.read);
            }
        }
        self.held.extend(piece);
        let open = self.mask.state(self.state).open;
        self.give_out(self.read - open as u64, out);
    }

    /// Gives out the rest at the end of the stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.give_out(self.read, out);
        *self = Self::new(self.mask);
    }

    /// Notes a secret. It joins those that it overlaps.
    fn cover(&mut self, mut start: u64, end: u64) {
        while let Some(last) = self.spans.pop_back() {
            if last.end <= start {
                self.spans.push_back(last);
                break;
            }
            start = start.min(last.start);
        }
        self.spans.push_back(Span { start, end });
    }

    /// Gives out what is held up to `end`: no secret that is not known yet begins before it.
    fn give_out(&mut self, end: u64, out: &mut Vec<u8>) {
        let mut at = self.read - self.held.len() as u64;
        while let Some(&span) = self.spans.front().filter(|span| span.start < end) {
            self.pass_on(span.start.saturating_sub(at), out);
            if !self.is_masked {
                out.extend_from_slice(MASK);
            }
            let covered_to = span.end.min(end);
            at = at.max(span.start);
            self.held.drain(..index(covered_to - at));
            at = covered_to;
            // One that goes on behind `end` may still be joined by another.
            self.is_masked = span.end > end;
            if self.is_masked {
                break;
            }
            self.spans.pop_front();
        }
        self.pass_on(end - at, out);
    }

    fn pass_on(&mut self, count: u64, out: &mut Vec<u8>) {
        out.extend(self.held.drain(..index(count)));
    }
}

/// A count of bytes that are held in memory.
fn index(count: u64) -> usize {
    usize::try_from(count).expect("what is held fits into memory")
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    use super::{MASK, Mask, Masker};
    use crate::environment::is_soak;

    fn masked<'a>(secrets: &[Vec<u8>], pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mask = Mask::new(secrets);
        let mut masker = Masker::new(&mask);
        let mut out = Vec::new();
        for piece in pieces {
            masker.feed(piece, &mut out);
        }
        masker.finish(&mut out);
        out
    }

    fn bytes(secrets: &[&str]) -> Vec<Vec<u8>> {
        secrets
            .iter()
            .map(|secret| secret.as_bytes().to_vec())
            .collect()
    }

    fn masked_text(secrets: &[&str], pieces: &[&str]) -> String {
        let pieces = pieces.iter().map(|piece| piece.as_bytes());
        String::from_utf8(masked(&bytes(secrets), pieces)).expect("these texts are UTF-8")
    }

    /// Masks a whole text: looks for every secret at every place, and joins what overlaps.
    fn naively_masked(secrets: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        for start in 0..text.len() {
            let found = secrets
                .iter()
                .filter(|secret| text[start..].starts_with(secret));
            let Some(length) = found.map(Vec::len).max() else {
                continue;
            };
            match spans.last_mut() {
                Some(last) if start < last.end => last.end = last.end.max(start + length),
                _ => spans.push(start..start + length),
            }
        }
        let mut out = Vec::new();
        let mut at = 0;
        for span in spans {
            out.extend_from_slice(&text[at..span.start]);
            out.extend_from_slice(MASK);
            at = span.end;
        }
        out.extend_from_slice(&text[at..]);
        out
    }

    /// Texts of few letters, so that secrets overlap themselves and each other.
    fn text(length: Range<usize>) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(proptest::sample::select(b"aab\n".to_vec()), length)
    }

    #[test]
    fn a_stream_is_masked_as_its_whole_text_would_be_however_it_is_cut() {
        let case = (
            proptest::collection::vec(text(1..9), 0..5),
            text(0..40),
            proptest::collection::vec(1..8_usize, 40),
        );
        let config = Config {
            cases: if is_soak() { 3_000_000 } else { 30_000 },
            failure_persistence: None,
            ..Config::default()
        };
        let result = TestRunner::new(config).run(&case, |(secrets, text, lengths)| {
            let mut rest = text.as_slice();
            let pieces = lengths.iter().map(|&length| {
                let (piece, after) = rest.split_at(length.min(rest.len()));
                rest = after;
                piece
            });
            prop_assert_eq!(
                masked(&secrets, pieces),
                naively_masked(&secrets, &text),
                "{:?} in {:?}",
                secrets,
                text
            );
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn what_one_read_completes_is_masked_although_nothing_was_given_out_before() {
        let secrets = ["svc:tok-AAAA", "tok-AAAAbeef"];
        assert_eq!(
            masked_text(&secrets, &["svc:tok-AAAA", "d", "one"]),
            "***done"
        );
        assert_eq!(
            masked_text(&["abc123Xabc123"], &["abc123Xabc123", "X", "z"]),
            "***Xz"
        );
    }

    #[test]
    fn a_secret_over_several_lines_is_masked_whole_and_line_by_line() {
        let secrets = [
            "BEGIN KEY\nx\nQUJDREVGRw\nEND KEY",
            "BEGIN KEY",
            "QUJDREVGRw",
            "END KEY",
        ];
        assert_eq!(
            masked_text(&secrets, &["> BEGIN KEY\nx\n", "QUJDREVGRw\nEND", " KEY <"]),
            "> *** <"
        );
        assert_eq!(
            masked_text(&secrets, &["only QUJDREVGRw here"]),
            "only *** here"
        );
    }

    #[test]
    fn what_only_begins_like_a_secret_is_given_out_as_soon_as_that_is_known() {
        let mask = Mask::new(&bytes(&["secret-value"]));
        let mut masker = Masker::new(&mask);
        let mut out = Vec::new();
        masker.feed(b"line\nsecret-", &mut out);
        assert_eq!(out, b"line\n");
        masker.feed(b"santa\n", &mut out);
        assert_eq!(out, b"line\nsecret-santa\n");
    }

    #[test]
    fn the_work_is_linear_in_the_output_whatever_the_secrets_are() {
        let text = vec![b'a'; 4 * 1024 * 1024];
        let nested: Vec<Vec<u8>> = (1..1000).map(|length| vec![b'a'; length]).collect();
        let nearly = [vec![b'a'; 10_000], b"b".to_vec()].concat();
        for secrets in [vec![vec![b'a'; 10_000]], nested, vec![nearly]] {
            for size in [64 * 1024, 16] {
                let started = Instant::now();
                let is_all = secrets[0].contains(&b'b');
                let out = masked(&secrets, text.chunks(size));
                assert_eq!(out.len(), if is_all { text.len() } else { MASK.len() });
                // A search that begins anew at every byte takes minutes.
                let took = started.elapsed();
                assert!(took < Duration::from_secs(20), "{took:?}");
            }
        }
    }
}
