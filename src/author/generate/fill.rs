//! Fills generated values into an env file.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::edit::{self, Change};
use super::generated;
use super::git::{self, State};
use super::replace::replace;
use crate::author;
use crate::author::arguments::Generate;
use crate::check::is_absent;
use crate::dotenv::{self, Dialect, Entry, EnvFile, Fault};
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;
use crate::manifest::{Manifest, Variable};
use crate::os::file;
use crate::rule::{Placeholder, placeholder};

/// Sets the variables that are missing or placeholders in the file, and prints which ones.
///
/// # Errors
/// If the file cannot be read or written, if git tracks it, or if a variable cannot be generated.
pub fn fill(
    path: &OsStr,
    arguments: &Generate,
    variables: &[&Variable],
    manifest: &Manifest,
    environment: &Environment,
) -> Result<(), Error> {
    let file_name = Path::new(path).display().to_string();
    if path == "-" {
        let text = "`generate --env-file` changes a file, and standard input is none; without --env-file the values are printed";
        return author::failure(Exit::USAGE, text);
    }
    let target = target(Path::new(path), &file_name)?;
    // git can take seconds: it is asked before the file is read, so that no change by others is lost in the meantime.
    let state = git::state(&target, environment);
    let content = match file::read(&target, dotenv::MAX_SIZE) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let fault = Fault::Unreadable(format!("it cannot be read: {error}"));
            let name = file_name;
            return Err(dotenv::Error { name, fault }.into());
        }
        Ok(content) => content,
    };
    let failed = |fault| dotenv::Error {
        name: file_name.clone(),
        fault,
    };
    let text = dotenv::text_of(&content).map_err(failed)?;
    let dialect = arguments.dialect.unwrap_or_else(|| Dialect::of(text));
    let lookup = |name: &str| environment.text(name);
    let file = dotenv::parse(&file_name, text, dialect, &lookup);
    let file = file.map_err(|faults| failed(Fault::Lines(faults)))?;

    let plan = plan(variables, manifest, &file, text, dialect)?;
    if !plan.changes.is_empty() {
        refuse_tracked(state, arguments.force, &file_name)?;
        let Some(edited) = edit::edited(text, &file, dialect, &lookup, &plan.changes) else {
            let text = format!(
                "{file_name} was not changed: the reader of this dialect would not read the new values from it; set them by hand, or use another --dialect"
            );
            return author::failure(Exit::INVALID_INPUT, text);
        };
        // The byte-order mark stays.
        let mark = &content[..content.len() - text.len()];
        let edited = [mark, edited.as_bytes()].concat();
        if edited.len() > dotenv::MAX_SIZE {
            let text = format!("{file_name} was not changed: it would become larger than 1 MiB");
            return author::failure(Exit::INVALID_INPUT, text);
        }
        if let Err(error) = replace(&target, &edited) {
            let text = format!("{file_name} cannot be written: {error}");
            return author::failure(Exit::OS_REFUSED, text);
        }
        if state == State::Untracked {
            tracing::warn!(
                "git does not ignore {file_name}, which contains secrets: add it to .gitignore"
            );
        }
    }
    let lines = plan.report.iter().map(|(name, kept)| match kept {
        None => format!("set {name} in {file_name}\n"),
        Some(reason) => format!("kept {name} in {file_name}: {reason}\n"),
    });
    author::print(&lines.collect::<String>())
}

/// What to do with a file.
pub struct Plan<'f> {
    pub changes: Vec<Change<'f>>,
    /// Each variable, with the reason if it is kept.
    report: Vec<(&'f str, Option<String>)>,
}

