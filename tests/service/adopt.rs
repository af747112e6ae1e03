//! The transcript in `docs/adopt.md`: the example service without its manifest, from `init` to a healthy server.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::environment::{free_port, search_path, service, until_healthy};
use crate::postgres::Postgres;
use crate::support::{Ended, Folder, Guard};

const PAGE: &str = include_str!("../../docs/adopt.md");

/// The password of the page's env file, and a secret in it.
const SECRET: &str = "canary-nextauth-0123456789abcdefghij";

/// The contents of the fenced code blocks with this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let parts = PAGE.split(&opening).skip(1);
    parts.filter_map(|part| part.split("```").next()).collect()
}

/// The commands of the transcript, each with the lines of its output.
fn transcript() -> Vec<(&'static str, Vec<&'static str>)> {
    let console = blocks("console");
    let commands = console.iter().flat_map(|block| block.split("$ ").skip(1));
    let commands = commands.map(|command| {
        let mut lines = command.lines();
        (lines.next().expect("a command has a line"), lines.collect())
    });
    commands.collect()
}

/// A copy of the example service, with an env file as its developers have it.
fn copy(postgres: &Postgres) -> Folder {
    let folder = Folder::new();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(service().join("."))
        .arg(folder.path())
        .status();
    assert!(copied.expect("cp runs").success());
    assert!(!folder.path().join("required-vars.yaml").exists());
    let url = &postgres.url;
    folder.file(
        ".env",
        format!("NEXTAUTH_SECRET={SECRET}\nDATABASE_URL={url}\n"),
    );
    folder
}

/// The guard with the arguments of a line for a shell, in which only the port is quoted.
fn guard(folder: &Path, line: &str) -> Guard {
    let arguments = line.strip_prefix("startup-guard ");
    let arguments = arguments.expect("the command is the guard's");
    Guard::new()
        .in_folder(folder)
        .env("PATH", search_path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .line(&arguments.replace('\'', ""))
}

/// The variables that the platform sets.
fn with_variables(guard: Guard, postgres: &Postgres) -> Guard {
    guard
        .env("NEXTAUTH_SECRET", SECRET)
        .env("DATABASE_URL", &postgres.url)
}

/// Runs a server until it is healthy, and stops it.
fn served(guard: Guard) -> Ended {
    let port = free_port();
    let running = guard.env("PORT", port.to_string()).start();
    until_healthy(port);
    running.signal(Signal::SIGTERM);
    running.end().expect_code(128 + Signal::SIGTERM as i32)
}

#[test]
fn the_example_service_is_guarded_in_three_commands_as_the_page_shows() {
    let postgres = Postgres::start();
    let folder = copy(&postgres);
    let commands = transcript();
    let [init, check, (start, lines)] = commands.as_slice() else {
        panic!("the page has three commands: {commands:?}");
    };
    for (command, lines) in [init, check] {
        let ended = guard(folder.path(), command).run().expect_code(0);
        let told = ended.stdout() + &ended.stderr();
        assert_eq!(told.lines().collect::<Vec<_>>(), *lines, "{command}");
        ended.expect_never(SECRET).expect_never(postgres.password());
    }
    let written = fs::read_to_string(folder.path().join("required-vars.yaml"));
    let written = written.expect("the manifest is written");
    assert_eq!(blocks("yaml"), [written.as_str()]);

    let ended = served(guard(folder.path(), start));
    let told = ended.stderr();
    let mut rest = told.as_str();
    for line in lines {
        // A `…` stands for what differs between two runs.
        for part in line.split('…') {
            let after = rest.split_once(part).map(|(_, after)| after);
            rest = after.unwrap_or_else(|| panic!("{line:?} does not follow\n{ended}"));
        }
    }
    ended.expect_never(SECRET).expect_never(postgres.password());
}

#[test]
fn two_lines_of_a_dockerfile_put_the_guard_before_the_command_of_the_image() {
    let postgres = Postgres::start();
    let folder = copy(&postgres);
    let dockerfile = blocks("dockerfile").concat();
    folder.file("Dockerfile", &dockerfile);
    guard(folder.path(), "startup-guard init --write")
        .run()
        .expect_code(0);
    let written = fs::read_to_string(folder.path().join("required-vars.yaml"));
    let written = written.expect("the manifest is written");
    let server = "server:\n  command: [uvicorn, app.main:app, --host, 0.0.0.0, --port, \"8000\"]";
    assert!(written.contains(server), "{written}");

    let words = |instruction: &str| -> Vec<String> {
        let list = dockerfile
            .lines()
            .find_map(|line| line.strip_prefix(instruction));
        serde_json::from_str(list.expect(instruction)).expect("it is a list")
    };
    let all = [words("ENTRYPOINT "), words("CMD ")].concat();
    // The port 8000 may be in use on this machine.
    let line = all.join(" ").replace("8000", "$PORT");
    let ended = served(with_variables(guard(folder.path(), &line), &postgres));
    ended
        .expect_stderr("Running upgrade 0001 -> 0002, offers have a city")
        .expect_never(SECRET)
        .expect_never(postgres.password());
}
