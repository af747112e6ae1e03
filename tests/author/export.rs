//! `startup-guard export`, with the programs that read what it prints.

mod apply;
#[allow(dead_code, reason = "shared with the tests of the recipes")]
mod hostile;
mod railway;

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Ended, Guard, broken_pipe};

const MANIFEST: &str = "version: 1
service: My API
variables:
  TOKEN: {level: critical, secret: true, min_length: 8}
  DATABASE_URL: {level: required, secret: true, type: url}
  MODE: {level: required, one_of: [live, test]}
  TITLE: {level: optional}
  LEVEL: {level: optional, default: info}
wait_for:
  - postgres: DATABASE_URL
server: {command: [serve, \"${MODE}\"]}
";

const VALUES: &str = "TOKEN='its$ecret-c4n4ry'
DATABASE_URL=postgresql://app:p4sscanary@db.internal/app
MODE=live
TITLE=\"yes # no\"
";

/// The values of `VALUES` that must not be on standard error.
const CANARIES: [&str; 2] = ["c4n4ry", "p4sscanary"];

/// Exports an env file with the arguments of this line.
fn export(values: &str, line: &str) -> Ended {
    let guard = Guard::with_manifest(MANIFEST);
    guard.folder.file("a.env", values);
    guard.line(&format!("export {line} --env-file a.env")).run()
}

fn expect_no_canary(ended: &Ended) {
    for canary in CANARIES {
        assert!(!ended.stderr().contains(canary), "{canary}\n{ended}");
    }
}

/// The Python of the tests' own environment, which `make venv` creates.
fn python() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python")
}

/// Runs a Python script with a file as its argument, and reads the JSON that it prints.
fn read_with_python(script: &str, file: &std::path::Path) -> serde_json::Value {
    let output = Command::new(python())
        .args(["-c", script])
        .arg(file)
        .output();
    let output = output.expect("the tests' Python starts; `make venv` creates it");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

#[test]
fn each_platform_gets_its_own_form_and_secrets_are_only_on_standard_output() {
    for (platform, expected) in [
        (
            "docker",
            "TOKEN=its$ecret-c4n4ry\nDATABASE_URL=postgresql://app:p4sscanary@db.internal/app\nMODE=live\nTITLE=yes # no\n",
        ),
        (
            "compose",
            "TOKEN='its$ecret-c4n4ry'\nDATABASE_URL=postgresql://app:p4sscanary@db.internal/app\nMODE=live\nTITLE='yes # no'\n",
        ),
        (
            "kubernetes",
            "# In the specification of the container:
#   envFrom:
#     - configMapRef: {name: my-api-env}
#     - secretRef: {name: my-api-env}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: my-api-env
data:
  \"MODE\": \"live\"
  \"TITLE\": \"yes # no\"
---
apiVersion: v1
kind: Secret
metadata:
  name: my-api-env
type: Opaque
stringData:
  \"TOKEN\": \"its$ecret-c4n4ry\"
  \"DATABASE_URL\": \"postgresql://app:p4sscanary@db.internal/app\"
",
        ),
        (
            "railway --service api --environment live --project p1",
            "printf %s 'its$ecret-c4n4ry' |
railway variable set TOKEN --stdin --skip-deploys --service api --environment live --project p1 &&
printf %s 'postgresql://app:p4sscanary@db.internal/app' |
railway variable set DATABASE_URL --stdin --skip-deploys --service api --environment live --project p1 &&
railway variable set MODE=live 'TITLE=yes # no' --service api --environment live --project p1
",
        ),
    ] {
        let ended = export(VALUES, platform);
        expect_no_canary(&ended);
        let ended = ended.expect_code(0).expect_stdout(expected);
        ended.expect_stderr("the environment of My API is sound: 5 variables checked\n");
    }
}

#[test]
fn an_invalid_set_is_exported_only_by_force() {
    let values = VALUES.replace("MODE=live", "MODE=c4n4ry");
    for platform in [
        "railway",
        "railway --apply",
        "docker",
        "compose",
        "kubernetes",
    ] {
        let ended = export(&values, platform).expect_code(78).expect_stdout("");
        expect_no_canary(&ended);
        ended
            .expect_stderr("MODE is not one of live, test")
            .expect_stderr("(a.env:3)")
            .expect_stderr("nothing was exported, because the values are invalid; correct them, or add `--force`");
    }
    let forced = export(&values, "docker --force").expect_code(0);
    expect_no_canary(&forced);
    let forced = forced.expect_stderr("MODE is not one of live, test");
    assert!(forced.stdout().contains("\nMODE=c4n4ry\n"), "{forced}");
}

#[test]
fn a_missing_variable_is_invalid_even_if_the_process_has_it() {
    let guard = Guard::with_manifest(MANIFEST).env("MODE", "live");
    guard.folder.file("a.env", VALUES.replace("MODE=live", ""));
    let ended = guard.line("export docker --env-file a.env").run();
    ended
        .expect_code(78)
        .expect_stdout("")
        .expect_stderr("MODE is not set [missing, required]");
}

#[test]
fn only_declared_values_of_the_files_are_exported_and_the_others_are_named_by_line() {
    let more = "c4n4ry_name=1\nTZ=Europe/Paris\nLEVEL=\nTITLE=last\nTOKEN=\nTOKEN_FILE=/run/secrets/token\n";
    let ended = export(&format!("{VALUES}{more}"), "compose").expect_code(0);
    expect_no_canary(&ended);
    let expected = "TOKEN_FILE=/run/secrets/token\nDATABASE_URL=postgresql://app:p4sscanary@db.internal/app\nMODE=live\nTITLE=last\n";
    ended
        .expect_stdout(expected)
        .expect_stderr("the export skips 2 variables that the manifest does not declare: a.env:5, TZ (a.env:6)")
        .expect_stderr("a.env:9 (TOKEN) and 7 (LEVEL): sets an empty value, which is not exported");
}

#[test]
fn files_without_a_declared_value_are_an_error() {
    let ended = export("OTHER=1\nTOKEN=\n", "docker --force");
    ended
        .expect_code(65)
        .expect_stdout("")
        .expect_stderr("there is nothing to export: the env files set no variable of the manifest");
}

#[test]
fn what_a_platform_cannot_hold_is_an_error_that_names_the_variable() {
    let lines = "-----BEGIN KEY-----\nc4n4ryc4n4ry\n-----END KEY-----";
    let values = |value: &str| format!("{VALUES}TOKEN=\"{value}\"\n");
    for (platform, value, told) in [
        (
            "docker",
            lines,
            "nothing was exported: an env file cannot hold TOKEN: docker reads one line",
        ),
        (
            "docker --force",
            "c4n4ryc4n4ry\\r",
            "an env file cannot hold TOKEN: docker reads one line",
        ),
        (
            "railway --force",
            "c4n4ryc4n4ry\n",
            "railway removes line breaks from the end of a secret: remove them from TOKEN",
        ),
        (
            "railway --force --apply",
            "c4n4ryc4n4ry\\r",
            "railway removes line breaks from the end of a secret: remove them from TOKEN",
        ),
    ] {
        let ended = export(&values(value), platform);
        expect_no_canary(&ended);
        ended.expect_code(78).expect_stdout("").expect_stderr(told);
    }
    for platform in ["compose", "kubernetes", "railway"] {
        export(&values(lines), platform).expect_code(0);
    }
    let long = "a8".repeat(33 * 1024);
    export(&values(&long), "docker").expect_code(78);
    export(&values(&long), "compose").expect_code(0);
}

#[test]
fn a_name_that_a_platform_cannot_hold_is_an_error() {
    for (platform, name, told) in [
        (
            "kubernetes",
            "1ST",
            "Kubernetes cannot pass on 1ST: a name must consist of",
        ),
        ("kubernetes", "a/b", "Kubernetes cannot pass on a/b"),
        ("compose", "a/b", "an env file cannot hold a/b"),
        (
            "railway",
            "-x",
            "railway takes -x for an option, because the name begins with `-`",
        ),
    ] {
        let manifest = format!("version: 1\nvariables: {{'{name}': {{}}, b.c-d: {{}}}}\n");
        let guard = Guard::with_manifest(&manifest);
        guard.folder.file("a.env", format!("{name}=v\nb.c-d=w\n"));
        let line = format!("export {platform} --dialect docker --env-file a.env");
        let ended = guard.line(&line).run();
        ended.expect_code(78).expect_stdout("").expect_stderr(told);
    }
}

#[test]
fn a_kubernetes_document_without_entries_is_left_out() {
    let guard = Guard::with_manifest("version: 1\nvariables: {A: {}}\n");
    guard.folder.file("a.env", "A=1.10\n");
    let ended = guard.line("export kubernetes --env-file a.env").run();
    ended.expect_code(0).expect_stdout(
        "# In the specification of the container:
#   envFrom:
#     - configMapRef: {name: app-env}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: app-env
data:
  \"A\": \"1.10\"
",
    );
}

#[test]
fn compose_and_kubernetes_keep_every_byte_of_hostile_values() {
    const READ: &str = "
import json, sys, yaml
documents = list(yaml.safe_load_all(open(sys.argv[1], encoding='utf-8', newline='')))
found = {}
for document in documents:
    entries = document.get('data' if document['kind'] == 'ConfigMap' else 'stringData')
    found[document['kind']] = [document['metadata']['name'], entries]
print(json.dumps(found))";
    let values = hostile::values(1000);
    let guard = || {
        let guard = Guard::with_manifest(&hostile::manifest(values.len()));
        guard.folder.file("a.env", hostile::env_file(&values));
        guard
    };
    let compose = guard()
        .line("export compose --env-file a.env --force")
        .run();
    let compose = compose.expect_code(0).stdout;
    // The second export reads what the first one has written.
    for (file, content) in [("a.env", None), ("b.env", Some(&compose))] {
        let guard = guard();
        content.map(|content| guard.folder.file(file, content));
        let line = format!("export kubernetes --dialect compose --env-file {file} --force");
        let ended = guard.line(&line).run().expect_code(0);
        let read = read_with_python(READ, &ended.folder.file("k.yaml", &ended.stdout));
        for (index, value) in values.iter().enumerate() {
            let kind = ["ConfigMap", "Secret"][usize::from(hostile::is_secret(index))];
            assert_eq!(read[kind][0], "h-st---s-ner-env");
            assert_eq!(read[kind][1][hostile::name(index)], **value, "{file}");
        }
        let count = |kind: &str| read[kind][1].as_object().map_or(0, serde_json::Map::len);
        assert_eq!(count("ConfigMap") + count("Secret"), values.len());
    }
}

#[test]
fn python_dotenv_reads_a_file_for_compose_alike() {
    const READ: &str = "
import dotenv, json, sys
print(json.dumps(dotenv.dotenv_values(sys.argv[1], interpolate=True)))";
    let mut values = hostile::values(1000);
    values.retain(|value| hostile::is_portable(value));
    assert!(values.len() > 500, "{}", values.len());
    let guard = Guard::with_manifest(&hostile::manifest(values.len()));
    guard.folder.file("a.env", hostile::env_file(&values));
    let ended = guard.line("export compose --env-file a.env --force").run();
    let ended = ended.expect_code(0);
    let read = read_with_python(READ, &ended.folder.file("b.env", &ended.stdout));
    for (index, value) in values.iter().enumerate() {
        assert_eq!(read[hostile::name(index)], **value);
    }
}

#[test]
fn a_file_that_docker_reads_keeps_every_byte_of_hostile_values() {
    let mut values = hostile::values(1000);
    values.retain(|value| !value.contains('\n') && !value.ends_with('\r'));
    let guard = Guard::with_manifest(&hostile::manifest(values.len()));
    guard.folder.file("a.env", hostile::env_file(&values));
    let ended = guard.line("export docker --env-file a.env --force").run();
    let ended = ended.expect_code(0);
    let lines = values.iter().enumerate();
    let lines = lines.map(|(index, value)| format!("{}={value}\n", hostile::name(index)));
    assert_eq!(ended.stdout(), lines.collect::<String>());
}

#[test]
fn wrong_usage_ends_with_64() {
    for (line, told) in [
        (
            "export",
            "`export` needs a PLATFORM: railway, docker, compose or kubernetes",
        ),
        (
            "export heroku --env-file a.env",
            "`PLATFORM` must be railway, docker, compose or kubernetes, not `heroku`",
        ),
        (
            "export docker",
            "`export` needs an `--env-file` with the values",
        ),
        (
            "export docker --apply --env-file a.env",
            "are for `railway` only",
        ),
        (
            "export railway --project p --env-file a.env",
            "`--project` needs `--environment`",
        ),
        ("export docker kubernetes --env-file a.env", "export"),
    ] {
        let ended = Guard::with_manifest(MANIFEST).line(line).run();
        ended.expect_code(64).expect_stdout("").expect_stderr(told);
    }
}

#[test]
fn a_file_that_does_not_exist_ends_with_66_and_output_without_a_reader_with_71() {
    let ended = Guard::with_manifest(MANIFEST)
        .line("export docker --env-file missing.env")
        .run();
    ended.expect_code(66).expect_stderr("there is no such file");
    for platform in ["railway", "docker", "compose", "kubernetes"] {
        let guard = Guard::with_manifest(MANIFEST);
        guard.folder.file("a.env", VALUES);
        let line = format!("export {platform} --env-file a.env");
        let status = guard.line(&line).stdout(broken_pipe()).run_quietly();
        assert_eq!(status.code(), Some(71), "{platform}");
    }
}

#[test]
fn the_example_in_the_documentation_is_what_is_printed() {
    const PAGE: &str = include_str!("../../docs/export.md");
    let block = |language: &str| {
        let after = PAGE.split(&format!("```{language}\n")).nth(1);
        let block = after.and_then(|after| after.split("```").next());
        block.expect("the page has such a block")
    };
    let guard = Guard::with_manifest(include_str!("../../required-vars.yaml"));
    guard.folder.file(".env.production", block("dotenv"));
    let line = "export railway --env-file .env.production --service backend";
    assert!(PAGE.contains(&format!("`startup-guard {line}` prints")));
    let ended = guard.line(line).run();
    ended.expect_code(0).expect_stdout(block("text"));
}

#[test]
fn the_variables_of_one_process_or_of_all_are_exported() {
    let manifest = "version: 1
processes: {web: {}, worker: {}}
variables: {A: {}, B: {processes: [web]}, C: {secret: true, processes: [worker]}}
";
    let exported = |line: &str, values: &str, code| {
        let guard = Guard::with_manifest(manifest);
        guard.folder.file("a.env", values);
        let ended = guard.line(line).run().expect_code(code);
        ended.expect_never("canary-of-c").stdout()
    };
    let line = "export docker --env-file a.env";
    let all = "A=1\nB=2\n";
    assert_eq!(
        exported(&format!("{line} --process web"), all, 0),
        "A=1\nB=2\n"
    );
    assert_eq!(exported(line, all, 78), "");
    let values = format!("{all}C=canary-of-c\nSTARTUP_GUARD_PROCESS=web\n");
    assert_eq!(exported(line, &values, 0), "A=1\nB=2\n");
    let whole = format!("{all}C=value-of-c\n");
    assert_eq!(exported(line, &whole, 0), "A=1\nB=2\nC=value-of-c\n");
}
