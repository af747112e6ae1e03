//! The recipes in `examples/`: each is read by a tool that knows its format, and its commands are run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::Test;
use crate::environment::{free_port, search_path, service, until_healthy};
use crate::postgres::{Postgres, venv};
use crate::support::{Ended, Folder, Guard, Running};

pub const TESTS: &[Test] = &[
    ("each_manifest_names_its_schema", &[], manifests),
    ("every_link_of_the_examples_leads_somewhere", &[], links),
    ("compose_reads_its_example", &["docker-compose"], compose),
    (
        "the_schemas_of_kubernetes_admit_the_recipe",
        &[],
        kubernetes_schemas,
    ),
    (
        "kubernetes_and_systemd_give_up_where_no_retry_helps",
        &[],
        final_codes,
    ),
    (
        "the_deployment_of_kubernetes_waits_for_the_job",
        &[],
        kubernetes_run,
    ),
    (
        "systemd_verifies_the_unit",
        &["systemd-analyze"],
        systemd_verify,
    ),
    ("the_unit_of_systemd_serves", &[], systemd_run),
    (
        "the_settings_of_railway_are_the_same_everywhere",
        &["node"],
        railway_settings,
    ),
    (
        "the_commands_of_railway_check_and_serve",
        &["node"],
        railway_run,
    ),
    (
        "the_deployment_of_kubernetes_reads_what_is_exported",
        &[],
        kubernetes_export,
    ),
];

const CANARIES: [&str; 2] = [
    "canary-nextauth-0123456789abcdefghij",
    "canary-jwt-0123456789abcdefghijklmnop",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn example(path: &str) -> PathBuf {
    root().join("examples").join(path)
}

pub fn text_of(path: &str) -> String {
    fs::read_to_string(example(path)).expect("the example can be read")
}

/// The documents of a YAML text.
pub fn documents(text: &str) -> Vec<Value> {
    use serde::Deserialize;
    let documents = serde_yaml::Deserializer::from_str(text);
    documents
        .map(|document| Value::deserialize(document).expect("the example is YAML"))
        .collect()
}

/// A list of words in YAML or JSON.
pub fn words(list: &Value) -> Vec<String> {
    let list = list.as_array().expect("it is a list");
    list.iter()
        .map(|word| word.as_str().expect("it is a word").to_owned())
        .collect()
}

#[track_caller]
pub fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("the tool starts");
    assert!(output.status.success(), "{}", both(&output));
    both(&output)
}

/// Asserts that a tool rejects its input, and names the reason.
#[track_caller]
pub fn rejects(command: &mut Command, reason: &str) {
    let output = command.output().expect("the tool starts");
    assert!(!output.status.success(), "{}", both(&output));
    assert!(both(&output).contains(reason), "{}", both(&output));
}

fn both(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    format!("{stdout}{}", String::from_utf8_lossy(&output.stderr))
}

/// A file with an example in which a text is replaced.
pub fn changed(folder: &Folder, path: &str, from: &str, to: &str) -> PathBuf {
    let text = text_of(path);
    assert!(text.contains(from), "{path} has no {from:?}");
    let name = path.rsplit('/').next().expect("a path has a name");
    folder.file(name, text.replace(from, to))
}

