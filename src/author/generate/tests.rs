//! Tests of the text of an env file that is filled in: everything but the generated values stays as it was.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::edit::{Change, edited};
use super::fill::plan;
use crate::dotenv::{Dialect, EnvFile, parse};
use crate::environment::is_soak;
use crate::manifest::{Manifest, Variable};

/// Two secrets to generate.
const MANIFEST: &str = "\
version: 1
variables:
  SECRET: {secret: true, generate: {}}
  OTHER: {secret: true, generate: {format: alphanumeric}, renamed_from: [FORMER]}
";

/// Statements in many spellings. Some are faults in some dialects.
const STATEMENTS: [&str; 40] = [
    "# a comment",
    "#SECRET=change-me",
    "",
    "   ",
    "KEEP=1",
    "KEEP=two words  ",
    "SECRETS=change-me",
    "SECRET=",
    "SECRET",
    "SECRET=change-me",
    "SECRET=change-me  ",
    "\tSECRET=change-me",
    "SECRET = change-me",
    "export SECRET=change-me",
    "export  SECRET = \"change-me\"",
    "SECRET: change-me",
    "SECRET : 'change-me'",
    "'SECRET'=change-me",
    "SECRET=change-me # a comment",
    "SECRET=change-me\t# a comment",
    "SECRET='change-me' # it's a comment",
    "SECRET=\"change-me\"   # a \"comment\"",
    "SECRET=   # only a comment",
    "SECRET=# only a comment",
    "SECRET=\"<two\nlines>\"",
    "SECRET='<three\n# lines\nB=2>'",
    "SECRET=<é日本>",
    "SECRET=q83vEjRWeJCrze8SNFZ4",
    "SECRET=${OTHER}",
    "SECRET=op://vault/item/field",
    "SECRET_FILE=/run/secrets/secret",
    "OTHER=change-me",
    "OTHER=\"\"",
    "OTHER=\t",
    "FORMER=q83vEjRWeJCrze8SNFZ4",
    "REF=a${SECRET:-b}",
    "LITERAL='$x ${y}'",
    "MULTI=\"l1\nSECRET=change-me\nl2\"",
    "QUOTED=\"a # b\" # c",
    "TAB=a\t# b",
];

fn nothing(_: &str) -> Option<&'static str> {
    None
}

fn read(text: &str, dialect: Dialect) -> Option<EnvFile> {
    parse("f", text, dialect, &nothing).ok()
}

/// The value of each name that applies.
fn values(file: &EnvFile) -> BTreeMap<&str, &str> {
    let entries = file.entries.iter();
    entries.map(|entry| (&*entry.name, &*entry.value)).collect()
}

/// The lines of a text that none of the ranges touches.
fn untouched<'t>(text: &'t str, ranges: &[std::ops::Range<usize>]) -> Vec<&'t str> {
    let mut start = 0;
    let mut lines = Vec::new();
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        if !ranges
            .iter()
            .any(|range| range.start < end && range.end > start)
        {
            lines.push(line);
        }
        start = end;
    }
    lines
}

/// The text with the generated values, and the changes.
fn filled<'f>(
    text: &str,
    file: &'f EnvFile,
    manifest: &'f Manifest,
    dialect: Dialect,
) -> (Option<String>, Vec<Change<'f>>) {
    let variables: Vec<&Variable> = manifest.variables.iter().collect();
    let plan = plan(&variables, manifest, file, text, dialect).expect("values are generated");
    let edited = edited(text, file, dialect, &nothing, &plan.changes);
    (edited, plan.changes)
}

#[test]
fn only_the_generated_values_change_in_every_dialect() {
    let manifest = Manifest::parse(MANIFEST.as_bytes(), false).expect("it is sound");
    let statements = proptest::sample::select(&STATEMENTS[..]);
    let statements = proptest::collection::vec(statements, 0..8);
    let input = (statements, any::<bool>(), any::<bool>());
    let config = Config {
        cases: if is_soak() { 100_000 } else { 1_000 },
        failure_persistence: None,
        ..Config::default()
    };
    let mut count = 0;
    let counter = std::cell::RefCell::new(&mut count);
    let result = TestRunner::new(config).run(&input, |(statements, is_windows, is_ended)| {
        let mut text = statements.join("\n");
        text += if is_ended { "\n" } else { "" };
        if is_windows {
            text = text.replace('\n', "\r\n");
        }
        for (_, dialect) in Dialect::NAMES {
            let Some(before) = read(&text, dialect) else {
                continue;
            };
            let (edited, changes) = filled(&text, &before, &manifest, dialect);
            let Some(edited) = edited else {
                return Err(TestCaseError::fail(format!("{dialect:?} of {text:?}")));
            };
            let after = read(&edited, dialect).expect("it can still be read");
            let (old, new) = (values(&before), values(&after));
            for change in &changes {
                prop_assert_eq!(
                    new[&*change.name],
                    &change.value,
                    "{:?}: {:?}",
                    dialect,
                    &edited
                );
            }
            // A reference to a generated value follows it.
            let refers = |name: &str| {
                let entry = before.entries.iter().rfind(|entry| entry.name == name);
                entry.is_some_and(|entry| text[entry.range.clone()].contains('$'))
            };
            let is_changed = |name: &str| changes.iter().any(|change| change.name == name);
            for (name, value) in &old {
                let is_same = is_changed(name) || refers(name) || new[name] == *value;
                prop_assert!(is_same, "{} of {:?} in {:?}", name, &edited, dialect);
            }

            // All other lines are the same, byte by byte.
            let replaced = changes.iter().filter_map(|change| change.entry);
            let replaced: Vec<_> = replaced.map(|entry| entry.range.clone()).collect();
            let generated = changes.iter().filter_map(|change| {
                let start = edited.find(&change.value)?;
                Some(start..start + change.value.len())
            });
            let kept = untouched(&text, &replaced).concat();
            let left = untouched(&edited, &generated.collect::<Vec<_>>()).concat();
            let is_appended = changes.iter().any(|change| change.entry.is_none());
            let is_same = left == kept
                || is_appended
                    && left
                        .strip_prefix(&*kept)
                        .is_some_and(|rest| rest.trim().is_empty());
            prop_assert!(is_same, "{:?}: {:?} became {:?}", dialect, &text, &edited);

            let is_bare = |end: &str| edited.matches(end).count() != edited.matches("\r\n").count();
            let has_mixed_ends = text.contains("\r\n") && (is_bare("\r") || is_bare("\n"));
            prop_assert!(
                !has_mixed_ends,
                "{:?}: {:?} became {:?}",
                dialect,
                &text,
                &edited
            );

            // A second run changes nothing.
            let (_, changes) = filled(&edited, &after, &manifest, dialect);
            prop_assert!(changes.is_empty(), "{:?}: {:?}", dialect, &edited);
            **counter.borrow_mut() += 1;
        }
        Ok(())
    });
    result.expect("the property holds");
    assert!(count > 1_000, "only {count} files could be read");
}

