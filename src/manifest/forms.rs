//! The kinds of mappings, and the advice on a value of another shape, such as a command that is one text.

use super::node::{Node, Value};
use super::template::is_name;
use super::words::{COMMAND, ROOT, SERVER, STEP, TYPES, VARIABLE, WAIT, Words, advice_on};
use crate::rule::Type;

/// The advice on a text such as `level:optional`.
const COLON: &str = "; a key needs a space behind its colon";

/// The maximum number of words of a command that are shown.
const MAX_WORDS: usize = 20;

/// The maximum length of a word that is shown, in bytes.
const MAX_WORD: usize = 64;

/// A kind of mapping, or of what is read as one.
#[derive(Clone, Copy)]
pub struct Form {
    /// The fault of any other value.
    pub expected: &'static str,
    /// What is expected where a list of such mappings must be.
    pub list: &'static str,
    /// Keys of other tools in such a mapping.
    pub words: &'static [Words],
    /// What to write in the place of a value that is not a mapping. May be empty.
    pub advice: fn(&Node<'_>) -> String,
}

impl From<&'static str> for Form {
    /// A mapping for which other tools have no words.
    fn from(expected: &'static str) -> Self {
        Self {
            expected,
            list: "a list",
            words: &[],
            advice: |_| String::new(),
        }
    }
}

pub fn root() -> Form {
    Form {
        words: &[ROOT],
        ..Form::from("expected a mapping")
    }
}

pub fn variables() -> Form {
    Form {
        advice: |node| match node.text.as_deref() {
            Some(text) if text.contains(':') => COLON.to_owned(),
            Some(_) => String::new(),
            None => names(node),
        },
        ..Form::from("expected a mapping of variable names to their rules")
    }
}

pub fn variable() -> Form {
    Form {
        words: &[VARIABLE],
        advice: rule,
        ..Form::from("expected a mapping such as {level: required, type: url}")
    }
}

pub fn step() -> Form {
    Form {
        list: "a list of steps such as {name: migrate, command: [alembic, upgrade, head]}",
        words: &[STEP, COMMAND],
        advice: |node| match (&node.value, &node.text) {
            (Value::Text, Some(text)) => {
                let program = text.split_whitespace().next().unwrap_or_default();
                let name = program.rsplit('/').next().filter(|name| is_plain(name));
                let name = name.unwrap_or("migrate");
                format!("; write {{name: {name}, command: {}}}", command(text))
            }
            _ => String::new(),
        },
        ..Form::from("expected a mapping with name and command")
    }
}

pub fn server() -> Form {
    Form {
        words: &[SERVER, COMMAND],
        advice: |node| match (&node.value, &node.text) {
            (Value::List(_), _) => "; write the list as `command: […]` below it".to_owned(),
            (Value::Text, Some(text)) => format!("; write {{command: {}}}", command(text)),
            _ => String::new(),
        },
        ..Form::from("expected a mapping such as {command: [uvicorn, \"app:app\"]}")
    }
}

pub fn wait() -> Form {
    Form {
        list: "a list of entries such as {postgres: DATABASE_URL} or {tcp: \"db:5432\"}",
        words: &[WAIT],
        advice: |node| {
            let text = node.text.as_deref().unwrap_or_default();
            let (host, port) = text.split_once(':').unwrap_or_default();
            let is_port = (1..=5).contains(&port.len()) && port.parse::<u16>().is_ok();
            if is_port && is_plain(host) && !host.contains('/') {
                format!("; write {{tcp: \"{text}\"}}")
            } else if is_variable(text) {
                format!("; write {{postgres: {text}}}, or tcp or http in the place of postgres")
            } else if text.starts_with("http") {
                "; write {http: URL}".to_owned()
            } else {
                String::new()
            }
        },
        ..Form::from("expected a mapping such as {postgres: DATABASE_URL, timeout: 60s}")
    }
}

/// Whether a text is the name of a variable, and hardly a value.
fn is_variable(text: &str) -> bool {
    is_name(text)
        && text.len() <= MAX_WORD
        && !text.contains(|each: char| each.is_ascii_lowercase())
}

