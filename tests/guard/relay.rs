//! How the guard relays a step's output.

use crate::support::Guard;

fn step(script: &str, variables: &str) -> Guard {
    let manifest = format!(
        "version: 1\nvariables: {{{variables}}}\nsteps: [{{name: s, command: [sh, step.sh]}}]\n"
    );
    let guard = Guard::with_manifest(&manifest).line("run --no-server");
    guard.folder.file("step.sh", script);
    guard
}

#[test]
fn lines_are_relayed_unchanged_each_on_its_own_stream() {
    let guard = step(
        "echo out 1; echo err 1 >&2; printf 'no end'; printf 'no end either' >&2",
        "",
    );
    let ended = guard.run().expect_code(0).expect_stdout("out 1\nno end\n");
    assert!(
        ended
            .stderr()
            .contains("\nerr 1\nno end either\nstartup-guard: step s: done in "),
        "{ended}"
    );
}

#[test]
fn the_first_line_is_visible_while_the_step_still_runs() {
    let running = step(
        "echo first; while [ ! -e go ]; do sleep 0.01; done; echo last",
        "",
    )
    .start();
    running.wait_for("first");
    running.folder.file("go", "");
    running.end().expect_code(0).expect_stdout("first\nlast\n");
}

#[test]
fn bytes_that_are_not_utf8_are_relayed() {
    let ended = step("printf '\\377\\376\\000x\\n'", "")
        .run()
        .expect_code(0);
    assert_eq!(ended.stdout, b"\xff\xfe\0x\n");
}

#[test]
fn secrets_are_masked_also_when_they_come_in_pieces() {
    let script = "echo before $TOKEN after; printf 'pieces fake-can'; sleep 0.05; printf 'ary-token.\\n'; echo $TOKEN >&2";
    let ended = step(script, "TOKEN: {secret: true}")
        .env("TOKEN", "fake-canary-token")
        .run()
        .expect_code(0);
    let ended = ended
        .expect_stdout("before *** after\npieces ***.\n")
        .expect_never("canary");
    ended.expect_stderr("\n***\nstartup-guard: step s: done in ");
}

#[test]
fn a_urls_password_is_masked_raw_and_decoded() {
    let script = "echo $URL; echo 'fake%40canary'; echo 'fake@canary'; echo app";
    let guard = step(script, "URL: {secret: true, type: url}")
        .env("URL", "postgresql://app:fake%40canary@db:5432/app");
    guard
        .run()
        .expect_code(0)
        .expect_stdout("***\n***\n***\napp\n")
        .expect_never("canary");
}

#[test]
fn a_urls_password_is_masked_also_where_the_manifest_does_not_call_it_secret() {
    step("echo $URL", "URL: {type: url}")
        .env("URL", "postgresql://app:fake-canary@db:5432/app")
        .run()
        .expect_code(0)
        .expect_stdout("postgresql://app:***@db:5432/app\n");
}

#[test]
fn a_secret_over_several_lines_is_masked_whole_and_by_line() {
    let key = "-----BEGIN FAKE-----\nCANARYAAAABBBB\nab\nCANARYCCCCDDDD\n-----END FAKE-----";
    let script = "printf '%s\\n' \"$KEY\"; echo only CANARYCCCCDDDD here; echo ab";
    let ended = step(script, "KEY: {secret: true}")
        .env("KEY", key)
        .run()
        .expect_code(0);
    ended
        .expect_stdout("***\nonly *** here\nab\n")
        .expect_never("CANARY");
}

#[test]
fn the_value_of_a_secret_file_is_masked() {
    let guard = step("echo $TOKEN", "TOKEN: {secret: true}");
    let file = guard.folder.file("token", "fake-canary-token\n");
    guard
        .env("TOKEN_FILE", file)
        .run()
        .expect_code(0)
        .expect_stdout("***\n")
        .expect_never("canary");
}

