//! `startup-guard audit`: compares the variables that code reads with those that the manifest declares.

mod render;

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::arguments::Audit;
use super::scan::{self, Read, Scan, is_usual, matches};
use crate::cli::ReportFormat;
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;
use crate::input::manifest_file;
use crate::manifest::{
    Awaited, Level, Manifest, Place as Address, Step, Template, UpToDate, Variable,
};
use crate::text::{count, nearest};

/// How many declared names an undeclared one is compared to.
const MAX_NAMES: usize = 500;

/// The kinds of drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Code {
    /// The code reads a variable that the manifest does not declare.
    Undeclared,
    /// The manifest declares a variable that the code does not read.
    Unread,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Place {
    file: String,
    /// Counted from 1.
    line: Option<usize>,
}

/// A drift between the code and the manifest.
#[derive(Debug, Serialize)]
struct Finding {
    variable: String,
    #[serde(rename = "finding")]
    code: Code,
    /// Where the code reads it, or the manifest declares it. At least one.
    places: Vec<Place>,
    /// A similar name on the other side.
    near: Option<String>,
}

/// Something to know that is no drift.
#[derive(Debug, Serialize)]
struct Remark {
    #[serde(flatten)]
    place: Place,
    text: String,
}

/// The result of an audit.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// The number of Python files.
    files: usize,
    findings: Vec<Finding>,
    notes: Vec<Remark>,
}

/// Runs the command.
///
/// # Errors
/// If an input cannot be read, if standard output cannot be written to, or if there is drift.
pub fn run(arguments: &Audit, environment: &Environment) -> Result<(), Error> {
    let file = manifest_file(&arguments.manifest, environment).unwrap_or_default();
    let manifest = super::manifest(&arguments.manifest, environment, true)?;
    let scan = scan::scan(&arguments.path)?;
    if scan.files == 0 {
        return no_code(&arguments.path);
    }
    let report = compare(&manifest, &file.to_string_lossy(), &scan);
    let text = match arguments.format {
        ReportFormat::Text => render::text(&report, &file),
        ReportFormat::Json => render::json(&report),
        ReportFormat::Github => render::github(&report, &file),
    };
    super::print(&text)?;
    match report.findings.len() {
        0 => Ok(()),
        findings => {
            let manifest = file.display();
            let text = format!(
                "the code and {manifest} differ in {}",
                count(findings, "variable")
            );
            super::failure(Exit::INVALID_ENVIRONMENT, text)
        }
    }
}

fn no_code(path: &Path) -> Result<(), Error> {
    let text = format!(
        "there is no Python file in {}, apart from tests; name the folder with the code",
        path.display()
    );
    super::failure(Exit::NO_INPUT, text)
}

/// Compares a scan with the manifest whose path is `file`.
fn compare(manifest: &Manifest, file: &str, scan: &Scan) -> Report {
    let known = Known::of(manifest);
    let mut report = Report {
        files: scan.files,
        ..Report::default()
    };
    let mut is_read = used(manifest);
    let (mut undeclared, mut index) = (Vec::<Finding>::new(), HashMap::new());
    for read in &scan.reads {
        if let Some(position) = known.position(&read.name, read.ignores_case) {
            is_read[position] = true;
            let variable = &manifest.variables[position];
            if variable.renamed_from.contains(&read.name) {
                let (old, new) = (&read.name, &variable.name);
                let text = format!(
                    "the code reads {old}, which is a former name of {new}; read {new} instead"
                );
                report.notes.push(remark(read, text));
            }
        } else if read.instead_of.is_none()
            && !is_expected(manifest, &read.name)
            && !known.has_other_name(read, scan)
        {
            let position = *index.entry(read.name.clone()).or_insert(undeclared.len());
            if position == undeclared.len() {
                let declared = manifest.variables.iter().map(|each| each.name.as_str());
                let near = nearest(&read.name, declared.take(MAX_NAMES)).map(str::to_owned);
                undeclared.push(Finding {
                    variable: read.name.clone(),
                    code: Code::Undeclared,
                    places: Vec::new(),
                    near,
                });
            }
            undeclared[position].places.push(place(read));
        }
    }
    let mut unread = Vec::new();
    for (variable, is_read) in manifest.variables.iter().zip(is_read) {
        let name = variable.name.as_str();
        if is_read || is_expected(manifest, name) {
            continue;
        }
        let place = Place {
            file: file.to_owned(),
            line: variable.line,
        };
        if scan.notes.is_empty() {
            let others = undeclared.iter().map(|each| each.variable.as_str());
            unread.push(Finding {
                variable: name.to_owned(),
                code: Code::Unread,
                places: vec![place],
                near: nearest(name, others.take(MAX_NAMES)).map(str::to_owned),
            });
        } else {
            let text = format!(
                "no read of {name} was found, but there is code that cannot be read (see the other notes)"
            );
            report.notes.push(Remark { place, text });
        }
    }
    undeclared.append(&mut unread);
    report.findings = undeclared;
    report.notes.extend(conflicts(&known, scan));
    let notes = scan.notes.iter().map(|note| Remark {
        place: Place {
            file: note.file.clone(),
            line: note.line,
        },
        text: note.text.clone(),
    });
    report.notes.extend(notes);
    report
}

