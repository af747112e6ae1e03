//! The exit code for every way in which a process can end.

use nix::libc;

use crate::support::Guard;
use crate::{Needs, Test, roles};

pub const TESTS: &[Test] = &[
    (
        "every_exit_code_of_the_server_is_the_inits",
        Needs::Nothing,
        exit_codes_of_the_server,
    ),
    (
        "every_signal_that_ends_the_server_becomes_128_and_its_number",
        Needs::Nothing,
        signals_that_end_the_server,
    ),
    (
        "every_exit_code_of_a_step_is_shown_and_is_an_error_unless_it_is_0",
        Needs::Nothing,
        exit_codes_of_a_step,
    ),
    (
        "every_signal_that_ends_a_step_is_shown_with_128_and_its_number",
        Needs::Nothing,
        signals_that_end_a_step,
    ),
    (
        "an_exit_code_of_the_server_can_be_replaced_but_none_of_the_guard",
        Needs::Nothing,
        remapped,
    ),
    (
        "a_server_that_cannot_be_executed_has_the_same_code_and_message_with_an_init",
        Needs::Nothing,
        refusals,
    ),
];

/// Every signal whose default action terminates the process, including real-time signals.
fn deadly() -> impl Iterator<Item = i32> {
    const HARMLESS: [i32; 8] = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGURG,
        libc::SIGWINCH,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
    ];
    (1..=64).filter(|signal| !HARMLESS.contains(signal))
}

fn init(role: &[&str]) -> Guard {
    Guard::new()
        .line("run --no-manifest --init --")
        .args(roles::command(role))
}

fn exit_codes_of_the_server() {
    for code in 0..=255 {
        let ended = init(&["exit", &code.to_string()]).run().expect_code(code);
        ended.expect_stdout("").expect_stderr("");
    }
}

fn signals_that_end_the_server() {
    for signal in deadly() {
        init(&["die", &signal.to_string()])
            .run()
            .expect_code(128 + signal);
    }
}

fn remapped() {
    let options =
        "--remap-exit 143:0 --remap-exit 3:4 --remap-exit 0:7 --remap-exit 5:6 --remap-exit=5:255";
    let init = |role: [&str; 2]| {
        let guard = Guard::new().line(&format!("run --no-manifest --init {options} --"));
        guard.args(roles::command(&role)).run()
    };
    // The last one of a code counts, and the new code is not replaced again.
    for (code, expected) in [(143, 0), (3, 4), (4, 4), (0, 7), (7, 7), (5, 255), (6, 6)] {
        init(["exit", &code.to_string()]).expect_code(expected);
    }
    init(["die", "15"]).expect_code(0).expect_stderr("");
    init(["die", "9"]).expect_code(137);
    let manifest = "version: 1\nsteps: [{name: s, command: ['false']}]\nserver: {init: true, command: ['true']}\n";
    Guard::with_manifest(manifest)
        .line("run --remap-exit 70:0 --remap-exit 127:0")
        .run()
        .expect_code(70);
    Guard::new()
        .line("run --no-manifest --init --remap-exit 127:0 -- no-such-server")
        .run()
        .expect_code(127);
}

/// A guard with a step for each role, all with `allow_failure`.
fn steps(roles: impl Iterator<Item = [String; 2]>) -> Guard {
    let mut manifest = "version: 1\nsteps:\n".to_owned();
    for [role, argument] in roles {
        let command = roles::yaml(&[&role, &argument]);
        manifest.push_str(&format!(
            "  - {{name: {role}-{argument}, allow_failure: true, command: {command}}}\n"
        ));
    }
    Guard::with_manifest(&manifest).line("run --no-server")
}

fn exit_codes_of_a_step() {
    let mut ended = steps((0..=255).map(|code| ["exit".to_owned(), code.to_string()]))
        .run()
        .expect_code(0);
    for code in 1..=255 {
        let told = format!("step exit-{code}: failed with exit code {code} after ");
        ended = ended.expect_stderr(&told);
    }
    ended.expect_never("step exit-0: failed");
}

fn signals_that_end_a_step() {
    let mut ended = steps(deadly().map(|signal| ["die".to_owned(), signal.to_string()]))
        .run()
        .expect_code(0);
    for signal in deadly() {
        let code = 128 + signal;
        let line = ended
            .stderr()
            .lines()
            .find(|line| line.contains(&format!("step die-{signal}: failed with ")))
            .unwrap_or_else(|| panic!("{signal} is not told\n{ended}"))
            .to_owned();
        assert!(
            line.contains(&format!(" ({code}) after "))
                && line.ends_with("s; ignored because of allow_failure"),
            "{line}"
        );
        ended = ended.expect_code(0);
    }
}

fn refusals() {
    let guard = |command: &str| {
        let guard = Guard::new().line("run --no-manifest --init --");
        guard.folder.file("file", "no program");
        guard.folder.script("script", "no first line\n");
        guard.folder.script("orphaned", "#!/no/such/interpreter\n");
        guard.args([command])
    };
    for (command, code, told) in [
        (
            "no-such-server",
            127,
            "the command `no-such-server` was not found",
        ),
        ("./nothing", 127, "there is no such file"),
        (
            "./orphaned",
            127,
            "its interpreter `/no/such/interpreter` was not found",
        ),
        ("/tmp", 126, "the command `/tmp` is a directory"),
        ("./file", 126, "the command `./file` may not be executed"),
        ("./script", 126, "neither a program nor a script"),
    ] {
        let ended = guard(command).run().expect_code(code).expect_stderr(told);
        assert!(ended.last_line().contains("phase serve"), "{ended}");
    }
}
