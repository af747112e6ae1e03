//! The blocks of docs/migrate-from.md, read from the page and run: each "after" with the guard, and each "before" with
//! its own tool, where it is installed.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::environment::{free_port, search_path, service, until_healthy};
use crate::postgres::Postgres;
use crate::support::{Ended, Folder, Guard, is_alive};
use crate::{ROOT, Test};

pub const TESTS: &[Test] = &[
    ("every_section_is_tested", &[], every_section_is_tested),
    ("start_sh", &[], start_sh),
    ("prestart_sh", &[], prestart_sh),
    ("wait_for_it", &["wait-for-it"], wait_for_it),
    ("dockerize", &["envsubst"], dockerize),
    ("tini", &["tini"], tini),
    ("dumb_init", &["dumb-init"], dumb_init),
    ("variables_in_files", &[], variables_in_files),
    ("gosu", &["gosu", ROOT], gosu),
];

const PAGE: &str = include_str!("../../docs/migrate-from.md");

/// The headings of the page, in its order, for each of which there is a test.
const START_SH: &str = "`start.sh`";
const PRESTART_SH: &str = "`prestart.sh`";
const WAIT_FOR_IT: &str = "wait-for-it";
const DOCKERIZE: &str = "dockerize";
const TINI: &str = "tini";
const DUMB_INIT: &str = "dumb-init";
const FILES: &str = "`_FILE` variables";
const GOSU: &str = "An entrypoint with gosu";

const SECRET: &str = "canary-nextauth-0123456789abcdefghij";

/// The part of the page that a section has for `Before` or `After`.
fn part(heading: &str, when: &str) -> &'static str {
    let (_, section) = PAGE
        .split_once(&format!("\n## {heading}\n"))
        .expect("the page has this section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let (before, after) = section
        .split_once("\nAfter:")
        .expect("the section has an `After:`");
    let (_, before) = before
        .split_once("Before:")
        .expect("the section has a `Before:`");
    if when == "Before" { before } else { after }
}

/// The first fenced block of a part.
fn block(heading: &str, when: &str) -> String {
    let mut fences = part(heading, when).split("```");
    let block = fences.nth(1).expect("there is a block");
    let (_, text) = block.split_once('\n').expect("a block has lines");
    text.to_owned()
}

/// The words of the `ENTRYPOINT` lines of a part.
fn entrypoints(heading: &str, when: &str) -> Vec<Vec<String>> {
    let quoted = part(heading, when).split('`').skip(1).step_by(2);
    let lines = quoted.filter_map(|text| text.strip_prefix("ENTRYPOINT "));
    let words = lines.map(|line| serde_json::from_str(line).expect("an exec form is JSON"));
    words.collect()
}

/// The program of an entrypoint, with its arguments before the command.
fn run_entrypoint(words: &[String], command: &[&str]) -> Guard {
    let (program, arguments) = words.split_first().expect("an entrypoint has a program");
    let program = match program.as_str() {
        "startup-guard" => env!("CARGO_BIN_EXE_startup-guard"),
        other => other,
    };
    let guard = Guard::instead(program);
    guard
        .folder
        .file("required-vars.yaml", "version: 1\nvariables: {}\n");
    guard.args(arguments).args(command)
}

/// A shell that runs the block `Before`, with the words after it.
fn run_before(heading: &str, change: impl Fn(String) -> String) -> Guard {
    let script = change(block(heading, "Before"));
    let shell = if script.contains("bash") {
        "bash"
    } else {
        "sh"
    };
    let guard = Guard::instead(shell);
    let file = guard.folder.script("before.sh", &script);
    guard.args([file])
}

fn run_after(heading: &str, change: impl Fn(String) -> String) -> Guard {
    let guard = Guard::with_manifest(&change(block(heading, "After")));
    let manifest = guard.folder.path().join("required-vars.yaml");
    guard.env("STARTUP_GUARD_MANIFEST", manifest)
}

fn unchanged(text: String) -> String {
    text
}

/// Puts the folder of the guard before the programs of the service in PATH.
fn with_programs(guard: Guard) -> Guard {
    let path = format!("{}:{}", guard.folder.path().display(), search_path());
    guard.env("PATH", path)
}

