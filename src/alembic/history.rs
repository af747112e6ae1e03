//! The history of revisions, and what is to be done in a database.

use std::collections::HashMap;

use super::python::Variables;
use super::{Error, shown, uncertain};
use crate::text::first;

/// Characters that alembic does not allow in revisions. In targets they have a meaning of their own.
const RESERVED: [char; 4] = ['@', '-', '+', ':'];

/// How many files of a circle a message names.
const MAX_FILES: usize = 3;

/// The revisions of all files, in the order in which alembic loads them.
#[derive(Clone, Debug)]
pub struct History {
    revisions: Vec<Revision>,
    /// Revisions and branch labels, with the positions of their revisions.
    names: HashMap<String, usize>,
}

#[derive(Clone, Debug)]
struct Revision {
    id: String,
    /// The base name of the file.
    file: String,
    /// What `down_revision` names.
    down: Vec<usize>,
    /// What `down_revision` and `depends_on` name.
    needs: Vec<usize>,
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

/// The revisions that a revision refers to.
type Edges = fn(&Revision) -> &[usize];

const DOWN: Edges = |revision| &revision.down;
const NEEDS: Edges = |revision| &revision.needs;

impl History {
    /// Links the revisions of the files, each of which is given with its base name.
    pub(super) fn new(files: &[(String, Variables)]) -> Result<Self, Error> {
        let mut names = HashMap::new();
        let used = "which is used already";
        for (position, (file, variables)) in files.iter().enumerate() {
            let id = &variables.revision;
            if names.insert(id.clone(), position).is_some() {
                let id = shown(id);
                return uncertain(format!("{file} has the revision {id}, {used}"));
            }
            for label in &variables.branch_labels {
                if names.insert(label.clone(), position).is_some() {
                    return Err(broken(file, "uses the label", label, used));
                }
            }
        }
        let mut revisions = Vec::with_capacity(files.len());
        for (file, variables) in files {
            let id = &variables.revision;
            // alembic allows it before version 1.17.1.
            if id.contains(':') {
                let id = shown(id);
                return uncertain(format!("{file} has the revision {id}, with a colon"));
            }
            if id.contains(RESERVED) {
                let problem = "which alembic does not allow";
                return Err(broken(file, "has the revision", id, problem));
            }
            let find = |wanted: &[String], takes_labels: bool| {
                let refers = |name, problem| broken(file, "refers to the revision", name, problem);
                let is_id = |name: &str, position: usize| files[position].1.revision == name;
                let positions = wanted.iter().map(|name| match names.get(name) {
                    Some(_) if name == id => Err(refers(name, "which is its own")),
                    Some(at) if takes_labels || is_id(name, *at) => Ok(*at),
                    Some(_) | None => Err(refers(name, "which no file has")),
                });
                positions.collect::<Result<Vec<_>, _>>()
            };
            let down = find(&variables.down_revision, false)?;
            let mut needs = find(&variables.depends_on, true)?;
            needs.extend(&down);
            revisions.push(Revision {
                id: id.clone(),
                file: file.clone(),
                down,
                needs,
            });
        }
        let history = Self { revisions, names };
        history.refuse_circles()?;
        Ok(history)
    }

    /// By how many revisions each one is named.
    fn counts(&self, edges: Edges) -> Vec<usize> {
        let mut counts = vec![0; self.revisions.len()];
        for below in self.revisions.iter().flat_map(edges) {
            counts[*below] += 1;
        }
        counts
    }

    /// The revisions that no revision refers to. By `DOWN` they are what `alembic heads` lists. By `NEEDS` they are the
    /// rows of a database that is up to date, because a head that another revision depends on is none of them.
    fn unnamed(&self, edges: Edges) -> Vec<usize> {
        let counts = self.counts(edges);
        let mut positions: Vec<usize> = (0..counts.len()).collect();
        positions.retain(|position| counts[*position] == 0);
        positions
    }

    /// Refuses revisions that need themselves through others.
    fn refuse_circles(&self) -> Result<(), Error> {
        let mut counts = self.counts(NEEDS);
        let mut open = self.unnamed(NEEDS);
        while let Some(position) = open.pop() {
            for below in &self.revisions[position].needs {
                counts[*below] -= 1;
                if counts[*below] == 0 {
                    open.push(*below);
                }
            }
        }
        // What remains is in a circle or below one.
        let mut remaining = (0..counts.len()).filter(|position| counts[*position] > 0);
        let Some(start) = remaining.clone().next() else {
            return Ok(());
        };
        // alembic does not find a circle with a base below it if there is a head above it.
        if remaining.any(|position| self.revisions[position].needs.is_empty()) {
            return uncertain("the revisions form a circle");
        }
        let below = |position: usize| self.revisions[position].needs[0];
        let start = (0..counts.len()).fold(start, |position, _| below(position));
        let mut files = vec![&self.revisions[start].file];
        let mut position = below(start);
        while position != start {
            files.push(&self.revisions[position].file);
            position = below(position);
        }
        let files = first(&files, MAX_FILES);
        let text = format!("{files} refer to each other in a circle");
        Err(Error::Broken(text))
    }

