//! The Docker engine, through its command-line client.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::support::PATIENCE;

/// The time limit for a container's condition, when all tests share two processors.
pub const CONTAINER_PATIENCE: Duration = PATIENCE.saturating_mul(6);

/// Runs `docker`. It may fail.
pub fn try_docker(arguments: &[&str]) -> Output {
    Command::new("docker")
        .args(arguments)
        .output()
        .expect("the client can be started")
}

/// Runs `docker`, which must succeed, and returns its output.
#[track_caller]
pub fn docker(arguments: &[&str]) -> String {
    let output = try_docker(arguments);
    let printed = both(&output);
    assert!(output.status.success(), "docker {arguments:?}: {printed}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The output on both streams.
pub fn both(output: &Output) -> String {
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(stdout),
        String::from_utf8_lossy(stderr)
    )
}

/// A name that is unique among tests and runs.
pub fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("startup-guard-test-{}-{what}-{count}", std::process::id())
}

/// A test's own network, in which containers can resolve each other's names.
pub struct Network(pub String);

impl Network {
    pub fn new() -> Self {
        let name = unique("net");
        docker(&["network", "create", &name]);
        Self(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        try_docker(&["network", "rm", &self.0]);
    }
}

/// A container, removed on drop.
pub struct Container(pub String);

impl Container {
    /// `docker run -d` with these arguments: options, image and command.
    #[track_caller]
    pub fn start(arguments: &[&str]) -> Self {
        let container = Self(unique("box"));
        let run = ["run", "-d", "--name", &container.0];
        docker(&[&run, arguments].concat());
        container
    }

    /// The output of `docker inspect` with a template.
    #[track_caller]
    pub fn inspect(&self, template: &str) -> String {
        docker(&["inspect", "--format", template, &self.0])
    }

    /// The container's output so far, on both streams.
    pub fn logs(&self) -> String {
        both(&try_docker(&["logs", &self.0]))
    }

    #[track_caller]
    pub fn exec(&self, command: &[&str]) -> String {
        docker(&[&["exec", &self.0], command].concat())
    }

    /// Waits for a condition. Fails if the container ends.
    #[track_caller]
    pub fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        self.poll(what, |container| {
            let has_ended = container.has_ended();
            let holds = condition(container);
            assert!(
                holds || !has_ended,
                "it ended before {what}\n{}",
                container.logs()
            );
            holds
        });
    }

    #[track_caller]
    pub fn poll(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + CONTAINER_PATIENCE;
        while !condition(self) {
            let state = self.inspect("{{json .State}}");
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}\n{state}\n{}",
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn has_ended(&self) -> bool {
        self.inspect("{{.State.Status}}") == "exited"
    }

    #[track_caller]
    pub fn until_logged(&self, text: &str) {
        self.until(text, |container| container.logs().contains(text));
    }

    #[track_caller]
    pub fn until_healthy(&self) {
        self.until("it is healthy", |container| {
            container.inspect("{{.State.Health.Status}}") == "healthy"
        });
    }

    /// Waits until the container ends, and returns its exit code.
    #[track_caller]
    pub fn exit_code(&self) -> i32 {
        self.poll("it has ended", Self::has_ended);
        self.inspect("{{.State.ExitCode}}")
            .parse()
            .expect("an exit code is a number")
    }

    /// Runs `docker stop`. Returns the exit code and the duration.
    #[track_caller]
    pub fn stop(&self) -> (i32, Duration) {
        let started = Instant::now();
        docker(&["stop", "-t", "30", &self.0]);
        (self.exit_code(), started.elapsed())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        try_docker(&["rm", "-f", "-v", &self.0]);
    }
}
