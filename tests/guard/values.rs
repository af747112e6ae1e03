//! Values that are composed of other variables, as real programs read them, and what is shown of them.

use std::path::Path;

use serde_json::Value;

use crate::support::Guard;

/// Characters that end a part of a URL, or that readers decode.
const HOSTILE: [char; 28] = [
    ':', '/', '?', '#', '[', ']', '@', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=', '%',
    ' ', '"', '<', '\\', '^', '{', '|', 'é', '7',
];

/// A text for each run and place.
fn text(run: usize, place: usize) -> String {
    let mut state = (run * 131 + place * 7 + 1) as u64;
    let character = |_| {
        // Knuth's MMIX generator, of which only the upper bits are used.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 33).unwrap_or_default() % HOSTILE.len();
        HOSTILE[at]
    };
    // A value that is only white space would be missing.
    [
        "x".to_owned(),
        (0..9).map(character).collect(),
        "%2F".to_owned(),
    ]
    .concat()
}

const READER: &str = "
import json, os, sys
from urllib.parse import parse_qs, unquote, urlsplit
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

def parts(run):
    text = os.environ[f'URL_{run}']
    url = urlsplit(text)
    read = conninfo_to_dict(text)
    made = make_url(text)
    return {
        'urllib': [unquote(url.username), unquote(url.password), unquote(url.path[1:]), parse_qs(url.query)['application_name'][0]],
        'libpq': [read['user'], read['password'], read['dbname'], read['application_name']],
        'sqlalchemy': [made.username, made.password, made.database, made.query['application_name']],
        'hosts': [url.hostname, read['host'], made.host],
        'ports': [str(url.port), read['port'], str(made.port)],
    }

read = json.dumps([parts(run) for run in range(int(sys.argv[1]))])
open('read.json', 'w').write(read + chr(10))
";

#[test]
fn programs_read_the_parts_of_a_composed_url_as_they_were_set() {
    const RUNS: usize = 200;
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(python.exists(), "run `make venv` first");
    let mut manifest = "version: 1\nvariables:\n".to_owned();
    for run in 0..RUNS {
        let part = |name: &str| format!("${{{name}_{run}}}");
        let (user, password, database, query) =
            (part("USER"), part("PASSWORD"), part("NAME"), part("QUERY"));
        manifest += &format!(
            "  URL_{run}: {{type: url, value: 'postgresql://{user}:{password}@${{HOST}}:${{PORT:-5432}}/{database}?application_name={query}'}}\n"
        );
    }
    manifest += "steps: [{name: read, command: ['${PYTHON}', -c, '${READER}', '200']}]\n";
    let mut guard = Guard::with_manifest(&manifest)
        .env("PYTHON", &python)
        .env("READER", READER)
        .env("HOST", "fd12::3");
    for run in 0..RUNS {
        for (place, name) in ["USER", "PASSWORD", "NAME", "QUERY"]
            .into_iter()
            .enumerate()
        {
            guard = guard.env(format!("{name}_{run}"), text(run, place));
        }
    }
    // Output would be masked.
    let running = guard.line("run --no-server").start();
    let read = running.wait_for_file("read.json");
    running.end().expect_code(0);
    let read: Vec<Value> = serde_json::from_str(&read).expect("the program writes JSON");
    assert_eq!(read.len(), RUNS);
    for (run, found) in read.into_iter().enumerate() {
        let parts: Vec<String> = (0..4).map(|place| text(run, place)).collect();
        for reader in ["urllib", "libpq", "sqlalchemy"] {
            assert_eq!(found[reader], serde_json::json!(parts), "{reader}");
        }
        let hosts = serde_json::json!(["fd12::3", "fd12::3", "fd12::3"]);
        assert_eq!(found["hosts"], hosts);
        assert_eq!(found["ports"], serde_json::json!(["5432", "5432", "5432"]));
    }
}

/// Parts of a URL, of which each has characters that are encoded.
const PARTS: [(&str, &str); 3] = [
    ("DB_USER", "b7k#qx2mzr"),
    ("DB_PASSWORD", "w9/tj4@pvd"),
    ("DB_TOKEN", "h3:nc8?gfs"),
];

