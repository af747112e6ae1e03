//! `startup-guard export`: writes the values of env files in the form of a platform.

mod apply;
mod files;
mod railway;
mod values;

use super::arguments::{Export, Target};
use crate::check;
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;
use crate::input::env_files::{self, EnvFiles, Use};
use crate::input::process;
use crate::manifest::{Manifest, Scope};
use crate::os::file;
use crate::os::output::STDERR;
use crate::render::{View, text};
use crate::report::{Code, Note, NoteCode, Report, Severity};
use crate::rule::strip_wrapping;

use values::{has_reference, has_url_in_url, is_blank};

/// Checks the values, prints the report to standard error, and writes the values or sets them.
///
/// # Errors
/// If an input cannot be read, if the values are invalid and `--force` is not given, if the platform cannot hold a value,
/// or if an output cannot be written.
pub fn run(arguments: &Export, environment: &Environment) -> Result<(), Error> {
    let manifest = super::manifest(&arguments.manifest, environment, false)?;
    let (paths, dialect) = (&arguments.env_files, arguments.dialect);
    let is_railway = arguments.target == Target::Railway;
    let files = env_files::read(paths, dialect, Environment::default(), is_railway)?;
    let process = process(arguments.process.as_deref(), &files.environment, &manifest)?;
    let scope = process.map_or(Scope::Everything, Scope::Process);
    let report = checked(&manifest, scope, &files, is_railway);
    let view = View::of_report(manifest.service.clone(), report);
    STDERR.push(text::report(&view, STDERR.columns(), false).as_bytes());
    if view.report.errors() > 0 && !arguments.force {
        let text =
            "nothing was exported, because the values are invalid; correct them, or add `--force`";
        return super::failure(Exit::INVALID_ENVIRONMENT, text);
    }
    let items = values::items(&manifest, scope, &files.environment);
    if items.is_empty() {
        let text = "there is nothing to export: the env files set no variable of the manifest";
        return super::failure(Exit::INVALID_INPUT, text);
    }
    let service = manifest.service.as_deref();
    let written = match arguments.target {
        Target::Docker => files::docker(&items),
        Target::Compose => files::compose(&items),
        Target::Kubernetes => files::kubernetes(service, &items),
        Target::Railway => match railway::calls(&items, arguments) {
            Ok(calls) if arguments.apply => return apply::apply(&calls, &items, environment),
            Ok(calls) => Ok(railway::commands(&calls)),
            Err(reason) => Err(reason),
        },
    };
    match written {
        Ok(text) => super::print(&text),
        Err(reason) => super::failure(
            Exit::INVALID_ENVIRONMENT,
            format!("nothing was exported: {reason}"),
        ),
    }
}

/// The report on the values, as of `check --only-file`. On Railway a reference counts as set.
fn checked(manifest: &Manifest, scope: Scope<'_>, files: &EnvFiles, is_railway: bool) -> Report {
    let (environment, sources) = (&files.environment, &files.sources);
    let mut report = check::rehearse(manifest, environment, scope, sources, file::read);
    if is_railway {
        report.findings.retain_mut(|finding| {
            let value = finding.variable().and_then(|name| environment.text(name));
            let value = value.unwrap_or_default();
            let is_placeholder = finding.code == Code::Placeholder;
            let (problem, fix) = if is_placeholder && has_url_in_url(value) {
                finding.severity = Severity::Warning;
                (
                    "has a reference to a URL inside another URL",
                    "remove the text before the reference",
                )
            } else if is_placeholder && has_reference(value) && strip_wrapping(value) != value {
                (
                    "has quotes or white space around a reference, which are part of the value here",
                    "remove them at both ends",
                )
            } else {
                // These are wrong whatever the reference stands for.
                let kept = [Code::FileAndValue, Code::Quoted, Code::WhiteSpace];
                return !has_reference(value) || kept.contains(&finding.code);
            };
            problem.clone_into(&mut finding.problem);
            fix.clone_into(&mut finding.fix);
            true
        });
    }
    report.notes.extend(files.notes(manifest, Use::Export));
    report.notes.extend(blank(manifest, files));
    report
}

/// The notes on declared variables that the files set to nothing.
fn blank(manifest: &Manifest, files: &EnvFiles) -> Vec<Note> {
    let note = |name: &String| {
        let (source, _) = files.sources.get(name)?;
        let is_empty = files.environment.text(name).is_none_or(is_blank);
        is_empty.then(|| Note {
            code: NoteCode::Line,
            variables: vec![name.clone()],
            text: "sets an empty value, which is not exported".to_owned(),
            source: Some(source.clone()),
        })
    };
    let names = manifest.variables.iter().map(|variable| &variable.name);
    names.filter_map(note).collect()
}
