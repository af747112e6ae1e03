//! The repair of an outage by the commands of docs/runbook.md, which are read from the page.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::Test;
use crate::environment::{CANARIES, free_port, search_path, service};
use crate::postgres::Postgres;
use crate::support::{Ended, Folder, Guard, Running, code_of, until};

pub const TESTS: &[Test] = &[
    (
        "the_outage_is_repaired_by_the_commands_of_the_runbook",
        &["jq"],
        outage,
    ),
    (
        "the_commands_of_the_runbook_that_write_values_lead_to_a_sound_service",
        &[],
        new_values,
    ),
    (
        "every_row_of_what_was_done_by_hand_works_as_written",
        &[],
        by_hand,
    ),
];

const PAGE: &str = include_str!("../../docs/runbook.md");

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text below a heading, up to the next heading.
fn section(heading: &str) -> &'static str {
    let (_, below) = PAGE
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("the page has no section {heading:?}"));
    below.split("\n#").next().unwrap_or_default()
}

/// The shell commands of a section: the content of each of its blocks.
pub fn commands(heading: &str) -> Vec<&'static str> {
    let blocks = section(heading).split("```sh\n").skip(1);
    let commands: Vec<&str> = blocks
        .filter_map(|block| block.split("```").next())
        .collect();
    assert!(!commands.is_empty(), "{heading:?} has no commands");
    commands
}

/// The only block of commands of a section, as single lines.
pub fn lines(heading: &str) -> Vec<&'static str> {
    let [block] = commands(heading)[..] else {
        panic!("{heading:?} has several blocks");
    };
    block.lines().collect()
}

/// The rows of a table below a heading, as cells.
pub fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let rows = section(heading)
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(2);
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// A project on a stand-in for Railway, with the services `backend` and `Postgres`.
struct Project {
    /// The directory in which the commands run: it has the manifest.
    folder: Folder,
    /// The state of the stand-in.
    state: Folder,
    postgres: Postgres,
    port: u16,
}

/// The result of commands.
struct Shown {
    code: i32,
    text: String,
}

impl Project {
    /// The project of the outage: all variables are set on the database's service.
    fn of_the_outage() -> Self {
        let project = Self {
            folder: Folder::new(),
            state: Folder::new(),
            postgres: Postgres::start(),
            port: free_port(),
        };
        let programs = project.state.path().join("bin");
        fs::create_dir(&programs).expect("a folder can be made");
        for (name, program) in [
            ("railway", root().join("tests/recipes/railway.py")),
            (
                "startup-guard",
                PathBuf::from(env!("CARGO_BIN_EXE_startup-guard")),
            ),
        ] {
            std::os::unix::fs::symlink(program, programs.join(name)).expect("a link can be made");
        }
        let manifest = fs::read(root().join("required-vars.yaml"));
        let manifest = manifest.expect("the manifest can be read");
        project.folder.file("required-vars.yaml", manifest);

        let place = |service: &'static str| {
            BTreeMap::from([
                ("RAILWAY_PROJECT_NAME", "intowork"),
                ("RAILWAY_SERVICE_NAME", service),
                ("RAILWAY_ENVIRONMENT_NAME", "production"),
            ])
        };
        let mut database = place("Postgres");
        database.extend(CANARIES);
        database.extend([
            ("DATABASE_URL", project.postgres.url.as_str()),
            ("PGUSER", "app"),
            ("JWT_ALGORITHM", "HS256"),
            ("FROM_EMAIL", "INTOWORK <noreply@example.com>"),
            ("FRONTEND_URL", "https://intowork.example.com"),
            ("ALLOWED_ORIGINS", "https://intowork.example.com"),
        ]);
        let state = &project.state;
        state.file("Postgres.json", json!(database).to_string());
        state.file("backend.json", json!(place("backend")).to_string());
        project
    }

    /// Runs commands of the page, after those that set the names of the services and the URL.
    fn run(&self, commands: &str) -> Shown {
        let [settings] = commands_of_settings();
        let local = format!("http://127.0.0.1:{}", self.port);
        let settings = settings.replace("https://intowork.example.com", &local);
        assert!(settings.contains(&local), "{settings}");
        let programs = self.state.path().join("bin");
        let output = Command::new("sh")
            .args(["-c", &format!("{settings}{commands}")])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", format!("{}:{}", programs.display(), search_path()))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("RAILWAY_STATE", self.state.path())
            .stdin(Stdio::null())
            .output()
            .expect("a shell starts");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).expect("the output is text");
        self.expect_no_secret(&text);
        Shown {
            code: code_of(output.status),
            text,
        }
    }

    /// Starts the guard of the backend as a deployment does, with the variables that its service has now.
    fn deploy(&self, log: &str) -> Running {
        let listed = Command::new(root().join("tests/recipes/railway.py"))
            .args(["variables", "--service", "backend", "--kv"])
            .env("RAILWAY_STATE", self.state.path())
            .output()
            .expect("the stand-in starts");
        let listed = String::from_utf8(listed.stdout).expect("the variables are text");
        let mut guard = Guard::new()
            .in_folder(&service())
            .line("run --manifest ../../required-vars.yaml")
            .env("PATH", search_path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("STARTUP_GUARD_LOG", log)
            .env("PORT", self.port.to_string());
        for (name, value) in listed.lines().filter_map(|line| line.split_once('=')) {
            guard = guard.env(name, value);
        }
        guard.start()
    }

    /// Makes this the log of the backend's latest deployment.
    fn log(&self, text: &str) {
        self.expect_no_secret(text);
        self.state.file("backend.log", text);
    }

    #[track_caller]
    fn expect_no_secret(&self, text: &str) {
        let secrets = CANARIES.iter().map(|(_, canary)| *canary);
        for secret in secrets.chain([self.postgres.password()]) {
            assert!(!text.contains(secret), "{secret} is shown in\n{text}");
        }
    }
}