/// The address of a database without the password, as `host:port`.
fn address(postgres: &Postgres) -> String {
    let (_, rest) = postgres.url.split_once('@').expect("the URL has a user");
    rest.split('/').next().unwrap_or_default().to_owned()
}

fn every_section_is_tested() {
    let headings: Vec<&str> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let tested = [
        START_SH,
        PRESTART_SH,
        WAIT_FOR_IT,
        DOCKERIZE,
        TINI,
        DUMB_INIT,
        FILES,
        GOSU,
    ];
    assert_eq!(headings, tested);
}

fn start_sh() {
    for guard in [
        run_before(START_SH, unchanged),
        run_after(START_SH, unchanged),
    ] {
        let postgres = Postgres::start();
        let port = free_port();
        let running = with_programs(guard)
            .in_folder(&service())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NEXTAUTH_SECRET", SECRET)
            .env("DATABASE_URL", &postgres.url)
            .env("PORT", port.to_string())
            .start();
        until_healthy(port);
        running.signal(Signal::SIGTERM);
        let ended = running.end().expect_code(128 + Signal::SIGTERM as i32);
        let shown = format!("{}{}", ended.stdout(), ended.stderr());
        for milestone in [
            "📊 Exécution des migrations de base de données...",
            "✅ Migrations terminées",
        ] {
            assert_eq!(shown.matches(milestone).count(), 1, "{shown}");
        }
        ended
            .expect_stderr("Running upgrade 0002 -> 0003")
            .expect_never(SECRET)
            .expect_never(postgres.password());
    }
    run_before(START_SH, unchanged)
        .run()
        .expect_code(1)
        .expect_stdout("❌ NEXTAUTH_SECRET non définie\n");
    run_after(START_SH, unchanged)
        .run()
        .expect_code(78)
        .expect_stderr("NEXTAUTH_SECRET is not set")
        .expect_stderr("DATABASE_URL is not set");
}

/// Adds an offer if there is none. Fails before the migration, which creates the table.
const INITIAL_DATA: &str = "import os, psycopg
with psycopg.connect(os.environ['DATABASE_URL']) as database:
    database.execute(\"INSERT INTO offers (title) SELECT 'first' WHERE NOT EXISTS (SELECT FROM offers)\")
    print('offers:', database.execute('SELECT count(*) FROM offers').fetchone()[0])
";

fn prestart_sh() {
    let server = "fastapi run --workers 4 app/main.py\n";
    for (guard, served) in [
        (run_before(PRESTART_SH, unchanged), ""),
        (run_after(PRESTART_SH, unchanged), server),
    ] {
        let postgres = Postgres::start();
        let folder = guard.folder.path().to_owned();
        let copied = Command::new("cp")
            .arg("-r")
            .arg(service().join("."))
            .arg(&folder)
            .status();
        assert!(copied.expect("cp starts").success());
        guard.folder.file("app/backend_pre_start.py", "");
        guard.folder.file("app/initial_data.py", INITIAL_DATA);
        guard
            .folder
            .script("fastapi", "#!/bin/sh\necho \"fastapi $*\"\n");
        with_programs(guard)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("DATABASE_URL", &postgres.url)
            .run()
            .expect_code(0)
            .expect_stdout(&format!("offers: 1\n{served}"))
            .expect_never(postgres.password());
    }
}

/// A stand-in for the server.
fn with_server(guard: Guard) -> Guard {
    guard
        .folder
        .script("uvicorn", "#!/bin/sh\necho \"uvicorn $*\"\n");
    with_programs(guard)
}

fn wait_for_it() {
    const SERVED: &str = "uvicorn app.main:app\n";
    let postgres = Postgres::start();
    let cache = format!("127.0.0.1:{}", free_port());
    let before = |options: (&str, &str)| {
        let change = |text: String| {
            text.replace("db:5432", &address(&postgres))
                .replace("cache:6379", &cache)
                .replace(options.0, options.1)
        };
        with_server(run_before(WAIT_FOR_IT, change))
    };
    let after = |options: (&str, &str)| {
        with_server(run_after(WAIT_FOR_IT, |text| {
            text.replace(options.0, options.1)
        }))
        .env("DATABASE_URL", &postgres.url)
        .env("REDIS_URL", format!("redis://{cache}"))
    };
    for (guard, waits) in [
        (before(("", "")), format!("waiting 15 seconds for {cache}")),
        (
            after(("", "")),
            format!("tcp REDIS_URL ({cache}): connection refused"),
        ),
    ] {
        let running = guard.start();
        running.wait_for(&waits);
        assert!(!running.shown().contains(SERVED), "{}", running.shown());
        let listener = TcpListener::bind(&cache).expect("the port is free");
        running
            .end()
            .expect_code(0)
            .expect_stdout(SERVED)
            .expect_never(postgres.password());
        drop(listener);
    }
    before(("--timeout=15", "--timeout=1"))
        .run()
        .expect_code(124)
        .expect_stdout("");
    before(("--timeout=15 --strict", "--timeout=1"))
        .run()
        .expect_code(0)
        .expect_stdout(SERVED);
    after(("timeout: 15s", "timeout: 1s"))
        .run()
        .expect_code(69)
        .expect_stdout("");
}

/// Answers every request with 200, until the process ends.
fn answer_requests() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it has an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    port
}

