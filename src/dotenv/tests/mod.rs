//! Tests of env files: the dialects, and the limits.

mod limits;
mod readers;
