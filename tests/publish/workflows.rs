//! The workflows in `.github/workflows`, and the scripts in `.ci` that they run. No workflow can run here as a whole:
//! the tools that know GitHub's rules read them, and their scripts are run one by one, with stand-ins for the programs
//! that would publish something.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::postgres::venv;
use crate::support::Folder;
use crate::{ROOT, Test, root, succeeds};

pub const TESTS: &[Test] = &[
    ("the_schemas_admit_the_workflows", &[], schemas),
    ("zizmor_finds_nothing_in_the_workflows", &[], zizmor),
    (
        "shellcheck_finds_nothing_in_the_scripts_of_the_workflows",
        &["shellcheck"],
        shellcheck_runs,
    ),
    (
        "shellcheck_finds_nothing_in_any_script",
        &["shellcheck"],
        shellcheck_files,
    ),
    (
        "every_action_and_tool_of_the_workflows_is_pinned",
        &[],
        pinned,
    ),
    ("everything_that_the_workflows_run_exists", &[], exists),
    (
        "nothing_is_published_before_all_is_built_and_tested",
        &[],
        order,
    ),
    ("the_toolchain_is_the_one_of_cargo_toml", &[], toolchain),
    (
        "the_tests_of_the_containers_get_their_base_images",
        &[],
        base_images,
    ),
    ("the_notes_are_the_section_of_the_version", &[], notes),
    ("a_release_without_notes_is_refused", &[], no_notes),
    ("a_tag_of_another_version_is_refused", &[], tags),
    (
        "what_is_built_is_tested_before_it_is_published",
        &[ROOT],
        smoke,
    ),
    ("the_sums_cover_exactly_the_promised_files", &[], sums),
    ("the_image_and_pypi_get_their_files", &[], selection),
    (
        "the_image_of_a_release_has_the_labels_of_the_dockerfile",
        &[],
        labels,
    ),
    (
        "a_crate_that_is_published_is_not_published_again",
        &["jq"],
        crates_io,
    ),
    (
        "a_release_on_github_is_published_with_all_its_files_once",
        &[],
        github,
    ),
];

const WORKFLOWS: [&str; 2] = ["ci.yml", "release.yml"];
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn path(name: &str) -> PathBuf {
    root().join(".github/workflows").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).expect("the workflow can be read")
}

/// The jobs of a workflow by their names.
fn jobs(name: &str) -> BTreeMap<String, Value> {
    let workflow: Value = serde_yaml::from_str(&text(name)).expect("the workflow is YAML");
    let jobs = workflow["jobs"].as_object().expect("it has jobs");
    jobs.clone().into_iter().collect()
}

/// The scripts of a workflow, each with the name of its step.
fn scripts(name: &str) -> Vec<(String, String)> {
    jobs(name)
        .values()
        .filter_map(|job| job["steps"].as_array())
        .flatten()
        .filter_map(|step| {
            let script = step["run"].as_str()?.to_owned();
            Some((step["name"].as_str().expect("a name").to_owned(), script))
        })
        .collect()
}

/// Runs the script of a step of the release as GitHub does, in a folder whose `bin` is searched first for programs.
fn run_step(folder: &Folder, step: &str, variables: &[(&str, &str)]) -> Output {
    let scripts = scripts("release.yml");
    let (_, script) = scripts
        .iter()
        .find(|(name, _)| name == step)
        .unwrap_or_else(|| panic!("the release has no step {step:?}"));
    let script = folder.file("step.sh", script);
    let inherited = std::env::var("PATH").expect("there is a PATH");
    Command::new("bash")
        .args(["--noprofile", "--norc", "-eo", "pipefail"])
        .arg(script)
        .current_dir(folder.path())
        .env(
            "PATH",
            format!("{}/bin:{inherited}", folder.path().display()),
        )
        .env("GITHUB_OUTPUT", folder.path().join("output"))
        .env("RUNNER_TEMP", folder.path())
        .envs(variables.iter().copied())
        .output()
        .expect("bash starts")
}

/// A script in the `bin` of a folder that stands in for a program.
fn stand_in(folder: &Folder, program: &str, script: &str) {
    fs::create_dir_all(folder.path().join("bin")).expect("a folder can be made");
    folder.script(&format!("bin/{program}"), script);
}

