//! Manifests that are missing, unreadable or faulty.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::support::{Folder, Guard};

#[test]
fn a_missing_manifest_ends_with_66_and_its_path() {
    let ended = Guard::new()
        .line("run -- echo served")
        .run()
        .expect_code(66);
    ended
        .expect_stderr("there is no manifest required-vars.yaml")
        .expect_stderr("in the working directory only");
    Guard::new()
        .line("check --manifest no/such.yaml")
        .run()
        .expect_code(66)
        .expect_stderr("no/such.yaml");
}

#[test]
fn a_manifest_with_a_similar_name_is_told() {
    for (name, line) in [
        ("required-vars.yml", "check"),
        ("required_vars.yaml", "run -- true"),
        ("vars.yaml", "check --manifest vars.yml"),
    ] {
        let guard = Guard::new();
        guard.folder.file(name, "version: 1\n");
        let told = format!(
            ", but there is {name}; rename it, or name it with --manifest or STARTUP_GUARD_MANIFEST ("
        );
        guard.line(line).run().expect_code(66).expect_stderr(&told);
    }
}

#[test]
fn a_directory_as_the_manifest_ends_with_66() {
    Guard::new()
        .line("check --manifest .")
        .run()
        .expect_code(66)
        .expect_stderr("the manifest . is a directory");
}

#[test]
fn a_manifest_that_is_not_a_regular_file_ends_with_66_and_its_kind() {
    let folder = Folder::new();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a named pipe can be made");
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).expect("a socket can be made");
    for (file, what) in [
        (fifo.as_path(), "a named pipe"),
        (&socket, "a socket"),
        (Path::new("/dev/zero"), "a character device"),
        (Path::new("/dev/null"), "a character device"),
    ] {
        for command in ["run", "check"] {
            let ended = Guard::new()
                .args([
                    OsStr::new(command),
                    OsStr::new("--manifest"),
                    file.as_os_str(),
                ])
                .run()
                .expect_code(66);
            ended.expect_stderr(&format!(
                "the manifest {} cannot be read: not a regular file but {what}",
                file.display()
            ));
        }
    }
}

#[test]
fn a_manifest_can_be_an_anonymous_pipe() {
    let text = "version: 1\nserver: {command: [echo, served]}\n";
    let (reader, mut writer) = std::io::pipe().expect("a pipe can be made");
    writer
        .write_all(text.as_bytes())
        .expect("the pipe takes it");
    drop(writer);
    let guard = Guard::new().line("run --manifest /dev/stdin").stdin(reader);
    guard.run().expect_code(0).expect_stdout("served\n");
    // The path that bash passes for `<(command)`.
    let guard = Guard::with_manifest(text);
    let output = Command::new("bash")
        .args(["-c", "\"$0\" run --manifest <(cat required-vars.yaml)"])
        .arg(env!("CARGO_BIN_EXE_startup-guard"))
        .current_dir(guard.folder.path())
        .output()
        .expect("there is a bash");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"served\n");
}

#[test]
fn the_manifest_can_be_named_by_a_variable_and_the_flag_comes_first() {
    let guard = || {
        let guard = Guard::new();
        guard
            .folder
            .file("a.yaml", "version: 1\nserver: {command: [echo, a]}\n");
        guard
            .folder
            .file("b.yaml", "version: 1\nserver: {command: [echo, b]}\n");
        guard
    };
    guard()
        .env("STARTUP_GUARD_MANIFEST", "a.yaml")
        .run()
        .expect_code(0)
        .expect_stdout("a\n");
    let both = guard()
        .env("STARTUP_GUARD_MANIFEST", "a.yaml")
        .line("run --manifest b.yaml");
    both.run().expect_code(0).expect_stdout("b\n");
    guard()
        .env("STARTUP_GUARD_MANIFEST", "")
        .run()
        .expect_code(66);
}

#[test]
fn every_fault_of_a_manifest_is_told_at_once_with_path_and_line() {
    let manifest = r#"version: 2
service: demo
fail_on: critcal
variables:
  A: {levle: critical, type: strng, min_length: abc}
  B:
    default: [1, 2]
    distinct_from: [AA, B]
    one_of: []
  A: {}
  C D: {pattern: "("}
  MODE: {one_of: [dev, prod]}
  E:
    type: port
    default: 80800
    schemes: [https]
    required_when: {MODE: [staging], NONE: [x]}
  F: {min: 2, max: 1, type: integer, min_length: 3, max_length: 2}
  TOKEN: {secret: true}
  TOKEN_FILE: {}
  G: text
announce: "with ${TOKEN}"
steps:
  - name: s
    command: alembic upgrade head
    timeout: 10
  - command: [ls]
    lock: {}
    stop_signal: SIGTREM
  - {name: s, command: [], timeout: 0s}
servr: {}
wait_for: []
"#;
    let ended = Guard::with_manifest(manifest)
        .line("check")
        .run()
        .expect_code(65)
        .expect_stdout("");
    insta::assert_snapshot!(ended.stderr());
}

