//! Tests of env files: the dialects, the limits, and the values that are probably not meant.

mod limits;
mod readers;
mod suspicion;