    /// Which revisions can be reached from these, including themselves.
    fn closure(&self, starts: &[usize], edges: Edges) -> Vec<bool> {
        let mut reached = vec![false; self.revisions.len()];
        let mut open = starts.to_vec();
        while let Some(position) = open.pop() {
            if !std::mem::replace(&mut reached[position], true) {
                open.extend(edges(&self.revisions[position]));
            }
        }
        reached
    }

    /// The versioned heads in the order of `alembic heads`: each with its revision and the base name of its file.
    pub fn heads(&self) -> Vec<(&str, &str)> {
        let heads = self.unnamed(DOWN).into_iter();
        let heads = heads.map(|head| &self.revisions[head]);
        heads.map(|head| (&*head.id, &*head.file)).collect()
    }

    /// Compares the rows of the version table with what the targets need, like alembic's
    /// `RevisionMap._collect_upgrade_revisions`.
    pub fn status(&self, rows: &[String], targets: &Targets) -> Status {
        let status = self.compare(rows, targets);
        status.unwrap_or_else(Status::Uncertain)
    }

    fn compare(&self, rows: &[String], targets: &Targets) -> Result<Status, String> {
        let (mut current, mut ahead) = (Vec::new(), Vec::new());
        for row in rows {
            if !is_plain(row) {
                return Err("the version table has a row that is no revision".to_owned());
            }
            match self.names.get(row) {
                Some(position) => current.push(*position),
                // alembic takes the beginning of a revision for the revision.
                None if self.names.keys().any(|name| name.starts_with(row)) => {
                    return Err(format!("a revision begins with the row {}", shown(row)));
                }
                None => ahead.push(shown(row)),
            }
        }
        if !ahead.is_empty() {
            return Ok(Status::Ahead(ahead));
        }
        if self.overlap(&current) {
            return Err("one row of the version table is an ancestor of another".to_owned());
        }
        let wanted = match targets {
            Targets::All => self.unnamed(NEEDS),
            Targets::Listed(targets) => {
                let found = targets.iter().map(|target| self.target(target));
                let found = found.collect::<Option<Vec<_>>>().unwrap_or_default();
                if found.is_empty() {
                    return Err("a target of the upgrade cannot be resolved".to_owned());
                }
                found.concat()
            }
        };
        let (wanted, present) = (self.closure(&wanted, NEEDS), self.closure(&current, NEEDS));
        let pairs = wanted.into_iter().zip(present);
        Ok(match pairs.filter(|pair| *pair == (true, false)).count() {
            0 => Status::UpToDate,
            count => Status::Pending(count),
        })
    }

    /// Whether one of these revisions is an ancestor of another.
    fn overlap(&self, positions: &[usize]) -> bool {
        let below = positions.iter().map(|at| &*self.revisions[*at].needs);
        let reached = self.closure(&below.collect::<Vec<_>>().concat(), NEEDS);
        positions.iter().any(|position| reached[*position])
    }

    /// The revisions that an argument of `alembic upgrade` names, if it is certain that alembic takes it.
    fn target(&self, target: &str) -> Option<Vec<usize>> {
        match target.split_once('@') {
            None if target == "heads" => Some(self.unnamed(NEEDS)),
            None if target == "head" => Some(self.unnamed(DOWN)).filter(|heads| heads.len() <= 1),
            None if is_plain(target) => Some(vec![*self.names.get(target)?]),
            Some((label, name)) if is_plain(label) => {
                let labelled = *self.names.get(label)?;
                let mut heads = self.unnamed(DOWN);
                heads.retain(|head| self.closure(&[*head], DOWN)[labelled]);
                let is_valid = match name {
                    "head" => heads.len() <= 1,
                    "heads" => !self.overlap(&heads),
                    _ => false,
                };
                is_valid.then_some(heads)
            }
            None | Some(_) => None,
        }
    }
}

/// Whether alembic can only take a name for that of a revision or a label.
fn is_plain(name: &str) -> bool {
    !name.contains(RESERVED) && !["", "head", "heads", "base"].contains(&name)
}

fn broken(file: &str, does: &str, name: &str, problem: &str) -> Error {
    Error::Broken(format!("{file} {does} {}, {problem}", shown(name)))
}
