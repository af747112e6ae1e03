//! The value of each variable: its own, the content of its file, or its default; and the texts in it to mask.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::environment::Environment;
use crate::manifest::Variable;
use crate::report::{Code, ValueFinding};
use crate::rule::is_placeholder;
use crate::url::{passwords, percent_decoded};

/// Reads a file. The second argument is a limit in bytes: of a larger file it reads one byte more than that.
pub type ReadFile = fn(&Path, usize) -> io::Result<Vec<u8>>;

/// The largest secret file, in bytes; Linux admits no longer string in an environment (`MAX_ARG_STRLEN`).
const MAX_SECRET: usize = 128 * 1024;

/// The shortest line of a secret that is masked on its own, in bytes. A PEM key is printed line by line.
const MIN_LINE: usize = 6;

/// A variable and its value.
pub struct Resolved<'a> {
    pub variable: &'a Variable,
    pub value: Value,
    /// The content of the variable's file, or its default: what the service gets in place of what is set.
    pub replacement: Option<OsString>,
    /// A former name of the variable that is set.
    pub former: Option<&'a str>,
}

pub enum Value {
    /// Unset, empty or only white space.
    Missing,
    Placeholder,
    /// There is no text that a rule could be applied to.
    Unusable(ValueFinding),
    Text(String),
}

impl Value {
    fn of(raw: &OsStr, variable: &Variable) -> Self {
        let name = &variable.name;
        let Some(text) = raw.to_str() else {
            let fix = format!("set {name} again, as UTF-8");
            return Value::Unusable(ValueFinding::new(Code::NotUtf8, "is not UTF-8 text", fix));
        };
        // The example of a secret is no secret.
        let is_example = variable.secret && variable.example.as_deref() == Some(text.trim());
        if text.trim().is_empty() {
            Value::Missing
        } else if is_example || is_placeholder(text) {
            Value::Placeholder
        } else {
            Value::Text(text.to_owned())
        }
    }
}

/// Determines the value of a variable. The environment's own comes before the file's, and that before the
/// default.
pub fn resolve<'a>(
    variable: &'a Variable,
    environment: &Environment,
    read_file: ReadFile,
) -> Resolved<'a> {
    let name = &variable.name;
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let file = variable.file_name().and_then(|name| set(&name));
    let (mut value, mut replacement) = match (set(name), file) {
        (Some(_), Some(_)) => {
            let problem = format!("is set, and {name}_FILE as well");
            let fix = format!("keep one of {name} and {name}_FILE");
            let found = ValueFinding::new(Code::FileAndValue, problem, fix);
            (Value::Unusable(found), None)
        }
        (None, Some(file)) => match content(name, Path::new(file), read_file) {
            Ok(content) => (Value::of(&content, variable), Some(content)),
            Err(found) => (Value::Unusable(found), None),
        },
        (Some(own), None) => (Value::of(own, variable), None),
        (None, None) => (Value::Missing, None),
    };
    if let (Value::Missing, Some(default)) = (&value, &variable.default) {
        value = Value::Text(default.clone());
        replacement = Some(default.into());
    }
    let mut former = variable.renamed_from.iter().map(String::as_str);
    Resolved {
        variable,
        value,
        replacement,
        former: former.find(|name| set(name).is_some()),
    }
}

/// The environment for the steps and the server: with defaults and the contents of secret files, without the
/// variables that name these files.
pub fn effective(resolved: &[Resolved<'_>], environment: Environment) -> Environment {
    let (mut set, mut removed) = (Vec::new(), Vec::new());
    for each in resolved {
        if let Some(replacement) = &each.replacement {
            set.push((each.variable.name.as_str(), replacement.clone()));
            removed.extend(each.variable.file_name());
        }
    }
    environment.with(&set, &removed)
}

/// The content of a secret's file without its trailing newlines.
///
/// # Errors
/// The finding if it cannot be read, or cannot be a variable's value.
fn content(name: &str, file: &Path, read_file: ReadFile) -> Result<OsString, ValueFinding> {
    let text_file = format!("name a text file with the value alone in {name}_FILE");
    let (problem, fix) = match read_file(file, MAX_SECRET) {
        Ok(content) if content.len() > MAX_SECRET => ("is larger than 128 KiB".into(), text_file),
        Ok(content) if content.contains(&0) => ("has a NUL byte in it".into(), text_file),
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
                format!("mount the secret there, or correct {name}_FILE"),
            ),
            ErrorKind::IsADirectory => (
                "is a directory".into(),
                format!(
                    "name the file itself in {name}_FILE (Docker makes a directory of a mounted file that the host does not have)"
                ),
            ),
            ErrorKind::PermissionDenied => (
                "this user may not read".into(),
                "let the user that starts the container read it: its mode, or the uid of the secret".into(),
            ),
            // The error of `read_file` itself says what the file is instead of a regular one.
            ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
                (format!("is {error}"), text_file)
            }
            other => (format!("cannot be read: {other}"), text_file),
        },
    };
    let problem = format!("comes from the file that {name}_FILE names, which {problem}");
    Err(ValueFinding::new(Code::FileUnreadable, problem, fix))
}

/// The texts to mask in the output of steps: each secret's whole value, each of its longer lines, and the passwords
/// in it, raw and percent-decoded. That includes values with findings, and values that are not passed on because the
/// name is in the environment twice.
pub fn secrets(resolved: &[Resolved<'_>], environment: &Environment) -> Vec<Vec<u8>> {
    let mut secrets = Vec::new();
    for each in resolved {
        let name = each.variable.name.as_str();
        let own = environment.get(name);
        let duplicates = environment.duplicates(name);
        let values = own
            .into_iter()
            .chain(duplicates)
            .chain(each.replacement.as_deref());
        for value in values.map(OsStr::as_bytes) {
            if each.variable.secret {
                let lines = value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
                let lines = lines.filter(|line| line.len() >= MIN_LINE);
                let whole = [value, value.trim_ascii()];
                secrets.extend(whole.into_iter().chain(lines).map(<[u8]>::to_vec));
            }
            // A password in a URL is a secret even if the manifest does not say so of the variable.
            let text = str::from_utf8(value).unwrap_or_default().trim();
            // A query can have encoded keys, or contain an encoded connection string.
            let decoded = String::from_utf8(percent_decoded(text)).unwrap_or_default();
            for password in [text, &decoded].into_iter().flat_map(passwords) {
                secrets.extend([password.as_bytes().to_vec(), percent_decoded(password)]);
            }
        }
    }
    // A blank value counts as missing. Masked, every space of the output would be replaced.
    secrets.retain(|secret| !str::from_utf8(secret).is_ok_and(|text| text.trim().is_empty()));
    secrets.sort();
    secrets.dedup();
    secrets
}