/// A guard in the folder of the example service, with a manifest of the examples and these arguments.
fn guard(manifest: &Path, arguments: &[String]) -> Guard {
    let (program, arguments) = arguments.split_first().expect("a command has a program");
    assert_eq!(program.rsplit('/').next(), Some("startup-guard"));
    Guard::new()
        .in_folder(&service())
        .env("STARTUP_GUARD_MANIFEST", manifest)
        .env("PATH", search_path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(arguments)
}

/// The values of `export kubernetes` and of the other platforms' variables.
fn with_values(mut guard: Guard, postgres: &Postgres, port: u16) -> Guard {
    for (name, value) in [
        ("DATABASE_URL", postgres.url.as_str()),
        ("NEXTAUTH_SECRET", CANARIES[0]),
        ("JWT_SECRET", CANARIES[1]),
        ("JWT_ALGORITHM", "HS256"),
        ("RESEND_API_KEY", "re_canary_0123456789"),
        ("FROM_EMAIL", "INTOWORK <noreply@example.com>"),
        ("FRONTEND_URL", "https://app.example.com"),
        ("ALLOWED_ORIGINS", "https://app.example.com"),
        ("PORT", &port.to_string()),
    ] {
        guard = guard.env(name, value);
    }
    guard
}

/// Stops a server, and checks what it has logged.
fn stop(running: Running, postgres: &Postgres) -> Ended {
    running.signal(Signal::SIGTERM);
    let ended = running
        .end()
        .expect_code(128 + Signal::SIGTERM as i32)
        .expect_never(postgres.password());
    CANARIES
        .iter()
        .fold(ended, |ended, canary| ended.expect_never(canary))
}

/// The exit codes after which no retry helps, as the guard prints them.
fn codes_without_retry() -> Vec<i64> {
    let ended = Guard::new()
        .line("exit-codes --format json")
        .run()
        .expect_code(0);
    let table: Value = serde_json::from_str(&ended.stdout()).expect("the table is JSON");
    let rows = table.as_array().expect("the table is a list");
    rows.iter()
        .filter(|row| row["retry"] == "no")
        .map(|row| row["code"].as_str().expect("a code is a text"))
        .map(|code| code.parse().expect("a code is a number"))
        .collect()
}

fn manifests() {
    let found = succeeds(
        Command::new("find")
            .args(["examples", "-name", "required-vars*"])
            .current_dir(root()),
    );
    let paths: Vec<&str> = found.lines().collect();
    assert!(paths.len() >= 2, "{paths:?}");
    for path in paths {
        assert!(path.ends_with("/required-vars.yaml"), "{path}");
        let text = fs::read_to_string(root().join(path)).expect("it can be read");
        let schema = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# yaml-language-server: $schema="))
            .unwrap_or_else(|| panic!("{path} names no schema"));
        let folder = root().join(path);
        let schema = folder.parent().expect("it is in a folder").join(schema);
        assert_eq!(
            schema.canonicalize().expect("the schema exists"),
            root().join("docs/required-vars.schema.json")
        );
        let ended = Guard::new().args(["check", "--manifest", path]);
        ended.in_folder(root()).run().expect_code(78);
    }
    let arguments = ["check", "--only-file", "--manifest", "required-vars.yaml"];
    Guard::new()
        .args(arguments)
        .args(["--env-file", "backend.env"])
        .in_folder(&example("systemd"))
        .run()
        .expect_code(0);
}

fn links() {
    for page in [
        "README.md",
        "railway/README.md",
        "railway-python/README.md",
        "django-processes/README.md",
        "node-in-compose/README.md",
    ] {
        let text = text_of(page);
        let targets = text.split("](").skip(1);
        let targets = targets.filter_map(|rest| rest.split(')').next());
        for target in targets {
            let folder = example(page);
            let folder = folder.parent().expect("a page is in a folder");
            assert!(folder.join(target).exists(), "{page} links to {target}");
        }
    }
}

fn compose() {
    let read = |file: &Path| {
        let mut command = Command::new("docker-compose");
        command.arg("-f").arg(file).args(["config", "-q"]);
        command
    };
    succeeds(&mut read(&example("migrate-once.compose.yml")));
    let folder = Folder::new();
    let file = changed(
        &folder,
        "migrate-once.compose.yml",
        "depends_on:",
        "depends_en:",
    );
    rejects(&mut read(&file), "depends_en");
}

/// Validates with the strict schemas of a version of Kubernetes, which know no other properties.
fn kubernetes_validate(version: &str, file: &Path) -> Command {
    let mut command = Command::new(venv("kubernetes-validate"));
    command.args(["--strict", "-k", version]).arg(file);
    command
}

fn kubernetes_schemas() {
    let validate = kubernetes_validate;
    let folder = Folder::new();
    for version in ["1.34", "1.37"] {
        let shown = succeeds(&mut validate(version, &example("kubernetes/backend.yaml")));
        assert_eq!(shown.matches(" passed for resource ").count(), 2, "{shown}");
        for (from, to) in [
            ("backoffLimit:", "backofLimit:"),
            ("failureThreshold:", "failureTreshold:"),
            ("values: [64,", "values: [none,"),
        ] {
            let file = changed(&folder, "kubernetes/backend.yaml", from, to);
            rejects(&mut validate(version, &file), "did not validate");
        }
    }
}

fn final_codes() {
    let codes = codes_without_retry();
    assert!(codes.contains(&78), "{codes:?}");
    let job = &documents(&text_of("kubernetes/backend.yaml"))[0];
    let rules = job["spec"]["podFailurePolicy"]["rules"].as_array();
    let rule = rules
        .expect("there are rules")
        .iter()
        .find(|rule| rule["action"] == "FailJob");
    let rule = rule.expect("a rule ends the Job");
    assert_eq!(rule["onExitCodes"]["values"], json!(codes));
    let unit = text_of("systemd/backend.service");
    let texts: Vec<String> = codes.iter().map(ToString::to_string).collect();
    let line = format!("\nRestartPreventExitStatus={}\n", texts.join(" "));
    assert!(unit.contains(&line), "{line}");
}

fn kubernetes_run() {
    let resources = documents(&text_of("kubernetes/backend.yaml"));
    let [job, deployment] = resources.as_slice() else {
        panic!("there are two resources");
    };
    let pod = |resource: &Value| resource["spec"]["template"]["spec"]["containers"][0].clone();
    let (migrate, backend) = (pod(job), pod(deployment));
    assert_eq!(
        job["spec"]["podFailurePolicy"]["rules"][1]["onExitCodes"]["containerName"],
        migrate["name"]
    );
    let number = |key: &str| backend["startupProbe"][key].as_u64().unwrap_or_default();
    let patience = number("failureThreshold") * number("periodSeconds");
    assert!(patience > 600, "a wait for a step lasts up to 10 minutes");
    let manifest = example("kubernetes/required-vars.yaml");
    let (postgres, port) = (Postgres::start(), free_port());
    let container =
        |command: &Value| with_values(guard(&manifest, &words(command)), &postgres, port);

    let probe = || container(&backend["startupProbe"]["exec"]["command"]).run();
    let running = container(&backend["command"]).start();
    running.wait_for("for the step migrate");
    probe().expect_code(1);
    assert!(!running.shown().contains("Uvicorn"), "{}", running.shown());
    container(&migrate["command"])
        .run()
        .expect_code(0)
        .expect_stderr("Running upgrade 0002 -> 0003");
    until_healthy(port);
    probe().expect_code(0);
    stop(running, &postgres);
}

fn kubernetes_export() {
    let folder = Folder::new();
    let file = folder.file(
        "production.env",
        "DATABASE_URL=postgresql://app:canary-0123@db:5432/app\nNEXTAUTH_SECRET=canary-nextauth-0123456789abcdefghij\nALLOWED_ORIGINS=https://app.example.com\n",
    );
    let exported = Guard::new()
        .line("export kubernetes --manifest")
        .args([example("kubernetes/required-vars.yaml")])
        .args([Path::new("--env-file"), &file])
        .run()
        .expect_code(0);
    let exported = folder.file("exported.yaml", exported.stdout);
    succeeds(&mut kubernetes_validate("1.37", &exported));
    let text = fs::read_to_string(&exported).expect("it can be read");
    let names: BTreeMap<String, Value> = documents(&text)
        .into_iter()
        .filter_map(|resource| {
            let kind = resource["kind"].as_str()?.to_owned();
            Some((kind, resource["metadata"]["name"].clone()))
        })
        .collect();
    for resource in documents(&text_of("kubernetes/backend.yaml")) {
        let container = &resource["spec"]["template"]["spec"]["containers"][0];
        let sources = json!([
            {"configMapRef": {"name": names["ConfigMap"]}},
            {"secretRef": {"name": names["Secret"]}},
        ]);
        assert_eq!(container["envFrom"], sources);
    }
}

/// The value of each setting of the unit's `[Service]` section; the last one if there are several.
fn unit() -> BTreeMap<String, String> {
    let text = text_of("systemd/backend.service");
    let settings = text.lines().filter(|line| !line.starts_with('#'));
    settings
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn systemd_verify() {
    let folder = Folder::new();
    let program = "/usr/local/bin/startup-guard";
    let built = env!("CARGO_BIN_EXE_startup-guard");
    let file = changed(&folder, "systemd/backend.service", program, built);
    let verify = |file: &Path| {
        let mut command = Command::new("systemd-analyze");
        command.args(["verify", "--man=no"]).arg(file);
        command
    };
    // What it does not know it only tells.
    assert_eq!(succeeds(&mut verify(&file)), "");
    let unknown = changed(
        &folder,
        "systemd/backend.service",
        "KillMode=mixed",
        "KilMode=mixed",
    );
    let output = verify(&unknown).output().expect("the tool starts");
    assert!(both(&output).contains("KilMode"), "{}", both(&output));
    // The exposure is 1.8 of 10.
    let security = |limit: &str| {
        let mut command = Command::new("systemd-analyze");
        command
            .args(["security", "--offline=yes", "--threshold", limit])
            .arg(&file);
        command
    };
    succeeds(&mut security("20"));
    rejects(&mut security("10"), "Overall exposure level");
}

fn systemd_run() {
    let unit = unit();
    assert_eq!(unit["WorkingDirectory"], "/srv/backend");
    assert_eq!(unit["Type"], "exec");
    let arguments: Vec<String> = unit["ExecStart"].split(' ').map(str::to_owned).collect();
    let (postgres, port) = (Postgres::start(), free_port());
    let mut guard = guard(&example("systemd/required-vars.yaml"), &arguments);
    for line in text_of("systemd/backend.env")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (name, value) = line.split_once('=').expect("a line is an assignment");
        let value = if name == "DATABASE_URL" {
            &postgres.url
        } else {
            value
        };
        guard = guard.env(name, value);
    }
    let running = guard.env("PORT", port.to_string()).start();
    until_healthy(port);
    stop(running, &postgres).expect_never("development-only");
}

/// What the `railway.ts` sets for the service `backend`. The SDK is replaced by functions that return their arguments.
fn railway_file() -> Value {
    let folder = Folder::new();
    let sdk = folder.path().join("node_modules/railway");
    fs::create_dir_all(&sdk).expect("a folder can be made");
    fs::write(
        sdk.join("package.json"),
        r#"{"type": "module", "exports": {"./iac": "./iac.js"}}"#,
    )
    .expect("a file can be written");
    fs::write(
        sdk.join("iac.js"),
        "export const defineRailway = (make) => make({});
        export const postgres = (name) => ({name, env: new Proxy({}, {get: (_, key) => '${{' + name + '.' + String(key) + '}}'})});
        export const preserve = () => 'preserved';
        export const service = (name, settings) => ({name, ...settings});
        export const project = (name, settings) => ({name, ...settings});",
    )
    .expect("a file can be written");
    folder.file("railway.mjs", text_of("railway/railway.ts"));
    let print = "import('./railway.mjs').then((file) => console.log(JSON.stringify(file.default.resources[1])))";
    let shown = succeeds(
        Command::new("node")
            .args(["-e", print])
            .current_dir(folder.path()),
    );
    serde_json::from_str(&shown).expect("node prints JSON")
}

/// What the commands of the page set, by the path of the setting. They are run at a terminal.
fn railway_commands() -> BTreeMap<String, String> {
    let page = text_of("railway/README.md");
    let mut blocks = page.split("```sh\n").skip(1);
    let commands = blocks.next().and_then(|block| block.split("```").next());
    assert!(blocks.next().is_none(), "there is one block");
    let folder = Folder::new();
    let script = folder.script("commands.sh", commands.expect("there is a block"));
    // Like the CLI, which ignores the settings if its standard input is not a terminal.
    folder.script(
        "railway",
        "#!/bin/sh\n[ -t 0 ] && for word; do printf '%s\\n' \"$word\" >>recorded; done\nexit 0\n",
    );
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(['sh', '-e', sys.argv[1]])))";
    succeeds(
        Command::new(venv("python"))
            .args(["-c", terminal])
            .arg(script)
            .current_dir(folder.path())
            .env("PATH", path),
    );
    let recorded = fs::read_to_string(folder.path().join("recorded")).expect("it was recorded");
    let words: Vec<&str> = recorded.lines().collect();
    assert_eq!(words[..2], ["environment", "edit"]);
    let settings = words.split(|word| *word == "--service-config" || *word == "--message");
    let settings = settings.filter_map(|setting| match setting {
        ["backend", path, value] => Some(((*path).to_owned(), (*value).to_owned())),
        _ => None,
    });
    settings.collect()
}

