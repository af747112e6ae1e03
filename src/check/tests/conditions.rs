//! Variables that are required only under conditions, and their files.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{checked, effective, findings};

/// Each finding as `VARIABLE PROBLEM → FIX`, in order.
fn told(text: &str, entries: &[(&str, &str)]) -> Vec<String> {
    let found = checked(text, entries).report.findings.into_iter();
    found
        .map(|each| format!("{} {} → {}", each.subject, each.problem, each.fix))
        .collect()
}

#[test]
fn a_variable_is_required_with_each_of_several_others() {
    let text = "version: 1
variables:
  BUCKET: {level: optional}
  REGION: {level: optional}
  SECRET: {level: critical, required_with: [BUCKET, REGION]}
";
    assert_eq!(told(text, &[]), [""; 0]);
    assert_eq!(told(text, &[("BUCKET", " ")]), [""; 0]);
    assert_eq!(told(text, &[("BUCKET", "b"), ("SECRET", "s")]), [""; 0]);
    assert_eq!(
        told(text, &[("REGION", "r")]),
        ["SECRET is not set, but required with REGION → set SECRET"]
    );
    assert_eq!(
        told(text, &[("REGION", "r"), ("BUCKET", "b"), ("SECRET", "")]),
        ["SECRET is not set, but required with BUCKET and REGION → set SECRET"]
    );
    let level = checked(text, &[("REGION", "r")]).report.findings[0].level;
    assert_eq!(level, Some("critical"));
}

#[test]
fn a_missing_choice_of_variables_is_one_finding_that_names_all() {
    let both = "version: 1
variables: {SMTP_URL: {required_without: [API_KEY]}, API_KEY: {required_without: [SMTP_URL]}}
";
    let one = "version: 1
variables: {API_KEY: {level: optional}, SMTP_URL: {required_without: API_KEY}}
";
    for text in [both, one] {
        let checked = checked(text, &[]);
        let [finding] = checked.report.findings.as_slice() else {
            panic!("{:?}", checked.report.findings);
        };
        assert_eq!(
            finding.variables().collect::<Vec<_>>(),
            ["SMTP_URL", "API_KEY"]
        );
        assert_eq!(finding.problem, "is not set, nor is API_KEY");
        assert_eq!(finding.fix, "set one of SMTP_URL or API_KEY");
        for set in ["SMTP_URL", "API_KEY"] {
            assert_eq!(findings(text, &[(set, "x")]), [""; 0]);
        }
    }
    let three = "version: 1
variables:
  A: {required_without: [B, C]}
  B: {required_without: [A, C], renamed_from: [OLD_B]}
  C: {required_without: [A, B]}
";
    assert_eq!(
        told(three, &[]),
        ["A is not set, nor are B and C → set one of A, B or C"]
    );
    assert_eq!(
        told(three, &[("OLD_B", "x")]),
        [
            "A is not set, nor are B and C → rename OLD_B, which is set, to B: OLD_B is its former name"
        ]
    );
}

#[test]
fn a_placeholder_does_not_take_the_place_of_another_variable() {
    let text = "version: 1
variables: {A: {secret: true, required_without: [B]}, B: {secret: true, required_without: [A]}}
";
    assert_eq!(
        findings(text, &[("A", "changeme")]),
        ["A placeholder error"]
    );
    assert_eq!(
        findings(text, &[("B", "changeme")]),
        ["B placeholder error"]
    );
    assert_eq!(
        findings(text, &[("A", "changeme"), ("B", "fake-key-1")]),
        ["A placeholder warning"]
    );
}

#[test]
fn a_file_sets_a_variable_as_a_value_does() {
    let text = "version: 1
variables:
  A: {secret: true, level: optional}
  B: {required_with: [A]}
  C: {required_without: [A]}
";
    for file in ["/run/secrets/token", "/nowhere"] {
        let found = findings(text, &[("A_FILE", file)]);
        assert!(found.contains(&"B missing error".to_owned()), "{found:?}");
        assert!(!found.contains(&"C missing error".to_owned()), "{found:?}");
    }
}

#[test]
fn a_variable_that_is_always_required_needs_no_choice() {
    let text = "version: 1\nvariables: {KEY: {}, URL: {required_without: [KEY]}}\n";
    assert_eq!(told(text, &[]), ["KEY is not set → set KEY"]);
    assert_eq!(
        told(text, &[("URL", "x")]),
        [
            "KEY is not set; URL takes its place only if `required_without: [URL]` is declared here → set KEY"
        ]
    );
    let text = "version: 1
fail_on: critical
variables: {KEY: {}, URL: {level: critical, required_without: [KEY]}}
";
    assert_eq!(
        findings(text, &[]),
        ["KEY missing warning", "URL missing error"]
    );
}

#[test]
fn several_kinds_of_conditions_are_alternatives() {
    let text = "version: 1
variables:
  MODE: {level: optional}
  A: {level: optional}
  B: {level: optional}
  X: {required_when: {MODE: live}, required_with: [A], required_without: [B]}
";
    for (entries, is_required) in [
        (&[][..], true),
        (&[("B", "b")], false),
        (&[("B", "b"), ("A", "a")], true),
        (&[("B", "b"), ("MODE", "live")], true),
        (&[("B", "b"), ("MODE", "test")], false),
    ] {
        assert_eq!(
            findings(text, entries).len(),
            usize::from(is_required),
            "{entries:?}"
        );
    }
}

