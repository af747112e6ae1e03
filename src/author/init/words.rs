//! Splits the lines of shell scripts, Dockerfiles and Procfiles into the words of commands, where no shell is needed to
//! know them.

use std::iter::Peekable;
use std::str::Chars;

use super::names::{is_secret_name, looks_secret};
use crate::platform::is_shell_name;
use crate::url;

/// The port if the platform injects none.
const DEFAULT_PORT: &str = "8000";

/// The longest part of a word with letters and digits that is taken for a name, in bytes.
const LONGEST_CODE: usize = 16;

/// Characters with which a shell does more than split a line into words.
const SPECIAL: &str = "|&<>()`*?[]{}!~\\";

/// Parts of the names of options whose arguments may be secrets, separated by spaces.
const SECRET_OPTIONS: &str = "password passwd secret token key dsn credential";

/// The commands of a line, which `&&` or `;` separates. `None` if a shell would do more than split them into words, or
/// if they may contain a secret.
pub fn commands(line: &str) -> Option<Vec<Vec<String>>> {
    let mut commands = vec![Vec::new()];
    let mut characters = line.chars().peekable();
    loop {
        while characters.next_if(|next| next.is_whitespace()).is_some() {}
        let ends = match characters.peek() {
            None | Some('#') => break,
            Some(';') => ";",
            Some('&') => "&&",
            Some(_) => {
                let word = word(&mut characters)?;
                commands.last_mut()?.push(word);
                continue;
            }
        };
        ends.chars()
            .all(|end| characters.next() == Some(end))
            .then_some(())?;
        commands.push(Vec::new());
    }
    commands.retain(|words| !words.is_empty());
    let is_assignment = |words: &Vec<String>| words[0].contains(['=', '$']);
    let is_plain = !commands.is_empty() && !commands.iter().any(is_assignment);
    (is_plain && commands.iter().all(|words| is_public(words))).then_some(commands)
}

/// The words of a command in the form of a JSON list, whose references the guard expands. `None` if it has a `$` that
/// is no reference, or if it may contain a secret.
pub fn listed(words: &[String]) -> Option<Vec<String>> {
    let word = |text: &String| {
        let mut characters = text.chars().peekable();
        let mut word = String::new();
        while let Some(next) = characters.next() {
            match next {
                '$' => word += &reference(&mut characters, true)?,
                _ => word.push(next),
            }
        }
        Some(word)
    };
    let words: Option<Vec<String>> = words.iter().map(word).collect();
    words.filter(|words| !words.is_empty() && is_public(words))
}

/// Reads a word, which ends at white space, `;` or `&`.
fn word(characters: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut word = String::new();
    let mut quote = None;
    while let Some(&next) = characters.peek() {
        if quote.is_none() && (next.is_whitespace() || matches!(next, ';' | '&')) {
            break;
        }
        characters.next();
        match (quote, next) {
            (None, '"' | '\'') => quote = Some(next),
            (Some(open), _) if open == next => quote = None,
            (Some('\''), '$') | (Some('"'), '`' | '\\') => return None,
            (_, '$') => word += &reference(characters, quote.is_some())?,
            (None, _) if SPECIAL.contains(next) => return None,
            _ => word.push(next),
        }
    }
    quote.is_none().then_some(word)
}

/// Reads what follows a `$`, and returns the reference as the manifest writes it. A shell splits a value without quotes
/// at its white space, so only the port is read without quotes or a default.
fn reference(characters: &mut Peekable<Chars<'_>>, is_quoted: bool) -> Option<String> {
    let is_braced = characters.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(next) = characters.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
        name.push(next);
    }
    let mut default = String::new();
    if is_braced {
        if characters.next_if_eq(&':').is_some() && characters.peek() != Some(&'-') {
            return None;
        }
        if characters.next_if_eq(&'-').is_some() {
            let is_plain = |next: &char| next.is_ascii_alphanumeric() || "_-./:".contains(*next);
            while let Some(next) = characters.next_if(is_plain) {
                default.push(next);
            }
        }
        characters.next_if_eq(&'}')?;
    }
    let has_default = !default.is_empty();
    match &*name {
        _ if name.is_empty() || !is_shell_name(&name) || is_secret_name(&name) => None,
        "PORT" if !has_default => Some(format!("${{PORT:-{DEFAULT_PORT}}}")),
        _ if has_default => Some(format!("${{{name}:-{default}}}")),
        _ => is_quoted.then(|| format!("${{{name}}}")),
    }
}