fn both(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    format!("{stdout}{}", String::from_utf8_lossy(&output.stderr))
}

/// Asserts that a program ends with this code and says this.
#[track_caller]
fn ends(output: &Output, code: i32, said: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", both(output));
    assert!(both(output).contains(said), "{}", both(output));
}

/// Asserts that a tool admits a file, and rejects it, for the reason given, once a text is replaced in it.
#[track_caller]
fn admits(tool: impl Fn() -> Command, file: &Path, from: &str, to: &str, code: i32, reason: &str) {
    succeeds(tool().arg(file));
    let text = fs::read_to_string(file).expect("the file can be read");
    assert!(text.contains(from), "there is no {from:?}");
    let folder = Folder::new();
    let name = file.file_name().expect("a file has a name");
    let broken = folder.file(
        name.to_str().expect("the name is text"),
        text.replace(from, to),
    );
    let output = tool().arg(broken).output().expect("the tool starts");
    ends(&output, code, reason);
}

fn schemas() {
    let validate = |schema: &'static str| {
        move || {
            let mut command = Command::new(venv("check-jsonschema"));
            command.args(["--builtin-schema", schema]);
            command
        }
    };
    let wrong = "Schema validation errors";
    for name in WORKFLOWS {
        let tool = validate("vendor.github-workflows");
        admits(tool, &path(name), "runs-on:", "run-on:", 1, wrong);
    }
    let dependabot = root().join(".github/dependabot.yml");
    let tool = validate("vendor.dependabot");
    admits(tool, &dependabot, "schedule:", "schedules:", 1, wrong);
}

fn zizmor() {
    let tool = || {
        let mut command = Command::new(venv("zizmor"));
        command.args(["--offline", "--no-progress", "--strict-collection"]);
        command.args(["--persona", "auditor"]);
        command
    };
    succeeds(tool().arg(root().join(".github")));
    // It tells the highest severity with its exit code: 13 is medium, and 14 is high.
    let (from, to) = ("persist-credentials: false", "persist-credentials: true");
    admits(tool, &path("ci.yml"), from, to, 13, "artipacked");
    let (from, to) = ("\"$TAG\" >", "\"${{ inputs.tag }}\" >");
    admits(
        tool,
        &path("release.yml"),
        from,
        to,
        14,
        "template-injection",
    );
}

fn shellcheck(shell: Option<&str>, files: &[PathBuf]) -> Output {
    let mut command = Command::new("shellcheck");
    command.args(["--norc", "--severity", "style"]);
    command.args(shell.map(|shell| format!("--shell={shell}")));
    let output = command.args(files).output();
    output.expect("shellcheck starts")
}

fn shellcheck_runs() {
    let folder = Folder::new();
    let mut files = Vec::new();
    for name in WORKFLOWS {
        for (step, script) in scripts(name) {
            // GitHub would replace it in the script's text, which nobody could check.
            assert!(!script.contains("${{"), "{name}: {step}: {script}");
            files.push(folder.file(&format!("{name}: {}", files.len()), script));
        }
    }
    assert!(files.len() > 10, "{files:?}");
    ends(&shellcheck(Some("bash"), &files), 0, "");
    let broken = folder.file("broken", "tar -xzf $archive\n");
    ends(&shellcheck(Some("bash"), &[broken]), 1, "SC2086");
}

/// The files below a folder, or the file itself.
fn files_below(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).into_iter().flatten();
    entries
        .flat_map(|entry| files_below(&entry.expect("the entry can be read").path()))
        .collect()
}

fn shellcheck_files() {
    let is_script = |file: &PathBuf| {
        let bytes = fs::read(file).unwrap_or_default();
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
        let line = String::from_utf8_lossy(line);
        line.starts_with("#!") && line.ends_with("sh")
    };
    let scripts: Vec<PathBuf> = [".ci", "benches", "examples", "tests", "install.sh"]
        .iter()
        .flat_map(|place| files_below(&root().join(place)))
        .filter(is_script)
        .collect();
    for known in [".ci/run", ".ci/smoke", "benches/start.sh"] {
        assert!(scripts.contains(&root().join(known)), "{scripts:?}");
    }
    ends(&shellcheck(None, &scripts), 0, "");
}

