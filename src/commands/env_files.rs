//! `check --env-file`: reads env files, and combines their variables with the process's environment.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::path::Path;

use crate::check::Sources;
use crate::cli;
use crate::diagnosis::NearNames;
use crate::dotenv::{self, Remark};
use crate::environment::Environment;
use crate::manifest::{Manifest, Variable};
use crate::os::file;
use crate::platform::is_injected;
use crate::report::{Note, NoteCode, Source};
use crate::text::count;

/// The maximum number of undeclared variables that a note lists.
const SHOWN_VARIABLES: usize = 20;

/// The longest injected name that is shown, in bytes.
const MAX_INJECTED: usize = 64;

/// The combined environment, and where the values of the files come from.
#[derive(Default)]
pub struct EnvFiles {
    /// The process's environment (empty with `--only-file`), with the variables of the files replacing those of the
    /// same name.
    pub environment: Environment,
    /// The file and line of each value.
    pub sources: Sources,
    /// In the order of the files and their lines.
    remarks: Vec<(Source, Remark)>,
}

/// Reads the files in order. If several files set a name, the last one applies.
///
/// # Errors
/// The error of the first file that cannot be read or parsed.
pub fn read(arguments: &cli::Check, environment: Environment) -> Result<EnvFiles, dotenv::Error> {
    let own = Some(environment).filter(|_| !arguments.only_file);
    let own = own.unwrap_or_default();
    let mut all = EnvFiles::default();
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for path in &arguments.env_files {
        let name = path.to_string_lossy().into_owned();
        // A reference is looked up in the process's environment, then in earlier files.
        let lookup = |name: &str| {
            let own = own.get(name).and_then(OsStr::to_str);
            own.or_else(|| Some(values.get(name)?.as_str()))
        };
        let file = dotenv::load(&name, arguments.dialect, &lookup, |limit| {
            if path == "-" {
                file::read_standard_input(limit)
            } else {
                file::read_input(Path::new(path), limit)
            }
        })?;
        let source = |line| Source {
            file: name.clone(),
            line,
        };
        for entry in file.entries {
            let origin = (source(entry.line), entry.finding);
            all.sources.insert(entry.name.clone(), origin);
            values.insert(entry.name, entry.value);
        }
        let remarks = file.remarks.into_iter();
        all.remarks
            .extend(remarks.map(|remark| (source(remark.line), remark)));
    }
    let set = values.iter();
    let set = set.map(|(name, value)| (name.as_str(), value.into()));
    all.environment = own.with(&set.collect::<Vec<_>>(), &[]);
    Ok(all)
}

impl EnvFiles {
    /// The notes for a report.
    pub fn notes(&self, manifest: &Manifest) -> Vec<Note> {
        let names = Names::of(manifest);
        let undeclared = self.undeclared(&names);
        // A finding is not repeated as a note.
        let is_found = |remark: &Remark| {
            let is_checked = self.environment.text(&remark.name).is_some();
            remark.code == NoteCode::Misread && is_checked && names.declared.contains(&remark.name)
        };
        let remarks = self.remarks.iter().filter(|(_, remark)| !is_found(remark));
        let notes = remarks.map(|(source, remark)| Note {
            code: remark.code,
            source: Some(source.clone()),
            variables: names.shown(&remark.name).into_iter().collect(),
            text: remark.text.clone(),
        });
        notes.chain(undeclared).collect()
    }

    fn undeclared(&self, names: &Names<'_>) -> Option<Note> {
        let is_declared = |name: &String| names.declared.contains(name) || is_injected(name);
        let sources = self.sources.iter().filter(|(name, _)| !is_declared(name));
        let mut undeclared: Vec<_> = sources.map(|(name, (source, _))| (source, name)).collect();
        undeclared.sort();
        // A name that must not be shown is listed by its line only.
        let places = undeclared.iter().map(|(source, name)| {
            let place = format!("{}:{}", source.shown_file(), source.line);
            let name = names.shown(name);
            name.map_or(place.clone(), |name| format!("{name} ({place})"))
        });
        let places: Vec<String> = places.take(SHOWN_VARIABLES).collect();
        let more = match undeclared.len() - places.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = undeclared.iter().filter_map(|(_, name)| names.shown(name));
        (!undeclared.is_empty()).then(|| Note {
            code: NoteCode::Undeclared,
            source: None,
            text: format!(
                "the check skips {} that the manifest does not declare: {}{more}",
                count(undeclared.len(), "variable"),
                places.join(", ")
            ),
            variables: shown.collect(),
        })
    }
}

/// Decides which names may be shown. What looks like a name in an env file may be a line of a secret key.
struct Names<'a> {
    /// The names of the manifest's variables, and their `NAME_FILE` names.
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

    /// The name, if it may be shown: the manifest has it or a similar name, or platforms inject it.
    fn shown(&self, name: &str) -> Option<String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_shown = self.declared.contains(name)
            || self.former.contains(name)
            || is_injected(name) && name.len() <= MAX_INJECTED && name.bytes().all(is_plain)
            || self.near.nearest(name).is_some();
        is_shown.then(|| name.to_owned())
    }
}
