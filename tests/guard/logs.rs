//! Logs: text for people, JSON lines for platforms.

use serde_json::Value;

use crate::support::Guard;

const MANIFEST: &str = "version: 1
service: demo
announce: Démarrage
variables: {A: {description: What it is for}, B: {level: optional, type: port}}
steps: [{name: migrate, announce: {start: 📊 Exécution, done: ✅ Terminées}, command: [sh, step.sh]}]
server: {announce: '🎯 Démarrage sur le port ${PORT:-8000}...', command: [echo, served]}
";

const STEP: &str = "echo 'INFO  [alembic.runtime.migration] Running upgrade' >&2
echo 'WARNING [x] careful' >&2
echo 'ERROR [x] wrong' >&2
echo plain
printf 'tab\\t\"quote\" \\\\ \\001 \\377'
";

fn guard() -> Guard {
    let guard = Guard::with_manifest(MANIFEST);
    guard.folder.file("step.sh", STEP);
    guard
}

fn shown(line: &Value) -> String {
    let fields = ["level", "phase", "step", "message"]
        .map(|field| line[field].as_str().unwrap_or("-").to_owned());
    fields.join(" | ")
}

#[test]
fn in_json_every_line_is_an_object_and_a_steps_lines_have_its_name_and_a_level() {
    let ended = guard()
        .env("A", "x")
        .env("STARTUP_GUARD_LOG", "json")
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
    let lines = ended.json_lines();
    let mut shown: Vec<String> = lines.iter().map(shown).collect();
    // The order between a step's two streams is undefined.
    shown[2..7].sort();
    assert!(
        shown[7].starts_with("info | step | migrate | step migrate: done in "),
        "{shown:?}"
    );
    shown.remove(7);
    assert_eq!(
        shown,
        [
            "info | - | - | Démarrage",
            "info | step | migrate | 📊 Exécution",
            "error | step | migrate | ERROR [x] wrong",
            "info | step | migrate | INFO  [alembic.runtime.migration] Running upgrade",
            "info | step | migrate | plain",
            "info | step | migrate | tab\t\"quote\" \\ \u{1} \u{fffd}",
            "warn | step | migrate | WARNING [x] careful",
            "info | step | migrate | ✅ Terminées",
            "info | serve | - | 🎯 Démarrage sur le port 8000...",
        ]
    );
    for line in &lines {
        let stamp = line["timestamp"].as_str().unwrap_or_default();
        assert!(
            stamp.len() == 24 && stamp.starts_with("20") && stamp.ends_with('Z'),
            "{stamp}"
        );
        assert_eq!(line["service"], "demo");
    }
}

#[test]
fn the_last_json_line_of_an_error_is_its_summary() {
    let ended = guard()
        .env("B", "x")
        .env("STARTUP_GUARD_LOG", "json")
        .run()
        .expect_code(78)
        .expect_stdout("");
    let lines = ended.json_lines();
    let finding = &lines[1];
    assert_eq!(
        (&finding["variable"], &finding["finding"], &finding["phase"]),
        (&"A".into(), &"missing".into(), &"check".into())
    );
    let last = lines.last().expect("there is a last line");
    assert_eq!(
        (&last["exit_code"], &last["retry"], &last["level"]),
        (&78.into(), &"no".into(), &"error".into())
    );
    let summary = &last["summary"];
    assert_eq!(summary["findings"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&summary["kind"], &summary["version"]),
        (&"summary".into(), &1.into())
    );
    let ended = guard()
        .env("A", "x")
        .env("STARTUP_GUARD_LOG", "json")
        .line("run -- no-such")
        .run()
        .expect_code(127);
    let last = ended.json_lines().pop().expect("there is a last line");
    assert_eq!(
        (&last["exit_code"], &last["phase"]),
        (&127.into(), &"serve".into())
    );
}

#[test]
fn auto_is_json_on_railway_and_text_elsewhere() {
    let guard = || guard().env("A", "x");
    guard()
        .env("RAILWAY_SERVICE_NAME", "api")
        .run()
        .expect_code(0)
        .json_lines();
    let auto = guard()
        .env("RAILWAY_SERVICE_NAME", "api")
        .env("STARTUP_GUARD_LOG", "auto");
    auto.run().expect_code(0).json_lines();
    guard()
        .run()
        .expect_code(0)
        .expect_stderr("\n📊 Exécution\n");
    let text = guard()
        .env("RAILWAY_SERVICE_NAME", "api")
        .env("STARTUP_GUARD_LOG", "text");
    text.run()
        .expect_code(0)
        .expect_stderr("Démarrage\n📊 Exécution\n");
}

#[test]
fn the_runbooks_greps_find_the_milestones() {
    let manifest = include_str!("../../required-vars.yaml")
        .replace("[alembic, upgrade, head]", "[echo, upgraded]")
        // There is no database, and some builds have no client for it.
        .replace("    lock: {postgres: DATABASE_URL}", "   ")
        .replace("    up_to_date: {alembic: DATABASE_URL}", "   ")
        .replace("  - postgres: DATABASE_URL", "  []");
    let ended = Guard::with_manifest(&manifest)
        .env("NEXTAUTH_SECRET", "fake-nextauth-secret-of-32-characters")
        .env("DATABASE_URL", "postgresql://app:fake@localhost/app")
        .env("JWT_SECRET", "fake-jwt-secret-of-at-least-32-characters")
        .env("JWT_ALGORITHM", "HS256")
        .env("RESEND_API_KEY", "re_fake")
        .env("FROM_EMAIL", "INTOWORK <noreply@example.com>")
        .env("FRONTEND_URL", "https://intowork.example.com")
        .env(
            "ALLOWED_ORIGINS",
            "https://intowork.example.com,http://localhost:3000",
        )
        .env("PORT", "9000")
        .line("run -- echo served")
        .run()
        .expect_code(0);
    let milestones = "🚀 Démarrage IntoWork Backend sur Railway...
📊 Exécution des migrations de base de données...
✅ Migrations terminées
🎯 Démarrage du serveur FastAPI sur le port 9000...
";
    let stderr = ended.stderr();
    // The end of a step is logged beside its announcement.
    let lines = stderr.split_inclusive('\n');
    let (of_guard, announced): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.starts_with("startup-guard: "));
    let announced = announced.concat();
    assert_eq!(announced, milestones, "{ended}");
    assert!(
        matches!(of_guard[..], [line] if line.starts_with("startup-guard: step migrate: done in ")),
        "{ended}"
    );
}

#[test]
fn text_has_no_colour_away_from_a_terminal() {
    guard().run().expect_code(78).expect_never("\u{1b}");
}
