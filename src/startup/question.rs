//! Asks alembic's version table whether a step has nothing to do.

use std::time::{Duration, Instant};

use super::RunError;
use super::progress::{Dependency, Next, until_ready};
use crate::alembic::Status;
use crate::check::{AlembicQuestion, OnAhead};
use crate::net::Error;
use crate::net::postgres::{self, Session};
use crate::os::signals::Signals;

/// The maximum number of rows of a version table. It has one row for each branch.
const MAX_ROWS: usize = 1000;

/// How long a question without a lock waits for the database.
const LIMIT: Duration = Duration::from_mins(1);

/// Asks over a connection of its own, and waits for the database for at most `LIMIT`.
///
/// # Errors
/// If the database is not ready in time or keeps refusing the log-in, or a stop arrives.
pub fn status(question: &AlembicQuestion, signals: &Signals) -> Result<Status, RunError> {
    let name = question.shown.clone();
    let question = question.clone();
    let dependency = Dependency {
        name,
        timeout: LIMIT,
        attempt: Some(Box::new(move |until| ask_alone(&question, until))),
        yields: true,
    };
    let (mut answers, _) = until_ready(vec![dependency], None, signals, |_| Ok(Next::Never))?;
    Ok(answers.swap_remove(0))
}

/// Asks over a new connection.
///
/// # Errors
/// If the database is not ready.
pub fn ask_alone(question: &AlembicQuestion, until: Instant) -> Result<Status, Error> {
    let mut session = postgres::connect(&question.database, "startup-guard", until)?;
    let status = ask(question, &mut session, until);
    session.close();
    status
}

/// Asks over a session with the question's database.
///
/// # Errors
/// If the connection is lost, or there is no answer until `until`.
pub fn ask(
    question: &AlembicQuestion,
    session: &mut Session,
    until: Instant,
) -> Result<Status, Error> {
    let table = &question.table;
    let exists = format!("SELECT to_regclass('{table}') IS NOT NULL");
    let rows = match session.ask_if_accepted(&exists, until)? {
        Ok(exists) if exists == "f" => Ok("[]".to_owned()),
        Ok(_) => {
            let rows = format!(
                "SELECT coalesce(json_agg(version_num), '[]') FROM (SELECT version_num FROM {table} LIMIT {MAX_ROWS}) AS rows"
            );
            session.ask_if_accepted(&rows, until)?
        }
        rejected => rejected,
    };
    Ok(match rows {
        Err(code) => Status::Uncertain(format!(
            "the database rejects the query of {table} ({code})"
        )),
        Ok(rows) => match serde_json::from_str::<Vec<String>>(&rows) {
            Ok(rows) if rows.len() < MAX_ROWS => question.history.status(&rows, &question.targets),
            _ => Status::Uncertain(format!("{table} does not contain revisions")),
        },
    })
}

/// Asks over a new connection whether there is nothing to do. For a wait. If the answer is not certain, a fallback ends
/// the wait. Returns whether it is needed.
///
/// # Errors
/// If there is something to do, or the database is not ready.
pub fn ask_until_up_to_date(
    question: &AlembicQuestion,
    has_fallback: bool,
    until: Instant,
) -> Result<bool, Error> {
    let reason = match ask_alone(question, until)? {
        Status::UpToDate => return Ok(false),
        Status::Ahead(_) if question.on_ahead == OnAhead::Skip => return Ok(false),
        Status::Uncertain(_) if has_fallback => return Ok(true),
        Status::Ahead(rows) => ahead(&rows),
        Status::Pending(count) => pending(count),
        Status::Uncertain(reason) => reason,
    };
    Err(Error::not_yet(reason))
}

/// Whether the step is to be run.
pub fn wants_run(question: &AlembicQuestion, status: &Status) -> bool {
    match status {
        Status::UpToDate => false,
        Status::Ahead(_) => question.on_ahead == OnAhead::Run,
        Status::Pending(_) | Status::Uncertain(_) => true,
    }
}

/// The message that the database has revisions that no file has.
pub fn ahead(rows: &[String]) -> String {
    let rows = rows.join(", ");
    format!("the database is ahead of this code: no file has {rows}")
}

/// The message that alembic would run revisions.
pub fn pending(count: usize) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("alembic has {count} revision{s} to run")
}
