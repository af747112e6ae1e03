//! The hand-over: this process becomes the server or, with `--init`, stays as the init of the server, its child.
//!
//! An init forwards every signal to the server and reaps orphans. When the server has ended, it ends what is left of
//! the server's processes. It wakes up for signals only.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::supervise::Stage;
use crate::check::{Plan, Words};
use crate::log::Phase;
use crate::os::family::{self, Ending, Process, Strangers};
use crate::os::output::{STDERR, STDOUT};
use crate::os::program::{Program, StartError};
use crate::os::signals::{Forward, Received, Rewrite, Signal, Signals};
use crate::os::spawn::{Terminal, exec, leads_session, spawn_server};
use crate::os::user::User;
use crate::os::{leave_folder, trim_memory};

/// How long processes that the server leaves behind may take to end. The platform is waiting for that by now.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// How to be the server's init.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Init {
    pub forward: Forward,
    pub rewrites: Vec<Rewrite>,
}

impl Init {
    /// The signal that a signal is forwarded as.
    fn rewritten(&self, signal: Signal) -> Option<Signal> {
        // The last rewrite of a signal counts.
        let mut rewrites = self.rewrites.iter().rev();
        match rewrites.find(|rewrite| rewrite.from == signal) {
            Some(rewrite) => rewrite.to,
            // The kernel does not let the terminal's signals stop a group without a parent in its session.
            None if self.forward == Forward::Group && is_pause(signal) => Some(Signal::STOP),
            None => Some(signal),
        }
    }
}

fn is_pause(signal: Signal) -> bool {
    [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal)
}

/// A server that is ready to take over. It is made from a plan, which is not needed afterwards.
pub struct Server {
    program: Program,
    /// The user it runs as; `None`: the guard's own.
    user: Option<User>,
    announce: Option<OsString>,
}

impl Server {
    /// The plan's server; `None` if it has none.
    ///
    /// # Errors
    /// If the first word of its command is empty. Whether the program exists is looked up at the hand-over: a step
    /// may create it.
    pub fn of(plan: &Plan<'_>, user: Option<&User>) -> Result<Option<Self>, StartError> {
        let Some(server) = &plan.server else {
            return Ok(None);
        };
        let program = program(&server.command, plan)?;
        Ok(Some(Self {
            program,
            user: user.cloned(),
            announce: server.announce.clone(),
        }))
    }

    /// Logs the server's announcement.
    pub fn announce(&self) {
        if let Some(text) = &self.announce {
            tracing::info!(target: "announce", phase = %Phase::Serve, "{}", text.display());
        }
    }

    /// Becomes the server. Returns only an error.
    pub fn take_over(self, signals: &Signals) -> StartError {
        say_everything();
        let Err(error) = exec(&self.program, self.user.as_ref(), signals);
        error
    }

    /// Starts the server and stays until it has ended. Returns its exit code, as a shell would show it.
    ///
    /// # Errors
    /// Why the server did not start.
    pub fn attend(self, init: &Init, signals: &Signals) -> Result<u8, StartError> {
        say_everything();
        signals.claim_all()?;
        family::adopt_orphans()?;
        let strangers = Strangers::now();
        let terminal = Terminal::controlling();
        let shared = terminal.as_ref().filter(|terminal| match init.forward {
            Forward::Child => terminal.is_in_foreground(),
            Forward::Group => terminal.give_up(),
        });
        let user = self.user.as_ref();
        let leader = spawn_server(&self.program, user, init.forward, shared, signals)?;
        // The program holds a copy of the environment.
        drop(self);
        leave_folder();
        trim_memory();
        let mut attendant = Attendant {
            init,
            signals,
            leader,
            strangers,
            // A server in a session of its own shares no terminal with the guard.
            terminal: terminal.filter(|_| init.forward == Forward::Child),
            is_paused: false,
            has_complained: false,
        };
        let ending = attendant.attend();
        attendant.end_the_rest();
        (attendant.terminal).inspect(|terminal| terminal.take_back_from(leader));
        Ok(ending.code())
    }
}

/// The program of a command of the plan. Messages show it as the user wrote it.
///
/// # Errors
/// If the first word is empty.
pub(super) fn program(command: &Words, plan: &Plan<'_>) -> Result<Program, StartError> {
    let environment = plan.environment().entries();
    let written = command.written.first().map(OsString::as_os_str);
    Program::new(
        command.expanded.clone(),
        written.unwrap_or_default(),
        environment,
    )
}

/// Writes all output of the guard before the server writes its own. The server starts in spite of a broken stream.
fn say_everything() {
    let _ = STDERR.drain();
    let _ = STDOUT.drain();
}

