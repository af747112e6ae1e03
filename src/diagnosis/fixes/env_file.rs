//! Outside a platform: lines for an env file, written as its reader takes them.

use super::{Content, Fix, Wanted, names, shell};

/// Who reads the env file that a fix adds to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvFileReader {
    #[default]
    Compose,
    PythonDotenv,
    /// Takes values as they are: docker, and what lists variables.
    Raw,
}

pub fn fix(wanted: &[Wanted], only_file: Option<&str>, reader: EnvFileReader) -> Fix {
    let file = only_file.filter(|name| *name != "-").unwrap_or(".env");
    // The empty line: what is there may end without a line break.
    let mut words = vec!["printf '%s\\n' ''".to_owned()];
    words.extend(wanted.iter().map(|each| word(each, reader)));
    words.push(format!(">> {}", shell::quoted(file)));
    let title = if only_file.is_some() {
        format!("add to {}", file.escape_debug())
    } else if wanted.iter().all(is_plain) {
        format!(
            "write {file}, and name it as env_file in compose, with --env-file for docker run or check"
        )
    } else {
        format!(
            "write {file}, and name it as env_file in compose or with --env-file for check (docker run keeps the quotes)"
        )
    };
    Fix {
        title,
        variables: names(wanted),
        commands: vec![shell::with_ask(shell::command(&words), reader.filter())],
    }
}

/// A line of the file, as a word of the shell.
fn word(wanted: &Wanted, reader: EnvFileReader) -> String {
    match wanted.open_value() {
        None => wanted.word(),
        Some(value) => shell::quoted(&format!("{}={}", wanted.name, reader.written(&value))),
    }
}

/// Whether all readers take the line alike.
fn is_plain(wanted: &Wanted) -> bool {
    match &wanted.content {
        Content::Asked => false,
        Content::Generated(_) => true,
        _ => is_plain_value(&wanted.open_value().unwrap_or_default()),
    }
}

fn is_plain_value(value: &str) -> bool {
    value.trim() == value && !value.contains(['$', '\\', '"', '\'', '#'])
}

impl EnvFileReader {
    /// How a value is written, so that it is read as it is. It has no control characters.
    fn written(self, value: &str) -> String {
        if self == EnvFileReader::Raw || is_plain_value(value) {
            return value.to_owned();
        }
        let mut escaped = String::new();
        for character in value.chars() {
            let is_escaped = matches!(character, '"' | '\\')
                || character == '$' && self == EnvFileReader::Compose;
            escaped.extend(is_escaped.then_some('\\'));
            escaped.push(character);
        }
        if self == EnvFileReader::PythonDotenv {
            // It knows no escape for it: so it is the default of a variable without a name, which cannot be set.
            escaped = escaped.replace("${", "${:-${}");
        }
        format!("\"{escaped}\"")
    }

    /// The same for a value that only the shell will have: what its lines are piped through.
    fn filter(self) -> &'static str {
        match self {
            EnvFileReader::Compose => r#"sed 's/["$\\]/\\&/g; s/^/"/; s/$/"/'"#,
            EnvFileReader::PythonDotenv => {
                r#"sed 's/["\\]/\\&/g; s/[$]{/${:-${}/g; s/^/"/; s/$/"/'"#
            }
            EnvFileReader::Raw => "",
        }
    }
}
