//! Runs the guard under ptrace, and lets one system call of one of its processes fail.
//!
//! Not by strace, which counts calls in each process for itself and so cannot strike the child of a fork without
//! striking its parent. A process is traced until it executes something: what it is then is no longer the guard.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A system call that fails instead of being made.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub call: Call,
    /// Which of these calls, from 1 on.
    pub occurrence: usize,
    pub errno: Errno,
}

/// A system call of one process (or thread).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// 0 is the guard, 1 the first process that is forked, and so on.
    pub process: usize,
    /// The call's number, which `ausyscall` translates to its name.
    pub number: u64,
}

/// What a run came to.
pub struct Traced {
    /// Every call in the order in which they were begun.
    pub calls: Vec<Call>,
    /// Whether the fault was met.
    pub is_struck: bool,
    /// The guard's exit code as a shell would show it; none: it did not end in time, and was killed.
    pub code: Option<i32>,
    /// Every process of the guard's, whatever it has executed since.
    pub processes: Vec<Pid>,
}

/// Why this machine lets nobody trace; none if it does.
pub fn refusal() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("system calls are made to fail on x86_64 only".to_owned());
    }
    let traced = run(
        &mut Command::new("/bin/true"),
        None,
        Duration::from_secs(20),
        || false,
    );
    traced
        .err()
        .map(|error| format!("no process can be traced here: {error}"))
}

/// Runs a command to its end. Once `is_to_be_stopped` holds, SIGTERM is sent to it, once.
pub fn run(
    command: &mut Command,
    fault: Option<Fault>,
    limit: Duration,
    is_to_be_stopped: impl Fn() -> bool,
) -> std::io::Result<Traced> {
    // SAFETY: a system call, which is async-signal-safe.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let child = command.spawn()?;
    let guard = Pid::from_raw(i32::try_from(child.id()).expect("a pid fits"));
    // It stops when it has executed its program.
    waitpid(guard, None)?;
    ptrace::setoptions(
        guard,
        Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL,
    )?;
    let mut tracer = Tracer {
        fault,
        traced: Traced {
            calls: Vec::new(),
            is_struck: false,
            code: None,
            processes: vec![guard],
        },
        failing: None,
    };
    go_on(guard, None);
    tracer.follow(limit, is_to_be_stopped);
    Ok(tracer.traced)
}

struct Tracer {
    fault: Option<Fault>,
    traced: Traced,
    /// Who is in the call that fails.
    failing: Option<Pid>,
}

impl Tracer {
    /// Until nothing is traced any more.
    fn follow(&mut self, limit: Duration, is_to_be_stopped: impl Fn() -> bool) {
        let deadline = Instant::now() + limit;
        let guard = self.traced.processes[0];
        let (mut is_stopped, mut is_killed, mut idle) = (false, false, 0);
        // Other threads have children and tracees of their own.
        let options = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD | WaitPidFlag::WNOHANG;
        loop {
            match waitpid(None, Some(options)) {
                Err(Errno::ECHILD) => return,
                Err(errno) => panic!("{errno}"),
                Ok(WaitStatus::StillAlive) => {
                    idle += 1;
                    // A traced process is at its next call in no time; a program takes longer.
                    if idle < 50 {
                        std::thread::yield_now();
                        continue;
                    }
                    std::thread::sleep(Duration::from_micros(200));
                    if !is_stopped && self.traced.code.is_none() && is_to_be_stopped() {
                        is_stopped = true;
                        let _ = kill(guard, Signal::SIGTERM);
                    }
                    if !is_killed && Instant::now() > deadline {
                        is_killed = true;
                        for &process in &self.traced.processes {
                            let _ = kill(process, Signal::SIGKILL);
                        }
                    }
                }
                Ok(status) => {
                    idle = 0;
                    if let Some(code) = self.heed(status).filter(|_| !is_killed) {
                        self.traced.code = Some(code);
                    }
                }
            }
        }
    }

    /// Acts on what happened to a process. Gives the guard's exit code when it was the guard's end.
    fn heed(&mut self, status: WaitStatus) -> Option<i32> {
        let guard = self.traced.processes[0];
        match status {
            WaitStatus::Exited(pid, code) if pid == guard => return Some(code),
            WaitStatus::Signaled(pid, signal, _) if pid == guard => {
                return Some(128 + signal as i32);
            }
            WaitStatus::PtraceSyscall(pid) => {
                self.meet_call(pid);
                go_on(pid, None);
            }
            WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_EXEC) => {
                // That it was killed meanwhile is told by the next wait.
                let _ = ptrace::detach(pid, None);
            }
            WaitStatus::PtraceEvent(pid, _, _) => go_on(pid, None),
            // A new process begins with a stop that nobody else sees.
            WaitStatus::Stopped(pid, Signal::SIGSTOP) if !self.traced.processes.contains(&pid) => {
                self.traced.processes.push(pid);
                go_on(pid, None);
            }
            WaitStatus::Stopped(pid, signal) => go_on(pid, Some(signal)),
            _ => {}
        }
        None
    }

    /// At a call's begin or end.
    fn meet_call(&mut self, pid: Pid) {
        let Ok(info) = ptrace::syscall_info(pid) else {
            return;
        };
        if info.op == libc::PTRACE_SYSCALL_INFO_EXIT {
            if let Some(fault) = self.fault.filter(|_| self.failing == Some(pid)) {
                self.failing = None;
                set_result(pid, fault.errno);
            }
            return;
        }
        // SAFETY: at the begin of a call this is what is told.
        let number = unsafe { info.u.entry.nr };
        let process = self.traced.processes.iter().position(|&other| other == pid);
        let process = process.expect("its first stop came before its first call");
        let call = Call { process, number };
        self.traced.calls.push(call);
        let Some(fault) = self.fault.filter(|_| !self.traced.is_struck) else {
            return;
        };
        if call == fault.call && occurrences(&self.traced.calls, call) == fault.occurrence {
            self.traced.is_struck = true;
            self.failing = Some(pid);
            skip(pid);
        }
    }
}

/// How often a call is among these.
pub fn occurrences(calls: &[Call], call: Call) -> usize {
    calls.iter().filter(|&&other| other == call).count()
}

/// Until its next call. That it was killed meanwhile is told by the next wait.
fn go_on(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::syscall(pid, signal);
}

/// At the begin of a call: has the kernel make none.
#[cfg(target_arch = "x86_64")]
fn skip(pid: Pid) {
    if let Ok(mut registers) = ptrace::getregs(pid) {
        registers.orig_rax = u64::MAX;
        let _ = ptrace::setregs(pid, registers);
    }
}

/// At the end of a call: what it gives.
#[cfg(target_arch = "x86_64")]
fn set_result(pid: Pid, errno: Errno) {
    if let Ok(mut registers) = ptrace::getregs(pid) {
        registers.rax = (-i64::from(errno as i32)).cast_unsigned();
        let _ = ptrace::setregs(pid, registers);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn skip(_: Pid) {
    unreachable!("`refusal` says so before");
}

#[cfg(not(target_arch = "x86_64"))]
fn set_result(_: Pid, _: Errno) {
    unreachable!("`refusal` says so before");
}
