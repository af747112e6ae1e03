//! The hand-over with `--init`: the server is a child of the guard, which stays as its init.
//!
//! The guard forwards every signal to the server and reaps orphans. When the server has ended, the guard ends what is
//! left of the server's processes. It wakes up for signals only.

use std::time::{Duration, Instant};

use super::kill::{Due, Stage};
use super::serve::{ServeError, Server, say_everything};
use crate::log::Phase;
use crate::os::family::{self, Adoption, Change, Ending, Left, Strangers};
use crate::os::signals::{Forward, Received, Rewrite, Signal, Signals};
use crate::os::spawn::{Apart, spawn_server};
use crate::os::terminal::{self, Terminal};
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
        let rewrite = self
            .rewrites
            .iter()
            .rev()
            .find(|rewrite| rewrite.from == signal);
        match rewrite {
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

impl Server {
    /// Starts the server and stays until it has ended. Returns its exit code, as a shell would show it.
    ///
    /// # Errors
    /// Why the server did not start.
    pub fn attend(self, init: &Init, signals: &Signals) -> Result<u8, ServeError> {
        say_everything();
        signals.claim_all()?;
        let _orphans = Adoption::begin()?;
        let strangers = Strangers::now();
        let terminal = Terminal::controlling();
        let leader = self.start(init.forward, terminal.as_ref(), signals)?;
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
        if let Some(terminal) = &attendant.terminal {
            terminal.take_back_from(leader);
        }
        Ok(ending.code())
    }

    /// Starts it, and frees the program with its environment.
    fn start(
        self,
        forward: Forward,
        terminal: Option<&Terminal>,
        signals: &Signals,
    ) -> Result<i32, ServeError> {
        let apart = match forward {
            Forward::Child => Apart::Group(terminal.filter(|terminal| terminal.is_in_foreground())),
            Forward::Group => Apart::Session(terminal.filter(|terminal| terminal.give_up())),
        };
        let user = self.user.as_ref();
        Ok(spawn_server(&self.program, user, &apart, signals)?)
    }
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
            let (ending, is_paused) = self.reap();
            if let Some(ending) = ending {
                return ending;
            }
            if is_paused {
                self.pause_with_server();
            }
        }
    }

    /// Collects all children that have ended. Returns how the server ended, and whether it was stopped.
    fn reap(&self) -> (Option<Ending>, bool) {
        let (mut ending, mut is_paused) = (None, false);
        family::reap(|pid, change| match change {
            Change::Ended(how) if pid == self.leader => ending = Some(how),
            Change::Paused if pid == self.leader => is_paused = true,
            Change::Ended(_) | Change::Paused => {}
        });
        (ending, is_paused)
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
            if passed.is_err() {
                self.complain_once(signal);
            }
        }
        if self.init.forward == Forward::Group && is_pause(received.signal) {
            family::pause();
        }
    }

    /// Logs once that a signal cannot be forwarded. Nothing else would explain why the server does not stop.
    fn complain_once(&mut self, signal: Signal) {
        if !self.has_complained {
            self.has_complained = true;
            tracing::error!(
                phase = %Phase::Serve,
                "{} cannot be passed on to the server: the guard may not signal it, for which it needs the \
                 capability KILL or the same user",
                signal.name()
            );
        }
    }

    /// Stops the guard with its server, so that a shell that runs it as a job sees the job stop. Without a shell
    /// above it the guard does not stop, because nothing would continue it.
    fn pause_with_server(&mut self) {
        if self.terminal.is_none() || terminal::leads_session() {
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
            family::signal_group(self.leader, Signal::CONT);
        }
        std::mem::take(&mut self.is_paused)
    }

    /// Gives the foreground to the server if the guard has it. Returns whether it had.
    fn give_foreground(&self) -> bool {
        let terminal = self.terminal.as_ref();
        let ours = terminal.filter(|terminal| terminal.is_in_foreground());
        if let Some(terminal) = ours {
            terminal.give_to(self.leader);
        }
        ours.is_some()
    }

    /// Ends whatever the server has left running. A further stop cuts its grace short.
    fn end_the_rest(&self) {
        if self.is_alone() || self.strangers.others().is_none() {
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
        while !self.is_alone() {
            match stage.advance(Instant::now()) {
                Some(Due::Kill) => self.signal_rest(Signal::KILL),
                Some(Due::GiveUp) => {
                    tracing::error!(phase = %Phase::Serve, "processes of the server survive SIGKILL");
                    return;
                }
                None => {}
            }
            let received = self.signals.next(stage.deadline());
            let is_stop = received.is_some_and(|received| received.signal.is_stop());
            if is_stop && matches!(stage, Stage::Stopping { .. }) {
                stage = Stage::killing();
            }
        }
    }

    fn is_alone(&self) -> bool {
        family::reap(|_, _| {}) == Left::Nobody
            || !self.strangers.is_empty()
                && self.strangers.others().is_none_or(|rest| rest.is_empty())
    }

    fn signal_rest(&self, signal: Signal) {
        for each in self.strangers.others().unwrap_or_default() {
            family::signal(each.pid, signal);
        }
    }
}