/// The init of a server that runs.
struct Attendant<'a> {
    init: &'a Init,
    signals: &'a Signals,
    /// The server, the leader of its process group.
    leader: i32,
    strangers: Strangers,
    /// The terminal that the server shares with the guard.
    terminal: Option<Terminal>,
    /// Whether the server was stopped by its terminal, and the guard with it.
    is_paused: bool,
    /// Whether it was logged that a signal cannot be passed on.
    has_complained: bool,
}

impl Attendant<'_> {
    /// Attends until the server has ended.
    fn attend(&mut self) -> Ending {
        loop {
            // Without a deadline a signal is always returned.
            let Some(received) = self.signals.next(None) else {
                continue;
            };
            if received.signal != Signal::CHLD {
                self.pass_on(&received);
                continue;
            }
            // The last change of the server.
            let mut change = None;
            family::reap(|pid, ending| {
                if pid == self.leader {
                    change = Some(ending);
                }
            });
            match change {
                Some(Some(ending)) => return ending,
                Some(None) => self.pause_with_server(),
                None => {}
            }
        }
    }

    fn pass_on(&mut self, received: &Received) {
        // Raised by giving up the terminal, or by a write that failed: not meant for the server.
        if received.is_of_our_making() {
            return;
        }
        if received.signal == Signal::CONT && self.resume() {
            return;
        }
        if let Some(signal) = self.init.rewritten(received.signal) {
            let passed = match self.init.forward {
                Forward::Child => received.pass_to(self.leader, signal),
                Forward::Group => family::send(-self.leader, signal),
            };
            // Logged, because nothing else would explain why the server does not stop.
            if passed.is_err() && !std::mem::replace(&mut self.has_complained, true) {
                tracing::error!(
                    phase = %Phase::Serve,
                    "{} cannot be passed on to the server: the guard may not signal it, for which it needs the \
                     capability KILL or the same user",
                    signal.name()
                );
            }
        }
        if self.init.forward == Forward::Group && is_pause(received.signal) {
            family::pause();
        }
    }

    /// Stops the guard with its server, so that a shell that runs it as a job sees the job stop. Without a shell
    /// above it the guard does not stop, because nothing would continue it.
    fn pause_with_server(&mut self) {
        if self.terminal.is_none() || leads_session() {
            return;
        }
        self.is_paused = true;
        // A shell may have put the guard in the foreground again: a stop now would cancel its SIGCONT.
        if self.give_foreground() {
            self.resume();
        } else {
            family::pause();
        }
    }

    /// Continues the server after a shell continued the guard, in the foreground or not. Returns whether the server
    /// had been stopped with the guard.
    fn resume(&mut self) -> bool {
        self.give_foreground();
        if self.is_paused {
            // Its whole process group was stopped.
            family::signal(-self.leader, Signal::CONT);
        }
        std::mem::take(&mut self.is_paused)
    }

    /// Gives the foreground to the server if the guard has it. Returns whether it had.
    fn give_foreground(&self) -> bool {
        let terminal = self.terminal.as_ref();
        let ours = terminal.filter(|terminal| terminal.is_in_foreground());
        ours.inspect(|terminal| terminal.give_to(self.leader))
            .is_some()
    }

    /// Ends whatever the server has left running. A further stop cuts its grace short.
    fn end_the_rest(&self) {
        if self.rest().is_empty() {
            return;
        }
        let ask = match self.init.forward {
            Forward::Child => Some(Signal::TERM),
            Forward::Group => self.init.rewritten(Signal::TERM),
        };
        if let Some(signal) = ask {
            self.signal_rest(signal);
            self.signal_rest(Signal::CONT);
        }
        let mut stage = Stage::stopping(LEFTOVER_GRACE);
        while !self.rest().is_empty() {
            if stage.advance(Instant::now()) {
                self.signal_rest(Signal::KILL);
            } else if stage == Stage::GivenUp {
                tracing::error!(phase = %Phase::Serve, "processes of the server survive SIGKILL");
                return;
            }
            let received = self.signals.next(stage.deadline());
            let is_stop = received.is_some_and(|received| received.signal.is_stop());
            if is_stop && matches!(stage, Stage::Stopping { .. }) {
                stage = Stage::killing(Instant::now());
            }
        }
    }

    /// What the server has left running; nothing where /proc is not mounted.
    fn rest(&self) -> Vec<Process> {
        if family::reap(|_, _| {}) {
            self.strangers.others()
        } else {
            Vec::new()
        }
    }

    fn signal_rest(&self, signal: Signal) {
        for each in self.rest() {
            family::signal(each.pid, signal);
        }
    }
}
