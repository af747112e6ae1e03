//! `generate`: the values, and the env file that they are filled into.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::support::{Ended, Guard, PATIENCE};
use crate::template::python;

const EXAMPLE: &str = include_str!("../../required-vars.yaml");

/// A secret in each format.
const FORMATS: &str = "\
version: 1
variables:
  PADDED: {secret: true, generate: {}}
  LONG: {secret: true, generate: {bytes: 4096, format: base64}}
  URL: {secret: true, generate: {bytes: 20, format: base64url}}
  HEX: {secret: true, generate: {length: 64, format: hex}}
  LETTERS: {secret: true, generate: {length: 4096, format: alphanumeric}}
  SHARED: {secret: true, shared: true, generate: {}}
  GIVEN: {secret: true}
";

fn formats(line: &str) -> Ended {
    Guard::with_manifest(FORMATS).line(line).run()
}

/// The assignments that were printed.
fn printed(ended: &Ended) -> BTreeMap<String, String> {
    let stdout = ended.stdout();
    let pairs = stdout
        .lines()
        .map(|line| line.split_once('=').expect("it is an assignment"));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn every_value_is_new_and_decodes_to_the_bytes_that_the_manifest_asks_for() {
    let script = "import base64, json, re, sys
values = json.load(sys.stdin)
print(json.dumps([
    len(base64.b64decode(values['PADDED'], validate=True)),
    len(base64.b64decode(values['LONG'], validate=True)),
    len(base64.b64decode(values['URL'] + '=', altchars='-_', validate=True)),
    len(bytes.fromhex(values['HEX'])),
    len(re.fullmatch('[A-Za-z0-9]*', values['LETTERS'])[0]),
    base64.b64encode(base64.b64decode(values['PADDED'])).decode() == values['PADDED'],
]))";
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        let ended = formats("generate").expect_code(0);
        assert_eq!(ended.stderr(), "");
        let values = printed(&ended);
        let names: Vec<&str> = values.keys().map(String::as_str).collect();
        assert_eq!(names, ["HEX", "LETTERS", "LONG", "PADDED", "URL"]);
        let mut python = Command::new(python())
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let input = python.stdin.take().expect("it is piped");
        serde_json::to_writer(input, &values).expect("python reads it");
        let output = python.wait_with_output().expect("python ends");
        let lengths: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
        assert_eq!(lengths, serde_json::json!([32, 4096, 20, 32, 4096, true]));
        seen.extend(values.into_values());
    }
    assert_eq!(seen.len(), 25, "a value was generated twice");
}

#[test]
fn all_letters_and_digits_are_equally_likely() {
    let mut counts: BTreeMap<char, f64> = BTreeMap::new();
    for _ in 0..20 {
        let ended = formats("generate LETTERS").expect_code(0);
        for letter in ended.stdout().trim_end().chars() {
            *counts.entry(letter).or_default() += 1.0;
        }
    }
    assert_eq!(counts.len(), 62);
    // With a remainder of 256 by 62, eight of them would be more frequent by a quarter.
    let expected = 20.0 * 4096.0 / 62.0;
    for (letter, count) in counts {
        assert!(
            (count / expected - 1.0).abs() < 0.18,
            "{letter}: {count} times"
        );
    }
}

#[test]
fn a_single_name_prints_only_the_value_and_several_print_assignments() {
    let ended = formats("generate HEX").expect_code(0);
    let stdout = ended.stdout();
    assert!(
        stdout.len() == 65 && stdout.ends_with('\n') && !stdout.contains('='),
        "{stdout}"
    );
    let values = printed(&formats("generate URL HEX URL").expect_code(0));
    assert_eq!(values.into_keys().collect::<Vec<_>>(), ["HEX", "URL"]);
    let ended = formats("generate SHARED")
        .expect_code(0)
        .expect_stderr("SHARED is shared with other services: set the new value on each of them");
    assert_eq!(ended.stdout().len(), 45);
}

#[test]
fn a_variable_that_cannot_be_generated_is_an_error_that_says_why() {
    formats("generate HEXX")
        .expect_code(64)
        .expect_stderr("the manifest does not declare the variable `HEXX`; did you mean `HEX`?");
    formats("generate GIVEN").expect_code(64).expect_stderr(
        "the manifest does not say how to generate GIVEN; add `generate: {bytes: 32, format: base64}` to it",
    );
    let none = "version: 1\nvariables: {A: {secret: true}, B: {shared: true, generate: {}}}\n";
    let ended = Guard::with_manifest(none)
        .line("generate")
        .run()
        .expect_code(64);
    ended
        .expect_stderr("the manifest has no variable with the key `generate` that is not `shared`");
    for (rule, problem) in [
        ("max_length: 40", "is longer than 40 characters"),
        ("pattern: '^sk_'", "does not match the pattern ^sk_"),
    ] {
        let manifest =
            format!("version: 1\nvariables: {{A: {{secret: true, generate: {{}}, {rule}}}}}\n");
        let guard = Guard::with_manifest(&manifest);
        let file = guard.folder.file(".env", "B=1\n");
        let ended = guard.line("generate --env-file .env").run().expect_code(78);
        assert_eq!(fs::read_to_string(file).expect("it is there"), "B=1\n");
        ended.expect_stdout("").expect_stderr(&format!(
            "A: its key `generate` contradicts its rule: a generated value {problem}; change one of them"
        ));
    }
}

