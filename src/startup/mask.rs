//! Secrets in a stream of bytes, replaced as they pass, also when one comes in pieces.

use std::ops::Range;

use memchr::memmem::Finder;

/// What stands in a secret's place.
const MASK: &[u8] = b"***";

/// Masks a stream. Overlapping secrets are masked together, so that no rest of one is left.
pub struct Masker {
    finders: Vec<Finder<'static>>,
    /// Not given out yet: it ends with what may be the beginning of a secret.
    held: Vec<u8>,
    /// So many bytes at the beginning of `held` belong to a secret whose mask is given out already.
    covered: usize,
}

impl Masker {
    /// A masker of these texts, none of them empty.
    pub fn new(secrets: &[Vec<u8>]) -> Self {
        let finders = secrets
            .iter()
            .map(|secret| Finder::new(secret).into_owned())
            .collect();
        Self {
            finders,
            held: Vec::new(),
            covered: 0,
        }
    }

    /// Takes the next piece, and gives out what is certain by now.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.finders.is_empty() {
            out.extend_from_slice(piece);
            return;
        }
        if self.held.is_empty() {
            // Nearly always: no copy of what is given out at once.
            let keep_from = self.first_open_beginning(piece);
            self.give_out(piece, keep_from, out);
            self.held.extend_from_slice(&piece[keep_from..]);
        } else {
            let mut text = std::mem::take(&mut self.held);
            text.extend_from_slice(piece);
            let keep_from = self.first_open_beginning(&text);
            self.give_out(&text, keep_from, out);
            text.drain(..keep_from);
            self.held = text;
        }
    }

    /// Gives out the rest at the end of the stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.held);
        self.give_out(&text, text.len(), out);
        self.covered = 0;
    }

    /// Gives out `text` up to `end`, masked, and notes how far a mask reaches behind it.
    fn give_out(&mut self, text: &[u8], end: usize, out: &mut Vec<u8>) {
        let mut at = 0;
        let mut reach = 0;
        for span in self.spans(text) {
            if span.start >= end {
                break;
            }
            out.extend_from_slice(&text[at..span.start]);
            if span.start > 0 || self.covered == 0 {
                out.extend_from_slice(MASK);
            }
            at = span.end.min(end);
            reach = span.end.saturating_sub(end);
        }
        out.extend_from_slice(&text[at..end]);
        self.covered = reach;
    }

    /// Where secrets stand in `text`, in order, those that overlap as one.
    fn spans(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        if self.covered > 0 {
            spans.push(0..self.covered);
        }
        for finder in &self.finders {
            let length = finder.needle().len();
            let mut from = 0;
            while let Some(offset) = text.get(from..).and_then(|rest| finder.find(rest)) {
                let start = from + offset;
                spans.push(start..start + length);
                // Not behind the whole secret: it may overlap itself.
                from = start + 1;
            }
        }
        spans.sort_unstable_by_key(|span| span.start);
        merge(spans)
    }

    /// The earliest place from which `text` may go on to be a secret.
    fn first_open_beginning(&self, text: &[u8]) -> usize {
        let beginnings = self
            .finders
            .iter()
            .map(|finder| open_beginning(text, finder.needle()));
        beginnings.min().unwrap_or(text.len())
    }
}

/// The earliest place in `text` from which all of it is a beginning, but not the whole, of `secret`.
fn open_beginning(text: &[u8], secret: &[u8]) -> usize {
    let earliest = text.len().saturating_sub(secret.len() - 1);
    let candidates =
        memchr::memchr_iter(secret[0], &text[earliest..]).map(|offset| earliest + offset);
    candidates
        .into_iter()
        .find(|&at| secret.starts_with(&text[at..]))
        .unwrap_or(text.len())
}

/// Sorted ranges, with those that overlap or follow on each other without a gap made one.
fn merge(sorted: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match merged.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::Masker;

    fn masked(secrets: &[&str], pieces: &[&str]) -> String {
        let secrets: Vec<Vec<u8>> = secrets
            .iter()
            .map(|secret| secret.as_bytes().to_vec())
            .collect();
        let mut masker = Masker::new(&secrets);
        let mut out = Vec::new();
        for piece in pieces {
            masker.feed(piece.as_bytes(), &mut out);
        }
        masker.finish(&mut out);
        String::from_utf8(out).expect("these texts are UTF-8")
    }

    #[test]
    fn a_secret_is_masked_however_it_is_cut() {
        let text = "a hunter2hunter2 b hunter2";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(
                    masked(&["hunter2"], &pieces),
                    "a ****** b ***",
                    "{pieces:?}"
                );
            }
        }
    }

    #[test]
    fn overlapping_secrets_leave_no_rest() {
        for cut in 0..=9 {
            let pieces = [&"abcdefghi"[..cut], &"abcdefghi"[cut..]];
            assert_eq!(masked(&["abcdef", "defghi"], &pieces), "***", "{pieces:?}");
        }
        for cut in 0..=8 {
            let pieces = [&"xababab."[..cut], &"xababab."[cut..]];
            assert_eq!(masked(&["abab"], &pieces), "x***.", "{pieces:?}");
        }
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
            masked(&secrets, &["> BEGIN KEY\nx\n", "QUJDREVGRw\nEND", " KEY <"]),
            "> *** <"
        );
        assert_eq!(masked(&secrets, &["only QUJDREVGRw here"]), "only *** here");
    }

    #[test]
    fn what_only_begins_like_a_secret_comes_through() {
        assert_eq!(
            masked(&["secret-value"], &["secret-", "santa"]),
            "secret-santa"
        );
        assert_eq!(
            masked(&["secret-value"], &["the end: secret-val"]),
            "the end: secret-val"
        );
        assert_eq!(masked(&[], &["any", "thing"]), "anything");
    }

    #[test]
    fn what_is_held_stays_smaller_than_the_longest_secret() {
        let mut masker = Masker::new(&[b"aaaaaaab".to_vec(), b"aaaa".to_vec()]);
        let mut out = Vec::new();
        for _ in 0..1000 {
            masker.feed(&[b'a'; 100], &mut out);
            assert!(
                masker.held.len() < 8,
                "{} bytes are held",
                masker.held.len()
            );
        }
    }
}
