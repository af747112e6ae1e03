//! The history of revisions, and what is to be done in a database.

/// The revisions of all files.
#[derive(Clone, Debug)]
pub struct History {
    heads: Vec<(String, String)>,
}

/// What a step upgrades to.
#[derive(Clone, Debug)]
pub enum Targets {
    /// All heads, as in `alembic upgrade heads`.
    All,
    /// Each is what `alembic upgrade` takes: a revision, `LABEL@head`, `head` or `heads`.
    Listed(Vec<String>),
}

/// What `alembic upgrade` would do in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It would run no revision.
    UpToDate,
    /// It would run this number of revisions.
    Pending(usize),
    /// It would fail, because no file has these rows of the version table: the database is ahead of this code.
    Ahead(Vec<String>),
    /// This cannot be told. The text is a clause.
    Uncertain(String),
}

impl History {
    /// The versioned heads in the order of `alembic heads`: each with its revision and the base name of its file.
    pub fn heads(&self) -> Vec<(&str, &str)> {
        let pairs = self.heads.iter();
        pairs
            .map(|(id, file)| (id.as_str(), file.as_str()))
            .collect()
    }

    /// Compares the rows of the version table with what the targets need.
    pub fn status(&self, rows: &[String], targets: &Targets) -> Status {
        let _ = (&self.heads, rows, targets);
        Status::Uncertain("the revisions are not compared yet".to_owned())
    }
}
