//! alembic's configuration: which files it has, and where its revision files are.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use boml::types::TomlValue;
use regex_lite::Regex;

use super::ini::Ini;
use super::{Error, Settings, decoded, read_file, uncertain};

/// The base name by which alembic tells a TOML file from an ini file.
const TOML: &str = "pyproject.toml";

/// How many `[` and `{` a pyproject.toml may have. The parser's recursion is at most as deep, and so many levels fit into
/// the stack of a thread in a release build.
const MAX_BRACKETS: usize = 2000;

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
    let (ini, toml) = files(settings)?;
    let options = Options {
        section: settings.section,
        ini: read_ini(&ini)?,
        toml: read_toml(&toml)?,
    };
    // Who sets this option has compiled files without their sources.
    if options.flag("sourceless")? {
        return uncertain("the configuration sets `sourceless`");
    }
    let search = Search {
        prepended: options.list("prepend_sys_path", &["path_separator"], ", *| +|:")?,
        python_path: settings.python_path,
    };
    let Some(scripts) = options.text("script_location")? else {
        return uncertain("the configuration has no `script_location`");
    };
    let scripts = search.folder(&scripts, "script_location")?;
    let separators = ["path_separator", "version_path_separator"];
    let named = options.list("version_locations", &separators, ", *| +")?;
    let versions = if named.is_empty() {
        vec![existing(scripts.join("versions"), "script_location")?]
    } else {
        let folders = named.iter();
        folders
            .map(|name| search.folder(name, "version_locations"))
            .collect::<Result<_, _>>()?
    };
    Ok(Places {
        scripts,
        versions,
        is_recursive: options.flag("recursive_version_locations")?,
    })
}

/// The ini file and the TOML file, as alembic's `CommandLine._inis_from_config` chooses them.
fn files(settings: &Settings<'_>) -> Result<(PathBuf, PathBuf), Error> {
    let is_toml =
        |name: &OsStr| name.as_bytes().rsplit(|byte| *byte == b'/').next() == Some(TOML.as_bytes());
    let (mut ini, mut toml) = (None, None);
    for name in settings.files {
        let place = if is_toml(name.as_os_str()) {
            &mut toml
        } else {
            &mut ini
        };
        if place.replace(name.clone()).is_some() {
            return uncertain("two configuration files of the same kind are named");
        }
    }
    let variable = settings.variable.filter(|value| !value.is_empty());
    let default = |takes_toml: bool, name: &str| {
        let value = variable.filter(|value| is_toml(value) == takes_toml);
        PathBuf::from(value.unwrap_or(OsStr::new(name)))
    };
    let ini = ini.unwrap_or_else(|| default(false, "alembic.ini"));
    Ok((ini, toml.unwrap_or_else(|| default(true, TOML))))
}

/// The folder of a file, for `%(here)s`.
fn here(file: &Path) -> Option<String> {
    let file = std::path::absolute(file).ok()?;
    Some(file.parent()?.to_str()?.to_owned())
}

fn read_ini(path: &Path) -> Result<Ini, Error> {
    // alembic treats a missing file like an empty one.
    let source = read_file(path, "the ini file")?.unwrap_or_default();
    let text = decoded(&source);
    let ini = text
        .zip(here(path))
        .and_then(|(text, here)| Ini::parse(&text, here));
    ini.ok_or_else(|| Error::Uncertain("the ini file cannot be parsed".to_owned()))
}

/// A value of the table `tool.alembic`.
enum Setting {
    Text(String),
    List(Vec<String>),
    Flag(bool),
    Other,
}

impl Setting {
    fn new(value: &TomlValue<'_>, here: &str) -> Self {
        let text = |value: &TomlValue<'_>| formatted(value.as_string()?, here);
        let setting = match value {
            TomlValue::String(_) => text(value).map(Self::Text),
            TomlValue::Boolean(flag) => Some(Self::Flag(*flag)),
            TomlValue::Array(items) => items
                .iter()
                .map(text)
                .collect::<Option<_>>()
                .map(Self::List),
            _ => None,
        };
        setting.unwrap_or(Self::Other)
    }
}

/// Python's `text % {"here": here}`. Returns `None` if the text has any other reference.
fn formatted(text: &str, here: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut value = parts.next()?.to_owned();
    while let Some(part) = parts.next() {
        if part.is_empty() {
            value.push('%');
            value += parts.next()?;
        } else {
            value += here;
            value += part.strip_prefix("(here)s")?;
        }
    }
    Some(value)
}

fn read_toml(path: &Path) -> Result<HashMap<String, Setting>, Error> {
    let source = read_file(path, TOML)?.unwrap_or_default();
    let refused = || Error::Uncertain(format!("{TOML} cannot be parsed"));
    let text = str::from_utf8(&source).map_err(|_| refused())?;
    if text.matches(['[', '{']).count() > MAX_BRACKETS {
        return Err(refused());
    }
    let parsed = boml::parse(text).map_err(|_| refused())?;
    let Some(tool) = parsed.get("tool") else {
        return Ok(HashMap::new());
    };
    let Some(alembic) = tool.as_table().ok_or_else(refused)?.get("alembic") else {
        return Ok(HashMap::new());
    };
    let here = here(path).ok_or_else(refused)?;
    let options = alembic.as_table().ok_or_else(refused)?.iter();
    Ok(options
        .map(|(key, value)| (key.to_string(), Setting::new(value, &here)))
        .collect())
}

/// The options of both files. Those of the ini file come first.
struct Options<'a> {
    section: &'a str,
    ini: Ini,
    toml: HashMap<String, Setting>,
}

