//! Broken environments, and healthy ones, each with what its report must say: the cause, the fix, and what must
//! not be said. Each file in `cases/` is one; most are taken from a public issue thread, which it cites.
//!
//! A wrong cause fails, and so does one that is claimed without grounds. `fixes.rs` applies each fix, and checks again.

mod faults;
mod fixes;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What happened to whom.
    #[expect(dead_code, reason = "it is for those who read the file")]
    story: String,
    /// `OWNER/REPOSITORY#NUMBER` of the thread that it is taken from.
    source: Option<String>,
    /// A mapping, or the text of the file.
    manifest: serde_yaml::Value,
    environment: BTreeMap<String, String>,
    /// Files in the working directory.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// The files in the working directory that can be executed.
    #[serde(default)]
    scripts: BTreeMap<String, String>,
    /// The words after `run`: `true` in its place if there are none; `[]`: the manifest's own command.
    command: Option<Vec<String>>,
    /// The exit code of `run`, if it is another one.
    run_code: Option<i32>,
    /// What `run` writes to stderr has this in it, whatever its line breaks.
    #[serde(default)]
    run_says: Vec<String>,
    /// Of `check`; then `run` is left out, which has no such arguments.
    #[serde(default)]
    arguments: Vec<String>,
    /// The exit code.
    code: i32,
    /// Codes of the causes, all of them, in order; empty where none may be claimed.
    causes: Vec<String>,
    /// The report or the error says this, whatever its line breaks.
    #[serde(default)]
    says: Vec<String>,
    /// The commands to paste have this in them; none: there are no commands.
    #[serde(default)]
    fix: Vec<String>,
    /// Values that the manifest admits, where none can be made up from its rules, to fill in what a fix asks for.
    #[serde(default)]
    made_up: BTreeMap<String, String>,
    /// Nothing that is written has this in it.
    #[serde(default)]
    never: Vec<String>,
}

/// The least numbers of cases: what is broken and what is healthy are both well covered.
const MIN_BROKEN: usize = 120;
const MIN_HEALTHY: usize = 90;
const MIN_SOURCES: usize = 110;
const MIN_WITHOUT_CAUSE: usize = 10;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/cases")
}

