//! alembic's configuration: which files it has, and which revision files.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use boml::Toml;
use boml::types::TomlValue;

use super::ini::{Ini, interpolated};
use super::{Error, Settings, base_name, read_file, uncertain};

/// The base name by which alembic tells a TOML file from an ini file.
const TOML: &str = "pyproject.toml";

/// How many `[` and `{` a pyproject.toml may have. The parser's recursion is at most as deep, and so many levels fit into
/// the stack of a thread in a release build.
const MAX_BRACKETS: usize = 2000;

/// How many files and folders the folders of a history may contain.
const MAX_ENTRIES: usize = 10_000;

/// Where the files of a history are.
pub struct Places {
    /// The folder with `env.py`.
    pub scripts: PathBuf,
    /// The folders with revision files.
    pub versions: Vec<PathBuf>,
    /// Whether the folders of these folders count, too.
    pub is_recursive: bool,
}

/// Reads the configuration.
pub fn read(settings: &Settings<'_>) -> Result<Places, Error> {
    // `ConfigParser` treats these names differently from those of other sections.
    if ["", "DEFAULT"].contains(&settings.section) {
        return uncertain("the section of the ini file has a special name");
    }
    let (ini, toml) = (file(settings, "alembic.ini")?, file(settings, TOML)?);
    // alembic treats a missing file like an empty one.
    let text = read_file(toml, TOML)?.unwrap_or_default();
    let (Some(toml), Some(folder)) = (parse_toml(&text), here(toml)) else {
        return uncertain(format!("{TOML} cannot be parsed"));
    };
    let text = read_file(ini, "the ini file")?.unwrap_or_default();
    let Some(ini) = here(ini).and_then(|here| Ini::parse(&text, here)) else {
        return uncertain("the ini file cannot be parsed");
    };
    let options = Options {
        settings,
        ini,
        toml,
        here: folder,
    };
    // Who sets this option has compiled files without their sources.
    if options.get("sourceless")? == ["true"] {
        return uncertain("the configuration sets `sourceless`");
    }
    let [location] = &*options.get("script_location")? else {
        return uncertain(if settings.files.is_empty() {
            "there is no alembic.ini or pyproject.toml with a `script_location`"
        } else if settings.files.iter().all(|file| file.exists()) {
            "the configuration has no `script_location`"
        } else {
            "the configuration file that is named does not exist"
        });
    };
    let scripts = options.folder(location, "script_location")?;
    let versions = options.get("version_locations")?.into_iter();
    let versions = versions.map(|name| options.folder(&name, "version_locations"));
    let mut versions = versions.collect::<Result<Vec<_>, _>>()?;
    if versions.is_empty() {
        versions.push(existing(scripts.join("versions"), "script_location")?);
    }
    Ok(Places {
        scripts,
        versions,
        is_recursive: options.get("recursive_version_locations")? == ["true"],
    })
}

/// The ini file or the TOML file, as alembic's `CommandLine._inis_from_config` chooses them.
fn file<'a>(settings: &Settings<'a>, default: &'a str) -> Result<&'a Path, Error> {
    let is_wanted = |file: &&Path| file.ends_with(TOML) == (default == TOML);
    let variable = settings.variable.filter(|value| !value.is_empty());
    let variable = variable.map(Path::new).filter(is_wanted);
    let mut named = settings.files.iter().map(PathBuf::as_path);
    let file = named.find(is_wanted).or(variable);
    if named.any(|other| is_wanted(&other)) {
        return uncertain("two configuration files of the same kind are named");
    }
    Ok(file.unwrap_or(Path::new(default)))
}

/// The options of both files.
struct Options<'a> {
    settings: &'a Settings<'a>,
    ini: Ini,
    toml: Toml<'a>,
    /// The folder of the TOML file.
    here: String,
}

