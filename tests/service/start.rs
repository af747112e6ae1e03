//! Starts of the service, up to a served request.

use std::fs;

use nix::sys::signal::Signal;

use crate::environment::{CANARIES, add_offer, free_port, get, guard, until_healthy};
use crate::postgres::{Postgres, venv};
use crate::support::Ended;

/// The texts for which the runbook searches, in this order.
const MILESTONES: [&str; 8] = [
    "🚀 Démarrage IntoWork Backend sur Railway...",
    "📊 Exécution des migrations de base de données...",
    "Running upgrade  -> 0001, create the table offers",
    "Running upgrade 0001 -> 0002, offers have a city",
    "Running upgrade 0002 -> 0003, search offers by title",
    "✅ Migrations terminées",
    "🎯 Démarrage du serveur FastAPI sur le port ",
    "Application startup complete",
];

#[test]
fn the_service_is_checked_migrated_and_served_in_one_process() {
    let postgres = Postgres::start();
    let port = free_port();
    let running = guard(&postgres, port).start();
    let pid = running.pid();
    running.wait_for(MILESTONES[1]);
    // The migration runs for a long time after this line, so the process is still the guard.
    assert_eq!(program_of(pid), "startup-guard");
    until_healthy(port);
    assert!(program_of(pid).starts_with("python"), "{}", program_of(pid));
    assert_eq!(children_of(pid), "", "nothing is left beside the server");

    assert_eq!(
        get(port, "/api").as_deref(),
        Some(r#"{"service":"intowork-backend","environment":"development"}"#),
        "the default of ENVIRONMENT reaches the server"
    );
    assert_eq!(add_offer(port, "Engineer"), 201);
    assert_eq!(
        get(port, "/api/offers").as_deref(),
        Some(r#"[{"title":"Engineer","city":null,"id":1}]"#)
    );

    running.signal(Signal::SIGTERM);
    let ended = running.end().expect_code(128 + Signal::SIGTERM as i32);
    assert_in_order(&ended, &MILESTONES);
    assert_in_order(&ended, &["Shutting down", "Application shutdown complete."]);
    assert_runbook_finds_the_migrations(&ended.stderr());
    assert_no_secret(ended, &postgres);
}

#[test]
fn on_railway_a_start_command_is_executed_without_a_shell_and_logs_are_json_lines() {
    let postgres = Postgres::start();
    let port = free_port();
    let running = guard(&postgres, port)
        .env("RAILWAY_PROJECT_NAME", "intowork")
        .env("RAILWAY_SERVICE_NAME", "backend")
        .env("RAILWAY_ENVIRONMENT_NAME", "production")
        .args(["run", "--", "uvicorn", "app.main:app"])
        .args(["--host", "127.0.0.1", "--port", "$PORT"])
        .start();
    until_healthy(port);
    running.signal(Signal::SIGTERM);
    let ended = running.end().expect_code(128 + Signal::SIGTERM as i32);

    let stderr = ended.stderr();
    let ours: Vec<serde_json::Value> = stderr
        .lines()
        .take_while(|line| !line.starts_with("INFO:"))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect();
    let migration = ours
        .iter()
        .find(|line| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.contains("0001 -> 0002"))
        })
        .unwrap_or_else(|| panic!("alembic's lines are in the log\n{ended}"));
    assert_eq!(migration["step"], "migrate");
    assert_eq!(migration["level"], "info");
    assert_in_order(&ended, &MILESTONES);
    assert_no_secret(ended, &postgres);
}

#[test]
fn a_missing_database_is_reported_before_any_migration() {
    let postgres = Postgres::start();
    let server = postgres.url.trim_end_matches("/app");
    let ended = guard(&postgres, free_port())
        .env("DATABASE_URL", format!("{server}/no_such_database"))
        .run()
        .expect_code(77)
        .expect_stderr("there is no such database (3D000); create it, or correct its name")
        .expect_stderr("(phase wait, exit code 77, a retry does not help)");
    assert!(!ended.stderr().contains(MILESTONES[1]), "{ended}");
    assert_no_secret(ended, &postgres);
}

#[test]
fn a_failed_migration_never_leads_to_the_server() {
    let postgres = Postgres::start();
    let port = free_port();
    // The migration's table exists already.
    let made = "import os, psycopg; psycopg.connect(os.environ['URL'], autocommit=True).execute('CREATE TABLE offers ()')";
    let status = std::process::Command::new(venv("python"))
        .args(["-c", made])
        .env("URL", &postgres.url)
        .status()
        .expect("python starts");
    assert!(status.success());
    let ended = guard(&postgres, port)
        .run()
        .expect_code(70)
        .expect_stderr("already exists")
        .expect_stderr("startup-guard: step migrate: failed with exit code 1 after ")
        .expect_stderr("s (phase step, exit code 70, a retry may help)");
    assert!(!ended.stderr().contains(MILESTONES[5]), "{ended}");
    assert!(!ended.stderr().contains(MILESTONES[6]), "{ended}");
    assert_no_secret(ended, &postgres);
}

#[test]
fn without_its_variables_the_service_is_not_started_and_all_are_reported() {
    let ended = crate::support::Guard::new()
        .in_folder(&crate::environment::service())
        .env("STARTUP_GUARD_MANIFEST", "../../required-vars.yaml")
        .run()
        .expect_code(78);
    for name in [
        "NEXTAUTH_SECRET",
        "DATABASE_URL",
        "JWT_SECRET",
        "JWT_ALGORITHM",
        "RESEND_API_KEY",
        "FROM_EMAIL",
        "FRONTEND_URL",
        "ALLOWED_ORIGINS",
    ] {
        assert!(
            ended.stderr().contains(name),
            "{name} is missing in\n{ended}"
        );
    }
    for milestone in &MILESTONES[1..] {
        assert!(!ended.stderr().contains(milestone), "{ended}");
    }
}

/// The name of the program that a process runs.
fn program_of(pid: i32) -> String {
    let file = fs::read_link(format!("/proc/{pid}/exe")).expect("the process lives");
    let name = file.file_name().expect("a program has a name");
    name.to_string_lossy().into_owned()
}

fn children_of(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("the process lives")
}

#[track_caller]
fn assert_in_order(ended: &Ended, texts: &[&str]) {
    let all = ended.stderr();
    let mut rest = all.as_str();
    for text in texts {
        let Some((_, after)) = rest.split_once(text) else {
            panic!("{text:?} does not follow\n{ended}");
        };
        rest = after;
    }
}

/// Asserts that `grep -A 5 "migrations"` shows alembic's output.
#[track_caller]
fn assert_runbook_finds_the_migrations(log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.contains("migrations"))
        .expect("the milestone is in the log");
    let found = lines[at..].iter().take(6);
    assert!(
        found
            .into_iter()
            .any(|line| line.contains("Running upgrade")),
        "{log}"
    );
}

#[track_caller]
fn assert_no_secret(mut ended: Ended, postgres: &Postgres) {
    for (_, canary) in CANARIES {
        ended = ended.expect_never(canary);
    }
    ended.expect_never(postgres.password());
}
