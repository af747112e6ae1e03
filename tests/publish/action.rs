//! `action.yml`: it has the form that GitHub expects, and its steps do what docs/ci.md says when they are run as a runner
//! runs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::install::installer::{archive_name, pack};
use crate::install::site::{Answer, Site, sum_line};
use crate::postgres::venv;
use crate::support::{Folder, Guard};
use crate::{Test, root, succeeds};

pub const TESTS: &[Test] = &[
    ("the_schema_of_actions_admits_the_action", &[], schema),
    ("zizmor_finds_nothing_in_the_action", &[], zizmor),
    (
        "shellcheck_accepts_the_scripts_of_the_action",
        &["shellcheck"],
        scripts,
    ),
    ("the_page_on_ci_lists_the_inputs_of_the_action", &[], page),
    ("the_action_accepts_a_sound_repository", &[], sound),
    ("the_action_reports_all_findings_at_once", &[], findings),
    ("the_action_annotates_what_cannot_be_read", &[], unreadable),
    (
        "the_action_keeps_the_exit_code_of_the_first_failure",
        &[],
        first_failure,
    ),
    (
        "the_action_finds_a_service_in_a_folder",
        &[],
        working_directory,
    ),
    ("the_action_executes_no_input", &[], hostile_inputs),
    (
        "the_action_passes_no_command_of_a_file_on_to_github",
        &[],
        forged_commands,
    ),
    (
        "the_action_installs_its_own_version_or_another",
        &[],
        versions,
    ),
    (
        "the_action_installs_a_release_from_its_server",
        &["curl"],
        installer,
    ),
    (
        "the_recipe_for_github_actions_finds_what_is_out_of_date",
        &[],
        recipe,
    ),
];

pub const CANARY: &str = "canary-0123456789abcdefghijklmnopqrstuv";

const MANIFEST: &str = "version: 1
variables:
  DATABASE_URL: {type: url, secret: true}
  JWT_SECRET: {secret: true, min_length: 32}
";

pub const CODE: &str =
    "import os\nURL = os.environ[\"DATABASE_URL\"]\nKEY = os.environ[\"JWT_SECRET\"]\n";

/// The file `action.yml`, as YAML.
fn action() -> Value {
    let text = fs::read_to_string(root().join("action.yml")).expect("the action can be read");
    serde_yaml::from_str(&text).expect("the action is YAML")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is a text")
}

/// A folder with what GitHub downloads for `uses: startup-guard/startup-guard@v0.1.0`, and with a stand-in for the
/// installer, which installs the guard of these tests, and writes down its arguments.
pub fn published() -> Folder {
    published_with(format!(
        "[ $# = 4 ] && [ \"$1 $3\" = '--version --to' ] || exit 64\n\
         printf '%s\\n' \"$2\" >> \"$(dirname \"$0\")/installed\"\n\
         mkdir -p \"$4\"\nln -sf '{}' \"$4/startup-guard\"\n",
        env!("CARGO_BIN_EXE_startup-guard")
    ))
}

/// The same, with the installer itself.
pub fn published_as_it_is() -> Folder {
    published_with(fs::read(root().join("install.sh")).expect("the installer can be read"))
}

fn published_with(installer: impl AsRef<[u8]>) -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.path().join(".ci")).expect("a folder can be made");
    for file in ["Cargo.toml", ".pre-commit-hooks.yaml", ".ci/hook.sh"] {
        fs::copy(root().join(file), folder.path().join(file)).expect("a file can be copied");
    }
    folder.file("install.sh", installer);
    folder
}

/// A server with the release of this version, whose program is the guard of these tests.
pub fn release() -> Site {
    let folder = Folder::new();
    let guard = env!("CARGO_BIN_EXE_startup-guard");
    folder.script(
        "startup-guard",
        &format!("#!/bin/sh\nexec '{guard}' \"$@\"\n"),
    );
    let archive = pack(&folder, &["startup-guard"]);
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let name = archive_name(&target);
    let sums = sum_line(&name, &archive).into_bytes();
    let path = |name: &str| format!("download/v{}/{name}", env!("CARGO_PKG_VERSION"));
    Site::start(BTreeMap::from([
        (path(&name), Answer::Content(archive)),
        (path("SHA256SUMS"), Answer::Content(sums)),
    ]))
}

/// The versions that the installer was asked for.
pub fn installed(published: &Path) -> Vec<String> {
    let installed = fs::read_to_string(published.join("installed")).unwrap_or_default();
    installed.lines().map(str::to_owned).collect()
}

