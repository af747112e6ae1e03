//! Remarks on commands that can work but probably do not do what is meant. They depend on the words alone.

use std::os::unix::ffi::OsStrExt;

use crate::manifest::{Template, takes_text, unbraced};
use crate::os::program::{SHELLS, shell_syntax};
use crate::report::{Note, NoteCode};

/// Remarks on a command, which is called `of` in them. Of the server, `is_server` also asks whether a shell stays its
/// parent.
pub fn remarks(
    of: &str,
    command: &[Template],
    is_server: bool,
    is_known: impl Fn(&str) -> bool,
) -> Vec<Note> {
    let bytes = command.iter().map(|word| word.source().as_bytes());
    let mut texts = Vec::from_iter(shell_syntax(bytes).map(str::to_owned));
    let words = command.iter().map(|word| word.source().to_str());
    let words: Vec<&str> = words.map(Option::unwrap_or_default).collect();
    for (index, name) in unbraced(&words, is_known) {
        // A whole argument of the command line may be `$NAME`.
        if command[index].references().next().is_none() {
            texts.push(format!("nothing expands ${name} in an argument: write it as an argument of its own, or write ${{{name}}} in the manifest"));
        }
    }
    if is_server && keeps_shell(&words) {
        texts.push("a shell without `exec` runs it, so a stop (SIGTERM) may reach only the shell: write the words of the program, or `exec` before it".to_owned());
    }
    let texts = texts.into_iter();
    let notes = texts.map(|text| format!("the command of {of}: {text}"));
    notes
        .map(|text| Note::new(NoteCode::Command, text))
        .collect()
}

/// Whether a shell may stay the parent of the program that its text starts. Other shells than `sh` replace themselves by
/// a program that is their only command; Debian's `sh` does not.
fn keeps_shell(words: &[&str]) -> bool {
    let shell = words.first().and_then(|word| word.rsplit('/').next());
    let shell = shell.filter(|name| SHELLS.contains(name));
    let has_options = words.get(1).is_some_and(|word| word.starts_with('-'));
    let option = words
        .iter()
        .position(|word| takes_text(word))
        .filter(|_| has_options);
    let text = option.and_then(|option| words.get(option + 1));
    let (Some(shell), Some(text)) = (shell, text) else {
        return false;
    };
    let text = text.trim().trim_end_matches(';');
    let mut parts = text.split(|each: char| !each.is_ascii_alphanumeric());
    // A trap forwards the signal.
    let is_careful = parts.any(|part| part == "exec" || part == "trap");
    let is_simple = !text.contains([';', '&', '|', '\n', '<', '>']);
    !is_careful && (!is_simple || ["sh", "dash", "ash"].contains(&shell))
}

#[cfg(test)]
mod tests {
    use super::keeps_shell;

    #[test]
    fn a_shell_without_exec_may_stay() {
        for (words, stays) in [
            (&["sh", "-c", "uvicorn app:app"][..], true),
            (&["/bin/sh", "-c", "uvicorn app:app; true"], true),
            (&["bash", "-o", "pipefail", "-ec", "a && b"], true),
            (&["bash", "-c", "uvicorn app:app | tee log"], true),
            (&["bash", "-lc", "uvicorn app:app;"], false),
            (
                &["sh", "-c", "alembic upgrade head && exec uvicorn app:app"],
                false,
            ),
            (
                &["sh", "-c", "trap 'kill $!' TERM; uvicorn app:app & wait"],
                false,
            ),
            (&["sh", "start.sh", "-c", "x"], false),
            (&["sh"], false),
            (&["uvicorn", "-c", "a; b"], false),
        ] {
            assert_eq!(keeps_shell(words), stays, "{words:?}");
        }
    }
}
