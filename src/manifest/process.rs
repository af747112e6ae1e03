//! Reads the server or the processes, and the steps with their locks.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use super::declared::{Declared, not_expanded};
use super::keys::{Cursor, Keys, Read};
use super::processes::{PROCESSES, Processes};
use super::template::{Template, is_name, unbraced};
use super::{Alembic, Lock, OnAhead, Place, Server, Step, UpToDate, forms};
use crate::alembic::Targets;
use crate::os::signals::Signal;
use crate::report::ValueFinding;
use crate::targets::{Protocol, Target};
use crate::url;

/// The default time-out of a lock, and of a wait for a step: long enough for another replica's migration.
pub const DEFAULT_LOCK_WAIT: Duration = Duration::from_mins(10);

/// The default time for a step to end after its stop signal.
const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(8);

/// The maximum of `retries`.
const MAX_RETRIES: u32 = 1000;

/// The default and the maximum of `retry_delay`.
const DEFAULT_RETRY_DELAY: Duration = Duration::from_secs(5);
const MAX_RETRY_DELAY: Duration = Duration::from_hours(1);

/// The default time limit of a command of `up_to_date`.
const DEFAULT_QUESTION_LIMIT: Duration = Duration::from_mins(1);

/// The values of `stop_signal`.
const STOP_SIGNALS: &str = "TERM INT QUIT HUP USR1 USR2 KILL \
     SIGTERM SIGINT SIGQUIT SIGHUP SIGUSR1 SIGUSR2 SIGKILL";

/// The values of `on_ahead`.
const ON_AHEAD: [(&str, OnAhead); 3] = [
    ("run", OnAhead::Run),
    ("skip", OnAhead::Skip),
    ("fail", OnAhead::Fail),
];

/// The keys of `up_to_date` that only alembic has.
const OF_ALEMBIC: [&str; 5] = [
    "config",
    "version_table",
    "version_table_schema",
    "heads",
    "on_ahead",
];

/// The key of a step with the way to find out whether it has nothing to do, and of a wait for that step.
pub const UP_TO_DATE: &str = "up_to_date";

/// The message for a key that needs the PostgreSQL client, in a build without it.
const NO_POSTGRES: &str =
    "this build of startup-guard does not have the feature `postgres`; use one that has it";

fn lock(step: &mut Keys<'_>, declared: &Declared<'_>) -> Option<Lock> {
    let expected = "expected a mapping such as {postgres: DATABASE_URL}";
    let mut keys = step.mapping("lock", expected)?;
    let place = place(Protocol::Postgres, "postgres", &mut keys, declared);
    let timeout = timeout(&mut keys, DEFAULT_LOCK_WAIT);
    keys.finish();
    let message = "is missing; write the name of the variable that holds the database's URL";
    keys.fault_if(!keys.has("postgres"), "postgres", message);
    let place = place?;
    Some(Lock { place, timeout })
}

/// Reads `up_to_date` of a step: a command, or a mapping for a command or alembic. Also returns the time limit of the
/// command.
fn up_to_date(step: &mut Keys<'_>, declared: &Declared<'_>) -> Option<(UpToDate, Duration)> {
    let value = step.get(UP_TO_DATE)?;
    if !value.is_mapping() {
        let expected = "{alembic: DATABASE_URL} or a list of words such as [test, -e, done]";
        let command = words(&value, expected, declared);
        let alembic = None;
        return Some((UpToDate { alembic, command }, DEFAULT_QUESTION_LIMIT));
    }
    let mut keys = value.keys("expected a mapping");
    let place = place(Protocol::Postgres, "alembic", &mut keys, declared);
    let command = command(&mut keys, declared);
    let (has_alembic, has_command) = (keys.has("alembic"), keys.has("command"));
    let message =
        "is missing; write the name of the variable that holds the database's URL, or a `command`";
    keys.fault_if(!has_alembic && !has_command, "alembic", message);
    let limit = timeout(&mut keys, DEFAULT_QUESTION_LIMIT);
    let message = "is the time limit of `command`, which is missing";
    keys.fault_if(keys.has("timeout") && !has_command, "timeout", message);
    let is_valid =
        |files: &Vec<String>| (1..=2).contains(&files.len()) && !files.contains(&String::new());
    let message = "must name an ini file, a pyproject.toml, or one of each";
    let files = keys.read_valid("config", is_valid, message);
    let alembic = Alembic {
        // A manifest with a fault is discarded.
        place: place.unwrap_or_else(|| Place::Literal(Template::parse(""))),
        files: files.into_iter().flatten().map(PathBuf::from).collect(),
        version_table: identifier(&mut keys, "version_table"),
        version_table_schema: identifier(&mut keys, "version_table_schema"),
        heads: heads(&mut keys),
        on_ahead: keys.choice("on_ahead", &ON_AHEAD).unwrap_or_default(),
    };
    keys.finish();
    for key in OF_ALEMBIC {
        let message = "is only valid with `alembic`, the variable that holds the database's URL";
        keys.fault_if(!has_alembic && has_command && keys.has(key), key, message);
    }
    let alembic = has_alembic.then_some(alembic);
    Some((UpToDate { alembic, command }, limit))
}

