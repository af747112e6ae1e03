//! The causes
