//! The report as a whole: where, what, why, and how to mend it, in a log that may show twenty lines.

use std::time::Instant;

use crate::support::Guard;

const MANIFEST: &str = include_str!("../../required-vars.yaml");
const README: &str = include_str!("../../README.md");

/// The outage: a service that has none of its variables.
fn outage() -> Guard {
    Guard::with_manifest(MANIFEST)
        .env("PORT", "8000")
        .env("RAILWAY_PROJECT_NAME", "intowork")
        .env("RAILWAY_SERVICE_NAME", "backend")
        .env("RAILWAY_ENVIRONMENT_NAME", "production")
        .env("STARTUP_GUARD_LOG", "text")
}

#[test]
fn the_outage_is_told_in_twenty_lines_and_the_readme_shows_them() {
    let ended = outage().line("check").run().expect_code(78);
    let report = ended.stdout();
    assert!(report.lines().count() <= 20, "{report}");
    let is_short = |line: &str| line.chars().count() <= 120;
    assert!(report.lines().all(is_short), "{report}");
    assert!(
        README.contains(&format!("```\n{report}```\n")),
        "the README shows another report than\n{report}"
    );
}
