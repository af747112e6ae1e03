//! Property tests of manifests with several processes.

use std::cell::Cell;
use std::collections::HashSet;
use std::path::Path;

use proptest::prelude::*;

use super::{cases, environment_of, manifest_of, runner};
use crate::check::{Sources, rehearse};
use crate::environment::Environment;
use crate::manifest::{Manifest, Scope};
use crate::report::{Code, Finding, Report};

const PROCESSES: [&str; 3] = ["web", "worker", "beat"];

/// A variable, step or wait. Each number selects one of its keys or values.
#[derive(Clone, Debug)]
struct Item {
    /// Whether it is limited to each of the processes. If it is to none, it is for all.
    limits: [bool; 3],
    keys: [usize; 4],
}

#[derive(Clone, Debug)]
struct Parts {
    variables: Vec<Item>,
    steps: Vec<Item>,
    waits: Vec<Item>,
}

impl Item {
    fn is_for(&self, process: Option<usize>) -> bool {
        self.limits == [false; 3] || process.is_none_or(|index| self.limits[index])
    }

    /// The key `processes`. It is left out in a manifest for one process.
    fn limits(&self, kept: Option<usize>) -> String {
        let names = PROCESSES.iter().zip(self.limits);
        let names: Vec<&str> = names.filter_map(|(name, is)| is.then_some(*name)).collect();
        let is_limited = kept.is_none() && !names.is_empty();
        let limits = is_limited.then(|| format!(", processes: [{}]", names.join(", ")));
        limits.unwrap_or_default()
    }
}

fn name(index: usize) -> String {
    format!("V{}", index % 6)
}

impl Parts {
    /// The manifest with everything, or only with what is for one process.
    fn manifest(&self, kept: Option<usize>) -> String {
        let mut text = "version: 1\nprocesses:\n".to_owned();
        let is_kept = |index: &usize| kept.is_none_or(|kept| kept == *index);
        for index in (0..PROCESSES.len()).filter(is_kept) {
            let name = PROCESSES[index];
            text += &format!("  {name}: {{command: [echo, \"${{V{index}:-x}}\"]}}\n");
        }
        text += "variables:\n";
        for (index, each) in self.variables.iter().enumerate() {
            if each.is_for(kept) {
                let limits = each.limits(kept);
                text += &format!("  V{index}: {{{}{limits}}}\n", self.keys(index, kept));
            }
        }
        for (title, items) in [("steps", &self.steps), ("wait_for", &self.waits)] {
            text += &format!("{title}:\n");
            for (index, each) in items
                .iter()
                .enumerate()
                .filter(|(_, each)| each.is_for(kept))
            {
                let (name, limits) = (name(each.keys[0]), each.limits(kept));
                let default = ["", ":-x"][each.keys[1] % 2];
                text += &if title == "steps" {
                    format!(
                        "- {{name: s{index}, command: [echo, \"${{{name}{default}}}\"]{limits}}}\n"
                    )
                } else {
                    format!("- {{tcp: {name}{limits}}}\n")
                };
            }
        }
        text
    }

    /// The keys of a variable. A condition on a variable that was removed never holds.
    fn keys(&self, index: usize, kept: Option<usize>) -> String {
        let [level, rule, relation, other] = self.variables[index].keys;
        let is_there = self.variables[other % 6].is_for(kept);
        let mut level = ["critical", "required", "optional"][level % 3];
        let rule = [
            "secret: true",
            "default: abc",
            "min_length: 4",
            "type: url",
            "hint: x",
        ][rule % 5];
        let other = name(other);
        let relation = match relation % 3 {
            1 if is_there => format!(", distinct_from: [{other}]"),
            2 if is_there => format!(", required_when: {{{other}: [abc, abcdef]}}"),
            2 => {
                level = "optional";
                String::new()
            }
            _ => String::new(),
        };
        format!("level: {level}, {rule}{relation}")
    }
}