impl Options<'_> {
    /// The value in the ini file.
    fn ini(&self, key: &str) -> Result<Option<String>, Error> {
        if !self.ini.has(self.section, key) {
            return Ok(None);
        }
        self.ini
            .get(self.section, key)
            .ok_or_else(|| unreadable(key))
            .map(Some)
    }

    fn text(&self, key: &str) -> Result<Option<String>, Error> {
        match (self.ini(key)?, self.toml.get(key)) {
            (Some(text), _) => Ok(Some(text)),
            (None, None) => Ok(None),
            (None, Some(Setting::Text(text))) => Ok(Some(text.clone())),
            (None, Some(Setting::List(_) | Setting::Flag(_) | Setting::Other)) => {
                Err(unreadable(key))
            }
        }
    }

    fn flag(&self, key: &str) -> Result<bool, Error> {
        match (self.ini(key)?, self.toml.get(key)) {
            (Some(text), _) => Ok(text == "true"),
            (None, None) => Ok(false),
            (None, Some(Setting::Flag(flag))) => Ok(*flag),
            (None, Some(Setting::Text(_) | Setting::List(_) | Setting::Other)) => {
                Err(unreadable(key))
            }
        }
    }

    /// A list of paths. In the ini file, the first of the options `separators` that is set says what separates them. If
    /// none is, matches of the pattern `legacy` do.
    fn list(&self, key: &str, separators: &[&str], legacy: &str) -> Result<Vec<String>, Error> {
        let text = match (self.ini(key)?, self.toml.get(key)) {
            (Some(text), _) if !text.is_empty() => text,
            (_, None) => return Ok(Vec::new()),
            (_, Some(Setting::List(items))) => return Ok(items.clone()),
            // Python takes a string for a list of characters.
            (_, Some(Setting::Text(text))) => return Ok(text.chars().map(String::from).collect()),
            (_, Some(Setting::Flag(_) | Setting::Other)) => return Err(unreadable(key)),
        };
        for name in separators {
            let separator = match self.ini(name)?.as_deref() {
                None => continue,
                Some("space") => ' ',
                Some("newline") => '\n',
                Some("os" | ":") => ':',
                Some(";") => ';',
                Some(_) => return Err(unreadable(name)),
            };
            let items = text.split(separator).filter(|item| !item.is_empty());
            return Ok(items.map(|item| item.trim().to_owned()).collect());
        }
        let legacy = Regex::new(legacy).expect("the patterns are valid");
        Ok(legacy.split(&text).map(str::to_owned).collect())
    }
}

fn unreadable(key: &str) -> Error {
    Error::Uncertain(format!(
        "the configuration's `{key}` cannot be read for certain"
    ))
}

fn existing(folder: PathBuf, key: &str) -> Result<PathBuf, Error> {
    if folder.is_dir() {
        Ok(folder)
    } else {
        uncertain(format!("a folder of `{key}` does not exist"))
    }
}

/// Where Python looks for packages.
struct Search<'a> {
    prepended: Vec<String>,
    python_path: Option<&'a OsStr>,
}

impl Search<'_> {
    /// The folder that an item of an option names: a path, or `package:path`.
    fn folder(&self, name: &str, key: &str) -> Result<PathBuf, Error> {
        let mut folder = PathBuf::from(name);
        if let Some((package, path)) = name.split_once(':')
            && !name.starts_with('/')
        {
            let Some(found) = self.package(package) else {
                return uncertain(format!("the package in `{key}` is not found for certain"));
            };
            folder = found;
            folder.extend(path.split(':'));
        }
        existing(folder, key)
    }

    /// The folder of a package, if it is certain.
    fn package(&self, name: &str) -> Option<PathBuf> {
        let is_part = |part: &str| {
            let is_letter = |next: char| next.is_ascii_alphanumeric() || next == '_';
            !part.is_empty() && part.chars().all(is_letter)
        };
        // alembic has imported its own package before it looks for another one.
        if !name.split('.').all(is_part) || name.split('.').next() == Some("alembic") {
            return None;
        }
        // The command `alembic` does not search the working directory. `python -m alembic` does so before PYTHONPATH.
        let direct = find(self.entries(&[]), name)?;
        let as_module = find(self.entries(&[""]), name)?;
        (direct.canonicalize().ok()? == as_module.canonicalize().ok()?).then_some(direct)
    }

    fn entries(&self, between: &[&str]) -> Vec<PathBuf> {
        let prepended = self.prepended.iter().map(PathBuf::from);
        let python_path = self.python_path.filter(|value| !value.is_empty());
        let python_path = python_path.map(|value| value.as_bytes().split(|byte| *byte == b':'));
        let python_path = python_path.into_iter().flatten().map(OsStr::from_bytes);
        prepended
            .chain(between.iter().map(PathBuf::from))
            .chain(python_path.map(PathBuf::from))
            .collect()
    }
}

/// The folder of a package that Python finds in the first of these folders that has it.
fn find(mut entries: Vec<PathBuf>, name: &str) -> Option<PathBuf> {
    for part in name.split('.') {
        let found = entries.iter().find_map(|entry| {
            let package = entry.join(part);
            let is_package = package.join("__init__.py").is_file();
            // Python could find a module, a package without `__init__.py`, or an archive.
            let is_other =
                package.exists() || package.with_extension("py").exists() || entry.is_file();
            (is_package || is_other).then(|| is_package.then_some(package))
        });
        entries = vec![found??];
    }
    entries.pop()
}
