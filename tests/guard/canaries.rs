//! Secrets in the output of steps, with the real binary. A whole secret is never relayed, and the guard's own messages
//! contain no part of one. (`src/commands/check/tests.rs` tests the messages in ten thousand cases.)

use crate::support::Guard;

/// Whether the tests run with their full number of cases.
#[expect(clippy::disallowed_methods, reason = "these are tests, not the guard")]
fn is_soak() -> bool {
    std::env::var_os("STARTUP_GUARD_SOAK").is_some_and(|value| value == "1")
}

/// A different secret for each run and place. No message of the guard contains a part of it.
fn canary(run: u32, place: u32) -> String {
    const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxz23456789";
    let mut state = u64::from(run) << 32 | u64::from(place) << 8 | 1;
    let letter = |_| {
        // Knuth's MMIX generator, of which only the upper bits are used.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 33).unwrap_or_default() % LETTERS.len();
        char::from(LETTERS[at])
    };
    (0..12).map(letter).collect()
}

const MANIFEST: &str = "version: 1
variables:
  TOKEN: {secret: true}
  URL: {secret: true, type: url}
  PEM: {secret: true}
  FROM_FILE: {secret: true}
  FALLBACK: {secret: true, level: optional}
steps:
  - name: print
    command: [sh, -c, 'env; printf \"%s\" \"$TOKEN$URL\" >&2; echo; echo \"$PEM\" | tail -n +2; cat /proc/self/environ | tr \"\\\\0\" \"\\\\n\"; exit 3']
";

#[test]
fn no_secret_comes_through_whatever_a_step_prints() {
    let runs = if is_soak() { 500 } else { 25 };
    for run in 0..runs {
        let canary = |place| canary(run, place);
        let guard = Guard::with_manifest(MANIFEST);
        let file = guard.folder.file("secret", format!("{}\n", canary(5)));
        let ended = guard
            .env("TOKEN", canary(1))
            .env("URL", format!("postgresql://app:{}@db/app", canary(2)))
            .env(
                "PEM",
                format!(
                    "-----BEGIN X-----\n{}\n{}\n-----END X-----",
                    canary(3),
                    canary(4)
                ),
            )
            .env("FROM_FILE_FILE", file)
            .env("FALLBACK", format!(" {} ", canary(6)))
            .env("STARTUP_GUARD_LOG", ["text", "json"][run as usize % 2])
            .line("run -- true")
            .run();
        // White space around a value is a finding, and no step would run.
        let ended = ended.expect_code(78);
        for place in 1..=6 {
            let canary = canary(place);
            for part in 0..=canary.len() - 6 {
                assert!(!ended.stderr().contains(&canary[part..part + 6]), "{ended}");
            }
        }
        let guard = Guard::with_manifest(MANIFEST);
        let file = guard.folder.file("secret", format!("{}\n", canary(5)));
        let mut ended = guard
            .env("TOKEN", canary(1))
            .env("URL", format!("postgresql://app:{}@db/app", canary(2)))
            .env(
                "PEM",
                format!(
                    "-----BEGIN X-----\n{}\n{}\n-----END X-----",
                    canary(3),
                    canary(4)
                ),
            )
            .env("FROM_FILE_FILE", file)
            .env("STARTUP_GUARD_LOG", ["text", "json"][run as usize % 2])
            .line("run -- true")
            .run()
            .expect_code(70);
        for place in 1..=5 {
            ended = ended.expect_never(&canary(place));
        }
        assert!(
            ended.stdout().contains("***") || ended.stderr().contains("***"),
            "{ended}"
        );
    }
}

