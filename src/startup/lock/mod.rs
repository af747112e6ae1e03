//! The lock around a step. Of all replicas that start together only one runs the step at a time; with
//! `up_to_date` only the first one runs it, and the others skip it.

mod keeper;
mod key;
mod request;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use super::pause::pause;
use super::step::{Run, StepProblem};
use super::supervise::Keeper;
use crate::check;
use crate::os::signals::{Signal, Signals};

use keeper::{News, Request, Unfit};
use request::Lock;

/// Why a step was not run under its lock, or why its lock failed afterwards.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the lock on {at} was not free within {}: {reason}", humantime::format_duration(*.timeout))]
    NotFree {
        at: String,
        timeout: Duration,
        reason: String,
    },
    #[error("the lock was lost: {0}")]
    Lost(String),
    #[error("the lock on {at} cannot be asked for: {reason}")]
    Refused { at: String, reason: String },
    #[error("the lock on {at} would not hold: {reason}")]
    Unfit { at: String, reason: Unfit },
    #[error("stopped by {} before the server started", .0.name())]
    Stopped(Signal),
    #[error("the system refused to wait for the lock: {0}")]
    System(#[from] io::Error),
}

impl Run<'_> {
    /// Runs the step while nobody else does. The question whether there is anything to do was asked already,
    /// without the lock.
    pub fn run_locked(&self, lock: &check::Lock) -> Result<(), StepProblem> {
        let mut lock = Lock::open(self, lock)?;
        let signals = self.signals;
        let socket = loop {
            if self.step.up_to_date.is_none() {
                break lock.take_patiently(signals)?;
            }
            if let Some(socket) = lock.take(signals)? {
                break socket;
            }
            // The holder probably runs this very step. Once the lock is free, all waiting replicas ask at the same
            // time and without the lock whether the step is up to date: one after the other would take longer the
            // more replicas there are.
            lock.wait_until_free(signals)?;
            if self.is_up_to_date()? {
                self.skip();
                return Ok(());
            }
        };
        let held = Held {
            lock,
            socket,
            loss: RefCell::new(None),
            is_left_to_others: Cell::new(false),
        };
        let result = self.run_held(&held);
        if held.is_left_to_others.get() {
            // Neither released nor closed: the connection lives until the last process that has its socket ends.
            std::mem::forget(held);
            return result.map(drop);
        }
        let released = held.release(signals);
        match result? {
            Done::Already => self.skip(),
            Done::Now => released?,
        }
        Ok(())
    }

    fn run_held(&self, held: &Held) -> Result<Done, StepProblem> {
        // Another replica may have run the step since we last asked.
        if self.is_up_to_date()? {
            return Ok(Done::Already);
        }
        held.expect()?;
        self.execute(Some(held))?;
        Ok(Done::Now)
    }
}

/// Who ran the step: another process before us, or this one.
enum Done {
    Already,
    Now,
}

/// A lock that this process holds.
struct Held {
    lock: Lock,
    socket: OwnedFd,
    loss: RefCell<Option<String>>,
    /// Whether processes of the step outlive the guard, which then must not release the lock.
    is_left_to_others: Cell<bool>,
}

impl Held {
    /// # Errors
    /// When it is not ours any more.
    fn expect(&self) -> Result<(), LockError> {
        self.loss()
            .map_or(Ok(()), |reason| Err(LockError::Lost(reason)))
    }

    /// Releases it. The helper limits how long the database may take, and reports in any case.
    ///
    /// # Errors
    /// When it was not ours any more, or the database does not answer.
    fn release(self, signals: &Signals) -> Result<(), LockError> {
        self.expect()?;
        let lost = |reason: &str| Err(LockError::Lost(reason.to_owned()));
        self.lock.ask(Request::Release);
        loop {
            match self.lock.news() {
                Ok(News::Released(true)) => return Ok(()),
                Ok(News::Released(false)) => return lost("it was not ours at the end"),
                Ok(News::Lost(reason)) => return lost(&reason),
                Ok(_) => {}
                Err(TryRecvError::Disconnected) => return lost("its helper has ended"),
                Err(TryRecvError::Empty) => {
                    if let Some(stop) = pause(signals, None)? {
                        return Err(LockError::Stopped(stop));
                    }
                }
            }
        }
    }
}

impl Keeper for Held {
    fn loss(&self) -> Option<String> {
        let mut loss = self.loss.borrow_mut();
        if loss.is_none() {
            *loss = match self.lock.news() {
                Ok(News::Lost(reason)) => Some(reason),
                Err(TryRecvError::Disconnected) => Some("its helper has ended".to_owned()),
                Ok(_) | Err(TryRecvError::Empty) => None,
            };
        }
        loss.clone()
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn leave_to_the_rest(&self) {
        self.is_left_to_others.set(true);
    }
}
