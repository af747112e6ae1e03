//! Builds the images: missing base images, and both images of the Dockerfile.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use crate::engine::{docker, try_docker};
use crate::support::Folder;

/// The default base images of the Dockerfile and docker-compose.yml.
const BASES: [&str; 3] = [
    "rust:1.95-slim-bookworm",
    "python:3.11-slim-bookworm",
    "postgres:15-bookworm",
];

/// Built once, from this checkout.
pub const GUARD: &str = "startup-guard-test/guard";
pub const EXAMPLE: &str = "startup-guard-test/example";
/// All targets of the Dockerfile, each with a name so that it can be removed.
const TARGETS: [(&str, &str); 4] = [
    ("build", "startup-guard-test/build"),
    ("guard", GUARD),
    ("packages", "startup-guard-test/packages"),
    ("example", EXAMPLE),
];
pub const SCRATCH: &str = "startup-guard-test/scratch";
pub const POSTGRES: &str = BASES[2];

/// Stand-ins that this run has created.
static STAND_INS: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The reason why this machine cannot run containers, or `None` if it can.
pub fn missing() -> Option<String> {
    let answers = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !answers("docker", &["info"]) {
        return Some("no Docker engine answers".to_owned());
    }
    let has_bases = BASES
        .iter()
        .all(|base| answers("docker", &["image", "inspect", base]));
    let can_make_bases = answers("apt-get", &["--version"]) && answers("dpkg-deb", &["--version"]);
    if !has_bases && !can_make_bases {
        return Some("no base images, and no apt-get to make them with".to_owned());
    }
    None
}

/// Whether compose is installed, under any of its names.
pub fn compose() -> Option<&'static [&'static str]> {
    const NAMES: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    NAMES.into_iter().find(|words| {
        Command::new(words[0])
            .args(&words[1..])
            .arg("version")
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success())
    })
}

/// Builds all images once. Called at the beginning of every test.
pub fn build() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        make_bases();
        let context = root().to_str().expect("the checkout's path is UTF-8");
        for (target, tag) in TARGETS {
            docker(&["build", "-q", "--target", target, "-t", tag, context]);
        }
        build_scratch();
    });
}

fn make_bases() {
    let script = root().join("tests/containers/stand-ins.sh");
    let output = Command::new(script)
        .arg(root().join("target/containers"))
        .args(BASES)
        .output()
        .expect("the script can be started");
    let names = String::from_utf8_lossy(&output.stdout);
    let made = names.lines().map(str::to_owned);
    STAND_INS
        .lock()
        .expect("no test panics with the lock")
        .extend(made);
    assert!(
        output.status.success(),
        "stand-ins.sh: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// An image that only contains the guard and a static server.
fn build_scratch() {
    let folder = Folder::new();
    compile_server(&folder.path().join("server"));
    folder.file(
        "required-vars.yaml",
        "version: 1\nvariables: {GREETING: {default: hello}}\nserver: {command: [/server, '${PORT:-8000}']}\n",
    );
    let dockerfile = format!(
        "FROM scratch
COPY --from={GUARD} /startup-guard /startup-guard
COPY server required-vars.yaml /
HEALTHCHECK --interval=1s CMD [\"/startup-guard\", \"healthcheck\", \"http://127.0.0.1:${{PORT:-8000}}/\"]
ENTRYPOINT [\"/startup-guard\", \"run\", \"--\"]
"
    );
    folder.file("Dockerfile", dockerfile);
    let context = folder.path().to_str().expect("the folder's path is UTF-8");
    docker(&["build", "-q", "-t", SCRATCH, context]);
}

fn compile_server(to: &PathBuf) {
    let status = Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "-C",
            "target-feature=+crt-static",
            "-o",
        ])
        .arg(to)
        .arg(root().join("tests/containers/server.rs"))
        .status()
        .expect("rustc can be started");
    assert!(status.success(), "the static server is compiled");
}

/// Removes what this run has created, except unpacked packages under target/.
pub fn remove() {
    let made = STAND_INS.lock().expect("no test panics with the lock");
    let ours = TARGETS.iter().rev().map(|&(_, tag)| tag);
    let all = [SCRATCH].into_iter().chain(ours);
    for image in all.chain(made.iter().map(String::as_str)) {
        try_docker(&["image", "rm", "-f", image]);
    }
    // Unnamed images that were built on stand-ins have the stand-ins' label.
    try_docker(&[
        "image",
        "prune",
        "-f",
        "--filter",
        "label=startup-guard.stand-in",
    ]);
}
