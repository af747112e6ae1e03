//! Determines the value of each variable: the environment's, the content of its secret file, or its default. Also
//! collects the strings to mask. `compose` adds the values that are composed of others.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::json;
use crate::environment::Environment;
use crate::manifest::{Template, Variable};
use crate::report::{Code, ValueFinding};
use crate::rule::{Placeholder, Type, placeholder, strip_wrapping};
use crate::url::{Url, passwords, percent_decoded};

/// Reads a file. The second argument is a limit in bytes. Of a larger file it returns one byte more than the limit.
pub type ReadFile = fn(&Path, usize) -> io::Result<Vec<u8>>;

/// The largest secret file and composed value, in bytes. Linux accepts no longer string in an environment
/// (`MAX_ARG_STRLEN`).
pub const MAX_SECRET: usize = 128 * 1024;

/// The shortest line of a secret that is masked by itself, in bytes. Programs print PEM keys line by line.
const MIN_LINE: usize = 6;

/// A variable and its value.
pub struct Resolved<'a> {
    pub variable: &'a Variable,
    /// Whether the variable is for the process that is checked.
    pub is_counted: bool,
    pub value: Value,
    /// The content of the variable's file, its default or its composed value. The service gets it instead of the
    /// environment's value.
    pub replacement: Option<OsString>,
    /// Whether `replacement` is composed of other variables.
    pub is_composed: bool,
    /// The secrets of which the value is composed, as they are written in it.
    pub encoded: Vec<Vec<u8>>,
    /// A former name of the variable, if one is set.
    pub former: Option<&'a str>,
    /// Whether the environment has the variable with an empty text, or only white space.
    pub is_blank: bool,
}

impl<'a> Resolved<'a> {
    /// A variable that is only for other processes. It is not checked, but the service gets it as it is.
    pub fn of_others(variable: &'a Variable) -> Self {
        Self {
            variable,
            is_counted: false,
            value: Value::Missing,
            replacement: None,
            is_composed: false,
            encoded: Vec::new(),
            former: None,
            is_blank: false,
        }
    }

    /// The variable's `value`, if it takes effect because nothing else sets the variable.
    pub fn template(&self) -> Option<&'a Template> {
        let template = self.variable.value.as_ref();
        let is_missing = self.is_counted && matches!(self.value, Value::Missing);
        template.filter(|_| self.is_composed || is_missing)
    }
}

pub enum Value {
    /// Unset, empty or only white space.
    Missing,
    Placeholder(Placeholder),
    /// The value cannot be read, so that no rule can be applied to it.
    Unusable(ValueFinding),
    /// A value, and how it resembles a placeholder.
    Text(String, Option<Placeholder>),
}

impl Value {
    pub fn of(raw: &OsStr, variable: &Variable, listed: &[String]) -> Self {
        let name = &variable.name;
        let Some(text) = raw.to_str() else {
            let fix = format!("set {name} again, as UTF-8");
            return Value::Unusable(ValueFinding::new(Code::NotUtf8, "is not UTF-8 text", fix));
        };
        let (rule, bare) = (&variable.rule, text.trim());
        if bare.is_empty() {
            return Value::Missing;
        }
        let mut listed = listed.iter();
        let password = Url::cut(bare).and_then(|url| url.password);
        let texts = [Some(strip_wrapping(bare)), password].map(|text| text.map(str::to_lowercase));
        let is_listed = listed.any(|each| texts.contains(&Some(each.to_lowercase())))
            && !rule.one_of.iter().any(|admitted| admitted == bare);
        // A secret with the value of its example is a placeholder.
        let is_example = rule.is_secret && variable.example.as_deref() == Some(bare);
        let is_wrong = || rule.findings(text).iter().any(|finding| finding.is_certain);
        // A value that the manifest admits explicitly is meant.
        let is_open = rule.one_of.is_empty() && rule.pattern.is_none();
        let found = match placeholder(text) {
            _ if variable.not_placeholder => None,
            _ if is_example || is_listed => return Value::Placeholder(Placeholder::Example),
            Some(Placeholder::Named) => rule.is_secret.then_some(Placeholder::Named),
            Some(kind) if rule.is_secret => return Value::Placeholder(kind),
            Some(kind @ (Placeholder::Unfilled | Placeholder::Example | Placeholder::Stored))
                if is_wrong() =>
            {
                return Value::Placeholder(kind);
            }
            found @ Some(Placeholder::Unfilled) if is_open => found,
            // A single word after the `#` is a heading.
            found @ Some(Placeholder::Comment) if is_open && bare.matches(' ').count() > 1 => found,
            // The user, the password or the host of a URL.
            found @ Some(Placeholder::Unrendered) if rule.value_type == Type::Url => found,
            // These explain why the value breaks its rule.
            found => found.filter(|_| is_wrong()),
        };
        Value::Text(text.to_owned(), found)
    }
}

