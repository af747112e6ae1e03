//! The commands that `export railway` prints, run by real shells.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{MANIFEST, VALUES, expect_no_canary, export, hostile};
use crate::support::{Folder, Guard};

/// A program that records its arguments, as the kernel has them, and its standard input.
pub const RECORDER: &str = "#!/bin/sh
folder=$(/usr/bin/dirname \"$0\")/calls
number=$(/bin/ls \"$folder\" | /usr/bin/wc -l)
/bin/cat /proc/$$/cmdline >\"$folder/$number.arguments\"
/bin/cat >\"$folder/$number.input\"
";

/// A call that was recorded.
pub struct Recorded {
    /// The arguments after the program's name.
    pub arguments: Vec<String>,
    pub input: String,
}

/// The calls in the folder of the program, in their order.
pub fn recorded(folder: &Path) -> Vec<Recorded> {
    let read = |number: usize, what: &str| {
        fs::read_to_string(folder.join(format!("calls/{number}.{what}")))
    };
    // Each call adds two files to those that it counts.
    let calls = (0..).step_by(2).map_while(|number| {
        let arguments = read(number, "arguments").ok()?;
        let words = arguments.split_terminator('\0').skip(2);
        let input = read(number, "input").expect("the input is recorded, too");
        Some(Recorded {
            arguments: words.map(str::to_owned).collect(),
            input,
        })
    });
    calls.collect()
}

/// A folder with this `railway` in it.
pub fn program(script: &str) -> Folder {
    let folder = Folder::new();
    folder.script("railway", script);
    fs::create_dir(folder.path().join("calls")).expect("a folder can be made");
    folder
}

/// Runs commands by a shell that reads them from standard input. PATH has only the recorder, so that a command that is
/// not built into the shell would fail. Returns the calls.
fn run(shell: &str, commands: &[u8]) -> Vec<Recorded> {
    let folder = program(RECORDER);
    let child = Command::new(shell)
        .env_clear()
        .env("PATH", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("the shell starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(commands).expect("the shell reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the shell ends");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && message.is_empty(), "{message}");
    recorded(folder.path())
}

#[test]
fn shells_pass_hostile_values_on_unchanged_and_no_secret_is_an_argument() {
    const ROUND: usize = 100;
    for _ in 0..10 {
        let mut values = hostile::values(ROUND);
        for value in &mut values {
            // railway removes these itself, so the guard refuses them.
            let kept = value.trim_end_matches(['\n', '\r']).len();
            value.truncate(kept);
        }
        let guard = Guard::with_manifest(&hostile::manifest(ROUND));
        guard.folder.file("a.env", hostile::env_file(&values));
        let ended = guard.line("export railway --env-file a.env --force").run();
        let ended = ended.expect_code(0);
        let of_kind = |secrets: bool| {
            let all = values.iter().enumerate();
            all.filter(move |(index, _)| hostile::is_secret(*index) == secrets)
        };
        for shell in ["/bin/dash", "/bin/bash"] {
            let mut calls = run(shell, &ended.stdout);
            let last = calls.pop().expect("there are calls");
            let open = of_kind(false);
            let open = open.map(|(index, value)| format!("{}={value}", hostile::name(index)));
            let set = ["variable", "set"].map(str::to_owned);
            let expected: Vec<String> = set.iter().cloned().chain(open).collect();
            assert_eq!(last.arguments, expected, "{shell}");
            assert_eq!(calls.len(), ROUND / 2);
            for ((index, value), call) in of_kind(true).zip(calls) {
                let name = hostile::name(index);
                let expected = ["variable", "set", &name, "--stdin", "--skip-deploys"];
                assert_eq!(call.arguments, expected, "{shell}");
                assert_eq!(&call.input, value, "{shell}");
            }
        }
    }
}

#[test]
fn the_commands_stop_at_the_first_one_that_fails() {
    let ended = export(VALUES, "railway").expect_code(0);
    let folder = program(&format!("{RECORDER}exit 1\n"));
    let script = ended.folder.file("commands", &ended.stdout);
    let mut shell = Command::new("/bin/sh");
    shell.env("PATH", folder.path()).arg(script);
    let output = shell.output().expect("the shell starts");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(recorded(folder.path()).len(), 1);
}

#[test]
fn the_last_secret_deploys_if_there_is_nothing_else() {
    let guard =
        Guard::with_manifest("version: 1\nvariables: {A: {secret: true}, B: {secret: true}}\n");
    guard.folder.file("a.env", "A=firstvalue\nB=secondvalue\n");
    let ended = guard.line("export railway --env-file a.env").run();
    ended.expect_code(0).expect_stdout(
        "printf %s 'firstvalue' |\nrailway variable set A --stdin --skip-deploys &&\nprintf %s 'secondvalue' |\nrailway variable set B --stdin\n",
    );
}

#[test]
fn a_password_in_a_value_makes_it_a_secret() {
    let guard = Guard::with_manifest("version: 1\nvariables: {A: {type: url}, B: {}}\n");
    guard
        .folder
        .file("a.env", "A=redis://:p4sscanary@cache:6379\nB=b\n");
    let ended = guard.line("export railway --env-file a.env").run();
    ended.expect_code(0).expect_stdout(
        "printf %s 'redis://:p4sscanary@cache:6379' |\nrailway variable set A --stdin --skip-deploys &&\nrailway variable set B=b\n",
    );
}

#[test]
fn references_count_as_set_and_are_kept_however_they_are_written() {
    const REFERENCE: &str = "${{Postgres.DATABASE_URL}}";
    let manifest = "version: 1
variables:
  URL: {level: critical, secret: true, type: url, schemes: [postgresql]}
  MODE: {level: required, one_of: [live, test]}
  PLAIN: {level: required}
wait_for:
  - postgres: URL
server: {command: [serve, \"${MODE}\"]}
";
    for (dialect, written) in [
        ("compose", REFERENCE.to_owned()),
        ("compose", format!("\"{REFERENCE}\"")),
        ("compose", format!("'{REFERENCE}'")),
        ("compose", format!("{REFERENCE} # a comment")),
        ("compose", format!("${REFERENCE}")),
        ("compose", format!("\"\\{REFERENCE}\"")),
        ("python-dotenv", REFERENCE.to_owned()),
        ("python-dotenv", format!("'{REFERENCE}'")),
        ("docker", REFERENCE.to_owned()),
        ("kv", REFERENCE.to_owned()),
    ] {
        let guard = Guard::with_manifest(manifest);
        let file = format!(
            "URL={written}\nMODE=${{{{shared.MODE}}}}\nPLAIN=https://${{{{api.HOST}}}}/x\n"
        );
        guard.folder.file("a.env", file);
        let line = format!("export railway --dialect {dialect} --env-file a.env");
        let ended = guard.line(&line).run();
        ended
            .expect_code(0)
            .expect_stdout("railway variable set 'URL=${{Postgres.DATABASE_URL}}' 'MODE=${{shared.MODE}}' 'PLAIN=https://${{api.HOST}}/x'\n")
            .expect_stderr("the environment is sound: 3 variables checked\n");
    }
}

#[test]
fn what_is_certainly_wrong_about_a_reference_is_an_error() {
    let manifest = "version: 1\nvariables:\n  URL: {secret: true, type: url}\n";
    for (dialect, values, problem) in [
        (
            "compose",
            "URL=${{db.URL}}\nURL_FILE=/run/secrets/url\n",
            "❌ URL is set, and URL_FILE as well",
        ),
        (
            "docker",
            "URL=\"${{db.URL}}\"\n",
            "❌ URL has quotes or white space around a reference",
        ),
    ] {
        let guard = Guard::with_manifest(manifest);
        guard.folder.file("a.env", values);
        let line = format!("export railway --dialect {dialect} --env-file a.env");
        let ended = guard
            .line(&line)
            .run()
            .expect_code(78)
            .expect_stderr(problem);
        assert_eq!(ended.stdout(), "");
    }
}

#[test]
fn a_text_with_the_character_that_stands_for_references_is_unchanged() {
    let values = "TOKEN=${{api.TOKEN}}\nDATABASE_URL=${{db.URL}}\nMODE=live\nTITLE=a\u{fdd0}b\n";
    let ended = export(values, "railway --dialect kv").expect_code(0);
    ended.expect_stdout(
        "railway variable set 'TOKEN=${{api.TOKEN}}' 'DATABASE_URL=${{db.URL}}' MODE=live 'TITLE=a\u{fdd0}b'\n",
    );
}

#[test]
fn a_secret_that_contains_a_reference_is_still_a_secret() {
    let values = VALUES.replace("db.internal", "${{Postgres.HOST}}");
    let ended = export(&values, "railway").expect_code(0);
    expect_no_canary(&ended);
    let line = "printf %s 'postgresql://app:p4sscanary@${{Postgres.HOST}}/app' |\n";
    assert!(ended.stdout().contains(line), "{ended}");
}

#[test]
fn a_reference_to_a_url_behind_an_example_is_a_warning() {
    let url = "postgresql://user:pw@localhost/db${{Postgres.DATABASE_URL}}";
    let values = VALUES.replace("postgresql://app:p4sscanary@db.internal/app", url);
    let ended = export(&values, "railway").expect_code(0);
    ended.expect_stderr("⚠️ DATABASE_URL has a reference to a URL inside another URL");
}

#[test]
fn on_other_platforms_a_reference_is_a_placeholder() {
    let values = VALUES.replace(
        "postgresql://app:p4sscanary@db.internal/app",
        "'${{Postgres.URL}}'",
    );
    for platform in ["docker", "compose", "kubernetes"] {
        let ended = export(&values, platform).expect_code(78).expect_stdout("");
        ended.expect_stderr("DATABASE_URL still holds a placeholder");
    }
}

#[test]
fn long_commands_are_broken_between_words() {
    let count = 40;
    let guard = Guard::with_manifest(&hostile::manifest(count));
    let values: Vec<String> = (0..count)
        .map(|number| format!("value number {number}"))
        .collect();
    guard.folder.file("a.env", hostile::env_file(&values));
    let ended = guard
        .line("export railway --env-file a.env")
        .run()
        .expect_code(0);
    assert!(
        ended.stdout().lines().all(|line| line.len() <= 122),
        "{ended}"
    );
    assert_eq!(run("/bin/dash", &ended.stdout).len(), count / 2 + 1);
}

#[test]
fn the_command_of_the_team_works_as_it_is_documented() {
    let guard = Guard::with_manifest(MANIFEST);
    guard.folder.file(".env.production", VALUES);
    let ended = guard
        .line("export railway --env-file .env.production")
        .run();
    assert_eq!(run("/bin/sh", &ended.expect_code(0).stdout).len(), 3);
}
