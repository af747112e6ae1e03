//! Makes every system call of a start fail once. In every case the guard ends in time with a documented exit code, and
//! never starts the server after a failed step or a stop.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{self, c_long};

use crate::support::{Folder, is_alive};
use crate::tracer::{self, Call, Fault, Traced, occurrences};
use crate::{Needs, Test, is_soak};

pub const TESTS: &[Test] = &[(
    "a_system_call_that_fails_neither_hangs_the_guard_nor_starts_a_wrong_server",
    Needs::Tracing,
    every_call_fails,
)];

/// The errors with which each call fails. Some calls never fail with some of these, but the guard does not rely on
/// that.
const ERRORS: [Errno; 5] = [
    Errno::EIO,
    Errno::ENOMEM,
    Errno::EPERM,
    Errno::ENOSYS,
    Errno::EINTR,
];

/// Calls that cannot return an error number: those that do not return, and `brk`, which returns the unchanged end of the
/// heap if it fails. The C library takes any other result for the new end.
const WITHOUT_ERROR: [c_long; 4] = [
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
    libc::SYS_brk,
];

/// The first call of the guard's own code: of `main`, which claims the signals, and of a helper thread, which connects.
/// The calls before belong to the runtime of the process or thread.
const BEGINNINGS: [c_long; 2] = [libc::SYS_eventfd2, libc::SYS_socket];

/// What may end the guard while a runtime starts, before the guard's own code runs. The server never runs then.
const FATAL_TO_A_RUNTIME: [(c_long, &str); 6] = [
    (
        libc::SYS_arch_prctl,
        "the C library cannot set up thread-local data, and ends with 127",
    ),
    (
        libc::SYS_rseq,
        "the C library takes it for an error of its own when only some threads have it, and aborts",
    ),
    (
        libc::SYS_mprotect,
        "the C library cannot protect its relocations, and ends with 127; or Rust's runtime cannot protect the \
         stack of its handler for overflows, and aborts",
    ),
    (
        libc::SYS_mmap,
        "Rust's runtime has no stack for its handler for overflows, and aborts",
    ),
    (
        libc::SYS_poll,
        "Rust's runtime cannot learn whether the standard streams are open, and aborts",
    ),
    (
        libc::SYS_rt_sigaction,
        "Rust's runtime cannot ignore SIGPIPE, and aborts",
    ),
];

/// The exit codes of these: 127 of the C library, SIGABRT and SIGSEGV.
const CODES_OF_A_RUNTIME: [i32; 3] = [127, ABORTED, 139];

const ABORTED: i32 = 134;

/// What may end the guard with an internal error, because Rust's standard library panics: `HashMap` if the kernel
/// returns no random numbers, and `ReadDir` if a folder, here /proc, cannot be closed. Neither happens on a real
/// kernel.
const FATAL_TO_THE_LIBRARY: [c_long; 2] = [libc::SYS_getrandom, libc::SYS_close];

/// The exit codes of `run` for errors other than a stop.
const FAILURES: [i32; 12] = [64, 65, 66, 69, 70, 71, 75, 77, 78, 124, 126, 127];

/// The time after which a run counts as hanging. The guard itself waits up to 5 seconds for processes that it has
/// killed.
const LIMIT: Duration = Duration::from_secs(10);

/// Without a soak, only every Nth case is run. The number is coprime to the number of errors, so that each error
/// occurs.
const STRIDE: usize = 7;

/// The exit code of the server.
const SERVED: i32 = 7;

/// The exit code of a start that is stopped by SIGTERM.
const STOPPED: i32 = 143;

/// A start whose system calls are made to fail.
struct Scenario {
    name: &'static str,
    options: &'static [&'static str],
    /// The step's script. The start is stopped as soon as the file `begun` exists.
    step: &'static str,
    is_waiting: bool,
    /// The exit code of the start if no call fails.
    code: i32,
}

const SUCCESS: &str = "echo stepped >stepped";

