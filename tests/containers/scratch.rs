//! The binary on an empty file system.

use crate::Test;
use crate::engine::{Container, Network, both, docker, try_docker};
use crate::images::{self, GUARD, SCRATCH};
use crate::support::Folder;

pub const TESTS: &[Test] = &[
    (
        "the_guard_image_is_the_binary_alone",
        the_guard_image_is_the_binary_alone,
    ),
    (
        "from_scratch_the_guard_checks_and_becomes_a_static_server",
        from_scratch_the_guard_checks_and_becomes_a_static_server,
    ),
    (
        "names_are_resolved_by_the_engines_dns",
        names_are_resolved_by_the_engines_dns,
    ),
    (
        "a_missing_command_from_scratch_ends_with_127",
        a_missing_command_from_scratch_ends_with_127,
    ),
    (
        "the_reason_of_an_error_is_written_to_the_termination_log",
        the_reason_of_an_error_is_written_to_the_termination_log,
    ),
];

fn the_guard_image_is_the_binary_alone() {
    images::build();
    let printed = docker(&["run", "--rm", GUARD, "--version"]);
    assert_eq!(
        printed,
        concat!("startup-guard ", env!("CARGO_PKG_VERSION"))
    );
    let layers = docker(&["inspect", "--format", "{{len .RootFS.Layers}}", GUARD]);
    assert_eq!(layers, "1");
    assert_eq!(labels(GUARD), expected_labels("", ""));
}

/// The labels of an image, as JSON.
pub fn labels(image: &str) -> serde_json::Value {
    let printed = docker(&["inspect", "--format", "{{json .Config.Labels}}", image]);
    serde_json::from_str(&printed).expect("the labels are JSON")
}

/// What the labels say, by Cargo.toml and the arguments of the build.
pub fn expected_labels(version: &str, revision: &str) -> serde_json::Value {
    let labels = [
        ("title", env!("CARGO_PKG_NAME")),
        ("description", env!("CARGO_PKG_DESCRIPTION")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("source", env!("CARGO_PKG_REPOSITORY")),
        ("version", version),
        ("revision", revision),
    ];
    let named =
        |(name, value): (&str, &str)| (format!("org.opencontainers.image.{name}"), value.into());
    serde_json::Value::Object(labels.into_iter().map(named).collect())
}

fn from_scratch_the_guard_checks_and_becomes_a_static_server() {
    images::build();
    let container = Container::start(&[
        "--read-only",
        "--user",
        "12345:12345",
        "-e",
        "PORT=8080",
        SCRATCH,
    ]);
    container.until_logged("serving");
    container.until_healthy();
    let processes = docker(&["top", &container.0, "-o", "pid,comm"]);
    let names = processes
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().last());
    assert_eq!(names.collect::<Vec<_>>(), [Some("server")]);
    assert_eq!(
        docker(&["inspect", "--format", "{{.State.Running}}", &container.0]),
        "true"
    );
}

fn names_are_resolved_by_the_engines_dns() {
    images::build();
    ask_for_names(GUARD);
}

/// Asks a server for its health by its name on the network, and one that is not there.
pub fn ask_for_names(guard: &str) {
    let network = Network::new();
    let server = Container::start(&["--network", &network.0, "--network-alias", "web", SCRATCH]);
    server.until_logged("serving");
    let ask = |url: &str| {
        let run = ["run", "--rm", "--network", &network.0];
        try_docker(&[&run[..], &[guard, "healthcheck", url]].concat())
    };
    let found = ask("http://web:8000/");
    assert_eq!(found.status.code(), Some(0), "{}", both(&found));
    let absent = ask("http://nobody:8000/");
    assert_eq!(absent.status.code(), Some(1), "{}", both(&absent));
}

fn a_missing_command_from_scratch_ends_with_127() {
    images::build();
    let output = try_docker(&["run", "--rm", SCRATCH, "sh", "-c", "true"]);
    assert_eq!(output.status.code(), Some(127), "{}", both(&output));
    assert!(
        both(&output).contains("the command `sh` was not found"),
        "{}",
        both(&output)
    );
}

fn the_reason_of_an_error_is_written_to_the_termination_log() {
    images::build();
    let folder = Folder::new();
    let manifest =
        "version: 1\nservice: api\nvariables: {A_KEY: {secret: true}, B_URL: {type: url}}\n";
    let manifest = folder.file("required-vars.yaml", manifest);
    let log = folder.file("termination-log", "");
    let mount = |file: &std::path::Path, target: &str| format!("{}:{target}", file.display());
    let output = try_docker(&[
        "run",
        "--rm",
        "-v",
        &mount(&manifest, "/required-vars.yaml"),
        "-v",
        &mount(&log, "/dev/termination-log"),
        "-e",
        "KUBERNETES_SERVICE_HOST=10.0.0.1",
        "-e",
        "HOSTNAME=api-7d9c5b6f48-x2x9z",
        GUARD,
        "check",
        "--manifest",
        "/required-vars.yaml",
    ]);
    assert_eq!(output.status.code(), Some(78), "{}", both(&output));
    let left = std::fs::read_to_string(&log).expect("the file is there");
    let expected = "the environment of api is invalid: 2 errors, on Kubernetes: pod \"api-7d9c5b6f48-x2x9z\" \
                    (phase check, cause set_elsewhere, exit code 78, a retry does not help)";
    assert_eq!(left, expected);
}
