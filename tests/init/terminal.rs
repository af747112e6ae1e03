//! The guard as an init on a real terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nix::libc;
use nix::pty::openpty;

use crate::support::{Folder, Guard, PATIENCE, code_of};
use crate::{Needs, Test, roles};

pub const TESTS: &[Test] = &[
    (
        "each_key_of_the_terminal_reaches_the_server_once",
        Needs::Nothing,
        keys,
    ),
    (
        "a_shell_as_the_server_has_job_control",
        Needs::Nothing,
        shell_as_server,
    ),
    (
        "a_script_gets_its_terminal_back_after_the_server_has_ended",
        Needs::Nothing,
        script_above,
    ),
    (
        "the_guard_stops_and_continues_with_its_server_as_a_job_of_a_shell",
        Needs::Nothing,
        job_of_a_shell,
    ),
    (
        "a_job_in_the_background_leaves_the_terminal_to_its_shell",
        Needs::Nothing,
        background_job,
    ),
];

/// The master end of a terminal: writes keys, and reads what is shown.
struct Screen {
    keyboard: File,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Screen {
    fn new(master: OwnedFd) -> Self {
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().expect("a descriptor can be copied");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            // The read returns an error when no process has the terminal open any more.
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                shared
                    .lock()
                    .expect("no reader panics")
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self { keyboard, shown }
    }

    fn type_in(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("the terminal takes keys");
    }

    fn text(&self) -> String {
        let shown = self.shown.lock().expect("no reader panics");
        String::from_utf8_lossy(&shown).into_owned()
    }

    #[track_caller]
    fn wait_for(&self, what: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.text().matches(what).count() < times {
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what:?} in\n{}",
                self.text()
            );
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    fn resize(&self) {
        let size = libc::winsize {
            ws_row: 40,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: the request reads a size.
        unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    }
}

/// Runs the guard as the leader of a session on a terminal, as `docker run -it` does. Returns its exit code and what
/// was shown.
fn on_terminal(guard: Guard, act: impl FnOnce(&Folder, &mut Screen)) -> (i32, String) {
    let terminal = openpty(None, None).expect("a terminal can be made");
    let mut screen = Screen::new(terminal.master);
    let copy = || {
        terminal
            .slave
            .try_clone()
            .expect("a descriptor can be copied")
    };
    let guard = guard
        .stdin(copy())
        .stdout(copy())
        .stderr(copy())
        .env("PS1", "> ")
        .env("GUARD", env!("CARGO_BIN_EXE_startup-guard"))
        .before_exec(|| {
            // SAFETY: creates a session, with the terminal as descriptor 0.
            unsafe {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
            }
        });
    drop(terminal.slave);
    let (status, _, _) = guard.run_quietly_and(|folder, _| act(folder, &mut screen));
    (code_of(status), screen.text())
}

const INTERRUPT: &str = "\x03";
const QUIT: &str = "\x1c";
const SUSPEND: &str = "\x1a";
const END: &str = "\x04";

fn keys() {
    for options in ["", "--forward group"] {
        let guard = Guard::new()
            .line(&format!("run --no-manifest --init {options} --"))
            .args(roles::command(&["record", "record"]));
        let (code, shown) = on_terminal(guard, |folder, screen| {
            let record = || {
                let record = std::fs::read_to_string(folder.path().join("record"));
                record.unwrap_or_default()
            };
            let wait_for = |line: &str| {
                crate::support::until(line, || record().contains(line) && record().ends_with('\n'));
            };
            wait_for("ready");
            for (key, line) in [
                (INTERRUPT, "\n2 -\n"),
                (QUIT, "\n3 -\n"),
                (SUSPEND, "\n20 -\n"),
            ] {
                screen.type_in(key);
                wait_for(line);
            }
            screen.resize();
            wait_for("\n28 -\n");
            screen.type_in(INTERRUPT);
            crate::support::until("the second", || record().matches("\n2 -\n").count() == 2);
            let (first, rest) = record()
                .split_once('\n')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .expect("two lines");
            assert_eq!(rest, "2 -\n3 -\n20 -\n28 -\n2 -\n", "{options}");
            let server = first
                .trim_start_matches("ready ")
                .parse()
                .expect("a number");
            // SAFETY: kill takes any numbers.
            unsafe { libc::kill(server, libc::SIGKILL) };
        });
        assert_eq!(code, 137, "{shown}");
    }
}

fn shell_as_server() {
    for options in ["", "--forward group"] {
        let guard = Guard::new().line(&format!("run --no-manifest --init {options} -- sh -i"));
        let (code, shown) = on_terminal(guard, |_, screen| {
            screen.wait_for("> ", 1);
            screen.type_in("cat\n");
            screen.type_in("first\n");
            // Shown twice, as the echo and as the output: from now on the job receives the keys.
            screen.wait_for("first\r\n", 2);
            screen.type_in(SUSPEND);
            screen.wait_for("Stopped", 1);
            screen.type_in("fg\n");
            screen.type_in("second\n");
            screen.wait_for("second\r\n", 2);
            screen.type_in(INTERRUPT);
            // Ctrl-C discards keys that were typed but not read, so the next keys must wait for the shell's prompt.
            screen.wait_for("^C", 1);
            screen.wait_for("> ", 3);
            screen.type_in("echo al''ive\n");
            screen.wait_for("alive\r\n", 1);
            screen.type_in("exit 9\n");
        });
        assert_eq!(code, 9, "{shown}");
        assert!(!shown.contains("can't access tty"), "{shown}");
    }
}

/// A guard that only executes this command, which then runs the tested guard.
fn above(words: &[&str]) -> Guard {
    Guard::new().line("run --no-manifest --").args(words)
}

fn script_above() {
    let script = "$GUARD run --no-manifest --init -- sh -c 'read line; echo server $line'; read line; echo script $line; exit 4";
    let (code, shown) = on_terminal(above(&["sh", "-c", script]), |_, screen| {
        screen.type_in("one\n");
        screen.wait_for("server one", 1);
        screen.type_in("two\n");
        screen.wait_for("script two", 1);
    });
    assert_eq!(code, 4, "{shown}");
}

fn job_of_a_shell() {
    let (code, shown) = on_terminal(above(&["sh", "-i"]), |_, screen| {
        screen.wait_for("> ", 1);
        screen.type_in("$GUARD run --no-manifest --init -- cat\n");
        screen.type_in("first\n");
        // Shown twice, as the echo and as the output.
        screen.wait_for("first\r\n", 2);
        for round in 1..=2 {
            screen.type_in(SUSPEND);
            screen.wait_for("Stopped", round);
            screen.type_in("fg\n");
            let word = format!("again {round}");
            screen.type_in(&format!("{word}\n"));
            screen.wait_for(&format!("{word}\r\n"), 2);
        }
        screen.type_in(END);
        screen.type_in("echo co''de $?\n");
        screen.wait_for("code 0\r\n", 1);
        screen.type_in("exit 6\n");
    });
    assert_eq!(code, 6, "{shown}");
}

fn background_job() {
    let (code, shown) = on_terminal(above(&["sh", "-i"]), |folder, screen| {
        screen.wait_for("> ", 1);
        screen.type_in("$GUARD run --no-manifest --init -- sh -c 'echo x > runs; read line; echo server $line' &\n");
        crate::support::until("the server runs", || folder.path().join("runs").exists());
        screen.type_in("echo stil''l here\n");
        screen.wait_for("still here\r\n", 1);
        screen.type_in("fg\n");
        screen.type_in("typed\n");
        screen.wait_for("server typed\r\n", 1);
        screen.type_in("exit 7\n");
    });
    assert_eq!(code, 7, "{shown}");
}
