//! Faults of a manifest: where, and what would be right.

use std::fmt;

/// One step of a path into the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Key(String),
    /// Counted from 0.
    Index(usize),
}

/// A path into the manifest, such as `variables.LOG_LEVEL.one_of` or `steps[0].command`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Segment>);

impl Path {
    /// The path of a key below this one.
    pub fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }

    /// The path of an item below this one.
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => out.write_str(key)?,
                Segment::Key(key) => write!(out, ".{key}")?,
                Segment::Index(index) => write!(out, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// One thing that is wrong with the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Empty for a fault of the whole text.
    pub path: Path,
    /// Counted from 1: the line of the variable, step or key that the path leads to.
    pub line: Option<usize>,
    /// Counted from 1; for syntax errors.
    pub column: Option<usize>,
    pub message: String,
}

impl Fault {
    /// A fault whose line is not known yet.
    pub fn at(path: Path, message: impl Into<String>) -> Self {
        Self {
            path,
            line: None,
            column: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(out, "line {line}, column {column}: ")?,
            (Some(line), None) => write!(out, "line {line}: ")?,
            (None, _) => {}
        }
        if !self.path.0.is_empty() {
            write!(out, "{}: ", self.path)?;
        }
        out.write_str(&self.message)
    }
}