const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "exec",
        options: &[],
        step: SUCCESS,
        is_waiting: false,
        code: SERVED,
    },
    Scenario {
        name: "init",
        options: &["--init"],
        step: SUCCESS,
        is_waiting: false,
        code: SERVED,
    },
    Scenario {
        name: "with something to wait for",
        options: &[],
        step: SUCCESS,
        is_waiting: true,
        code: SERVED,
    },
    Scenario {
        name: "a step that fails",
        options: &[],
        step: "exit 3",
        is_waiting: false,
        code: 70,
    },
    Scenario {
        name: "a stop during the step",
        options: &[],
        step: "echo begun >begun; exec sleep 100",
        is_waiting: false,
        code: STOPPED,
    },
    Scenario {
        name: "a stop during a step that does not heed it",
        options: &["--init"],
        step: "trap : TERM; echo begun >begun; while :; do sleep 0.01; done",
        is_waiting: false,
        code: STOPPED,
    },
    Scenario {
        name: "a step that leaves a process in another session",
        options: &[],
        step: "setsid sleep 100 & echo $! >left; echo stepped >stepped",
        is_waiting: false,
        code: SERVED,
    },
];

/// A system call of a scenario, and the error with which it fails.
#[derive(Clone, Copy)]
struct Case {
    scenario: &'static Scenario,
    fault: Fault,
    /// Whether the call is made while a runtime starts.
    is_of_a_runtime: bool,
}

/// The outcome of a run.
struct Outcome {
    traced: Traced,
    has_stepped: bool,
    has_served: bool,
    /// Whether the server has found a process of the step still running.
    has_served_beside: bool,
    /// Processes of the guard and of the step that are still running.
    left: Vec<i32>,
    stderr: String,
}

impl Scenario {
    fn run(&self, port: u16, fault: Option<Fault>) -> Outcome {
        let folder = Folder::new();
        let wait = if self.is_waiting {
            format!("wait_for: [{{tcp: '127.0.0.1:{port}', timeout: 3s}}]\n")
        } else {
            String::new()
        };
        let manifest = format!(
            "version: 1
variables: {{A: {{default: x}}}}
{wait}steps: [{{name: s, stop_grace: 100ms, command: [sh, -c, '{}']}}]
server: {{command: [sh, -c, 'echo served >served; if kill -0 $(cat left); then echo beside >beside; fi; exit {SERVED}']}}
",
            self.step
        );
        folder.file("required-vars.yaml", manifest);
        let (mut stderr, stderr_end) = std::io::pipe().expect("a pipe can be made");
        let mut command = Command::new(env!("CARGO_BIN_EXE_startup-guard"));
        command
            .arg("run")
            .args(self.options)
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr_end);
        let has = |name: &str| folder.path().join(name).exists();
        let traced = tracer::run(&mut command, fault, LIMIT, || has("begun"));
        let traced = traced.expect("the guard can be traced");
        // The guard holds the other end of the pipe.
        drop(command);
        let left_by_step = fs::read_to_string(folder.path().join("left")).ok();
        let left_by_step = left_by_step.and_then(|text| text.trim().parse().ok());
        let processes = traced.processes.iter().map(|pid| pid.as_raw());
        let left = those_left(processes.chain(left_by_step).collect());
        let mut told = Vec::new();
        stderr.read_to_end(&mut told).expect("a pipe can be read");
        Outcome {
            has_stepped: has("stepped"),
            has_served: has("served"),
            has_served_beside: has("beside"),
            traced,
            left,
            stderr: String::from_utf8_lossy(&told).into_owned(),
        }
    }

    /// Determines the cases of this scenario, with a run in which no call fails.
    fn cases(&'static self, port: u16) -> Vec<Case> {
        let plain = self.run(port, None);
        assert_eq!(plain.traced.code, Some(self.code), "{}", plain.stderr);
        let calls = &plain.traced.calls;
        let mut counts = BTreeMap::<Call, usize>::new();
        for &call in calls {
            *counts.entry(call).or_default() += 1;
        }
        counts.retain(|call, _| !is_among(call.number, &WITHOUT_ERROR));
        let mut cases = Vec::new();
        for (call, count) in counts {
            let is_ours =
                |other: &Call| other.process == call.process && is_among(other.number, &BEGINNINGS);
            let beginning = calls.iter().position(is_ours).unwrap_or(0);
            let of_a_runtime = occurrences(&calls[..beginning], call);
            let mut chosen = vec![1, 2, count];
            chosen.retain(|&occurrence| occurrence <= count);
            chosen.dedup();
            for occurrence in chosen {
                cases.extend(ERRORS.map(|errno| Case {
                    scenario: self,
                    fault: Fault {
                        call,
                        occurrence,
                        errno,
                    },
                    is_of_a_runtime: occurrence <= of_a_runtime,
                }));
            }
        }
        cases
    }
}