fn pinned() {
    let mut digests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let pin =
        regex_lite::Regex::new(r"^([\w./-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)$").expect("a pattern");
    for name in WORKFLOWS {
        for line in text(name).lines() {
            let Some((_, action)) = line.split_once("uses: ") else {
                continue;
            };
            if action.starts_with("./") {
                continue;
            }
            let parts = pin.captures(action);
            let parts = parts.unwrap_or_else(|| panic!("{name}: {action} is not pinned"));
            digests
                .entry(parts[1].to_owned())
                .or_default()
                .insert(parts[2].to_owned());
        }
        let tool = regex_lite::Regex::new(r"cargo install --locked [\w-]+@\d+\.\d+\.\d+$")
            .expect("a pattern");
        for (step, script) in scripts(name) {
            for line in script.lines().filter(|line| line.contains("cargo install")) {
                assert!(tool.is_match(line), "{name}: {step}: {line}");
            }
        }
    }
    assert!(digests.len() >= 5, "{digests:?}");
    for (action, digests) in digests {
        assert_eq!(digests.len(), 1, "{action} has several: {digests:?}");
    }
}

fn exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("there is a Makefile");
    let run = regex_lite::Regex::new(r"(?:^|\s)(make [a-z-]+|\.ci/[a-z-]+)").expect("a pattern");
    let mut found = BTreeSet::new();
    let mut scripts: Vec<String> = WORKFLOWS
        .iter()
        .flat_map(|name| scripts(name))
        .map(|(_, script)| script)
        .collect();
    // They run further ones.
    for file in files_below(&root().join(".ci")) {
        scripts.push(fs::read_to_string(file).expect("it is text"));
    }
    for script in scripts {
        let is_comment = |line: &&str| line.trim_start().starts_with('#');
        for line in script.lines().filter(|line| !is_comment(line)) {
            for command in run.captures_iter(line) {
                found.insert(command[1].to_owned());
            }
        }
    }
    for known in ["make dist", "make wheel", "make test", ".ci/run"] {
        assert!(found.contains(known), "{found:?}");
    }
    assert!(root().join("install.sh").exists());
    for command in found {
        let is_there = match command.strip_prefix("make ") {
            Some(target) => makefile.contains(&format!("\n{target}:")),
            None => root().join(&command).exists(),
        };
        assert!(is_there, "there is no {command}");
    }
}

/// The jobs that a job needs, with all that these need.
fn all_needs(jobs: &BTreeMap<String, Value>, job: &str) -> BTreeSet<String> {
    let needs = &jobs[job]["needs"];
    let direct: Vec<&str> = match needs.as_array() {
        Some(list) => list.iter().filter_map(Value::as_str).collect(),
        None => needs.as_str().into_iter().collect(),
    };
    direct
        .iter()
        .flat_map(|need| {
            let mut all = all_needs(jobs, need);
            all.insert((*need).to_owned());
            all
        })
        .collect()
}

fn order() {
    let jobs = jobs("release.yml");
    let mut publishing = BTreeSet::new();
    for (name, job) in &jobs {
        let permissions = job["permissions"].as_object();
        let permissions = permissions.unwrap_or_else(|| panic!("{name} has no permissions"));
        if permissions.values().any(|access| access == "write") {
            publishing.insert(name.as_str());
            assert_eq!(job["if"], "github.event_name == 'push'", "{name}");
            let needs = all_needs(&jobs, name);
            for need in ["version", "ci", "build", "files"] {
                assert!(needs.contains(need), "{name} needs {needs:?}");
            }
        }
        let calls_a_workflow = job["uses"].is_string();
        assert!(
            calls_a_workflow || job["timeout-minutes"].is_u64(),
            "{name} has no time limit"
        );
    }
    let all = ["attest", "crates-io", "github", "image", "pypi"];
    assert_eq!(publishing, BTreeSet::from(all));
    let needs = all_needs(&jobs, "github");
    for earlier in ["attest", "crates-io", "image", "pypi"] {
        assert!(needs.contains(earlier), "{needs:?}");
        assert_eq!(jobs[earlier]["environment"], "release");
    }
}