fn commands_of_settings() -> [&'static str; 1] {
    commands("## The service does not start")
        .try_into()
        .expect("one block sets the names")
}

impl Shown {
    #[track_caller]
    fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.text);
        self
    }

    #[track_caller]
    fn expect(self, text: &str) -> Self {
        assert!(
            self.text.contains(text),
            "{text:?} is not in\n{}",
            self.text
        );
        self
    }
}

fn outage() {
    let project = Project::of_the_outage();
    let crashed = project.deploy("auto").end().expect_code(78);
    project.log(&crashed.stderr());
    expect_the_reason(&project);

    let [backend, database] = lines("### 2. Find the service that has the variables")[..] else {
        panic!("two services are checked");
    };
    let lacking = project.run(backend).expect_code(78);
    lacking
        .expect("service \"backend\"")
        .expect("❌ NEXTAUTH_SECRET is not set");
    project.run(database).expect_code(0);
    let [check] = lines("### 4. Check them before the deployment")[..] else {
        panic!("one service is checked");
    };
    project.run(check).expect_code(78);
    project
        .run(commands("### 3. Set the variables")[0])
        .expect_code(0);
    project.run(check).expect_code(0);

    let [health] = lines("### 7. Ask the service")[..] else {
        panic!("the service is asked by one command");
    };
    project.run(health).expect_code(1);
    let [redeploy] = lines("### 5. Deploy again")[..] else {
        panic!("one command deploys");
    };
    project.run(redeploy).expect_code(0);
    let calls = fs::read_to_string(project.state.path().join("calls"));
    let calls = calls.expect("the stand-in was called");
    assert!(calls.ends_with("[\"redeploy\", \"--service\", \"backend\", \"--yes\"]\n"));
    project.expect_no_secret(&calls);

    let served = until_healthy(&project, "auto", health);
    assert!(served.json_lines_of_the_guard() > 5, "{served}");
    expect_the_milestones(&project, true);
    // Now there is nothing to migrate.
    until_healthy(&project, "text", health);
    expect_the_milestones(&project, false);
}

/// Variables that cannot be generated, as a person writes them into an env file.
const TYPED: [(&str, &str); 5] = [
    ("JWT_ALGORITHM", "HS256"),
    ("RESEND_API_KEY", "re_canary_0123456789"),
    ("FROM_EMAIL", "'INTOWORK <noreply@example.com>'"),
    ("FRONTEND_URL", "https://intowork.example.com"),
    ("ALLOWED_ORIGINS", "https://intowork.example.com"),
];

/// Creates the env file with the commands of the page, and fills in what cannot be generated.
fn write_env_file(project: &Project, database: &str) {
    let [_, _, create] = commands("### 3. Set the variables")[..] else {
        panic!("the section has three blocks");
    };
    project.run(create).expect_code(0);
    let path = project.folder.path().join(".env.production");
    let file = fs::read_to_string(&path).expect("the file was created");
    let [secret, ..] = CANARIES;
    let known = [secret, ("DATABASE_URL", database)];
    let typed: BTreeMap<&str, &str> = TYPED.into_iter().chain(known).collect();
    let fill = |line: &str| {
        let name = line.split('=').next().unwrap_or_default();
        let value = typed.get(name);
        value.map_or_else(|| line.to_owned(), |value| format!("{name}={value}"))
    };
    let lines: Vec<String> = file.lines().map(fill).collect();
    fs::write(path, lines.join("\n") + "\n").expect("the file can be written");
}

fn new_values() {
    let project = Project::of_the_outage();
    let [check] = lines("### 4. Check them before the deployment")[..] else {
        panic!("one service is checked");
    };
    project.run(check).expect_code(78);
    write_env_file(&project, "'${{Postgres.DATABASE_URL}}'");
    // The printed commands are pasted into a shell.
    let [_, export, _] = commands("### 3. Set the variables")[..] else {
        panic!("the section has three blocks");
    };
    let shown = project
        .run(&format!("{} | sh", export.trim()))
        .expect_code(0);
    assert_eq!(shown.text.matches("❌").count(), 0, "{}", shown.text);
    project.run(check).expect_code(0);
    let calls = fs::read_to_string(project.state.path().join("calls"));
    project.expect_no_secret(&calls.expect("the stand-in was called"));
}

