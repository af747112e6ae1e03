//! Writes values as a file for docker, compose or Kubernetes.

use super::values::Item;
use crate::dotenv::{self, Dialect};
use crate::text::names;

/// The largest Secret or `ConfigMap` that Kubernetes stores, in bytes.
const MAX_OBJECT: usize = 1024 * 1024;

/// The longest name of a Kubernetes object that can be a DNS label, in characters.
const MAX_LABEL: usize = 63;

/// An env file for `docker run --env-file`, which takes each value as it is written.
///
/// # Errors
/// A sentence on the values that cannot be written.
pub fn docker(items: &[Item]) -> Result<String, String> {
    let written = |item: &Item| {
        let line = line(item, &item.value);
        Some(line).filter(|line| is_read_as(line, item, Dialect::Docker))
    };
    let reason = "docker reads one line of at most 64 KiB per variable, without quotes or escapes; if the value has line breaks, mount it as a file and set the variable's NAME_FILE";
    env_file(items, reason, written)
}

/// An env file for docker compose v2. Each value has the simplest form that python-dotenv reads alike, which
/// docker-compose 1 uses; if there is none, the simplest form for compose v2.
///
/// # Errors
/// A sentence on the values that cannot be written.
pub fn compose(items: &[Item]) -> Result<String, String> {
    let written = |item: &Item| {
        let forms = [
            item.value.clone(),
            format!("'{}'", item.value.replace('\'', r"\'")),
            in_double_quotes(&item.value),
        ];
        let lines = forms.map(|form| line(item, &form));
        let (both, compose) = (
            [Dialect::Compose, Dialect::PythonDotenv],
            [Dialect::Compose],
        );
        let reads = |readers: &[Dialect]| {
            // Both readers convert line endings before they parse a file.
            let mut lines = lines.iter().filter(|line| !line.contains('\r'));
            let is_read = |line: &&String| readers.iter().all(|&each| is_read_as(line, item, each));
            lines.find(is_read).cloned()
        };
        reads(&both).or_else(|| reads(&compose))
    };
    let reason = "compose admits only letters, digits and `_.-[]` in a name, and 128 KiB for it and its value";
    env_file(items, reason, written)
}

fn env_file(
    items: &[Item],
    reason: &str,
    written: impl Fn(&Item) -> Option<String>,
) -> Result<String, String> {
    let (mut text, mut unwritable) = (String::new(), Vec::new());
    for item in items {
        match written(item) {
            Some(line) => text += &line,
            None => unwritable.push(item.name.as_str()),
        }
    }
    if unwritable.is_empty() {
        return Ok(text);
    }
    let names = names(&unwritable);
    Err(format!("an env file cannot hold {names}: {reason}"))
}

fn line(item: &Item, written: &str) -> String {
    format!("{}={written}\n", item.name)
}

/// Whether a reader of env files reads exactly this value from a line.
fn is_read_as(line: &str, item: &Item, reader: Dialect) -> bool {
    let content = |_| Ok(line.as_bytes().to_vec());
    let read = dotenv::load("", Some(reader), &|_| None, content);
    let entries = read.unwrap_or_default().entries;
    matches!(&*entries, [entry] if entry.name == item.name && entry.value == item.value)
}

/// The value in double quotes, with the escapes of docker compose v2.
fn in_double_quotes(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' | '$' => text.extend(['\\', character]),
            '\r' => text += r"\r",
            other => text.push(other),
        }
    }
    text + "\""
}

/// A Secret and a `ConfigMap`, without those that would be empty. The values are strings in double quotes, so that no
/// reader of YAML takes them for a number, a boolean or null.
///
/// # Errors
/// A sentence on the names that `envFrom` does not pass on, or on values that are too large.
pub fn kubernetes(service: Option<&str>, items: &[Item]) -> Result<String, String> {
    let unusable = items.iter().map(|item| item.name.as_str());
    let unusable: Vec<&str> = unusable.filter(|name| !is_key(name)).collect();
    if !unusable.is_empty() {
        let names = names(&unusable);
        return Err(format!(
            "Kubernetes cannot pass on {names}: a name must consist of letters, digits and `_.-`, and must not begin with a digit or `..`"
        ));
    }
    let name = format!("{}-env", label(service.unwrap_or_default()));
    let (secrets, open): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|item| item.is_secret);
    let kinds = [
        ("ConfigMap", "configMapRef", "data", open),
        ("Secret", "secretRef", "type: Opaque\nstringData", secrets),
    ];
    let mut head = String::from("# In the specification of the container:\n#   envFrom:\n");
    let mut documents = String::new();
    for (kind, reference, data, items) in kinds {
        if items.is_empty() {
            continue;
        }
        let size: usize = items
            .iter()
            .map(|item| item.name.len() + item.value.len())
            .sum();
        if size > MAX_OBJECT {
            return Err(format!(
                "the values for the {kind} are larger than 1 MiB together, which Kubernetes refuses"
            ));
        }
        head += &format!("#     - {reference}: {{name: {name}}}\n");
        documents +=
            &format!("---\napiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n{data}:\n");
        for item in items {
            documents += &format!("  {}: {}\n", yaml(&item.name), yaml(&item.value));
        }
    }
    Ok(head + &documents)
}

/// Whether a name can be a key of a Secret, and the name of a variable that `envFrom` passes on in every version of
/// Kubernetes.
fn is_key(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let is_digit = |first: char| first.is_ascii_digit();
    name.bytes().all(is_part)
        && name.len() <= 253
        && !name.starts_with(is_digit)
        && name != "."
        && !name.starts_with("..")
}

/// The service's name as a DNS label that is short enough for a suffix; `app` if nothing of it is left.
fn label(service: &str) -> String {
    let plain = |other: char| match other.to_ascii_lowercase() {
        other if other.is_ascii_alphanumeric() => other,
        _ => '-',
    };
    let label: String = service.chars().map(plain).take(MAX_LABEL - 4).collect();
    match label.trim_matches('-') {
        "" => "app".to_owned(),
        label => label.to_owned(),
    }
}

/// The text as a YAML string in double quotes. Characters that YAML forbids or folds are escaped, and so are all that are
/// not ASCII, except letters and digits.
fn yaml(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted += r"\n",
            ' '..='~' => quoted.push(character),
            _ if character.is_alphanumeric() => quoted.push(character),
            _ => quoted += &format!("\\U{:08X}", u32::from(character)),
        }
    }
    quoted + "\""
}
