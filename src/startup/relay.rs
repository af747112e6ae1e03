//! Relays a step's output to the guard's own output: line by line, with secrets masked.

mod level;
mod line;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tracing::Level;

use self::line::Line;
use super::mask::{Mask, Masker};
use crate::log::{Format, Phase};
use crate::os::output::{Output, STDERR};

/// The size of one read, in bytes.
const CHUNK: usize = 64 * 1024;

/// The maximum number of reads after the step's end from a pipe that another process holds open.
const LAST_READS: usize = 64;

/// The length from which on an incomplete line is shown without waiting for its end, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// The maximum length of the last line of discarded output, in bytes.
const MAX_LAST: usize = 300;

/// The beginning of alembic's message if a revision of the database, or of the command, has no file.
const NO_FILE: &[u8] = b"Can't locate revision identified by";

/// One stream of a step. With text logs its lines go to the guard's stream of the same name, with JSON logs they become
/// log events.
pub struct Relay<'a> {
    step: &'a str,
    /// Where the lines go.
    output: &'static Output,
    /// `None`: the lines are discarded.
    format: Option<Format>,
    /// `None` after its end was read.
    pipe: Option<File>,
    mask: &'a Mask,
    masker: Masker<'a>,
    /// The beginning of a line that is masked but not shown yet.
    line: Vec<u8>,
    buffer: Vec<u8>,
    /// Whether alembic has reported that a revision has no file.
    pub is_ahead: bool,
    /// The last line of discarded output that is not blank, shortened.
    pub last: Option<String>,
}

impl<'a> Relay<'a> {
    pub fn new(
        step: &'a str,
        stream: &'static Output,
        format: Option<Format>,
        pipe: OwnedFd,
        mask: &'a Mask,
    ) -> Self {
        Self {
            step,
            output: match format {
                Some(Format::Text { .. }) => stream,
                Some(Format::Json) | None => &STDERR,
            },
            format,
            pipe: Some(pipe.into()),
            mask,
            masker: Masker::new(mask),
            line: Vec::new(),
            buffer: vec![0; CHUNK],
            is_ahead: false,
            last: None,
        }
    }

    /// The pipe to poll and read. `None` if it is closed, or while the backlog of the guard's own output is full, so
    /// that a slow reader of that output slows the step down, as it would without the guard.
    pub fn awaited(&self) -> Option<BorrowedFd<'_>> {
        let pipe = self.pipe.as_ref()?;
        (!self.output.is_full()).then_some(pipe.as_fd())
    }

    /// Makes one read and relays the result. Returns whether there was any data.
    pub fn take(&mut self) -> bool {
        let Some(pipe) = &mut self.pipe else {
            return false;
        };
        let count = match pipe.read(&mut self.buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            // An error counts as the end of the output.
            result => result.unwrap_or(0),
        };
        if count == 0 {
            self.pipe = None;
            self.finish();
        } else {
            self.masker.feed(&self.buffer[..count], &mut self.line);
            self.show_lines();
        }
        count > 0
    }

    /// Relays the rest of the output after the step has ended, and closes the pipe. Does not wait for the end of the
    /// pipe, because a process outside the step's tree may hold the other end open.
    pub fn read_last(&mut self) {
        // Stops at the first read without data.
        let _ = (0..LAST_READS).all(|_| self.take());
        if self.pipe.take().is_some() {
            self.finish();
        }
    }

    /// Shows the rest, even if it is not a complete line.
    fn finish(&mut self) {
        self.masker.finish(&mut self.line);
        if self.line.last().is_some_and(|&last| last != b'\n') {
            self.line.push(b'\n');
        }
        self.show_lines();
    }

    fn show_lines(&mut self) {
        let end = match memchr::memrchr(b'\n', &self.line) {
            Some(last) => last + 1,
            None if self.line.len() >= MAX_LINE => self.line.len(),
            None => return,
        };
        let lines = &self.line[..end];
        self.is_ahead |= memchr::memmem::find(lines, NO_FILE).is_some();
        match self.format {
            Some(Format::Text { .. }) => self.output.push(lines),
            Some(Format::Json) => {
                let lines = lines.split_inclusive(|&byte| byte == b'\n');
                lines.for_each(|line| self.log(line));
            }
            None => {
                let mut lines = lines.rsplit(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
                let last = lines.find(|line| !line.is_empty());
                self.last = last.map(shortened).or(self.last.take());
            }
        }
        self.line.drain(..end);
    }

    fn log(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\n', '\r']);
        let Line {
            level,
            message,
            fields,
        } = line::read(line, self.mask);
        let (step, fields) = (self.step, fields.as_deref());
        // The level of an event must be a constant.
        macro_rules! log {
            ($level:expr) => {
                tracing::event!(target: "step", $level, phase = %Phase::Step, step, fields, "{message}")
            };
        }
        match level {
            Level::ERROR => log!(Level::ERROR),
            Level::WARN => log!(Level::WARN),
            Level::INFO => log!(Level::INFO),
            Level::DEBUG => log!(Level::DEBUG),
            Level::TRACE => log!(Level::TRACE),
        }
    }
}

/// A line of a command for a message of the guard: its beginning, without control characters.
fn shortened(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(&line[..line.len().min(MAX_LAST)]);
    line.replace(char::is_control, " ")
}
