//! The recipes in `examples/ci`: they have the form that GitHub and GitLab expect, and their scripts find what is out of
//! date.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Test;
use crate::examples::{changed, documents, example, rejects, succeeds, text_of, words};
use crate::postgres::venv;
use crate::support::{Ended, Folder, Guard};

pub const TESTS: &[Test] = &[
    ("the_schemas_of_ci_admit_the_recipes", &[], ci_schemas),
    (
        "the_steps_of_github_actions_find_what_is_out_of_date",
        &[],
        github_run,
    ),
    (
        "the_scripts_of_gitlab_find_what_is_out_of_date",
        &[],
        gitlab_run,
    ),
];

fn ci_schemas() {
    let validate = |schema: &str, file: &Path| {
        let mut command = Command::new(venv("python"));
        command
            .args(["-m", "check_jsonschema", "--builtin-schema", schema])
            .arg(file);
        command
    };
    let folder = Folder::new();
    for (path, schema, from, to) in [
        (
            "ci/github-actions.yml",
            "vendor.github-workflows",
            "runs-on:",
            "run-on:",
        ),
        (
            "ci/gitlab-ci.yml",
            "vendor.gitlab-ci",
            "script:",
            "scripts:",
        ),
    ] {
        succeeds(&mut validate(schema, &example(path)));
        let file = changed(&folder, path, from, to);
        rejects(&mut validate(schema, &file), "Schema validation errors");
    }
}

/// The folder of a service whose code, manifest and `.env.example` agree.
fn checkout() -> Folder {
    let folder = Folder::new();
    fs::create_dir_all(folder.path().join("app")).expect("a folder can be made");
    folder.file(
        "app/config.py",
        "import os\nURL = os.environ[\"DATABASE_URL\"]\nKEY = os.environ[\"JWT_SECRET\"]\n",
    );
    folder.file(
        "required-vars.yaml",
        "version: 1\nvariables:\n  DATABASE_URL: {type: url, secret: true}\n  JWT_SECRET: {secret: true, min_length: 32}\n",
    );
    let template = Guard::new().in_folder(folder.path()).line("template");
    folder.file(".env.example", template.run().expect_code(0).stdout);
    folder
}

/// The env file of production.
const PRODUCTION: &str =
    "DATABASE_URL=postgresql://app:canary-password-0123@db.example.com:5432/app
JWT_SECRET=canary-jwt-0123456789abcdefghijklmnop
";

/// Runs a script of a CI job with `sh -e` in a folder that has the programs `bin`.
fn run_script(shell: &[&str], script: &str, folder: &Folder, values: &[(&str, &str)]) -> Ended {
    let bin = folder.path().join("bin");
    let mut guard = Guard::instead(shell[0])
        .args(&shell[1..])
        .args([script])
        .in_folder(folder.path())
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    for (name, value) in values {
        guard = guard.env(name, value);
    }
    guard.run().expect_never("canary")
}

/// Runs the checks of a pull request and of the production environment: first as they are, then after a change of the
/// code, of the manifest or of the environment.
fn finds_changes(
    pull_request: impl Fn(&Folder) -> Vec<i32>,
    production: impl Fn(&Folder, &str) -> i32,
) {
    let folder = checkout();
    assert_eq!(pull_request(&folder), [0, 0]);
    assert_eq!(production(&folder, PRODUCTION), 0);
    assert_eq!(
        production(&folder, &PRODUCTION.replace("0123456789", "")),
        78
    );
    assert_eq!(
        production(&folder, ""),
        65,
        "the secret of the CI is not set"
    );
    folder.file(
        "app/extra.py",
        "import os\nNEW = os.environ[\"NEW_SETTING\"]\n",
    );
    assert_eq!(
        pull_request(&folder),
        [0, 78],
        "the code reads a variable that is not declared"
    );
    let manifest =
        fs::read_to_string(folder.path().join("required-vars.yaml")).expect("it can be read");
    folder.file(
        "required-vars.yaml",
        manifest.replacen("variables:\n", "variables:\n  NEW_SETTING: {}\n", 1),
    );
    assert_eq!(
        pull_request(&folder),
        [78, 0],
        "the example file lacks the new variable"
    );
}

fn github_run() {
    let workflow = &documents(&text_of("ci/github-actions.yml"))[0];
    let steps = workflow["jobs"]["environment"]["steps"].as_array();
    let step = |name: &str| {
        let mut steps = steps.expect("there are steps").iter();
        let step = steps.find(|step| {
            step["name"]
                .as_str()
                .is_some_and(|text| text.contains(name))
        });
        step.unwrap_or_else(|| panic!("there is no step {name}"))
    };
    // The shell of GitHub's Linux runners.
    let run = |folder: &Folder, name: &str, values: &[(&str, &str)]| {
        let step = step(name);
        for variable in step["env"].as_object().into_iter().flatten() {
            assert!(
                values.iter().any(|(name, _)| name == variable.0),
                "{variable:?}"
            );
        }
        let script = step["run"].as_str().expect("the step has a script");
        run_script(
            &["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"],
            script,
            folder,
            values,
        )
    };
    let install = |folder: &Folder| {
        let bin = folder.path().join("bin");
        fs::create_dir_all(&bin).expect("a folder can be made");
        folder.script(
            "bin/docker",
            &format!(
                "#!/bin/sh\ncase \"$*\" in\n\"create registry.example.com/startup-guard\") echo a1b2 ;;\n\"cp a1b2:/startup-guard \"*) cp '{}' \"$3\" ;;\n\"rm a1b2\") ;;\n*) exit 1 ;;\nesac\n",
                env!("CARGO_BIN_EXE_startup-guard")
            ),
        );
        let temporary = folder.path().display().to_string();
        let list = folder.file("path", "").display().to_string();
        let values = [
            ("STARTUP_GUARD_IMAGE", "registry.example.com/startup-guard"),
            ("RUNNER_TEMP", &temporary),
            ("GITHUB_PATH", &list),
        ];
        run(folder, "Install", &values).expect_code(0);
        let added = fs::read_to_string(&list).expect("the step has added to PATH");
        assert_eq!(added, format!("{}\n", bin.display()));
    };
    finds_changes(
        |folder| {
            install(folder);
            let names = ["Compare .env.example", "Compare the code"];
            names.map(|name| run(folder, name, &[]).code()).to_vec()
        },
        |folder, production| {
            let values = [("PRODUCTION_ENV", production)];
            run(folder, "Check the production", &values).code()
        },
    );
}

fn gitlab_run() {
    let jobs = &documents(&text_of("ci/gitlab-ci.yml"))[0];
    let run = |folder: &Folder, script: &str, values: &[(&str, &str)]| {
        let bin = folder.path().join("bin");
        fs::create_dir_all(&bin).expect("a folder can be made");
        let guard = bin.join("startup-guard");
        if !guard.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_startup-guard"), guard)
                .expect("a link can be made");
        }
        run_script(&["sh", "-e", "-c"], script, folder, values).code()
    };
    finds_changes(
        |folder| {
            let scripts = words(&jobs["manifest"]["script"]);
            scripts
                .iter()
                .map(|script| run(folder, script, &[]))
                .collect()
        },
        |folder, production| {
            let scripts = words(&jobs["production environment"]["script"]);
            let [script] = scripts.as_slice() else {
                panic!("there is one line");
            };
            let file = folder
                .file("production.env", production)
                .display()
                .to_string();
            run(folder, script, &[("PRODUCTION_ENV", &file)])
        },
    );
}
