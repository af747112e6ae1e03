//! Containers.

use std::path::Path;

/// Docker and Podman each leave a file behind in what they start.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// Whether this process runs in a container of theirs.
pub fn is_inside() -> bool {
    MARKS.iter().any(|mark| Path::new(mark).exists())
}