/// Kills and returns those of these processes that do not end by themselves within a short time.
fn those_left(mut processes: Vec<i32>) -> Vec<i32> {
    for _ in 0..200 {
        processes.retain(|&pid| is_alive(pid));
        if processes.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    for &pid in &processes {
        // SAFETY: kill accepts any numbers. These processes were started by the run.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    processes
}

fn is_among(number: u64, calls: &[c_long]) -> bool {
    calls.iter().any(|&call| u64::try_from(call) == Ok(number))
}

impl Case {
    /// Classifies the outcome. Returns an error if it contradicts the documentation.
    fn verdict(self, outcome: &Outcome) -> Result<&'static str, String> {
        let Some(code) = outcome.traced.code else {
            return Err("it hangs".to_owned());
        };
        let is_to_be_served = self.scenario.code == SERVED && outcome.has_stepped;
        if outcome.has_served {
            return match code {
                SERVED if is_to_be_served && !outcome.has_served_beside => Ok("the server's code"),
                _ => Err(format!("the server has run, and the code is {code}")),
            };
        }
        if !outcome.left.is_empty() {
            return Err(format!("the code is {code}, and something runs on"));
        }
        let call = self.fault.call.number;
        let fatal = FATAL_TO_A_RUNTIME.map(|(call, _)| call);
        let is_fatal = self.is_of_a_runtime && is_among(call, &fatal);
        match code {
            STOPPED if self.scenario.code == STOPPED => Ok("the stop's code"),
            _ if FAILURES.contains(&code) => Ok("a failure's code"),
            _ if is_fatal && CODES_OF_A_RUNTIME.contains(&code) => Ok("a runtime's end"),
            ABORTED if is_among(call, &FATAL_TO_THE_LIBRARY) => Ok("an internal error"),
            _ => Err(format!("{code} is no code for this")),
        }
    }
}

fn every_call_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    // The server ends with the test program.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let all: Vec<Case> = SCENARIOS
        .iter()
        .flat_map(|scenario| {
            let cases = scenario.cases(port);
            println!("{}: {} cases", scenario.name, cases.len());
            cases
        })
        .collect();
    let stride = if is_soak() { 1 } else { STRIDE };
    let chosen: Vec<Case> = all.iter().copied().step_by(stride).collect();
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(BTreeMap::<&str, usize>::new());
    let wrong = Mutex::new(Vec::new());
    let work = || {
        while let Some(case) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = case.scenario.run(port, Some(case.fault));
            let kind = case.verdict(&outcome).unwrap_or_else(|problem| {
                let (name, fault) = (case.scenario.name, case.fault);
                let text = format!("{name}, {fault:?}: {problem}\n{}", outcome.stderr);
                wrong.lock().expect("no run panics").push(text);
                "wrong"
            });
            let kind = if outcome.traced.is_struck {
                kind
            } else {
                "not reached"
            };
            let mut counts = counts.lock().expect("no run panics");
            *counts.entry(kind).or_default() += 1;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let counts = counts.into_inner().expect("no run panics");
    println!("{} of {} cases: {counts:?}", chosen.len(), all.len());
    let wrong = wrong.into_inner().expect("no run panics");
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // The number of calls differs slightly between runs.
    let reached = chosen.len() - counts.get("not reached").unwrap_or(&0);
    assert!(
        reached * 10 > chosen.len() * 9,
        "{reached} cases were reached"
    );
}