/// Decides about each variable, and generates the values of those that are set.
///
/// # Errors
/// If a variable cannot be generated.
pub fn plan<'f>(
    variables: &[&'f Variable],
    manifest: &Manifest,
    file: &'f EnvFile,
    text: &str,
    dialect: Dialect,
) -> Result<Plan<'f>, Error> {
    let (mut changes, mut report) = (Vec::new(), Vec::new());
    for variable in variables {
        let kept = match decision(variable, manifest, file, text, dialect) {
            Decision::Keep(reason) => Some(reason),
            Decision::Set(entry) => {
                let others = variable.distinct_from.iter();
                let taken: Vec<&str> = others.filter_map(|other| value(file, other)).collect();
                changes.push(Change {
                    name: variable.name.clone(),
                    value: generated(variable, &taken)?,
                    entry,
                });
                None
            }
        };
        report.push((variable.name.as_str(), kept));
    }
    Ok(Plan { changes, report })
}

/// The file itself, with symbolic links followed.
///
/// # Errors
/// If there is no such folder, or if a symbolic link leads nowhere.
fn target(path: &Path, name: &str) -> Result<PathBuf, Error> {
    let resolved = match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
            folder.map(|folder| folder.join(path.file_name().unwrap_or_default()))
        }
        resolved => resolved,
    };
    resolved.or_else(|error| {
        let text = format!("{name} can neither be read nor created: {error}");
        author::failure(Exit::NO_INPUT, text)
    })
}

/// Refuses to write secrets to a file that git tracks, unless `is_forced` is true.
///
/// # Errors
/// If git tracks the file, or cannot tell.
fn refuse_tracked(state: State, is_forced: bool, name: &str) -> Result<(), Error> {
    let text = match state {
        State::Tracked => format!(
            "git tracks {name}, so a commit would publish the secrets; name a file that git ignores, or use --force"
        ),
        State::Unknown => format!(
            "git cannot tell whether it tracks {name} (try `git status` in its folder); use --force if it does not"
        ),
        State::Outside | State::Ignored | State::Untracked => return Ok(()),
    };
    if is_forced {
        return Ok(());
    }
    author::failure(Exit::USAGE, text)
}

/// What to do with a variable.
enum Decision<'f> {
    /// Set it, in place of this entry if there is one.
    Set(Option<&'f Entry>),
    /// Keep it, for this reason.
    Keep(String),
}

fn decision<'f>(
    variable: &Variable,
    manifest: &Manifest,
    file: &'f EnvFile,
    text: &str,
    dialect: Dialect,
) -> Decision<'f> {
    let is_set = |name: &String| value(file, name).is_some_and(|value| !value.trim().is_empty());
    if let Some(other) = variable.file.clone().filter(is_set) {
        return Decision::Keep(format!("{other} names the file with its value"));
    }
    // A name without a value does not set the variable.
    let entry = last(file, &variable.name);
    let entry = entry.and_then(|entry| Some((entry, edit::written(text, entry, dialect)?)));
    if let Some((entry, written)) = entry {
        let is_comment = entry.finding.as_ref().is_some_and(|found| found.is_certain);
        if !is_comment && !is_absent(variable, &entry.value, &manifest.placeholders) {
            return Decision::Keep("it has a value".to_owned());
        }
        // A reference says that the value exists elsewhere.
        let stored = [Some(Placeholder::Stored), Some(Placeholder::Named)];
        let is_stored = stored.contains(&placeholder(&entry.value));
        if is_stored || written.contains('$') || written.contains("{{") {
            return Decision::Keep("it refers to a value elsewhere".to_owned());
        }
    }
    if let Some(former) = variable.renamed_from.iter().find(|name| is_set(name)) {
        return Decision::Keep(format!("{former}, its former name, is set: rename it"));
    }
    Decision::Set(entry.map(|(entry, _)| entry))
}

/// The entry of a name that applies.
fn last<'f>(file: &'f EnvFile, name: &str) -> Option<&'f Entry> {
    file.entries.iter().rfind(|entry| entry.name == name)
}

fn value<'f>(file: &'f EnvFile, name: &str) -> Option<&'f str> {
    Some(last(file, name)?.value.as_str())
}