/// A random variable: the digits are its level and, for each other variable, whether its lists name that one.
#[derive(Clone, Debug)]
struct Random {
    level: usize,
    with: Vec<bool>,
    without: Vec<bool>,
    is_set: bool,
}

const NAMES: [&str; 5] = ["A", "B", "C", "D", "E"];

impl Random {
    fn any() -> impl Strategy<Value = Self> {
        let names = || proptest::collection::vec(proptest::bool::weighted(0.3), NAMES.len());
        (0..3_usize, names(), names(), proptest::bool::weighted(0.3)).prop_map(
            |(level, with, without, is_set)| Self {
                level,
                with,
                without,
                is_set,
            },
        )
    }

    /// The names that one of the lists of the variable `own` has.
    fn names(list: &[bool], own: usize) -> Vec<usize> {
        (0..NAMES.len())
            .filter(|&index| list[index] && index != own)
            .collect()
    }
}

/// The choices that are missing: the variables of each, and whether it is critical.
fn missing(variables: &[Random]) -> Vec<(Vec<usize>, bool)> {
    let mut choices = Vec::new();
    for (index, variable) in variables.iter().enumerate() {
        let with = Random::names(&variable.with, index);
        let without = Random::names(&variable.without, index);
        let is_set = |other: &usize| variables[*other].is_set;
        let is_conditional = !with.is_empty() || !without.is_empty();
        let mut choice = vec![index];
        if is_conditional && !with.iter().any(is_set) {
            if without.is_empty() || without.iter().any(is_set) {
                continue;
            }
            choice.extend(without);
        } else if !is_conditional && variable.level == 2 {
            continue;
        }
        choice.sort_unstable();
        if !variable.is_set {
            choices.push((choice, variable.level == 0));
        }
    }
    choices
}

#[test]
fn the_smallest_choices_of_any_manifest_are_told_once() {
    let mut runner = TestRunner::new(Config {
        cases: 600,
        failure_persistence: None,
        ..Config::default()
    });
    let variables = proptest::collection::vec(Random::any(), NAMES.len());
    let result = runner.run(&variables, |variables| {
        let mut text = "version: 1\nvariables:\n".to_owned();
        let mut entries = Vec::new();
        for (index, variable) in variables.iter().enumerate() {
            let level = ["critical", "required", "optional"][variable.level];
            let list = |key: &str, names: &[bool]| {
                let names = Random::names(names, index);
                let names: Vec<&str> = names.iter().map(|&other| NAMES[other]).collect();
                let list = format!(", {key}: [{}]", names.join(", "));
                [String::new(), list][usize::from(!names.is_empty())].clone()
            };
            let with = list("required_with", &variable.with);
            let without = list("required_without", &variable.without);
            text += &format!("  {}: {{level: {level}{with}{without}}}\n", NAMES[index]);
            entries.extend(variable.is_set.then_some((NAMES[index], "x")));
        }
        // The names of both lists are a fault if there are no others.
        prop_assume!(crate::manifest::Manifest::parse(text.as_bytes(), false).is_ok());
        let all = missing(&variables);
        let is_told = |(index, (choice, is_critical)): &(usize, &(Vec<usize>, bool))| {
            !all.iter()
                .enumerate()
                .any(|(at, (other, other_is_critical))| {
                    let is_part = other.iter().all(|name| choice.contains(name));
                    let is_first = other.len() < choice.len() || at < *index;
                    is_part
                        && at != *index
                        && match (other_is_critical, is_critical) {
                            (true, false) => true,
                            (false, true) => false,
                            _ => is_first,
                        }
                })
        };
        let expected = all.iter().enumerate().filter(is_told);
        let expected: Vec<Vec<&str>> = expected
            .map(|(_, (choice, _))| choice.iter().map(|&index| NAMES[index]).collect())
            .collect();
        let found = checked(&text, &entries).report.findings;
        let found: Vec<Vec<&str>> = found
            .iter()
            .map(|finding| {
                let mut names: Vec<&str> = finding.variables().collect();
                names.sort_unstable();
                names
            })
            .collect();
        prop_assert_eq!(found, expected, "{}\n{:?}", text, entries);
        Ok(())
    });
    result.expect("the check agrees with the model");
}

#[test]
fn any_variable_can_come_from_a_file_with_any_name() {
    let text = "version: 1
variables:
  PLAIN: {file: true}
  SECRET: {secret: true, file: SECRET_PATH}
  my.key: {file: MY_KEY_FILE, level: optional}
";
    let file = "/run/secrets/token";
    let entries = [
        ("PLAIN_FILE", file),
        ("SECRET_PATH", file),
        ("MY_KEY_FILE", file),
        ("SECRET_FILE", "x"),
    ];
    assert_eq!(
        effective(text, &entries),
        [
            "SECRET_FILE=x",
            "PLAIN=from-a-file",
            "SECRET=from-a-file",
            "my.key=from-a-file"
        ]
    );
    assert_eq!(
        told(
            text,
            &[
                ("PLAIN", "x"),
                ("PLAIN_FILE", file),
                ("SECRET_PATH", "/nowhere")
            ]
        ),
        [
            "PLAIN is set, and PLAIN_FILE as well → keep one of PLAIN and PLAIN_FILE",
            "SECRET comes from the file that SECRET_PATH names, which does not exist → mount the secret there, or correct SECRET_PATH",
        ]
    );
}
