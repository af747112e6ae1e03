//! `check --env-file`: the environment that a service would have from files.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::check::Sources;
use crate::cli;
use crate::diagnosis::{EnvFileReader, NearNames};
use crate::dotenv::{self, Dialect, Remark, RemarkKind};
use crate::environment::Environment;
use crate::manifest::Manifest;
use crate::os::file;
use crate::platform::is_injected;
use crate::report::{Note, NoteCode, Source};

/// So many undeclared variables are told one by one.
const SHOWN_VARIABLES: usize = 20;

/// What the files come to.
#[derive(Default)]
pub struct EnvFiles {
    /// The variables of the files, in the order of the files and their lines.
    entries: Vec<(String, String)>,
    /// Of each name, the entry that counts.
    positions: HashMap<String, usize>,
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
    let own = if arguments.only_file {
        HashMap::new()
    } else {
        texts(environment)
    };
    for path in &arguments.env_files {
        let name = path.to_string_lossy().into_owned();
        let file = {
            // What a reference finds: the process's own, then the files' before it.
            let lookup = |name: &str| own.get(name).copied().or_else(|| all.get(name));
            dotenv::load(&name, dialect, &lookup, |limit| content(path, limit))?
        };
        all.add(name, file);
    }
    Ok(all)
}

/// The variables of an environment that are text.
fn texts(environment: &Environment) -> HashMap<&str, &str> {
    let entries = environment.entries().iter();
    entries
        .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
        .collect()
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
        let position = self.positions.get(name)?;
        Some(&self.entries[*position].1)
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
            self.entries.push((entry.name, entry.value));
        }
        let remarks = file.remarks.into_iter();
        self.remarks
            .extend(remarks.map(|remark| (source(remark.line), remark)));
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
            .map(|(name, &position)| (name.as_str(), self.entries[position].1.clone().into()))
            .collect();
        set.sort();
        base.with(&set, &[])
    }

    /// The first file, as the user named it.
    pub fn first(&self) -> Option<&str> {
        self.files.first().map(String::as_str)
    }

    /// Who reads the files.
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
        let mut seen: HashSet<&str> = HashSet::new();
        let all = self.entries.iter().map(|(name, _)| name.as_str());
        let undeclared: Vec<&str> = all
            .filter(|name| !names.declared.contains(*name) && !is_injected(name))
            .filter(|name| seen.insert(name))
            .collect();
        if undeclared.is_empty() {
            return None;
        }
        let count = undeclared.len();
        let (variables, are) = if count == 1 {
            ("variable is", "it is")
        } else {
            ("variables are", "they are")
        };
        Some(Note {
            code: NoteCode::Undeclared,
            source: None,
            text: format!(
                "{count} {variables} not in the manifest; {are} not checked: {}",
                self.places(&undeclared, names)
            ),
            variables: undeclared
                .into_iter()
                .filter_map(|name| names.shown(name))
                .collect(),
        })
    }

    /// Where undeclared variables were written: `LOG_LEVL (line 3), lines 4 and 7`, after each file's name if
    /// there are several.
    fn places(&self, undeclared: &[&str], names: &Names<'_>) -> String {
        let told = &undeclared[..undeclared.len().min(SHOWN_VARIABLES)];
        let of_file = |file: &String| {
            let sources = told.iter().map(|name| (name, &self.sources[*name]));
            let of_file: Vec<_> = sources.filter(|(_, source)| source.file == *file).collect();
            let (_, first) = of_file.first()?;
            let (mut named, mut lines) = (Vec::new(), Vec::new());
            for (name, source) in &of_file {
                match names.shown(name) {
                    Some(name) => named.push(format!("{name} (line {})", source.line)),
                    None => lines.push(source.line.to_string()),
                }
            }
            named.extend(in_one(&lines));
            let places = named.join(", ");
            Some(if self.files.len() == 1 {
                places
            } else {
                format!("{}: {places}", first.shown_file())
            })
        };
        let places: Vec<String> = self.files.iter().filter_map(of_file).collect();
        let more = match undeclared.len() - told.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        places.join("; ") + &more
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

/// The names that can be shown. What a file has for a name may be a line of somebody's key.
struct Names<'a> {
    /// The manifest's variables, and those that name their files.
    declared: HashSet<String>,
    /// The names that variables had before.
    former: HashSet<&'a str>,
    near: NearNames<'a>,
}

impl<'a> Names<'a> {
    fn of(manifest: &'a Manifest) -> Self {
        let variables = || manifest.variables.iter();
        let names = || variables().map(|variable| variable.name.as_str());
        let files = variables().filter_map(crate::manifest::Variable::file_name);
        let former = variables().flat_map(|variable| &variable.renamed_from);
        Self {
            declared: names().map(str::to_owned).chain(files).collect(),
            former: former.map(String::as_str).collect(),
            near: NearNames::of(names()),
        }
    }

    /// A name, if the manifest has it or one that is nearly the same, or if platforms inject it.
    fn shown(&self, name: &str) -> Option<String> {
        let is_shown = self.declared.contains(name)
            || self.former.contains(name)
            || is_injected(name) && is_plain(name)
            || self.near.nearest(name).is_some();
        is_shown.then(|| name.to_owned())
    }
}

/// Platforms inject no other names.
fn is_plain(name: &str) -> bool {
    name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
