//! `startup-guard check`, and the check phase of a run.

use std::io::IsTerminal;
use std::path::Path;

use crate::check::{self, Plan, Selection};
use crate::cli::{self, ReportFormat};
use crate::diagnosis::{Circumstances, NOTE, diagnose, names_of_unset};
use crate::dotenv::{self, Fault};
use crate::environment::Environment;
use crate::error::Error;
use crate::input::env_files::{self, EnvFiles, Use};
use crate::input::{load_manifest, manifest_file, process};
use crate::log::{self, MAX_OBJECT, Phase};
use crate::manifest::{Manifest, Scope};
use crate::os::output::{STDERR, STDOUT};
use crate::os::{file, is_in_container};
use crate::platform;
use crate::render::text::{Of, headline, pieces};
use crate::render::{View, github, json, text};
use crate::report::{Finding, NoteCode, Report, Severity, name_of};

use super::settings;

/// `startup-guard check`: prints the report. It does not wait, run anything, or look up programs in PATH.
///
/// # Errors
/// If a file cannot be read, if the environment is invalid, or if the report cannot be written.
pub fn run(arguments: &cli::Check, environment: Environment) -> Result<(), Error> {
    let file = manifest_file(&arguments.manifest, &environment);
    let needs_lines = matches!(arguments.format, ReportFormat::Github);
    let manifest = load_manifest(file.as_deref(), needs_lines)?;
    let is_coloured = std::io::stdout().is_terminal() && settings::admits_colour(&environment);
    let own = Some(environment).filter(|_| !arguments.only_file);
    let (paths, dialect) = (&arguments.env_files, arguments.dialect);
    let files = env_files::read(paths, dialect, own.unwrap_or_default(), false)?;
    let process = process(arguments.process.as_deref(), &files.environment, &manifest)?;
    log::identify(manifest.service.as_deref(), process);
    let scope = process.map_or(Scope::Everything, Scope::Process);
    let view = view(&manifest, scope, &files, arguments);
    let report = match arguments.format {
        ReportFormat::Text => text::report(&view, STDOUT.columns(), is_coloured),
        ReportFormat::Json => json::report(&view),
        ReportFormat::Github => {
            let file = file.unwrap_or_default();
            github::report(&view, &file.to_string_lossy())
        }
    };
    let printed = STDOUT.print(&report);
    printed.map_err(Error::system("write to standard output"))?;
    match view.report.errors() {
        0 => Ok(()),
        _ => Err(error(&view)),
    }
}

/// Checks a part of the manifest with the environment that `files` holds.
fn view(manifest: &Manifest, scope: Scope<'_>, files: &EnvFiles, arguments: &cli::Check) -> View {
    let (environment, sources) = (&files.environment, &files.sources);
    let mut report = check::rehearse(manifest, environment, scope, sources, file::read);
    report.notes.extend(files.notes(manifest, Use::Check));
    explained(manifest, scope, files, report, Some(arguments))
}

/// The check phase of a run. Logs the announcement and the report.
///
/// # Errors
/// If the report has errors.
pub fn plan<'m>(
    manifest: &'m Manifest,
    files: &EnvFiles,
    selection: &Selection<'m>,
    format: log::Format,
) -> Result<Plan<'m>, Error> {
    let (environment, sources) = (&files.environment, &files.sources);
    let mut checked = check::check(manifest, environment, selection, sources, file::read);
    if let Some(text) = checked.announcement {
        tracing::info!(target: "announce", "{}", text.display());
    }
    let remarks = &mut checked.report.notes;
    for note in remarks.extract_if(.., |note| note.code == NoteCode::Command) {
        tracing::warn!(phase = %Phase::Check, "{}", note.text);
    }
    remarks.extend(files.notes(manifest, Use::Run));
    let view = explained(manifest, selection.scope, files, checked.report, None);
    log_pieces(&view, format);
    checked.plan.ok_or_else(|| error(&view))
}

