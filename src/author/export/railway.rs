//! The calls of Railway's command-line program that set values, and their form as shell commands.
//!
//! A secret is never an argument of a process, because every user of a machine can read those. `printf` is a command that
//! shells have built in, so that they start no process for it.

use super::values::Item;
use crate::author::arguments::Export;
use crate::platform::{command, quoted};
use crate::text::names;

/// A call of the program, for one secret or for all other values.
pub struct Call<'a> {
    /// The names that it sets.
    pub names: Vec<&'a str>,
    /// The words after `railway`.
    pub arguments: Vec<String>,
    /// The secret, which the program reads from its standard input.
    pub input: Option<&'a str>,
}

/// The calls: first one for each secret, then one for all other values. Only the last one deploys.
///
/// # Errors
/// A sentence on the names and values that the program does not accept.
pub fn calls<'a>(items: &'a [Item], export: &Export) -> Result<Vec<Call<'a>>, String> {
    let (secrets, open): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|item| item.is_secret);
    refuse(
        items,
        |item| item.name.starts_with('-'),
        |names| format!("railway takes {names} for an option, because the name begins with `-`"),
    )?;
    let is_trimmed = |item: &Item| item.is_secret && item.value.ends_with(['\n', '\r']);
    refuse(items, is_trimmed, |names| {
        format!(
            "railway removes line breaks from the end of a secret: remove them from {names} in the env file, or set the value in Railway's dashboard"
        )
    })?;
    let mut calls: Vec<Call<'_>> = secrets.iter().map(|item| of_secret(item)).collect();
    if !open.is_empty() {
        calls.push(of_open(&open));
    }
    let places = [
        ("--service", &export.service),
        ("--environment", &export.environment),
        ("--project", &export.project),
    ];
    let last = calls.len().saturating_sub(1);
    for (index, call) in calls.iter_mut().enumerate() {
        if index < last {
            call.arguments.push("--skip-deploys".to_owned());
        }
        for (flag, name) in places {
            let words = name.iter().flat_map(|name| [flag.to_owned(), name.clone()]);
            call.arguments.extend(words);
        }
    }
    Ok(calls)
}

/// # Errors
/// The sentence on the names of the items that are refused, if there are any.
fn refuse(
    items: &[Item],
    is_refused: impl Fn(&Item) -> bool,
    sentence: impl Fn(String) -> String,
) -> Result<(), String> {
    let refused = items.iter().filter(|item| is_refused(item));
    let refused: Vec<&str> = refused.map(|item| item.name.as_str()).collect();
    if refused.is_empty() {
        Ok(())
    } else {
        Err(sentence(names(&refused)))
    }
}

fn of_secret(item: &Item) -> Call<'_> {
    let arguments = ["variable", "set", &item.name, "--stdin"];
    Call {
        names: vec![&item.name],
        arguments: arguments.map(str::to_owned).to_vec(),
        input: Some(&item.value),
    }
}

fn of_open<'a>(items: &[&'a Item]) -> Call<'a> {
    let mut arguments = ["variable", "set"].map(str::to_owned).to_vec();
    let words = items.iter();
    arguments.extend(words.map(|item| format!("{}={}", item.name, item.value)));
    Call {
        names: items.iter().map(|item| item.name.as_str()).collect(),
        arguments,
        input: None,
    }
}

/// The calls as commands of a POSIX shell. They end at the first one that fails.
pub fn commands(calls: &[Call<'_>]) -> String {
    let commands: Vec<String> = calls.iter().map(shown).collect();
    commands.join(" &&\n") + "\n"
}

fn shown(call: &Call<'_>) -> String {
    let words = call.arguments.iter().map(|word| quoted(word));
    let command = command("railway", words);
    match call.input {
        // In quotes even if they are not needed: zsh expands a word such as `=name`.
        Some(value) => format!("printf %s '{}' |\n{command}", value.replace('\'', r"'\''")),
        None => command,
    }
}
