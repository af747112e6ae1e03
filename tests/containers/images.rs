//! Builds the images: missing base images, and both images of the Dockerfile.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, Once, OnceLock};

use crate::engine::{docker, try_docker};
use crate::support::Folder;

/// The default base images of the Dockerfile and docker-compose.yml.
const BASES: [&str; 3] = [
    "rust:1.95-slim-bookworm",
    "python:3.11-slim-bookworm",
    "postgres:15-bookworm",
];
/// The base image for musl that the Dockerfile names.
const MUSL_BASE: &str = "rust:1.95-alpine";

/// Built once, from this checkout.
pub const GUARD: &str = "startup-guard-test/guard";
pub const EXAMPLE: &str = "startup-guard-test/example";
pub const MUSL: &str = "startup-guard-test/musl";
const MUSL_BUILD: &str = "startup-guard-test/musl-build";
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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Copies into its argument what the images are built from, and what compose reads.
const COPY: &str = r#"
rm -rf "$1" && mkdir -p "$1"
cp -r --parents .cargo .dockerignore Cargo.* Dockerfile docker-compose.yml docs/*.json examples required-vars.yaml src "$1"
cd "$1"
chmod -R go= .
chmod go+r examples/secrets/*
"#;

/// A copy of the checkout that only its owner may read, as with a umask of 077, except for the secrets, as
/// docker-compose.yml asks for. All targets of the Dockerfile are built from it.
pub fn checkout() -> &'static Path {
    static CHECKOUT: OnceLock<PathBuf> = OnceLock::new();
    CHECKOUT.get_or_init(|| {
        let copy = root().join("target/containers/checkout");
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", COPY, "sh"]).arg(&copy);
        let output = shell.current_dir(root()).output();
        let output = output.expect("sh can be started");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        copy
    })
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
    if !has_bases && !nix::unistd::geteuid().is_root() {
        return Some("no base images, and making them needs root".to_owned());
    }
    None
}

/// The name of the Rust target for musl on this machine.
pub fn musl_target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// The reason why this machine cannot build for musl, or `None` if it can.
pub fn missing_musl() -> Option<String> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = sysroot.expect("rustc can be started").stdout;
    let library = Path::new(String::from_utf8_lossy(&sysroot).trim()).join("lib/rustlib");
    let target = musl_target();
    let is_there = library.join(&target).exists()
        || try_docker(&["image", "inspect", MUSL_BASE])
            .status
            .success();
    (!is_there).then(|| format!("no Rust target for musl is installed: {target}"))
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

/// Builds all images but that for musl once. Called at the beginning of every test.
pub fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        make_bases();
        // In their order, because an engine without BuildKit builds all targets before the one that is asked for.
        for (target, tag) in TARGETS {
            build_target(target, tag, &[]);
        }
        build_scratch();
    });
}

/// Builds the guard's image for musl once, with the arguments of a release.
pub fn build_musl(arguments: &[(&str, &str)]) {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        make_bases();
        let base = [("RUST_IMAGE", MUSL_BASE)];
        let arguments = [&base, arguments].concat();
        build_target("build", MUSL_BUILD, &arguments);
        build_target("guard", MUSL, &arguments);
    });
}

/// Builds a target of the Dockerfile. Each has a name, so that it can be removed.
fn build_target(target: &str, tag: &str, arguments: &[(&str, &str)]) {
    let context = checkout().to_str();
    let context = context.expect("the checkout's path is UTF-8");
    let arguments = arguments
        .iter()
        .map(|(name, value)| format!("--build-arg={name}={value}"));
    let arguments: Vec<String> = arguments.collect();
    let mut words = vec!["build", "-q", "--target", target, "-t", tag];
    words.extend(arguments.iter().map(String::as_str));
    words.push(context);
    docker(&words);
}

/// Makes stand-ins for base images that are not there, once.
fn make_bases() {
    static MADE: Once = Once::new();
    MADE.call_once(run_stand_ins);
}

fn run_stand_ins() {
    let script = root().join("tests/containers/stand-ins.sh");
    let output = Command::new(script)
        .arg(root().join("target/containers"))
        .args(BASES)
        .args(missing_musl().is_none().then_some(MUSL_BASE))
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
    let all = [SCRATCH, MUSL, MUSL_BUILD].into_iter().chain(ours);
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
