//! What the manifest starts, and what it waits for before: the server, the steps, their locks, and `wait_for`.

use std::collections::HashSet;
use std::time::Duration;

use super::keys::{Keys, MAPPING};
use super::template::{Template, is_name};
use super::variable::Declared;
use super::{Lock, Place, Server, Step, Wait};
use crate::os::signals::Signal;
use crate::report::ValueFinding;
use crate::targets::{Protocol, Target};
use crate::url;

/// How long something is waited for, where the manifest does not say.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);

/// How long a lock is waited for, where the manifest does not say: as long as a migration may take.
const DEFAULT_LOCK_WAIT: Duration = Duration::from_mins(10);

/// How long a step may take to end after its stop signal, where it does not say.
const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(8);

/// Signals that a step can be asked to stop with, with `SIG` before the name or without.
const STOP_SIGNALS: [(&str, Signal); 14] = [
    ("TERM", Signal::TERM),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("HUP", Signal::HUP),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("KILL", Signal::KILL),
    ("SIGTERM", Signal::TERM),
    ("SIGINT", Signal::INT),
    ("SIGQUIT", Signal::QUIT),
    ("SIGHUP", Signal::HUP),
    ("SIGUSR1", Signal::USR1),
    ("SIGUSR2", Signal::USR2),
    ("SIGKILL", Signal::KILL),
];

/// What a build without the database's client says of a key that needs it.
const NO_POSTGRES: &str =
    "this startup-guard was built without the feature `postgres`; use a build with it";

/// Reads what is waited for.
pub fn waits(root: &mut Keys<'_>, declared: &Declared<'_>) -> Vec<Wait> {
    let expected = "expected a mapping such as {postgres: DATABASE_URL, timeout: 60s}";
    let waits = root.list("wait_for", expected).into_iter();
    waits.filter_map(|keys| wait(keys, declared)).collect()
}

fn wait(mut keys: Keys<'_>, declared: &Declared<'_>) -> Option<Wait> {
    let protocols = [Protocol::Postgres, Protocol::Tcp, Protocol::Http];
    let texts = protocols.map(|protocol| (protocol, keys.text(protocol.name())));
    let timeout = timeout(&mut keys, DEFAULT_WAIT);
    keys.finish();
    let mut given = protocols.iter().filter(|named| keys.has(named.name()));
    if given.next().is_none() || given.next().is_some() {
        keys.fault_here("needs exactly one of postgres, tcp and http");
        return None;
    }
    let mut texts = texts.into_iter();
    let (protocol, text) = texts.find_map(|(protocol, text)| Some((protocol, text?)))?;
    let place = place(protocol, text, &keys, declared)?;
    Some(Wait {
        protocol,
        place,
        timeout,
    })
}

fn lock(step: &mut Keys<'_>, declared: &Declared<'_>) -> Option<Lock> {
    let mut keys = step.mapping("lock", MAPPING)?;
    let text = keys.text("postgres");
    let timeout = timeout(&mut keys, DEFAULT_LOCK_WAIT);
    keys.finish();
    let message = "is missing; write the variable that holds the database's URL";
    keys.fault_if(!keys.has("postgres"), "postgres", message);
    let place = place(Protocol::Postgres, text?, &keys, declared)?;
    Some(Lock { place, timeout })
}

/// The name of a declared variable, or a valid literal.
fn place(
    protocol: Protocol,
    text: String,
    keys: &Keys<'_>,
    declared: &Declared<'_>,
) -> Option<Place> {
    let key = protocol.name();
    if protocol == Protocol::Postgres && cfg!(not(feature = "postgres")) {
        keys.fault(key, NO_POSTGRES);
        return None;
    }
    if is_name(&text) {
        declared.require(&text, keys, key)?;
        return Some(Place::Variable(text));
    }
    if !url::passwords(&text).is_empty() {
        let message = "has a password in it; name a variable that holds it, with `secret: true`";
        keys.fault(key, message);
        return None;
    }
    if let Err(ValueFinding { problem, fix, .. }) = Target::parse(protocol, &text, |_| None) {
        let message = format_args!("is not the name of a variable, and {problem}; {fix}");
        keys.fault(key, message);
        return None;
    }
    Some(Place::Literal(text))
}

fn timeout(keys: &mut Keys<'_>, default: Duration) -> Duration {
    let timeout = keys.duration("timeout").unwrap_or(default);
    if timeout.is_zero() {
        let shown = humantime::format_duration(default);
        let message = format_args!("must be more than 0; leave it out for {shown}");
        keys.fault("timeout", message);
    }
    timeout
}