/// What a run of the action has left behind.
struct Ran {
    code: i32,
    /// What the log shows: of each step standard output, then standard error.
    log: String,
    exit_code: String,
    summary: String,
    versions: Vec<String>,
    /// PATH of the steps that follow the action.
    path: String,
    /// The files of the runner, among them the installed program.
    _runner: Folder,
}

impl Ran {
    #[track_caller]
    fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.log);
        assert_eq!(self.exit_code, code.to_string(), "{}", self.log);
        self
    }

    /// The lines of the log that GitHub shows as errors in the files.
    fn errors(&self) -> Vec<&str> {
        self.commands("::error ")
    }

    fn commands(&self, start: &str) -> Vec<&str> {
        let lines = self.log.lines();
        lines.filter(|line| line.starts_with(start)).collect()
    }
}

fn run(workspace: &Path, inputs: &[(&str, &str)]) -> Ran {
    run_from(&published(), "", workspace, inputs)
}

/// Runs the steps of the action as a runner does: with their inputs in the environment, each in the repository's top
/// folder, until one fails. The releases are on the server `releases`.
fn run_from(published: &Folder, releases: &str, workspace: &Path, inputs: &[(&str, &str)]) -> Ran {
    let action = action();
    let declared = action["inputs"].as_object().expect("there are inputs");
    for (name, _) in inputs {
        assert!(declared.contains_key(*name), "there is no input {name}");
    }
    let input = |name: &str| {
        let given = inputs.iter().find(|(given, _)| *given == name);
        let value = given.map(|(_, value)| *value);
        value
            .unwrap_or_else(|| text(&declared[name]["default"]))
            .to_owned()
    };
    let runner = Folder::new();
    let file = |name: &str| runner.file(name, "");
    let (added, output, summary) = (file("path"), file("output"), file("summary"));
    let temporary = runner.path().join("temporary files");
    fs::create_dir(&temporary).expect("a folder can be made");
    let read = |path: &Path| fs::read_to_string(path).expect("a file of the runner can be read");
    let mut outputs = BTreeMap::new();
    let mut path = "/usr/bin:/bin".to_owned();
    let (mut code, mut log) = (0, String::new());
    for step in action["runs"]["steps"].as_array().expect("there are steps") {
        assert_eq!(step["shell"], "sh");
        let known = ["name", "id", "shell", "env", "run"];
        let mut keys = step.as_object().into_iter().flatten();
        assert!(keys.all(|(key, _)| known.contains(&key.as_str())), "{step}");
        let script = runner.file("step.sh", text(&step["run"]));
        let mut shell = Guard::instead("sh")
            .args(["-e".as_ref(), script.as_os_str()])
            .in_folder(workspace)
            .env("PATH", &path)
            .env("GITHUB_WORKSPACE", workspace)
            .env("GITHUB_ACTION_PATH", published.path())
            .env("GITHUB_PATH", &added)
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("RUNNER_TEMP", &temporary)
            .env("STARTUP_GUARD_BASE_URL", releases)
            // Neither is for the files that the action checks.
            .env("DATABASE_URL", CANARY)
            .env("STARTUP_GUARD_MANIFEST", "/nowhere.yaml")
            .env("STARTUP_GUARD_LOG", "json");
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            let name_of_input = expression(value, "inputs.");
            shell = shell.env(name, input(&name_of_input));
        }
        let ended = shell.run().expect_never("canary");
        log += &(ended.stdout() + &ended.stderr());
        code = ended.code();
        if let Some(id) = step["id"].as_str() {
            let set = read(&output);
            let set = set.lines().filter_map(|line| line.split_once('='));
            outputs.extend(
                set.map(|(name, value)| (format!("{id}.outputs.{name}"), value.to_owned())),
            );
        }
        if code != 0 {
            break;
        }
        for folder in read(&added).lines() {
            path = format!("{folder}:{path}");
        }
    }
    let exit_code = expression(&action["outputs"]["exit-code"]["value"], "steps.");
    Ran {
        code,
        log,
        exit_code: outputs.remove(&exit_code).unwrap_or_default(),
        summary: read(&summary),
        versions: installed(published.path()),
        path,
        _runner: runner,
    }
}

/// What follows the start of an expression `${{ … }}`, which must be the whole text.
fn expression(value: &Value, start: &str) -> String {
    let inner = text(value).strip_prefix("${{ ");
    let inner = inner.and_then(|inner| inner.strip_suffix(" }}")?.strip_prefix(start));
    inner
        .unwrap_or_else(|| panic!("{value} is not {start}…"))
        .to_owned()
}