fn place(read: &Read) -> Place {
    Place {
        file: read.file.clone(),
        line: Some(read.line),
    }
}

fn remark(read: &Read, text: String) -> Remark {
    Remark {
        place: place(read),
        text,
    }
}

/// The first read of each variable without which the code fails, but which the manifest admits to be missing.
fn conflicts(known: &Known<'_>, scan: &Scan) -> Vec<Remark> {
    let mut is_noted = vec![false; known.manifest.variables.len()];
    let mut remarks = Vec::new();
    for read in scan.reads.iter().filter(|read| read.is_required) {
        let Some(position) = known.position(&read.name, read.ignores_case) else {
            continue;
        };
        let variable = &known.manifest.variables[position];
        let may_be_missing = variable.level == Level::Optional
            && variable.default.is_none()
            && variable.value.is_none()
            && !variable.has_conditions()
            && !variable.renamed_from.contains(&read.name);
        if may_be_missing && !is_noted[position] && !known.has_other_name(read, scan) {
            is_noted[position] = true;
            let text = format!(
                "the code needs {}, which the manifest declares as optional without a default",
                variable.name
            );
            remarks.push(remark(read, text));
        }
    }
    remarks
}

/// The declared variables, by every name under which code can read them.
struct Known<'m> {
    manifest: &'m Manifest,
    /// The positions of the variables in the manifest by their names, former names, and names of files.
    by_name: HashMap<String, usize>,
    by_upper_name: HashMap<String, usize>,
}

impl<'m> Known<'m> {
    fn of(manifest: &'m Manifest) -> Self {
        let (mut by_name, mut by_upper_name) = (HashMap::new(), HashMap::new());
        for (position, variable) in manifest.variables.iter().enumerate() {
            for name in variable.file.iter().chain(&variable.renamed_from) {
                by_name.insert(name.clone(), position);
            }
        }
        for (position, variable) in manifest.variables.iter().enumerate() {
            by_name.insert(variable.name.clone(), position);
            by_upper_name.insert(variable.name.to_uppercase(), position);
        }
        Self {
            manifest,
            by_name,
            by_upper_name,
        }
    }

    /// The position of the variable that code reads under this name.
    fn position(&self, name: &str, ignores_case: bool) -> Option<usize> {
        match self.by_name.get(name) {
            None if ignores_case => self.by_upper_name.get(&name.to_uppercase()).copied(),
            position => position.copied(),
        }
    }

    /// Whether another name of the same field is declared.
    fn has_other_name(&self, read: &Read, scan: &Scan) -> bool {
        let is_other = |other: &&Read| {
            other.instead_of.as_ref() == Some(&read.name)
                && other.line == read.line
                && other.file == read.file
        };
        let mut others = scan.reads.iter().filter(is_other);
        others.any(|other| self.position(&other.name, other.ignores_case).is_some())
    }
}

/// Whether a name needs no declaration: the manifest ignores it, or a platform, Python or a server has it.
fn is_expected(manifest: &Manifest, name: &str) -> bool {
    let mut ignored = manifest.audit_ignored.iter();
    ignored.any(|pattern| matches(pattern, name)) || is_usual(name)
}

/// For each variable, whether the manifest itself uses it.
fn used(manifest: &Manifest) -> Vec<bool> {
    let mut used: Vec<&str> = Vec::new();
    let mut addresses: Vec<&Address> = Vec::new();
    let mut templates: Vec<&Template> = manifest.announce.iter().collect();
    for wait in &manifest.waits {
        match &wait.awaited {
            Awaited::Server(_, address) => addresses.push(address),
            Awaited::Command(command, _) => templates.extend(command),
            Awaited::Step(_) => {}
        }
    }
    for step in &manifest.steps {
        let Step {
            announce_start,
            announce_done,
            command,
            up_to_date,
            lock,
            ..
        } = step;
        templates.extend(announce_start.iter().chain(announce_done).chain(command));
        addresses.extend(lock.iter().map(|lock| &lock.place));
        if let Some(UpToDate { alembic, command }) = up_to_date {
            addresses.extend(alembic.iter().map(|alembic| &alembic.place));
            templates.extend(command.iter().flatten());
        }
    }
    let processes = manifest.processes.iter().map(|(_, process)| process);
    for server in manifest.server.iter().chain(processes) {
        templates.extend(server.announce.iter().chain(&server.command));
    }
    for address in addresses {
        match address {
            Address::Variable(name) => used.push(name),
            Address::Literal(text) => templates.push(text),
        }
    }
    templates.extend(
        manifest
            .variables
            .iter()
            .filter_map(|each| each.value.as_ref()),
    );
    let references = templates.iter().flat_map(|template| template.references());
    used.extend(references.map(|(name, _)| name));
    let variables = manifest.variables.iter();
    let conditions = variables.clone().flat_map(Variable::conditions);
    used.extend(conditions.map(String::as_str));
    let is_used = variables.map(|each| used.contains(&each.name.as_str()));
    is_used.collect()
}
