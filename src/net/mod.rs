//! Connections to other machines. These calls block until their deadline, so helper threads make them, and
//! `healthcheck`. No message here shows more of what a user wrote than a host and a port.

mod dial;
pub mod http;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "postgres")]
mod tls;

use std::io;

pub use dial::{dial, share};

/// Why the other side is not ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    pub kind: FailureKind,
    /// The rest of a line that begins with the other side's name and a colon.
    pub reason: String,
}

/// Whether waiting can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    NotYet,
    /// Somebody must change something: it refuses our password or role, there is no such database, or its
    /// certificate is not to be trusted.
    Refused,
}

impl Failure {
    pub fn not_yet(reason: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::NotYet,
            reason: reason.into(),
        }
    }

    #[cfg(feature = "postgres")]
    fn refused(reason: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Refused,
            reason: reason.into(),
        }
    }
}

/// A system's error in words.
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        // A read that ran out of its time is reported as one that would block.
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            "it closed the connection without an answer".to_owned()
        }
        io::ErrorKind::ConnectionReset => "it reset the connection".to_owned(),
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        kind => kind.to_string(),
    }
}
