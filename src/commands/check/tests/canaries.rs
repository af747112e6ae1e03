//! Checks random environments whose values contain a canary, and searches all output for the canary.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::tables::{LINES, NAMES, OTHERS, PLATFORMS, RULES, TYPES, VALUES};
use super::{cases, environment_of, manifest_of, runner};
use crate::cli;
use crate::commands::check::{error, view};
use crate::dotenv::Dialect;
use crate::environment;
use crate::error::Error;
use crate::input::env_files;
use crate::manifest::Scope;
use crate::render::{github, json, text};

/// A random canary. It has no vowels, so that no part of it occurs in the guard's own words.
fn canary() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        proptest::sample::select(b"bcdfghjkmnpqrstvwxz23456789".to_vec()),
        12,
    )
    .prop_map(|bytes| bytes.into_iter().map(char::from).collect())
}

/// The number of consecutive characters of a canary that must not be shown.
const PART: usize = 6;

/// A random manifest and environment.
#[derive(Debug)]
struct Case {
    canary: String,
    variables: Vec<(usize, usize, bool, bool)>,
    /// The values of the declared names: an index in `VALUES`, or `None` if the name is unset.
    values: Vec<Option<usize>>,
    /// The values of the other names, in the same form.
    others: Vec<Option<usize>>,
    /// Further lines of the env file, as indices in `LINES`.
    lines: Vec<usize>,
    platform: usize,
    /// The dialect, as an index in `DIALECTS`, if the values are in an env file; else they are in the environment.
    file: Option<usize>,
    has_references: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let variable = (0..TYPES.len(), 0..RULES.len(), any::<bool>(), any::<bool>());
    let value = || proptest::option::weighted(0.7, 0..VALUES.len());
    (
        canary(),
        proptest::collection::vec(variable, NAMES.len()),
        proptest::collection::vec(value(), NAMES.len()),
        proptest::collection::vec(
            proptest::option::weighted(0.3, 0..VALUES.len()),
            OTHERS.len(),
        ),
        proptest::collection::vec(0..LINES.len(), 0..4),
        0..PLATFORMS.len(),
        proptest::option::weighted(0.3, 0..4_usize),
        any::<bool>(),
    )
        .prop_map(
            |(canary, variables, values, others, lines, platform, file, has_references)| Case {
                canary,
                variables,
                values,
                others,
                lines,
                platform,
                file,
                has_references,
            },
        )
}

impl Case {
    fn manifest(&self) -> String {
        let mut text = "version: 1\nvariables:\n  X: {level: optional}\n".to_owned();
        for (name, (value_type, rule, is_secret, has_more)) in NAMES.iter().zip(&self.variables) {
            let schemes = match TYPES[*value_type] {
                "url" => ", schemes: [postgresql, redis, https]",
                _ => "",
            };
            let secret = if *is_secret { ", secret: true" } else { "" };
            let more = if *has_more {
                ", generate: {bytes: 32}, renamed_from: [OLD_NAME], description: What it is for"
            } else {
                ""
            };
            text.push_str(&format!(
                "  {name}: {{type: {}{schemes}{}{secret}{more}}}\n",
                TYPES[*value_type],
                RULES[*rule].replace("@NAME@", name)
            ));
        }
        if self.has_references {
            text.push_str("steps: [{name: s, command: [echo, '${JWT_SECRET}', '${NONE}']}]\n");
        }
        text
    }

    /// Each entry as `NAME=value`.
    fn entries(&self) -> Vec<(String, String)> {
        let declared = NAMES.iter().zip(&self.values);
        let others = OTHERS.iter().zip(&self.others);
        let set = declared.chain(others).filter_map(|(name, value)| {
            Some((
                (*name).to_owned(),
                VALUES[(*value)?].replace("@C@", &self.canary),
            ))
        });
        set.collect()
    }

    /// The canary in upper case, as in a line of a key that looks like a name.
    fn upper(&self) -> String {
        self.canary.to_ascii_uppercase()
    }

    /// Lines that are not assignments, though they may look like assignments.
    fn lines(&self) -> String {
        let lines = self.lines.iter().map(|&line| LINES[line]);
        let lines = lines.map(|line| line.replace("@N@", &self.upper()) + "\n");
        lines.collect()
    }

    fn platform(&self) -> Vec<(String, String)> {
        let variables = PLATFORMS[self.platform].iter();
        variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }
}

const DIALECTS: [Dialect; 4] = [
    Dialect::Compose,
    Dialect::Docker,
    Dialect::PythonDotenv,
    Dialect::Kv,
];

/// All output about a case, in every format.
fn everything(case: &Case, folder: &Path) -> String {
    let manifest = manifest_of(&case.manifest()).expect("these manifests are sound");
    let arguments = |file: Option<&Path>| cli::Check {
        env_files: file
            .map(|file| file.as_os_str().to_owned())
            .into_iter()
            .collect(),
        dialect: Some(DIALECTS[case.file.unwrap_or_default()]),
        only_file: case.file == Some(3),
        ..cli::Check::default()
    };
    let (entries, file) = if case.file.is_none() {
        let named = (case.upper(), "x".to_owned());
        let mut entries = [case.platform(), case.entries()].concat();
        entries.extend(case.lines.first().map(|_| named));
        (entries, None)
    } else {
        let file = folder.join("case.env");
        let lines = case.entries().into_iter();
        let lines: Vec<String> = lines
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        fs::write(&file, lines.concat() + &case.lines())
            .expect("the file of a case can be written");
        (case.platform(), Some(file))
    };
    let mut written = String::new();
    let arguments = arguments(file.as_deref());
    let own = environment_of(if arguments.only_file {
        Vec::new()
    } else {
        entries
    });
    match env_files::read(&arguments.env_files, arguments.dialect, own, false) {
        Ok(files) => {
            let view = view(&manifest, Scope::Everything, &files, &arguments);
            written += &text::report(&view, None, false);
            written += &text::report(&view, Some(60), true);
            written += &json::report(&view);
            written += &github::report(&view, "required-vars.yaml");
            if view.report.errors() > 0 {
                push_error(&mut written, &error(&view));
            }
        }
        Err(error) => push_error(&mut written, &error.into()),
    }
    written
}

fn push_error(written: &mut String, error: &Error) {
    written.push_str(&format!("{error}\n{}\n", error.details().join("\n")));
    if let Error::Environment { summary, .. } = error {
        written.push_str(summary);
    }
}

fn shown_part<'a>(written: &str, canary: &'a str) -> Option<&'a str> {
    let parts = (0..=canary.len() - PART).map(|at| &canary[at..at + PART]);
    parts.into_iter().find(|part| written.contains(part))
}

/// A directory that is removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = environment::temporary_folder()
            .join(format!("startup-guard-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the folder can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn no_output_contains_six_consecutive_characters_of_a_value() {
    let folder = Folder::new("canaries");
    let result = runner(cases(2_000, 10_000)).run(&case(), |case| {
        let written = everything(&case, &folder.0);
        prop_assert!(!written.is_empty());
        let upper = case.upper();
        let shown = shown_part(&written, &case.canary).or_else(|| shown_part(&written, &upper));
        prop_assert!(shown.is_none(), "{shown:?} is shown in\n{written}");
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_output_is_deterministic() {
    let folder = Folder::new("equal");
    let result = runner(cases(200, 3_000)).run(&case(), |case| {
        prop_assert_eq!(everything(&case, &folder.0), everything(&case, &folder.0));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