/// Whether the check treats this value of a variable as missing or as a placeholder. `listed` are the placeholders that
/// the manifest names.
pub fn is_absent(variable: &Variable, value: &str, listed: &[String]) -> bool {
    let value = Value::of(OsStr::new(value), variable, listed);
    matches!(value, Value::Missing | Value::Placeholder(_))
}

/// Determines the value of a variable. The environment takes precedence over the file, and both over the default.
/// `listed` are the placeholders that the manifest names.
pub fn resolve<'a>(
    variable: &'a Variable,
    environment: &Environment,
    read_file: ReadFile,
    listed: &[String],
) -> Resolved<'a> {
    let name = &variable.name;
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let file = variable.file.as_deref();
    let file = file.and_then(|by| Some((by, set(by)?)));
    let (mut value, mut replacement) = match (set(name), file) {
        (Some(_), Some((by, _))) => {
            let problem = format!("is set, and {by} as well");
            let fix = format!("keep one of {name} and {by}");
            let found = ValueFinding::new(Code::FileAndValue, problem, fix);
            (Value::Unusable(found), None)
        }
        (None, Some((by, file))) => match content(by, Path::new(file), read_file) {
            Ok(content) => (Value::of(&content, variable, listed), Some(content)),
            Err(found) => (Value::Unusable(found), None),
        },
        (Some(own), None) => (Value::of(own, variable, listed), None),
        (None, None) => (Value::Missing, None),
    };
    if let (Value::Missing, Some(default)) = (&value, &variable.default) {
        value = Value::Text(default.clone(), None);
        replacement = Some(default.into());
    }
    let is_missing = matches!(value, Value::Missing);
    let mut former = variable.renamed_from.iter().map(String::as_str);
    Resolved {
        is_counted: true,
        value,
        replacement,
        former: former.find(|name| set(name).is_some()),
        is_blank: is_missing && environment.get(name).is_some(),
        ..Resolved::of_others(variable)
    }
}

/// The effective environment, which the steps and the server get: it has the defaults and the contents of secret files,
/// but not the variables that name these files, and with `unset_empty` no empty variable that is declared.
pub fn effective(
    resolved: &[Resolved<'_>],
    environment: Environment,
    unset_empty: bool,
) -> Environment {
    let (mut set, mut removed) = (Vec::new(), Vec::new());
    for each in resolved {
        let name = each.variable.name.as_str();
        let is_missing = matches!(each.value, Value::Missing);
        if let Some(replacement) = &each.replacement {
            removed.extend(each.variable.file.clone());
            // An empty file sets no value.
            if !(unset_empty && is_missing) {
                set.push((name, replacement.clone()));
            }
        }
        if unset_empty && is_missing && each.is_blank {
            removed.push(name.to_owned());
        }
    }
    environment.with(&set, &removed)
}

/// The content of the file that the variable `by` names, without its trailing line breaks.
///
/// # Errors
/// Returns a finding if the file cannot be read, or if its content cannot be the value of a variable.
fn content(by: &str, file: &Path, read_file: ReadFile) -> Result<OsString, ValueFinding> {
    let text_file = format!("set {by} to a text file that contains only the value");
    let (problem, fix) = match read_file(file, MAX_SECRET) {
        Ok(content) if content.len() > MAX_SECRET => ("is larger than 128 KiB".into(), text_file),
        Ok(content) if content.contains(&0) => ("contains a NUL byte".into(), text_file),
        Ok(mut content) => {
            while content.ends_with(b"\n") {
                content.pop();
                content.pop_if(|last| *last == b'\r');
            }
            return Ok(OsString::from_vec(content));
        }
        Err(error) => match error.kind() {
            ErrorKind::NotFound => (
                "does not exist".into(),
                format!("mount the secret there, or correct {by}"),
            ),
            ErrorKind::IsADirectory => (
                "is a directory".into(),
                format!(
                    "set {by} to the file itself (Docker creates a directory where a mounted file does not exist on the host)"
                ),
            ),
            ErrorKind::PermissionDenied => (
                "this user may not read".into(),
                "give the user that starts the container read permission: change the file's mode or owner".into(),
            ),
            // `read_file` returns this error for a file that is not regular. Its text names the kind of file.
            ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
                (format!("is {error}"), text_file)
            }
            other => (format!("cannot be read: {other}"), text_file),
        },
    };
    let problem = format!("comes from the file that {by} names, which {problem}");
    Err(ValueFinding::new(Code::FileUnreadable, problem, fix))
}

