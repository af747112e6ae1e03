//! `--env-file`: reads env files, and combines their variables with the process's environment.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::check::Sources;
use crate::diagnosis::NearNames;
use crate::dotenv::{self, Dialect};
use crate::environment::Environment;
use crate::manifest::{Manifest, Template};
use crate::os::file;
use crate::platform::{is_injected, is_shell_name};
use crate::report::{Note, NoteCode, Source};
use crate::text::count;

/// The maximum number of undeclared variables that a note lists.
const SHOWN_VARIABLES: usize = 20;

/// The longest injected name that is shown, in bytes.
const MAX_INJECTED: usize = 64;

/// The combined environment, and where the values of the files come from.
#[derive(Default)]
pub struct EnvFiles {
    /// The environment that the files were combined with, and their variables.
    pub environment: Environment,
    /// The file and line of each value that is from a file.
    pub sources: Sources,
    /// The paths of the files, as the user gave them.
    pub paths: Vec<OsString>,
    /// The dialect of all files; `None` if it is detected.
    pub dialect: Option<Dialect>,
    /// In the order of the files and their lines.
    notes: Vec<Note>,
    /// Notes on variables that do not apply although a file sets them.
    unused: Vec<Note>,
}

/// What the environment is used for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Check,
    /// Does not skip the names that platforms inject silently.
    Export,
    /// Everything is passed on to the steps and the server.
    Run,
}

type Values = BTreeMap<String, String>;

/// Reads the files in order, and adds their variables to `own`, where they replace those of the same name. If several
/// files set a name, the last one applies. The dialect is detected from the content of each file if it is `None`. With
/// `keeps_references`, Railway's references, such as `${{Postgres.DATABASE_URL}}`, are kept in every dialect. No reader
/// of env files knows them: some reject them, some replace a part of them.
///
/// # Errors
/// The error of the first file that cannot be read or parsed.
pub fn read(
    files: &[OsString],
    dialect: Option<Dialect>,
    own: Environment,
    keeps_references: bool,
) -> Result<EnvFiles, dotenv::Error> {
    let (mut all, values) = read_each(files, dialect, &own, keeps_references)?;
    let set = values.iter();
    let set = set.map(|(name, value)| (name.as_str(), value.into()));
    all.environment = own.with(&set.collect::<Vec<_>>(), &[]);
    Ok(all)
}

/// Like `read`, but the variables of `own` take precedence, even empty ones, as in compose and in python-dotenv.
///
/// # Errors
/// The error of the first file that cannot be read or parsed.
pub fn read_beneath(
    files: &[OsString],
    dialect: Option<Dialect>,
    own: Environment,
) -> Result<EnvFiles, dotenv::Error> {
    let (mut all, values) = read_each(files, dialect, &own, false)?;
    for (name, value) in &values {
        let text = match own.get(name) {
            None if name.starts_with("STARTUP_GUARD_") => {
                "does not configure the guard, whose settings come from the process's own environment"
            }
            Some(own) if own.is_empty() && !value.is_empty() => {
                "does not apply, because the process's own environment sets it to an empty text; unset it there"
            }
            Some(own) if own != value.as_str() => {
                "does not apply, because the process's own environment sets another value"
            }
            _ => continue,
        };
        let is_shown = is_shell_name(name) && name.len() <= MAX_INJECTED;
        all.unused.push(Note {
            code: NoteCode::Line,
            variables: is_shown.then(|| name.clone()).into_iter().collect(),
            text: text.to_owned(),
            source: all.sources.get(name).map(|(source, _)| source.clone()),
        });
    }
    all.unused
        .sort_by(|one, other| one.source.cmp(&other.source));
    all.sources.retain(|name, _| own.get(name).is_none());
    let values = values.into_iter();
    let values = values.map(|(name, value)| (name.into(), value.into()));
    all.environment = own.extended(values);
    Ok(all)
}

fn read_each(
    files: &[OsString],
    dialect: Option<Dialect>,
    own: &Environment,
    keeps_references: bool,
) -> Result<(EnvFiles, Values), dotenv::Error> {
    let mut all = EnvFiles {
        paths: files.to_vec(),
        dialect,
        ..EnvFiles::default()
    };
    let mut values = Values::new();
    for path in files {
        let name = path.to_string_lossy().into_owned();
        // A reference is looked up in the process's environment, then in earlier files.
        let lookup = |name: &str| {
            let own = own.get(name).and_then(OsStr::to_str);
            own.or_else(|| Some(values.get(name)?.as_str()))
        };
        let mut has_stand_ins = false;
        let file = dotenv::load(&name, dialect, &lookup, |limit| {
            let content = if path == "-" {
                file::read_standard_input(limit)
            } else {
                file::read_input(Path::new(path), limit)
            }?;
            let replaced = Some(&content).filter(|_| keeps_references);
            let replaced = replaced.and_then(|content| with_stand_ins(content));
            has_stand_ins = replaced.is_some();
            Ok(replaced.unwrap_or(content))
        })?;
        for entry in file.entries {
            let (file, line) = (name.clone(), entry.line);
            let origin = (Source { file, line }, entry.finding);
            all.sources.insert(entry.name.clone(), origin);
            let stand_in = if has_stand_ins { STAND_IN } else { REFERENCE };
            values.insert(entry.name, entry.value.replace(stand_in, REFERENCE));
        }
        all.notes.extend(file.notes);
    }
    Ok((all, values))
}

