//! What a start depends on: things to wait for, and the lock around a step.

use std::time::Duration;

use crate::target::Protocol;

/// Something that must be ready before the first step.
#[derive(Debug)]
pub struct Wait {
    pub protocol: Protocol,
    pub place: Place,
    pub timeout: Duration,
}

/// A lock that one process at a time can hold, among all that start the same service.
#[derive(Debug)]
pub struct Lock {
    /// The PostgreSQL that keeps it.
    pub place: Place,
    /// How long to wait for it.
    pub timeout: Duration,
}

/// Where something is.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// As a declared variable of this name says.
    Variable(String),
    /// As the manifest says.
    Literal(String),
}
