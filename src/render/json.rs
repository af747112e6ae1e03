//! The report for machines.

use serde::Serialize;

use crate::platform::Place;
use crate::report::{Finding, Report};

#[derive(Serialize)]
struct JsonReport<'a> {
    version: u32,
    service: Option<&'a str>,
    /// Where we are, as people read it.
    place: Option<&'a str>,
    declared: usize,
    errors: usize,
    warnings: usize,
    findings: Vec<JsonFinding<'a>>,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    variable: &'a str,
    finding: &'static str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
    problem: &'a str,
    fix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

/// The format's version: raised when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// The whole report as one object.
pub fn report(report: &Report, service: Option<&str>, place: Option<&Place>) -> String {
    to_json(&JsonReport {
        version: VERSION,
        service,
        place: place.map(|place| place.description.as_str()),
        declared: report.declared,
        errors: report.errors(),
        warnings: report.warnings(),
        findings: findings_of(&report.findings),
    })
}

/// All findings as one array, for the last line of a failure.
pub fn findings(report: &Report) -> String {
    to_json(&findings_of(&report.findings))
}

fn findings_of(findings: &[Finding]) -> Vec<JsonFinding<'_>> {
    let findings = findings.iter().map(|finding| JsonFinding {
        variable: &finding.variable,
        finding: finding.code.name(),
        severity: finding.severity.name(),
        level: finding.level,
        problem: &finding.problem,
        fix: &finding.fix,
        description: finding.description.as_deref(),
    });
    findings.collect()
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers are always JSON")
}