/// Reads a name in the database. It becomes part of a query.
fn identifier(keys: &mut Keys<'_>, key: &'static str) -> Option<String> {
    let is_special = |character: char| character.is_control() || "'\"\\".contains(character);
    let is_valid = |name: &String| !name.is_empty() && !name.contains(is_special);
    let message = "must not be empty, or contain quotes, backslashes or control characters";
    keys.read_valid(key, is_valid, message)
}

fn heads(keys: &mut Keys<'_>) -> Option<Targets> {
    let is_valid =
        |items: &Vec<String>| !items.is_empty() && !items.iter().any(|item| item.trim().is_empty());
    let message = "is empty; write `all`, or a list of what the step upgrades to";
    let items = keys.read_valid("heads", is_valid, message)?;
    match &*items {
        [all] if all == "all" => Some(Targets::All),
        _ => Some(Targets::Listed(items)),
    }
}

/// Reads the name of a declared variable, or an address, which must be valid unless it has references.
pub fn place(
    protocol: Protocol,
    key: &'static str,
    keys: &mut Keys<'_>,
    declared: &Declared<'_>,
) -> Option<Place> {
    let text: String = keys.read(key)?;
    if protocol == Protocol::Postgres && cfg!(not(feature = "postgres")) {
        keys.fault(key, NO_POSTGRES);
        return None;
    }
    if is_name(&text) || declared.get(&text).is_some() {
        declared.require(&text, keys, key)?;
        declared.check_needs([&*text], &keys.value(key)?);
        return Some(Place::Variable(text));
    }
    let template = Template::parse(&text);
    declared.check_needs(template.needs(), &keys.value(key)?);
    if let Some(name) = template.whole().filter(|name| declared.get(name).is_some()) {
        return Some(Place::Variable(name.to_owned()));
    }
    let filled = |value: &'static str| {
        let filled = template.expand(|_| Some(OsStr::new(value)));
        filled.unwrap_or_default().to_string_lossy().into_owned()
    };
    // A path of a web page may contain a `$`.
    let is_known = |name: &str| protocol == Protocol::Tcp || declared.is_expected(name);
    if let Some((_, name)) = unbraced(&[&filled("1")], is_known).first() {
        keys.fault(key, not_expanded("no shell", name));
        return None;
    }
    // The password itself is in the manifest; that of a reference is not.
    if !url::passwords(&filled("")).is_empty() {
        let message = "contains a password; name a variable with `secret: true` that holds the URL";
        keys.fault(key, message);
        return None;
    }
    let has_references = template.references().next().is_some();
    if !has_references
        && let Err(ValueFinding { problem, fix, .. }) =
            Target::parse(protocol, &filled(""), |_| None)
    {
        let message = format_args!("is not the name of a variable, and {problem}; {fix}");
        keys.fault(key, message);
    }
    Some(Place::Literal(template))
}

/// Reads `timeout`, for which there is a default.
pub fn timeout(keys: &mut Keys<'_>, default: Duration) -> Duration {
    let timeout = duration(keys, "timeout", humantime::format_duration(default));
    timeout.unwrap_or(default)
}