/// Whether no word of a command may be a secret.
fn is_public(words: &[String]) -> bool {
    let is_secret_option = |word: &str| {
        let option = word.split('=').next().unwrap_or_default().to_lowercase();
        let mut parts = SECRET_OPTIONS.split(' ');
        option.starts_with('-')
            && parts.any(|part| option.contains(part))
            && !option.ends_with("file")
    };
    words.iter().all(|word| {
        !is_secret_option(word)
            && url::passwords(word).is_empty()
            && !looks_secret(word, LONGEST_CODE)
    })
}

#[cfg(test)]
mod tests {
    use super::{commands, listed};

    #[test]
    fn a_line_is_split_where_a_shell_only_splits_it() {
        for (line, expected) in [
            (
                "uvicorn app.main:app --host 0.0.0.0 --port $PORT",
                "uvicorn app.main:app --host 0.0.0.0 --port ${PORT:-8000}",
            ),
            (
                "uvicorn app:app --port \"${PORT:-80}\" # serve",
                "uvicorn app:app --port ${PORT:-80}",
            ),
            (
                "gunicorn -b 0.0.0.0:${PORT} 'my app:app'",
                "gunicorn -b 0.0.0.0:${PORT:-8000} my app:app",
            ),
            (
                "gunicorn -w ${WORKERS:-4} -k \"$WORKER\" a:b",
                "gunicorn -w ${WORKERS:-4} -k ${WORKER} a:b",
            ),
            (
                "alembic upgrade head && uvicorn a:b; echo x",
                "alembic upgrade head|uvicorn a:b|echo x",
            ),
        ] {
            let found = commands(line).expect(line);
            let found: Vec<String> = found.iter().map(|words| words.join(" ")).collect();
            assert_eq!(found.join("|"), expected, "{line}");
        }
    }

    #[test]
    fn a_line_for_which_a_shell_does_more_is_not_read() {
        for line in [
            "",
            "# a comment",
            "uvicorn a:b &",
            "uvicorn a:b | tee log",
            "uvicorn a:b > log",
            "PORT=1 uvicorn a:b",
            "gunicorn $GUNICORN_ARGS a:b",
            "uvicorn a:b --port $((PORT + 1))",
            "uvicorn a:b --port ${PORT:?missing}",
            "uvicorn a:b --port ${PORT#x}",
            "uvicorn a:b --port $(cat port)",
            "uvicorn a:b --host `hostname`",
            "uvicorn *:app",
            "uvicorn 'a:b",
            "uvicorn \"a\\\"b\"",
            "uvicorn a:b --port $1",
            "exec \"$@\"",
            "$COMMAND",
            "flower --basic-auth-password=letmein",
            "celery --broker redis://:canary@redis",
            "serve --dsn x",
            "serve ${API_TOKEN:-canary}",
            "serve aB3dE6gH9jK2mN5pQ8sT1vW4",
        ] {
            assert_eq!(commands(line), None, "{line}");
        }
    }

    #[test]
    fn the_words_of_a_list_are_read_with_their_references() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let read = listed(&words("uvicorn a:b --port $PORT --workers ${N:-2} * | x"));
        let expected = words("uvicorn a:b --port ${PORT:-8000} --workers ${N:-2} * | x");
        assert_eq!(read, Some(expected));
        assert_eq!(listed(&words("uvicorn $(x)")), None);
        assert_eq!(listed(&[]), None);
    }
}
