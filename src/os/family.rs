//! The guard's descendants: which there are, and how they end. `waitpid` is called in this file only.

use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::unistd::{Pid, getpgrp, getpid};

use super::signals::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exited(i32),
    Signaled(Signal),
}

impl Ending {
    /// The ending that a status of `waitpid` tells, which is not that of a stopped process.
    pub(super) fn of(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Ending::Signaled(Signal(libc::WTERMSIG(status)))
        } else {
            Ending::Exited(libc::WEXITSTATUS(status))
        }
    }

    /// The exit code, as a shell would show it.
    pub fn code(self) -> u8 {
        let code = match self {
            Ending::Exited(code) => code,
            Ending::Signaled(signal) => 128 + signal.0,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}

/// What the system tells of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Ended(Ending),
    /// It was stopped, as by Ctrl-Z, and may go on.
    Paused,
}

/// Whether children are left after a look at all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Nobody,
    Somebody,
}

/// Collects every child that has ended. Signals coalesce, so it looks until there is no more.
pub fn reap(mut tell: impl FnMut(i32, Ending)) -> Left {
    collect(libc::WNOHANG, |pid, change| {
        if let Change::Ended(ending) = change {
            tell(pid, ending);
        }
    })
}

/// The same, and tells also which children were stopped.
pub fn reap_and_notice(tell: impl FnMut(i32, Change)) -> Left {
    collect(libc::WNOHANG | libc::WUNTRACED, tell)
}

/// `waitpid` itself and not nix's, which takes a real-time signal as the cause of an end for an error.
fn collect(options: i32, mut tell: impl FnMut(i32, Change)) -> Left {
    loop {
        match wait_for_any(options) {
            Err(Errno::ECHILD) => return Left::Nobody,
            Ok((0, _)) | Err(_) => return Left::Somebody,
            Ok((pid, status)) => tell(pid, change(status)),
        }
    }
}

/// Collects any child. Gives its number and its status; the number 0 when none has changed and `options` say
/// not to wait.
fn wait_for_any(options: i32) -> Result<(i32, i32), Errno> {
    let mut status = 0;
    let pid = super::persistently(|| {
        // SAFETY: `status` is a place for what is told.
        Errno::result(unsafe { libc::waitpid(-1, &raw mut status, options) })
    })?;
    Ok((pid, status))
}

fn change(status: i32) -> Change {
    if libc::WIFSTOPPED(status) {
        Change::Paused
    } else {
        Change::Ended(Ending::of(status))
    }
}

/// Waits until a child has ended, and collects it.
pub(super) fn collect_one(child: Pid) {
    let _ = super::persistently(|| {
        loop {
            match nix::sys::wait::waitpid(child, None) {
                Err(Errno::EINTR) => {}
                result => return result,
            }
        }
    });
}

/// Collects children as they end, until this process has none. When `leader` has ended, everybody else who
/// had ended by then is collected first; then `tell` is given the leader's status and whether others are
/// left. It allocates nothing: a reaper calls it after a fork.
///
/// # Errors
/// When the system refuses to wait.
pub(super) fn reap_all(
    leader: Pid,
    mut tell: impl FnMut(i32, Left) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut leader_status = None;
    loop {
        // Once the leader has ended, this is a look and not a wait.
        let options = if leader_status.is_some() {
            libc::WNOHANG
        } else {
            0
        };
        let left = match wait_for_any(options) {
            Err(Errno::EINTR) => continue,
            Err(Errno::ECHILD) => Left::Nobody,
            Err(errno) => return Err(errno),
            Ok((0, _)) => Left::Somebody,
            Ok((pid, status)) => {
                if pid == leader.as_raw() {
                    leader_status = Some(status);
                }
                continue;
            }
        };
        if let Some(status) = leader_status.take() {
            tell(status, left)?;
        }
        if left == Left::Nobody {
            return Ok(());
        }
    }
}

/// While it lives, orphans among the descendants of this process become its children. For PID 1 they always
/// do; any other process becomes a child subreaper, and gives that up at the end.
#[must_use = "orphans become children only while it lives"]
pub struct Adoption {
    is_ours_to_end: bool,
}