/// The strings to mask in the output of steps: each secret's whole value, its lines of at least `MIN_LINE` bytes, and
/// the passwords in all values, raw and percent-decoded, and secrets as they are written in composed values; and all of
/// these as programs write them in JSON. Values with findings are included, and so are the values of
/// duplicate names, which are not passed on.
pub fn secrets(resolved: &[Resolved<'_>], environment: &Environment) -> Vec<Vec<u8>> {
    let mut secrets = Vec::new();
    for each in resolved {
        secrets.extend(each.encoded.iter().cloned());
        let name = each.variable.name.as_str();
        let own = environment.get(name).into_iter();
        let replacement = each.replacement.as_deref();
        let values = own.chain(environment.duplicates(name)).chain(replacement);
        for value in values.map(OsStr::as_bytes) {
            if each.variable.secret {
                let lines = value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
                let lines = lines.filter(|line| line.len() >= MIN_LINE);
                let whole = [value, value.trim_ascii()];
                secrets.extend(whole.into_iter().chain(lines).map(<[u8]>::to_vec));
            }
            // A password in a URL is masked even if the variable is not declared as a secret.
            let text = str::from_utf8(value).unwrap_or_default().trim();
            // A query can have percent-encoded keys, or contain a percent-encoded connection string.
            let decoded = text.contains('%').then(|| percent_decoded(text));
            let decoded = decoded.and_then(|decoded| String::from_utf8(decoded).ok());
            let raw = passwords(text);
            let known: Vec<Vec<u8>> = raw.iter().map(|each| percent_decoded(each)).collect();
            // There a decoded `@` or `/` ends a password too early. Masking its first letter would hide all of them.
            let is_beginning = |password: &&str| {
                let mut longer = known.iter().filter(|known| known.len() > password.len());
                longer.any(|known| known.starts_with(password.as_bytes()))
            };
            let decoded = decoded.iter().flat_map(|text| passwords(text));
            let decoded = decoded.filter(|password| !is_beginning(password));
            for password in raw.iter().copied().chain(decoded) {
                secrets.extend([password.as_bytes().to_vec(), percent_decoded(password)]);
            }
        }
    }
    // A blank value counts as missing. Masking it would replace every space of the output.
    secrets.retain(|secret| !str::from_utf8(secret).is_ok_and(|text| text.trim().is_empty()));
    let texts = secrets
        .iter()
        .filter_map(|secret| str::from_utf8(secret).ok());
    let in_json: Vec<String> = texts.flat_map(json::forms).collect();
    // Python doubles the backslashes of a text in a traceback or a mapping.
    let parts = secrets
        .iter()
        .map(|secret| secret.split(|&byte| byte == b'\\'));
    let in_python: Vec<_> = parts
        .map(|parts| parts.collect::<Vec<_>>().join(&br"\\"[..]))
        .collect();
    secrets.extend(in_python);
    secrets.extend(in_json.into_iter().map(String::into_bytes));
    secrets.sort();
    secrets.dedup();
    secrets
}
