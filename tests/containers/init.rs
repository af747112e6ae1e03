//! The guard as the init of a container: signals, terminals, zombies.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::Test;
use crate::engine::{CONTAINER_PATIENCE, Container, docker, try_docker, unique};
use crate::images::{self, EXAMPLE};
use crate::support::Folder;

pub const TESTS: &[Test] = &[
    (
        "as_init_every_signal_of_the_engine_reaches_the_server",
        as_init_every_signal_of_the_engine_reaches_the_server,
    ),
    (
        "a_shell_on_a_terminal_has_its_foreground_and_its_jobs",
        a_shell_on_a_terminal_has_its_foreground_and_its_jobs,
    ),
    (
        "a_step_leaves_no_zombie_to_the_server",
        a_step_leaves_no_zombie_to_the_server,
    ),
    (
        "as_init_orphans_are_collected_while_the_server_runs",
        as_init_orphans_are_collected_while_the_server_runs,
    ),
    (
        "a_stop_while_the_manifest_is_read_or_a_step_ignores_it_ends_in_bounded_time",
        a_stop_while_the_manifest_is_read_or_a_step_ignores_it_ends_in_bounded_time,
    ),
];

/// The guard as PID 1 with a command, in the example's image.
const AS_INIT: [&str; 6] = [
    "--entrypoint",
    "startup-guard",
    EXAMPLE,
    "run",
    "--no-manifest",
    "--init",
];

fn as_init_every_signal_of_the_engine_reaches_the_server() {
    const TELL_SIGNALS: &str = "
import signal, time
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    if number not in (4, 5, 7, 8, 11, 31, 32, 33):
        signal.signal(number, lambda number, _: print('got', int(number), flush=True))
print('ready', flush=True)
while True:
    time.sleep(60)
";
    images::build();
    let server = ["--", "python", "-c", TELL_SIGNALS];
    let container = Container::start(&[&AS_INIT[..], &server].concat());
    container.until_logged("ready");
    assert_eq!(container.exec(&["cat", "/proc/1/comm"]), "startup-guard");
    for number in ["1", "2", "3", "10", "12", "15", "18", "28", "35", "64"] {
        docker(&["kill", "-s", number, &container.0]);
        container.until_logged(&format!("got {number}\n"));
    }
    docker(&["kill", "-s", "KILL", &container.0]);
    assert_eq!(container.exit_code(), 137);
}

fn a_shell_on_a_terminal_has_its_foreground_and_its_jobs() {
    images::build();
    let name = unique("terminal");
    let words = ["docker", "run", "--rm", "-it", "--name", &name];
    let line = [&words[..], &AS_INIT, &["--", "bash", "--norc"]]
        .concat()
        .join(" ");
    let mut terminal = Terminal::start(&line);
    terminal.say("echo re''ady\n");
    terminal.until("ready");
    assert!(
        !terminal.shown().contains("no job control"),
        "{}",
        terminal.shown()
    );
    terminal.say("sleep 600; echo ended with $?\n");
    let sleeps = || {
        let listed = try_docker(&["top", &name, "-o", "pid,args"]);
        String::from_utf8_lossy(&listed.stdout).contains("sleep 600")
    };
    terminal.poll("sleep runs", sleeps);
    terminal.say("\x03");
    // bash ends the list of commands once when Ctrl-C ends a command of it.
    terminal.say("echo the shell goes on with $?\n");
    terminal.until("goes on with 130");
    terminal.say("exit 7\n");
    assert_eq!(terminal.exit_code(), Some(7), "{}", terminal.shown());
}

fn a_step_leaves_no_zombie_to_the_server() {
    images::build();
    let folder = Folder::new();
    let leave = "for i in 1 2 3 4 5; do setsid sh -c \\\"sleep 0.05 & exec sleep 600\\\" & done";
    let manifest = format!(
        "version: 1\nsteps: [{{name: leave, stop_grace: 1s, command: [sh, -c, \"{leave}\"]}}]\nserver: {{command: [sleep, '600']}}\n"
    );
    let file = folder.file("required-vars.yaml", manifest);
    let mount = format!("{}:/srv/required-vars.yaml:ro", file.display());
    for init in [&[][..], &["--init"]] {
        let container = Container::start(&[init, &["-v", &mount, EXAMPLE]].concat());
        container.until("the server runs", |container| {
            let processes = processes(container);
            // The engine's own init, if there is one, has the guard in its arguments.
            let has_guard = processes.iter().any(|process| {
                process.contains("startup-guard") && !process.contains("docker-init")
            });
            !has_guard
                && processes
                    .iter()
                    .any(|process| process.ends_with("sleep 600"))
        });
        let left = processes(&container);
        let servers = left.iter().filter(|process| process.ends_with("sleep 600"));
        assert_eq!(servers.count(), 1, "{left:?}");
        assert!(
            !left.iter().any(|process| process.starts_with('Z')),
            "{left:?}"
        );
    }
}