/// Writes a service whose code, manifest and example agree into a folder.
fn write_service(folder: &Folder, below: &str) {
    fs::create_dir_all(folder.path().join(below).join("app")).expect("a folder can be made");
    folder.file(&format!("{below}app/config.py"), CODE);
    folder.file(&format!("{below}required-vars.yaml"), MANIFEST);
    let template = Guard::with_manifest(MANIFEST).line("template").run();
    folder.file(
        &format!("{below}.env.example"),
        template.expect_code(0).stdout,
    );
}

/// A repository with such a service.
pub fn repository() -> Folder {
    let folder = Folder::new();
    write_service(&folder, "");
    folder
}

/// An env file that the manifest admits.
pub fn env_file() -> String {
    format!("DATABASE_URL=postgresql://app:{CANARY}@db.example.com/app\nJWT_SECRET={CANARY}\n")
}

fn validate(file: &Path) -> std::process::Output {
    let mut command = Command::new(venv("check-jsonschema"));
    command.args(["--builtin-schema", "vendor.github-actions"]);
    command.arg(file).output().expect("check-jsonschema starts")
}

fn schema() {
    let file = root().join("action.yml");
    let valid = validate(&file);
    assert!(valid.status.success(), "{valid:?}");
    let folder = Folder::new();
    let action = fs::read_to_string(file).expect("the action can be read");
    for (from, to) in [
        ("shell: sh", "shel: sh"),
        ("using: composite", "using: bash"),
    ] {
        assert!(action.contains(from), "{from}");
        let broken = validate(&folder.file("action.yml", action.replacen(from, to, 1)));
        assert_eq!(broken.status.code(), Some(1), "{to}");
        let shown = String::from_utf8_lossy(&broken.stdout);
        assert!(shown.contains("Schema validation errors"), "{shown}");
    }
}

fn zizmor() {
    let judge = |file: &Path| {
        let mut command = Command::new(venv("zizmor"));
        command.args(["--offline", "--no-progress", "--persona", "auditor"]);
        command.arg(file).output().expect("zizmor starts")
    };
    let sound = judge(&root().join("action.yml"));
    assert!(sound.status.success(), "{sound:?}");
    let action = fs::read_to_string(root().join("action.yml")).expect("the action can be read");
    let folder = Folder::new();
    let broken = action.replacen("\"${VERSION:-$own}\"", "\"${{ inputs.version }}\"", 1);
    let broken = judge(&folder.file("action.yml", broken));
    let shown = String::from_utf8_lossy(&broken.stdout);
    assert!(
        !broken.status.success() && shown.contains("template-injection"),
        "{shown}"
    );
}

fn scripts() {
    let action = action();
    let folder = Folder::new();
    for step in action["runs"]["steps"].as_array().expect("there are steps") {
        let script = text(&step["run"]);
        assert!(!script.contains("${{"), "an input is pasted into {script}");
        let file = folder.file("step.sh", script);
        let mut shellcheck = Command::new("shellcheck");
        let shown = succeeds(shellcheck.args(["--shell", "sh"]).arg(file));
        assert_eq!(shown, "");
    }
}