#[test]
fn large_output_arrives_completely() {
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i of much output; i=$((i+1)); done";
    let ended = step(script, "TOKEN: {secret: true, default: never-printed}")
        .run()
        .expect_code(0);
    let mut expected = String::new();
    for number in 0..20000 {
        expected.push_str(&format!("line {number} of much output\n"));
    }
    assert!(
        ended.stdout() == expected,
        "{} bytes came of {}",
        ended.stdout.len(),
        expected.len()
    );
}

#[test]
fn a_line_without_end_does_not_fill_the_memory() {
    let ended = step("head -c 30000000 /dev/zero | tr '\\0' x", "")
        .run()
        .expect_code(0);
    assert_eq!(
        ended.stdout.len(),
        30_000_000 + ended.stdout.iter().filter(|&&byte| byte == b'\n').count()
    );
}

#[test]
fn a_grandchild_that_holds_the_pipe_open_does_not_delay_the_guard() {
    let ended = step("sleep 100 & echo done", "")
        .run()
        .expect_code(0)
        .expect_stdout("done\n");
    assert!(
        ended.took < std::time::Duration::from_secs(5),
        "it took {:?}",
        ended.took
    );
}

#[test]
fn a_reader_that_went_away_does_not_stop_the_step() {
    let manifest =
        "version: 1\nsteps: [{name: s, command: [sh, -c, 'echo x; echo y; touch done']}]\n";
    let guard = Guard::with_manifest(manifest)
        .line("run --no-server")
        .stdout(crate::support::broken_pipe());
    let (status, _, folder) = guard.run_quietly_and(|_, _| {});
    assert_eq!(status.code(), Some(0));
    assert!(folder.path().join("done").exists());
}

#[test]
fn a_reader_that_comes_late_gets_everything() {
    use std::io::Read;
    // As much as the pipes and the guard's backlog hold, so that the step ends before the output is read.
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let guard = step("head -c 400000 /dev/zero | tr '\\0' x; touch written", "").stdout(writer);
    let mut text = Vec::new();
    let (status, _, _) = guard.run_quietly_and(|folder, _| {
        let written = folder.path().join("written");
        crate::support::until("the step has written", || written.exists());
        reader.read_to_end(&mut text).expect("the pipe can be read");
    });
    assert_eq!(status.code(), Some(0));
    // A single line, which is shown in several parts.
    assert_eq!(text.iter().filter(|&&byte| byte == b'x').count(), 400_000);
}

#[test]
fn the_passwords_of_all_urls_in_a_value_are_masked() {
    let script = "echo $LIST; echo $BOTH; echo $DSN; echo app one two three s3cret";
    let variables = "LIST: {type: url, list: csv}, BOTH: {type: url}, DSN: {}";
    step(script, variables)
        .env("LIST", "redis://:one1@a:1,redis://:two%40@b:2")
        .env("BOTH", "postgresql://app:three@db/app?password=four4")
        .env("DSN", "host=db password = s3cret")
        .run()
        .expect_code(0)
        .expect_stdout(
            "redis://:***@a:1,redis://:***@b:2\npostgresql://app:***@db/app?password=***\n\
             host=db password = ***\napp one two *** ***\n",
        );
}

#[test]
fn a_secret_of_white_space_only_is_missing_and_masks_nothing() {
    let variables = "A: {secret: true, level: optional}, B: {secret: true, level: optional}, \
                     C: {secret: true, level: optional, type: url}";
    step("echo one two; printf 'a\\tb\\n'", variables)
        .env("A", " ")
        .env("B", "\t\n ")
        .env("C", "redis://:%20@h")
        .run()
        .expect_code(0)
        .expect_stdout("one two\na\tb\n");
}

#[test]
fn a_time_out_is_kept_however_much_output_there_is_to_mask() {
    let manifest = "version: 1
variables: {TOKEN: {secret: true}}
steps: [{name: s, command: [sh, -c, 'yes abababab | tr -d \"\\\\n\"'], timeout: 1s, stop_grace: 100ms}]
";
    let ended = Guard::with_manifest(manifest)
        .env("TOKEN", "ab".repeat(5_000))
        .line("run --no-server")
        .run()
        .expect_code(124);
    assert!(
        ended.took < std::time::Duration::from_secs(4),
        "it took {:?}",
        ended.took
    );
}
