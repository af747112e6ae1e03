//! Replaces secrets in a stream of bytes. How the stream is split into reads makes no difference.
//!
//! An automaton (Aho and Corasick, "Efficient string matching", 1975) processes each byte once, so the time is linear
//! in the size of the output for any secrets. The crate `aho-corasick` is not used: it does not report how much of a
//! text may still become a match, which a stream has to hold back, and it would make the binary 107 KB larger.

use std::collections::VecDeque;
use std::ops::Range;

/// What replaces a secret.
const MASK: &[u8] = b"***";

/// An automaton that finds secrets. Each state is a prefix of a secret.
pub struct Mask {
    states: Vec<State>,
    /// The state that each byte leads to from `ROOT`.
    from_root: [u32; 256],
}

/// The state of the empty prefix. It is never a child, so as a child or sibling it means that there is none.
const ROOT: u32 = 0;

/// A prefix of a secret.
#[derive(Clone, Copy, Default)]
struct State {
    /// The last byte of the prefix.
    byte: u8,
    /// The first of the prefixes that are one byte longer, or `ROOT`.
    child: u32,
    /// The next prefix that differs only in the last byte, or `ROOT`.
    sibling: u32,
    /// The longest prefix of a secret that is a proper suffix of this prefix.
    fallback: u32,
    /// The length of the prefix, in bytes.
    length: u32,
    /// The length of the longest secret that is a suffix of this prefix, in bytes, or 0 if there is none.
    ended: u32,
}

impl Mask {
    /// Builds the automaton. No secret may be empty.
    pub fn new(secrets: &[Vec<u8>]) -> Self {
        let mut mask = Self {
            states: vec![State::default()],
            from_root: [ROOT; 256],
        };
        // For each secret, the state of its longest prefix so far, and the rest of it. All prefixes grow by one byte
        // per round, because the fallback of a state is a shorter prefix and must exist before the state.
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

    /// A whole text with its secrets masked.
    pub fn applied(&self, text: &[u8]) -> Vec<u8> {
        let (mut masker, mut out) = (Masker::new(self), Vec::new());
        masker.feed(text, &mut out);
        masker.finish(&mut out);
        out
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

    /// The state after another byte: the longest prefix of a secret that is a suffix of the input so far.
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

/// Masks one stream. Overlapping secrets are replaced together, so that no part of one remains.
pub struct Masker<'a> {
    mask: &'a Mask,
    /// The automaton's state after all input so far.
    state: u32,
    /// The end of the input. The bytes from `given` on are held back.
    text: Vec<u8>,
    given: usize,
    /// The ranges of secrets in `text`, in order. They do not overlap.
    secrets: VecDeque<Range<usize>>,
    /// Whether the mask of the first secret was already written to the output.
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

    /// Processes the next piece of input, and appends to `out` everything that cannot become part of a secret any more.
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

    /// Appends the rest to `out` at the end of the stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.give_out(self.text.len(), out);
        *self = Self::new(self.mask);
    }

    /// Records a secret, and merges it with those that it overlaps.
    fn cover(&mut self, mut start: usize, end: usize) {
        while let Some(last) = self.secrets.pop_back_if(|last| last.end > start) {
            start = start.min(last.start);
        }
        self.secrets.push_back(start..end);
    }

    /// Appends the text up to `end` to `out`, masked. All secrets that begin before `end` must be recorded.
    fn give_out(&mut self, end: usize, out: &mut Vec<u8>) {
        while let Some(secret) = self.secrets.front().filter(|secret| secret.start < end) {
            if !self.is_masked {
                out.extend_from_slice(&self.text[self.given..secret.start]);
                out.extend_from_slice(MASK);
            }
            self.given = secret.end.min(end);
            // A secret that continues after `end` may still be merged with another one.
            self.is_masked = secret.end > end;
            if self.is_masked {
                break;
            }
            self.secrets.pop_front();
        }
        out.extend_from_slice(&self.text[self.given..end]);
        self.given = end;
        // Only if at least half of the text can be removed, so that the time stays linear.
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
