//! Secrets in files.

use std::fs::File;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::support::{Folder, Guard, until};

const MANIFEST: &str = "version: 1
variables:
  TOKEN: {secret: true, min_length: 5}
  PLAIN: {level: optional}
server: {command: [sh, -c, 'printf \"%s|%s|%s\" \"$TOKEN\" \"${TOKEN_FILE-gone}\" \"${PLAIN_FILE-gone}\"']}
";

#[test]
fn the_content_without_trailing_newlines_becomes_the_value_and_name_file_is_removed() {
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
fn findings_of_a_file_do_not_contain_its_content() {
    let oversized = "x".repeat(128 * 1024 + 1);
    for (content, told) in [
        ("canary\0token", "contains a NUL byte"),
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
fn only_a_regular_file_is_read_and_nothing_else_is_waited_for() {
    let folder = Folder::new();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a named pipe can be made");
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).expect("a socket can be made");
    let link = folder.path().join("link");
    symlink(&fifo, &link).expect("a link can be made");
    for (file, what) in [
        (fifo.as_path(), "a named pipe"),
        (&link, "a named pipe"),
        (&socket, "a socket"),
        (Path::new("/dev/zero"), "a character device"),
        (Path::new("/dev/null"), "a character device"),
        (Path::new("/dev/stdin"), "a pipe"),
    ] {
        // Nothing is ever written to this pipe.
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        let ended = Guard::with_manifest(MANIFEST)
            .env("TOKEN_FILE", file)
            .stdin(reader)
            .run()
            .expect_code(78)
            .expect_stdout("");
        drop(writer);
        let told = format!("which is not a regular file but {what} [file_unreadable, required]");
        assert!(
            ended.stderr().replace("\n   ", " ").contains(&told),
            "{ended}"
        );
        ended.expect_stderr("set TOKEN_FILE to a text file that contains only the value");
    }
    let file = folder.file("token", "fake-token");
    std::fs::remove_file(&link).expect("the link is there");
    symlink(file, &link).expect("a link can be made");
    let ended = Guard::with_manifest(MANIFEST)
        .env("TOKEN_FILE", &link)
        .run();
    ended.expect_code(0).expect_stdout("fake-token|gone|gone");
}

#[test]
fn a_named_pipe_is_not_opened() {
    // Opening it would let its writer continue without a reader.
    let guard = Guard::with_manifest(MANIFEST);
    let fifo = guard.folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a named pipe can be made");
    let (sender, receiver) = std::sync::mpsc::channel();
    let path = fifo.clone();
    let writer = std::thread::spawn(move || {
        sender.send(nix::unistd::gettid()).expect("it is awaited");
        File::options().write(true).open(path)
    });
    let task = receiver.recv().expect("the writer starts");
    until("the writer waits in open", || {
        let call = std::fs::read_to_string(format!("/proc/self/task/{task}/syscall"));
        call.is_ok_and(|call| call.starts_with(&format!("{} ", nix::libc::SYS_openat)))
    });
    let ended = guard.env("TOKEN_FILE", &fifo).run().expect_code(78);
    let is_let_go = writer.is_finished();
    let _reader = File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(&fifo)
        .expect("the pipe is there");
    writer
        .join()
        .expect("no panic")
        .expect("it has a reader now");
    assert!(!is_let_go, "{ended}");
}
