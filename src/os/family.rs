//! Our descendants: who they are, how they end. `waitpid` is called here and nowhere else, but for the child
//! that never became a program.

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::unistd::{Pid, getpid};

use super::signals::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exited(i32),
    Signaled(Signal),
}

impl Ending {
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

/// What is left after a look at all children.
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
        let mut status = 0;
        // SAFETY: `status` is a place for what is told.
        match unsafe { libc::waitpid(-1, &raw mut status, options) } {
            0 => return Left::Somebody,
            -1 if Errno::last() == Errno::EINTR => {}
            -1 => return Left::Nobody,
            pid => tell(pid, change(status)),
        }
    }
}

fn change(status: i32) -> Change {
    if libc::WIFSTOPPED(status) {
        Change::Paused
    } else if libc::WIFSIGNALED(status) {
        Change::Ended(Ending::Signaled(Signal(libc::WTERMSIG(status))))
    } else {
        Change::Ended(Ending::Exited(libc::WEXITSTATUS(status)))
    }
}

/// While it lives, orphans among our descendants come to us. For PID 1 they always do; who is not becomes a
/// subreaper, and gives that up at the end: it would outlive an exec, and the server would collect zombies.
#[must_use = "orphans come to us only while it lives"]
pub struct Adoption {
    is_ours_to_end: bool,
}

impl Adoption {
    pub fn begin() -> Self {
        let is_given = getpid() == Pid::from_raw(1) || prctl::get_child_subreaper() == Ok(true);
        Self {
            is_ours_to_end: !is_given && prctl::set_child_subreaper(true).is_ok(),
        }
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

/// Every descendant of ours, zombies too, but for `spared` and what is below those. None where /proc, which
/// tells, is not mounted.
pub fn descendants(spared: &[i32]) -> Option<Vec<Descendant>> {
    let processes = processes()?;
    let mut found = Vec::new();
    let mut parents = vec![getpid().as_raw()];
    while let Some(parent) = parents.pop() {
        let children = processes
            .iter()
            .filter(|process| process.parent == parent && !spared.contains(&process.pid));
        for &Process { pid, group, .. } in children {
            found.push(Descendant { pid, group });
            parents.push(pid);
        }
    }
    Some(found)
}

/// Our children as they are now: whoever gave them to us, they are none of what we start next.
pub fn children() -> Vec<i32> {
    if reap(|_, _| {}) == Left::Nobody {
        return Vec::new();
    }
    let guard = getpid().as_raw();
    let children = processes()
        .unwrap_or_default()
        .into_iter()
        .filter(|process| process.parent == guard);
    children.map(|process| process.pid).collect()
}

/// Sends a signal to a descendant. That it is gone is no error.
pub fn signal(pid: i32, signal: Signal) {
    // SAFETY: kill takes any numbers. A descendant's number is not given out anew before its parent, in the
    // end we, has collected it.
    unsafe { libc::kill(pid, signal.0) };
}

/// Sends a signal to the group that a child leads or led. Nobody there is no error.
pub fn signal_group(leader: i32, signal: Signal) {
    // SAFETY: kill takes any numbers; the callers see to it that the group is still the child's.
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