/// The beginning of a reference on Railway.
const REFERENCE: &str = "${{";

/// What stands for that while a file is parsed: a character that no text contains, and that is as long in UTF-8.
const STAND_IN: &str = "\u{fdd0}";

/// The content with the stand-in for the beginning of each reference. A `$` or a backslash before it is an escape, which
/// the dialect decodes. `None` if nothing is to be replaced, or if the content is not UTF-8 or contains the stand-in.
fn with_stand_ins(content: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(content).ok()?;
    let mut parts = text.split(REFERENCE);
    let mut replaced = parts.next()?.to_owned();
    for part in parts {
        let is_escaped = replaced.ends_with(['$', '\\']);
        replaced += if is_escaped { REFERENCE } else { STAND_IN };
        replaced += part;
    }
    let is_usable = !text.contains(STAND_IN) && replaced != text;
    is_usable.then(|| replaced.into_bytes())
}

impl EnvFiles {
    /// The notes for a report.
    pub fn notes(&self, manifest: &Manifest, goal: Use) -> Vec<Note> {
        let names = Names::of(manifest);
        let mut notes = self.notes.clone();
        // A finding is not repeated as a note.
        let is_checked =
            |name: &String| self.environment.text(name).is_some() && names.declared.contains(name);
        notes.retain(|note| {
            let is_repeated =
                note.code == NoteCode::Misread && note.variables.iter().all(is_checked);
            // In a run no other reader reads the file.
            let is_of_others = note.code == NoteCode::Portability && goal == Use::Run;
            !is_repeated && !is_of_others
        });
        for note in &mut notes {
            note.variables.retain(|name| names.may_show(name));
        }
        notes.extend(self.unused.iter().cloned());
        notes.extend(self.undeclared(&names, goal));
        notes
    }

    fn undeclared(&self, names: &Names<'_>, goal: Use) -> Option<Note> {
        let command = match goal {
            Use::Check => "check",
            Use::Export => "export",
            Use::Run => return None,
        };
        let sources = self.sources.iter().filter(|(name, _)| {
            let is_used = is_injected(name) || names.parts.contains(name.as_str());
            !names.declared.contains(*name) && (goal == Use::Export || !is_used)
        });
        let mut undeclared: Vec<_> = sources.map(|(name, (source, _))| (source, name)).collect();
        undeclared.sort();
        // A name that must not be shown is listed by its line only.
        let places = undeclared.iter().map(|(source, name)| {
            let place = format!("{}:{}", source.shown_file(), source.line);
            let shown = names.may_show(name).then(|| format!("{name} ({place})"));
            shown.unwrap_or(place)
        });
        let places: Vec<String> = places.take(SHOWN_VARIABLES).collect();
        let more = match undeclared.len() - places.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = undeclared.iter().map(|(_, name)| *name);
        let shown = shown.filter(|name| names.may_show(name)).cloned();
        (!undeclared.is_empty()).then(|| Note {
            code: NoteCode::Undeclared,
            source: None,
            text: format!(
                "the {command} skips {} that the manifest does not declare: {}{more}",
                count(undeclared.len(), "variable"),
                places.join(", ")
            ),
            variables: shown.collect(),
        })
    }
}

/// Decides which names may be shown. What looks like a name in an env file may be a line of a secret key.
struct Names<'a> {
    /// The names of the manifest's variables, and of those that name their files.
    declared: HashSet<String>,
    /// The former names of variables.
    former: HashSet<&'a str>,
    /// The variables of which declared ones are composed.
    parts: HashSet<&'a str>,
    near: NearNames<'a>,
}

impl<'a> Names<'a> {
    fn of(manifest: &'a Manifest) -> Self {
        let variables = &manifest.variables;
        let names = variables.iter().map(|variable| variable.name.as_str());
        let files = variables.iter().filter_map(|each| each.file.clone());
        let templates = variables.iter().filter_map(|each| each.value.as_ref());
        let parts = templates.flat_map(Template::references);
        let former = variables.iter().flat_map(|each| &each.renamed_from);
        Self {
            declared: names.clone().map(str::to_owned).chain(files).collect(),
            former: former.map(String::as_str).collect(),
            parts: parts.map(|(name, _)| name).collect(),
            near: NearNames::of(names),
        }
    }

    /// Whether a name may be shown: the manifest has it or a similar name, or platforms inject it.
    fn may_show(&self, name: &str) -> bool {
        self.declared.contains(name)
            || self.former.contains(name)
            || self.parts.contains(name)
            || is_injected(name) && name.len() <= MAX_INJECTED && is_shell_name(name)
            || self.near.nearest(name).is_some()
    }
}
