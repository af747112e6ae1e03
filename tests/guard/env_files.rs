//! `check --env-file`: checks the environment that a service would get from files.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Ended, Guard, until};

const MANIFEST: &str = "version: 1
service: demo
variables:
  DATABASE_URL: {type: url, schemes: [postgresql], secret: true}
  MODE: {one_of: [dev, prod]}
  TOKEN: {secret: true, level: optional}
";

const SOUND: &str = "DATABASE_URL=postgresql://app:fake-pass@db/app\nMODE=dev\n";

fn guard(files: &[(&str, &str)]) -> Guard {
    let guard = Guard::with_manifest(MANIFEST);
    for (name, content) in files {
        guard.folder.file(name, content);
    }
    guard
}

fn summary(ended: &Ended) -> Value {
    let stdout = ended.stdout();
    serde_json::from_str(stdout.lines().last().unwrap_or_default()).expect("the summary is JSON")
}

#[test]
fn a_files_value_overrides_the_processs_value_which_only_file_ignores() {
    let guard = || {
        guard(&[("a.env", SOUND)])
            .env("MODE", "wrong")
            .env("TOKEN", "<token>")
    };
    guard().line("check").run().expect_code(78);
    let ended = guard().line("check --env-file a.env").run().expect_code(0);
    assert!(ended.stdout().contains("1 warning"), "{ended}");
    let ended = guard()
        .line("check --only-file --env-file a.env")
        .run()
        .expect_code(0);
    ended.expect_stdout("the environment of demo is sound: 3 variables checked\n");
}

#[test]
fn of_several_files_the_last_one_counts_and_a_finding_names_its_line() {
    let files = [("a.env", SOUND), ("b.env", "# local\n\nMODE=test\n")];
    let ended = guard(&files)
        .line("check --only-file --env-file a.env --env-file b.env")
        .run()
        .expect_code(78);
    let line = "❌ MODE is not one of dev, prod [not_one_of, required] (b.env:3)";
    assert!(ended.stdout().contains(line), "{ended}");
    guard(&files)
        .line("check --only-file --env-file b.env --env-file a.env")
        .run()
        .expect_code(0);
}

#[test]
fn a_file_comes_on_standard_input() {
    let guard = guard(&[(
        "listing",
        "MODE=prod \nDATABASE_URL=postgresql://app:fake@db/app\n",
    )]);
    let listing = File::open(guard.folder.path().join("listing")).expect("the file is there");
    let ended = guard
        .stdin(listing)
        .line("check --only-file --dialect kv --env-file -")
        .run()
        .expect_code(78);
    let line = "❌ MODE ends with white space [white_space, required] (standard input:1)";
    assert!(ended.stdout().contains(line), "{ended}");
}

#[test]
fn a_listing_of_railway_is_recognised() {
    let listing = "DATABASE_URL=postgresql://app:fa${1ke#pass@db/app\nMODE=dev\nRAILWAY_SERVICE_NAME=backend\n";
    let ended = guard(&[("listing", listing)])
        .line("check --only-file --env-file listing")
        .run()
        .expect_code(0)
        .expect_never("fa${1ke");
    // Compose rejects the file because of `${1`, and so does the dialect if it is specified.
    assert!(
        ended.stdout().contains("[unescaped, required] (listing:1)"),
        "{ended}"
    );
    assert!(
        ended.stdout().contains("on Railway: service \"backend\""),
        "{ended}"
    );
    guard(&[("listing", listing)])
        .line("check --only-file --dialect compose --env-file listing")
        .run()
        .expect_code(65);
}

#[test]
fn the_dialect_decides_what_a_line_means() {
    let files = [(
        "a.env",
        "DATABASE_URL=\"postgresql://app:fake@db/app\"\nMODE=dev # for now\n",
    )];
    for (dialect, code) in [
        ("compose", 0),
        ("python-dotenv", 0),
        ("docker", 78),
        ("kv", 78),
    ] {
        let ended = guard(&files)
            .line(&format!(
                "check --only-file --dialect {dialect} --env-file a.env"
            ))
            .run()
            .expect_code(code);
        let is_told = ended
            .stdout()
            .contains(" · a.env:1 (DATABASE_URL): docker keeps the quotes\n")
            && ended
                .stdout()
                .contains(" · a.env:2 (MODE): docker keeps the comment\n");
        assert_eq!(is_told, dialect != "kv", "{ended}");
    }
}

