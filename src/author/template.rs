//! `startup-guard template`: prints an env file or a table with every variable of the manifest.

mod diff;
mod env;
mod markdown;
mod words;

use std::io::ErrorKind;
use std::path::Path;

use crate::author::arguments::{Template, TemplateFormat};
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;
use crate::manifest::Manifest;
use crate::os::file;
use crate::text::count;

/// The largest file that is compared with the template, in bytes.
const MAX_SIZE: usize = 1024 * 1024;

/// The lines of a file between a line with the first text and a line with the second are compared with the template.
const BEGIN: &str = "startup-guard: begin";
const END: &str = "startup-guard: end";

/// Prints the template, or compares a file with it.
///
/// # Errors
/// If an input cannot be read, if standard output cannot be written to, or if the file differs from the template.
pub fn run(arguments: &Template, environment: &Environment) -> Result<(), Error> {
    let manifest = super::manifest(&arguments.manifest, environment, false)?;
    let template = match arguments.format {
        TemplateFormat::Env => env::template(&manifest),
        TemplateFormat::Markdown => markdown::template(&manifest),
    };
    match &arguments.check {
        Some(file) => check(Path::new(file), arguments.format, &template, &manifest),
        None => super::print(&template),
    }
}

/// Compares a file, or the part of it between two markers, with the template.
///
/// # Errors
/// If the file cannot be read, or differs.
fn check(
    path: &Path,
    format: TemplateFormat,
    template: &str,
    manifest: &Manifest,
) -> Result<(), Error> {
    let name = path.display();
    let content = match file::read_input(path, MAX_SIZE) {
        Ok(content) if content.len() > MAX_SIZE => {
            let text = format!("{name} is larger than 1 MiB; name a file with the template");
            return super::failure(Exit::INVALID_INPUT, text);
        }
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = format!(
                "there is no file {name}; create it with `{}`",
                command(format)
            );
            return super::failure(Exit::NO_INPUT, text);
        }
        Err(error) => {
            let text = format!("{name} cannot be read: {error}");
            return super::failure(Exit::NO_INPUT, text);
        }
    };
    let text = String::from_utf8_lossy(&content);
    let Some((text, first_line)) = part(&text) else {
        let text = format!("{name} has a line with `{BEGIN}`, but none with `{END}` after it");
        return super::failure(Exit::INVALID_INPUT, text);
    };
    if text == template {
        return Ok(());
    }
    let names = manifest.variables.iter();
    let names: Vec<&str> = names.map(|each| each.name.as_str()).collect();
    let diff = diff::Diff::of(text, template, first_line, &names);
    super::print(&format!("--- {name}\n+++ template\n{}", diff.text))?;
    let text = format!(
        "{name} is out of date: it differs from the template in {}; replace it with the output of `{}`",
        count(diff.places, "place"),
        command(format),
    );
    super::failure(Exit::INVALID_ENVIRONMENT, text)
}

/// The command that prints the template.
fn command(format: TemplateFormat) -> &'static str {
    match format {
        TemplateFormat::Env => "startup-guard template",
        TemplateFormat::Markdown => "startup-guard template --format markdown",
    }
}

/// The text between the markers, or the whole text if there are none, and the number of its first line. `None` if the
/// second marker is missing.
fn part(text: &str) -> Option<(&str, usize)> {
    let Some(begin) = text.find(BEGIN) else {
        return Some((text, 1));
    };
    let start = begin + text[begin..].find('\n')? + 1;
    let end = start + text[start..].find(END)?;
    let end = text[..end].rfind('\n')? + 1;
    let first_line = 1 + text[..start].matches('\n').count();
    Some((text.get(start..end)?, first_line))
}
