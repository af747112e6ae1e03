//! Reads alembic's revision files for the steps that ask for them or run alembic.

use std::ffi::OsString;

use super::findings::Findings;
use crate::alembic::{self, CommandLine, Error, History, Settings, Status, Targets};
use crate::environment::Environment;
use crate::manifest::{Alembic, Step};
use crate::report::{Code, Note, NoteCode, Subject, ValueFinding};
use crate::text::first;

/// The maximum number of heads that a finding lists.
const MAX_HEADS: usize = 8;

/// The history of a step that has the built-in question or runs `alembic upgrade`, and what the step upgrades to.
/// Returns `None` for any other step, and if the history cannot be read for certain, which is a note for a step with
/// the built-in question. Adds a finding if alembic cannot upgrade the history.
pub fn read(step: &Step, findings: &mut Findings<'_, '_>) -> Option<(History, Targets)> {
    let question = step.up_to_date.as_ref();
    let declared = question.and_then(|question| question.alembic.as_ref());
    let read = history(step, declared, findings.environment).and_then(|read| {
        let Some((history, line)) = read else {
            return Ok(None);
        };
        let found = several_heads(&history).filter(|_| line.upgrade.as_deref() == Some("head"));
        if let Some(mut found) = found {
            // At a start, a step that has nothing to do is not run.
            found.is_certain = findings.selection.is_rehearsal || step.up_to_date.is_none();
            findings.add(Subject::Step(step.name.clone()), found);
        }
        let heads = declared.and_then(|declared| declared.heads.clone());
        let targets = heads.or(line.upgrade.map(|target| Targets::Listed(vec![target])));
        let targets = targets.unwrap_or(Targets::All);
        // A target that cannot be resolved is uncertain, whatever the database contains.
        match history.status(&[], &targets) {
            Status::Uncertain(reason) => Err(Error::Uncertain(reason)),
            _ => Ok(Some((history, targets))),
        }
    });
    match read {
        Ok(read) => return read,
        Err(Error::Broken(reason)) => {
            let problem = format!("cannot upgrade the database: {reason}");
            let fix = "correct the revision files; `alembic history` reports the same";
            let found = ValueFinding::new(Code::BrokenHistory, problem, fix);
            findings.add(Subject::Step(step.name.clone()), found);
        }
        Err(Error::Uncertain(reason)) => {
            declared?;
            let instead = match question?.command {
                Some(_) => "its `command` is asked instead",
                None => "so it is always run",
            };
            let cannot = "cannot find out from alembic's files what is to be done";
            let text = format!("the step {} {cannot}: {reason}; {instead}", step.name);
            findings.notes.push(Note::new(NoteCode::History, text));
        }
    }
    None
}

/// The history and alembic's command line; `None` if the step neither has the built-in question nor runs `alembic
/// upgrade`.
fn history(
    step: &Step,
    declared: Option<&Alembic>,
    environment: &Environment,
) -> Result<Option<(History, CommandLine)>, Error> {
    let lookup = |name: &str| environment.get(name);
    let words = step.command.iter().map(|word| word.expand(lookup).ok());
    // A reference that is not set is a finding of its own.
    let words: Vec<OsString> = words.collect::<Option<_>>().unwrap_or_default();
    let line = alembic::command_line(&words)?.unwrap_or_default();
    if declared.is_none() && line.upgrade.is_none() {
        return Ok(None);
    }
    let named = declared.map(|declared| &declared.files);
    let named = named.filter(|files| !files.is_empty());
    let names = |key: fn(&Alembic) -> &Option<String>| {
        declared.is_none_or(|declared| key(declared).is_some())
    };
    let history = alembic::read(&Settings {
        files: named.unwrap_or(&line.files),
        variable: lookup("ALEMBIC_CONFIG"),
        python_path: lookup("PYTHONPATH"),
        section: line.section.as_deref().unwrap_or("alembic"),
        names_table: names(|declared| &declared.version_table),
        names_schema: names(|declared| &declared.version_table_schema),
    })?;
    Ok(Some((history, line)))
}

/// The finding for a step that upgrades to `head`, which alembic rejects if there are several.
fn several_heads(history: &History) -> Option<ValueFinding> {
    let heads = history.heads().into_iter();
    let heads = heads.map(|(revision, file)| format!("{revision} ({file})"));
    let heads: Vec<String> = heads.collect();
    (heads.len() > 1).then(|| {
        let (count, heads) = (heads.len(), first(&heads, MAX_HEADS));
        let problem = format!("upgrades to `head`, but there are {count} heads: {heads}");
        let fix = "merge them (`alembic merge heads`), or upgrade to `heads`";
        ValueFinding::new(Code::SeveralHeads, problem, fix)
    })
}