#[test]
fn references_in_a_file_see_the_process_the_files_before_and_the_file_itself() {
    let files = [
        ("a.env", "USER_OF_DB=app\nHOST=db\n"),
        (
            "b.env",
            "DATABASE_URL=postgresql://${USER_OF_DB}:${PASS}@${HOST}/${NAME:-app}\nMODE=dev\n",
        ),
    ];
    let line = "check --env-file a.env --env-file b.env";
    guard(&files)
        .env("PASS", "fake-pass")
        .line(line)
        .run()
        .expect_code(0);
    // Without the process's environment the password is empty, and the URL is still valid.
    let ended = guard(&files)
        .env("HOST", "two words")
        .line(line)
        .run()
        .expect_code(78);
    ended.expect_stderr("1 error");
}

#[test]
fn an_undeclared_variable_is_a_note_and_never_an_error() {
    let content =
        format!("{SOUND}EXTRA=1\nDEBUG=1\nPORT=8000\nTOKEN_FILE=\nlower_case=fake-value\n");
    let ended = guard(&[("a.env", &content)])
        .line("check --only-file --env-file a.env")
        .run()
        .expect_code(0);
    let note = " · the check skips 3 variables that the manifest does not declare: a.env:3, a.env:4, a.env:7\n";
    assert!(ended.stdout().contains(note), "{ended}");
}

#[test]
fn a_value_that_is_not_meant_is_a_finding_if_declared_and_else_a_note() {
    let manifest = MANIFEST.replace("TOKEN: {", "EXTRA: {level: optional}\n  TOKEN: {");
    let content = format!("{SOUND}EXTRA= # fake-comment\nOTHER= # fake-comment\nREST=a$b\n");
    for (manifest, code) in [(MANIFEST, 0), (manifest.as_str(), 78)] {
        let guard = Guard::with_manifest(manifest);
        guard.folder.file("a.env", &content);
        let line = "check --only-file --env-file a.env --format json";
        let ended = guard.line(line).run().expect_code(code);
        assert!(!ended.stdout().contains("fake-comment"), "{ended}");
        let summary = summary(&ended);
        let notes = summary["notes"].as_array().expect("notes are a list");
        let lines: Vec<&Value> = notes
            .iter()
            .filter(|note| note["note"] == "misread")
            .map(|note| &note["line"])
            .collect();
        let findings = &summary["findings"];
        if code == 0 {
            assert_eq!(lines, [3, 4, 5]);
            assert_eq!(findings, &json!([]));
        } else {
            assert_eq!(lines, [4, 5]);
            assert_eq!(findings[0]["finding"], "misread");
            assert_eq!(findings[0]["line"], 3);
        }
    }
}

#[test]
fn a_name_similar_to_that_of_an_unset_optional_variable_is_a_note_of_check_and_run() {
    let note = "TOKNE_OF_APP is set, but no such variable is declared; did you mean TOKEN_OF_APP?";
    let manifest = MANIFEST.replace("TOKEN:", "TOKEN_OF_APP:");
    for (line, declared) in [
        ("check", ""),
        ("run -- true", ""),
        ("check", "fake-token"),
        ("run -- true", "fake-token"),
    ] {
        let ended = Guard::with_manifest(&manifest)
            .env("DATABASE_URL", "postgresql://db/app")
            .env("MODE", "dev")
            .env("TOKNE_OF_APP", "fake-value")
            .env("TOKEN_OF_APP", declared)
            .line(line)
            .run()
            .expect_code(0)
            .expect_never("fake-value");
        let told = ended.stdout() + &ended.stderr();
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(told.contains(note), declared.is_empty(), "{ended}");
    }
}

#[test]
fn a_secret_file_of_the_container_need_not_exist_on_this_machine() {
    let content = format!("{SOUND}TOKEN_FILE=/run/secrets/token-of-nobody\n");
    let ended = guard(&[("a.env", &content)])
        .line("check --only-file --env-file a.env")
        .run()
        .expect_code(0)
        .expect_never("token-of-nobody");
    assert!(
        ended
            .stdout()
            .contains("⚠️ TOKEN comes from the file that TOKEN_FILE names"),
        "{ended}"
    );
    assert!(
        ended
            .stdout()
            .contains("check the file where the service runs"),
        "{ended}"
    );
}

