//! What `export` prints, read by docker, docker-compose and kubectl. None of them needs a server here.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Test;
use crate::hostile;
use crate::support::{Folder, Guard};

pub const TESTS: &[Test] = &[
    (
        "docker_reads_hostile_values_unchanged",
        &["docker"],
        docker_reads_hostile_values_unchanged,
    ),
    (
        "docker_compose_1_reads_hostile_values_unchanged",
        &["docker-compose"],
        docker_compose_1_reads_hostile_values_unchanged,
    ),
    (
        "kubectl_reads_hostile_values_unchanged",
        &["kubectl"],
        kubectl_reads_hostile_values_unchanged,
    ),
];

/// An engine that accepts the creation of one container, and prints its description.
const ENGINE: &str = r#"
import http.server, sys

class Engine(http.server.BaseHTTPRequestHandler):
    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Api-Version", "1.43")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self):
        self.answer(200, b"")

    def do_GET(self):
        self.answer(200, b"OK")

    def do_POST(self):
        description = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201, b'{"Id": "1", "Warnings": []}')
        sys.stdout.buffer.write(description)
        sys.stdout.flush()
        self.server.is_done = True

    def log_message(self, *arguments):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Engine)
server.is_done = False
print(server.server_port, flush=True)
while not server.is_done:
    server.handle_request()
"#;

/// The values, and a folder with `platform.txt`, which has them in the form of the platform.
fn exported(platform: &str, values: &[String]) -> Folder {
    let guard = Guard::with_manifest(&hostile::manifest(values.len()));
    guard.folder.file("a.env", hostile::env_file(values));
    let line = format!("export {platform} --env-file a.env --force");
    let ended = guard.line(&line).run().expect_code(0);
    let folder = Folder::new();
    folder.file("platform.txt", &ended.stdout);
    folder
}

fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python")
}

/// The standard output of a program that must succeed.
fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("the program starts");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    output.stdout
}

fn docker_reads_hostile_values_unchanged() {
    let mut values = hostile::values(1000);
    // An env file of docker cannot hold these.
    values.retain(|value| !value.contains('\n') && !value.ends_with('\r'));
    let folder = exported("docker", &values);
    let engine = Command::new(python())
        .args(["-c", ENGINE])
        .stdout(Stdio::piped())
        .spawn();
    let mut engine = engine.expect("the tests' Python starts; `make venv` creates it");
    let stdout = engine.stdout.take().expect("stdout is piped");
    let mut stdout = BufReader::new(stdout);
    let mut port = String::new();
    stdout
        .read_line(&mut port)
        .expect("the engine prints its port");
    let host = format!("tcp://127.0.0.1:{}", port.trim());
    let mut docker = Command::new("docker");
    docker.args([
        "--host",
        &host,
        "create",
        "--env-file",
        "platform.txt",
        "image",
    ]);
    docker.current_dir(folder.path());
    let created = docker.output().expect("docker starts");
    let message = String::from_utf8_lossy(&created.stderr);
    if !created.status.success() {
        let _ = engine.kill();
    }
    let mut description = Vec::new();
    stdout
        .read_to_end(&mut description)
        .expect("the engine ends");
    engine.wait().expect("the engine ends");
    assert!(created.status.success(), "{message}");
    let description: Value = serde_json::from_slice(&description).expect("docker sends JSON");
    let entries = values.iter().enumerate();
    let expected: Vec<Value> = entries
        .map(|(index, value)| format!("{}={value}", hostile::name(index)).into())
        .collect();
    assert_eq!(description["Env"], Value::Array(expected));
}

fn docker_compose_1_reads_hostile_values_unchanged() {
    const READ: &str = "
import json, sys, yaml
print(json.dumps(yaml.safe_load(sys.stdin.buffer)['services']['a']['environment']))";
    let mut values = hostile::values(1000);
    // `config` prints these line breaks of YAML without escapes, so that they are read as spaces.
    let is_lost = |value: &String| value.contains(['\u{85}', '\u{2028}', '\u{2029}']);
    values.retain(|value| hostile::is_portable(value) && !is_lost(value));
    let folder = exported("compose", &values);
    let file = "version: '3'\nservices: {a: {image: x, env_file: [platform.txt]}}\n";
    folder.file("docker-compose.yml", file);
    let mut compose = Command::new("docker-compose");
    let config = output(compose.arg("config").current_dir(folder.path()));
    let config = std::fs::File::open(folder.file("config.yml", config)).expect("it was written");
    let read = output(Command::new(python()).args(["-c", READ]).stdin(config));
    let read: Value = serde_json::from_slice(&read).expect("the script prints JSON");
    for (index, value) in values.iter().enumerate() {
        // `config` prints a configuration, in which a `$` is doubled.
        let name = hostile::name(index);
        assert_eq!(read[&name], value.replace('$', "$$"), "{name}");
    }
}

fn kubectl_reads_hostile_values_unchanged() {
    let values = hostile::values(1000);
    let folder = exported("kubernetes", &values);
    let mut kubectl = Command::new("kubectl");
    kubectl.args([
        "label",
        "--local",
        "--filename",
        "platform.txt",
        "--output",
        "json",
        "a=b",
    ]);
    let read = output(kubectl.current_dir(folder.path()));
    let documents = serde_json::Deserializer::from_slice(&read).into_iter::<Value>();
    let documents: Vec<Value> = documents
        .map(|each| each.expect("kubectl prints JSON"))
        .collect();
    assert_eq!(documents.len(), 2);
    for (index, value) in values.iter().enumerate() {
        let entries = if hostile::is_secret(index) {
            &documents[1]["stringData"]
        } else {
            &documents[0]["data"]
        };
        assert_eq!(entries[hostile::name(index)], **value);
    }
}