/// A text that is printed within a line.
pub fn printed(keys: &mut Keys<'_>, key: &'static str) -> Option<String> {
    let text = keys.text(key)?;
    let has_control = text.contains(char::is_control);
    let message = "has a line break or another control character in it";
    keys.fault_if(has_control, key, message);
    Some(text)
}

/// A text that is printed with the values of variables, so none of them may be a secret.
pub fn announcement(
    keys: &mut Keys<'_>,
    key: &'static str,
    declared: &Declared<'_>,
) -> Option<Template> {
    let template = Template::parse(&keys.text(key)?);
    for (name, _) in template.references() {
        let is_secret = declared.get(name).is_some_and(|variable| variable.secret);
        let message = format!("`{name}` is a secret, and announcements are printed; remove it");
        keys.fault_if(is_secret, key, &message);
    }
    Some(template)
}

fn command(keys: &mut Keys<'_>, key: &'static str) -> Option<Vec<Template>> {
    let words = keys.words(key)?;
    keys.fault_if(
        words.is_empty(),
        key,
        "is empty; write it as a list such as [alembic, upgrade, head]",
    );
    let has_no_program = words
        .first()
        .is_some_and(|program| program.trim().is_empty());
    keys.fault_if(has_no_program, key, "its first word, the program, is empty");
    let has_nul = words.iter().any(|word| word.contains('\0'));
    keys.fault_if(has_nul, key, "has a NUL character in it");
    Some(words.iter().map(|word| Template::parse(word)).collect())
}

/// Reads the steps.
pub fn steps(root: &mut Keys<'_>, declared: &Declared<'_>) -> Vec<Step> {
    let mut names = HashSet::new();
    let expected = "expected a mapping with name and command";
    let steps = root.list("steps", expected).into_iter().map(|mut keys| {
        let step = step(&mut keys, declared);
        let is_again = !step.name.is_empty() && !names.insert(step.name.clone());
        let message = format!("another step is named `{}` already", step.name);
        keys.fault_if(is_again, "name", &message);
        step
    });
    steps.collect()
}

fn step(keys: &mut Keys<'_>, declared: &Declared<'_>) -> Step {
    let name = printed(keys, "name");
    let is_missing = !keys.has("name") || name.as_ref().is_some_and(String::is_empty);
    keys.fault_if(is_missing, "name", "is missing");
    let name = name.unwrap_or_default();
    let is_unnameable = name.contains(',') || name.trim() != name;
    let message =
        "has a comma or white space at an end, which --skip and STARTUP_GUARD_SKIP could not name";
    keys.fault_if(is_unnameable, "name", message);
    let mut announce = keys.mapping("announce", MAPPING);
    let mut announced = |key| announcement(announce.as_mut()?, key, declared);
    let (announce_start, announce_done) = (announced("start"), announced("done"));
    announce.iter().for_each(Keys::finish);
    let stop_signal = keys.choice("stop_signal", &STOP_SIGNALS);
    let step = Step {
        name,
        announce_start,
        announce_done,
        command: command(keys, "command").unwrap_or_default(),
        timeout: keys.duration("timeout"),
        stop_signal: stop_signal.unwrap_or(Signal::TERM),
        stop_grace: keys.duration("stop_grace").unwrap_or(DEFAULT_STOP_GRACE),
        allow_failure: keys.flag("allow_failure").unwrap_or(false),
        up_to_date: command(keys, "up_to_date"),
        lock: lock(keys, declared),
    };
    keys.finish();
    let message = "is missing; write it as a list such as [alembic, upgrade, head]";
    keys.fault_if(!keys.has("command"), "command", message);
    let is_zero = step.timeout.is_some_and(|timeout| timeout.is_zero());
    keys.fault_if(
        is_zero,
        "timeout",
        "must be more than 0; leave it out for no limit",
    );
    step
}

/// Reads the server.
pub fn server(root: &mut Keys<'_>, declared: &Declared<'_>) -> Option<Server> {
    let mut keys = root.mapping("server", MAPPING)?;
    let server = Server {
        announce: announcement(&mut keys, "announce", declared),
        command: command(&mut keys, "command").unwrap_or_default(),
        init: keys.flag("init").unwrap_or(false),
    };
    keys.finish();
    Some(server)
}

/// Reads the user that steps and server run as. Whether there is one of that name, only the image knows. Either
/// part may be empty, as for gosu: the user is then who starts the guard, and the groups are the user's.
pub fn user(root: &mut Keys<'_>) -> Option<String> {
    let user = root.text("user")?;
    // No line of /etc/passwd can have these in a name.
    let cannot_be = user.matches(':').count() > 1 || user.contains(char::is_control);
    let message = "must be a user's name or uid, with :group or :gid behind it or not, such as app or 1000:1000";
    root.fault_if(cannot_be, "user", message);
    Some(user)
}
