//! The example services. `django-processes` is one manifest and one image, from which gunicorn, a celery worker and a
//! celery beat are started, with a real PostgreSQL and a real Redis. `node-in-compose` is only read and checked, because
//! its packages are not installed.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::Test;
use crate::environment::{free_port, get, search_path};
use crate::examples::{documents, example, rejects, succeeds, text_of, words};
use crate::postgres::Postgres;
use crate::support::{Guard, Running, until};

pub const TESTS: &[Test] = &[
    (
        "the_processes_of_django_start_from_one_manifest",
        &["redis-server"],
        all_processes,
    ),
    (
        "each_process_of_django_needs_only_its_own_variables",
        &[],
        own_variables,
    ),
    (
        "compose_and_node_read_the_example_with_node",
        &["docker-compose", "node"],
        node_files,
    ),
    (
        "the_variables_of_compose_are_sound_for_the_example_with_node",
        &[],
        node_variables,
    ),
];

const SECRET_KEY: &str = "canary-secret-key-0123456789-0123456789-0123456789-01234";
const PAYMENT_KEY: &str = "sk_canary_0123456789";

/// A Redis server that is killed on drop.
struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    fn start() -> Self {
        let port = free_port();
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--port"])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        Self { process, port }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A guard in the folder of the example.
fn guard() -> Guard {
    Guard::new()
        .in_folder(&example("django-processes"))
        .env("PATH", search_path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SECRET_KEY", SECRET_KEY)
}

/// A guard that is to start a process.
fn process(name: &str, postgres: &Postgres, redis: &Redis) -> Guard {
    guard()
        .env("STARTUP_GUARD_PROCESS", name)
        .env("DATABASE_URL", &postgres.url)
        .env("REDIS_URL", redis.url())
}

/// The first order of the service, once a condition holds for it.
#[track_caller]
fn until_order(port: u16, what: &str, condition: impl Fn(&Value) -> bool) {
    until(what, || {
        let orders =
            get(port, "/orders").and_then(|text| serde_json::from_str::<Value>(&text).ok());
        orders.is_some_and(|orders| condition(&orders["orders"][0]))
    });
}

fn all_processes() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    until("Redis listens", || {
        TcpStream::connect(("127.0.0.1", redis.port)).is_ok()
    });
    let beat = process("beat", &postgres, &redis).env("REMIND_EVERY", "1");
    let schedule = beat.folder.path().join("schedule");
    let beat = beat.env("BEAT_SCHEDULE", schedule).start();
    let worker = process("worker", &postgres, &redis)
        .env("PAYMENT_API_KEY", PAYMENT_KEY)
        .start();
    // Both wait for the migration, which only the web process runs.
    for each in [&beat, &worker] {
        each.wait_for("the step migrate");
    }
    let port = free_port();
    let web = process("web", &postgres, &redis)
        .env("ALLOWED_HOSTS", "localhost 127.0.0.1")
        .env("PORT", port.to_string())
        .start();
    until("the web process answers", || get(port, "/health").is_some());
    let created = ureq::post(format!("http://127.0.0.1:{port}/orders")).send_empty();
    assert_eq!(created.expect("an order is created").status(), 200);
    until_order(port, "the worker charges the order", |order| {
        order["is_paid"] == true
    });
    until_order(port, "the beat has sent two reminders", |order| {
        order["reminders"].as_i64() >= Some(2)
    });
    let ended: Vec<_> = [beat, worker, web].map(stopped).into();
    for each in &ended {
        let (told, status) = (format!("{each}"), each.code());
        assert_eq!(status, 0, "{told}");
        for canary in [SECRET_KEY, PAYMENT_KEY, postgres.password()] {
            assert!(!told.contains(canary), "{told}");
        }
    }
    assert!(ended[2].stderr().contains("Serving on port"));
    assert!(format!("{}", ended[2]).contains("Applying orders.0001_initial"));
}

fn stopped(running: Running) -> crate::support::Ended {
    running.signal(Signal::SIGTERM);
    running.end()
}

fn own_variables() {
    let sound = |process: &str| {
        guard()
            .env("DATABASE_URL", "postgresql://shop:canary-password@db/shop")
            .env("REDIS_URL", "redis://cache/0")
            .line(&format!("check --process {process}"))
    };
    sound("beat").run().expect_code(0);
    sound("worker")
        .env("PAYMENT_API_KEY", PAYMENT_KEY)
        .run()
        .expect_code(0);
    sound("web")
        .env("ALLOWED_HOSTS", "shop.example.com")
        .run()
        .expect_code(0);
    for (process, missing, others) in [
        ("web", "ALLOWED_HOSTS", "PAYMENT_API_KEY"),
        ("worker", "PAYMENT_API_KEY", "ALLOWED_HOSTS"),
    ] {
        let ended = sound(process).run().expect_code(78);
        let told = ended.stdout();
        assert!(told.contains(&format!("{missing} is not set")), "{told}");
        ended.expect_never(others).expect_never("canary");
    }
    // Nothing chosen: 64, and the processes are named.
    let ended = guard().line("run").run().expect_code(64);
    ended.expect_stderr("web, worker or beat");
}

fn node_files() {
    let folder = example("node-in-compose");
    let compose = |file: &str| {
        let mut command = Command::new("docker-compose");
        command
            .arg("-f")
            .arg(folder.join(file))
            .args(["config", "-q"]);
        command
    };
    succeeds(&mut compose("docker-compose.yml"));
    rejects(&mut compose("api/required-vars.yaml"), "is invalid");
    for script in ["api/server.js", "api/migrate.js", "auth/server.js"] {
        succeeds(Command::new("node").arg("--check").arg(folder.join(script)));
    }
}

/// A guard with the variables that compose sets, and those of an env file.
fn node(line: &str, file: &[(&str, &str)]) -> Guard {
    let document = documents(&text_of("node-in-compose/docker-compose.yml")).remove(0);
    let set = document["services"]["api"]["environment"].as_object();
    let mut guard = Guard::new()
        .in_folder(&example("node-in-compose/api"))
        .line(line);
    let secret = guard.folder.file("db_password", "canary-password\n");
    for (name, value) in set.expect("it has variables") {
        let value = value.as_str().expect("it is a text");
        let reference = value
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix(":-}"));
        let of_file = |name: &str| file.iter().find(|(other, _)| *other == name);
        guard = match reference {
            Some(name) => guard.env(name, of_file(name).map_or("", |(_, value)| value)),
            None if name == "DB_PASSWORD_FILE" => guard.env(name, &secret),
            None => guard.env(name, value),
        };
    }
    guard
}

