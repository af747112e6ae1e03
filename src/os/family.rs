//! The guard's descendants: lists them, signals them, and collects their exit statuses. Only this file calls `waitpid`.

use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::unistd::{Pid, getpgrp, getpid};

use super::program::StartError;
use super::signal::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exited(i32),
    Signaled(Signal),
}

impl Ending {
    /// Decodes a status of `waitpid`. Returns `None` for a process that was stopped, for example with Ctrl-Z.
    pub(super) fn of(status: i32) -> Option<Self> {
        if libc::WIFSTOPPED(status) {
            None
        } else if libc::WIFSIGNALED(status) {
            Some(Ending::Signaled(Signal(libc::WTERMSIG(status))))
        } else {
            Some(Ending::Exited(libc::WEXITSTATUS(status)))
        }
    }

    /// The exit code as a shell reports it: 128 + N for a process that signal N terminated.
    pub fn code(self) -> u8 {
        let code = match self {
            Ending::Exited(code) => code,
            Ending::Signaled(signal) => 128 + signal.0,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}

/// Collects every child that has ended, and passes its process ID and its ending to `tell`. The ending is `None` for a
/// child that was stopped, for example with Ctrl-Z, and can be continued. Returns whether children are left. Loops,
/// because a single SIGCHLD can stand for several children.
pub fn reap(mut tell: impl FnMut(i32, Option<Ending>)) -> bool {
    let tell = |pid, status| tell(pid, Ending::of(status));
    collect(tell).unwrap_or(true)
}

/// Like `reap`, but passes on the status that `waitpid` returns. Calls libc's `waitpid`, because nix's returns an error
/// for a process that a real-time signal terminated. Allocates nothing, because a reaper calls it after a fork.
///
/// # Errors
/// If `waitpid` fails, except that there is no child.
pub(super) fn collect(mut tell: impl FnMut(i32, i32)) -> nix::Result<bool> {
    loop {
        let mut status = 0;
        let pid = super::persistently(|| {
            let options = libc::WNOHANG | libc::WUNTRACED;
            // SAFETY: `status` is valid for the write of the result.
            Errno::result(unsafe { libc::waitpid(-1, &raw mut status, options) })
        });
        match pid {
            Err(Errno::ECHILD) => return Ok(false),
            Ok(0) => return Ok(true),
            Ok(pid) => tell(pid, status),
            Err(errno) => return Err(errno),
        }
    }
}

/// Collects a child if it has ended, and returns how it ended. Leaves other children alone.
///
/// # Errors
/// If `waitpid` fails.
pub(super) fn ending_of(child: Pid) -> nix::Result<Option<Ending>> {
    let mut status = 0;
    let pid = super::persistently(|| {
        // SAFETY: `status` is valid for the write of the result.
        Errno::result(unsafe { libc::waitpid(child.as_raw(), &raw mut status, libc::WNOHANG) })
    })?;
    Ok((pid != 0).then(|| Ending::of(status)).flatten())
}

/// Waits until a child has ended, and collects it.
pub(super) fn collect_one(child: Pid) {
    while super::persistently(|| nix::sys::wait::waitpid(child, None)) == Err(Errno::EINTR) {}
}

/// Makes this process a child subreaper, so that orphans among its descendants become its children, as they do for
/// PID 1. The flag would survive execve, so a process that executes something else must not call this.
///
/// # Errors
/// If the system call fails.
pub fn adopt_orphans() -> Result<(), StartError> {
    if getpid() != Pid::from_raw(1) {
        prctl::set_child_subreaper(true)?;
    }
    Ok(())
}

/// A process as listed in /proc.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub pid: i32,
    parent: i32,
    /// Its process group.
    pub group: i32,
}

/// Every descendant of a process, including zombies, except those for which `is_spared` returns true and their
/// descendants. `None` where /proc is not mounted.
pub fn descendants(root: i32, is_spared: impl Fn(&Process) -> bool) -> Option<Vec<Process>> {
    let processes = processes()?;
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        let is_child = |process: &&Process| process.parent == parent && !is_spared(process);
        let first = found.len();
        found.extend(processes.iter().filter(is_child));
        parents.extend(found[first..].iter().map(|child: &Process| child.pid));
    }
    Some(found)
}

/// Descendants that this process had before it started its server. The program that executed the guard in its own
/// process has started them. Neither they nor processes that they start later belong to the server.
pub struct Strangers(Vec<Process>);

impl Strangers {
    /// All current descendants. There are almost never any.
    pub fn now() -> Self {
        let has_some = reap(|_, _| {});
        let found = has_some.then(|| descendants(getpid().as_raw(), |_| false));
        Self(found.flatten().unwrap_or_default())
    }

    /// Every descendant of this process except the strangers and their descendants. Empty if /proc is not mounted. When
    /// a stranger ends, its children become children of this process. They are recognised by their process group: it is
    /// a stranger's group or this process's own, which the server never belongs to.
    pub fn others(&self) -> Vec<Process> {
        let ours = getpgrp().as_raw();
        let others = descendants(getpid().as_raw(), |process| {
            self.0.iter().any(|stranger| {
                stranger.pid == process.pid || [stranger.group, ours].contains(&process.group)
            })
        });
        others.unwrap_or_default()
    }
}

/// Sends a signal to a descendant, or, if `pid` is negative, to the process group `-pid`, whose leader is or was a
/// child. Ignores errors, because the process may have ended.
pub fn signal(pid: i32, signal: Signal) {
    let _ = send(pid, signal);
}

/// Sends a signal to a process, or, if `pid` is negative, to the process group `-pid`.
///
/// # Errors
/// If this process has no permission to signal it. Not if the process has ended.
pub fn send(pid: i32, signal: Signal) -> io::Result<()> {
    // SAFETY: kill accepts any numbers. The caller has just found the process among the descendants of this process or
    // of a reaper, or has just checked whether the group's leader has ended. The process ID could have been reused
    // since then only if the parent had collected the process and all other process IDs had been used in between.
    match Errno::result(unsafe { libc::kill(pid, signal.0) }) {
        Err(Errno::EPERM) => Err(Errno::EPERM.into()),
        _ => Ok(()),
    }
}

/// Stops this process until another process sends it SIGCONT. The kernel does not stop PID 1.
pub fn pause() {
    // SAFETY: the signal stops this process and does nothing else.
    unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
}

fn processes() -> Option<Vec<Process>> {
    // If /proc was mounted for another PID namespace, its process IDs are not valid in this one.
    let itself = std::fs::read_link("/proc/self").ok()?;
    if itself.to_str()? != getpid().to_string() {
        return None;
    }
    let entries = std::fs::read_dir("/proc").ok()?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Some(numbers.filter_map(process).collect())
}

/// Parses `/proc/PID/stat`: `PID (NAME) STATE PARENT GROUP …`. NAME may contain any bytes, including spaces and
/// parentheses.
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