#[test]
fn a_limit_must_be_a_finite_number() {
    for limit in [".nan", ".inf", "-.inf"] {
        Guard::with_manifest(&format!(
            "version: 1\nvariables:\n  A: {{type: number, max: {limit}}}\n"
        ))
        .line("check")
        .run()
        .expect_code(65)
        .expect_stderr("line 3: variables.A.max: must be a finite number");
    }
}

#[test]
fn a_syntax_error_has_its_line_and_column() {
    for (manifest, told) in [
        (
            "version: 1\nvariables:\n  A: [1, 2\n  B: 3\n",
            "line 4, column 4: the file is not valid YAML",
        ),
        (
            "version: 1\n\tA: 1\n",
            "line 2, column 1: the file is not valid YAML",
        ),
        (
            "version: 1\nvariables: *nobody\n",
            "line 2, column 12: the file is not valid YAML: a text that begins with * must be in quotes",
        ),
        ("- a\n- b\n", "the manifest must be a mapping"),
        ("version: 1\n---\nversion: 1\n", "it has several documents"),
    ] {
        Guard::with_manifest(manifest)
            .line("check")
            .run()
            .expect_code(65)
            .expect_stderr(told);
    }
}

#[test]
fn an_empty_manifest_ends_with_65() {
    for manifest in ["", "\n\n", "# only a comment\n", "---\n", "\u{feff}"] {
        let ended = Guard::with_manifest(manifest)
            .line("check")
            .run()
            .expect_code(65);
        ended.expect_stderr("the file is empty; it needs at least `version: 1`");
    }
}

#[test]
fn a_byte_order_mark_is_no_fault() {
    let manifest = "\u{feff}version: 1\nserver: {command: [echo, served]}\n";
    Guard::with_manifest(manifest)
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
}

#[test]
fn a_manifest_that_is_not_utf8_has_the_line_of_its_first_wrong_byte() {
    let guard = Guard::new();
    guard
        .folder
        .file("required-vars.yaml", b"version: 1\nservice: caf\xe9\n");
    guard
        .line("check")
        .run()
        .expect_code(65)
        .expect_stderr("line 2: the file is not UTF-8");
}

#[test]
fn a_huge_manifest_is_refused_without_reading_it() {
    let guard = Guard::new();
    let file =
        File::create(guard.folder.path().join("required-vars.yaml")).expect("a file can be made");
    file.set_len(100 * 1024 * 1024)
        .expect("a sparse file can be made");
    let ended = guard
        .line("check")
        .run()
        .expect_code(65)
        .expect_stderr("larger than 1 MiB");
    assert!(ended.took.as_secs() < 2, "it took {:?}", ended.took);
}

#[test]
fn an_alias_bomb_is_rejected_quickly() {
    let mut manifest = "version: 1\na: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (this, last) in "bcdefghijklmn".chars().zip("abcdefghijklm".chars()) {
        let items = vec![format!("*{last}"); 9].join(", ");
        manifest.push_str(&format!("{this}: &{this} [{items}]\n"));
    }
    let ended = Guard::with_manifest(&manifest)
        .line("check")
        .run()
        .expect_code(65);
    assert!(ended.took.as_secs() < 5, "it took {:?}", ended.took);
}

#[test]
fn deep_nesting_is_rejected_quickly() {
    let shallow = format!("service: {}{}", "[".repeat(500), "]".repeat(500));
    let deep = format!("service: {}", "[".repeat(1_000_000));
    for (nested, told) in [
        (shallow, "line 2, column 137: the file is not valid YAML"),
        (deep, "line 2: the file is nested too deeply"),
    ] {
        let ended = Guard::with_manifest(&format!("version: 1\n{nested}\n"))
            .line("check")
            .run()
            .expect_code(65);
        assert!(ended.took.as_secs() < 5, "it took {:?}", ended.took);
        ended.expect_stderr(told);
    }
}

