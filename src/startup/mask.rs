//! Secrets in a stream of bytes, replaced as they pass, however the stream is cut into reads.
//!
//! An automaton (Aho and Corasick, "Efficient string matching", 1975) takes each byte once, so the work is linear
//! in the output whatever the secrets are. It is written down here because the crate of that name does not tell
//! how much of a text may still become a match, which a stream has to hold back, and would make the
//! binary 107 KB larger, with searchers for whole texts.

use std::collections::VecDeque;

/// What stands in a secret's place.
const MASK: &[u8] = b"***";

/// The texts to mask, as an automaton. Its states are the beginnings of the texts, by their place here.
pub struct Mask {
    states: Vec<State>,
    /// The state that each byte leads to from the root.
    from_root: [u32; 256],
}

/// The state before the first byte. It is nobody's child, so as a child or sibling it means that there is none.
const ROOT: u32 = 0;

/// A beginning of a secret, which was read last.
#[derive(Clone, Copy, Default)]
struct State {
    /// Its last byte.
    byte: u8,
    /// A beginning that is one byte longer.
    child: u32,
    /// Another beginning that is as long and differs in the last byte only.
    sibling: u32,
    /// The longest beginning of a secret that this one ends with, besides itself.
    fallback: u32,
    /// Its length, in bytes.
    length: u32,
    /// The length of the longest secret that it ends with, in bytes; 0 when there is none.
    ended: u32,
}

impl Mask {
    /// A mask of these texts, none of them empty.
    pub fn new(secrets: &[Vec<u8>]) -> Self {
        let mut mask = Self {
            states: vec![State::default()],
            from_root: [ROOT; 256],
        };
        let mut parents = vec![ROOT];
        for secret in secrets {
            let mut state = ROOT;
            for &byte in secret {
                state = match mask.child(state, byte) {
                    ROOT => {
                        parents.push(state);
                        mask.add_child(state, byte)
                    }
                    child => child,
                };
            }
            mask.states[state as usize].ended = mask.states[state as usize].length;
        }
        // Shorter beginnings first: a fallback is shorter than what falls back on it.
        let mut order: Vec<usize> = (0..mask.states.len()).collect();
        order.sort_by_key(|&at| mask.states[at].length);
        for at in order {
            let parent = parents[at];
            if parent != ROOT {
                let fallback =
                    mask.next(mask.states[parent as usize].fallback, mask.states[at].byte);
                let ended = mask.states[fallback as usize].ended;
                let state = &mut mask.states[at];
                state.fallback = fallback;
                state.ended = state.ended.max(ended);
            }
        }
        mask
    }

    fn child(&self, state: u32, byte: u8) -> u32 {
        if state == ROOT {
            return self.from_root[usize::from(byte)];
        }
        let mut child = self.states[state as usize].child;
        while child != ROOT && self.states[child as usize].byte != byte {
            child = self.states[child as usize].sibling;
        }
        child
    }

    fn add_child(&mut self, state: u32, byte: u8) -> u32 {
        let added = u32::try_from(self.states.len())
            .expect("an environment has less than 4 GiB of secrets");
        let parent = &mut self.states[state as usize];
        let sibling = std::mem::replace(&mut parent.child, added);
        let length = parent.length + 1;
        if state == ROOT {
            self.from_root[usize::from(byte)] = added;
        }
        self.states.push(State {
            byte,
            sibling,
            length,
            ..State::default()
        });
        added
    }

    /// The state after another byte: the longest beginning of a secret that the text then ends with.
    fn next(&self, mut state: u32, byte: u8) -> u32 {
        loop {
            match self.child(state, byte) {
                ROOT if state == ROOT => return ROOT,
                ROOT => state = self.states[state as usize].fallback,
                child => return child,
            }
        }
    }
}

/// Masks one stream. Overlapping secrets are masked together, so that no rest of one is left.
pub struct Masker<'a> {
    mask: &'a Mask,
    /// The automaton's state after all that was read.
    state: u32,
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
            state: ROOT,
            read: 0,
            held: VecDeque::new(),
            spans: VecDeque::new(),
            is_masked: false,
        }
    }

    /// Takes the next piece, and gives out what is certain by now.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece.iter();
        while !rest.as_slice().is_empty() {
            if self.state == ROOT {
                let begins_secret = |&byte: &u8| self.mask.from_root[usize::from(byte)] != ROOT;
                let passed = rest.as_slice().iter().position(begins_secret);
                let passed = passed.unwrap_or(rest.len());
                self.read += passed as u64;
                rest = rest.as_slice()[passed..].iter();
            }
            let Some(&byte) = rest.next() else { break };
            self.state = self.mask.next(self.state, byte);
            self.read += 1;
            let ended = self.mask.states[self.state as usize].ended;
            if ended > 0 {
                self.cover(self.read - u64::from(ended), self.read);
            }
        }
        let open = self.mask.states[self.state as usize].length;
        self.give_out(piece, self.read - u64::from(open), out);
    }

    /// Gives out the rest at the end of the stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.give_out(&[], self.read, out);
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

    /// Gives out what is held, and the piece that was read last, up to `end`: no secret that is not known yet
    /// begins before it. Holds what is left.
    fn give_out(&mut self, piece: &[u8], end: u64, out: &mut Vec<u8>) {
        let mut text = Text {
            held: &mut self.held,
            piece,
        };
        let mut at = self.read - text.length();
        while let Some(&span) = self.spans.front().filter(|span| span.start < end) {
            text.give_out(span.start.saturating_sub(at), out);
            if !self.is_masked {
                out.extend_from_slice(MASK);
            }
            let covered_to = span.end.min(end);
            text.skip(covered_to - at.max(span.start));
            at = covered_to;
            // One that goes on behind `end` may still be joined by another.
            self.is_masked = span.end > end;
            if self.is_masked {
                break;
            }
            self.spans.pop_front();
        }
        text.give_out(end - at, out);
        text.held.extend(text.piece);
    }
}

/// What is held, and behind it the piece that was read last.
struct Text<'a> {
    held: &'a mut VecDeque<u8>,
    piece: &'a [u8],
}

impl Text<'_> {
    fn length(&self) -> u64 {
        (self.held.len() + self.piece.len()) as u64
    }

    fn give_out(&mut self, count: u64, out: &mut Vec<u8>) {
        let of_held = index(count).min(self.held.len());
        out.extend(self.held.drain(..of_held));
        let (given, rest) = self.piece.split_at(index(count) - of_held);
        out.extend_from_slice(given);
        self.piece = rest;
    }

    fn skip(&mut self, count: u64) {
        let of_held = index(count).min(self.held.len());
        self.held.drain(..of_held);
        self.piece = &self.piece[index(count) - of_held..];
    }
}

/// A count of bytes that are held in memory.
fn index(count: u64) -> usize {
    usize::try_from(count).expect("what is held fits into memory")
}

#[cfg(test)]
mod tests;