fn dockerize() {
    let postgres = Postgres::start();
    let port = answer_requests();
    let guard = run_after(DOCKERIZE, unchanged);
    guard
        .folder
        .file("nginx.tmpl", "server_name $SERVER_NAME; set $x $host;\n");
    guard
        .folder
        .script("nginx", "#!/bin/sh\necho \"nginx $*\"\ncat \"$2\"\n");
    with_programs(guard)
        .env("DATABASE_URL", &postgres.url)
        .env("AUTH_URL", format!("http://127.0.0.1:{port}/health"))
        .env("SERVER_NAME", "example.com")
        .run()
        .expect_code(0)
        .expect_stdout("nginx -c nginx.conf\nserver_name example.com; set $x $host;\n")
        .expect_never(postgres.password());
}

/// Runs a shell as the server of an entrypoint, and sends a signal to the init once the server is ready.
fn signalled(entrypoint: &[String], script: &str, signal: Option<Signal>) -> Ended {
    let running = run_entrypoint(entrypoint, &["sh", "-c", script]).start();
    running.wait_for("ready");
    if let Some(signal) = signal {
        running.signal(signal);
    }
    running.end()
}

/// A process that the server leaves running, and one that ignores SIGTERM. Both write their process ID first.
const LEFT: &str = "sh -c 'echo $$; exec sleep 1000'";
const STUBBORN: &str = "sh -c \"trap '' TERM; echo \\$\\$; exec sleep 1000\"";

/// Waits until the process has written its ID.
const UNTIL_LEFT: &str = "while [ ! -s left ]; do sleep 0.01; done";

/// Whether a process that the server leaves running has ended with the init. Ends it otherwise.
fn ends_leftovers(entrypoint: &[String], process: &str) -> bool {
    let script = format!("{process} < /dev/null > left 2>&1 & {UNTIL_LEFT}; echo ready");
    let ended = signalled(entrypoint, &script, None).expect_code(0);
    let pid = fs::read_to_string(ended.folder.path().join("left")).expect("the server wrote it");
    let pid: i32 = pid.trim().parse().expect("it is a number");
    let has_ended = !is_alive(pid);
    if !has_ended {
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, Signal::SIGKILL).expect("it can be ended");
    }
    has_ended
}

fn tini() {
    let before = entrypoints(TINI, "Before");
    let after = entrypoints(TINI, "After");
    assert_eq!((before.len(), after.len()), (1, 2));
    for entrypoint in before.iter().chain(&after) {
        for (script, signal, code) in [
            ("echo ready; exit 7", None, 7),
            ("echo ready; kill -KILL $$", None, 137),
            (
                "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done",
                Some(Signal::SIGTERM),
                5,
            ),
            (
                "trap 'exit 6' USR1; echo ready; while :; do sleep 0.01; done",
                Some(Signal::SIGUSR1),
                6,
            ),
        ] {
            signalled(entrypoint, script, signal).expect_code(code);
        }
        run_entrypoint(entrypoint, &["no-such-program"])
            .run()
            .expect_code(127);
    }
    assert!(!ends_leftovers(&before[0], LEFT));
    assert!(ends_leftovers(&after[0], LEFT) && ends_leftovers(&after[1], LEFT));
}

