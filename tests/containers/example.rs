//! The example service and PostgreSQL, in containers on their own network.

use crate::Test;
use crate::engine::{Container, Network, both, try_docker};
use crate::images::{self, EXAMPLE, POSTGRES};

pub const TESTS: &[Test] = &[
    (
        "the_example_migrates_serves_and_turns_healthy",
        the_example_migrates_serves_and_turns_healthy,
    ),
    (
        "without_variables_the_image_ends_with_78_and_the_report",
        without_variables_the_image_ends_with_78_and_the_report,
    ),
    (
        "another_command_replaces_the_server_after_check_and_steps",
        another_command_replaces_the_server_after_check_and_steps,
    ),
    (
        "a_read_only_root_and_another_user_are_enough",
        a_read_only_root_and_another_user_are_enough,
    ),
    (
        "a_restart_policy_sees_the_exit_code_and_gives_up",
        a_restart_policy_sees_the_exit_code_and_gives_up,
    ),
];

/// Clearly fake secrets, for which all logs are searched.
const PASSWORD: &str = "canary-password-0123456789";
const SECRET: &str = "canary-nextauth-0123456789abcdefghij";

/// A ready database and its network.
pub struct Database {
    pub container: Container,
    pub network: Network,
}

impl Database {
    pub fn start() -> Self {
        let network = Network::new();
        let password = format!("POSTGRES_PASSWORD={PASSWORD}");
        let container = Container::start(&[
            "--network",
            &network.0,
            "--network-alias",
            "db",
            "-e",
            "POSTGRES_USER=app",
            "-e",
            &password,
            POSTGRES,
        ]);
        container.until("the database answers", |container| {
            let ask = [
                "exec",
                &container.0,
                "pg_isready",
                "-q",
                "-h",
                "127.0.0.1",
                "-U",
                "app",
            ];
            try_docker(&ask).status.success()
        });
        Self { container, network }
    }

    /// Runs SQL in the database, and returns the result.
    #[track_caller]
    pub fn sql(&self, statement: &str) -> String {
        self.container
            .exec(&["psql", "-U", "app", "-d", "app", "-Atc", statement])
    }
}

/// The options for a sound example container.
pub fn sound(database: &Database) -> Vec<String> {
    let url = format!("postgresql://app:{PASSWORD}@db:5432/app");
    let mut options = vec!["--network".to_owned(), database.network.0.clone()];
    for (name, value) in [
        ("DATABASE_URL", url.as_str()),
        ("NEXTAUTH_SECRET", SECRET),
        ("JWT_SECRET", "canary-jwt-0123456789abcdefghijklmnop"),
        ("JWT_ALGORITHM", "HS256"),
        ("RESEND_API_KEY", "re_canary_0123456789"),
        ("FROM_EMAIL", "INTOWORK <noreply@example.com>"),
        ("FRONTEND_URL", "http://localhost:3000"),
        ("ALLOWED_ORIGINS", "http://localhost:3000"),
    ] {
        options.extend(["-e".to_owned(), format!("{name}={value}")]);
    }
    options
}

/// Starts the example with further options and a command.
#[track_caller]
pub fn start(database: &Database, options: &[&str], command: &[&str]) -> Container {
    let sound = sound(database);
    let sound: Vec<&str> = sound.iter().map(String::as_str).collect();
    let health = ["--health-interval", "1s"];
    Container::start(&[&sound[..], &health, options, &[EXAMPLE], command].concat())
}

#[track_caller]
pub fn assert_no_secret(logs: &str) {
    assert!(!logs.contains("canary"), "{logs}");
}

fn the_example_migrates_serves_and_turns_healthy() {
    images::build();
    let database = Database::start();
    let example = start(&database, &[], &[]);
    example.until_healthy();
    let logs = example.logs();
    let milestones = [
        "🚀",
        "📊",
        "Running upgrade 0002 -> 0003",
        "✅",
        "🎯",
        "Application startup complete",
    ];
    let mut rest = logs.as_str();
    for milestone in milestones {
        let (_, after) = rest
            .split_once(milestone)
            .unwrap_or_else(|| panic!("no {milestone} in\n{logs}"));
        rest = after;
    }
    assert_no_secret(&logs);
    assert_eq!(
        database.sql("select version_num from alembic_version"),
        "0003"
    );
    // uvicorn is PID 1, and no process of the guard is left.
    let name = example.exec(&["cat", "/proc/1/comm"]);
    assert_ne!(name, "startup-guard");
    assert_eq!(
        example.exec(&["sh", "-c", "cat /proc/[0-9]*/stat | grep -c ' Z ' || true"]),
        "0"
    );
}

fn without_variables_the_image_ends_with_78_and_the_report() {
    images::build();
    let output = try_docker(&["run", "--rm", EXAMPLE]);
    let printed = both(&output);
    assert_eq!(output.status.code(), Some(78), "{printed}");
    for name in [
        "NEXTAUTH_SECRET",
        "DATABASE_URL",
        "JWT_SECRET",
        "RESEND_API_KEY",
        "ALLOWED_ORIGINS",
    ] {
        assert!(printed.contains(name), "{printed}");
    }
    assert!(printed.contains("exit code 78"), "{printed}");
}

fn another_command_replaces_the_server_after_check_and_steps() {
    images::build();
    let database = Database::start();
    let example = start(
        &database,
        &[],
        &["python", "-c", "import app.auth; print('another command')"],
    );
    assert_eq!(example.exit_code(), 0, "{}", example.logs());
    assert!(
        example.logs().contains("another command"),
        "{}",
        example.logs()
    );
    assert_eq!(
        database.sql("select version_num from alembic_version"),
        "0003"
    );
}

fn a_read_only_root_and_another_user_are_enough() {
    images::build();
    let database = Database::start();
    let example = start(&database, &["--read-only", "--user", "12345:12345"], &[]);
    example.until_healthy();
}

fn a_restart_policy_sees_the_exit_code_and_gives_up() {
    images::build();
    let example = Container::start(&["--restart", "on-failure:2", EXAMPLE]);
    example.poll("it was restarted twice", |container| {
        container.inspect("{{.RestartCount}} {{.State.Status}}") == "2 exited"
    });
    assert_eq!(example.exit_code(), 78);
}
