//! Runs the guard under ptrace, and makes one system call of one of its processes fail.
//!
//! strace is not used, because it counts calls per process, and could not make a call fail in a forked child without
//! making it fail in the parent. A process is traced until it calls exec, after which it is not the guard any more.

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
    /// The index of the call among equal ones, counted from 1.
    pub occurrence: usize,
    pub errno: Errno,
}

/// A kind of system call, of one process or thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The index of the process: 0 for the guard, 1 for the first forked process, and so on.
    pub process: usize,
    /// The call's number, which `ausyscall` translates to its name.
    pub number: u64,
}

/// The result of a run.
pub struct Traced {
    /// All calls in the order in which they began.
    pub calls: Vec<Call>,
    /// Whether the call to fail was reached.
    pub is_struck: bool,
    /// The guard's exit code as a shell reports it. `None` if it did not end in time and was killed.
    pub code: Option<i32>,
    /// All processes of the guard, including those that have called exec.
    pub processes: Vec<Pid>,
}

/// The reason why this machine does not allow tracing, or `None` if it does.
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

/// Runs a command until it ends. Sends SIGTERM once, as soon as `is_to_be_stopped` returns true.
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
    // The child stops after exec.
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
    /// The process that is in the call that is to fail.
    failing: Option<Pid>,
}

impl Tracer {
    /// Traces until no process is traced any more.
    fn follow(&mut self, limit: Duration, is_to_be_stopped: impl Fn() -> bool) {
        let deadline = Instant::now() + limit;
        let guard = self.traced.processes[0];
        let (mut is_stopped, mut is_killed, mut idle) = (false, false, 0);
        // Only for this thread: other threads have their own children and tracees.
        let options = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD | WaitPidFlag::WNOHANG;
        loop {
            match waitpid(None, Some(options)) {
                Err(Errno::ECHILD) => return,
                Err(errno) => panic!("{errno}"),
                Ok(WaitStatus::StillAlive) => {
                    idle += 1;
                    // A traced process reaches its next call very soon, while another program can take longer.
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

    /// Handles an event of a process. Returns the guard's exit code if the guard has ended.
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
                // If it was killed meanwhile, the next wait reports that.
                let _ = ptrace::detach(pid, None);
            }
            WaitStatus::PtraceEvent(pid, _, _) => go_on(pid, None),
            // A new process begins with a stop for its tracer only.
            WaitStatus::Stopped(pid, Signal::SIGSTOP) if !self.traced.processes.contains(&pid) => {
                self.traced.processes.push(pid);
                go_on(pid, None);
            }
            WaitStatus::Stopped(pid, signal) => go_on(pid, Some(signal)),
            _ => {}
        }
        None
    }

    /// Handles the beginning or the end of a call.
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
        // SAFETY: at the beginning of a call this member of the union is valid.
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

/// The number of equal calls in a list.
pub fn occurrences(calls: &[Call], call: Call) -> usize {
    calls.iter().filter(|&&other| other == call).count()
}

/// Continues a process until its next call. If it was killed meanwhile, the next wait reports that.
fn go_on(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::syscall(pid, signal);
}

/// At the beginning of a call: makes the kernel skip it.
#[cfg(target_arch = "x86_64")]
fn skip(pid: Pid) {
    if let Ok(mut registers) = ptrace::getregs(pid) {
        registers.orig_rax = u64::MAX;
        let _ = ptrace::setregs(pid, registers);
    }
}

/// At the end of a call: sets its result.
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
