//! The plan of the start. All commands and announcements are expanded and all addresses parsed before the guard waits
//! for anything or runs anything.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::findings::Findings;
use super::history;
use super::remarks::remarks;
#[cfg(feature = "postgres")]
use crate::alembic::{History, Targets};
use crate::environment::Environment;
#[cfg(feature = "postgres")]
use crate::manifest::OnAhead;
use crate::manifest::{self, NotComposed, Place, Scope, Template};
use crate::report::{Code, Subject, ValueFinding, wrong_type};
#[cfg(feature = "postgres")]
use crate::targets::postgres::PostgresTarget;
use crate::targets::{Protocol, Target};
use crate::url::certain_passwords;

/// The maximum length of an expanded text, in bytes. It only bounds the memory: `execve` rejects arguments of 128 KiB
/// (`MAX_ARG_STRLEN`) and more.
const MAX_LENGTH: usize = 4 * 1024 * 1024;

/// The maximum length of an address with its references expanded, in bytes.
const MAX_ADDRESS: usize = 64 * 1024;

/// The length from which on the command of a wait is cut in messages, in bytes.
const MAX_SHOWN: usize = 200;

/// Everything that the phases after the check need. Only a check without errors creates one: the private field prevents
/// other modules from doing so.
pub struct Plan<'m> {
    /// The effective environment, which the steps and the server get.
    pub environment: Environment,
    pub(super) secrets: Vec<Vec<u8>>,
    pub service: Option<String>,
    pub waits: Vec<Wait<'m>>,
    pub steps: Vec<Step<'m>>,
    /// `None` if no server is to be started.
    pub server: Option<Server>,
}

/// A dependency that must be ready before the first step.
pub struct Wait<'m> {
    /// The dependency for messages, such as `postgres DATABASE_URL (db:5432)`.
    pub what: String,
    pub awaited: Awaited<'m>,
    pub timeout: Duration,
}

/// What a wait waits for.
pub enum Awaited<'m> {
    /// A server; `None` if the variable that holds its address is not set: there is nothing to wait for.
    Server(Option<Target>),
    /// A command that ends with 0 if its dependency is ready, and the pause after each other end.
    Command(Words, Duration),
    /// A step that another process runs has nothing to do.
    Step(&'m manifest::Step, Question),
}

/// A command to run before the server starts.
pub struct Step<'m> {
    /// The step in the manifest. Its texts are expanded in the other fields.
    pub declared: &'m manifest::Step,
    pub announce_start: Option<OsString>,
    pub announce_done: Option<OsString>,
    pub command: Words,
    pub question: Option<Question>,
    pub lock: Option<Lock>,
}

/// How to find out whether a step has nothing to do.
pub enum Question {
    /// A command that exits with 0 if there is nothing to do.
    Command(Words),
    #[cfg(feature = "postgres")]
    Alembic(Box<AlembicQuestion>, Option<Words>),
}

/// Whether alembic would run a revision.
#[cfg(feature = "postgres")]
#[derive(Clone)]
pub struct AlembicQuestion {
    pub database: PostgresTarget,
    /// The database's addresses, for messages.
    pub shown: String,
    /// Whether the step's lock is in the same database, so that one connection serves both.
    pub is_of_lock: bool,
    /// The name of the version table with its schema, quoted.
    pub table: String,
    pub history: History,
    pub targets: Targets,
    pub on_ahead: OnAhead,
}

/// The lock to hold while a step runs.
pub struct Lock {
    #[cfg(feature = "postgres")]
    pub database: PostgresTarget,
    /// The database's addresses, for messages.
    pub shown: String,
    /// How long to wait for the lock.
    pub timeout: Duration,
}

/// The server to become.
pub struct Server {
    pub announce: Option<OsString>,
    pub command: Words,
}

/// A command: a program and its arguments.
pub struct Words {
    /// With their references expanded. They can contain secrets.
    pub expanded: Vec<OsString>,
    /// As the user wrote them, for messages.
    pub written: Vec<OsString>,
}

