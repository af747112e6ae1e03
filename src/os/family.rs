//! The guard's descendants: which there are, and how they end. `waitpid` is called in this file only.

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
    /// The ending that a status of `waitpid` means; `None` for a process that was stopped, as by Ctrl-Z.
    pub(super) fn of(status: i32) -> Option<Self> {
        if libc::WIFSTOPPED(status) {
            None
        } else if libc::WIFSIGNALED(status) {
            Some(Ending::Signaled(Signal(libc::WTERMSIG(status))))
        } else {
            Some(Ending::Exited(libc::WEXITSTATUS(status)))
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

/// Collects every child that has ended, and passes its number and its ending to `tell`; no ending for a child that was
/// stopped, as by Ctrl-Z, and can be continued. Returns whether children are left.
/// Loops, because several ends can raise a single SIGCHLD.
pub fn reap(mut tell: impl FnMut(i32, Option<Ending>)) -> bool {
    let tell = |pid, status| tell(pid, Ending::of(status));
    collect(tell).unwrap_or(true)
}

/// The same, with the status as `waitpid` returns it. It calls `waitpid` itself, not nix's, which returns an error
/// for a process that a real-time signal ended. It allocates nothing: a reaper calls it.
///
/// # Errors
/// When the system refuses to wait.
pub(super) fn collect(mut tell: impl FnMut(i32, i32)) -> nix::Result<bool> {
    loop {
        let mut status = 0;
        let pid = super::persistently(|| {
            let options = libc::WNOHANG | libc::WUNTRACED;
            // SAFETY: `status` is a place for the result.
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

/// Waits until a child has ended, and collects it.
pub(super) fn collect_one(child: Pid) {
    while super::persistently(|| nix::sys::wait::waitpid(child, None)) == Err(Errno::EINTR) {}
}

/// Makes this process a child subreaper, so that orphans among its descendants become its children, as they do for
/// PID 1. The flag would survive execve, so a process that executes something else must not call this.
///
/// # Errors
/// When the system refuses.
pub fn adopt_orphans() -> Result<(), StartError> {
    if getpid() != Pid::from_raw(1) {
        prctl::set_child_subreaper(true)?;
    }
    Ok(())
}

/// A process, as /proc shows it.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub pid: i32,
    parent: i32,
    /// Its process group.
    pub group: i32,
}

/// Every descendant of a process, zombies too, except those that `is_spared` accepts and what is below them.
/// `None` where /proc is not mounted.
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

/// Descendants that this process had before its server: whoever executed the guard had started them. They are not
/// the server's, and neither is what they start later.
pub struct Strangers(Vec<Process>);

impl Strangers {
    /// All descendants as they are now. Nearly always there are none.
    pub fn now() -> Self {
        let has_some = reap(|_, _| {});
        let found = has_some.then(|| descendants(getpid().as_raw(), |_| false));
        Self(found.flatten().unwrap_or_default())
    }

    /// Every descendant of this process but the strangers and what is below them; none where /proc is not mounted.
    /// A stranger's orphan becomes a child of this process, and is recognised by its process group: a stranger's, or
    /// that of this process, which the server is not in.
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

/// Sends a signal to a descendant, or with a negative number to the process group that a child leads or led. An error
/// is ignored: the process may have ended.
pub fn signal(pid: i32, signal: Signal) {
    let _ = send(pid, signal);
}

/// Sends a signal to a process, or with a negative number to a process group.
///
/// # Errors
/// When this process may not signal it. That it has ended is no error.
pub fn send(pid: i32, signal: Signal) -> io::Result<()> {
    // SAFETY: kill takes any numbers. The caller has just found the process below this one or below a reaper, or
    // looked for the end of the group's leader. Its number could have been reused since then only if its parent had
    // collected it and all other numbers had been used in between.
    match Errno::result(unsafe { libc::kill(pid, signal.0) }) {
        Err(Errno::EPERM) => Err(Errno::EPERM.into()),
        _ => Ok(()),
    }
}

/// Stops this process, until somebody continues it. The kernel ignores that for PID 1.
pub fn pause() {
    // SAFETY: the signal stops this process and does nothing else.
    unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
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