fn toolchain() {
    let folder = Folder::new();
    stand_in(&folder, "rustup", "echo \"$*\"");
    let output = Command::new(root().join(".ci/rust"))
        .arg("aarch64-unknown-linux-musl")
        .env(
            "PATH",
            format!("{}/bin:/usr/bin:/bin", folder.path().display()),
        )
        .output()
        .expect("the script starts");
    let version = env!("CARGO_PKG_RUST_VERSION");
    let expected = format!(
        "toolchain install {version} --profile minimal --component clippy --component rustfmt --no-self-update\n\
         default {version}\n\
         target add aarch64-unknown-linux-musl\n"
    );
    ends(&output, 0, "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

/// Runs `.ci/release-notes` where Cargo.toml has a version and CHANGELOG.md has a text.
fn release_notes(version: &str, changelog: &str, tag: &str) -> Output {
    let folder = Folder::new();
    let cargo =
        format!("[package]\nversion = \"{version}\"\n\n[dependencies.x]\nversion = \"9\"\n");
    folder.file("Cargo.toml", cargo);
    folder.file("CHANGELOG.md", changelog);
    Command::new(root().join(".ci/release-notes"))
        .arg(tag)
        .current_dir(folder.path())
        .output()
        .expect("the script starts")
}

const CHANGELOG: &str = "# Changelog\n\n## Unreleased\n\n### Added\n\n- next\n\n\
    ## 1.10.0 - 2026-02-01\n\n### Added\n\n- `new`: ## is no heading here\n\n### Fixed\n\n- old\n\n\
    ## 1.1.0 - 2026-01-01\n\n- first\n\n## 1.0.0 - 2025-12-01\n\n### Added\n\n";

fn notes() {
    let output = release_notes("1.10.0", CHANGELOG, "v1.10.0");
    ends(&output, 0, "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "### Added\n\n- `new`: ## is no heading here\n\n### Fixed\n\n- old\n"
    );
    let output = release_notes("1.1.0", CHANGELOG, "v1.1.0");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "- first\n");

    // The real one, as it is for the release of this version.
    let real = fs::read_to_string(root().join("CHANGELOG.md")).expect("there is a CHANGELOG.md");
    let heading = format!("## {VERSION} - ");
    let real = if real.contains(&heading) {
        real
    } else {
        real.replacen("## Unreleased\n", &format!("{heading}2026-01-01\n"), 1)
    };
    let (_, section) = real.split_once(&heading).expect("it has the section");
    let (_, section) = section.split_once('\n').expect("the heading is a line");
    let section = section.split("\n## ").next().expect("it has an end").trim();
    assert!(section.contains("\n- "), "{section}");
    let output = release_notes(VERSION, &real, &format!("v{VERSION}"));
    ends(&output, 0, "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{section}\n")
    );
}

fn no_notes() {
    let output = release_notes("1.2.0", CHANGELOG, "v1.2.0");
    ends(
        &output,
        1,
        "CHANGELOG.md has no section \"## 1.2.0 - DATE\"",
    );
    let output = release_notes("1.0.0", CHANGELOG, "v1.0.0");
    ends(&output, 1, "the section 1.0.0 of CHANGELOG.md is empty");
    // A dot is no wildcard.
    let output = release_notes("1.1.0", &CHANGELOG.replace("1.1.0", "1x1.0"), "v1.1.0");
    ends(
        &output,
        1,
        "CHANGELOG.md has no section \"## 1.1.0 - DATE\"",
    );
}

fn tags() {
    for tag in ["v1.1.1", "1.1.0", "v1.1.0-rc.1", "v1.1", ""] {
        let said =
            format!("the tag is {tag}, but Cargo.toml has the version 1.1.0, whose tag is v1.1.0");
        ends(&release_notes("1.1.0", CHANGELOG, tag), 1, &said);
    }
    // The workflow passes the version on without the letter.
    let folder = Folder::new();
    fs::create_dir(folder.path().join(".ci")).expect("a folder can be made");
    folder.script(".ci/release-notes", "echo \"the notes of $1\"");
    let step = "Compare the tag with Cargo.toml, and extract the notes from CHANGELOG.md";
    ends(&run_step(&folder, step, &[("TAG", "v1.1.0")]), 0, "");
    let read = |name| fs::read_to_string(folder.path().join(name)).expect("it was written");
    assert_eq!(read("notes.md"), "the notes of v1.1.0\n");
    assert_eq!(read("output"), "version=1.1.0\n");
    folder.script(".ci/release-notes", "exit 1");
    folder.file("output", "");
    ends(&run_step(&folder, step, &[("TAG", "v1.1.0")]), 1, "");
    assert_eq!(read("output"), "");
}