impl Plan<'_> {
    /// The strings to mask in the output of steps. None of them is empty.
    pub fn secrets(&self) -> &[Vec<u8>] {
        &self.secrets
    }
}

impl Question {
    /// The command that is asked, and whether it is certainly asked.
    pub fn command(&self) -> (Option<&Words>, bool) {
        match self {
            Question::Command(command) => (Some(command), true),
            #[cfg(feature = "postgres")]
            Question::Alembic(_, fallback) => (fallback.as_ref(), false),
        }
    }
}

impl Words {
    /// The whole command as the user wrote it.
    pub fn shown(&self) -> String {
        let words = self.written.iter().map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>().join(" ")
    }
}

impl<'m> Findings<'_, 'm> {
    /// Builds the plan, and adds a finding for each part that cannot be built. The caller must discard the plan if a
    /// target cannot be used, or if there are errors among the findings.
    pub fn plan(&mut self, secrets: Vec<Vec<u8>>) -> Plan<'m> {
        let (manifest, selection) = (self.manifest, self.selection);
        let steps = selection.steps.iter().map(|step| self.step(step)).collect();
        let server = selection.server.as_ref().map(|command| {
            let server = manifest.server_of(selection.scope);
            let announce = server.and_then(|server| server.announce.as_ref());
            let of = match selection.scope {
                Scope::Process(name) => format!("the process {name}"),
                _ => "the server".to_owned(),
            };
            Server {
                announce: self.announcement(&of, announce),
                command: self.words(&of, command, !selection.admits_shell),
            }
        });
        let waits = manifest.waits.iter();
        let waits = waits.filter(|wait| selection.scope.includes(&wait.processes));
        let waits = waits.filter_map(|wait| self.wait(wait)).collect();
        Plan {
            environment: self.environment.clone(),
            secrets,
            service: manifest.service.clone(),
            waits,
            steps,
            server,
        }
    }

    fn step(&mut self, step: &'m manifest::Step) -> Step<'m> {
        let of = format!("the step {}", step.name);
        Step {
            declared: step,
            announce_start: self.announcement(&of, step.announce_start.as_ref()),
            announce_done: self.announcement(&of, step.announce_done.as_ref()),
            command: self.words(&of, &step.command, false),
            lock: self.lock(step),
            question: self.question(step).0,
        }
    }

    /// A wait of the manifest. Returns `None` for a step that this process itself runs, and for a step whose question
    /// cannot be asked, which is a finding.
    fn wait(&mut self, wait: &'m manifest::Wait) -> Option<Wait<'m>> {
        let (what, awaited) = match &wait.awaited {
            manifest::Awaited::Server(protocol, place) => {
                let name = protocol.name();
                let of = format!("the wait for {name}");
                let (mut target, shown) = self.target(&of, *protocol, place, true).unzip();
                if let Some(Target::Http(page)) = &mut target {
                    page.statuses.clone_from(&wait.statuses);
                }
                let what = match (place, shown) {
                    (Place::Variable(variable), None) => format!("{name} {variable}"),
                    (Place::Variable(variable), Some(at)) => format!("{name} {variable} ({at})"),
                    (Place::Literal(_), Some(at)) => format!("{name} {at}"),
                    (Place::Literal(text), None) => format!("{name} {}", text.source().display()),
                };
                (what, Awaited::Server(target))
            }
            manifest::Awaited::Command(command, interval) => {
                let words = self.words("a wait", command, false);
                // Many messages contain it.
                let shown = words.shown();
                let line = shown.lines().next().unwrap_or_default();
                let start = &line[..line.floor_char_boundary(MAX_SHOWN)];
                let rest = if start.len() < shown.len() {
                    " …"
                } else {
                    ""
                };
                let what = format!("command {start}{rest}");
                (what, Awaited::Command(words, *interval))
            }
            manifest::Awaited::Step(name) if self.selection.has_step(name) => return None,
            manifest::Awaited::Step(name) => {
                let step = self.manifest.steps.iter().find(|step| step.name == *name)?;
                let (question, is_readable) = self.question(step);
                let Some(question) = question else {
                    // Otherwise the database's address is what is missing, which is a finding already.
                    if !is_readable {
                        let problem =
                            "is waited for, but whether it has anything to do cannot be found out";
                        let fix = "add `command` to its `up_to_date`, which answers if alembic's files do not";
                        let found = ValueFinding::new(Code::UnreadableHistory, problem, fix);
                        self.add(Subject::Step(name.clone()), found);
                    }
                    return None;
                };
                let at = match &question {
                    #[cfg(feature = "postgres")]
                    Question::Alembic(asked, _) => format!(" ({})", asked.shown),
                    Question::Command(_) => String::new(),
                };
                let what = format!("the step {name}{at}");
                (what, Awaited::Step(step, question))
            }
        };
        Some(Wait {
            what,
            awaited,
            timeout: wait.timeout,
        })
    }

    fn lock(&mut self, step: &manifest::Step) -> Option<Lock> {
        let lock = step.lock.as_ref()?;
        let what = format!("the lock of the step {}", step.name);
        match self.target(&what, Protocol::Postgres, &lock.place, false)? {
            #[cfg(feature = "postgres")]
            (Target::Postgres(database), shown) => Some(Lock {
                database: *database,
                shown,
                timeout: lock.timeout,
            }),
            _ => None,
        }
    }

    /// How to find out whether a step has nothing to do; `None` if the step runs always. Also whether alembic's files can
    /// be read for certain.
    fn question(&mut self, step: &manifest::Step) -> (Option<Question>, bool) {
        let history = history::read(step, self);
        let is_readable = history.is_some();
        let of = format!("the step {}, up_to_date", step.name);
        let Some(asked) = &step.up_to_date else {
            return (None, is_readable);
        };
        let command = asked.command.as_ref();
        let command = command.map(|command| self.words(&of, command, false));
        let Some(alembic) = &asked.alembic else {
            return (command.map(Question::Command), is_readable);
        };
        let database = self.target(&of, Protocol::Postgres, &alembic.place, false);
        let question = match (history, database) {
            #[cfg(feature = "postgres")]
            (Some((history, targets)), Some((Target::Postgres(database), shown))) => {
                let lock = step.lock.as_ref();
                let question = AlembicQuestion {
                    database: *database,
                    shown,
                    is_of_lock: lock.is_some_and(|lock| lock.place == alembic.place),
                    table: alembic.quoted_table(),
                    history,
                    targets,
                    on_ahead: alembic.on_ahead,
                };
                Some(Question::Alembic(Box::new(question), command))
            }
            _ => command.map(Question::Command),
        };
        (question, is_readable)
    }

    /// The target of a wait or a lock, with its addresses for messages; `None` if its variable is not set, or if its
    /// address cannot be used. An unusable address is an error regardless of the variable's level, because no step may
    /// run without its waits and its lock. An unset variable is one too, unless `may_be_absent` is true.
    fn target(
        &mut self,
        what: &str,
        protocol: Protocol,
        place: &Place,
        may_be_absent: bool,
    ) -> Option<(Target, String)> {
        let environment = self.environment;
        let set = |name: &str| {
            let text = environment.get(name).and_then(OsStr::to_str);
            text.filter(|text| !text.trim().is_empty())
        };
        let (name, address, of_literal) = match place {
            Place::Literal(text) => {
                let address = self.address(what, text, may_be_absent)?;
                // The address is wrong as a whole, so the finding is about the first variable that is part of it.
                let name = text.references().find(|(name, _)| set(name).is_some());
                let name = name.map_or(protocol.name(), |(name, _)| name);
                let of_literal = format!(" in {}", text.source().display());
                (name, Some(address), of_literal)
            }
            Place::Variable(name) => (&**name, set(name).map(str::to_owned), String::new()),
        };
        let found = match address.map(|text| Target::parse(protocol, &text, set)) {
            Some(Ok(target)) => {
                let shown = self.shown(place, target.shown());
                return Some((target, shown));
            }
            None if may_be_absent => return None,
            None => {
                let problem = format!("is not set, and {what} needs it");
                let fix = format!("set {}", self.what_to_set(name));
                ValueFinding::new(Code::Missing, problem, fix)
            }
            Some(Err(found)) => {
                let problem = format!("{} ({what} uses it{of_literal})", found.problem);
                ValueFinding::new(found.code, problem, found.fix)
            }
        };
        self.is_complete = false;
        // A variable that is already reported is not reported again.
        if !self.is_explained(name) {
            self.add(Subject::variable(name), found);
        }
        None
    }

    /// The address with its references expanded. `None` if some of them are unset, which is a finding, or, if
    /// `may_be_absent` is true, if all of those without a default are declared variables that are not set.
    fn address(&mut self, what: &str, text: &Template, may_be_absent: bool) -> Option<String> {
        let environment = self.environment;
        let is_set = |name: &str| {
            let value = environment.get(name);
            value.is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
        };
        let needed = text.references().filter(|(_, has_default)| !has_default);
        let needed: Vec<&str> = needed.map(|(name, _)| name).collect();
        let is_absent = |name: &&str| !is_set(name) && self.by_name.contains_key(name);
        if may_be_absent && !needed.is_empty() && needed.iter().all(is_absent) {
            return None;
        }
        let unset: Vec<&str> = needed.into_iter().filter(|name| !is_set(name)).collect();
        for name in &unset {
            if !self.is_explained(name) {
                let found = self.unset_reference(name, what);
                self.add(Subject::variable(name), found);
            }
        }
        if !unset.is_empty() {
            self.is_complete = false;
            return None;
        }
        // Blank values are unset, so that a default replaces them.
        let lookup = |name: &str| environment.get(name).filter(|_| is_set(name));
        let (name, found) = match text.compose(lookup, MAX_ADDRESS) {
            Ok(pieces) => {
                let text = pieces.into_iter().flat_map(|(_, piece)| piece);
                return Some(String::from_utf8_lossy(&text.collect::<Vec<_>>()).into_owned());
            }
            Err(NotComposed::Unset(name)) => (name, self.unset_reference(name, what)),
            Err(NotComposed::FolderAsHost(name)) => {
                let problem = format!("is a path, and would be the host of {what}");
                let fix = format!(
                    "set {name} to a host, or write the folder of a socket as a parameter: `?host=${{{name}}}`"
                );
                (name, wrong_type(problem, fix))
            }
            Err(NotComposed::TooLong) => {
                let problem = format!("makes the address of {what} longer than 64 KiB");
                let references = text.references().map(|(name, _)| name);
                let longest = references.max_by_key(|name| lookup(name).map_or(0, OsStr::len));
                let found = ValueFinding::new(Code::TooLong, problem, "use a shorter value");
                (longest.unwrap_or_default(), found)
            }
        };
        self.add(Subject::variable(name), found);
        self.is_complete = false;
        None
    }

    /// The addresses of a target for messages. An address of the manifest is shown as it is written if a reference would
    /// show a secret, or a part of one.
    fn shown(&self, place: &Place, shown: String) -> String {
        let Place::Literal(text) = place else {
            return shown;
        };
        let secrets = text.references().filter(|(name, _)| self.is_secret(name));
        let mut values = secrets.filter_map(|(name, _)| self.environment.get(name)?.to_str());
        let is_part = |part: &str, value: &str| !part.is_empty() && value.contains(part);
        let shows_secret = values.any(|value| {
            let mut parts = shown.split([':', ',', '[', ']']);
            is_part(value.trim(), &shown) || parts.any(|part| is_part(part, value))
        });
        if shows_secret {
            return text.source().to_string_lossy().into_owned();
        }
        shown
    }

    fn words(&mut self, of: &str, command: &[Template], is_server: bool) -> Words {
        let declared = &self.by_name;
        let is_known = |name: &str| name == "PORT" || declared.contains_key(name);
        self.notes.extend(remarks(of, command, is_server, is_known));
        let what = format!("the command of {of}");
        let expanded = command.iter().map(|word| self.expanded(&what, word, true));
        let written = command.iter().map(|word| word.source().to_owned());
        Words {
            expanded: expanded.collect(),
            written: written.collect(),
        }
    }

    /// The announcement of the service, of a step or of the server, expanded.
    pub fn announcement(&mut self, of: &str, text: Option<&Template>) -> Option<OsString> {
        let what = format!("the announcement of {of}");
        text.map(|text| self.expanded(&what, text, false))
    }

    /// The text with its references expanded. It is returned unexpanded if a reference is unset, if it would become too
    /// long, or if an announcement would print a password. Each of these, and each secret in an argument, is a finding.
    fn expanded(&mut self, what: &str, template: &Template, is_argument: bool) -> OsString {
        let environment = self.environment;
        let lookup = |name: &str| environment.get(name);
        let as_written = || template.source().to_owned();
        if template.length(lookup) > MAX_LENGTH {
            // The manifest itself is shorter than the limit, so the value of a reference exceeds it.
            let references = template.references();
            let longest = references.max_by_key(|(name, _)| lookup(name).map_or(0, OsStr::len));
            let problem = format!("makes {what} longer than 4 MiB");
            let fix = "use a shorter value, or refer to it once";
            let found = ValueFinding::new(Code::TooLong, problem, fix);
            let (name, _) = longest.unwrap_or_default();
            self.add(Subject::variable(name), found);
            return as_written();
        }
        if !is_argument && let Some(name) = announced_password(template, environment) {
            let problem = format!("contains a password, and {what} would print it");
            let instead = "or refer to a variable that contains only the host";
            let fix = format!("remove ${{{name}}} from it, {instead}");
            let found = ValueFinding::new(Code::PasswordAnnounced, problem, fix);
            self.add(Subject::variable(name), found);
            return as_written();
        }
        for (name, has_default) in template.references() {
            let is_unset = lookup(name).is_none() && !has_default;
            // A composed variable whose parts have findings is not reported again.
            if is_unset && self.parts_of(name).is_some() && self.is_explained(name) {
                self.is_complete = false;
                continue;
            }
            let found = if is_unset {
                self.unset_reference(name, what)
            } else if is_argument && self.is_secret(name) {
                let public = "as an argument, which other processes can read";
                let problem = format!("is a secret, and {what} passes it {public}");
                let fix = "let the program read it from the environment";
                ValueFinding::new(Code::SecretInArgument, problem, fix).into_warning()
            } else {
                continue;
            };
            self.add(Subject::variable(name), found);
        }
        template.expand(lookup).unwrap_or_else(|_| as_written())
    }

    fn unset_reference(&self, name: &str, what: &str) -> ValueFinding {
        let problem = format!("is not set, and {what} refers to it");
        let set = self.what_to_set(name);
        let fix = format!("set {set}, or give it a default there: ${{{name}:-value}}");
        ValueFinding::new(Code::UnsetReference, problem, fix)
    }
}

/// The variable whose value would make an announcement print the password of a URL.
fn announced_password<'t>(template: &'t Template, environment: &Environment) -> Option<&'t str> {
    let lookup = |name: &str| environment.get(name);
    // The whole text is searched, because a URL may be composed of several variables.
    let text = template.expand(lookup).ok()?;
    let text = text.to_string_lossy();
    let passwords = certain_passwords(&text);
    let is_part_of_password = |name: &&str| {
        let value = lookup(name).unwrap_or_default().to_string_lossy();
        let is_related = |password: &&str| value.contains(password) || password.contains(&*value);
        !value.is_empty() && passwords.iter().any(is_related)
    };
    let mut names = template.references().map(|(name, _)| name);
    names.find(is_part_of_password)
}