/// The expected exit code, the sections of the manifest, and the command line.
const FAILURES: &[(i32, &str, &str)] = &[
    // Commands that are not found or cannot be executed, whose name is a variable's value.
    (
        127,
        "steps: [{name: s, command: ['${PLAIN}', '${TOKEN}']}]",
        "run -- true",
    ),
    (
        127,
        "steps: [{name: s, command: ['./${PLAIN}/x', '${TOKEN}']}]",
        "run -- true",
    ),
    (
        126,
        "steps: [{name: s, command: ['./${FILE}', '${TOKEN}']}]",
        "run -- true",
    ),
    (
        126,
        "steps: [{name: s, command: ['./${FOLDER}', '${TOKEN}']}]",
        "run -- true",
    ),
    (
        127,
        "steps: [{name: s, command: ['./${SCRIPT}', '${TOKEN}']}]",
        "run -- true",
    ),
    (
        126,
        "steps: [{name: s, command: ['./${TEXT}', '${TOKEN}']}]",
        "run -- true",
    ),
    (
        127,
        "steps: [{name: s, command: ['true'], up_to_date: ['${PLAIN}']}]",
        "run -- true",
    ),
    (
        126,
        "steps: [{name: s, command: ['true'], up_to_date: ['./${FILE}']}]",
        "run -- true",
    ),
    (127, "server: {command: ['${PLAIN}', '${TOKEN}']}", "run"),
    (
        126,
        "server: {command: ['./${FILE}', '${TOKEN}']}",
        "run --init",
    ),
    (
        127,
        "server: {command: ['./${SCRIPT}', '${TOKEN}']}",
        "run --init",
    ),
    (126, "service: x", "run -- ${FOLDER_PATH} $TOKEN"),
    (127, "service: x", "run -- $PLAIN $TOKEN"),
    // Steps that print their environment and fail.
    (
        70,
        "steps: [{name: s, command: [sh, -c, 'echo $TOKEN $URL; kill -KILL $$', '${TOKEN}']}]",
        "run -- true",
    ),
    (
        70,
        "steps: [{name: s, command: [sh, -c, 'echo $TOKEN >&2; exit 3', '${URL}']}]",
        "run -- true",
    ),
    (
        124,
        "steps: [{name: s, timeout: 300ms, stop_grace: 100ms, command: [sh, -c, 'printf $TOKEN; sleep 100', '${TOKEN}']}]",
        "run -- true",
    ),
    (
        70,
        "steps: [{name: s, up_to_date: [sh, -c, 'echo $TOKEN; exit 1'], command: ['false', '${TOKEN}']}]",
        "run -- true",
    ),
    (
        70,
        "steps: [{name: s, up_to_date: [sh, -c, 'echo $TOKEN; exit 127'], command: ['true']}]",
        "run -- true",
    ),
    // Dependencies and a user that do not exist.
    (69, "wait_for: [{http: URL, timeout: 300ms}]", "run -- true"),
    (69, "wait_for: [{tcp: URL, timeout: 300ms}]", "run -- true"),
    (
        77,
        "user: nobody-here\nsteps: [{name: s, command: [echo, '${TOKEN}']}]",
        "run -- true",
    ),
    // A successful start.
    (
        0,
        "steps: [{name: s, command: [sh, -c, 'echo $TOKEN; echo $URL', '${TOKEN}']}]",
        "run -- true",
    ),
    (
        0,
        "server: {command: ['true', '${TOKEN}'], init: true}",
        "run",
    ),
];

#[test]
fn no_part_of_a_value_is_shown_in_any_phase() {
    for (number, &(code, sections, line)) in (0..).zip(FAILURES) {
        for (log, round) in [("text", 0), ("json", 1)] {
            let canary = |place| canary(1000 + 2 * number + round, place);
            let manifest = format!(
                "version: 1\nvariables: {{TOKEN: {{secret: true}}, URL: {{secret: true, type: url}}, PLAIN: {{}}}}\n{sections}\n"
            );
            let guard = Guard::with_manifest(&manifest);
            let name = |place: u32| canary(place);
            guard.folder.file(&name(4), "not executable");
            std::fs::create_dir(guard.folder.path().join(name(5))).expect("a folder can be made");
            guard.folder.script(&name(6), "#!/no/such/interpreter\n");
            guard.folder.script(&name(7), "no first line\n");
            let folder_path = guard.folder.path().join(name(5));
            let ended = guard
                .env("STARTUP_GUARD_LOG", log)
                .env("TOKEN", canary(1))
                .env(
                    "URL",
                    format!(
                        "http://app:{}@127.0.0.1:9/{}?password={}",
                        canary(2),
                        canary(8),
                        canary(9)
                    ),
                )
                .env("PLAIN", canary(3))
                .env("FILE", name(4))
                .env("FOLDER", name(5))
                .env("SCRIPT", name(6))
                .env("TEXT", name(7))
                .env("FOLDER_PATH", folder_path)
                .line(line)
                .run()
                .expect_code(code);
            let shown = format!("{}{}", ended.stdout(), ended.stderr());
            for place in 1..=9 {
                let canary = canary(place);
                for part in 0..=canary.len() - 6 {
                    let part = &canary[part..part + 6];
                    assert!(!shown.contains(part), "{part} of {place} is shown\n{ended}");
                }
            }
        }
    }
}
