//! The report for people.

use crate::platform::Place;
use crate::report::{Finding, Report, Severity};

/// The whole report, each line ended.
pub fn report(report: &Report, service: Option<&str>, place: Option<&Place>) -> String {
    let mut text = headline(report, service, place);
    text.push('\n');
    for each in &report.findings {
        text.push_str(&finding(each));
        text.push('\n');
    }
    text
}

/// One line: whose environment, how it is, and where.
pub fn headline(report: &Report, service: Option<&str>, place: Option<&Place>) -> String {
    let whose = service
        .map(|service| format!(" of {service}"))
        .unwrap_or_default();
    let place = place
        .map(|place| format!(", {}", place.description))
        .unwrap_or_default();
    let declared = count(report.declared, "variable");
    match (report.errors(), report.warnings()) {
        (0, 0) => format!("the environment{whose} is sound: {declared} checked{place}"),
        (0, warnings) => {
            format!(
                "the environment{whose} is sound: {declared} checked, {}{place}",
                count(warnings, "warning")
            )
        }
        (errors, 0) => format!(
            "the environment{whose} is invalid: {}{place}",
            count(errors, "error")
        ),
        (errors, warnings) => {
            let (errors, warnings) = (count(errors, "error"), count(warnings, "warning"));
            format!("the environment{whose} is invalid: {errors}, {warnings}{place}")
        }
    }
}

/// One finding: what is wrong, and how to mend it.
pub fn finding(finding: &Finding) -> String {
    let mark = match finding.severity {
        Severity::Error => "❌",
        Severity::Warning => "⚠️",
    };
    let level = finding
        .level
        .map(|level| format!(", {level}"))
        .unwrap_or_default();
    let description = finding
        .description
        .as_ref()
        .map(|text| format!("\n   {text}"))
        .unwrap_or_default();
    format!(
        "{mark} {} {} [{}{level}]{description}\n   → {}",
        finding.variable,
        finding.problem,
        finding.code.name(),
        finding.fix
    )
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