/// Reads a duration of more than 0. `without` is what applies without the key.
pub fn duration(keys: &mut Keys<'_>, key: &'static str, without: impl Display) -> Option<Duration> {
    let message = format_args!("must be more than 0; leave it out for {without}");
    keys.read_valid(key, |read: &Duration| !read.is_zero(), message)
}

/// Reads a text that is printed as part of one line.
pub fn printed(keys: &mut Keys<'_>, key: &'static str) -> Option<String> {
    let is_valid = |text: &String| !text.contains(char::is_control);
    let message = "contains a line break or another control character";
    keys.read_valid(key, is_valid, message)
}

/// Reads an announcement. It is printed with the values of the variables to which it refers, so these must not be
/// secrets.
pub fn announcement(
    keys: &mut Keys<'_>,
    key: &'static str,
    declared: &Declared<'_>,
) -> Option<Template> {
    let value = keys.get(key)?;
    let template = Template::parse(&String::read(&value)?);
    declared.check_needs(template.needs(), &value);
    for (name, _) in template.references() {
        let is_secret = declared.get(name).is_some_and(|variable| variable.secret);
        let message =
            format_args!("`{name}` is a secret, and announcements are printed; remove it");
        keys.fault_if(is_secret, key, message);
    }
    Some(template)
}

/// Reads `command`.
pub fn command(keys: &mut Keys<'_>, declared: &Declared<'_>) -> Option<Vec<Template>> {
    let expected = "a list of words such as [alembic, upgrade, head] (no shell splits a text)";
    words(&keys.get("command")?, expected, declared)
}

/// Reads the words of a command, a list.
fn words(value: &Cursor<'_>, expected: &str, declared: &Declared<'_>) -> Option<Vec<Template>> {
    if let Some(text) = value.text() {
        let words = forms::command(text);
        value.fault(format_args!("expected {expected}; write {words}"));
        return None;
    }
    let items = value.items(expected)?;
    for item in items.iter().filter(|item| item.is_null()) {
        item.fault("is null, not a word; put a text in quotes, or remove it");
    }
    let words: Vec<String> = items.iter().filter_map(String::read).collect();
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    for (index, name) in unbraced(&texts, |name| declared.is_expected(name)) {
        items[index].fault(not_expanded("no shell", name));
    }
    let templates: Vec<Template> = texts.iter().map(|text| Template::parse(text)).collect();
    for (template, item) in templates.iter().zip(&items) {
        declared.check_needs(template.needs(), item);
    }
    let fault = match words.first() {
        _ if words.len() < items.len() => return None,
        Some(line) if forms::is_command_line(line) => {
            let words = forms::command(line);
            let message = "is a whole command line, not a program; write its words one by one";
            items[0].fault(format_args!("{message}: {words}"));
            return None;
        }
        None => "is empty; write it as a list such as [alembic, upgrade, head]",
        Some(program) if program.trim().is_empty() => "its first word, the program, is empty",
        _ if words.iter().any(|word| word.contains('\0')) => "contains a NUL character",
        _ => return Some(templates),
    };
    value.fault(fault);
    None
}

/// Reads the steps.
pub fn steps(root: &mut Keys<'_>, declared: &Declared<'_>) -> Vec<Step> {
    let mut names = HashSet::new();
    let steps = root.list("steps", forms::step()).into_iter();
    let steps = steps.map(|mut keys| {
        let step = step(&mut keys, declared);
        let is_again = !step.name.is_empty() && !names.insert(step.name.clone());
        let message = format_args!("another step already has the name `{}`", step.name);
        keys.fault_if(is_again, "name", message);
        step
    });
    steps.collect()
}

