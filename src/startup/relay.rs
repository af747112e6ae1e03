//! A step's output on its way to ours: masked, line by line, as it comes.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

use super::mask::{Mask, Masker};
use crate::log::{self, Phase};
use crate::os::child;
use crate::os::output::{Output, STDERR, STDOUT};

/// One read, in bytes.
const CHUNK: usize = 64 * 1024;

/// How much is still read of a pipe that is held open after the step's end, in reads.
const LAST_READS: usize = 64;

/// A line is shown in parts of this size, in bytes, when it does not end.
const MAX_LINE: usize = 64 * 1024;

/// How a step's lines go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are, each on the stream it came on.
    Text,
    /// As log events.
    Events,
    /// For whoever looks for faults: as log events of the lowest level.
    Debug,
}

impl From<log::Format> for Form {
    /// Where the log is for machines, a step's lines are part of it.
    fn from(format: log::Format) -> Self {
        match format {
            log::Format::Text { .. } => Form::Text,
            log::Format::Json => Form::Events,
        }
    }
}

/// Which of a step's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// Our stream of the same name.
    pub fn output(self) -> &'static Output {
        match self {
            Stream::Stdout => &STDOUT,
            Stream::Stderr => &STDERR,
        }
    }
}

/// One stream of a step.
pub struct Relay<'a> {
    step: &'a str,
    stream: Stream,
    form: Form,
    /// None when the step has closed it.
    pipe: Option<OwnedFd>,
    masker: Masker<'a>,
    /// The beginning of a line, masked and not shown yet.
    line: Vec<u8>,
    /// How many bytes of `line` were searched for a line break.
    searched: usize,
    buffer: Vec<u8>,
}

impl<'a> Relay<'a> {
    pub fn new(step: &'a str, stream: Stream, form: Form, pipe: OwnedFd, mask: &'a Mask) -> Self {
        Self {
            step,
            stream,
            form,
            pipe: Some(pipe),
            masker: Masker::new(mask),
            line: Vec::new(),
            searched: 0,
            buffer: vec![0; CHUNK],
        }
    }

    /// The pipe to wait for; none when it is closed.
    pub fn pipe(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref()
    }

    /// Where the lines go.
    pub fn output(&self) -> &'static Output {
        match self.form {
            Form::Text => self.stream.output(),
            Form::Events | Form::Debug => &STDERR,
        }
    }

    /// Takes what one read gives. Gives whether there was anything.
    pub fn take(&mut self) -> bool {
        let Some(pipe) = &self.pipe else {
            return false;
        };
        match child::read(pipe.as_fd(), &mut self.buffer) {
            Ok(count) if count > 0 => {
                self.masker.feed(&self.buffer[..count], &mut self.line);
                self.show_lines();
                true
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                false
            }
            // Its end, or an error after which nothing more comes.
            Ok(_) | Err(_) => {
                self.pipe = None;
                self.finish();
                false
            }
        }
    }

    /// Takes what is left when the step has ended, and closes the pipe. Somebody outside the step's tree may
    /// hold its other end open: that is not waited for.
    pub fn read_last(&mut self) {
        for _ in 0..LAST_READS {
            if !self.take() {
                break;
            }
        }
        if self.pipe.take().is_some() {
            self.finish();
        }
    }

    /// Shows the rest, be it a whole line or not.
    fn finish(&mut self) {
        self.masker.finish(&mut self.line);
        if self.line.last().is_some_and(|&last| last != b'\n') {
            self.line.push(b'\n');
        }
        self.show_lines();
    }

    fn show_lines(&mut self) {
        let new = &self.line[self.searched..];
        let mut end = memchr::memrchr(b'\n', new).map_or(0, |last| self.searched + last + 1);
        if end == 0 && self.line.len() >= MAX_LINE {
            end = self.line.len();
        }
        self.searched = self.line.len() - end;
        if end == 0 {
            return;
        }
        match self.form {
            Form::Text => self.stream.output().push(&self.line[..end]),
            Form::Events | Form::Debug => self.line[..end]
                .split_inclusive(|&byte| byte == b'\n')
                .for_each(|line| self.log(line)),
        }
        self.line.drain(..end);
    }

    fn log(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\n', '\r']);
        let step = self.step;
        if self.form == Form::Debug {
            tracing::debug!(target: "step", phase = %Phase::Step, step, "{line}");
            return;
        }
        match level_of(line) {
            LineLevel::Error => {
                tracing::error!(target: "step", phase = %Phase::Step, step, "{line}")
            }
            LineLevel::Warning => {
                tracing::warn!(target: "step", phase = %Phase::Step, step, "{line}")
            }
            LineLevel::Info => tracing::info!(target: "step", phase = %Phase::Step, step, "{line}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum LineLevel {
    Error,
    Warning,
    Info,
}

/// The level that alembic, and Python's loggers elsewhere, put at the beginning of a line.
fn level_of(line: &str) -> LineLevel {
    match line.split([' ', ':', '\t']).next() {
        Some("ERROR" | "CRITICAL" | "FATAL" | "FAILED") => LineLevel::Error,
        Some("WARNING" | "WARN") => LineLevel::Warning,
        _ => LineLevel::Info,
    }
}

#[cfg(test)]
mod tests {
    use super::{LineLevel, level_of};

    #[test]
    fn the_level_of_a_line_is_the_one_it_begins_with() {
        assert_eq!(
            level_of("INFO  [alembic.runtime.migration] Running upgrade"),
            LineLevel::Info
        );
        assert_eq!(level_of("WARNING [x] y"), LineLevel::Warning);
        assert_eq!(level_of("ERROR:root:it failed"), LineLevel::Error);
        assert_eq!(
            level_of("FAILED: Multiple head revisions"),
            LineLevel::Error
        );
        assert_eq!(
            level_of("Traceback (most recent call last):"),
            LineLevel::Info
        );
        assert_eq!(level_of(""), LineLevel::Info);
    }
}
