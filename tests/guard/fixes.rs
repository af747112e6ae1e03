//! The commands of a report, pasted into a shell: what would have been run, and with what.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Folder, Guard};

const MANIFEST: &str = "version: 1
variables:
  SIGNING_KEY: {secret: true, min_length: 32, generate: {bytes: 32, format: base64}}
  DATABASE_URL: {type: url, schemes: [postgresql], secret: true}
  ALGORITHM: {one_of: [\"it's $HS256 `x`\"]}
";

/// Writes how it was called to a file, with its standard input.
const STUB: &str = "#!/bin/sh
{ printf '%s' \"${0##*/}\"; for word; do printf ' [%s]' \"$word\"; done
  case \"$*\" in *--stdin*|*import*|*--data-file=-*) printf ' <%s>' \"$(cat)\";; esac
  echo; } >>calls
";

/// Runs the fix for a platform as a person would, with another secret typed each time it is asked for. Gives
/// what was called.
fn pasted(platform: &[(&str, &str)]) -> (String, Folder) {
    let mut guard = Guard::with_manifest(MANIFEST);
    for (name, value) in platform {
        guard = guard.env(name, value);
    }
    let ended = guard.line("check --format json").run().expect_code(78);
    let stdout = ended.stdout();
    let summary: serde_json::Value =
        serde_json::from_str(stdout.lines().last().unwrap_or_default()).expect("it is JSON");
    let commands = summary["fixes"][0]["commands"]
        .as_array()
        .expect("there is a fix")
        .clone();
    let folder = ended.folder;
    for name in ["railway", "kubectl", "fly", "heroku", "gcloud"] {
        folder.script(name, STUB);
    }
    folder.script("openssl", "#!/bin/sh\necho generated-$1-$2-$3\n");
    for command in commands {
        let command = command.as_str().expect("a command is a text");
        let mut shell = Command::new("bash")
            .args(["-c", command])
            .current_dir(folder.path())
            .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a bash");
        let mut typed = shell.stdin.take().expect("it is piped");
        // Whoever is not asked reads nothing.
        let _ = typed.write_all(b"typed secret\n");
        drop(typed);
        assert!(shell.wait().expect("it ends").success(), "{command}");
    }
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap_or_default();
    (calls, folder)
}

#[test]
fn railways_command_line_gets_every_name_whole_and_secrets_on_standard_input() {
    let (calls, _) = pasted(&[
        ("RAILWAY_SERVICE_NAME", "my api's"),
        ("RAILWAY_ENVIRONMENT_NAME", "prod"),
    ]);
    let expected = "railway [variable] [set] [DATABASE_URL=${{Postgres.DATABASE_URL}}] [ALGORITHM=it's $HS256 `x`] [--service] [my api's] [--environment] [prod]
railway [variable] [set] [SIGNING_KEY] [--stdin] [--service] [my api's] [--environment] [prod] <generated-rand--base64-32>
";
    assert_eq!(calls, expected);
}

#[test]
fn kubectl_gets_a_secret_and_the_workload() {
    let (calls, _) = pasted(&[
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("HOSTNAME", "api-7d9c5b6f48-x2x9z"),
    ]);
    let expected = "kubectl [create] [secret] [generic] [api-env] [--from-literal=SIGNING_KEY=generated-rand--base64-32] [--from-literal=DATABASE_URL=typed secret]
kubectl [set] [env] [deployment/api] [--from=secret/api-env]
kubectl [set] [env] [deployment/api] [ALGORITHM=it's $HS256 `x`]
";
    assert_eq!(calls, expected);
}

#[test]
fn flyctl_and_heroku_get_all_of_it_in_one_command() {
    let (calls, _) = pasted(&[("FLY_APP_NAME", "api")]);
    let expected = "fly [secrets] [import] [--app] [api] <SIGNING_KEY=generated-rand--base64-32
DATABASE_URL=typed secret
ALGORITHM=it's $HS256 `x`>
";
    assert_eq!(calls, expected);
    let (calls, _) = pasted(&[("DYNO", "web.1"), ("HEROKU_APP_NAME", "api")]);
    let expected = "heroku [config:set] [--app] [api] [SIGNING_KEY=generated-rand--base64-32] [DATABASE_URL=typed secret] [ALGORITHM=it's $HS256 `x`]
";
    assert_eq!(calls, expected);
}

#[test]
fn gcloud_gets_secrets_and_one_update() {
    let (calls, _) = pasted(&[("K_SERVICE", "api")]);
    let expected = "gcloud [secrets] [create] [SIGNING_KEY] [--data-file=-] <generated-rand--base64-32>
gcloud [secrets] [create] [DATABASE_URL] [--data-file=-] <typed secret>
gcloud [run] [services] [update] [api] [--update-env-vars] [ALGORITHM=it's $HS256 `x`] [--update-secrets] [SIGNING_KEY=SIGNING_KEY:latest,DATABASE_URL=DATABASE_URL:latest]
";
    assert_eq!(calls, expected);
}

#[test]
fn elsewhere_an_env_file_is_written_that_a_check_can_read() {
    let (_, folder) = pasted(&[]);
    let file = fs::read_to_string(folder.path().join(".env")).expect("it was written");
    let expected = "SIGNING_KEY=generated-rand--base64-32\nDATABASE_URL=typed secret\nALGORITHM=it's $HS256 `x`\n";
    assert_eq!(file, expected);
}

#[test]
fn renders_lines_are_yaml() {
    let mut guard = Guard::with_manifest(MANIFEST).env("RENDER", "true");
    guard = guard.line("check --format json");
    let stdout = guard.run().stdout();
    let summary: serde_json::Value =
        serde_json::from_str(stdout.lines().last().unwrap_or_default()).expect("it is JSON");
    let lines = summary["fixes"][0]["commands"][0]
        .as_str()
        .expect("there are lines");
    let lines: serde_json::Value = serde_yaml::from_str(lines).expect("they are YAML");
    let expected = serde_json::json!({"envVars": [
        {"key": "SIGNING_KEY", "generateValue": true},
        {"key": "DATABASE_URL", "sync": false},
        {"key": "ALGORITHM", "value": "it's $HS256 `x`"},
    ]});
    assert_eq!(lines, expected);
}