fn railway_settings() {
    let file = railway_file();
    assert_eq!(file["name"], "backend");
    let number = |value: &Value| value.as_u64().expect("it is a number").to_string();
    let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
    let expected = BTreeMap::from([
        ("deploy.startCommand".to_owned(), text(&file["start"])),
        (
            "deploy.preDeployCommand".to_owned(),
            text(&file["preDeploy"]),
        ),
        (
            "deploy.healthcheckPath".to_owned(),
            text(&file["healthcheck"]),
        ),
        (
            "deploy.healthcheckTimeout".to_owned(),
            number(&file["healthcheckTimeout"]),
        ),
        (
            "deploy.drainingSeconds".to_owned(),
            number(&file["deploy"]["drainingSeconds"]),
        ),
    ]);
    assert_eq!(railway_commands(), expected);
    let page = text_of("railway/README.md");
    for (setting, value) in [
        (
            "start command",
            format!("`{}`", expected["deploy.startCommand"]),
        ),
        (
            "pre-deploy command",
            format!("`{}`", expected["deploy.preDeployCommand"]),
        ),
        (
            "health check path",
            format!("`{}`", expected["deploy.healthcheckPath"]),
        ),
        (
            "health check time-out",
            format!("{} seconds", expected["deploy.healthcheckTimeout"]),
        ),
        (
            "draining time",
            format!("{} seconds", expected["deploy.drainingSeconds"]),
        ),
    ] {
        let row = format!("| {setting} | {value} |");
        assert!(page.contains(&row), "the page has no row {row}");
    }
}

/// Runs the settings of `railway.ts` as Railway does: without a shell, with its own variables.
fn railway_run() {
    let file = railway_file();
    let manifest = root().join("required-vars.yaml");
    let command = |setting: &str| {
        let text = file[setting].as_str().expect("it is a text");
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        guard(&manifest, &words).env("RAILWAY_SERVICE_NAME", "backend")
    };
    command("preDeploy").run().expect_code(78);
    let (postgres, port) = (Postgres::start(), free_port());
    with_values(command("preDeploy"), &postgres, port)
        .run()
        .expect_code(0);
    let running = with_values(command("start"), &postgres, port).start();
    assert_eq!(file["healthcheck"], "/health");
    until_healthy(port);
    stop(running, &postgres);
    // The manifest declares each variable that the file names.
    let declared = &documents(&fs::read_to_string(manifest).expect("it can be read"))[0];
    for name in file["env"].as_object().expect("it has variables").keys() {
        assert!(declared["variables"].get(name).is_some(), "{name}");
    }
}