fn step(keys: &mut Keys<'_>, declared: &Declared<'_>) -> Step {
    let limits = declared.processes.limits(keys);
    let declared = &declared.needed_by(declared.processes.limited_to(&limits));
    let name = printed(keys, "name");
    let is_missing = !keys.has("name") || name.as_ref().is_some_and(String::is_empty);
    keys.fault_if(is_missing, "name", "is missing");
    let name = name.unwrap_or_default();
    let is_unnameable = name.contains(',') || name.trim() != name;
    let message = "contains a comma, or begins or ends with white space, so --skip and STARTUP_GUARD_SKIP could not select it";
    keys.fault_if(is_unnameable, "name", message);
    let mut announce = keys.mapping("announce", "expected a mapping such as {start: …, done: …}");
    let mut announced = |key| announcement(announce.as_mut()?, key, declared);
    let (announce_start, announce_done) = (announced("start"), announced("done"));
    if let Some(mut keys) = announce {
        keys.finish();
    }
    let signals = STOP_SIGNALS.split(' ');
    let signals = signals.filter_map(|name| Some((name, Signal::parse(name)?)));
    let stop_signal = keys.choice("stop_signal", &signals.collect::<Vec<_>>());
    let message = format_args!("must be at most {MAX_RETRIES}");
    let retries = keys.read_valid("retries", |retries| *retries <= MAX_RETRIES, message);
    let (up_to_date, up_to_date_limit) = up_to_date(keys, declared).unzip();
    let step = Step {
        name,
        announce_start,
        announce_done,
        command: command(keys, declared).unwrap_or_default(),
        timeout: duration(keys, "timeout", "no limit"),
        stop_signal: stop_signal.unwrap_or(Signal::TERM),
        stop_grace: keys.read("stop_grace").unwrap_or(DEFAULT_STOP_GRACE),
        allow_failure: keys.read("allow_failure").unwrap_or(false),
        retries: retries.unwrap_or_default(),
        retry_delay: retry_delay(keys),
        up_to_date,
        up_to_date_limit: up_to_date_limit.unwrap_or(DEFAULT_QUESTION_LIMIT),
        lock: lock(keys, declared),
        processes: limits,
    };
    keys.finish();
    let message = "is missing; write it as a list such as [alembic, upgrade, head]";
    keys.fault_if(!keys.has("command"), "command", message);
    step
}

fn retry_delay(step: &mut Keys<'_>) -> Duration {
    let delay: Option<Duration> = step.read("retry_delay");
    let delay = delay.unwrap_or(DEFAULT_RETRY_DELAY);
    step.fault_if(delay.is_zero(), "retry_delay", "must be more than 0");
    let is_too_long = delay > MAX_RETRY_DELAY;
    step.fault_if(is_too_long, "retry_delay", "must be at most 1h");
    let is_alone = step.has("retry_delay") && !step.has("retries");
    let message = "is only valid with `retries`, the number of further tries";
    step.fault_if(is_alone, "retry_delay", message);
    delay
}

/// Reads the server.
pub fn server(root: &mut Keys<'_>, declared: &Declared<'_>) -> Option<Server> {
    let keys = root.mapping("server", forms::server())?;
    Some(server_process(keys, declared))
}

/// Reads the processes.
pub fn processes<'k: 'd, 'd>(
    root: &mut Keys<'k>,
    declared: &Declared<'d>,
) -> Vec<(String, Server)> {
    const EXPECTED: &str = "expected a mapping such as {web: {command: [uvicorn, app.main:app]}}";
    let processes = root.mapping(PROCESSES, EXPECTED);
    let process = |(name, value): (&'k str, Cursor<'k>)| {
        let keys = value.keys(forms::server());
        let declared = declared.needed_by(Processes(vec![name]));
        (name.to_owned(), server_process(keys, &declared))
    };
    let entries = processes.iter().flat_map(Keys::entries);
    entries.map(process).collect()
}

fn server_process(mut keys: Keys<'_>, declared: &Declared<'_>) -> Server {
    let server = Server {
        announce: announcement(&mut keys, "announce", declared),
        command: command(&mut keys, declared).unwrap_or_default(),
        init: keys.read("init").unwrap_or(false),
    };
    keys.finish();
    server
}

/// Reads the user as which the steps and the server run. Whether that user exists is checked at the start. As for gosu,
/// either part may be empty: an empty user is the one that runs the guard, and an empty group is the user's own.
pub fn user(root: &mut Keys<'_>) -> Option<String> {
    // Names in /etc/passwd cannot contain these.
    let is_valid =
        |user: &String| user.matches(':').count() <= 1 && !user.contains(char::is_control);
    let message = "must be a user name or uid, optionally followed by :group or :gid, such as app or 1000:1000";
    root.read_valid("user", is_valid, message)
}
