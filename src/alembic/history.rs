//! The history of revisions, and what is to be done in a database.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::python::Variables;
use super::{Error, shown, uncertain};

/// The revisions of all files, in the order in which alembic loads them.
#[derive(Clone, Debug)]
pub struct History {
    revisions: Vec<Revision>,
    /// Revisions and branch labels, with the positions of their revisions.
    names: BTreeMap<String, usize>,
    /// The revisions that are no `down_revision`, as `alembic heads` lists them.
    heads: Vec<usize>,
    /// The heads that no revision depends on. They are the rows of a database that is up to date.
    real_heads: Vec<usize>,
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
    /// The revisions that name this one as `down_revision`.
    up: Vec<usize>,
    /// The revisions that name this one as `down_revision` or in `depends_on`.
    needed_by: Vec<usize>,
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
const UP: Edges = |revision| &revision.up;
const NEEDED_BY: Edges = |revision| &revision.needed_by;

impl History {
    /// Links the revisions of the files, each of which is given with its base name.
    pub(super) fn new(files: Vec<(String, Variables)>) -> Result<Self, Error> {
        let mut names = BTreeMap::new();
        for (position, (file, variables)) in files.iter().enumerate() {
            if names.insert(variables.revision.clone(), position).is_some() {
                let revision = shown(&variables.revision);
                return uncertain(format!(
                    "{file} has the revision {revision}, which another file has, too"
                ));
            }
        }
        let ids = names.clone();
        for (position, (file, variables)) in files.iter().enumerate() {
            for label in &variables.branch_labels {
                if names.insert(label.clone(), position).is_some() {
                    return Err(broken(
                        file,
                        "uses the label",
                        label,
                        "which is used already",
                    ));
                }
            }
        }
        // Only a dependency can be named by its label.
        let find = |file: &str, wanted: &[String], names: &BTreeMap<String, usize>| {
            let missing = |name| broken(file, "refers to the revision", name, "which no file has");
            let positions = wanted
                .iter()
                .map(|name| names.get(name).copied().ok_or_else(|| missing(name)));
            positions.collect::<Result<Vec<_>, _>>()
        };
        let mut revisions = Vec::with_capacity(files.len());
        for (file, variables) in files {
            let id = variables.revision;
            if id.contains(['@', '-', '+', ':']) {
                return Err(broken(
                    &file,
                    "has the revision",
                    &id,
                    "which alembic does not allow",
                ));
            }
            if variables.down_revision.contains(&id) || variables.depends_on.contains(&id) {
                return Err(broken(
                    &file,
                    "refers to the revision",
                    &id,
                    "which is its own",
                ));
            }
            let down = find(&file, &variables.down_revision, &ids)?;
            let needs = [
                down.as_slice(),
                &find(&file, &variables.depends_on, &names)?,
            ]
            .concat();
            let (up, needed_by) = (Vec::new(), Vec::new());
            revisions.push(Revision {
                id,
                file,
                down,
                needs,
                up,
                needed_by,
            });
        }
        for position in 0..revisions.len() {
            for below in revisions[position].down.clone() {
                revisions[below].up.push(position);
            }
            for below in revisions[position].needs.clone() {
                revisions[below].needed_by.push(position);
            }
        }
        let mut history = Self {
            revisions,
            names,
            heads: Vec::new(),
            real_heads: Vec::new(),
        };
        (history.heads, history.real_heads) = (history.without(UP), history.without(NEEDED_BY));
        history.refuse_circles()?;
        Ok(history)
    }

    /// Refuses revisions that need themselves through others.
    fn refuse_circles(&self) -> Result<(), Error> {
        let mut missing: Vec<usize> = self
            .revisions
            .iter()
            .map(|revision| revision.needs.len())
            .collect();
        let mut ready = self.without(NEEDS);
        let mut count = 0;
        while let Some(position) = ready.pop() {
            count += 1;
            for above in &self.revisions[position].needed_by {
                missing[*above] -= 1;
                if missing[*above] == 0 {
                    ready.push(*above);
                }
            }
        }
        if count == self.revisions.len() {
            return Ok(());
        }
        // alembic finds a circle only if it is not between a base and a head.
        let is_covered = |edges, heads: &[usize], back, bases: &[usize]| {
            let (below, above) = (self.closure(heads, edges), self.closure(bases, back));
            below
                .iter()
                .zip(above)
                .all(|(below, above)| *below && above)
        };
        let text = "the revisions form a circle".to_owned();
        let is_missed = is_covered(DOWN, &self.heads, UP, &self.without(DOWN))
            && is_covered(NEEDS, &self.real_heads, NEEDED_BY, &self.without(NEEDS));
        Err(if is_missed {
            Error::Uncertain(text)
        } else {
            Error::Broken(text)
        })
    }