#[test]
fn other_kinds_of_files_are_rejected_with_their_kind() {
    let utf16: Vec<u8> = SOUND.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&[u8], i32, &str); 7] = [
        (b"", 65, "it sets no variable"),
        (b"# nothing\n\n", 65, "it sets no variable"),
        (&utf16, 65, "it is UTF-16; save it as UTF-8"),
        (
            b"MODE=dev\nX=\0canary\n",
            65,
            "it is not text: line 2 contains a NUL byte",
        ),
        (
            b"\x7fELF\x02\xff\xfe canary",
            65,
            "it is not text: line 1 is not UTF-8",
        ),
        (
            b"MODE canary=1\nA=1\n=canary\n",
            65,
            "it has 2 lines that cannot be read",
        ),
        (
            b"MODE=a${1canary\n",
            65,
            "it has 1 line that cannot be read",
        ),
    ];
    for (content, code, told) in cases {
        let guard = Guard::with_manifest(MANIFEST);
        guard.folder.file("a.env", content);
        let ended = guard.line("check --env-file a.env").run().expect_code(code);
        ended
            .expect_stderr(told)
            .expect_stdout("")
            .expect_never("canary");
    }
    for (file, told) in [
        (".", "it is a directory"),
        ("nowhere", "there is no such file"),
    ] {
        let line = format!("check --env-file {file}");
        guard(&[])
            .line(&line)
            .run()
            .expect_code(66)
            .expect_stderr(told);
    }
}

#[test]
fn an_env_file_that_is_not_a_regular_file_ends_with_66_and_its_kind() {
    let guard = || {
        let guard = guard(&[]);
        let path = guard.folder.path();
        nix::unistd::mkfifo(&path.join("fifo"), nix::sys::stat::Mode::S_IRWXU)
            .expect("a named pipe can be made");
        drop(UnixListener::bind(path.join("socket")).expect("a socket can be made"));
        guard
    };
    for (file, what) in [
        ("fifo", "a named pipe"),
        ("socket", "a socket"),
        ("/dev/zero", "a character device"),
        ("/dev/null", "a character device"),
    ] {
        let ended = guard()
            .line(&format!("check --env-file {file}"))
            .run()
            .expect_code(66);
        ended.expect_stderr(&format!(
            "the env file {file}: it cannot be read: not a regular file but {what}"
        ));
    }
}

