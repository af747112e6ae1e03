//! Tests of the diagnosis that scenarios with the real binary cannot contain, because scenarios do not control whether
//! they run in a container. Also tests that every cause is documented.

use std::path::Path;

use super::{environment_of, manifest_of};
use crate::check::{Selection, Sources, check};
use crate::diagnosis::{Cause, Circumstances, Diagnosis, cause_codes, diagnose};
use crate::manifest::Manifest;
use crate::platform;

const PAGE: &str = include_str!("../../../../docs/report-and-causes.md");

fn diagnosis(variables: &str, entries: &[(&str, &str)], is_in_container: bool) -> Diagnosis {
    let text = format!("version: 1\nvariables:\n{variables}");
    let manifest = manifest_of(&text).expect("the manifests of these tests are sound");
    diagnosis_of(&manifest, entries, is_in_container)
}

fn diagnosis_of(manifest: &Manifest, entries: &[(&str, &str)], is_in_container: bool) -> Diagnosis {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment = environment_of(entries.iter().map(owned).collect());
    let place = platform::detect(&environment);
    let no_file = |_: &Path, _| Err(std::io::ErrorKind::NotFound.into());
    let report = check(
        manifest,
        &environment,
        &Selection::default(),
        &Sources::new(),
        no_file,
    )
    .report;
    let circumstances = Circumstances {
        place: place.as_ref(),
        is_in_container,
        ..Circumstances::default()
    };
    diagnose(manifest, &report, &environment, circumstances)
}

fn codes(diagnosis: &Diagnosis) -> Vec<&'static str> {
    diagnosis.causes.iter().map(|cause| cause.code).collect()
}

#[test]
fn localhost_is_a_cause_in_a_container_but_not_outside_of_one() {
    let variables =
        "  DATABASE_URL: {type: url}\n  CACHE_URL: {type: url}\n  HOME_URL: {type: url}\n";
    let entries = [
        ("DATABASE_URL", "postgresql://app:fake@localhost:5432/app"),
        ("CACHE_URL", "redis://cache:6379"),
        ("HOME_URL", "http://localhost:3000"),
    ];
    let in_container = diagnosis(variables, &entries, true);
    assert_eq!(codes(&in_container), ["local_address"]);
    assert_eq!(in_container.causes[0].variables, ["DATABASE_URL"]);
    assert_eq!(codes(&diagnosis(variables, &entries, false)), [""; 0]);
    let on_kubernetes = [entries[0], ("KUBERNETES_SERVICE_HOST", "10.0.0.1")];
    let told = diagnosis("  DATABASE_URL: {type: url}\n", &on_kubernetes, true);
    assert_eq!(codes(&told), [""; 0]);
}

#[test]
fn long_lists_of_names_are_shortened_in_text_but_not_in_data() {
    let line = |number| format!("  NAME_{number}: {{secret: true}}\n");
    let lines: Vec<String> = (0..9).map(line).collect();
    let variables = lines.concat();
    let names: Vec<String> = (0..9).map(|number| format!("NAME_{number}")).collect();
    let entries: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "changeme"))
        .collect();
    let told = diagnosis(&variables, &entries, false);
    let [
        Cause {
            variables, text, ..
        },
    ] = told.causes.as_slice()
    else {
        panic!("one cause, and not {:?}", told.causes);
    };
    assert_eq!(variables.len(), 9);
    assert!(
        text.starts_with("NAME_0, NAME_1, NAME_2, NAME_3, NAME_4 and 4 more still hold"),
        "{text}"
    );
}

#[test]
fn a_fix_has_no_variable_whose_value_only_the_user_knows() {
    // A wrong value must be corrected by hand, but a weak secret can be replaced by a generated one.
    let told = diagnosis(
        "  PORT_OF_SMTP: {type: port}\n  WEAK: {secret: true, min_length: 9, generate: {bytes: 32}}\n",
        &[("PORT_OF_SMTP", "tls"), ("WEAK", "fake")],
        false,
    );
    assert_eq!(told.fixes[0].variables, ["WEAK"]);
}

#[test]
fn a_name_that_shells_do_not_take_is_only_in_files() {
    let text = "version: 1\nvariables: {KEY: {secret: true}, LEVEL: {}}\n";
    let mut manifest = manifest_of(text).expect("it is sound");
    "app-key".clone_into(&mut manifest.variables[0].name);
    for (mark, expected) in [
        ("FLY_APP_NAME", None),
        (
            "KUBERNETES_SERVICE_HOST",
            Some("{name: <secret>, key: \"app-key\"}"),
        ),
        ("OTHER", Some("app-key=\"$(ask app-key)\"")),
    ] {
        let told = diagnosis_of(&manifest, &[(mark, "x"), ("LEVEL", "1")], false);
        let commands: Vec<String> = told
            .fixes
            .into_iter()
            .flat_map(|fix| fix.commands)
            .collect();
        assert_eq!(
            commands.len(),
            usize::from(expected.is_some()),
            "{commands:?}"
        );
        let expected = expected.unwrap_or_default();
        assert!(
            commands.iter().all(|each| each.contains(expected)),
            "{commands:?}"
        );
    }
}

#[test]
fn the_names_of_a_deployment_are_single_words_even_if_they_look_like_parts_of_a_template() {
    let names = [
        ("RAILWAY_SERVICE_NAME", "{environment}"),
        ("RAILWAY_ENVIRONMENT_NAME", ";touch x;"),
    ];
    let variables = "  A: {secret: true}\n  B: {secret: true}\n";
    let told = diagnosis(variables, &names, false);
    let flags = "--service '{environment}' --environment ';touch x;'";
    let commands = &told.fixes[0].commands;
    assert!(commands[1].ends_with(flags), "{commands:?}");
}

#[test]
fn a_cause_that_explains_no_error_is_a_note() {
    let variables = "  DB: {type: url}\n  A: {secret: true}\n";
    let local = ("DB", "redis://localhost:6379");
    let quoted = ("DB", "\"redis://localhost:6379\"");
    for (db, expected) in [(local, vec!["note"]), (quoted, vec!["likely", "likely"])] {
        let told = diagnosis(variables, &[db, ("FLY_APP_NAME", "api")], false);
        let certainties: Vec<&str> = told.causes.iter().map(|cause| cause.certainty).collect();
        assert_eq!(certainties, expected, "{:?}", told.causes);
    }
}

#[test]
fn every_cause_is_documented() {
    let all = cause_codes();
    for code in &all {
        assert!(PAGE.contains(&format!("| `{code}` |")), "{code}");
    }
    let rows = PAGE
        .lines()
        .skip_while(|line| !line.starts_with("| cause |"))
        .skip(2);
    assert_eq!(
        rows.take_while(|line| line.starts_with('|')).count(),
        all.len()
    );
}
