//! The whole report: where, what, why, and the fixes, in a few lines of a log.

use std::time::Duration;

use crate::support::Guard;

const MANIFEST: &str = include_str!("../../required-vars.yaml");
const PAGE: &str = include_str!("../../docs/report-and-causes.md");

/// The outage after which this tool was written: a service without any of its variables.
fn outage() -> Guard {
    Guard::with_manifest(MANIFEST)
        .env("PORT", "8000")
        .env("RAILWAY_PROJECT_NAME", "intowork")
        .env("RAILWAY_SERVICE_NAME", "backend")
        .env("RAILWAY_ENVIRONMENT_NAME", "production")
        .env("STARTUP_GUARD_LOG", "text")
}

#[test]
fn the_outage_is_reported_in_a_few_lines_whose_beginning_its_page_shows() {
    let ended = outage().line("check").run().expect_code(78);
    let report = ended.stdout();
    let (first, others) = report
        .split_once("Fix 2, ")
        .expect("there are several fixes");
    assert!(first.lines().count() <= 21, "{first}");
    assert!(others.lines().count() <= 13, "{others}");
    let is_short = |line: &str| line.chars().count() <= 120;
    assert!(report.lines().all(is_short), "{report}");
    assert!(
        PAGE.contains(&format!("```\n{first}…\n```\n")),
        "the page shows another report than\n{first}"
    );
}

#[test]
fn a_run_reports_the_same_and_its_last_line_has_the_cause() {
    let check = outage().line("check").run().expect_code(78);
    let run = outage().run().expect_code(78).expect_stdout("");
    // The headline is the last line of the log.
    let report = check.stdout();
    let body: Vec<&str> = report.lines().skip(2).collect();
    assert!(run.stderr().contains(&body.join("\n")), "{run}");
    let last = run.last_line();
    assert!(
        last.ends_with("(phase check, cause set_elsewhere, exit code 78, a retry does not help)"),
        "{last}"
    );
    assert!(
        last.contains("8 errors, on Railway: project \"intowork\", service \"backend\""),
        "{last}"
    );
}

#[test]
fn the_last_json_line_is_the_summary_with_all_of_it() {
    let ended = outage()
        .env("STARTUP_GUARD_LOG", "json")
        .run()
        .expect_code(78);
    let lines = ended.json_lines();
    let count = |field: &str| lines.iter().filter(|line| !line[field].is_null()).count();
    assert_eq!((count("finding"), count("summary")), (8, 1), "{ended}");
    let last = lines.last().expect("there is a last line");
    assert_eq!(last["cause"], "set_elsewhere");
    let summary = &last["summary"];
    let place = serde_json::json!({
        "platform": "railway",
        "description": "on Railway: project \"intowork\", service \"backend\", environment \"production\"",
        "project": "intowork", "service": "backend", "environment": "production"
    });
    assert_eq!(summary["place"], place);
    assert_eq!(summary["causes"][0]["certainty"], "likely");
    let commands = |fix: &serde_json::Value| fix["commands"].as_array().map(Vec::len);
    let fixes = summary["fixes"].as_array().expect("there are fixes");
    let counts: Vec<_> = fixes.iter().map(commands).collect();
    assert_eq!(counts, [Some(2), Some(1), Some(4)]);
    // `check` prints the same object.
    let check = outage().line("check --format json").run();
    let stdout = check.stdout();
    let of_check: serde_json::Value =
        serde_json::from_str(stdout.lines().last().unwrap_or_default()).expect("it is JSON");
    assert_eq!(&of_check, summary);
}

/// What the guard writes to a terminal with this number of columns, as standard output or standard error.
fn in_terminal(guard: Guard, columns: u16, is_stderr: bool) -> String {
    use nix::pty::{Winsize, openpty};
    use std::io::Read;
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(Some(&size), None).expect("there are terminals");
    let mut master = std::fs::File::from(pty.master);
    // The report is longer than what a terminal holds.
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // Reading from a terminal returns an error after its last writer has closed it.
        let _ = master.read_to_end(&mut bytes);
        bytes
    });
    let guard = if is_stderr {
        guard.stderr(pty.slave)
    } else {
        guard.stdout(pty.slave)
    };
    let (status, ..) = guard.run_quietly_and(|_, _| {});
    assert_eq!(status.code(), Some(78));
    let bytes = reader.join().expect("the reader does not panic");
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
}

fn without_colours(mut text: String) -> String {
    for colour in ["\u{1b}[1m", "\u{1b}[31m", "\u{1b}[33m", "\u{1b}[0m"] {
        text = text.replace(colour, "");
    }
    text
}

/// The words of a report. A colon comes before a description on the same line.
fn words(report: &str) -> Vec<&str> {
    let words = report.split_whitespace();
    words
        .map(|word| word.trim_end_matches([']', ':']))
        .collect()
}

#[test]
fn a_report_in_a_terminal_is_coloured_and_as_wide_as_the_terminal() {
    let file = outage().line("check").run().stdout();
    for (columns, width) in [
        (0, 110),
        (40, 60),
        (60, 60),
        (83, 83),
        (120, 120),
        (250, 120),
    ] {
        let shown = in_terminal(outage().line("check"), columns, false);
        assert!(
            shown.contains("\u{1b}[31m❌ NEXTAUTH_SECRET is not set"),
            "{shown}"
        );
        let plain = without_colours(shown);
        assert_eq!(words(&plain), words(&file), "{columns} columns");
        // The commands are not broken.
        let (prose, commands) = plain.split_once("Fix 1").expect("there is a fix");
        let wide = |line: &&str| line.replace('❌', "xx").chars().count() > width;
        assert_eq!(prose.lines().find(wide), None, "{columns} columns");
        let widest = prose.lines().map(|line| line.chars().count()).max();
        assert!(widest > Some(width - 20), "{columns} columns: {plain}");
        let commands: Vec<&str> = commands
            .lines()
            .filter(|line| line.starts_with("railway "))
            .collect();
        assert!(
            !commands.is_empty() && commands.iter().all(|line| file.contains(line)),
            "{plain}"
        );
        if columns == 0 {
            assert_eq!(plain, file);
        }
    }
}