#[test]
fn an_env_file_can_be_an_anonymous_pipe() {
    for name in ["-", "/dev/stdin", "/proc/self/fd/0", "/dev/fd/0"] {
        let (reader, mut writer) = std::io::pipe().expect("a pipe can be made");
        let running = guard(&[])
            .line(&format!("check --only-file --env-file {name}"))
            .stdin(reader)
            .start();
        // In two parts, with a pause between them.
        let (first, second) = SOUND.split_at(20);
        for part in [first, second] {
            until("the guard waits", || running.is_polling());
            writer
                .write_all(part.as_bytes())
                .expect("the pipe takes it");
        }
        drop(writer);
        running.end().expect_code(0);
    }
    let guard = guard(&[("a.env", SOUND)]);
    let output = Command::new("bash")
        .args(["-c", "\"$0\" check --only-file --env-file <(cat a.env)"])
        .arg(env!("CARGO_BIN_EXE_startup-guard"))
        .current_dir(guard.folder.path())
        .output()
        .expect("there is a bash");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_stop_while_an_env_file_is_awaited_ends_at_once() {
    for name in ["-", "/dev/stdin"] {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        let running = guard(&[])
            .line(&format!("check --env-file {name}"))
            .stdin(reader)
            .start();
        until("the guard waits", || running.is_polling());
        running.signal(Signal::SIGTERM);
        running.end().expect_code(143);
        drop(writer);
    }
}

#[test]
fn every_invalid_line_is_reported_with_its_number() {
    let ended = guard(&[("a.env", "MODE+=dev\nA=1\nexport A B=2\n")])
        .line("check --env-file a.env")
        .run()
        .expect_code(65);
    ended
        .expect_stderr("startup-guard: line 1 has a character in its name that compose refuses\n")
        .expect_stderr("startup-guard: line 3 has white space in its name\n")
        .expect_stderr("(phase env_file, exit code 65, a retry does not help)");
}

#[test]
fn a_file_of_a_gigabyte_is_refused_without_being_read() {
    let guard = guard(&[("big.env", SOUND)]);
    let file = File::options()
        .write(true)
        .open(guard.folder.path().join("big.env"))
        .expect("the file is there");
    file.set_len(1 << 30)
        .expect("a sparse file can be as large");
    let ended = guard.line("check --env-file big.env").run().expect_code(65);
    assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
    ended.expect_stderr("it is larger than 1 MiB");
}

#[test]
fn a_long_value_is_checked_and_never_shown_and_one_above_the_limit_of_linux_is_a_fault() {
    for (count, code, told) in [
        (21_000, 78, "1 error"),
        (
            22_000,
            65,
            "line 1 sets a variable whose name and value together are longer than 128 KiB",
        ),
        (
            170_000,
            65,
            "line 1 sets a variable whose name and value together are longer than 128 KiB",
        ),
    ] {
        let content = format!(
            "MODE={}\nDATABASE_URL=postgresql://db/app\n",
            "canary".repeat(count)
        );
        let ended = guard(&[("a.env", &content)])
            .line("check --env-file a.env")
            .run()
            .expect_code(code)
            .expect_never("canary");
        assert!(ended.stdout().len() < 2_000, "{}", ended.stdout().len());
        ended.expect_stderr(told);
    }
}

#[test]
fn a_file_whose_references_expand_to_gigabytes_is_rejected_at_once() {
    let mut doublings = "A0=0123456789abcdef\n".to_owned();
    for line in 1..32 {
        doublings.push_str(&format!("A{line}=${{A{0}}}${{A{0}}}\n", line - 1));
    }
    let mut many = format!("A={}\n", "x".repeat(100_000));
    for number in 0..60_000 {
        many.push_str(&format!("B{number}=${{A}}\n"));
    }
    for (content, told) in [
        (
            &doublings,
            "line 14 sets a variable whose name and value together are longer than 128 KiB",
        ),
        (
            &many,
            "line 42 makes the expanded values of the file longer than 4 MiB",
        ),
    ] {
        for dialect in ["compose", "python-dotenv"] {
            // 256 MiB of address space, which is too little for the expanded values.
            let limit = || {
                let resource = nix::sys::resource::Resource::RLIMIT_AS;
                let _ = nix::sys::resource::setrlimit(resource, 1 << 28, 1 << 28);
            };
            let ended = guard(&[("a.env", content)])
                .before_exec(limit)
                .line(&format!("check --dialect {dialect} --env-file a.env"))
                .run()
                .expect_code(65);
            assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
            ended.expect_stderr(told);
        }
    }
}

#[test]
fn the_number_of_reported_faults_and_notes_is_limited() {
    let ended = guard(&[("a.env", &"=\n".repeat(500_000))])
        .line("check --env-file a.env")
        .run()
        .expect_code(65)
        .expect_stderr("it has 500000 lines that cannot be read")
        .expect_stderr("startup-guard: and 499800 more\n");
    assert!(ended.stderr.len() < 20_000, "{}", ended.stderr.len());
    let content = format!("{SOUND}{}", "NONE\n".repeat(200_000));
    for format in ["text", "json", "github"] {
        let ended = guard(&[("a.env", &content)])
            .line(&format!(
                "check --only-file --env-file a.env --format {format}"
            ))
            .run()
            .expect_code(0);
        assert!(ended.stdout.len() < 1_000_000, "{}", ended.stdout.len());
        let told = "is the first of 399000 notes that are left out";
        assert!(ended.stdout().contains(told), "{format}");
    }
}

#[test]
fn thousands_of_unknown_variables_are_one_note() {
    let extra: Vec<String> = (0..5_000)
        .map(|number| format!("UNKNOWN_{number}=x\n"))
        .collect();
    let extra = extra.concat();
    let content = format!("{extra}{SOUND}");
    let line = "check --only-file --env-file a.env";
    let ended = guard(&[("a.env", &content)])
        .line(line)
        .run()
        .expect_code(0)
        .expect_never("UNKNOWN");
    let stdout = ended.stdout().replace("\n  ", "");
    for told in [
        "5000 variables that the manifest does not declare",
        "a.env:1, a.env:2, a.env:3",
        "a.env:20 and 4980 more",
    ] {
        assert!(stdout.contains(told), "{ended}");
    }
    assert!(ended.stdout().lines().count() < 12, "{ended}");
    let ended = guard(&[("a.env", &content)])
        .line(&format!("{line} --format json"))
        .run()
        .expect_never("UNKNOWN");
    assert_eq!(
        summary(&ended)["notes"][0]["variables"],
        serde_json::json!([])
    );
}

#[test]
fn a_name_is_shown_only_if_the_manifest_has_it_or_a_similar_one() {
    let manifest = MANIFEST.replace("TOKEN: {", "TOKEN: {renamed_from: [OLD_TOKEN], ");
    let lines = [
        "DATABSE_URL='x'",
        "OLD_TOKEN='x'",
        "TOKEN_FILE=''",
        "PORT='1'",
        "RAILWAY_X='1'",
        "JBSWY3DPEHPK3PXP=",
        "QUJDREVG==",
        "MFRGGZDF",
        "KRUGS4ZAON='x'",
        "KRUGS4ZAON='x'",
        "NB2HI4B2F4='x' # c",
        "MODE=dev",
        "DATABASE_URL=postgresql://db/app",
    ];
    for (dialect, code) in [
        ("compose", 0),
        ("docker", 78),
        ("python-dotenv", 0),
        ("kv", 78),
    ] {
        for format in ["text", "json", "github"] {
            let guard = Guard::with_manifest(&manifest);
            guard.folder.file("a.env", lines.join("\n"));
            let ended = guard
                .line(&format!(
                    "check --only-file --dialect {dialect} --env-file a.env --format {format}"
                ))
                .run();
            for secret in ["JBSWY", "QUJDR", "MFRGG", "KRUGS", "NB2HI"] {
                assert!(!ended.stdout().contains(secret), "{ended}");
                assert!(!ended.stderr().contains(secret), "{ended}");
            }
            // An empty TOKEN_FILE names no file. In the dialects of docker and railway, `''` is a file name.
            if code == 0 {
                let ended = ended.expect_code(code);
                assert!(ended.stdout().contains("DATABSE_URL (a.env:1)"), "{ended}");
            }
        }
    }
    let guard = Guard::with_manifest(&manifest);
    guard.folder.file("a.env", lines.join("\n"));
    guard.folder.file("b.env", "\nKRUGS4ZBMN=x\n");
    let ended = guard
        .line("check --only-file --env-file a.env --env-file b.env")
        .run()
        .expect_code(0);
    insta::assert_snapshot!(ended.stdout());
}

#[test]
fn thousands_of_unknown_variables_in_the_environment_change_nothing() {
    let mut guard = guard(&[]).env("MODE", "dev");
    for number in 0..5_000 {
        guard = guard.env(format!("UNKNOWN_{number}"), "x");
    }
    let ended = guard
        .env("NAME=WITH=EQUALS", "x")
        .line("check")
        .run()
        .expect_code(78);
    assert!(!ended.stdout().contains("UNKNOWN"), "{ended}");
    ended.expect_stderr("1 error");
}

#[test]
fn annotations_point_at_the_env_files_line_or_at_the_manifests() {
    let ended = guard(&[("a.env", "MODE=\"100%\"\nMODE=\"test\"\n")])
        .line("check --only-file --dialect docker --env-file a.env --format github")
        .run()
        .expect_code(78);
    insta::assert_snapshot!(ended.stdout());
}

#[test]
fn the_notes_of_the_json_report_have_file_and_line() {
    let ended = guard(&[("a.env", SOUND), ("b.env", "TOKEN='t'\n")])
        .line("check --env-file a.env --env-file b.env --format json")
        .run()
        .expect_code(0);
    let note: Value = serde_json::from_str(ended.stdout().lines().next().unwrap_or_default())
        .expect("the note is JSON");
    let expected = serde_json::json!({
        "kind": "note", "note": "portability", "variables": ["TOKEN"],
        "text": "docker keeps the quotes", "file": "b.env", "line": 1
    });
    assert_eq!(note, expected);
    assert_eq!(summary(&ended)["verdict"], "sound");
}

#[test]
fn wrong_usage_of_the_flags_ends_with_64() {
    for (line, told) in [
        ("check --only-file", "`--only-file` needs an `--env-file`"),
        ("check --dialect kv", "`--dialect` needs an `--env-file`"),
        (
            "check --env-file a --dialect bash",
            "`--dialect` must be compose, docker, python-dotenv or kv, not `bash`",
        ),
        (
            "check --env-file - --env-file -",
            "`--env-file -` can be given only once",
        ),
        ("check --envfile a", "did you mean `--env-file`?"),
    ] {
        guard(&[])
            .line(line)
            .run()
            .expect_code(64)
            .expect_stderr(told);
    }
}