#[test]
fn scalars_are_taken_as_they_are_written() {
    let manifest = "version: 1
variables:
  VERSION: {level: optional, default: 1.10, one_of: [1.10, 2.0]}
  FLAG: {level: optional, default: yes}
  OCTAL: {level: optional, default: 010}
  NUMBER: {level: optional, default: 1e3}
server: {command: [sh, -c, 'echo $VERSION $FLAG $OCTAL $NUMBER \"$@\"', sh, 8000, 1.50, true]}
";
    Guard::with_manifest(manifest)
        .run()
        .expect_code(0)
        .expect_stdout("1.10 yes 010 1e3 8000 1.50 true\n");
}

#[test]
fn anchors_and_null_bodies_are_read() {
    let manifest = "version: 1
variables:
  A: &common {level: optional, default: x}
  B: *common
  C:
server: {command: [sh, -c, 'echo $A $B $C']}
";
    Guard::with_manifest(manifest)
        .env("C", "y")
        .run()
        .expect_code(0)
        .expect_stdout("x x y\n");
}

#[test]
fn a_secrets_default_or_example_is_never_echoed() {
    let manifest = "version: 1
variables:
  A: {secret: true, default: canary-default-1, min_length: 40, type: url}
  B: {secret: true, example: canary-example-2, pattern: '^x', oneof: canary-stray-3}
  C: {secret: true, default: [canary-default-4]}
  D: {secret: true, default: {canary-default-5: x}}
";
    let ended = Guard::with_manifest(manifest)
        .line("check")
        .run()
        .expect_code(65);
    ended
        .expect_stderr("variables.A.default: breaks the variable's own rule")
        .expect_never("canary");
}

#[test]
fn a_user_with_impossible_characters_is_a_fault() {
    for user in ["a:b:c", "'::'", "\"a\\tb\"", "\"app\\n\""] {
        let manifest = format!("version: 1\nuser: {user}\nserver: {{command: [x]}}\n");
        Guard::with_manifest(&manifest)
            .run()
            .expect_code(65)
            .expect_stderr("line 2: user: must be a user name or uid");
    }
}

#[test]
fn a_control_character_in_a_name_that_is_printed_is_a_fault() {
    for (manifest, path) in [
        ("version: 1\nservice: \"s\\n::error::x\"\n", "service"),
        (
            "version: 1\nsteps: [{name: \"s\\e[31m\", command: ['true']}]\n",
            "steps[0].name",
        ),
    ] {
        for line in ["check", "check --format github", "run -- true"] {
            Guard::with_manifest(manifest)
                .line(line)
                .run()
                .expect_code(65)
                .expect_stderr(&format!(
                    "{path}: contains a line break or another control character"
                ))
                .expect_never("\n::error::x")
                .expect_never("\u{1b}[31m");
        }
    }
}

#[test]
fn a_name_without_braces_in_a_command_is_a_fault_where_nothing_expands_it() {
    let manifest = "version: 1
variables: {URL: {}}
steps:
  - name: one
    command: [psql, $URL]
    up_to_date: [test, -n, =$URL]
  - name: two
    command: [sh, -c, psql $URL]
    up_to_date: {alembic: URL, command: [x, $URL]}
server:
  command: [uvicorn, 'main:app', --port, $PORT]
";
    let ended = Guard::with_manifest(manifest)
        .args(["check"])
        .run()
        .expect_code(65);
    let told = |path: &str, name: &str| {
        format!(
            "{path}: no shell expands ${name}; write ${{{name}}}, or ${{{name}:-text}} with a default"
        )
    };
    let faults = [
        told("steps[0].command[1]", "URL"),
        told("steps[0].up_to_date[2]", "URL"),
        told("steps[1].up_to_date.command[1]", "URL"),
        told("server.command[3]", "PORT"),
    ];
    let ended = faults
        .iter()
        .fold(ended, |ended, fault| ended.expect_stderr(fault));
    // A build without the PostgreSQL client has one fault more: it cannot ask alembic's version table.
    let count = if cfg!(feature = "postgres") { 4 } else { 5 };
    ended.expect_stderr(&format!("is invalid: {count} faults"));
}

#[test]
fn an_argument_of_the_command_line_that_nothing_expands_is_a_warning() {
    Guard::with_manifest("version: 1\n")
        .args(["run", "--", "echo", "0.0.0.0:$PORT", "$PORT"])
        .env("PORT", "8000")
        .run()
        .expect_code(0)
        .expect_stdout("0.0.0.0:$PORT 8000\n")
        .expect_stderr("the command of the server: nothing expands $PORT in an argument");
}