#[test]
fn the_report_of_a_run_in_a_terminal_is_as_wide_as_the_terminal() {
    let guard = || {
        outage()
            .env("STARTUP_GUARD_LOG", "text")
            .line("run -- true")
    };
    let file = guard().run().stderr();
    let plain = without_colours(in_terminal(guard(), 70, true));
    assert_eq!(words(&plain), words(&file));
    let (prose, _) = plain.split_once("Fix 1").expect("there is a fix");
    let wide = |line: &&str| line.replace('❌', "xx").chars().count() > 70;
    assert_eq!(prose.lines().find(wide), None);
    // JSON lines do not depend on the terminal.
    let guard = || {
        outage()
            .env("STARTUP_GUARD_LOG", "json")
            .line("run -- true")
    };
    let messages = |lines: &str| -> Vec<serde_json::Value> {
        let lines = lines.lines().map(serde_json::from_str::<serde_json::Value>);
        lines
            .map(|line| line.expect("it is JSON")["message"].clone())
            .collect()
    };
    let (file, shown) = (guard().run().stderr(), in_terminal(guard(), 70, true));
    assert_eq!(messages(&shown), messages(&file));
}

#[test]
fn a_closed_standard_error_changes_neither_report_nor_code() {
    let close = || {
        let _ = nix::unistd::close(2);
    };
    let guard = outage().line("check");
    let file = std::fs::File::create(guard.folder.path().join("out")).expect("a file can be made");
    let (status, _, folder) = guard
        .stdout(file)
        .before_exec(close)
        .run_quietly_and(|_, _| {});
    assert_eq!(status.code(), Some(78));
    let report = std::fs::read_to_string(folder.path().join("out")).expect("the file is there");
    assert_eq!(report, outage().line("check").run().stdout());
}

#[test]
fn names_that_a_platform_gives_cannot_break_out_of_a_command_or_a_line() {
    let ended = outage()
        .env("RAILWAY_SERVICE_NAME", "a';touch x;'\n::error::b")
        .env("RAILWAY_PROJECT_NAME", "p\u{1b}[31m\"")
        .line("check")
        .run()
        .expect_code(78)
        .expect_never("\u{1b}");
    assert!(!ended.stdout().contains("\n::error"), "{ended}");
    let ended = outage()
        .env("RAILWAY_SERVICE_NAME", "a';touch x;'")
        .line("check")
        .run();
    assert!(
        ended.stdout().contains("--service 'a'\\'';touch x;'\\'''"),
        "{ended}"
    );
}

/// The shortest time of several runs, because other load on the machine only makes runs slower.
fn fastest(runs: u32, code: i32, guard: impl Fn() -> Guard) -> Duration {
    // A run that ends early would be the fastest.
    let times = (0..runs).map(|_| guard().run().expect_code(code).took);
    times.min().expect("there are runs")
}

#[test]
fn a_broken_environment_takes_little_longer_to_report_than_a_sound_one() {
    let sound = || {
        Guard::with_manifest(MANIFEST)
            .env("NEXTAUTH_SECRET", "fake-nextauth-secret-of-32-characters")
            .env("DATABASE_URL", "postgresql://app:fake@localhost/app")
            .env("JWT_SECRET", "fake-jwt-secret-of-at-least-32-characters")
            .env("JWT_ALGORITHM", "HS256")
            .env("RESEND_API_KEY", "re_fake")
            .env("FROM_EMAIL", "INTOWORK <noreply@example.com>")
            .env("FRONTEND_URL", "https://intowork.example.com")
            .env("ALLOWED_ORIGINS", "https://intowork.example.com")
            .line("check")
    };
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let ratio = fastest(20, 78, || outage().line("check")).as_secs_f64()
            / fastest(20, 0, sound).as_secs_f64();
        ratios.push(ratio);
        if ratio <= 1.5 {
            return;
        }
    }
    panic!("{ratios:?} times as long");
}

/// A manifest with many variables that are all missing, and an environment with as many similar names.
fn many(count: usize) -> Guard {
    let mut manifest = "version: 1\nvariables:\n".to_owned();
    let mut file = String::new();
    for number in 0..count {
        manifest.push_str(&format!(
            "  VARIABLE_{number:05}_NAME: {{secret: true, type: url}}\n"
        ));
        file.push_str(&format!("VARIABLE_{number:05}_NAMES=x\n"));
    }
    let guard = Guard::with_manifest(&manifest);
    guard.folder.file("a.env", file);
    guard.line("check --only-file --env-file a.env")
}

#[test]
fn ten_thousand_faults_take_ten_times_as_long_as_a_thousand() {
    let thousand = fastest(5, 78, || many(1_000)).as_secs_f64();
    let ten_thousand = fastest(3, 78, || many(10_000)).as_secs_f64();
    // A quadratic search would take a hundred times as long.
    assert!(
        ten_thousand < thousand * 25.0,
        "{thousand} s, then {ten_thousand} s"
    );
}
