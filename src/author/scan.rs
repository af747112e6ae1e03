//! Finds the environment variables that Python code reads.
