//! Values that are composed of other variables.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::{checked, checked_within, effective, secret_file};
use crate::check::{Selection, Sources, check};
use crate::environment::Environment;
use crate::manifest::Scope;
use crate::report::name_of;

/// The findings, without the warning that an argument of `used` has a secret.
fn findings(text: &str, entries: &[(&str, &str)]) -> Vec<String> {
    let mut found = super::findings(text, entries);
    found.retain(|finding| finding != "URL secret_in_argument warning");
    found
}

/// A manifest with these variables, and a wait, a lock and a command that use `URL`.
fn used(variables: &str, fail_on: &str) -> String {
    format!(
        "version: 1\nfail_on: {fail_on}\nvariables: {{{variables}}}\nwait_for: [{{tcp: URL}}]\n\
         steps: [{{name: s, command: [x, '${{URL}}'], lock: {{postgres: URL}}}}]\n"
    )
}

const URL: &str = "URL: {type: url, value: 'postgres://${USER}:${PASSWORD}@${HOST:-db}/${NAME}'}";

#[test]
fn a_missing_variable_gets_its_value_and_a_set_one_keeps_its_own() {
    let text = format!(
        "version: 1\nvariables: {{{URL}, USER: {{default: 'a b'}}, NAME: {{value: '${{USER}}1'}}}}\n"
    );
    let composed = "URL=postgres://a%20b:p%2F@db/a%20b1";
    for unset in [&[][..], &[("URL", "")], &[("URL", " ")], &[("HOST", "")]] {
        let entries = [&[("PASSWORD", "p/")], unset].concat();
        let found = effective(&text, &entries);
        assert!(found.contains(&composed.to_owned()), "{unset:?}: {found:?}");
        assert!(found.contains(&"NAME=a b1".to_owned()), "{found:?}");
    }
    let set = effective(&text, &[("PASSWORD", "p"), ("URL", "redis://x")]);
    assert!(set.contains(&"URL=redis://x".to_owned()), "{set:?}");
    // A wrong value is not replaced, and is not said to be composed.
    let wrong = checked(&text, &[("PASSWORD", "p"), ("URL", "nonsense")]).report;
    assert_eq!(wrong.findings.len(), 1);
    assert!(!wrong.findings[0].problem.contains("composes"), "{wrong:?}");
}

#[test]
fn a_part_is_reported_once_and_what_is_composed_of_it_is_not() {
    let parts = "USER: {}, PASSWORD: {secret: true}, NAME: {type: integer}";
    let rest = [("USER", "u"), ("NAME", "1")];
    for (password, finding) in [
        (None, "PASSWORD missing error"),
        (Some(" "), "PASSWORD missing error"),
        (Some("changeme"), "PASSWORD placeholder error"),
        (Some("\"sound\""), "PASSWORD quoted error"),
    ] {
        let password = password.map(|text| ("PASSWORD", text));
        let entries: Vec<_> = rest.into_iter().chain(password).collect();
        for variables in [format!("{URL}, {parts}"), format!("{parts}, {URL}")] {
            let found = findings(&used(&variables, "required"), &entries);
            assert_eq!(found, [finding], "{variables}");
        }
    }
    let several = findings(
        &used(&format!("{URL}, {parts}"), "required"),
        &[("NAME", "x")],
    );
    let expected = [
        "USER missing error",
        "PASSWORD missing error",
        "NAME wrong_type error",
    ];
    assert_eq!(several, expected);
}

#[test]
fn a_part_that_may_be_missing_is_reported_for_the_variable_that_needs_it() {
    let entries = [("USER", "u"), ("NAME", "d")];
    for declared in ["", ", PASSWORD: {level: optional}"] {
        // Two values need the part, one of them by way of another.
        let more = ", AGAIN: {level: critical, value: '${PASSWORD}'}, WAY: {level: optional, value: 'x${PASSWORD}'}, \
            LAST: {value: '${WAY}'}";
        let text = used(&format!("{URL}{declared}{more}"), "required");
        let report = checked(&text, &entries).report;
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        let found = &report.findings[0];
        assert_eq!(found.variable(), Some("PASSWORD"));
        assert_eq!(name_of(found.code).to_string(), "missing");
        assert_eq!(found.problem, "is not set, and URL is composed of it");
        assert_eq!(found.fix, "set PASSWORD, or URL itself");
    }
    let text = "version: 1\nvariables: {WAY: {level: optional, value: 'x${PASWORD}'}, LAST: {value: '${WAY}'}, PASSWORD: {}}\n";
    let report = checked(text, &[("PASSWORD", "p")]).report;
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[0].variable(), Some("PASWORD"));
    let problem = "is not set, and LAST is composed of it; did you mean `PASSWORD`?";
    assert_eq!(report.findings[0].problem, problem);
    // A placeholder of an optional part is only a warning of its own.
    let text =
        "version: 1\nvariables: {P: {level: optional, secret: true}, URL: {value: 'x ${P}'}}\n";
    let found = findings(text, &[("P", "changeme")]);
    assert_eq!(found, ["P placeholder warning", "P placeholder error"]);
}

