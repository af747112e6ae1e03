//! Secrets in a stream of bytes, replaced as they pass, however the stream is cut into reads.
//!
//! An automaton (Aho and Corasick, "Efficient string matching", 1975) reads each byte once, so the work is linear
//! in the output whatever the secrets are. The crate of that name is not used: it does not tell how much of a text
//! may still become a match, which a stream has to hold back, and it would make the binary 107 KB larger.

use std::collections::VecDeque;
use std::ops::Range;

/// What replaces a secret.
const MASK: &[u8] = b"***";

/// The secrets, as an automaton. Each state is a prefix of a secret.
pub struct Mask {
    states: Vec<State>,
    /// The state that each byte leads to from `ROOT`.
    from_root: [u32; 256],
}

/// The empty prefix. It is no state's child, so as a child or sibling it means that there is none.
const ROOT: u32 = 0;

/// A prefix of a secret.
#[derive(Clone, Copy, Default)]
struct State {
    /// Its last byte.
    byte: u8,
    /// A prefix that is one byte longer.
    child: u32,
    /// Another prefix that differs in the last byte only.
    sibling: u32,
    /// The longest prefix of a secret that is a proper suffix of this one.
    fallback: u32,
    /// Its length, in bytes.
    length: u32,
    /// The length of the longest secret that is a suffix of this one, in bytes; 0 when there is none.
    ended: u32,
}

impl Mask {
    /// A mask of these secrets, none of them empty.
    pub fn new(secrets: &[Vec<u8>]) -> Self {
        let mut mask = Self {
            states: vec![State::default()],
            from_root: [ROOT; 256],
        };
        // The prefix of each secret that has a state, and the rest. All prefixes grow by a byte at a time, because the
        // fallback of a state is shorter than the state.
        let mut growing: Vec<(u32, &[u8])> = secrets.iter().map(|all| (ROOT, &**all)).collect();
        while !growing.is_empty() {
            growing.retain_mut(|(state, rest)| {
                let Some((&byte, after)) = rest.split_first() else {
                    return false;
                };
                *state = match mask.child(*state, byte) {
                    ROOT => mask.add_child(*state, byte),
                    child => child,
                };
                *rest = after;
                if after.is_empty() {
                    let state = &mut mask.states[*state as usize];
                    state.ended = state.length;
                }
                !after.is_empty()
            });
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

    fn add_child(&mut self, parent: u32, byte: u8) -> u32 {
        let added = u32::try_from(self.states.len())
            .expect("an environment has less than 4 GiB of secrets");
        let fallback = if parent == ROOT {
            self.from_root[usize::from(byte)] = added;
            ROOT
        } else {
            self.next(self.states[parent as usize].fallback, byte)
        };
        let ended = self.states[fallback as usize].ended;
        let parent = &mut self.states[parent as usize];
        let sibling = std::mem::replace(&mut parent.child, added);
        let length = parent.length + 1;
        self.states.push(State {
            byte,
            child: ROOT,
            sibling,
            fallback,
            length,
            ended,
        });
        added
    }

    /// The state after another byte: the longest prefix of a secret that is a suffix of what was read.
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
    /// What was read last. The bytes from `given` on are held back.
    text: Vec<u8>,
    given: usize,
    /// Where secrets stand in `text`, in order. No two overlap.
    secrets: VecDeque<Range<usize>>,
    /// Whether the first secret's mask is given out already.
    is_masked: bool,
}

impl<'a> Masker<'a> {
    pub fn new(mask: &'a Mask) -> Self {
        Self {
            mask,
            state: ROOT,
            text: Vec::new(),
            given: 0,
            secrets: VecDeque::new(),
            is_masked: false,
        }
    }

    /// Takes the next piece, and gives out what cannot become a secret any more.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut at = self.text.len();
        self.text.extend_from_slice(piece);
        while at < self.text.len() {
            if self.state == ROOT {
                let begins_secret = |&byte: &u8| self.mask.from_root[usize::from(byte)] != ROOT;
                match self.text[at..].iter().position(begins_secret) {
                    Some(passed) => at += passed,
                    None => break,
                }
            }
            self.state = self.mask.next(self.state, self.text[at]);
            at += 1;
            let ended = self.mask.states[self.state as usize].ended as usize;
            if ended > 0 {
                self.cover(at - ended, at);
            }
        }
        let open = self.mask.states[self.state as usize].length as usize;
        self.give_out(self.text.len() - open, out);
    }

    /// Gives out the rest at the end of the stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.give_out(self.text.len(), out);
        *self = Self::new(self.mask);
    }

    /// Notes a secret. It joins those that it overlaps.
    fn cover(&mut self, mut start: usize, end: usize) {
        while let Some(last) = self.secrets.pop_back_if(|last| last.end > start) {
            start = start.min(last.start);
        }
        self.secrets.push_back(start..end);
    }

    /// Gives out the text up to `end`. No secret that is not known yet begins before it.
    fn give_out(&mut self, end: usize, out: &mut Vec<u8>) {
        while let Some(secret) = self.secrets.front().filter(|secret| secret.start < end) {
            if !self.is_masked {
                out.extend_from_slice(&self.text[self.given..secret.start]);
                out.extend_from_slice(MASK);
            }
            self.given = secret.end.min(end);
            // A secret that continues behind `end` may still be joined by another.
            self.is_masked = secret.end > end;
            if self.is_masked {
                break;
            }
            self.secrets.pop_front();
        }
        out.extend_from_slice(&self.text[self.given..end]);
        self.given = end;
        // Only when at least half of the text goes, so that the work stays linear.
        if self.given * 2 >= self.text.len() {
            self.text.drain(..self.given);
            for secret in &mut self.secrets {
                *secret = secret.start.saturating_sub(self.given)..secret.end - self.given;
            }
            self.given = 0;
        }
    }
}

#[cfg(test)]
mod tests;