fn node_variables() {
    const SECRET: (&str, &str) = ("SESSION_SECRET", "canary-session-0123456789-0123456789");
    for sound in [
        &[SECRET, ("RESEND_API_KEY", "re_canary")][..],
        &[
            SECRET,
            ("SMTP_HOST", "mail"),
            ("SMTP_PASSWORD", "canary-mail"),
        ],
    ] {
        let ended = node("check", sound).run().expect_code(0);
        ended.expect_never("canary");
    }
    let ended = node("check", &[SECRET]).run().expect_code(78);
    let told = ended.stdout();
    assert!(
        told.contains("SMTP_HOST") && told.contains("RESEND_API_KEY"),
        "{told}"
    );
    assert!(told.contains(": 1 error"), "{told}");
    let ended = node("check", &[SECRET, ("SMTP_HOST", "mail")])
        .run()
        .expect_code(78);
    assert!(
        ended.stdout().contains("SMTP_PASSWORD is not set"),
        "{ended}"
    );

    // The words of the image's ENTRYPOINT are understood: the guard ends because of the variables.
    let dockerfile = text_of("node-in-compose/api/Dockerfile");
    let entrypoint = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("ENTRYPOINT "));
    let entrypoint: Value =
        serde_json::from_str(entrypoint.expect("it has one")).expect("it is a list");
    let line = words(&entrypoint)[1..].join(" ");
    node(&line, &[])
        .run()
        .expect_code(78)
        .expect_never("canary");
}