impl Options<'_> {
    /// The value of an option: a text, `true` or `false`, or the items of a list. An option that is not set is like an
    /// empty list. The ini file takes precedence.
    fn get(&self, key: &str) -> Result<Vec<String>, Error> {
        let mut option = Some(Vec::new());
        if self.ini.has(self.settings.section, key) {
            option = ini_option(&self.ini, self.settings.section, key);
        }
        // An empty list is like none.
        let tool = self.toml.get_table("tool").ok();
        let alembic = tool.and_then(|tool| tool.get_table("alembic").ok());
        if option.as_ref().is_some_and(Vec::is_empty)
            && let Some(value) = alembic.and_then(|alembic| alembic.get(key))
        {
            option = toml_option(key, value, &self.here);
        }
        let reason = format!("the configuration's `{key}` cannot be read for certain");
        option.map_or_else(|| uncertain(reason), Ok)
    }

    /// The folder that an item of an option names: a path, or `package:path`.
    fn folder(&self, name: &str, key: &str) -> Result<PathBuf, Error> {
        let mut folder = PathBuf::from(name);
        if let Some((package, path)) = name.split_once(':')
            && !name.starts_with('/')
        {
            let python_path = self.settings.python_path;
            let python_path = python_path.filter(|value| !value.is_empty());
            let python_path = python_path.map(|value| value.as_bytes().split(|byte| *byte == b':'));
            let python_path = python_path.into_iter().flatten().map(OsStr::from_bytes);
            let prepended = self.get("prepend_sys_path")?;
            let entries = prepended.iter().map(OsStr::new).chain(python_path);
            let entries = entries.map(PathBuf::from).collect();
            let Some(found) = package_folder(package, entries) else {
                return uncertain(format!("the package in `{key}` is not found for certain"));
            };
            folder = found;
            folder.extend(path.split(':'));
        }
        existing(folder, key)
    }
}

/// Parses the TOML file. Returns `None` if that fails, or if `tool` or `tool.alembic` is not a table.
fn parse_toml(text: &str) -> Option<Toml<'_>> {
    if text.matches(['[', '{']).count() > MAX_BRACKETS {
        return None;
    }
    let toml = boml::parse(text).ok()?;
    if let Some(tool) = toml.get("tool")
        && let Some(alembic) = tool.as_table()?.get("alembic")
    {
        alembic.as_table()?;
    }
    Some(toml)
}

/// The folder of a file, for `%(here)s`.
fn here(file: &Path) -> Option<String> {
    let file = std::path::absolute(file).ok()?;
    Some(file.parent()?.to_str()?.to_owned())
}

fn ini_option(ini: &Ini, section: &str, key: &str) -> Option<Vec<String>> {
    let text = ini.get(section, key)?;
    let separators: &[&str] = match key {
        "script_location" => return Some(vec![text]),
        "version_locations" => &["path_separator", "version_path_separator"],
        "prepend_sys_path" => &["path_separator"],
        _ => return Some(vec![(text == "true").to_string()]),
    };
    let named = separators.iter().find(|name| ini.has(section, name));
    let separator = match named.map(|name| ini.get(section, name)) {
        // alembic splits at several characters, which depend on the option.
        None if text.contains([' ', ',', ':', '\n']) => return None,
        None => '\n',
        Some(named) => match named?.as_str() {
            "newline" => '\n',
            "space" => ' ',
            "os" | ":" => ':',
            ";" => ';',
            _ => return None,
        },
    };
    let items = text.split(separator).filter(|item| !item.is_empty());
    Some(items.map(|item| item.trim().to_owned()).collect())
}

fn toml_option(key: &str, value: &TomlValue<'_>, here: &str) -> Option<Vec<String>> {
    let lookup = |name: &str| (name == "here").then(|| here.to_owned());
    let text = |value: &TomlValue<'_>| interpolated(value.as_string()?, &lookup);
    match (key, value) {
        ("script_location", value) => Some(vec![text(value)?]),
        ("version_locations" | "prepend_sys_path", TomlValue::Array(items)) => {
            items.iter().map(text).collect()
        }
        ("sourceless" | "recursive_version_locations", TomlValue::Boolean(flag)) => {
            Some(vec![flag.to_string()])
        }
        _ => None,
    }
}

