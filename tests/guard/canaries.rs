//! Secrets in the output of steps, on the real binary: whole ones never come through, and nothing that the
//! guard says itself has a part of one in it. (What it says, in ten thousand cases: `src/commands/check/tests.rs`.)

use crate::support::Guard;

/// Whether the tests are to run with their full counts.
#[expect(clippy::disallowed_methods, reason = "these are tests, not the guard")]
fn is_soak() -> bool {
    std::env::var_os("STARTUP_GUARD_SOAK").is_some_and(|value| value == "1")
}

/// A secret of its own for each run and place; no word of ours has a part of it in it.
fn canary(run: u32, place: u32) -> String {
    const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxz23456789";
    let mut state = u64::from(run) << 32 | u64::from(place) << 8 | 1;
    let letter = |_| {
        // Knuth's MMIX generator; its upper bits are good enough.
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
        // White space around one of them is a finding: then no step runs.
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