#[test]
fn an_optional_variable_stays_unset_without_a_part() {
    let optional = URL.replace("type: url", "type: url, level: optional");
    let text = format!("version: 1\nvariables: {{{optional}}}\nwait_for: [{{tcp: URL}}]\n");
    let entries = [("USER", "u"), ("NAME", "d")];
    assert_eq!(findings(&text, &entries), [""; 0]);
    assert!(!effective(&text, &entries).concat().contains("URL"));
    // A lock cannot do without it.
    let found = checked(&used(&optional, "required"), &entries)
        .report
        .findings;
    let fixes: Vec<_> = found
        .iter()
        .map(|each| (each.variable(), &*each.fix))
        .collect();
    let fix =
        "set PASSWORD, of which it is composed, or URL, or give it a default there: ${URL:-value}";
    assert_eq!(fixes, [(Some("URL"), fix)]);
    let text = used(&optional, "required").replace(", '${URL}'", "");
    let found = checked(&text, &entries).report.findings;
    assert_eq!(
        found[0].fix,
        "set PASSWORD, of which it is composed, or URL"
    );
}

#[test]
fn no_start_succeeds_without_a_critical_variable() {
    let critical = URL.replace("type: url", "type: url, level: critical");
    let entries = [("USER", "u"), ("NAME", "d")];
    for (part, password, expected) in [
        (
            "PASSWORD: {}",
            None,
            vec!["PASSWORD missing error", "PASSWORD missing warning"],
        ),
        (
            "PASSWORD: {secret: true}",
            Some("changeme"),
            vec!["PASSWORD placeholder error", "PASSWORD placeholder warning"],
        ),
        (
            "PASSWORD: {level: critical}",
            None,
            vec!["PASSWORD missing error"],
        ),
    ] {
        let password = password.map(|text| ("PASSWORD", text));
        let entries: Vec<_> = entries.into_iter().chain(password).collect();
        let text = used(&format!("{critical}, {part}"), "critical");
        let checked = checked(&text, &entries);
        assert!(checked.plan.is_none());
        let mut found = findings(&text, &entries);
        found.sort();
        assert_eq!(found, expected, "{part}");
    }
    // A required one that is used by a lock must be there, too.
    let text = used(&format!("{URL}, PASSWORD: {{}}"), "critical");
    let expected = ["PASSWORD missing warning", "URL unset_reference error"];
    assert_eq!(findings(&text, &entries), expected);
    assert!(checked(&text, &entries).plan.is_none());
}

#[test]
fn a_finding_on_a_composed_value_names_its_parts() {
    let text = "version: 1\nvariables: {URL: {type: url, schemes: [https], value: '${A}://h/${B}?${A}'}, A: {}}\n";
    let found = checked(text, &[("A", "ftp"), ("B", "x")]).report.findings;
    assert_eq!(found.len(), 1, "{found:?}");
    let told = " (its `value` composes it from A and B)";
    assert!(found[0].problem.ends_with(told), "{found:?}");
    let text = "version: 1\nvariables: {URL: {value: '${A}${A}'}}\n";
    let long = "x".repeat(100_000);
    assert_eq!(findings(text, &[("A", &long)]), ["URL too_long error"]);
    let text = "version: 1\nvariables: {URL: {value: 'db://${A}/d'}}\n";
    assert_eq!(findings(text, &[("A", "/run")]), ["URL wrong_type error"]);
}

#[test]
fn a_default_with_a_reference_is_literal_and_a_warning_where_it_is_used() {
    let text = "version: 1\nvariables: {A: {default: 'x ${B}'}}\n";
    assert_eq!(findings(text, &[("B", "b")]), ["A placeholder warning"]);
    assert!(effective(text, &[("B", "b")]).contains(&"A=x ${B}".to_owned()));
    assert_eq!(findings(text, &[("A", "a")]), [""; 0]);
    let meant = text.replace("{default", "{not_placeholder: true, default");
    assert_eq!(findings(&meant, &[]), [""; 0]);
}

#[test]
fn secret_parts_are_masked_as_they_are_written_and_default_texts_are_not() {
    let text = "version: 1\nvariables:\n  TOKEN: {secret: true, level: optional}\n  HOOK: {value: 'x ${TOKEN:-a}'}\n";
    let plan = checked(text, &[]).plan.expect("the environment is sound");
    assert_eq!(plan.secrets(), [b"x a".to_vec()]);
    let text = "version: 1\nvariables:\n  TOKEN: {secret: true}\n  OPEN: {}\n  HOOK: {value: 'https://h/${TOKEN}?k=${OPEN}'}\n  OUTER: {value: 'x ${HOOK}'}\n";
    let checked = checked(text, &[("TOKEN", "a/b+c"), ("OPEN", "o/o")]);
    let plan = checked.plan.expect("the environment is sound");
    let secrets: Vec<_> = plan
        .secrets()
        .iter()
        .map(|each| String::from_utf8_lossy(each))
        // The forms with a backslash are those of programs that write JSON.
        .filter(|each| !each.contains('\\'))
        .collect();
    let expected = [
        "a%2Fb%2Bc",
        "a/b+c",
        "https://h/a%2Fb%2Bc?k=o%2Fo",
        "x https://h/a%2Fb%2Bc?k=o%2Fo",
    ];
    assert_eq!(secrets, expected);
}

