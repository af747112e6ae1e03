//! docker-compose.yml: a single command starts everything and serves a request.

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::Test;
use crate::engine::{CONTAINER_PATIENCE, both, unique};
use crate::images::{self, EXAMPLE};

pub const TESTS: &[Test] = &[
    (
        "compose_up_starts_everything_and_down_removes_everything",
        compose_up_starts_everything_and_down_removes_everything,
    ),
    (
        "a_separate_migration_completes_before_the_servers_start",
        a_separate_migration_completes_before_the_servers_start,
    ),
];

/// A test's own compose project, removed on drop.
struct Project {
    name: String,
    file: &'static str,
    port: u16,
}

impl Project {
    fn new(file: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it has an address").port();
        Self {
            name: unique("compose"),
            file,
            port,
        }
    }

    fn compose(&self, arguments: &[&str]) -> Output {
        let words = images::compose().expect("compose is there where an engine is; install it");
        Command::new(words[0])
            .args(&words[1..])
            .args(["-p", &self.name, "-f", self.file])
            .args(arguments)
            .current_dir(images::checkout())
            .env("PORT", self.port.to_string())
            .env("BACKEND_IMAGE", EXAMPLE)
            .output()
            .expect("compose can be started")
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.compose(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", both(&output));
        both(&output)
    }

    #[track_caller]
    fn until_served(&self) {
        let deadline = Instant::now() + CONTAINER_PATIENCE;
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .build()
            .into();
        let url = format!("http://127.0.0.1:{}/health", self.port);
        while agent.get(&url).call().is_err() {
            assert!(
                Instant::now() < deadline,
                "nothing is served\n{}",
                both(&self.compose(&["logs"]))
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.compose(&["down", "-v", "-t", "20"]);
    }
}

fn compose_up_starts_everything_and_down_removes_everything() {
    images::build();
    let project = Project::new("docker-compose.yml");
    project.succeed(&["up", "-d", "--build"]);
    project.until_served();
    let logs = project.succeed(&["logs", "backend"]);
    assert!(logs.contains("✅ Migrations terminées"), "{logs}");
    assert!(!logs.contains("development-only"), "{logs}");
    project.succeed(&["down", "-v", "-t", "20"]);
    let left = crate::engine::docker(&["ps", "-aq", "--filter", &format!("name={}", project.name)]);
    assert_eq!(left, "");
}

fn a_separate_migration_completes_before_the_servers_start() {
    images::build();
    let project = Project::new("examples/migrate-once.compose.yml");
    project.succeed(&["up", "-d", "--scale", "backend=2", "--no-build"]);
    let deadline = Instant::now() + CONTAINER_PATIENCE;
    loop {
        let logs = project.succeed(&["logs", "backend"]);
        if logs.matches("Application startup complete").count() == 2 {
            assert!(!logs.contains("Exécution des migrations"), "{logs}");
            break;
        }
        assert!(
            Instant::now() < deadline,
            "the servers do not start\n{}",
            both(&project.compose(&["logs"]))
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    let migrate = project.succeed(&["logs", "migrate"]);
    assert!(
        migrate.contains("Running upgrade 0002 -> 0003"),
        "{migrate}"
    );
}
