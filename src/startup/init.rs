//! The other hand-over: the server is a child of the guard, which stays as its init.
//!
//! The server gets every signal that the guard gets, orphans are reaped, and when the server has ended, what is
//! left of its processes is ended, too. Until then the guard does nothing unless a signal comes.

use std::time::{Duration, Instant};

use super::serve::{ServeError, Server, say_everything};
use crate::log::Phase;
use crate::os::family::{self, Adoption, Change, Ending, Left, Strangers};
use crate::os::memory;
use crate::os::queue::{self, Queue, Received};
use crate::os::server::{self, Apart, spawn};
use crate::os::signals::{Forward, Rewrite, Signal, Signals};
use crate::os::terminal::{self, Terminal};

/// How long processes that the server leaves behind may take to end. Whoever stops us is waiting by now.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// How long killed processes may take to vanish before we end without them.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// How often they are killed again meanwhile: they may have forked.
const KILL_INTERVAL: Duration = Duration::from_millis(20);

/// How to be the server's init.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Init {
    pub forward: Forward,
    pub rewrites: Vec<Rewrite>,
}

impl Init {
    /// What a signal is passed on as.
    fn rewritten(&self, signal: Signal) -> Option<Signal> {
        // The last word on a signal counts.
        let rewrite = self
            .rewrites
            .iter()
            .rev()
            .find(|rewrite| rewrite.from == signal);
        match rewrite {
            Some(rewrite) => rewrite.to,
            // A process group without a parent in its session is not stopped by those of the terminal.
            None if self.forward == Forward::Group && is_pause(signal) => Some(Signal::STOP),
            None => Some(signal),
        }
    }
}

fn is_pause(signal: Signal) -> bool {
    [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal)
}

impl Server {
    /// Starts the server and stays until it has ended. Gives its exit code, as a shell would show it.
    ///
    /// # Errors
    /// Why it did not start.
    pub fn attend(self, init: &Init, signals: &Signals) -> Result<u8, ServeError> {
        say_everything();
        let queue = Queue::begin(signals)?;
        let _orphans = Adoption::begin()?;
        let strangers = Strangers::now();
        let terminal = Terminal::controlling();
        let leader = self.start(init.forward, terminal.as_ref(), signals, &queue)?;
        server::leave_folder();
        memory::trim();
        let mut attendant = Attendant {
            init,
            queue,
            leader,
            strangers,
            // A session of its own has its own foreground.
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

    /// Starts it; the program with its environment is not kept.
    fn start(
        self,
        forward: Forward,
        terminal: Option<&Terminal>,
        signals: &Signals,
        queue: &Queue,
    ) -> Result<i32, ServeError> {
        let apart = match forward {
            Forward::Child => Apart::Group(terminal.filter(|terminal| terminal.is_in_foreground())),
            Forward::Group => Apart::Session(terminal.filter(|terminal| terminal.give_up())),
        };
        Ok(spawn(
            &self.program,
            self.user.as_ref(),
            &apart,
            signals,
            queue,
        )?)
    }
}

/// The init of a server that runs.
struct Attendant<'a> {
    init: &'a Init,
    queue: Queue,
    /// The server, the leader of its process group.
    leader: i32,
    strangers: Strangers,
    /// The terminal that the server shares with us.
    terminal: Option<Terminal>,
    /// The server was stopped by its terminal, and we with it.
    is_paused: bool,
    has_complained: bool,
}

impl Attendant<'_> {
    /// Until the server has ended.
    fn attend(&mut self) -> Ending {
        loop {
            // Without a deadline there is always a signal.
            let Some(received) = self.queue.next(None) else {
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

    /// Collects all who have ended. Gives how the server ended, and whether it was stopped.
    fn reap(&self) -> (Option<Ending>, bool) {
        let (mut ending, mut is_paused) = (None, false);
        family::reap_and_notice(|pid, change| match change {
            Change::Ended(how) if pid == self.leader => ending = Some(how),
            Change::Paused if pid == self.leader => is_paused = true,
            Change::Ended(_) | Change::Paused => {}
        });
        (ending, is_paused)
    }

    fn pass_on(&mut self, received: &Received) {
        // What our own doing raised is not meant for the server: giving up the terminal, or a write that failed.
        if received.is_of_our_making() {
            return;
        }
        if received.signal == Signal::CONT && self.resume() {
            return;
        }
        if let Some(signal) = self.init.rewritten(received.signal) {
            let passed = match self.init.forward {
                Forward::Child => received.pass_to(self.leader, signal),
                Forward::Group => queue::pass_to_group(self.leader, signal),
            };
            if passed.is_err() {
                self.complain_once(signal);
            }
        }
        if self.init.forward == Forward::Group && is_pause(received.signal) {
            queue::pause();
        }
    }

    /// Says once that a signal cannot be passed on: nothing else would tell why the server does not stop.
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
    /// above it nobody would let it go on, so then it does not stop.
    fn pause_with_server(&mut self) {
        if self.terminal.is_none() || terminal::leads_session() {
            return;
        }
        self.is_paused = true;
        // A shell may have us in the foreground again by now: our stop would drop its SIGCONT.
        if self.give_foreground() {
            self.resume();
        } else {
            queue::pause();
        }
    }

    /// Has the server go on after a shell let the guard go on, in the foreground or not. Gives whether the server
    /// had been stopped with the guard.
    fn resume(&mut self) -> bool {
        self.give_foreground();
        if self.is_paused {
            // The whole of it was stopped.
            family::signal_group(self.leader, Signal::CONT);
        }
        std::mem::take(&mut self.is_paused)
    }

    /// Gives the foreground to the server if we have it. Gives whether we had.
    fn give_foreground(&self) -> bool {
        let terminal = self.terminal.as_ref();
        let ours = terminal.filter(|terminal| terminal.is_in_foreground());
        if let Some(terminal) = ours {
            terminal.give_to(self.leader);
        }
        ours.is_some()
    }

    /// Ends whatever the server has left running: asked first, killed soon.
    fn end_the_rest(&self) {
        let ask = match self.init.forward {
            Forward::Child => Some(Signal::TERM),
            Forward::Group => self.init.rewritten(Signal::TERM),
        };
        if self.is_alone() || self.strangers.others().is_none() {
            return;
        }
        if let Some(signal) = ask {
            self.signal_rest(signal);
            self.signal_rest(Signal::CONT);
        }
        if self.wait_for_rest(Instant::now() + LEFTOVER_GRACE) {
            return;
        }
        let patience = Instant::now() + KILL_PATIENCE;
        while Instant::now() < patience {
            self.signal_rest(Signal::KILL);
            if self.wait_for_rest(Instant::now() + KILL_INTERVAL) {
                return;
            }
        }
        tracing::error!(phase = %Phase::Serve, "processes of the server survive SIGKILL");
    }

    /// Waits until no process is left. A further stop signal ends the wait. Gives whether no process is left.
    fn wait_for_rest(&self, deadline: Instant) -> bool {
        loop {
            if self.is_alone() {
                return true;
            }
            match self.queue.next(Some(deadline)) {
                Some(received) if received.signal.is_stop() => return self.is_alone(),
                Some(_) => {}
                None => return self.is_alone(),
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
