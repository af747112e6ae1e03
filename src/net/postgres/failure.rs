//! What a failure to log in means. The server's own message can name roles and databases, which are parts of a
//! declared value. So only its code is used, and described in words of ours.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;

use super::wire::Unreadable;
use crate::net::tls::{self, Peer};
use crate::net::{Failure, in_words};

/// A failure, and whether TLS may be to blame.
pub enum Trouble {
    Plain(Failure),
    /// Without TLS it may go better.
    WithTls(Failure),
}

impl Trouble {
    pub fn into_failure(self) -> Failure {
        match self {
            Trouble::Plain(failure) | Trouble::WithTls(failure) => failure,
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Plain(failure)
    }
}

/// What an error of a log-in means.
pub fn trouble(error: &Error, is_encrypted: bool) -> Trouble {
    let told = failure(error);
    // `pg_hba.conf` can have encrypted connections refused.
    let is_unwanted = error.code().is_some_and(|code| code.code() == "28000");
    if is_encrypted && (is_unwanted || tls_failure(error).is_some()) {
        Trouble::WithTls(told)
    } else {
        Trouble::Plain(told)
    }
}

const NOT_POSTGRES: &str = "it answers with something that is not PostgreSQL's";

/// What an error means.
pub fn failure(error: &Error) -> Failure {
    if let Some(code) = error.code() {
        return by_code(code.code());
    }
    if let Some(failure) = tls_failure(error) {
        return failure;
    }
    if let Some(cause) = system_error(error) {
        let unreadable = cause.get_ref().and_then(|cause| cause.downcast_ref());
        return Failure::not_yet(match (unreadable, cause.kind()) {
            (Some(reason), _) => Unreadable::to_string(reason),
            (
                None,
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other,
            ) => NOT_POSTGRES.to_owned(),
            (None, _) => in_words(cause),
        });
    }
    by_words(error)
}

/// The SQLSTATE that the server gave.
fn by_code(code: &str) -> Failure {
    let refused = match code {
        "28P01" => "it refuses the password (28P01)",
        "28000" => "it refuses the role, or connections from here (28000)",
        "3D000" => "there is no such database (3D000)",
        "42501" => "the role may not connect to the database (42501)",
        _ => {
            return Failure::not_yet(match code {
                "57P03" => "it is starting up, or shutting down (57P03)".to_owned(),
                "53300" => "it has too many clients already (53300)".to_owned(),
                "57P01" | "57P02" | "57P05" => {
                    format!("it ended the connection ({code})")
                }
                // A code has five of these. Anything else is the server's own text.
                _ if code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                    format!("it answers with the error {code}")
                }
                _ => NOT_POSTGRES.to_owned(),
            });
        }
    };
    Failure::refused(refused)
}

/// Errors of the client itself have no code. Their texts contain nothing of the URL.
fn by_words(error: &Error) -> Failure {
    let words = error.to_string();
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    if cause.contains("password missing") {
        return Failure::refused("it asks for a password, and there is none in the URL");
    }
    if cause.contains("server does not support TLS") {
        return Failure::not_yet("it offers no TLS, which sslmode asks for");
    }
    if cause.contains("channel binding") {
        return Failure::not_yet("it offers no channel binding, which the URL asks for");
    }
    if error.is_closed() || words.contains("closed") {
        return Failure::not_yet("it closed the connection");
    }
    if words.contains("authentication") {
        return Failure::refused("it asks for a way to log in that is not known here");
    }
    Failure::not_yet(NOT_POSTGRES)
}

fn tls_failure(error: &Error) -> Option<Failure> {
    tls::failure(system_error(error)?, Peer::Database)
}

/// The system's error, somewhere among the causes.
fn system_error(error: &Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