fn main() {
    let mut trials = faults::trials();
    let mut scenarios = Vec::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(cases())
        .expect("the cases can be listed")
        .map(|entry| entry.expect("the entry can be read").path())
        .collect();
    paths.sort();
    for path in paths {
        let text = fs::read_to_string(&path).expect("the case can be read");
        let scenario: Scenario = serde_yaml::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path
            .file_stem()
            .expect("it has a name")
            .to_string_lossy()
            .into_owned();
        scenarios.push((
            scenario.code,
            scenario.causes.is_empty(),
            scenario.source.clone(),
        ));
        trials.push(Trial::test(name.clone(), move || run(&name, &scenario)));
    }
    trials.push(Trial::test("there_are_as_many_as_promised", move || {
        let count = |code| {
            scenarios
                .iter()
                .filter(|(other, ..)| *other == code)
                .count()
        };
        let (broken, healthy) = (count(78), count(0));
        let without_cause = scenarios.iter().filter(|(_, without, _)| *without).count();
        let mut sources: Vec<_> = scenarios
            .iter()
            .filter_map(|(.., source)| source.clone())
            .collect();
        sources.sort();
        sources.dedup();
        let told = format!(
            "{broken} broken, {healthy} healthy, {without_cause} without a cause, {} threads",
            sources.len()
        );
        let is_enough = broken >= MIN_BROKEN
            && healthy >= MIN_HEALTHY
            && without_cause >= MIN_WITHOUT_CAUSE
            && sources.len() >= MIN_SOURCES;
        if is_enough { Ok(()) } else { Err(told.into()) }
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Runs a scenario in every form, and holds all of them to the same promises.
fn run(name: &str, scenario: &Scenario) -> Result<(), Failed> {
    let folder = Folder::new(name, scenario);
    let check = |more: &[&str]| {
        let arguments = scenario.arguments.iter().map(String::as_str);
        folder.guard(
            scenario,
            ["check"]
                .into_iter()
                .chain(arguments)
                .chain(more.iter().copied()),
        )
    };
    let text = check(&[]);
    let json = check(&["--format", "json"]);
    let github = check(&["--format", "github"]);
    let mut outputs = vec![text, json, github];
    let runs = scenario.arguments.is_empty();
    if runs {
        let words = scenario.command.clone().unwrap_or(vec!["true".to_owned()]);
        let separator = ["--"].into_iter().filter(|_| !words.is_empty());
        let words = words.iter().map(String::as_str);
        outputs.push(folder.guard(scenario, ["run"].into_iter().chain(separator).chain(words)));
    }
    let shown: Vec<String> = outputs.iter().map(shown).collect();
    let whole = shown.join("\n");
    let mut wrong = Vec::new();
    for (index, output) in outputs.iter().enumerate() {
        let is_run = runs && index + 1 == outputs.len();
        let code = scenario
            .run_code
            .filter(|_| is_run)
            .unwrap_or(scenario.code);
        if output.status.code() != Some(code) {
            wrong.push(format!("it ended with {} instead of {code}", output.status));
        }
        let told = in_one_line(&String::from_utf8_lossy(&output.stderr));
        for text in scenario.run_says.iter().filter(|_| is_run) {
            if !told.contains(&in_one_line(text)) {
                wrong.push(format!("run does not say {text:?}"));
            }
        }
    }
    let summary: serde_json::Value = String::from_utf8_lossy(&outputs[1].stdout)
        .lines()
        .last()
        .and_then(|line| serde_json::from_str(line).ok())
        .unwrap_or_default();
    let causes: Vec<&str> = texts(&summary["causes"], "cause");
    if causes != scenario.causes {
        wrong.push(format!(
            "the causes are {causes:?} instead of {:?}",
            scenario.causes
        ));
    }
    let told = in_one_line(&shown[0]);
    for text in &scenario.says {
        if !told.contains(&in_one_line(text)) {
            wrong.push(format!("it does not say {text:?}"));
        }
    }
    let commands: Vec<&str> = summary["fixes"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|fix| fix["commands"].as_array().into_iter().flatten())
        .filter_map(serde_json::Value::as_str)
        .collect();
    let commands = in_one_line(&commands.join("\n").replace(" \\\n", " "));
    for text in &scenario.fix {
        if !commands.contains(text.as_str()) {
            wrong.push(format!("no command has {text:?} in it"));
        }
    }
    if scenario.fix.is_empty() && !commands.is_empty() {
        wrong.push("there are commands, and none is expected".to_owned());
    }
    for text in scenario.never.iter().chain(&secrets(scenario)) {
        if whole.contains(text.as_str()) {
            wrong.push(format!("{text:?} is shown"));
        }
    }
    let explained: Vec<&str> = list(&summary["causes"])
        .flat_map(|cause| list(&cause["variables"]).filter_map(serde_json::Value::as_str))
        .collect();
    let missing = list(&summary["findings"]).filter(|finding| finding["finding"] == "missing");
    for name in missing.filter_map(|finding| finding["variable"].as_str()) {
        if explained.iter().filter(|other| **other == name).count() > 1 {
            wrong.push(format!("{name} is missing for several reasons"));
        }
    }
    wrong.extend(fixes::wrong(name, scenario, &summary));
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n{whole}", wrong.join("\n")).into())
}

/// Values that must not be shown: all but the platform's names, and what the manifest itself says.
fn secrets(scenario: &Scenario) -> Vec<String> {
    const OPEN: [&str; 10] = [
        "RAILWAY_",
        "FLY_",
        "RENDER",
        "HEROKU_",
        "DYNO",
        "K_",
        "KUBERNETES_",
        "ECS_",
        "HOSTNAME",
        "STARTUP_GUARD_",
    ];
    let manifest = serde_yaml::to_string(&scenario.manifest).unwrap_or_default();
    let values = scenario
        .environment
        .iter()
        .filter(|(name, _)| !OPEN.iter().any(|open| name.starts_with(open)));
    values
        .map(|(_, value)| value.trim().to_owned())
        .filter(|value| value.len() >= 6 && !manifest.contains(value.as_str()))
        .collect()
}

fn list(value: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    value.as_array().into_iter().flatten()
}

fn texts<'a>(items: &'a serde_json::Value, field: &str) -> Vec<&'a str> {
    list(items)
        .filter_map(|item| item[field].as_str())
        .collect()
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shown(output: &Output) -> String {
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("{stdout}--- stderr\n{stderr}")
}

/// A working directory of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, scenario: &Scenario) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("scenario-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the folder can be made");
        let manifest = match &scenario.manifest {
            serde_yaml::Value::String(text) => text.clone(),
            manifest => serde_yaml::to_string(manifest).expect("a value is YAML"),
        };
        fs::write(path.join("required-vars.yaml"), manifest).expect("the manifest can be written");
        for (file, content) in &scenario.files {
            fs::write(path.join(file), content).expect("the file can be written");
        }
        for (file, content) in &scenario.scripts {
            let file = path.join(file);
            fs::write(&file, content).expect("the script can be written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
                .expect("it can be made executable");
        }
        Self(path)
    }

    fn guard<'a>(
        &self,
        scenario: &Scenario,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Output {
        let mut command = self.command(scenario);
        command.args(arguments).output().expect("the guard runs")
    }

    fn command(&self, scenario: &Scenario) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_startup-guard"));
        command
            .current_dir(&self.0)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("STARTUP_GUARD_LOG", "text")
            .envs(&scenario.environment)
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
