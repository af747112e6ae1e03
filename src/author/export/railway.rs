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
    let options = items.iter().filter(|item| item.name.starts_with('-'));
    let options: Vec<&str> = options.map(|item| item.name.as_str()).collect();
    let (secrets, open): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|item| item.is_secret);
    let trimmed = secrets
        .iter()
        .filter(|item| item.value.ends_with(['\n', '\r']));
    let trimmed: Vec<&str> = trimmed.map(|item| item.name.as_str()).collect();
    if !options.is_empty() {
        let names = names(&options);
        return Err(format!(
            "railway takes {names} for an option, because the name begins with `-`"
        ));
    }
    if !trimmed.is_empty() {
        let names = names(&trimmed);
        return Err(format!(
            "railway removes line breaks from the end of a secret: remove them from {names} in the env file, or set the value in Railway's dashboard"
        ));
    }
    let mut calls: Vec<Call<'_>> = secrets.iter().map(|item| of_secret(item)).collect();
    if !open.is_empty() {
        let words = open.iter();
        let words = words.map(|item| format!("{}={}", item.name, item.value));
        calls.push(Call {
            names: open.iter().map(|item| item.name.as_str()).collect(),
            arguments: words.collect(),
            input: None,
        });
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
            let name = name.iter().cloned();
            call.arguments
                .extend(name.flat_map(|name| [flag.to_owned(), name]));
        }
        call.arguments
            .splice(0..0, ["variable", "set"].map(str::to_owned));
    }
    Ok(calls)
}

fn of_secret(item: &Item) -> Call<'_> {
    Call {
        names: vec![&item.name],
        arguments: vec![item.name.clone(), "--stdin".to_owned()],
        input: Some(&item.value),
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