/// The variables of a `.env` in the working directory.
///
/// # Errors
/// If it has lines that cannot be parsed.
fn beside(environment: &Environment) -> Result<Environment, dotenv::Error> {
    const FILE: &str = ".env";
    let lookup = |name: &str| environment.text(name);
    let read = |limit| file::read(Path::new(FILE), limit);
    let entries = match dotenv::load(FILE, None, &lookup, read) {
        Err(error) if matches!(error.fault, Fault::Lines(_)) => return Err(error),
        file => file.unwrap_or_default().entries,
    };
    // The last entry of a name applies.
    let entries = entries.into_iter().rev();
    let entries = entries.map(|entry| (entry.name.into(), entry.value.into()));
    Ok(Environment::from_entries(entries.collect()))
}

/// Adds the place, the notes on similar names, and the diagnosis to a report. A run has no `arguments`, and needs a
/// diagnosis only if the service cannot start.
fn explained(
    manifest: &Manifest,
    scope: Scope<'_>,
    files: &EnvFiles,
    mut report: Report,
    arguments: Option<&cli::Check>,
) -> View {
    let environment = &files.environment;
    let notes = names_of_unset(manifest, scope, &report, environment);
    report.notes.extend(notes);
    let place = platform::detect(environment);
    let is_invalid = report.errors() > 0;
    let diagnosis = (is_invalid || arguments.is_some()).then(|| {
        let is_only_file = arguments.is_some_and(|arguments| arguments.only_file);
        let only_file = files.paths.first().filter(|_| is_only_file);
        // On a platform a `.env` is of no use.
        let is_unread = is_invalid && place.is_none() && files.paths.is_empty();
        let only_file = only_file.map(|file| file.to_string_lossy());
        let beside = is_unread.then(|| beside(environment));
        // The file of `<(command)` is gone after this run.
        let last = files.paths.last().and_then(|path| path.to_str());
        let last = last.filter(|path| arguments.is_none() && !path.starts_with("/dev/"));
        let circumstances = Circumstances {
            scope,
            place: place.as_ref(),
            is_in_container: is_in_container(),
            only_file: only_file.as_deref(),
            subcommand: arguments.map_or("run", |_| "check"),
            file_of_run: last,
            reader: files.dialect.unwrap_or_default(),
            beside: beside.as_ref(),
        };
        diagnose(manifest, &report, environment, circumstances)
    });
    View {
        service: manifest.service.clone(),
        diagnosis: diagnosis.unwrap_or_default(),
        place,
        report,
    }
}

fn log_pieces(view: &View, format: log::Format) {
    if view.report.findings.is_empty() && view.report.notes.is_empty() {
        return;
    }
    let terminal = STDERR.columns().filter(|_| format != log::Format::Json);
    for (of, text) in pieces(view, terminal) {
        let (finding, cause) = match of {
            // A title introduces the lines below it, but each JSON line is read by itself.
            Of::Title if format == log::Format::Json => continue,
            Of::Finding(finding) => (Some(finding), None),
            Of::Cause(cause) => (None, Some(cause.code)),
            Of::Title | Of::Other => (None, None),
        };
        let variable = finding.and_then(Finding::variable);
        let step = finding.and_then(Finding::step);
        let code = finding.map(|finding| name_of(finding.code).to_string());
        match finding.map(|finding| finding.severity) {
            Some(Severity::Error) => {
                tracing::error!(target: "report", phase = %Phase::Check, variable, step, finding = code, "{text}");
            }
            Some(Severity::Warning) => {
                tracing::warn!(target: "report", phase = %Phase::Check, variable, step, finding = code, "{text}");
            }
            None => tracing::info!(target: "report", phase = %Phase::Check, cause, "{text}"),
        }
    }
}

/// The error that ends a run or a check whose report has errors.
fn error(view: &View) -> Error {
    let mut causes = view.diagnosis.causes.iter();
    Error::Environment {
        headline: headline(view),
        cause: causes.find_map(|cause| (cause.certainty != NOTE).then_some(cause.code)),
        summary: json::summary_within(view, MAX_OBJECT),
    }
}

#[cfg(test)]
mod tests;