const MANIFEST: &str = "version: 1
variables:
  DB_PASSWORD: {secret: true}
  DB_TOKEN: {secret: true}
  URL: {type: url, value: 'http://${DB_USER}:${DB_PASSWORD}@127.0.0.1:9/x?t=${DB_TOKEN}'}
  PLAIN: {value: '${DB_TOKEN}, ${DB_PASSWORD}'}
";

/// Fails if six characters of a text are shown, as they are or encoded.
fn expect_hidden(shown: &str, part: &str) {
    let encoded: String = part
        .bytes()
        .map(|byte| match byte {
            b'#' | b'/' | b'@' | b':' | b'?' => format!("%{byte:02X}"),
            _ => char::from(byte).to_string(),
        })
        .collect();
    for text in [part, &encoded] {
        for at in 0..=text.len() - 6 {
            let piece = &text[at..at + 6];
            assert!(!shown.contains(piece), "{piece} is shown in\n{shown}");
        }
    }
}

#[test]
fn no_part_of_a_composed_value_is_shown() {
    const PRINTED: &str = "steps: [{name: s, command: [sh, -c, 'echo $URL $PLAIN; echo $URL | tr ?= \"\\\\n\" >&2; exit 3']}]\n";
    for (code, more, arguments, taken) in [
        (70, PRINTED, "run -- true", None),
        (
            127,
            "server: {command: ['${URL}', '${PLAIN}']}\n",
            "run",
            None,
        ),
        (
            69,
            "wait_for: [{http: URL, timeout: 300ms}]\n",
            "run -- true",
            None,
        ),
        (78, "fail_on: required\n", "check", Some("DB_PASSWORD")),
        (78, "fail_on: required\n", "check", Some("DB_USER")),
        (78, "announce: '${DB_USER}'\n", "check", Some("DB_TOKEN")),
        (0, "fail_on: required\n", "check", None),
    ] {
        for log in ["text", "json"] {
            let mut guard =
                Guard::with_manifest(&format!("{MANIFEST}{more}")).env("STARTUP_GUARD_LOG", log);
            for (name, value) in PARTS {
                if taken != Some(name) {
                    guard = guard.env(name, value);
                }
            }
            let format = ["", " --format json"][usize::from(log == "json" && arguments == "check")];
            let ended = guard
                .line(&format!("{arguments}{format}"))
                .run()
                .expect_code(code);
            let shown = format!("{}{}", ended.stdout(), ended.stderr());
            for (name, part) in PARTS {
                // An announcement shows what it refers to, and the user is no secret.
                if name != "DB_USER" || code != 70 && !more.contains("announce") {
                    expect_hidden(&shown, part);
                }
            }
            if let Some(name) = taken {
                assert!(shown.contains(name), "{shown}");
            }
        }
    }
}

#[test]
fn the_other_commands_know_composed_values() {
    let env = "DB_USER=u\nDB_PASSWORD=pa55-word\nDB_TOKEN=t0k-en42\n";
    let guard = || {
        let guard = Guard::with_manifest(MANIFEST);
        guard.folder.file(".env", env);
        guard.folder.file(
            "app.py",
            "import os\nos.environ['URL']\nos.environ['PLAIN']\n",
        );
        guard
    };
    let template = guard().line("template").run().expect_code(0).stdout();
    assert!(template.contains("\n#URL="), "{template}");
    let composed = "# If it is not set, it is composed of DB_TOKEN and DB_PASSWORD.\n";
    assert!(template.contains(composed), "{template}");
    let table = guard()
        .line("template --format markdown")
        .run()
        .expect_code(0)
        .stdout();
    assert!(
        table.contains("composed of DB_TOKEN and DB_PASSWORD"),
        "{table}"
    );
    let exported = guard()
        .line("export docker --env-file .env")
        .run()
        .expect_code(0)
        .stdout();
    assert_eq!(exported, "DB_PASSWORD=pa55-word\nDB_TOKEN=t0k-en42\n");
    guard().line("audit .").run().expect_code(0);
    let checked = guard()
        .line("check --only-file --env-file .env")
        .run()
        .expect_code(0);
    assert!(
        !checked.stdout().contains("skips"),
        "DB_USER is used:\n{checked}"
    );
}
