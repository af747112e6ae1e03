//! The recipes in `examples/ci`: they have the form that GitHub and GitLab expect, and the scripts for GitLab find what is
//! out of date. `tests/publish/action.rs` runs the recipe for GitHub.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Test;
use crate::examples::{changed, documents, example, rejects, succeeds, text_of, words};
use crate::postgres::venv;
use crate::support::{Folder, Guard};

pub const TESTS: &[Test] = &[
    ("the_schemas_of_ci_admit_the_recipes", &[], ci_schemas),
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

fn gitlab_run() {
    let jobs = &documents(&text_of("ci/gitlab-ci.yml"))[0];
    let folder = checkout();
    let bin = folder.path().join("bin");
    fs::create_dir_all(&bin).expect("a folder can be made");
    std::os::unix::fs::symlink(
        env!("CARGO_BIN_EXE_startup-guard"),
        bin.join("startup-guard"),
    )
    .expect("a link can be made");
    let run = |script: &str, file: &str| {
        let shell = Guard::instead("sh").args(["-e", "-c", script]);
        let shell = shell.in_folder(folder.path()).env("PRODUCTION_ENV", file);
        let shell = shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        shell.run().expect_never("canary").code()
    };
    let pull_request = || -> Vec<i32> {
        let scripts = words(&jobs["manifest"]["script"]);
        scripts.iter().map(|script| run(script, "")).collect()
    };
    let production = |content: &str| {
        let scripts = words(&jobs["production environment"]["script"]);
        let [script] = scripts.as_slice() else {
            panic!("there is one line");
        };
        let file = folder.file("production.env", content);
        run(script, &file.display().to_string())
    };
    assert_eq!(pull_request(), [0, 0]);
    assert_eq!(production(PRODUCTION), 0);
    assert_eq!(production(&PRODUCTION.replace("0123456789", "")), 78);
    assert_eq!(production(""), 65, "the variable of the CI is not set");
    folder.file(
        "app/extra.py",
        "import os\nNEW = os.environ[\"NEW_SETTING\"]\n",
    );
    let found = pull_request();
    assert_eq!(found, [0, 78], "the code reads an undeclared variable");
    let manifest = folder.path().join("required-vars.yaml");
    let manifest = fs::read_to_string(manifest).expect("it can be read");
    folder.file(
        "required-vars.yaml",
        manifest.replacen("variables:\n", "variables:\n  NEW_SETTING: {}\n", 1),
    );
    let found = pull_request();
    assert_eq!(found, [78, 0], "the example file lacks the new variable");
}
