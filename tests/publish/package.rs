//! The package for crates.io.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{SOAK, Test, root, succeeds};

pub const TESTS: &[Test] = &[
    (
        "the_package_has_what_a_build_needs_and_nothing_else",
        &[],
        has_what_a_build_needs,
    ),
    (
        "the_package_may_be_published_and_has_its_metadata",
        &[],
        has_its_metadata,
    ),
    ("the_package_builds", &[SOAK], builds),
];

/// A command of cargo that needs no network.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).arg("--offline").current_dir(root());
    command
}

/// The files below a folder, by their paths in the project.
fn files(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let path = path.strip_prefix(root()).expect("it is in the project");
            found.insert(path.to_string_lossy().into_owned());
        }
    }
}

fn has_what_a_build_needs() {
    let listed = succeeds(&mut cargo(&["package", "--list", "--allow-dirty"]));
    let listed: BTreeSet<String> = listed
        .lines()
        // Cargo adds this file in a checkout.
        .filter(|name| *name != ".cargo_vcs_info.json")
        .map(str::to_owned)
        .collect();
    let mut expected: BTreeSet<String> = [
        ".cargo/config.toml",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "Cargo.toml.orig",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "docs/required-vars.schema.json",
    ]
    .map(str::to_owned)
    .into();
    files(&root().join("src"), &mut expected);
    assert_eq!(listed, expected);
}

fn has_its_metadata() {
    let told = succeeds(&mut cargo(&["metadata", "--no-deps", "--format-version=1"]));
    let told: serde_json::Value = serde_json::from_str(&told).expect("the metadata is JSON");
    let package = &told["packages"][0];
    // `null` allows every registry.
    assert!(package["publish"].is_null(), "{}", package["publish"]);
    assert_eq!(package["name"], "startup-guard");
    assert_eq!(package["license"], "MIT OR Apache-2.0");
    assert_eq!(package["readme"], "README.md");
    let repository = "https://github.com/startup-guard/startup-guard";
    assert_eq!(package["repository"], repository);
    // What crates.io admits.
    let keywords = package["keywords"].as_array().expect("it has keywords");
    assert!((1..=5).contains(&keywords.len()), "{keywords:?}");
    assert!(!package["description"].as_str().unwrap_or("").is_empty());
    assert!(!package["categories"][0].as_str().unwrap_or("").is_empty());
}

fn builds() {
    succeeds(&mut cargo(&["package", "--allow-dirty", "--locked"]));
}
