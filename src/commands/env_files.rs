//! `check --env-file`: the environment that a service would have from files.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::cli;
use crate::dotenv::{self, Dialect, RemarkKind, shown_name};
use crate::environment::Environment;
use crate::manifest::Manifest;
use crate::os::file;
use crate::platform::is_injected;
use crate::report::{Code, Note, NoteCode, Report, Severity, Source};

/// So many names are told in one sentence.
const SHOWN_NAMES: usize = 20;

/// What the files come to.
#[derive(Default)]
pub struct EnvFiles {
    /// The variables of the files, in the order of the files and their lines.
    entries: Vec<(String, OsString)>,
    /// Of each name, the entry that counts.
    positions: HashMap<String, usize>,
    /// Where each was written.
    sources: HashMap<String, Source>,
    notes: Vec<Note>,
    /// The names of the files, in order.
    files: Vec<String>,
}

/// Reads the files in order; of a name that stands in several the last one counts.
///
/// # Errors
/// The first file that cannot be read or understood.
pub fn read(arguments: &cli::Check, environment: &Environment) -> Result<EnvFiles, dotenv::Error> {
    let dialect = arguments.dialect.map(dialect);
    let mut all = EnvFiles::default();
    for path in &arguments.env_files {
        let name = path.to_string_lossy().into_owned();
        let file = {
            let lookup = |variable: &str| all.lookup(variable, arguments.only_file, environment);
            dotenv::load(&name, dialect, &lookup, |limit| content(path, limit))?
        };
        all.add(name, file);
    }
    Ok(all)
}

fn content(path: &OsStr, limit: usize) -> std::io::Result<Vec<u8>> {
    if path == "-" {
        file::read_standard_input(limit)
    } else {
        file::read_input(Path::new(path), limit)
    }
}

fn dialect(dialect: cli::Dialect) -> Dialect {
    match dialect {
        cli::Dialect::Compose => Dialect::Compose,
        cli::Dialect::Docker => Dialect::Docker,
        cli::Dialect::PythonDotenv => Dialect::PythonDotenv,
        cli::Dialect::Kv => Dialect::Kv,
    }
}

impl EnvFiles {
    /// What a reference in the next file finds: the process's own, then the files' before it.
    fn lookup(&self, name: &str, only_file: bool, environment: &Environment) -> Option<String> {
        let own = environment.get(name).filter(|_| !only_file);
        let value = own.or_else(|| {
            let position = self.positions.get(name)?;
            Some(self.entries[*position].1.as_os_str())
        });
        value.and_then(OsStr::to_str).map(str::to_owned)
    }

    fn add(&mut self, name: String, file: dotenv::EnvFile) {
        let source = |line| Source {
            file: name.clone(),
            line,
        };
        for entry in file.entries {
            self.sources.insert(entry.name.clone(), source(entry.line));
            self.positions
                .insert(entry.name.clone(), self.entries.len());
            self.entries.push((entry.name, entry.value.into()));
        }
        self.notes
            .extend(file.remarks.into_iter().map(|remark| Note {
                code: match remark.kind {
                    RemarkKind::Portability => NoteCode::Portability,
                    RemarkKind::Effect => NoteCode::Line,
                },
                source: Some(source(remark.line)),
                variables: remark.name.into_iter().collect(),
                text: remark.text,
            }));
        self.files.push(name);
    }

    /// The environment with the files' variables over it, or of them alone.
    pub fn over(&self, environment: Environment, only_file: bool) -> Environment {
        if self.files.is_empty() {
            return environment;
        }
        let base = if only_file {
            Environment::default()
        } else {
            environment
        };
        let counted = self.positions.iter();
        let mut set: Vec<(&str, OsString)> = counted
            .map(|(name, &position)| (name.as_str(), self.entries[position].1.clone()))
            .collect();
        set.sort();
        base.with(&set, &[])
    }

    /// The first file, as the user named it.
    pub fn first(&self) -> Option<&str> {
        self.files.first().map(String::as_str)
    }

    /// Adds to a report what is known of the files: where a finding's value was written, and the notes.
    pub fn annotate(self, report: &mut Report, manifest: &Manifest) {
        for finding in &mut report.findings {
            let file_variable = format!("{}_FILE", finding.variable);
            let of_file = self.sources.get(&file_variable);
            finding.source = self.sources.get(&finding.variable).or(of_file).cloned();
            // The file is the container's; that this machine has none says nothing.
            if finding.code == Code::FileUnreadable && of_file.is_some() {
                finding.severity = Severity::Warning;
                "check it where the service runs: this machine may not be that"
                    .clone_into(&mut finding.fix);
            }
        }
        let undeclared = self.undeclared(manifest);
        report.notes = self.notes;
        report.notes.extend(undeclared);
    }

    fn undeclared(&self, manifest: &Manifest) -> Option<Note> {
        let mut known: HashSet<String> = HashSet::new();
        for variable in &manifest.variables {
            known.insert(variable.name.clone());
            known.extend(variable.file_name());
        }
        let mut seen: HashSet<&str> = HashSet::new();
        let names = self.entries.iter().map(|(name, _)| name.as_str());
        let undeclared: Vec<&str> = names
            .filter(|name| !known.contains(*name) && !is_injected(name))
            .filter(|name| seen.insert(name))
            .collect();
        if undeclared.is_empty() {
            return None;
        }
        let count = undeclared.len();
        let shown: Vec<String> = undeclared.into_iter().filter_map(shown_name).collect();
        let told = &shown[..shown.len().min(SHOWN_NAMES)];
        let more = match count - told.len() {
            0 => String::new(),
            more if told.is_empty() => format!("{more} of them"),
            more => format!(" and {more} more"),
        };
        let (variables, are) = if count == 1 {
            ("variable is", "it is")
        } else {
            ("variables are", "they are")
        };
        Some(Note {
            code: NoteCode::Undeclared,
            source: None,
            text: format!(
                "{count} {variables} not in the manifest; {are} not checked: {}{more}",
                told.join(", ")
            ),
            variables: shown,
        })
    }
}