/// The text that SECRET's line becomes, with `NEW` for the generated value.
fn line(text: &str, dialect: Dialect) -> String {
    let manifest = Manifest::parse(MANIFEST.as_bytes(), false).expect("it is sound");
    let file = read(text, dialect).expect("it can be read");
    let variables = [&manifest.variables[0]];
    let plan = plan(&variables, &manifest, &file, text, dialect).expect("a value is generated");
    let edited = edited(text, &file, dialect, &nothing, &plan.changes).expect("it can be set");
    let new = plan.changes.iter().map(|change| change.value.as_str());
    new.fold(edited, |edited, value| edited.replace(value, "NEW"))
}

#[test]
fn a_value_is_replaced_in_place_and_its_comment_stays_if_the_reader_knows_comments() {
    let (compose, python) = (Dialect::Compose, Dialect::PythonDotenv);
    for (before, dialect, after) in [
        (
            "A=1\nSECRET=change-me\nB=2\n",
            compose,
            "A=1\nSECRET=NEW\nB=2\n",
        ),
        ("SECRET=change-me # why\n", compose, "SECRET=NEW # why\n"),
        ("SECRET=change-me # why\n", python, "SECRET=NEW # why\n"),
        ("SECRET=   # why\n", compose, "SECRET=NEW   # why\n"),
        ("SECRET=   # why\n", python, "SECRET=NEW   # why\n"),
        (
            "export SECRET = \"change-me\" # why\r\n",
            compose,
            "export SECRET = NEW # why\r\n",
        ),
        (
            "export SECRET = 'change-me' # why\r\n",
            python,
            "export SECRET = NEW # why\r\n",
        ),
        ("SECRET=\"<two\nlines>\"\nB=2", compose, "SECRET=NEW\nB=2"),
        ("SECRET: change-me\n", compose, "SECRET: NEW\n"),
        // Here the comment is a part of the value.
        ("SECRET=change-me\n", Dialect::Docker, "SECRET=NEW\n"),
        ("SECRET= \r\nB=2", Dialect::Docker, "SECRET=NEW\r\nB=2"),
        (
            "SECRET=<two\nlines>\n\nB=2\n",
            Dialect::Kv,
            "SECRET=NEW\n\nB=2\n",
        ),
        // The last entry applies.
        (
            "SECRET=change-me\nSECRET=\n",
            compose,
            "SECRET=change-me\nSECRET=NEW\n",
        ),
        ("SECRET\n", compose, "SECRET\nSECRET=NEW\n"),
        ("SECRET=\r\nB=2\r\n", compose, "SECRET=NEW\r\nB=2\r\n"),
        ("SECRET = \r\nB=2", python, "SECRET = NEW\r\nB=2"),
        ("", compose, "SECRET=NEW\n"),
        ("A=1", compose, "A=1\nSECRET=NEW\n"),
        ("A=1\r\nB=2", compose, "A=1\r\nB=2\r\nSECRET=NEW\r\n"),
    ] {
        assert_eq!(line(before, dialect), after, "{dialect:?} of {before:?}");
    }
}

#[test]
fn what_is_set_or_refers_to_a_value_is_kept() {
    for text in [
        "SECRET=q83vEjRWeJCrze8SNFZ4\n",
        "SECRET=\nSECRET=short\n",
        "SECRET=${OTHER}\n",
        "SECRET=$OTHER\n",
        "SECRET=op://vault/item/field\n",
        "SECRET_FILE=/run/secrets/secret\n",
        "SECRET=\nSECRET_FILE=/run/secrets/secret\n",
    ] {
        assert_eq!(line(text, Dialect::Compose), text);
    }
    let text = "SECRET=${{shared.SECRET}}\n";
    assert_eq!(line(text, Dialect::Kv), text);
}

#[test]
fn a_text_from_which_a_new_value_would_not_be_read_is_not_edited() {
    let manifest = Manifest::parse(MANIFEST.as_bytes(), false).expect("it is sound");
    // A line that is appended would be a part of the key.
    let text = "KEY=-----BEGIN KEY-----\nabc\n";
    let file = read(text, Dialect::Kv).expect("it can be read");
    assert_eq!(filled(text, &file, &manifest, Dialect::Kv).0, None);
}