fn by_hand() {
    let project = Project::of_the_outage();
    write_env_file(&project, &project.postgres.url);
    let port = format!("export PORT={}; ", project.port);
    let mut commands = rows("## What the team did by hand, and the guard now does")
        .iter()
        .flat_map(|row| row[1].split('`').skip(1).step_by(2))
        .map(|command| command.replace("\\|", "|"))
        .collect::<Vec<_>>()
        .into_iter();
    let mut next = |beginning: &str| {
        let command = commands.next().unwrap_or_default();
        assert!(command.starts_with(beginning), "{command}");
        command
    };
    next("startup-guard run");
    let export = next("startup-guard export");
    project.run(&format!("{export} | sh")).expect_code(0);
    let running = project.deploy("auto");
    for beginning in ["startup-guard template", "startup-guard generate"] {
        let shown = project.run(&next(beginning)).expect_code(0);
        shown.expect("JWT_SECRET=");
    }
    for beginning in ["startup-guard check", "railway variables"] {
        project.run(&next(beginning)).expect_code(0);
    }
    let health = port + &next("startup-guard healthcheck");
    until("the service is healthy", || project.run(&health).code == 0);
    project.log(&running.shown());
    let found = project.run(&next("railway logs")).expect_code(0);
    found.expect("Running upgrade  -> 0001");
    running.signal(Signal::SIGTERM);
    running.end().expect_code(128 + Signal::SIGTERM as i32);
    assert_eq!(commands.next(), None);
}

/// The commands that show why the service has not started, and the queries on its log.
fn expect_the_reason(project: &Project) {
    let [report, reason] = lines("### 1. Read why")[..] else {
        panic!("two commands show the reason");
    };
    let report = project.run(report).expect_code(0);
    report
        .expect("❌ NEXTAUTH_SECRET is not set")
        .expect("❌ ALLOWED_ORIGINS is not set")
        .expect("Likely cause [set_elsewhere]")
        .expect("exit code 78, a retry does not help");
    let reason: Value = serde_json::from_str(&project.run(reason).expect_code(0).text)
        .expect("there is exactly one line with an exit code");
    assert_eq!(
        reason,
        json!({"phase": "check", "exit_code": 78, "retry": "no", "cause": "set_elsewhere"})
    );
    let [errors, retry, findings, cause] = lines("## What to alert on")[..] else {
        panic!("there are four queries");
    };
    for (query, count) in [(errors, 9), (retry, 1)] {
        let found = project.run(query).expect_code(0).text;
        assert_eq!(
            found.matches("\"level\": \"error\"").count(),
            count,
            "{found}"
        );
    }
    let findings = project.run(findings).expect_code(0).text;
    assert_eq!(findings.lines().count(), 8, "{findings}");
    assert!(findings.starts_with("NEXTAUTH_SECRET missing\nDATABASE_URL missing\n"));
    assert_eq!(project.run(cause).expect_code(0).text, "set_elsewhere\n");
}

/// Deploys, waits until the command of the page finds the service healthy, and stops it.
fn until_healthy(project: &Project, log: &str, health: &str) -> Ended {
    let running = project.deploy(log);
    until("the service is healthy", || project.run(health).code == 0);
    project.log(&running.shown());
    running.signal(Signal::SIGTERM);
    running.end().expect_code(128 + Signal::SIGTERM as i32)
}

/// Asserts that the commands of the page find what the step has said, and that the milestones are in the log in their
/// order. The second one is missing if there was nothing to migrate.
fn expect_the_milestones(project: &Project, is_migrated: bool) {
    let heading = "### 6. Look for the milestones";
    let [grep, query] = lines(heading)[..] else {
        panic!("two commands find the milestones");
    };
    let around = project.run(grep).expect_code(0);
    let of_the_step = project.run(query).expect_code(0);
    for shown in [around.text, of_the_step.text] {
        assert_eq!(shown.contains("Running upgrade  -> 0001"), is_migrated);
    }
    let [report, _] = lines("### 1. Read why")[..] else {
        panic!("two commands show the log");
    };
    let log = project.run(report).expect_code(0).text;
    let milestones = section(heading).split("\n\n```\n").nth(1);
    let milestones = milestones.and_then(|block| block.split("```").next());
    let mut milestones: Vec<&str> = milestones.expect("the page has them").lines().collect();
    assert_eq!(milestones.len(), 5, "{milestones:?}");
    if !is_migrated {
        let missing = milestones.remove(1);
        assert!(!log.contains(missing), "{log}");
    }
    let mut rest = log.as_str();
    for milestone in milestones {
        let Some((_, after)) = rest.split_once(milestone) else {
            panic!("{milestone:?} does not follow in\n{log}");
        };
        rest = after;
    }
}

impl Ended {
    /// How many lines on stderr are JSON. The server's own lines are not.
    fn json_lines_of_the_guard(&self) -> usize {
        let stderr = self.stderr();
        let is_json = |line: &&str| serde_json::from_str::<Value>(line).is_ok();
        stderr.lines().filter(is_json).count()
    }
}
