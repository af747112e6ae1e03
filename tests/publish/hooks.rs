//! `.pre-commit-hooks.yaml`: pre-commit accepts it, and runs the hooks from a clone of this repository as docs/ci.md
//! says.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::action::{
    CANARY, CODE, env_file, installed, published, published_as_it_is, release, repository,
};
use crate::postgres::venv;
use crate::support::{Ended, Folder, Guard};
use crate::{Test, root, succeeds};

pub const TESTS: &[Test] = &[
    ("precommit_accepts_the_hooks", &[], manifest),
    (
        "shellcheck_accepts_the_script_of_the_hooks",
        &["shellcheck"],
        script,
    ),
    ("the_page_on_ci_lists_the_hooks_as_they_are", &[], page),
    (
        "the_hooks_of_the_page_find_what_is_out_of_date",
        &[],
        configuration_of_the_page,
    ),
    ("each_hook_finds_what_it_is_for", &[], each_hook),
    ("the_hooks_judge_what_is_staged", &[], staged),
    (
        "a_hook_installs_a_release_from_its_server",
        &["curl"],
        installer,
    ),
    ("a_hook_that_cannot_be_installed_fails", &[], not_installed),
];

fn git(folder: &Path, line: &str) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=test", "-c", "user.email=test@example.com"]);
    git.arg("-C").arg(folder).args(line.split(' '));
    succeeds(git.env("GIT_CONFIG_GLOBAL", "/dev/null"))
}

/// A repository with the hooks, as it is published: with a tag, and with an installer of the guard of these tests.
struct Hooks {
    published: Folder,
    /// Where pre-commit keeps its clones.
    home: Folder,
    /// The URL of the server with the releases.
    releases: String,
}

impl Hooks {
    fn new() -> Self {
        Self::of(published())
    }

    fn of(published: Folder) -> Self {
        git(published.path(), "init --quiet");
        git(published.path(), "add .");
        git(published.path(), "commit --quiet --message Release");
        git(
            published.path(),
            concat!("tag v", env!("CARGO_PKG_VERSION")),
        );
        Self {
            published,
            home: Folder::new(),
            releases: String::new(),
        }
    }

    /// A repository of a sound service, in which everything is staged, with this configuration.
    fn service(&self, configuration: &str) -> Folder {
        let folder = repository();
        let url = "https://github.com/startup-guard/startup-guard";
        assert!(configuration.contains(url));
        let local = configuration.replace(url, &self.published.path().display().to_string());
        folder.file(".pre-commit-config.yaml", local);
        git(folder.path(), "init --quiet");
        git(folder.path(), "add .");
        folder
    }

    fn precommit(&self, folder: &Folder, line: &str) -> Ended {
        let guard = Guard::instead(venv("pre-commit"))
            .in_folder(folder.path())
            .line(line);
        let guard = guard
            .env("PRE_COMMIT_HOME", self.home.path())
            .env("HOME", self.home.path())
            .env("STARTUP_GUARD_BASE_URL", &self.releases);
        let path = std::env::var("PATH").expect("PATH is text");
        guard.env("PATH", path).run().expect_never("canary")
    }

    /// Runs all hooks. The exit code of pre-commit is 1 if one fails.
    fn run(&self, folder: &Folder) -> Ended {
        self.precommit(folder, "run --color never")
    }
}

/// A configuration with one hook.
fn configuration(hook: &str, arguments: &str) -> String {
    let rev = concat!("v", env!("CARGO_PKG_VERSION"));
    format!(
        "repos:\n- repo: https://github.com/startup-guard/startup-guard\n  rev: {rev}\n  hooks:\n  - {{id: {hook}{arguments}}}\n"
    )
}

/// The YAML blocks of the section on pre-commit.
fn blocks() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/ci.md")).expect("the page can be read");
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with("pre-commit\n"));
    let section = section.expect("the page has a section on pre-commit");
    let blocks = section.split("```yaml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().expect("a block ends").to_owned())
        .collect()
}

fn hooks() -> Vec<Value> {
    let text = fs::read_to_string(root().join(".pre-commit-hooks.yaml")).expect("it can be read");
    serde_yaml::from_str(&text).expect("it is YAML")
}