fn page() {
    let action = action();
    let page = fs::read_to_string(root().join("docs/ci.md")).expect("the page can be read");
    let mut sections = page.split("\n## ");
    let section = sections.find(|section| section.starts_with("GitHub\n"));
    let section = section.expect("the page has a section on GitHub");
    let mut documented = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`'));
        let (name, default) = (cells.nth(1), cells.next());
        let default = default.filter(|default| *default != "none");
        documented.insert(name.expect("a row has cells"), default.unwrap_or_default());
    }
    let inputs = action["inputs"].as_object().expect("there are inputs");
    let inputs: BTreeMap<_, _> = inputs
        .iter()
        .map(|(name, input)| (name.as_str(), text(&input["default"])))
        .collect();
    assert_eq!(documented, inputs);
}

fn sound() {
    let repository = repository();
    let ran = run(repository.path(), &[]).expect_code(0);
    assert_eq!(ran.errors(), [""; 0]);
    assert_eq!(
        ran.summary,
        "### startup-guard\n\n    \
         ✅ startup-guard template --manifest=required-vars.yaml \n    \
         ✅ startup-guard template --manifest=required-vars.yaml --format=env --check=.env.example \n    \
         ✅ startup-guard audit --format=github --manifest=required-vars.yaml . \n"
    );
    let table = Guard::with_manifest(MANIFEST)
        .line("template --format markdown")
        .run();
    repository.file("table.md", table.stdout);
    for name in ["[t]wo.env", "one.env", "two.env"] {
        repository.file(name, env_file());
    }
    let inputs = [
        ("template", ".env.example\ntable.md\n"),
        ("env-files", "*.env\n"),
        ("audit", ""),
    ];
    let ran = run(repository.path(), &inputs).expect_code(0);
    let checks: Vec<&str> = ran.summary.lines().skip(3).collect();
    let manifest = "✅ startup-guard template --manifest=required-vars.yaml --format";
    let check = "✅ startup-guard check --format=github --manifest=required-vars.yaml --only-file";
    assert_eq!(
        checks,
        [
            format!("    {manifest}=env --check=.env.example "),
            format!("    {manifest}=markdown --check=table.md "),
            format!("    {check} --env-file=[t]wo.env "),
            format!("    {check} --env-file=one.env "),
            format!("    {check} --env-file=two.env "),
        ]
    );
}

fn findings() {
    let repository = repository();
    repository.file(
        "app/extra.py",
        "import os\nNEW = os.environ[\"NEW_SETTING\"]\n",
    );
    repository.file(".env.example", "DATABASE_URL=change-me\n");
    repository.file("broken.env", format!("\nDATABASE_URL={CANARY}\n"));
    repository.file("sound.env", env_file());
    let ran = run(repository.path(), &[("env-files", "broken.env\nsound.env")]).expect_code(78);
    let errors = ran.errors();
    let start = |error: &str| error[..error.rfind("::").expect("it has a message")].to_owned();
    let mut places: Vec<String> = errors.iter().map(|error| start(error)).collect();
    places.sort();
    assert_eq!(
        places,
        [
            "::error file=.env.example",
            "::error file=app/extra.py,line=2,title=NEW_SETTING undeclared",
            "::error file=broken.env,line=2,title=DATABASE_URL wrong_type",
            "::error file=required-vars.yaml,line=4,title=JWT_SECRET missing",
        ]
    );
    let stale = errors.iter().find(|error| error.contains("example"));
    let stale = stale.expect("the example is out of date");
    assert!(
        stale.contains("::.env.example is out of date: it differs from the template in"),
        "{stale}"
    );
    let marks: String = ran.summary.matches(['✅', '❌']).collect();
    assert_eq!(marks, "✅❌❌✅❌");
}

fn unreadable() {
    let repository = Folder::new();
    let ran = run(repository.path(), &[]).expect_code(66);
    let errors = ran.errors();
    let missing = "::error file=required-vars.yaml::there is no manifest required-vars.yaml ";
    assert!(
        errors.len() == 1 && errors[0].starts_with(missing),
        "{errors:?}"
    );

    write_service(&repository, "");
    let broken = MANIFEST.replace("min_length", "min_lenght");
    repository.file("required-vars.yaml", broken);
    let ran = run(repository.path(), &[]).expect_code(65);
    let errors = ran.errors();
    let faulty = "::error file=required-vars.yaml,line=4::line 4: variables.JWT_SECRET.min_lenght: unknown key";
    assert!(
        errors.len() == 2 && errors[0].starts_with(faulty),
        "{errors:?}"
    );
    assert_eq!(ran.summary.matches('❌').count(), 1, "{}", ran.summary);

    repository.file("required-vars.yaml", MANIFEST);
    let name = "50%, a:b.env";
    repository.file(name, format!("{}{CANARY} {CANARY}\n", env_file()));
    let ran = run(repository.path(), &[("env-files", name)]).expect_code(65);
    let errors = ran.errors();
    let place = "::error file=50%25%2C a%3Ab.env";
    assert_eq!(
        errors[0],
        format!("{place},line=3::line 3 has white space in its name")
    );
    assert!(
        errors.len() == 2
            && errors[1].starts_with(&format!("{place}::the env file 50%25, a:b.env: ")),
        "{errors:?}"
    );

    let inputs = [
        ("template", "none.example"),
        ("env-files", "*.none"),
        ("audit", "none"),
    ];
    let ran = run(repository.path(), &inputs).expect_code(66);
    let errors = ran.errors();
    let files = ["none.example", "*.none", "none"];
    assert_eq!(errors.len(), files.len(), "{errors:?}");
    for (error, file) in errors.iter().zip(files) {
        assert!(
            error.starts_with(&format!("::error file={file}::")),
            "{error}"
        );
    }
}

fn first_failure() {
    let repository = repository();
    repository.file(
        "app/extra.py",
        "import os\nNEW = os.environ[\"NEW_SETTING\"]\n",
    );
    // The folder of the service, however it is written.
    for folder in [".", "./"] {
        let inputs = [("audit", folder), ("template", "")];
        run(repository.path(), &inputs).expect_code(78);
    }
    let missing = run(repository.path(), &[("env-files", "none.env")]).expect_code(66);
    assert_eq!(missing.errors().len(), 2, "{}", missing.log);
    repository.file(".env.example", "");
    run(repository.path(), &[("env-files", "none.env")]).expect_code(78);
}

fn working_directory() {
    let repository = Folder::new();
    write_service(&repository, "services/the backend/");
    repository.file(
        "services/the backend/app/extra.py",
        "import os\nNEW = os.environ[\"NEW\"]\n",
    );
    repository.file(
        "services/the backend/a.env",
        format!("{}X={CANARY}\n", env_file()),
    );
    let elsewhere = Folder::new();
    let elsewhere = elsewhere.file("b.env", env_file()).display().to_string();
    for folder in ["services/the backend", "./services/the backend/"] {
        let files = format!("./*.env\n{elsewhere}");
        let inputs = [("working-directory", folder), ("env-files", &files)];
        let ran = run(repository.path(), &inputs).expect_code(78);
        let errors = ran.errors();
        let place = "::error file=services/the backend/app/extra.py,line=2,title=NEW undeclared::";
        assert!(
            errors.len() == 1 && errors[0].starts_with(place),
            "{errors:?}"
        );
        assert!(
            ran.summary
                .contains(" --env-file=services/the backend/a.env \n")
        );
        assert!(ran.summary.contains(&format!(" --env-file={elsewhere} \n")));
    }
    let ran = run(repository.path(), &[("working-directory", "services/none")]).expect_code(66);
    let missing = "::error file=services/none/required-vars.yaml::there is no manifest";
    assert!(ran.errors()[0].starts_with(missing), "{:?}", ran.errors());
}

fn hostile_inputs() {
    let names = || {
        let action = action();
        let inputs = action["inputs"].as_object().expect("there are inputs");
        inputs.keys().cloned().collect::<Vec<_>>()
    };
    for value in [
        "$(touch executed)",
        "`touch executed`",
        "x; touch executed #",
        "x\ntouch executed\n",
        "\"; touch executed; \"",
        "'; touch executed; '",
        "--apply",
        "x\n::error file=x::forged\n",
    ] {
        for name in names() {
            let repository = repository();
            repository.file("a.env", env_file());
            let mut inputs = vec![(name.as_str(), value)];
            if name != "env-files" {
                inputs.push(("env-files", "a.env"));
            }
            let ran = run(repository.path(), &inputs);
            // Only the installer, which these tests replace, judges the version.
            assert_eq!(
                ran.code != 0,
                name != "version",
                "{name}: {value}\n{}",
                ran.log
            );
            let found = fs::read_dir(repository.path()).expect("the folder can be listed");
            assert_eq!(found.count(), 4, "{name}: {value}\n{}", ran.log);
            if name != "version" {
                assert!(
                    !ran.errors().contains(&"::error file=x::forged"),
                    "{name}\n{}",
                    ran.log
                );
            }
        }
    }
}

fn forged_commands() {
    // For GitHub, a carriage return ends a line of the log, too.
    // It also looks for an older form of commands in the middle of a line.
    let forged = "x\r::error::forged\n::error::forged ##[error]forged";
    let expect_none_forged = |ran: &Ran| {
        let mut lines = ran.log.split(['\r', '\n']).map(str::trim_start);
        assert!(
            !lines.any(|line| line.starts_with("::error::")),
            "{}",
            ran.log
        );
        assert_eq!(ran.log.matches("##[").count(), 0, "{}", ran.log);
        assert_eq!(ran.summary.matches("::error").count(), 0, "{}", ran.log);
    };
    let repository = repository();
    repository.file(&format!("app/{forged}.py"), format!("{CODE}def x(:\n"));
    repository.file(
        ".env.example",
        format!("# {forged}\nA={forged}\n{forged}=1\n"),
    );
    expect_none_forged(&run(repository.path(), &[]).expect_code(78));
    let quoted = forged.replace('\r', "\\r").replace('\n', "\\n");
    for broken in [
        format!("\"{quoted}\": 1\n"),
        format!("service: \"{quoted}\"\n"),
        format!("fail_on: \"{quoted}\"\n"),
        format!("  \"{quoted}\": {{}}\n"),
        format!("  A: {{type: \"{quoted}\"}}\n"),
        format!("  A: {{\"{quoted}\": 1}}\n"),
    ] {
        repository.file("required-vars.yaml", MANIFEST.to_owned() + &broken);
        expect_none_forged(&run(repository.path(), &[]).expect_code(65));
    }
}

fn versions() {
    let repository = repository();
    let ran = run(repository.path(), &[]);
    assert_eq!(ran.versions, [env!("CARGO_PKG_VERSION")]);
    let shown = Command::new("sh")
        .args(["-c", "startup-guard --version"])
        .env("PATH", &ran.path)
        .output();
    let shown = shown.expect("the shell starts").stdout;
    assert!(
        shown.starts_with(b"startup-guard "),
        "the program is in PATH"
    );
    let ran = run(repository.path(), &[("version", "0.2.0")]);
    assert_eq!(ran.versions, ["0.2.0"]);
}

fn installer() {
    let (published, site, repository) = (published_as_it_is(), release(), repository());
    let run = |inputs: &[(&str, &str)]| run_from(&published, &site.url, repository.path(), inputs);
    run(&[]).expect_code(0);
    // A job can use the action again.
    run(&[("audit", "app")]).expect_code(0);
    for (version, code) in [("0.0.0", 1), ("1 $(touch executed)", 64)] {
        let ran = run(&[("version", version)]);
        assert_eq!(ran.code, code, "{}", ran.log);
        assert_eq!(ran.summary, "", "nothing was checked");
    }
    assert!(!repository.path().join("executed").exists());
}

/// The recipe in `examples/ci`: a change of the code, of the manifest or of the environment is found.
fn recipe() {
    let file = root().join("examples/ci/github-actions.yml");
    let recipe = fs::read_to_string(file).expect("the recipe can be read");
    let recipe: Value = serde_yaml::from_str(&recipe).expect("the recipe is YAML");
    let steps = recipe["jobs"]["environment"]["steps"]
        .as_array()
        .expect("there are steps");
    let [_, check, production] = steps.as_slice() else {
        panic!("there are three steps: {steps:?}");
    };
    let repository = text(&check["uses"])
        .split_once('@')
        .expect("it has a version");
    let own = (
        "startup-guard/startup-guard",
        concat!("v", env!("CARGO_PKG_VERSION")),
    );
    assert_eq!(repository, own);
    let inputs = check["with"].as_object().expect("it has inputs");
    let inputs: Vec<(&str, &str)> = inputs
        .iter()
        .map(|(name, value)| (name.as_str(), text(value)))
        .collect();
    let variables = production["env"]
        .as_object()
        .expect("it has an environment");
    assert_eq!(variables.keys().collect::<Vec<_>>(), ["PRODUCTION_ENV"]);

    let folder = self::repository();
    let ran = run(folder.path(), &inputs).expect_code(0);
    let production = |content: &str| {
        let shell = ["--noprofile", "--norc", "-eo", "pipefail", "-c"];
        let shell = Guard::instead("bash")
            .args(shell)
            .args([text(&production["run"])]);
        let shell = shell.in_folder(folder.path()).env("PATH", &ran.path);
        shell
            .env("PRODUCTION_ENV", content)
            .run()
            .expect_never("canary")
            .code()
    };
    assert!(
        ran.path.contains("/startup-guard:"),
        "the action adds to PATH"
    );
    assert_eq!(production(&env_file()), 0);
    assert_eq!(
        production(&env_file().replace("0123456789abcdefghij", "")),
        78
    );
    assert_eq!(production(""), 65, "the secret of the CI is not set");

    folder.file(
        "app/extra.py",
        "import os\nNEW = os.environ[\"NEW_SETTING\"]\n",
    );
    let ran = run(folder.path(), &inputs).expect_code(78);
    assert_eq!(
        ran.summary.matches('❌').count(),
        1,
        "only the code differs: {}",
        ran.summary
    );
    let declared = MANIFEST.replacen("variables:\n", "variables:\n  NEW_SETTING: {}\n", 1);
    folder.file("required-vars.yaml", declared);
    let ran = run(folder.path(), &inputs).expect_code(78);
    assert!(
        ran.errors().len() == 1 && ran.errors()[0].contains("file=.env.example"),
        "{}",
        ran.log
    );
}
