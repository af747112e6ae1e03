//! Remarks on lines that readers parse differently, or that do not set what they seem to set.

use std::collections::HashMap;

use crate::report::{Note, NoteCode, Source};

use super::cursor::{Statement, TOO_LONG, TOO_MUCH, Value};

/// The maximum number of remarks on one file.
const MAX_REMARKS: usize = 1000;

/// A note on a line of a file. `name` is the variable that the line sets, or empty.
pub fn note((file, line): (&str, usize), code: NoteCode, name: &str, text: String) -> Note {
    let file = file.to_owned();
    Note {
        code,
        variables: vec![name.to_owned()],
        text,
        source: Some(Source { file, line }),
    }
}

/// Sorts the notes by their lines. Of more than `MAX_REMARKS`, only the number is told.
pub fn limit(notes: &mut Vec<Note>) {
    notes.sort_by_key(|note| note.source.as_ref().map(|source| source.line));
    let count = notes.len().saturating_sub(MAX_REMARKS);
    notes.truncate(MAX_REMARKS + 1);
    if let Some(first) = notes.get_mut(MAX_REMARKS) {
        (first.code, first.variables) = (NoteCode::Line, Vec::new());
        first.text = format!("is the first of {count} notes that are left out");
    }
}

/// Adds a remark for each line of a text that compose, python-dotenv and docker parse differently. At least one of them
/// must have parsed the whole text without a fault.
pub fn compare(file: &str, text: &str, readers: [Vec<Statement>; 3], notes: &mut Vec<Note>) {
    let readers = readers.map(|statements| {
        // Of several statements of a line, the first is compared.
        let read = statements.into_iter().rev();
        let read = read.map(|one| (one.line, (one.name, one.value)));
        read.collect::<HashMap<_, _>>()
    });
    for (raw, line) in text.split('\n').zip(1..) {
        let read = readers.each_ref().map(|reader| reader.get(&line));
        let [compose, python, docker] = read;
        // If only docker begins a statement here, the line is inside a multi-line value of the others.
        if compose.is_none() && python.is_none() {
            continue;
        }
        let values = read.map(|one| one.map(|(_, value)| value));
        // docker and compose inherit the value of a name without `=`; python-dotenv ignores it.
        if compose != python || compose != docker || values[0] == Some(&Ok(None)) {
            let mut names = read.iter().flatten().map(|(name, _)| name.as_str());
            let name = names.find(|name| !name.is_empty()).unwrap_or_default();
            let text = differences(raw, values).join("; ");
            notes.push(note((file, line), NoteCode::Portability, name, text));
        }
        if values[..2].contains(&Some(&Err(TOO_MUCH))) {
            return;
        }
    }
}

/// The differences between compose, python-dotenv and docker for a line, given the value that each of them reads, or
/// `None` if no statement begins at the line.
fn differences(raw: &str, [compose, python, docker]: [Option<&Value>; 3]) -> Vec<&'static str> {
    let is_too_much = |value| matches!(value, Some(&Err(TOO_LONG | TOO_MUCH)));
    let is_refused = |value| matches!(value, Some(&Err(_)));
    if is_too_much(compose) {
        return vec!["compose expands it to more than Linux accepts"];
    }
    if is_too_much(python) {
        return vec!["python-dotenv expands it to more than Linux accepts"];
    }
    let of_docker = match docker {
        Some(Err(_)) => Some("docker refuses it"),
        Some(Ok(Some(value))) if docker != compose && docker != python => kept_by_docker(value),
        _ => None,
    };
    let of_dollar = match compose {
        _ if !raw.contains('$') => None,
        Some(Err(_)) => Some("compose refuses its `$`"),
        _ if compose != python => Some(
            "compose expands `$NAME` and `${NAME}`, python-dotenv only `${NAME}`, docker neither",
        ),
        _ if compose != docker && raw.contains("${") => Some("docker does not expand `${NAME}`"),
        _ => None,
    };
    let of_python = is_refused(python).then_some("python-dotenv drops it");
    let are_refused = is_refused(compose) && is_refused(python);
    let of_escapes = (raw.contains('\\') && compose != python && !are_refused)
        .then_some("compose and python-dotenv decode backslash escapes differently");
    let of_caller = ([compose, docker] == [Some(&Ok(None)); 2]).then_some(
        "docker and compose take the value from the caller's environment, python-dotenv sets nothing",
    );
    let known = [of_docker, of_dollar, of_python, of_escapes, of_caller];
    let known: Vec<&str> = known.into_iter().flatten().collect();
    match compose {
        _ if !known.is_empty() => known,
        Some(Err(_)) => vec!["compose refuses it"],
        _ => vec!["docker, compose and python-dotenv read it differently"],
    }
}

/// The remark on a part of the value that docker keeps and other readers remove.
fn kept_by_docker(value: &str) -> Option<&'static str> {
    let trimmed = value.trim();
    match trimmed.chars().next() {
        Some(quote @ ('"' | '\'')) => Some(match trimmed[1..].rsplit_once(quote) {
            Some((_, "")) => "docker keeps the quotes",
            Some(_) => "docker keeps the quotes and what follows them",
            None => "docker reads only its first line, and keeps the quote",
        }),
        Some('#') => Some("only python-dotenv drops what follows the `#`"),
        _ if value.contains(" #") => Some("docker keeps the comment"),
        _ if trimmed != value => Some("docker keeps the white space around the value"),
        _ => None,
    }
}