fn manifest() {
    let validate = |file: &Path| {
        let mut command = Command::new(venv("pre-commit"));
        let output = command.arg("validate-manifest").arg(file).output();
        output.expect("pre-commit starts")
    };
    let file = root().join(".pre-commit-hooks.yaml");
    let valid = validate(&file);
    assert!(
        valid.status.success() && valid.stdout.is_empty(),
        "{valid:?}"
    );
    let text = fs::read_to_string(file).expect("it can be read");
    let folder = Folder::new();
    let broken = folder.file(
        "hooks.yaml",
        text.replacen("language: script", "language: shell", 1),
    );
    let broken = validate(&broken);
    assert_eq!(broken.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&broken.stdout);
    assert!(shown.contains("At key: language"), "{shown}");
}

fn script() {
    let mut shellcheck = Command::new("shellcheck");
    assert_eq!(succeeds(shellcheck.arg(root().join(".ci/hook.sh"))), "");
}

fn page() {
    let page = fs::read_to_string(root().join("docs/ci.md")).expect("the page can be read");
    for hook in hooks() {
        let text = |key: &str| hook[key].as_str().expect("it is a text");
        let command = text("entry").replace(".ci/hook.sh", "startup-guard");
        let row = format!("| `{}` | `{command}`", text("id"));
        let row = page.lines().find(|line| line.starts_with(&row));
        let row = row.unwrap_or_else(|| panic!("the page has no row of {hook}"));
        let default = hook["args"].as_array().map(|words| {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            format!("| `[{}]` |", words.join(", "))
        });
        assert!(
            default.is_none_or(|default| row.ends_with(&default)),
            "{row}"
        );
    }
    assert_eq!(page.matches("\n| `startup-guard-").count(), hooks().len());
    let [hosted, local] = blocks().try_into().expect("the section has two blocks");
    let folder = Folder::new();
    for block in [hosted, local] {
        let file = folder.file("configuration.yaml", &block);
        let mut command = Command::new(venv("pre-commit"));
        succeeds(command.arg("validate-config").arg(file));
        assert!(block.contains(env!("CARGO_PKG_VERSION")), "{block}");
    }
}

fn configuration_of_the_page() {
    let hooks = Hooks::new();
    let folder = hooks.service(&blocks()[0]);
    let ran = hooks.run(&folder).expect_code(0);
    assert_eq!(ran.stdout().matches("Passed").count(), 2, "{ran}");
    // A commit that changes none of these files is judged, too.
    git(folder.path(), "commit --quiet --message Service");
    folder.file("README", "");
    git(folder.path(), "add README");
    let ran = hooks.run(&folder).expect_code(0);
    assert_eq!(ran.stdout().matches("Passed").count(), 2, "{ran}");

    folder.file(
        "app/extra.py",
        "import os\nNEW = os.environ[\"NEW_SETTING\"]\n",
    );
    folder.file(".env.example", format!("JWT_SECRET={CANARY}\n"));
    git(folder.path(), "add .");
    let ran = hooks.run(&folder).expect_code(1);
    let shown = ran.stdout();
    assert_eq!(shown.matches("- exit code: 78").count(), 2, "{ran}");
    for text in [
        "-JWT_SECRET (the rest of the line is not shown)",
        "startup-guard: .env.example is out of date: it differs from the template in ",
        "❌ NEW_SETTING is read by the code, but not declared in the manifest",
        "(app/extra.py:2)",
    ] {
        assert!(shown.contains(text), "there is no {text:?} in\n{ran}");
    }
    assert_eq!(
        installed_in(&hooks),
        [env!("CARGO_PKG_VERSION")],
        "the hooks share one download of the version"
    );
}

/// The versions that were installed into the clones of pre-commit.
fn installed_in(hooks: &Hooks) -> Vec<String> {
    let clones = fs::read_dir(hooks.home.path()).expect("the folder can be listed");
    clones
        .flat_map(|clone| installed(&clone.expect("the entry can be read").path()))
        .collect()
}

