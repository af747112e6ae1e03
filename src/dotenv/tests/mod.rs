//! Env files: what each reader makes of them, and their limits.

mod limits;
mod readers;