fn dumb_init() {
    // Both shells must get QUIT, or the outer one waits for the inner one.
    let script = "trap 'echo outer' QUIT
        sh -c \"trap 'exit 6' QUIT; echo ready; while :; do sleep 0.01; done\"
        echo inner $?
        exit 5";
    for when in ["Before", "After"] {
        let entrypoints = entrypoints(DUMB_INIT, when);
        assert_eq!(entrypoints.len(), 1);
        signalled(&entrypoints[0], script, Some(Signal::SIGTERM))
            .expect_code(5)
            .expect_stdout("ready\nouter\ninner 6\n");
        signalled(&entrypoints[0], "echo ready; exit 7", None).expect_code(7);
        let is_after = when == "After";
        assert_eq!(ends_leftovers(&entrypoints[0], STUBBORN), is_after);
    }
}

fn variables_in_files() {
    const SHOW: &str = r#"printf '%s|%s' "$DATABASE_PASSWORD" "${DATABASE_PASSWORD_FILE-not set}""#;
    let both = |change: &dyn Fn(Guard) -> Guard| {
        let before = change(run_before(FILES, unchanged)).args(["sh", "-c", SHOW]);
        let after = change(run_after(FILES, unchanged)).args(["run", "--", "sh", "-c", SHOW]);
        [before.run(), after.run()]
    };
    let from_file = |content: &'static str| {
        move |guard: Guard| {
            let file = guard.folder.file("password", content);
            guard.env("DATABASE_PASSWORD_FILE", file)
        }
    };
    for ended in both(&|guard| guard.env("DATABASE_PASSWORD", "from-env")) {
        ended.expect_code(0).expect_stdout("from-env|not set");
    }
    for content in ["from-file", "from-file\n", "from-file\n\n"] {
        for ended in both(&from_file(content)) {
            ended.expect_code(0).expect_stdout("from-file|not set");
        }
    }
    let [before, after] =
        both(&|guard| from_file("from-file")(guard).env("DATABASE_PASSWORD", "from-env"));
    before.expect_code(1).expect_stdout("");
    after
        .expect_code(78)
        .expect_stdout("")
        .expect_never("from-file")
        .expect_never("from-env");
    let [before, after] = both(&from_file(""));
    before.expect_code(0).expect_stdout("|not set");
    after.expect_code(78).expect_stdout("");
    let [before, after] = both(&|guard| guard.env("DATABASE_PASSWORD_FILE", "/nowhere"));
    before.expect_code(1).expect_stdout("");
    after.expect_code(78).expect_stdout("");
}

fn gosu() {
    const SHOW: &str = "id -u; id -g; id -G; echo $HOME";
    let as_nobody = |text: String| text.replace("app", "nobody");
    let path = "/usr/sbin:/usr/bin:/bin";
    // The script starts itself again as the other user, who must be able to read it.
    let script = std::env::temp_dir().join(format!("startup-guard-gosu-{}", std::process::id()));
    let data = Folder::new();
    let content = as_nobody(block(GOSU, "Before"));
    let content = content.replace("/srv/data", &data.path().display().to_string());
    fs::write(&script, content).expect("a script can be written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a mode can be set");
    let before = Guard::instead("sh")
        .args([&script])
        .args(["sh", "-c", SHOW])
        .env("PATH", path)
        .run();
    let _ = fs::remove_file(&script);
    let before = before.expect_code(0).stdout();
    let after = run_after(GOSU, as_nobody)
        .args(["run", "--", "sh", "-c", SHOW])
        .env("PATH", path)
        .run()
        .expect_code(0)
        .stdout();
    assert_eq!(before, after);
    assert!(after.starts_with("65534\n"), "{after}");
}