fn each_hook() {
    let hooks = Hooks::new();
    let cases: [(&str, &str, &str, &str, &str); 5] = [
        (
            "startup-guard-manifest",
            "",
            "required-vars.yaml",
            "version: 1\nvariables:\n  A: {tpye: url}\n",
            "line 3: variables.A.tpye: unknown key `tpye`; did you mean `type`?",
        ),
        (
            "startup-guard-template",
            "",
            ".env.example",
            "A=canary\n",
            ".env.example is out of date",
        ),
        (
            "startup-guard-check",
            ", args: [--env-file, a.env]",
            "a.env",
            "DATABASE_URL=canary\n",
            "❌ DATABASE_URL is not a URL",
        ),
        (
            "startup-guard-audit",
            "",
            "app/config.py",
            "import os\nos.environ[\"JWT_SECRETS\"]\n",
            "❌ JWT_SECRETS is read by the code, but not declared in the manifest; did you mean JWT_SECRET?",
        ),
        (
            "startup-guard-audit",
            ", args: [app, --manifest, required-vars.yaml]",
            "app/config.py",
            "",
            "❌ DATABASE_URL is declared in the manifest, but the code does not read it",
        ),
    ];
    for (hook, arguments, file, broken, message) in cases {
        let folder = hooks.service(&configuration(hook, arguments));
        folder.file("a.env", env_file());
        git(folder.path(), "add .");
        hooks.run(&folder).expect_code(0);
        folder.file(file, broken);
        git(folder.path(), "add .");
        let ran = hooks.run(&folder).expect_code(1);
        assert!(
            ran.stdout().contains(message),
            "{hook}: there is no {message:?} in\n{ran}"
        );
    }
}

fn staged() {
    let hooks = Hooks::new();
    let folder = hooks.service(&configuration("startup-guard-audit", ""));
    hooks.precommit(&folder, "install").expect_code(0);
    let commit = || {
        let git = Guard::instead("git").in_folder(folder.path());
        let git = git
            .env("PRE_COMMIT_HOME", hooks.home.path())
            .env("HOME", hooks.home.path());
        let git = git.env("PATH", std::env::var("PATH").expect("PATH is text"));
        let git = git.args(["-c", "user.name=test", "-c", "user.email=test@example.com"]);
        git.line("commit --message Change").run()
    };
    commit().expect_code(0);
    let broken = format!("{CODE}NEW = os.environ[\"NEW_SETTING\"]\n");

    folder.file("app/config.py", &broken);
    folder.file("README", "");
    git(folder.path(), "add README");
    commit().expect_code(0).expect_stderr("Passed");
    let kept = fs::read_to_string(folder.path().join("app/config.py"));
    assert_eq!(
        kept.expect("it can be read"),
        broken,
        "the change is still there"
    );

    git(folder.path(), "add app/config.py");
    folder.file("app/config.py", CODE);
    let head = git(folder.path(), "rev-parse HEAD");
    commit()
        .expect_code(1)
        .expect_stderr("NEW_SETTING is read by the code");
    assert_eq!(
        git(folder.path(), "rev-parse HEAD"),
        head,
        "nothing was committed"
    );
}

fn installer() {
    let site = release();
    let hooks = Hooks {
        releases: site.url.clone(),
        ..Hooks::of(published_as_it_is())
    };
    let folder = hooks.service(&configuration("startup-guard-audit", ""));
    for _ in 0..2 {
        hooks.run(&folder).expect_code(0);
    }
    assert_eq!(site.asked().len(), 2, "the sums and the archive, once");
}

fn not_installed() {
    let hooks = Hooks::new();
    hooks
        .published
        .file("install.sh", "echo 'install.sh: no network' >&2\nexit 1\n");
    git(
        hooks.published.path(),
        "commit --quiet --all --message Broken",
    );
    git(
        hooks.published.path(),
        concat!("tag --force v", env!("CARGO_PKG_VERSION")),
    );
    let folder = hooks.service(&configuration("startup-guard-manifest", ""));
    let ran = hooks.run(&folder).expect_code(1);
    assert!(ran.stdout().contains("install.sh: no network"), "{ran}");
    assert!(ran.stdout().contains("- exit code: 1"), "{ran}");
}