/// The advice on a list of variables: the names as keys.
fn names(node: &Node<'_>) -> String {
    let names = node.value.items().iter().map_while(|item| {
        let mut entries = item.value.entries().iter();
        let first = entries.as_slice().first();
        let named = entries.find(|(key, _)| ["name", "key"].contains(&&**key));
        let name = match (named, first) {
            (Some((_, value)), _) => value.text.as_deref(),
            (None, Some((key, _))) => Some(&**key),
            (None, None) => item.text.as_deref(),
        };
        let name = name.filter(|name| is_variable(name))?;
        Some(format!("{name}: {{}}"))
    });
    let names: Vec<String> = names.take(3).collect();
    if names.is_empty() {
        return "; write each name as a key, such as `DATABASE_URL: {}`".to_owned();
    }
    let is_whole = names.len() == node.value.items().len();
    let more = if is_whole { "" } else { ", …" };
    format!("; write each name as a key: {{{}{more}}}", names.join(", "))
}

/// The advice on a variable that is not a mapping. Its text may be a secret and is not shown.
fn rule(node: &Node<'_>) -> String {
    const KEYS: [&str; 5] = ["level", "type", "secret", "default", "list"];
    let text = node.text.as_deref().unwrap_or_default();
    let is_type = |(name, _): &(&str, Type)| *name == text;
    if Type::NAMES.iter().any(is_type) {
        return format!("; write {{type: {text}}}");
    }
    if ["critical", "required", "optional"].contains(&text) {
        return format!("; write {{level: {text}}}");
    }
    if let Some(advice) = advice_on(text, &[TYPES]) {
        return format!("; {advice}");
    }
    let key = text.split_once(':').unwrap_or_default().0;
    let advice = match &node.value {
        Value::List(_) => "; write {one_of: [a, b]} for the allowed values",
        _ if KEYS.contains(&key) => COLON,
        _ => "; set a value in the environment, or write {default: …}",
    };
    advice.to_owned()
}

/// A command that is written as one text, as a list in the syntax of YAML. What may need a shell or may be a secret is
/// left out.
pub fn command(text: &str) -> String {
    let is_usual = |each: char| each.is_ascii_alphanumeric() || "_./:=,@+-${}".contains(each);
    // The beginning is enough: a longer text is not shown.
    let words: Vec<&str> = text.split_whitespace().take(MAX_WORDS + 1).collect();
    let is_whole = |word: &&str| {
        let count = |part: &str| word.matches(part).count();
        word.chars().all(is_usual)
            && count("$") == count("${")
            && count("{") == count("}")
            && count("{") == count("$")
    };
    let is_program = |first: &&str| first.len() <= MAX_WORD && !first.contains('=');
    if !words.first().is_some_and(is_program) || !words.iter().all(is_whole) {
        return "[sh, -c, '…']".to_owned();
    }
    let quoted = |word: &&str| match *word {
        word if is_plain(word) && !["-", "null"].contains(&word) => word.to_owned(),
        word => format!("\"{word}\""),
    };
    if words.len() > MAX_WORDS || words.iter().any(|word| may_be_secret(word)) {
        return format!("[{}, …]", quoted(&words[0]));
    }
    let words: Vec<String> = words.iter().map(quoted).collect();
    format!("[{}]", words.join(", "))
}

/// Whether a word is short, and needs no quotes in YAML.
fn is_plain(word: &str) -> bool {
    let is_usual = |each: char| each.is_ascii_alphanumeric() || "_./-".contains(each);
    (1..=MAX_WORD).contains(&word.len()) && word.chars().all(is_usual)
}

/// Whether a word of a command may be a secret, or stand before one.
fn may_be_secret(word: &str) -> bool {
    const NAMES: [&str; 8] = ["pass", "pwd", "secret", "token", "key", "auth", "cred", "@"];
    let lower = word.to_ascii_lowercase();
    let is_random = word.len() >= 16
        && !word.contains(['.', '/', '$'])
        && word.contains(|each: char| each.is_ascii_digit());
    // `-p` and `-a`, among others, are followed by a password in some programs.
    let option = word.strip_prefix('-').unwrap_or_default();
    let is_option = option.starts_with(['a', 'p', 'P', 'u', 'U', 'W']);
    is_random || word.len() > MAX_WORD || is_option || NAMES.iter().any(|name| lower.contains(name))
}

/// Whether the first word of a command is certainly a whole command line: a program of PATH has no space in its name,
/// and the path of a file does not look like options.
pub fn is_command_line(word: &str) -> bool {
    let mut words = word.split_whitespace();
    let program = words.next().unwrap_or_default();
    let mut rest = words.peekable();
    let is_reference = program.contains('$');
    let is_option = |word: &str| word.len() > 1 && word.starts_with('-');
    rest.peek().is_some() && !is_reference && (!word.contains('/') || rest.any(is_option))
}
