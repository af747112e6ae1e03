//! The init of the server, with `--init`: starts the server as a child, forwards every signal to it and reaps orphans.
//! After the server has ended, it ends the server's remaining processes. It wakes up only for signals, and to kill a
//! server that ignores a stop.

use std::io;
use std::time::{Duration, Instant};

use super::deadline;
use super::serve::{Server, write_pending_output};
use super::supervise::Stage;
use crate::log::Phase;
use crate::os::family::{self, Ending, Process, Strangers};
use crate::os::program::StartError;
use crate::os::signals::{Forward, Received, Rewrite, Signal, Signals};
use crate::os::spawn::{Terminal, leads_session, spawn_server};
use crate::os::{leave_folder, trim_memory};

/// The grace period of processes that the server has left running. It is short, because the platform is waiting for the
/// container to end.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// The signals that ask a server to end. HUP is not one of them, because many servers reload their configuration then.
const STOPS: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];

/// The options of an init.
pub struct Init {
    pub forward: Forward,
    pub rewrites: Vec<Rewrite>,
    /// Exit codes of the server, each with the one to exit with instead.
    pub remaps: Vec<(u8, u8)>,
    /// How long the server may take to end after a stop before it is killed. `None` if it is not killed.
    pub stop_grace: Option<Duration>,
}

impl Init {
    /// The signal as which `signal` is forwarded, or `None` if it is dropped.
    fn rewritten(&self, signal: Signal) -> Option<Signal> {
        // The last rewrite of a signal counts.
        let mut rewrites = self.rewrites.iter().rev();
        match rewrites.find(|rewrite| rewrite.from == signal) {
            Some(rewrite) => rewrite.to,
            // In an orphaned process group, the kernel ignores the default action of SIGTSTP, SIGTTIN and SIGTTOU.
            None if self.forward == Forward::Group && is_pause(signal) => Some(Signal::STOP),
            None => Some(signal),
        }
    }

    /// The exit code instead of this one of the server.
    fn remapped(&self, code: u8) -> u8 {
        // The last one counts, as for rewrites.
        let mut remaps = self.remaps.iter().rev();
        let remap = remaps.find(|(from, _)| *from == code);
        remap.map_or(code, |(_, to)| *to)
    }
}

fn is_pause(signal: Signal) -> bool {
    [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal)
}

/// Starts the server as a child and returns after it has ended. Returns its exit code, as a shell reports it, unless the
/// init's options replace that code.
///
/// # Errors
/// If the server cannot be started, or a stop has arrived.
pub fn attend(server: Server, init: &Init, signals: &Signals) -> Result<u8, StartError> {
    write_pending_output();
    signals.claim_all()?;
    family::adopt_orphans()?;
    let strangers = Strangers::now();
    let terminal = Terminal::controlling();
    let shared = terminal.as_ref().filter(|terminal| match init.forward {
        Forward::Child => terminal.is_in_foreground(),
        Forward::Group => terminal.give_up(),
    });
    let user = server.user.as_ref();
    let leader = spawn_server(&server.program, user, init.forward, shared, signals)?;
    // Frees memory: the program holds a copy of the environment.
    drop(server);
    leave_folder();
    trim_memory();
    let mut attendant = Attendant {
        init,
        signals,
        leader,
        strangers,
        stop_grace: init.stop_grace,
        kill_at: None,
        // A server in a session of its own shares no terminal with the guard.
        terminal: terminal.filter(|_| init.forward == Forward::Child),
        is_paused: false,
        has_logged_error: false,
    };
    let ending = attendant.attend();
    attendant.end_the_rest();
    (attendant.terminal).inspect(|terminal| terminal.take_back_from(leader));
    Ok(init.remapped(ending.code()))
}