#[test]
fn a_rule_that_some_values_break_only_costs_further_attempts() {
    let manifest =
        "version: 1\nvariables: {A: {secret: true, pattern: '^[a-f]', generate: {format: hex}}}\n";
    let ended = Guard::with_manifest(manifest)
        .line("generate A")
        .run()
        .expect_code(0);
    assert!(
        ended
            .stdout()
            .starts_with(|first: char| "abcdef".contains(first)),
        "{ended}"
    );
}

/// A guard in a folder with the example's manifest and this `.env`.
fn with_file(content: impl AsRef<[u8]>) -> Guard {
    let guard = Guard::with_manifest(EXAMPLE);
    guard.folder.file(".env", content);
    guard
}

fn file_of(ended: &Ended) -> String {
    fs::read_to_string(ended.folder.path().join(".env")).expect("there is a file")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path)
        .expect("there is a file")
        .permissions()
        .mode()
        & 0o7777
}

#[test]
fn a_file_is_filled_in_without_showing_a_value_and_only_its_owner_can_read_it() {
    let before = "\u{feff}# comment\r\nNEXTAUTH_SECRET=canary\r\nexport JWT_SECRET = \"change-me\"  # why\r\nOTHER='canary'";
    let ended = with_file(before)
        .line("generate --env-file .env")
        .run()
        .expect_code(0);
    let ended = ended
        .expect_stdout("set JWT_SECRET in .env\nset SECRET_KEY in .env\n")
        .expect_never("canary");
    assert_eq!(ended.stderr(), "");
    let after = file_of(&ended);
    let lines: Vec<&str> = after.split("\r\n").collect();
    let value = lines[2]
        .strip_prefix("export JWT_SECRET = ")
        .and_then(|rest| rest.strip_suffix("  # why"));
    assert_eq!(value.map(str::len), Some(44), "{after}");
    let appended = lines[4].strip_prefix("SECRET_KEY=");
    assert_eq!(appended.map(str::len), Some(44), "{after}");
    let expected = format!(
        "\u{feff}# comment\r\nNEXTAUTH_SECRET=canary\r\n{}\r\nOTHER='canary'\r\n{}\r\n",
        lines[2], lines[4]
    );
    assert_eq!(after, expected);
    for value in [value, appended].into_iter().flatten() {
        assert!(!ended.stdout().contains(value), "{ended}");
    }
    assert_eq!(mode(&ended.folder.path().join(".env")), 0o600);

    // A second run changes nothing, not even the time of the file.
    let file = ended.folder.path().join(".env");
    let time = |path: &Path| {
        let status = fs::metadata(path).expect("there is a file");
        (status.ino(), status.mtime_nsec())
    };
    let earlier = time(&file);
    let again = Guard::with_manifest(EXAMPLE).in_folder(ended.folder.path());
    let again = again.line("generate --env-file .env").run().expect_code(0);
    again.expect_stdout(
        "kept JWT_SECRET in .env: it has a value\nkept SECRET_KEY in .env: it has a value\n",
    );
    assert_eq!((file_of(&ended), time(&file)), (after, earlier));
    let files = fs::read_dir(ended.folder.path()).expect("it can be listed");
    assert_eq!(files.count(), 2, "a temporary file is left");
}

#[test]
fn python_dotenv_reads_the_new_values_and_all_others_as_before() {
    let before = "A='it''s'\nB=\"two\nlines # no comment\"\nexport JWT_SECRET='<two\nlines>' # why\nC=\"\\\\ \\\" $X\"\nSECRET_KEY = \nD=x#y # z\n";
    let read = |file: &Path| -> BTreeMap<String, Value> {
        let script =
            "import dotenv, json, sys; print(json.dumps(dotenv.dotenv_values(sys.argv[1])))";
        let output = Command::new(python())
            .args(["-c", script])
            .arg(file)
            .output()
            .expect("python starts");
        serde_json::from_slice(&output.stdout).expect("it prints JSON")
    };
    let before = before.replace("A='it''s'\n", "A=\"it's\"\n");
    let guard = with_file(&before);
    let mut old = read(&guard.folder.path().join(".env"));
    assert_eq!(old.len(), 6);
    let ended = guard
        .line("generate --env-file .env --dialect python-dotenv")
        .run()
        .expect_code(0);
    let new = read(&ended.folder.path().join(".env"));
    for name in ["JWT_SECRET", "SECRET_KEY"] {
        let value = new[name].as_str().unwrap_or_default();
        assert_eq!(value.len(), 44, "{name} in {new:?}");
        old.insert(name.to_owned(), value.into());
    }
    assert_eq!(old, new);
    assert!(file_of(&ended).contains("lines # no comment\"\nexport JWT_SECRET="));
}