fn existing(folder: PathBuf, key: &str) -> Result<PathBuf, Error> {
    if folder.is_dir() {
        Ok(folder)
    } else {
        uncertain(format!("a folder of `{key}` does not exist"))
    }
}

/// The folder of the package that Python finds in the first of these folders that has it, if it is certain.
fn package_folder(name: &str, mut entries: Vec<PathBuf>) -> Option<PathBuf> {
    // alembic has imported its own package before it looks for another one.
    if name.split('.').next() == Some("alembic") {
        return None;
    }
    // Python could find a module, a package without `__init__.py`, or an archive.
    let has = |entry: &Path, part: &str| {
        let package = entry.join(part);
        package.exists() || package.with_extension("py").exists() || entry.is_file()
    };
    for (depth, part) in name.split('.').enumerate() {
        let is_letter = |next: char| next.is_ascii_alphanumeric() || next == '_';
        if part.is_empty() || !part.chars().all(is_letter) {
            return None;
        }
        let package = entries.iter().find(|entry| has(entry, part))?.join(part);
        if !package.join("__init__.py").is_file() {
            return None;
        }
        // `python -m alembic` also searches the working directory, before PYTHONPATH.
        let other = Path::new(part);
        if depth == 0
            && has(Path::new(""), part)
            && other.canonicalize().ok() != package.canonicalize().ok()
        {
            return None;
        }
        entries = vec![package];
    }
    entries.pop()
}

/// The revision files in the order in which alembic loads them, as its `Script._list_py_dir` and `Script._from_path`
/// choose them.
pub fn revision_files(places: &Places) -> Result<Vec<PathBuf>, Error> {
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    let mut count = 0;
    let mut open: Vec<PathBuf> = places.versions.iter().rev().cloned().collect();
    while let Some(folder) = open.pop() {
        let mut entries: Vec<_> = fs::read_dir(&folder)
            .and_then(|entries| entries.take(MAX_ENTRIES + 1).collect())
            .or_else(|_| uncertain("a folder of the revision files cannot be listed"))?;
        count += entries.len();
        if count > MAX_ENTRIES {
            return uncertain(format!("there are more than {MAX_ENTRIES} files"));
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        // Symbolic links to folders are not followed.
        let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let (folders, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_folder);
        let name = folder.file_name().unwrap_or_default();
        // alembic ignores the files of such a folder, but not of those in it.
        let is_cache = name.as_bytes().ends_with(b"__pycache__");
        for file in files.iter().filter(|_| !is_cache) {
            // What counts is the name after all symbolic links.
            if let Some(real) = revision_file(&file.path())?
                && seen.insert(real.clone())
            {
                found.push(real);
            }
        }
        if places.is_recursive || is_cache {
            open.extend(folders.iter().rev().map(fs::DirEntry::path));
        }
    }
    Ok(found)
}

/// The file after all symbolic links, if it is a revision file by its name.
fn revision_file(path: &Path) -> Result<Option<PathBuf>, Error> {
    let real = path.canonicalize().ok();
    // A link to nothing, such as an editor's lock, matters only if it looks like a revision file.
    let target = real.clone().or_else(|| fs::read_link(path).ok());
    let name = target.as_deref().and_then(Path::file_name);
    let name = name.map_or(&[][..], OsStr::as_bytes);
    if name.contains(&b'\n') {
        return uncertain("the name of a revision file has a line break");
    }
    if !name.ends_with(b".py") || name.starts_with(b".#") || name.starts_with(b"__init__") {
        return Ok(None);
    }
    match real {
        Some(real) => Ok(Some(real)),
        None => uncertain(format!("{} cannot be read", base_name(path))),
    }
}
