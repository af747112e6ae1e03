//! Our descendants: who they are, how they end. `waitpid` is called here and nowhere else, but for the child
//! that never became a program.

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use super::signals::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exited(i32),
    Signaled(Signal),
}

/// What is left after a look at all children.
#[derive(Debug, Default)]
pub struct Reaped {
    pub endings: Vec<(i32, Ending)>,
    /// No child is left at all.
    pub is_childless: bool,
}

/// Collects every child that has ended. Signals coalesce, so it looks until there is no more.
pub fn reap() -> Reaped {
    let mut reaped = Reaped::default();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => {
                reaped.endings.push((pid.as_raw(), Ending::Exited(code)));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                reaped
                    .endings
                    .push((pid.as_raw(), Ending::Signaled(Signal(signal as i32))));
            }
            Ok(WaitStatus::StillAlive) => return reaped,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => {
                reaped.is_childless = true;
                return reaped;
            }
        }
    }
}

/// Whether orphans among our descendants come to us: always for PID 1, else by becoming a subreaper.
pub fn adopt_orphans() -> bool {
    getpid() == Pid::from_raw(1) || prctl::set_child_subreaper(true).is_ok()
}

/// Gives the subreaper up: it would outlive the exec, and the server would collect zombies.
pub fn release_orphans() {
    let _ = prctl::set_child_subreaper(false);
}

/// Sends a signal to every descendant of ours that is not in `spared`. Gives how many there were.
pub fn signal_descendants(signal: Signal, spared: &[i32]) -> usize {
    let found = descendants(spared);
    for &pid in &found {
        // SAFETY: kill takes any numbers. A descendant's number is not given out anew before its parent, in
        // the end we, has collected it.
        unsafe { libc::kill(pid, signal.0) };
    }
    found.len()
}

/// Whether a descendant of ours that is not in `spared` lives.
pub fn has_descendants(spared: &[i32]) -> bool {
    !descendants(spared).is_empty()
}

/// Our children as they are now: those that somebody gave us before the first step.
pub fn children() -> Vec<i32> {
    let guard = getpid().as_raw();
    parents()
        .into_iter()
        .filter(|&(_, parent)| parent == guard)
        .map(|(pid, _)| pid)
        .collect()
}

fn descendants(spared: &[i32]) -> Vec<i32> {
    let parents = parents();
    let mut found = vec![getpid().as_raw()];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        let children = parents
            .iter()
            .filter(|&&(pid, of)| of == parent && !spared.contains(&pid));
        found.extend(children.map(|&(pid, _)| pid));
        at += 1;
    }
    found.split_off(1)
}

/// Every process with its parent, from /proc; nothing where that is not mounted.
fn parents() -> Vec<(i32, i32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers
        .filter_map(|pid: i32| Some((pid, parent_of(pid)?)))
        .collect()
}

/// The fourth field of `/proc/PID/stat`. The second is a name in brackets that may hold anything; zombies
/// are left out.
fn parent_of(pid: i32) -> Option<i32> {
    let status = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after_name = status.iter().rposition(|&byte| byte == b')')?;
    let mut fields = str::from_utf8(&status[after_name + 1..])
        .ok()?
        .split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then_some(parent)
}