impl Adoption {
    /// # Errors
    /// When the system refuses to make this process a child subreaper.
    pub fn begin() -> io::Result<Self> {
        let is_given = getpid() == Pid::from_raw(1) || prctl::get_child_subreaper() == Ok(true);
        if !is_given {
            prctl::set_child_subreaper(true)?;
        }
        Ok(Self {
            is_ours_to_end: !is_given,
        })
    }
}

impl Drop for Adoption {
    fn drop(&mut self) {
        if self.is_ours_to_end {
            let _ = prctl::set_child_subreaper(false);
        }
    }
}

/// A process below us.
#[derive(Clone, Copy, Debug)]
pub struct Descendant {
    pub pid: i32,
    /// Its process group.
    pub group: i32,
}

/// Every descendant of a process, zombies too, but for those that `is_spared` and what is below them. None
/// where /proc, which tells, is not mounted.
fn descendants(root: i32, is_spared: impl Fn(&Process) -> bool) -> Option<Vec<Descendant>> {
    let processes = processes()?;
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        let children = processes
            .iter()
            .filter(|process| process.parent == parent && !is_spared(process));
        for &Process { pid, group, .. } in children {
            found.push(Descendant { pid, group });
            parents.push(pid);
        }
    }
    Some(found)
}

/// Every descendant of a process, zombies too. None where /proc is not mounted.
pub fn descendants_of(pid: i32) -> Option<Vec<Descendant>> {
    descendants(pid, |_| false)
}

/// Descendants of this process that were there before its server: whoever executed the guard had started
/// them. They are not the server's, and what they start later is not either.
pub struct Strangers {
    pids: Vec<i32>,
    /// Their process groups, and this process's own, which the server is not in.
    groups: Vec<i32>,
}

impl Strangers {
    /// All descendants as they are now. Nearly always there are none.
    pub fn now() -> Self {
        let mut strangers = Self {
            pids: Vec::new(),
            groups: vec![getpgrp().as_raw()],
        };
        if reap(|_, _| {}) == Left::Somebody {
            for each in descendants_of(getpid().as_raw()).unwrap_or_default() {
                strangers.pids.push(each.pid);
                strangers.groups.push(each.group);
            }
        }
        strangers
    }

    /// Whether there were any.
    pub fn is_empty(&self) -> bool {
        self.pids.is_empty()
    }

    /// Every descendant of this process but the strangers and what is below them. An orphan of a stranger
    /// comes to this process, and is known by its process group. None where /proc is not mounted.
    pub fn others(&self) -> Option<Vec<Descendant>> {
        let is_stranger = |process: &Process| {
            self.pids.contains(&process.pid)
                || !self.is_empty() && self.groups.contains(&process.group)
        };
        descendants(getpid().as_raw(), is_stranger)
    }
}

/// Sends a signal to a descendant. That it is gone is no error.
pub fn signal(pid: i32, signal: Signal) {
    // SAFETY: kill takes any numbers. The caller has just found the process below this one or below a reaper.
    // Its number could have been given out anew since then only if its parent had collected it and all other
    // numbers had been used in between.
    unsafe { libc::kill(pid, signal.0) };
}

/// Sends a signal to the group that a child leads or led. Nobody there is no error.
pub fn signal_group(leader: i32, signal: Signal) {
    // SAFETY: kill takes any numbers. The callers look for the end of the leader right before.
    unsafe { libc::kill(-leader, signal.0) };
}

struct Process {
    pid: i32,
    parent: i32,
    group: i32,
}

fn processes() -> Option<Vec<Process>> {
    // Where it was mounted for another namespace, its numbers are not ours.
    let itself = std::fs::read_link("/proc/self").ok()?;
    if itself.to_str()? != getpid().to_string() {
        return None;
    }
    let entries = std::fs::read_dir("/proc").ok()?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Some(numbers.filter_map(process).collect())
}

/// From `/proc/PID/stat`: `PID (NAME) STATE PARENT GROUP …`, where the name may hold anything.
fn process(pid: i32) -> Option<Process> {
    let status = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after_name = status.iter().rposition(|&byte| byte == b')')?;
    let mut fields = str::from_utf8(&status[after_name + 1..])
        .ok()?
        .split_ascii_whitespace()
        .skip(1);
    Some(Process {
        pid,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}
