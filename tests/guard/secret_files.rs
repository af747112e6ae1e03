//! Secrets that come as files.

use std::fs::File;

use crate::support::Guard;

const MANIFEST: &str = "version: 1
variables:
  TOKEN: {secret: true, min_length: 5}
  PLAIN: {level: optional}
server: {command: [sh, -c, 'printf \"%s|%s|%s\" \"$TOKEN\" \"${TOKEN_FILE-gone}\" \"${PLAIN_FILE-gone}\"']}
";

#[test]
fn the_content_less_its_trailing_newlines_becomes_the_value_and_the_files_name_goes() {
    for content in [
        "fake-token",
        "fake-token\n",
        "fake-token\n\n",
        "fake-token\r\n",
    ] {
        let guard = Guard::with_manifest(MANIFEST);
        let file = guard.folder.file("token", content);
        let ended = guard
            .env("TOKEN", "")
            .env("TOKEN_FILE", &file)
            .env("PLAIN_FILE", "stays")
            .run();
        ended.expect_code(0).expect_stdout("fake-token|gone|stays");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_without_its_content() {
    let oversized = "x".repeat(128 * 1024 + 1);
    for (content, told) in [
        ("canary\0token", "has a NUL byte in it"),
        (oversized.as_str(), "is larger than 128 KiB"),
    ] {
        let guard = Guard::with_manifest(MANIFEST);
        let file = guard.folder.file("token", content);
        let ended = guard
            .env("TOKEN_FILE", &file)
            .run()
            .expect_code(78)
            .expect_stdout("");
        ended
            .expect_stderr("[file_unreadable, required]")
            .expect_stderr(told)
            .expect_never("canary");
    }
    for (file, told) in [("nowhere/token", "does not exist"), (".", "is a directory")] {
        let ended = Guard::with_manifest(MANIFEST)
            .env("TOKEN_FILE", file)
            .run()
            .expect_code(78);
        ended
            .expect_stderr("[file_unreadable, required]")
            .expect_stderr(told);
    }
}

#[test]
fn the_value_of_a_file_is_checked_like_any_other() {
    for (content, finding) in [
        ("abc", "too_short"),
        ("\n", "missing"),
        ("", "missing"),
        ("changeme", "placeholder"),
        (" fake-token", "white_space"),
    ] {
        let guard = Guard::with_manifest(MANIFEST);
        let file = guard.folder.file("token", content);
        guard
            .env("TOKEN_FILE", &file)
            .run()
            .expect_code(78)
            .expect_stderr(&format!("[{finding}, required]"));
    }
}

#[test]
fn a_value_and_a_file_together_are_a_finding() {
    let guard = Guard::with_manifest(MANIFEST);
    let file = guard.folder.file("token", "fake-canary-a");
    let ended = guard
        .env("TOKEN_FILE", &file)
        .env("TOKEN", "fake-canary-b")
        .run()
        .expect_code(78);
    ended
        .expect_stderr("[file_and_value, required]")
        .expect_never("canary");
}

#[test]
fn file_false_leaves_the_other_variable_alone() {
    let manifest = MANIFEST.replace("min_length: 5", "file: false");
    let ended = Guard::with_manifest(&manifest)
        .env("TOKEN", "fake")
        .env("TOKEN_FILE", "kept")
        .run();
    ended.expect_code(0).expect_stdout("fake|kept|gone");
}

#[test]
fn an_endless_file_is_refused() {
    let ended = Guard::with_manifest(MANIFEST)
        .env("TOKEN_FILE", "/dev/zero")
        .run()
        .expect_code(78);
    ended.expect_stderr("is larger than 128 KiB");
}

#[test]
fn a_file_of_a_pipe_is_read() {
    // As a shell's process substitution hands it in.
    let guard = Guard::with_manifest(MANIFEST);
    let path = guard.folder.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a named pipe can be made");
    let running = guard.env("TOKEN_FILE", &path).start();
    let mut pipe = File::options()
        .write(true)
        .open(&path)
        .expect("the guard reads the pipe");
    std::io::Write::write_all(&mut pipe, b"fake-token\n").expect("the pipe takes it");
    drop(pipe);
    running
        .end()
        .expect_code(0)
        .expect_stdout("fake-token|gone|gone");
}