fn item() -> impl Strategy<Value = Item> {
    let limits = prop_oneof![Just([false; 3]), any::<[bool; 3]>()];
    let keys = proptest::array::uniform4(0..60_usize);
    (limits, keys).prop_map(|(limits, keys)| Item { limits, keys })
}

fn parts() -> impl Strategy<Value = (Parts, Vec<usize>)> {
    let items = |count| proptest::collection::vec(item(), count);
    let parts =
        (items(6..7), items(0..3), items(0..3)).prop_map(|(variables, steps, waits)| Parts {
            variables,
            steps,
            waits,
        });
    (parts, proptest::collection::vec(0..6_usize, 6))
}

fn environment(values: &[usize]) -> Environment {
    let texts = [
        None,
        Some(""),
        Some("abc"),
        Some("abcdef"),
        Some("changeme"),
        Some("redis:6379"),
    ];
    let entries = values.iter().enumerate();
    let entries =
        entries.filter_map(|(index, value)| Some((name(index), texts[*value]?.to_owned())));
    environment_of(entries.collect())
}

fn report(manifest: &Manifest, environment: &Environment, scope: Scope<'_>) -> Report {
    let no_file = |_: &Path, _| Err(std::io::ErrorKind::NotFound.into());
    rehearse(manifest, environment, scope, &Sources::new(), no_file)
}

/// The findings without the lines, which differ between two manifests.
fn findings(report: Report) -> Vec<Finding> {
    let findings = report.findings.into_iter();
    let without_line = |mut finding: Finding| {
        finding.manifest_line = None;
        finding
    };
    findings.map(without_line).collect()
}

#[test]
fn a_check_of_one_process_is_that_of_a_manifest_without_the_others() {
    let checked = Cell::new(0);
    let result = runner(cases(1_500, 50_000)).run(&parts(), |(parts, values)| {
        // A wait or a command may need a variable that its process does not have.
        let Ok(whole) = manifest_of(&parts.manifest(None)) else {
            return Ok(());
        };
        checked.update(|count| count + 1);
        let environment = environment(&values);
        for (index, process) in PROCESSES.iter().enumerate() {
            let alone = manifest_of(&parts.manifest(Some(index)));
            let alone = alone.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let limited = report(&whole, &environment, Scope::Process(process));
            let alone = report(&alone, &environment, Scope::Process(process));
            prop_assert_eq!(limited.declared, alone.declared);
            // A secret of another process is still known as one.
            let is_for = |name: &str| {
                name.strip_prefix('V').is_none_or(|number| {
                    let number: usize = number.parse().expect("it is a number");
                    parts.variables[number].is_for(Some(index))
                })
            };
            let mut limited = findings(limited);
            limited.retain(|each| {
                each.code != Code::SecretInArgument || each.variable().is_none_or(is_for)
            });
            prop_assert_eq!(limited, findings(alone), "{}", process);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(checked.get() > 100, "only {} were valid", checked.get());
}

#[test]
fn a_check_of_everything_is_that_of_each_process() {
    let result = runner(cases(1_500, 50_000)).run(&parts(), |(parts, values)| {
        let Ok(whole) = manifest_of(&parts.manifest(None)) else {
            return Ok(());
        };
        let environment = environment(&values);
        let all = findings(report(&whole, &environment, Scope::Everything));
        let place = |finding: &Finding| {
            let name = finding.variable().unwrap_or_default();
            whole.variables.iter().position(|each| each.name == name)
        };
        prop_assert!(all.is_sorted_by_key(place));
        for process in PROCESSES {
            let mut own = all.clone();
            own.retain(|each| {
                each.processes.is_empty() || each.processes.iter().any(|one| one == process)
            });
            for finding in &mut own {
                finding.processes.clear();
            }
            let alone = findings(report(&whole, &environment, Scope::Process(process)));
            let own: HashSet<Finding> = own.into_iter().collect();
            prop_assert_eq!(own, alone.into_iter().collect(), "{}", process);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
