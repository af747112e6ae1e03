//! `check --env-file`: the environment that a service would have from files.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::check::Sources;
use crate::cli;
use crate::diagnosis::{EnvFileReader, NearNames};
use crate::dotenv::{self, Dialect, Remark, RemarkKind};
use crate::environment::Environment;
use crate::manifest::{Manifest, Variable};
use crate::os::file;
use crate::platform::is_injected;
use crate::report::{Note, NoteCode, Source};

/// How many undeclared variables a note lists.
const SHOWN_VARIABLES: usize = 20;

/// The longest name that platforms inject, in bytes.
const MAX_INJECTED: usize = 64;

/// The variables of the files, and the remarks on their lines.
#[derive(Default)]
pub struct EnvFiles {
    /// The names of the variables, in the order of the files and their lines.
    names: Vec<String>,
    /// The value that counts, by name.
    values: HashMap<String, String>,
    /// Where each was written.
    sources: Sources,
    /// What there is to say of the lines, in the order of the files.
    remarks: Vec<(Source, Remark)>,
    /// The names of the files, in order.
    files: Vec<String>,
    /// The dialect that was asked for.
    dialect: Option<Dialect>,
}

/// Reads the files in order; of a name that stands in several the last one counts.
///
/// # Errors
/// The first file that cannot be read or understood.
pub fn read(arguments: &cli::Check, environment: &Environment) -> Result<EnvFiles, dotenv::Error> {
    let dialect = arguments.dialect;
    let mut all = EnvFiles {
        dialect,
        ..EnvFiles::default()
    };
    if arguments.env_files.is_empty() {
        return Ok(all);
    }
    // Collected once, because each reference in a file looks here.
    let own: HashMap<&str, &str> = environment
        .entries()
        .iter()
        .filter(|_| !arguments.only_file)
        .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
        .collect();
    for path in &arguments.env_files {
        let name = path.to_string_lossy().into_owned();
        // A reference finds the process's own variables, then those of the files before.
        let lookup = |name: &str| own.get(name).copied().or_else(|| all.get(name));
        let file = dotenv::load(&name, dialect, &lookup, |limit| content(path, limit))?;
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

impl EnvFiles {
    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn add(&mut self, name: String, file: dotenv::EnvFile) {
        let source = |line| Source {
            file: name.clone(),
            line,
        };
        for entry in file.entries {
            self.sources.insert(entry.name.clone(), source(entry.line));
            if self
                .values
                .insert(entry.name.clone(), entry.value)
                .is_none()
            {
                self.names.push(entry.name);
            }
        }
        let remarks = file.remarks.into_iter();
        self.remarks
            .extend(remarks.map(|remark| (source(remark.line), remark)));
        self.files.push(name);
    }

    /// The environment with the variables of the files, which replace those of the same name. With `only_file`, the
    /// variables of the files alone.
    pub fn over(&self, environment: Environment, only_file: bool) -> Environment {
        let base = if only_file {
            Environment::default()
        } else {
            environment
        };
        let set = self.names.iter();
        let mut set: Vec<(&str, OsString)> = set
            .map(|name| (name.as_str(), self.values[name].clone().into()))
            .collect();
        set.sort();
        base.with(&set, &[])
    }

    /// The first file, as the user named it.
    pub fn first(&self) -> Option<&str> {
        self.files.first().map(String::as_str)
    }

    /// The reader of the files.
    pub fn reader(&self) -> EnvFileReader {
        match self.dialect.unwrap_or_default() {
            Dialect::Compose => EnvFileReader::Compose,
            Dialect::PythonDotenv => EnvFileReader::PythonDotenv,
            Dialect::Docker | Dialect::Kv => EnvFileReader::Raw,
        }
    }

    /// Where each variable is set.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The notes for a report.
    pub fn notes(self, manifest: &Manifest) -> Vec<Note> {
        if self.files.is_empty() {
            return Vec::new();
        }
        let names = Names::of(manifest);
        let undeclared = self.undeclared(&names);
        let remarks = self.remarks.into_iter();
        let mut notes: Vec<Note> = remarks
            .map(|(source, remark)| Note {
                code: match remark.kind {
                    RemarkKind::Portability => NoteCode::Portability,
                    RemarkKind::Effect => NoteCode::Line,
                },
                source: Some(source),
                variables: names.shown(&remark.name).into_iter().collect(),
                text: remark.text,
            })
            .collect();
        notes.extend(undeclared);
        notes
    }

    fn undeclared(&self, names: &Names<'_>) -> Option<Note> {
        let undeclared = self.names.iter().map(String::as_str);
        let undeclared: Vec<&str> = undeclared
            .filter(|name| !names.declared.contains(*name) && !is_injected(name))
            .collect();
        let count = undeclared.len();
        let are = if count == 1 {
            "variable is not in the manifest; it is"
        } else {
            "variables are not in the manifest; they are"
        };
        let more = match count.saturating_sub(SHOWN_VARIABLES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let listed = &undeclared[..count.min(SHOWN_VARIABLES)];
        let files = self.files.iter();
        let places: Vec<String> = files
            .filter_map(|file| self.places(file, listed, names))
            .collect();
        let shown = undeclared.iter().filter_map(|name| names.shown(name));
        (count > 0).then(|| Note {
            code: NoteCode::Undeclared,
            source: None,
            text: format!("{count} {are} not checked: {}{more}", places.join("; ")),
            variables: shown.collect(),
        })
    }

    /// Where a file sets some of these variables: `LOG_LEVEL (line 3), lines 4 and 7`, after the name of the file if
    /// there are several files.
    fn places(&self, file: &str, variables: &[&str], names: &Names<'_>) -> Option<String> {
        let (mut named, mut lines) = (Vec::new(), Vec::new());
        let sources = variables.iter().map(|name| (name, &self.sources[*name]));
        let mut sources = sources.filter(|(_, source)| source.file == file).peekable();
        let (_, first) = sources.peek()?;
        let prefix = match self.files.len() {
            1 => String::new(),
            _ => format!("{}: ", first.shown_file()),
        };
        for (name, source) in sources {
            match names.shown(name) {
                Some(name) => named.push(format!("{name} (line {})", source.line)),
                None => lines.push(source.line.to_string()),
            }
        }
        named.extend(in_one(&lines));
        Some(prefix + &named.join(", "))
    }
}

/// `line 3`, `lines 3 and 5`, `lines 3, 5 and 7`.
fn in_one(lines: &[String]) -> Option<String> {
    match lines {
        [] => None,
        [only] => Some(format!("line {only}")),
        [first @ .., last] => Some(format!("lines {} and {last}", first.join(", "))),
    }
}

/// Decides which names may be printed. What looks like a name in a file may be a line of a secret key.
struct Names<'a> {
    /// The manifest's variables, and those that name their files.
    declared: HashSet<String>,
    /// The former names of variables.
    former: HashSet<&'a str>,
    near: NearNames<'a>,
}

impl<'a> Names<'a> {
    fn of(manifest: &'a Manifest) -> Self {
        let variables = &manifest.variables;
        let names = variables.iter().map(|variable| variable.name.as_str());
        let files = variables.iter().filter_map(Variable::file_name);
        let former = variables.iter().flat_map(|each| &each.renamed_from);
        Self {
            declared: names.clone().map(str::to_owned).chain(files).collect(),
            former: former.map(String::as_str).collect(),
            near: NearNames::of(names),
        }
    }

    /// The name, if the manifest has it or one that is nearly the same, or if it looks like one that platforms inject.
    fn shown(&self, name: &str) -> Option<String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_shown = self.declared.contains(name)
            || self.former.contains(name)
            || is_injected(name) && name.len() <= MAX_INJECTED && name.bytes().all(is_plain)
            || self.near.nearest(name).is_some();
        is_shown.then(|| name.to_owned())
    }
}
