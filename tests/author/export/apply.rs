//! `export railway --apply`, with programs that stand in for Railway's.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;

use super::railway::{RECORDER, program, recorded};
use super::{CANARIES, MANIFEST, VALUES, expect_no_canary};
use crate::support::{Ended, Folder, Guard, is_alive, until};

/// A guard that applies `VALUES` with the `railway` in this folder.
fn guard(folder: &Path, values: &str, line: &str) -> Guard {
    let guard = Guard::with_manifest(MANIFEST);
    guard.folder.file("a.env", values);
    guard
        .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
        .line(&format!("export railway --apply --env-file a.env {line}"))
}

/// Applies `VALUES` with a script that gets the arguments, and checks that nothing is on standard output and no canary
/// anywhere.
fn apply(script: &str) -> (Ended, Folder) {
    let folder = program(script);
    let ended = guard(folder.path(), VALUES, "").run();
    let ended = ended.expect_stdout("");
    expect_no_canary(&ended);
    (ended, folder)
}

#[test]
fn each_secret_is_passed_on_standard_input_and_the_rest_in_one_call_that_deploys() {
    let folder = program(RECORDER);
    let place = "--service api --environment live --project p1";
    let ended = guard(folder.path(), VALUES, place).run();
    expect_no_canary(&ended);
    ended
        .expect_code(0)
        .expect_stdout("")
        .expect_stderr("set TOKEN (exit status 0)\nset DATABASE_URL (exit status 0)\nset MODE, TITLE (exit status 0)\n");
    let calls = recorded(folder.path());
    let calls: Vec<(String, &str)> = calls
        .iter()
        .map(|call| (call.arguments.join("|"), call.input.as_str()))
        .collect();
    let place = place.replace(' ', "|");
    let expected = [
        ("--version".to_owned(), ""),
        (
            format!("variable|set|TOKEN|--stdin|--skip-deploys|{place}"),
            "its$ecret-c4n4ry",
        ),
        (
            format!("variable|set|DATABASE_URL|--stdin|--skip-deploys|{place}"),
            "postgresql://app:p4sscanary@db.internal/app",
        ),
        (format!("variable|set|MODE=live|TITLE=yes # no|{place}"), ""),
    ];
    assert_eq!(calls, expected);
    let files = fs::read_dir(ended_folder(&folder)).expect("the folder can be read");
    assert_eq!(files.count(), 2 * expected.len());
}

fn ended_folder(folder: &Folder) -> std::path::PathBuf {
    folder.path().join("calls")
}

#[test]
fn no_secret_is_in_the_environment_of_the_program() {
    let script = format!("{RECORDER}/bin/cat /proc/$$/environ >\"$folder/../environ\"\n");
    let (ended, folder) = apply(&script);
    ended.expect_code(0);
    let environ = fs::read_to_string(folder.path().join("environ")).expect("it was recorded");
    assert!(environ.contains("PATH="), "{environ}");
    assert!(CANARIES.iter().all(|canary| !environ.contains(canary)));
}

#[test]
fn the_first_failure_ends_it_and_its_message_is_masked() {
    let script = format!(
        "{RECORDER}case $3 in DATABASE_URL) echo \"No linked project: $3 $(/bin/cat \"$folder/$number.input\")\" >&2; exit 3;; esac\n"
    );
    let (ended, folder) = apply(&script);
    let ended = ended
        .expect_code(70)
        .expect_stderr("set TOKEN (exit status 0)\n");
    let told = "railway failed with exit status 3 and this message: \"No linked project: DATABASE_URL ***\"; set, and not deployed: TOKEN; failed: DATABASE_URL; not tried: MODE, TITLE";
    ended.expect_stderr(told);
    assert_eq!(recorded(folder.path()).len(), 3);
}

#[test]
fn open_values_in_a_message_are_masked_too() {
    let script = "#!/bin/sh\ncase $3 in MODE=*) echo \"Invalid variable format: $3 $4\" >&2; exit 1;; esac\n";
    let (ended, _folder) = apply(script);
    let told = "railway failed with exit status 1 and this message: \"Invalid variable format: MODE=*** TITLE=***\"; set, and not deployed: TOKEN, DATABASE_URL; failed: MODE, TITLE";
    ended.expect_code(70).expect_stderr(told);
}

#[test]
fn a_secret_is_masked_however_the_message_escapes_it() {
    let script = format!(
        "#!{}
import json, sys, urllib.parse
if '--version' not in sys.argv:
    value = sys.stdin.read()
    print(json.dumps(value, ensure_ascii=False), repr(value), urllib.parse.quote(value, safe=''), file=sys.stderr)
    sys.exit(1)
",
        super::python().display()
    );
    let folder = program(&script);
    let values = format!("{VALUES}TOKEN='ab\"c\\d$e/c4n4ry1 c4n4ry2é\nc4n4ry3'\n");
    let ended = guard(folder.path(), &values, "").run().expect_code(70);
    expect_no_canary(&ended);
    ended.expect_stderr("and this message: \"\\\"***\\\" ");
}