fn as_init_orphans_are_collected_while_the_server_runs() {
    images::build();
    let leave = "for i in $(seq 50); do (sleep 0.01 &) ; done; echo left; exec sleep 600";
    let container = Container::start(&[&AS_INIT[..], &["--", "sh", "-c", leave]].concat());
    container.until_logged("left");
    container.until("only the guard and its server are there", |container| {
        processes(container).len() == 2
    });
    let (code, took) = container.stop();
    assert_eq!(code, 143);
    assert!(took < Duration::from_secs(8), "it took {took:?}");
}

fn a_stop_while_the_manifest_is_read_or_a_step_ignores_it_ends_in_bounded_time() {
    images::build();
    let folder = Folder::new();
    let deaf = folder.file(
        "deaf.yaml",
        "version: 1\nsteps: [{name: deaf, stop_grace: 1s, command: [sh, -c, \"trap '' TERM; echo deaf; while :; do sleep 1; done\"]}]\nserver: {command: [sh, -c, 'echo served']}\n",
    );
    let mount = format!("{}:/m", folder.path().display());
    let run = [
        "--interactive",
        "-v",
        &mount,
        "--entrypoint",
        "startup-guard",
        EXAMPLE,
        "run",
        "--manifest",
    ];

    // Nothing is ever written to this pipe, so the guard waits in the phase manifest. While PID 1 is still starting, the
    // kernel discards a signal that it does not handle yet.
    let reading = Container::start(&[&run[..], &["/dev/stdin"]].concat());
    reading.until("the guard sleeps", |container| {
        let processes = processes(container);
        let mut guards = processes
            .iter()
            .filter(|process| process.contains("startup-guard"));
        guards.any(|guard| guard.starts_with('S'))
    });
    let (code, took) = reading.stop();
    assert_eq!(code, 143, "{}", reading.logs());
    assert!(took < Duration::from_secs(5), "it took {took:?}");

    assert!(deaf.exists());
    let container = Container::start(&[&run[..], &["/m/deaf.yaml"]].concat());
    container.until_logged("deaf\n");
    let (code, took) = container.stop();
    assert_eq!(code, 143, "{}", container.logs());
    assert!(took < Duration::from_secs(8), "it took {took:?}");
    assert!(!container.logs().contains("served"), "{}", container.logs());
}

/// `STATE COMMAND` of each process in a container, as listed on the host.
fn processes(container: &Container) -> Vec<String> {
    let listed = try_docker(&["top", &container.0, "-o", "pid,s,args"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let line = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        fields
            .next()
            .map(|state| format!("{state} {}", fields.collect::<Vec<_>>().join(" ")))
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// A command on a new terminal, which `script` creates.
struct Terminal {
    process: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn start(line: &str) -> Self {
        let mut process = Command::new("script")
            .args(["--quiet", "--return", "--command", line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script can be started");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut stdout, collected) = (
            process.stdout.take().expect("it is piped"),
            Arc::clone(&shown),
        );
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                collected
                    .lock()
                    .expect("no reader panics")
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self { process, shown }
    }

    fn say(&mut self, text: &str) {
        let stdin = self.process.stdin.as_mut().expect("it is piped");
        stdin
            .write_all(text.as_bytes())
            .expect("the terminal takes it");
        stdin.flush().expect("the terminal takes it");
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no reader panics")).into_owned()
    }

    #[track_caller]
    fn until(&self, text: &str) {
        self.poll(text, || self.shown().contains(text));
    }

    #[track_caller]
    fn poll(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + CONTAINER_PATIENCE;
        while !condition() {
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}\n{}",
                self.shown()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.process.wait().expect("script ends").code()
    }
}
