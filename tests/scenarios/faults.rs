//! Manifests with faults: `faults.yaml` has each with the exact text of what `check` and `run` write to stderr before
//! their last line.

use std::collections::BTreeMap;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use serde::Deserialize;

use crate::{Folder, Scenario};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Faulty {
    /// What was written, in a few words. The name of the test.
    story: String,
    /// The manifest, byte for byte.
    manifest: String,
    /// All faults, in order.
    faults: Vec<String>,
}

/// The least number of such manifests.
const MIN: usize = 30;

pub fn trials() -> Vec<Trial> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/faults.yaml");
    let text = std::fs::read_to_string(&path).expect("the file can be read");
    let all: Vec<Faulty> = serde_yaml::from_str(&text).expect("the file has this form");
    assert!(all.len() >= MIN, "{} are too few", all.len());
    let trial = |(index, faulty): (usize, Faulty)| {
        let name = format!("fault: {}", faulty.story);
        Trial::test(name, move || run(index, &faulty))
    };
    all.into_iter().enumerate().map(trial).collect()
}

fn run(index: usize, faulty: &Faulty) -> Result<(), Failed> {
    let scenario = Scenario {
        manifest: faulty.manifest.as_str().into(),
        environment: BTreeMap::new(),
        ..Scenario::default()
    };
    let folder = Folder::new(&format!("fault-{index}"), &scenario);
    for line in [&["check"][..], &["run", "--", "true"]] {
        let output = folder.guard(&scenario, line.iter().copied());
        let told = String::from_utf8_lossy(&output.stderr);
        let told: Vec<&str> = told.lines().collect();
        let (last, told) = told.split_last().ok_or("nothing is written")?;
        let expected = faulty
            .faults
            .iter()
            .map(|fault| format!("startup-guard: {fault}"));
        let is_expected = expected.eq(told.iter().copied());
        let count = faulty.faults.len();
        let plural = if count == 1 { "" } else { "s" };
        let is_last = *last
            == format!(
                "startup-guard: the manifest required-vars.yaml is invalid: {count} fault{plural} \
                 (phase manifest, exit code 65, a retry does not help)"
            );
        if !(is_expected && is_last && output.status.code() == Some(65)) {
            return Err(format!("{}\n{}\n{last}", output.status, told.join("\n")).into());
        }
    }
    Ok(())
}