#[test]
fn a_message_that_is_cut_off_is_not_shown() {
    // The whole secret is not in the part of the message that is kept, so it could not be masked.
    let folder = program("#!/bin/sh\n[ \"$1\" = --version ] && exit\ncat >&2\nexit 1\n");
    let secret = "c4n4ry1".repeat(12_000);
    let values = VALUES
        .lines()
        .filter(|line| !line.starts_with("TOKEN="))
        .map(|line| format!("{line}\n"));
    let values = values.collect::<String>() + &format!("TOKEN={secret}\n");
    let ended = guard(folder.path(), &values, "").run().expect_code(70);
    expect_no_canary(&ended);
    ended.expect_stderr("failed with exit status 1 and a message that is too long to be shown");
}

#[test]
fn a_program_that_a_signal_terminates_is_a_failure() {
    let (ended, _folder) = apply("#!/bin/sh\n[ \"$1\" = --version ] || kill -9 $$\n");
    let told = "railway was terminated by SIGKILL; nothing was set before; failed: TOKEN; not tried: DATABASE_URL, MODE, TITLE";
    ended.expect_code(70).expect_stderr(told);
}

#[test]
fn nothing_is_run_if_the_values_are_invalid() {
    let folder = program(RECORDER);
    let values = VALUES.replace("MODE=live", "MODE=other");
    let ended = guard(folder.path(), &values, "").run();
    ended.expect_code(78).expect_stdout("");
    assert_eq!(recorded(folder.path()).len(), 0);
    let ended = guard(folder.path(), &values, "--force").run();
    ended.expect_code(0);
    assert_eq!(recorded(folder.path()).len(), 4);
}

#[test]
fn a_missing_program_and_one_that_may_not_be_executed_are_errors_of_their_own() {
    let folder = Folder::new();
    let ended = guard(folder.path(), VALUES, "").run();
    expect_no_canary(&ended);
    ended.expect_code(127).expect_stderr(
        "nothing was set: there is no `railway` in PATH that works; install Railway's command-line program",
    );
    folder.file("railway", "#!/bin/sh\n");
    let ended = guard(folder.path(), VALUES, "").run();
    ended.expect_code(126).expect_stderr(
        "nothing was set: the command `railway` may not be executed: check its permissions",
    );
}

#[test]
fn a_program_that_is_too_old_sets_nothing() {
    for (version, code) in [
        ("railway 4.23.2", 70),
        ("railway 4.24.0", 0),
        ("railway 5.1.0", 0),
    ] {
        let script = format!("{RECORDER}[ \"$1\" = --version ] && echo {version}\n exit 0\n");
        let (ended, folder) = apply(&script);
        let ended = ended.expect_code(code);
        if code == 0 {
            assert_eq!(recorded(folder.path()).len(), 4);
        } else {
            ended.expect_stderr("nothing was set: `railway 4.23.2` has no `variable set`; update it to 4.24 or later");
            assert_eq!(recorded(folder.path()).len(), 1);
        }
    }
}

#[test]
fn a_program_that_does_not_read_its_input_or_prints_much_is_no_problem() {
    let folder =
        program("#!/bin/sh\nexec 0<&-\nhead -c 300000 /dev/zero\nhead -c 300000 /dev/zero >&2\n");
    // Longer than a pipe holds.
    let values = format!("{VALUES}TOKEN={}\n", "c4n4ry-".repeat(15_000));
    let ended = guard(folder.path(), &values, "").run();
    expect_no_canary(&ended);
    ended
        .expect_code(0)
        .expect_stderr("set TOKEN (exit status 0)\n");
}

#[test]
fn the_program_has_the_signals_that_the_guard_was_started_with() {
    // dash would unblock the signals.
    let script = RECORDER.replace("/bin/sh", "/bin/bash")
        + "/bin/grep -E '^Sig(Blk|Ign)' /proc/self/status >\"$folder/../signals\"\n";
    let (ended, folder) = apply(&script);
    ended.expect_code(0);
    let signals = fs::read_to_string(folder.path().join("signals")).expect("it was recorded");
    assert!(signals.contains("SigBlk:\t0000000000000000"), "{signals}");
    let ignored = signals.split("SigIgn:\t").nth(1).map(str::trim);
    let ignored = ignored.and_then(|text| u64::from_str_radix(text, 16).ok());
    let bits = [Signal::SIGPIPE, Signal::SIGCHLD].map(|signal| 1 << (signal as u64 - 1));
    assert_eq!(ignored.map(|set| set & (bits[0] | bits[1])), Some(0));
}

#[test]
fn a_stop_ends_the_guard_and_the_program() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder =
            program("#!/bin/sh\n[ \"$1\" = --version ] && exit\necho $$ >pid\nexec sleep 1234\n");
        let running = guard(folder.path(), VALUES, "").start();
        let pid = running.wait_for_pid("pid");
        running.signal(signal);
        let ended = running.end();
        expect_no_canary(&ended);
        ended.expect_code(128 + signal as i32);
        until("the program has ended", || !is_alive(pid));
    }
}