#[test]
fn the_template_that_generate_has_filled_in_lacks_only_what_a_person_must_know() {
    let template = Guard::with_manifest(EXAMPLE)
        .line("template")
        .run()
        .expect_code(0);
    let ended = with_file(template.stdout())
        .line("generate --env-file .env")
        .run()
        .expect_code(0);
    let check = Guard::with_manifest(EXAMPLE).in_folder(ended.folder.path());
    let check = check
        .line("check --only-file --env-file .env --format json")
        .run()
        .expect_code(78);
    let stdout = check.stdout();
    let summary: Value =
        serde_json::from_str(stdout.lines().last().unwrap_or_default()).expect("it is JSON");
    let findings = summary["findings"].as_array().expect("it is a list").iter();
    let names: Vec<&str> = findings
        .filter_map(|finding| finding["variable"].as_str())
        .collect();
    let expected = [
        "NEXTAUTH_SECRET",
        "DATABASE_URL",
        "RESEND_API_KEY",
        "FROM_EMAIL",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_new_file_is_created_and_a_symbolic_link_is_followed() {
    let guard = Guard::with_manifest(EXAMPLE);
    let ended = guard
        .line("generate --env-file .env SECRET_KEY")
        .run()
        .expect_code(0);
    assert_eq!(file_of(&ended).len(), "SECRET_KEY=".len() + 45);
    assert_eq!(mode(&ended.folder.path().join(".env")), 0o600);

    let guard = Guard::with_manifest(EXAMPLE);
    let real = guard.folder.file("real.env", "A=1\n");
    symlink("real.env", guard.folder.path().join(".env")).expect("it can be linked");
    let ended = guard
        .line("generate --env-file .env SECRET_KEY")
        .run()
        .expect_code(0);
    assert!(ended.folder.path().join(".env").is_symlink());
    assert!(file_of(&ended).starts_with("A=1\nSECRET_KEY="));
    assert_eq!(mode(&real), 0o600);
}

#[test]
fn a_file_that_cannot_be_changed_has_an_error_and_stays_as_it_is() {
    let guard = Guard::with_manifest(EXAMPLE);
    symlink("nowhere", guard.folder.path().join(".env")).expect("it can be linked");
    guard.line("generate --env-file .env").run().expect_code(66);
    let ended = Guard::with_manifest(EXAMPLE)
        .line("generate --env-file no/folder/.env")
        .run();
    ended
        .expect_code(66)
        .expect_stderr("no/folder/.env can neither be read nor created");
    let ended = Guard::with_manifest(EXAMPLE)
        .line("generate --env-file .")
        .run();
    ended
        .expect_code(66)
        .expect_stderr("the env file .: it cannot be read: Is a directory");
    let ended = Guard::with_manifest(EXAMPLE)
        .line("generate --env-file -")
        .run();
    ended
        .expect_code(64)
        .expect_stderr("standard input is none");
    with_file("A\"\n=canary\n")
        .line("generate --env-file .env")
        .run()
        .expect_code(65)
        .expect_never("canary");
    let ended = with_file(vec![b'#'; 1024 * 1024 + 1])
        .line("generate --env-file .env")
        .run();
    ended
        .expect_code(65)
        .expect_stderr("it is larger than 1 MiB");
    let nearly = [&vec![b'#'; 1024 * 1024 - 2][..], b"\n"].concat();
    let ended = with_file(&nearly)
        .line("generate --env-file .env")
        .run()
        .expect_code(65);
    assert_eq!(file_of(&ended).len(), nearly.len());
    let pem = "KEY=-----BEGIN KEY-----\ncanary\n";
    let ended = with_file(pem)
        .line("generate --env-file .env --dialect kv")
        .run()
        .expect_code(65);
    assert_eq!(file_of(&ended), pem);
    ended
        .expect_stderr(".env was not changed")
        .expect_never("canary");
}

fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=test", "-c", "user.email=test@example.com"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("git starts");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_file_that_git_tracks_is_only_changed_if_that_is_forced() {
    let path = "/usr/local/bin:/usr/bin:/bin";
    let run = |guard: Guard, line: &str| guard.env("PATH", path).line(line).run();
    let tracked = || {
        let guard = with_file("JWT_SECRET=\n");
        let folder = guard.folder.path().to_owned();
        git(&folder, &["init", "--quiet"]);
        git(&folder, &["add", ".env"]);
        (guard, folder)
    };
    let (guard, _) = tracked();
    let ended = run(guard, "generate --env-file .env").expect_code(64);
    assert_eq!(file_of(&ended), "JWT_SECRET=\n");
    ended.expect_stdout("").expect_stderr(
        "git tracks .env, so a commit would publish the secrets; name a file that git ignores, or use --force",
    );
    let (guard, _) = tracked();
    let ended = run(guard, "generate --env-file .env --force").expect_code(0);
    assert!(file_of(&ended).len() > 50);

    let (guard, folder) = tracked();
    symlink(".env", folder.join("link")).expect("it can be linked");
    run(guard, "generate --env-file link").expect_code(64);

    // Neither tracked nor ignored; the brackets are no pattern.
    let (guard, _) = tracked();
    let ended = run(guard, "generate --env-file .en[v]").expect_code(0);
    ended.expect_stderr("git does not ignore .en[v], which contains secrets: add it to .gitignore");
    let (guard, folder) = tracked();
    fs::write(folder.join(".gitignore"), "*.local\n").expect("it can be written");
    let ended = run(guard, "generate --env-file .env.local").expect_code(0);
    assert_eq!(ended.stderr(), "");

    // A repository that git does not read.
    let (guard, folder) = tracked();
    fs::write(folder.join(".git/config"), "[broken").expect("it can be written");
    let ended = run(guard, "generate --env-file .env").expect_code(64);
    ended.expect_stderr("git cannot tell whether it tracks .env");
    // Where there is no git, nothing can be asked.
    let (guard, _) = tracked();
    guard
        .env("PATH", "/nowhere")
        .line("generate --env-file .env")
        .run()
        .expect_code(0);
}

#[test]
fn a_reader_sees_the_old_or_the_new_file_while_it_is_written() {
    let content = format!("# {}\nJWT_SECRET=\n", "x".repeat(500_000));
    let guard = with_file(&content);
    let folder = guard.folder.path().to_owned();
    let running: Vec<_> = (0..8)
        .map(|_| {
            Guard::with_manifest(EXAMPLE)
                .in_folder(&folder)
                .line("generate --env-file .env")
                .start()
        })
        .collect();
    let is_whole = |file: &str| {
        let rest = file.strip_prefix(content.trim_end()).unwrap_or_default();
        let values: Vec<&str> = rest.trim_end().split("\nSECRET_KEY=").collect();
        file == content || values.len() == 2 && values.iter().all(|value| value.len() == 44)
    };
    let file = folder.join(".env");
    let deadline = Instant::now() + PATIENCE;
    let mut reads = 0;
    while reads < 100
        || fs::metadata(&file).is_ok_and(|status| status.len() == content.len() as u64)
    {
        let read = fs::read_to_string(&file).expect("there is always a file");
        assert!(is_whole(&read), "{:?}", &read[content.len() - 20..]);
        reads += 1;
        assert!(Instant::now() < deadline, "no guard writes the file");
    }
    for guard in running {
        guard.end().expect_code(0);
    }
    let left = fs::read_to_string(&file).expect("there is a file");
    assert!(left != content && is_whole(&left), "{}", left.len());
    assert_eq!(fs::read_dir(&folder).expect("it can be listed").count(), 2);
}

#[test]
fn a_file_that_cannot_be_written_stays_as_it_is() {
    let guard = with_file("JWT_SECRET=\n").before_exec(|| {
        // A limit for the size of files stands for a full disk.
        let limit = nix::libc::rlimit {
            rlim_cur: 20,
            rlim_max: 20,
        };
        // SAFETY: the call only reads `limit`.
        unsafe { nix::libc::setrlimit(nix::libc::RLIMIT_FSIZE, &raw const limit) };
        // SAFETY: the signal of the limit is ignored, so that the write fails.
        unsafe { nix::libc::signal(nix::libc::SIGXFSZ, nix::libc::SIG_IGN) };
    });
    let ended = guard.line("generate --env-file .env").run();
    assert_eq!(file_of(&ended), "JWT_SECRET=\n", "{ended}");
    let files = fs::read_dir(ended.folder.path()).expect("it can be listed");
    assert_eq!(files.count(), 2, "a temporary file is left");
    ended
        .expect_code(71)
        .expect_stderr(".env cannot be written: File too large");
}