#[test]
fn the_order_of_the_manifest_does_not_change_the_values() {
    let variables = [
        "A: {value: '${B}${C}'}",
        "B: {value: 'b${C}'}",
        "C: {value: 'c${D}'}",
        "D: {}",
    ];
    for first in 0..4 {
        for second in 0..4 {
            let mut order = variables;
            order.swap(first, second);
            order.rotate_left(second);
            let text = format!("version: 1\nvariables: {{{}}}\n", order.join(", "));
            let mut found = effective(&text, &[("D", "d")]);
            found.sort();
            assert_eq!(found, ["A=bcdcd", "B=bcd", "C=cd", "D=d"], "{text}");
            let missing = findings(&text, &[]);
            assert_eq!(missing, ["D missing error"], "{text}");
        }
    }
}

#[test]
fn the_beginning_of_a_percent_encoded_password_is_no_password() {
    let text = "version: 1\nvariables: {URL: {type: url}}\n";
    let url = "postgresql://u:p%40ss%2Fword@db/app?sslpassword=k%40y";
    let plan = checked(text, &[("URL", url)]).plan.expect("it is sound");
    let secrets = plan.secrets();
    for password in ["p%40ss%2Fword", "p@ss/word", "k%40y", "k@y"] {
        assert!(
            secrets.contains(&password.as_bytes().to_vec()),
            "{password}"
        );
    }
    assert!(secrets.iter().all(|secret| secret.len() > 2), "{secrets:?}");
}

#[test]
fn a_part_for_other_processes_counts_if_the_environment_has_it() {
    let text = "version: 1\nprocesses: {web: {}, worker: {}}\nvariables: {PART: {processes: [web, worker]}, \
        OTHER: {processes: [web, worker]}, URL: {value: '${PART}-${OTHER}'}}\n";
    let problems = |entries: &[(&str, &str)]| {
        // Nothing chooses a process, so that only what is for all of them is checked.
        let found = checked_within(text, entries, &Sources::new(), Scope::Unlimited);
        let found = found.report.findings.into_iter();
        found.map(|found| found.problem).collect::<Vec<_>>()
    };
    let problem = "is not set, and URL is composed of it";
    assert_eq!(problems(&[("PART", "a")]), [problem]);
    assert_eq!(problems(&[("PART", "a"), ("OTHER", "b")]), [""; 0]);
}

#[test]
fn a_part_that_is_no_utf_8_is_set() {
    let manifest = super::manifest("version: 1\nvariables: {URL: {value: 'x://h/${PART}'}}\n");
    let entries = vec![("PART".into(), OsString::from_vec(vec![0xff]))];
    let environment = Environment::from_entries(entries);
    let selection = Selection::rehearsal(&manifest, Scope::Everything);
    let checked = check(
        &manifest,
        &environment,
        &selection,
        &Sources::new(),
        secret_file,
    );
    assert_eq!(checked.report.findings, []);
}

#[test]
fn the_file_of_a_composed_secret_has_precedence() {
    let text =
        "version: 1\nvariables: {URL: {value: 'x://${PASSWORD}@h'}, PASSWORD: {secret: true}}\n";
    let entries = [("URL_FILE", "/run/secrets/token"), ("PASSWORD", "p")];
    let found = effective(text, &entries);
    assert_eq!(found, ["PASSWORD=p", "URL=from-a-file"]);
}

#[test]
fn what_is_composed_of_a_placeholder_is_not_set() {
    let variables = "PASSWORD: {level: optional, secret: true}, INNER: {level: optional, value: 'x-${PASSWORD}'}, \
        OUTER: {level: LEVEL, value: '${INNER}'}, OTHER: {level: critical, required_without: [INNER]}";
    let text = |level| {
        let variables = variables.replace("LEVEL", level);
        format!("version: 1\nfail_on: critical\nvariables: {{{variables}}}\n")
    };
    let entries = [("PASSWORD", "changeme")];
    let warning = "PASSWORD placeholder warning";
    let other = "OTHER missing error";
    assert_eq!(findings(&text("optional"), &entries), [warning, other]);
    let outer = "INNER placeholder error";
    assert_eq!(
        findings(&text("critical"), &entries),
        [warning, outer, other]
    );
    assert_eq!(
        findings(&text("critical"), &[("PASSWORD", "sound")]),
        [""; 0]
    );
}

#[test]
fn a_part_names_what_can_be_set_instead_of_the_composed_variable() {
    let text = "version: 1\nvariables: {HOST: {level: optional}, \
        URL: {required_without: [FILE], value: 'x://${HOST}'}, FILE: {required_without: [URL]}}\n";
    let report = checked(text, &[]).report;
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    let found = &report.findings[0];
    let problem = "is not set, and URL is composed of it; FILE is not set either";
    assert_eq!(found.problem, problem);
    assert_eq!(found.fix, "set HOST, or URL itself, or FILE");
    assert_eq!(checked(text, &[("FILE", "f")]).report.findings, []);
}