    fn without(&self, edges: Edges) -> Vec<usize> {
        let positions = 0..self.revisions.len();
        positions
            .filter(|position| edges(&self.revisions[*position]).is_empty())
            .collect()
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
        let heads = self.heads.iter().map(|head| &self.revisions[*head]);
        heads
            .map(|head| (head.id.as_str(), head.file.as_str()))
            .collect()
    }

    /// Compares the rows of the version table with what the targets need, like alembic's
    /// `RevisionMap._collect_upgrade_revisions`.
    pub fn status(&self, rows: &[String], targets: &Targets) -> Status {
        self.compare(rows, targets)
            .unwrap_or_else(Status::Uncertain)
    }

    fn compare(&self, rows: &[String], targets: &Targets) -> Result<Status, String> {
        let (mut current, mut ahead) = (Vec::new(), Vec::new());
        for row in rows {
            // alembic resolves these rows as symbols, or as steps from the heads.
            let is_step = row
                .split(char::is_alphanumeric)
                .next()
                .is_some_and(|start| start.contains('-'));
            if is_step || row.contains('@') || ["", "head", "heads", "base"].contains(&row.as_str())
            {
                return Err("the version table has a row that is no revision".to_owned());
            }
            match self.resolve(row) {
                Some(Ok(position)) => current.push(position),
                Some(Err(())) => {
                    return Err(format!(
                        "several revisions begin with the row {}",
                        shown(row)
                    ));
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
        let mut wanted = Vec::new();
        match targets {
            Targets::All => wanted.clone_from(&self.real_heads),
            Targets::Listed(targets) if targets.is_empty() => {
                return Err("no target is named".to_owned());
            }
            Targets::Listed(targets) => {
                for target in targets {
                    wanted.extend(
                        self.target(target)
                            .ok_or("a target of the upgrade cannot be resolved")?,
                    );
                }
            }
        }
        let (wanted, present) = (self.closure(&wanted, NEEDS), self.closure(&current, NEEDS));
        let pending = wanted
            .into_iter()
            .zip(present)
            .filter(|(wanted, present)| *wanted && !present);
        Ok(match pending.count() {
            0 => Status::UpToDate,
            count => Status::Pending(count),
        })
    }

    /// The revision that has a name, or the only one with a name of at least four characters that begins with it.
    /// Returns an error if there are several.
    fn resolve(&self, name: &str) -> Option<Result<usize, ()>> {
        if let Some(position) = self.names.get(name) {
            return Some(Ok(*position));
        }
        let similar = self
            .names
            .range::<str, _>((Bound::Included(name), Bound::Unbounded));
        let mut similar = similar
            .take_while(|(other, _)| other.starts_with(name))
            .filter(|(other, _)| other.chars().nth(3).is_some());
        let (_, first) = similar.next()?;
        Some(if similar.next().is_some() {
            Err(())
        } else {
            Ok(*first)
        })
    }

    /// Whether one of these revisions is an ancestor of another.
    fn overlap(&self, positions: &[usize]) -> bool {
        let below: Vec<usize> = positions
            .iter()
            .flat_map(|at| &self.revisions[*at].needs)
            .copied()
            .collect();
        let reached = self.closure(&below, NEEDS);
        positions.iter().any(|position| reached[*position])
    }

    /// The revisions that an argument of `alembic upgrade` names, if it is certain that alembic takes it.
    fn target(&self, target: &str) -> Option<Vec<usize>> {
        // A range, or a number of steps.
        let is_relative = target
            .split(['+', '-'])
            .skip(1)
            .any(|rest| rest.starts_with(char::is_numeric));
        if is_relative || target.contains(':') {
            return None;
        }
        let is_symbol = |name: &str| ["", "head", "heads", "base"].contains(&name);
        let (name, heads) = match target.split_once('@') {
            None if !is_symbol(target) => return Some(vec![self.resolve(target)?.ok()?]),
            None if target == "heads" => return Some(self.real_heads.clone()),
            None => (target, self.heads.clone()),
            Some((label, name)) if !is_symbol(label) => {
                let above = self.closure(&[self.resolve(label)?.ok()?], UP);
                let heads = self.heads.iter().copied().filter(|head| above[*head]);
                (name, heads.collect())
            }
            Some(_) => return None,
        };
        let is_valid = match name {
            "head" => heads.len() <= 1,
            "heads" => !self.overlap(&heads),
            _ => false,
        };
        is_valid.then_some(heads)
    }
}

fn broken(file: &str, does: &str, name: &str, why: &str) -> Error {
    Error::Broken(format!("{file} {does} {}, {why}", shown(name)))
}