/// The init of a running server.
struct Attendant<'a> {
    init: &'a Init,
    signals: &'a Signals,
    /// The process ID of the server, which leads its process group.
    leader: i32,
    strangers: Strangers,
    /// The grace period that the first stop begins. `None` after that.
    stop_grace: Option<Duration>,
    /// When the server is killed because it was stopped and has not ended.
    kill_at: Option<Instant>,
    /// The terminal that the server shares with the guard.
    terminal: Option<Terminal>,
    /// Whether the guard has stopped because its server was stopped, for example with Ctrl-Z.
    is_paused: bool,
    /// Whether the error that a signal cannot be forwarded was logged.
    has_logged_error: bool,
}

impl Attendant<'_> {
    /// Forwards signals and reaps children until the server has ended.
    fn attend(&mut self) -> Ending {
        loop {
            // Checked even if signals keep arriving.
            if self.kill_at.is_some_and(|at| Instant::now() >= at) {
                self.kill();
            }
            let Some(received) = self.signals.next(self.kill_at) else {
                continue;
            };
            if received.signal != Signal::CHLD {
                self.pass_on(&received);
                continue;
            }
            // The last state change of the server: that it has ended (`Some`) or was stopped (`None`).
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
        // Raised when the guard gave up the terminal, or by a failed write, so not meant for the server.
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
            self.expect_permission(&passed, signal);
            let is_stop = STOPS.contains(&received.signal) || STOPS.contains(&signal);
            if let Some(grace) = self.stop_grace.take_if(|_| is_stop) {
                self.kill_at = Some(deadline(Instant::now(), grace));
            }
        }
        if self.init.forward == Forward::Group && is_pause(received.signal) {
            family::pause();
        }
    }

    /// Kills the server, or its process group if signals are forwarded to that.
    fn kill(&mut self) {
        self.kill_at = None;
        let grace = humantime::format_duration(self.init.stop_grace.unwrap_or_default());
        let text = format!("the server has not ended within {grace} after the stop; it is killed");
        tracing::warn!(phase = %Phase::Serve, "{text}");
        let target = match self.init.forward {
            Forward::Child => self.leader,
            Forward::Group => -self.leader,
        };
        self.expect_permission(&family::send(target, Signal::KILL), Signal::KILL);
    }

    /// Logs that a signal could not be sent to the server. Only once, because nothing else would explain why the server
    /// does not stop.
    fn expect_permission(&mut self, sent: &io::Result<()>, signal: Signal) {
        if sent.is_err() && !std::mem::replace(&mut self.has_logged_error, true) {
            tracing::error!(
                phase = %Phase::Serve,
                "{} cannot be forwarded to the server: the guard has no permission to signal it; give it the \
                 capability KILL, or run both as the same user",
                signal.name()
            );
        }
    }

    /// Stops the guard after its server was stopped, so that the shell that runs the guard as a job notices the stop.
    /// Does not stop if the guard leads its session, because no shell would continue it.
    fn pause_with_server(&mut self) {
        if self.terminal.is_none() || leads_session() {
            return;
        }
        self.is_paused = true;
        // If the guard is in the foreground, a shell has already continued the job, and a stop now would cancel that.
        if self.give_foreground() {
            self.resume();
        } else {
            family::pause();
        }
    }

    /// Continues the server after a shell has continued the guard. Returns whether the server had been stopped with the
    /// guard.
    fn resume(&mut self) -> bool {
        self.give_foreground();
        if self.is_paused {
            // The whole process group of the server was stopped.
            family::signal(-self.leader, Signal::CONT);
        }
        std::mem::take(&mut self.is_paused)
    }

    /// Puts the server in the foreground if the guard is in the foreground. Returns whether it was.
    fn give_foreground(&self) -> bool {
        let terminal = self.terminal.as_ref();
        let ours = terminal.filter(|terminal| terminal.is_in_foreground());
        ours.inspect(|terminal| terminal.give_to(self.leader))
            .is_some()
    }

    /// Ends the processes that the server has left running. A further stop ends their grace period.
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
            if is_stop && matches!(stage, Stage::Stopping(_)) {
                stage = Stage::killing(Instant::now());
            }
        }
    }

    /// The processes that the server has left running. Empty if /proc is not mounted.
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