/// Packs the guard of these tests, or another program, into a wheel.
const WHEEL: &str = r#"
import sys, zipfile
program, wheel, version = sys.argv[1:]
name = f"startup_guard-{version}"
with zipfile.ZipFile(wheel, "w") as archive:
    info = zipfile.ZipInfo(f"{name}.data/scripts/startup-guard")
    info.external_attr = 0o100755 << 16
    archive.writestr(info, open(program, "rb").read())
    archive.writestr(f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: startup-guard\nVersion: {version}\n")
    archive.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n")
    archive.writestr(f"{name}.dist-info/RECORD", "")
"#;

fn smoke() {
    let folder = Folder::new();
    let guard = env!("CARGO_BIN_EXE_startup-guard");
    let archive = |name: &str, files: &[&str]| {
        let archive = folder.path().join(name);
        succeeds(
            Command::new("tar")
                .args(["-I", "gzip -1", "-cf"])
                .arg(&archive)
                .args(files)
                .current_dir(folder.path()),
        );
        archive
    };
    let wheel = |name: &str, program: &Path| {
        let wheel = folder
            .path()
            .join(name)
            .join(format!("startup_guard-{VERSION}-py3-none-any.whl"));
        fs::create_dir(folder.path().join(name)).expect("a folder can be made");
        succeeds(
            Command::new("python3")
                .args(["-c", WHEEL])
                .args([program, &wheel])
                .arg(VERSION),
        );
        wheel
    };
    let files = [
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "startup-guard",
    ];
    for file in files.iter().chain(&["other"]) {
        folder.file(file, "text");
    }
    let short = archive("short.tar.gz", &files[1..]);
    let long = archive("long.tar.gz", &[&files[..], &["other"]].concat());
    let program = folder.path().join("startup-guard");
    // A program that needs a C library.
    fs::copy("/bin/true", &program).expect("it can be copied");
    let dynamic = archive("dynamic.tar.gz", &files);
    // The debugging symbols would only take time.
    succeeds(Command::new("strip").args([guard, "-o"]).arg(&program));
    let good = archive("good.tar.gz", &files);
    let right = wheel("right", &program);
    let wrong = wheel("wrong", Path::new("/bin/true"));
    let version = succeeds(Command::new(guard).arg("--version"));
    let version = version.trim_end();
    let run = |archive: &Path, wheel: &Path, version: &str| {
        let mut command = Command::new(root().join(".ci/smoke"));
        command.arg(archive).arg(wheel).arg(version);
        command.output().expect("the script starts")
    };
    let works = format!("smoke: {version}: the archive and the wheel work\n");
    ends(&run(&good, &right, version), 0, &works);
    let other = "startup-guard 9.9.9";
    let said = format!("the program prints \"{version}\", not \"{other}\"");
    ends(&run(&good, &right, other), 1, &said);
    let said = "contains LICENSE-MIT README.md startup-guard , not";
    ends(&run(&short, &right, version), 1, said);
    let said = "contains LICENSE-APACHE LICENSE-MIT README.md other startup-guard , not";
    ends(&run(&long, &right, version), 1, said);
    let said = "the wheel and the archive have different programs";
    ends(&run(&good, &wrong, version), 1, said);
    // It does not run in an empty folder.
    let said = "chroot: failed to run command";
    ends(&run(&dynamic, &wrong, version), 127, said);
}

fn sums() {
    let wheel =
        |platform: &str| format!("startup_guard-1.2.3-py3-none-manylinux2014_{platform}.whl");
    let promised = [
        "install.sh".to_owned(),
        "startup-guard-1.2.3.cdx.json".to_owned(),
        "startup-guard-aarch64-unknown-linux-musl.tar.gz".to_owned(),
        "startup-guard-x86_64-unknown-linux-musl.tar.gz".to_owned(),
        wheel("aarch64"),
        wheel("x86_64"),
        "startup_guard-1.2.3.tar.gz".to_owned(),
    ];
    let folder = Folder::new();
    for name in &promised {
        folder.file(name, format!("the content of {name}"));
    }
    let run = |version: &str| {
        let mut command = Command::new(root().join(".ci/sums"));
        command.arg(folder.path()).arg(version);
        command.output().expect("the script starts")
    };
    // Twice: sums of an earlier run are replaced.
    for _ in 0..2 {
        ends(&run("1.2.3"), 0, "");
    }
    let sums = folder.path().join("SHA256SUMS");
    let text = fs::read_to_string(&sums).expect("the sums were written");
    let names: BTreeSet<&str> = text.lines().filter_map(|line| line.get(66..)).collect();
    assert_eq!(names, promised.iter().map(String::as_str).collect());
    succeeds(
        Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(folder.path()),
    );

    let refused =
        "sums: a release has 2 archives, 2 wheels, 1 source distribution, 1 SBOM and install.sh";
    ends(&run("1.2.4"), 1, refused);
    assert!(!sums.exists());
    let extra = folder.file("other", "");
    ends(&run("1.2.3"), 1, refused);
    fs::remove_file(extra).expect("it can be removed");
    for name in &promised {
        fs::remove_file(folder.path().join(name)).expect("it can be removed");
        ends(&run("1.2.3"), 1, refused);
        folder.file(name, "");
    }
    ends(&run("1.2.3"), 0, "");
}

fn selection() {
    let folder = Folder::new();
    for name in [".ci", ".ci/image", "release"] {
        fs::create_dir(folder.path().join(name)).expect("a folder can be made");
    }
    for architecture in ["x86_64", "aarch64"] {
        folder.file("startup-guard", architecture);
        let archive = format!("release/startup-guard-{architecture}-unknown-linux-musl.tar.gz");
        succeeds(
            Command::new("tar")
                .args(["-czf", &archive, "startup-guard"])
                .current_dir(folder.path()),
        );
        folder.file(&format!("release/startup_guard-1-{architecture}.whl"), "");
    }
    folder.file("release/startup_guard-1.tar.gz", "");
    folder.file("release/startup-guard-1.cdx.json", "");
    folder.file("release/install.sh", "");

    ends(&run_step(&folder, "Unpack the programs", &[]), 0, "");
    for (platform, architecture) in [("amd64", "x86_64"), ("arm64", "aarch64")] {
        let program = folder.path().join(".ci/image").join(platform);
        let program = fs::read_to_string(program.join("startup-guard"));
        assert_eq!(program.expect("it was unpacked"), architecture);
    }

    let step = "Select the wheels and the source distribution";
    ends(&run_step(&folder, step, &[]), 0, "");
    let dist: BTreeSet<String> = files_below(&folder.path().join("dist"))
        .iter()
        .filter_map(|file| Some(file.file_name()?.to_str()?.to_owned()))
        .collect();
    let expected = ["1-aarch64.whl", "1-x86_64.whl", "1.tar.gz"];
    assert_eq!(
        dist,
        expected.map(|name| format!("startup_guard-{name}")).into()
    );
}

fn base_images() {
    let tests = root().join("tests/containers/images.rs");
    let tests = fs::read_to_string(tests).expect("it can be read");
    let image = regex_lite::Regex::new(r"\b(rust|python|postgres):[\w.-]+").expect("it is valid");
    let images = |text: &str| -> BTreeSet<String> {
        let found = image.find_iter(text);
        found.map(|found| found.as_str().to_owned()).collect()
    };
    let jobs = jobs("ci.yml");
    let steps = jobs["test"]["steps"].as_array().expect("it has steps");
    let script = |step: &Value| step["run"].as_str().map(str::to_owned);
    let scripts: Vec<String> = steps.iter().filter_map(script).collect();
    let pulls = scripts.iter().position(|run| run.contains("docker pull"));
    let pulls = pulls.expect("a step pulls images");
    assert_eq!(images(&scripts[pulls]), images(&tests));
    let tests = scripts.iter().position(|run| run == ".ci/run");
    assert!(tests.expect("a step runs the tests") > pulls);
}

/// The names of the labels are compared with the Dockerfile's, whose values tests/containers compares with Cargo.toml.
fn labels() {
    let jobs = jobs("release.yml");
    let steps = jobs["image"]["steps"].as_array().expect("it has steps");
    let labels = steps
        .iter()
        .find_map(|step| step["with"]["labels"].as_str());
    let labels = labels.expect("a step sets labels").lines();
    let labels: BTreeMap<&str, &str> = labels.filter_map(|line| line.split_once('=')).collect();
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).expect("it can be read");
    let words = dockerfile.split_whitespace();
    let names = words.filter_map(|word| word.split_once('=').map(|(name, _)| name));
    let names: BTreeSet<&str> = names
        .filter(|name| name.starts_with("org.opencontainers."))
        .collect();
    assert!(labels.keys().eq(names.iter()), "{labels:?} {names:?}");
    for (name, value) in [
        ("title", env!("CARGO_PKG_NAME")),
        ("description", env!("CARGO_PKG_DESCRIPTION")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
    ] {
        assert_eq!(labels[&*format!("org.opencontainers.image.{name}")], value);
    }
}

fn crates_io() {
    let folder = Folder::new();
    stand_in(
        &folder,
        "curl",
        "printf %s \"$BODY\" > \"$RUNNER_TEMP/versions\"\nprintf %s \"$STATUS\"",
    );
    let ask = |status: &str, body: &str| {
        folder.file("output", "");
        let variables = [("VERSION", "1.2.3"), ("STATUS", status), ("BODY", body)];
        let step = "Ask whether this version is there already";
        let output = run_step(&folder, step, &variables);
        let result = fs::read_to_string(folder.path().join("output"));
        (output, result.expect("there is an output"))
    };
    let line = |version: &str| {
        format!("{{\"name\":\"startup-guard\",\"vers\":\"{version}\",\"deps\":[]}}\n")
    };
    for (status, body, published) in [
        ("200", line("1.2.2") + &line("1.2.3"), true),
        ("200", line("1.2.2") + &line("1.2.30"), false),
        ("404", String::new(), false),
    ] {
        let (output, result) = ask(status, &body);
        ends(&output, 0, "");
        assert_eq!(result, format!("published={published}\n"));
    }
    let (output, result) = ask("503", &line("1.2.3"));
    ends(&output, 1, "The index of crates.io answers with 503.");
    assert_eq!(result, "");
    // Nothing is published for another answer.
    for name in ["Get a token", "Publish"] {
        let jobs = jobs("release.yml");
        let steps = jobs["crates-io"]["steps"].as_array().expect("it has steps");
        let step = steps.iter().find(|step| step["name"] == name);
        assert_eq!(
            step.expect("there is such a step")["if"],
            "steps.index.outputs.published == 'false'"
        );
    }
}

fn github() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("release")).expect("a folder can be made");
    folder.file("release/SHA256SUMS", "");
    folder.file("release/startup-guard-1.cdx.json", "");
    // It knows the release if DRAFT is set, and tells then whether it is a draft.
    stand_in(
        &folder,
        "gh",
        "case \"$2\" in\n\
         view) [ -n \"$DRAFT\" ] || { echo 'release not found' >&2; exit 1; }\necho \"$DRAFT\" ;;\n\
         *) echo \"$*\" >> calls ;;\n\
         esac",
    );
    let step = "Publish the release with all files at once";
    let publish = |draft: &str| {
        folder.file("calls", "");
        let variables = [("TAG", "v1.2.3"), ("DRAFT", draft)];
        ends(&run_step(&folder, step, &variables), 0, "");
        fs::read_to_string(folder.path().join("calls")).expect("there are calls")
    };
    let create =
        "release create v1.2.3 --draft --verify-tag --title v1.2.3 --notes-file notes.md\n";
    let rest = "release upload v1.2.3 --clobber release/SHA256SUMS release/startup-guard-1.cdx.json\n\
                release edit v1.2.3 --draft=false\n";
    assert_eq!(publish(""), format!("{create}{rest}"));
    assert_eq!(publish("true"), rest);
    assert_eq!(publish("false"), "");
    // Nothing is made while nobody knows whether there is a release.
    stand_in(
        &folder,
        "gh",
        "case \"$2\" in\nview) echo 'HTTP 502: Bad Gateway' >&2; exit 1 ;;\n*) echo \"$*\" >> calls ;;\nesac",
    );
    folder.file("calls", "");
    let output = run_step(&folder, step, &[("TAG", "v1.2.3")]);
    ends(&output, 1, "HTTP 502: Bad Gateway");
    let calls = fs::read_to_string(folder.path().join("calls"));
    assert_eq!(calls.expect("the file is there"), "");
}
