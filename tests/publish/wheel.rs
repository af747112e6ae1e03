//! The wheel and the source distribution: what is in them, where pip installs them, and how the guard runs from there.
//! The release binary is built once; all tests use the same wheel.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::environment::{CANARIES, free_port, get, in_service, until_healthy};
use crate::postgres::{Postgres, venv};
use crate::support::{Folder, Guard, until};
use crate::{ROOT, Test, is_static, make, release_binary, root, succeeds};

pub const TESTS: &[Test] = &[
    (
        "the_wheel_has_the_release_binary_and_the_licenses_only",
        &[],
        content,
    ),
    ("the_wheel_is_the_same_if_it_is_built_again", &[], rebuilt),
    ("the_metadata_is_that_of_cargo_and_is_valid", &[], metadata),
    (
        "pip_selects_the_wheel_for_glibc_and_for_musl_on_this_architecture_only",
        &[],
        platforms,
    ),
    (
        "the_wheel_is_installed_without_network_and_leaves_nothing_when_it_is_uninstalled",
        &[],
        installed,
    ),
    (
        "the_example_service_migrates_and_serves_with_the_installed_guard",
        &[],
        service,
    ),
    (
        "the_installed_guard_runs_where_there_is_no_c_library",
        &[ROOT],
        alone,
    ),
    (
        "the_source_distribution_has_what_the_build_needs_and_nothing_else",
        &[],
        source,
    ),
    (
        "pip_builds_a_static_guard_from_the_source_distribution",
        &[],
        from_source,
    ),
    (
        "a_service_without_a_dockerfile_is_guarded_by_a_line_in_its_requirements",
        &[],
        railway,
    ),
];

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The architecture of this machine, and one that it is not.
const ARCHITECTURES: [&str; 2] = if cfg!(target_arch = "aarch64") {
    ["aarch64", "x86_64"]
} else {
    ["x86_64", "aarch64"]
};

/// The only file in `target/wheels` whose name ends like this, built while one of another version is there.
fn built(target: &str, ending: &str) -> PathBuf {
    let folder = root().join("target/wheels");
    fs::create_dir_all(&folder).expect("the folder can be made");
    let other = folder.join(format!("startup_guard-99.0.0{ending}"));
    fs::write(other, "").expect("a file can be written");
    succeeds(&mut make(&root(), target));
    let entries = fs::read_dir(&folder).expect("the folder can be listed");
    let paths = entries.map(|entry| entry.expect("the entry can be read").path());
    let files: Vec<PathBuf> = paths
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    let [file] = files.as_slice() else {
        panic!("one file is left: {files:?}");
    };
    file.clone()
}

/// The wheel for this machine.
fn wheel() -> &'static Path {
    static WHEEL: OnceLock<PathBuf> = OnceLock::new();
    WHEEL.get_or_init(|| built("wheel", &format!("_{}.whl", ARCHITECTURES[0])))
}

fn source_distribution() -> &'static Path {
    static SOURCE: OnceLock<PathBuf> = OnceLock::new();
    SOURCE.get_or_init(|| built("sdist", ".tar.gz"))
}

/// What `wheel.py` tells about a file.
fn told(file: &Path) -> Value {
    let script = root().join("tests/publish/wheel.py");
    let told = succeeds(Command::new(venv("python")).arg(script).arg(file));
    serde_json::from_str(&told).expect("the script prints JSON")
}

/// pip of `target/venv`, without an index and without settings of this machine.
fn pip() -> Command {
    let mut command = Command::new(venv("python"));
    command
        .args(["-m", "pip", "--disable-pip-version-check", "--isolated"])
        .env("PIP_CONFIG_FILE", "/dev/null");
    command
}

/// A fresh virtual environment without pip, which is faster to make.
struct Environment(Folder);

impl Environment {
    fn new() -> Self {
        Self::with(&["--without-pip"])
    }

    fn with(arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let mut python = Command::new(venv("python"));
        python.args(["-m", "venv"]).args(arguments);
        succeeds(python.arg(folder.path().join("venv")));
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("venv")
    }

    fn bin(&self, program: &str) -> PathBuf {
        self.path().join("bin").join(program)
    }

    /// Installs what the arguments say. All that can be found is the wheel.
    fn install(&self, arguments: &[&str]) -> String {
        succeeds(
            pip()
                .arg("--python")
                .arg(self.bin("python"))
                .args(["install", "--no-index", "--find-links"])
                .arg(wheel())
                .args(arguments),
        )
    }

    fn with_guard() -> Self {
        let environment = Self::new();
        environment.install(&["startup-guard"]);
        environment
    }

    /// All its files but the caches of pip's own modules.
    fn files(&self) -> BTreeSet<PathBuf> {
        let found = succeeds(Command::new("find").arg(self.path()).args([
            "-not",
            "-path",
            "*/__pycache__*",
        ]));
        found.lines().map(PathBuf::from).collect()
    }
}

fn content() {
    let told = told(wheel());
    let info = format!("startup_guard-{VERSION}.dist-info");
    let files = [
        format!("startup_guard-{VERSION}.data/scripts/startup-guard"),
        format!("{info}/METADATA"),
        format!("{info}/RECORD"),
        format!("{info}/WHEEL"),
        format!("{info}/licenses/LICENSE-APACHE"),
        format!("{info}/licenses/LICENSE-MIT"),
    ];
    assert_eq!(told["files"], json!(files));

    let environment = Environment::with_guard();
    let installed = fs::read(environment.bin("startup-guard")).expect("it is installed");
    let release = fs::read(release_binary()).expect("make wheel builds it");
    assert!(
        installed == release,
        "the wheel has another binary than the release"
    );
}

fn rebuilt() {
    let first = fs::read(wheel()).expect("the wheel can be read");
    succeeds(&mut make(&root(), "wheel"));
    let second = fs::read(wheel()).expect("the wheel can be read");
    assert!(first == second, "the two wheels differ");
}

fn metadata() {
    for file in [wheel(), source_distribution()] {
        let told = told(file);
        let metadata = &told["metadata"];
        let keywords = ["docker", "entrypoint", "environment", "init", "migrations"];
        for (field, expected) in [
            ("name", json!("startup-guard")),
            ("version", json!(VERSION)),
            ("summary", json!(env!("CARGO_PKG_DESCRIPTION"))),
            ("license_expression", json!(env!("CARGO_PKG_LICENSE"))),
            ("license_files", json!(["LICENSE-APACHE", "LICENSE-MIT"])),
            ("keywords", json!(keywords)),
            ("requires_python", json!(">=3.8")),
            ("requires_dist", Value::Null),
        ] {
            assert_eq!(metadata[field], expected, "{field}");
        }
        describes(metadata["description"].as_str().expect("a description"));
        let kind = metadata["description_content_type"].as_str();
        assert!(kind.is_some_and(|kind| kind.starts_with("text/markdown")));
        let urls = metadata["urls"].as_object().expect("it has addresses");
        assert_eq!(urls["Repository"], env!("CARGO_PKG_REPOSITORY"));
        for (name, url) in urls {
            let url = url.as_str().expect("an address is a text");
            let path = url.strip_prefix(env!("CARGO_PKG_REPOSITORY"));
            let path = path.unwrap_or_else(|| panic!("{name} is elsewhere: {url}"));
            // `/tree/main/PATH` and `/blob/main/PATH` are the pages of a path.
            if let Some(path) = path.splitn(4, '/').nth(3) {
                assert!(root().join(path).exists(), "{name} leads nowhere: {url}");
            }
        }
    }
}

/// The page of the project does not resolve relative links. What the text says is also in the README, but for its last lines.
fn describes(description: &str) {
    for link in description.split("](").skip(1) {
        assert!(link.starts_with(env!("CARGO_PKG_REPOSITORY")), "{link}");
    }
    let readme = fs::read_to_string(root().join("README.md")).expect("the README is there");
    let (introduction, rest) = description
        .trim()
        .split_once("\n\n```sh\npip install startup-guard\n")
        .expect("it tells how to install");
    let (commands, rest) = rest.split_once("```").expect("the commands end");
    assert!(readme.contains(introduction), "{introduction}");
    assert!(
        readme.contains(&format!("```sh\n{commands}```")),
        "{commands}"
    );
    assert!(rest.contains("]("), "nothing leads to the README: {rest}");
}

fn platforms() {
    let [here, elsewhere] = ARCHITECTURES;
    let tags = ["manylinux2014", "manylinux_2_17", "musllinux_1_2"];
    let tags = tags.map(|tag| format!("py3-none-{tag}_{here}"));
    let told = told(wheel());
    assert_eq!(told["tags"], json!(tags));
    assert_eq!(told["inner_tags"], json!(tags));

    let folder = Folder::new();
    let install = |platform: &str| -> Output {
        let target = folder.path().join(platform);
        let mut pip = pip();
        pip.args(["install", "--no-index", "--find-links"])
            .arg(wheel())
            .args(["--only-binary", ":all:", "--platform", platform])
            .args(["--python-version", "3.13", "--target"])
            .arg(&target)
            .arg(format!("startup-guard=={VERSION}"));
        pip.output().expect("pip runs")
    };
    for platform in ["manylinux2014", "musllinux_1_2"] {
        let platform = format!("{platform}_{here}");
        let output = install(&platform);
        assert_eq!(output.status.code(), Some(0), "{platform}: {output:?}");
        let guard = folder.path().join(platform).join("bin/startup-guard");
        let version = succeeds(Command::new(guard).arg("--version"));
        assert!(version.starts_with(&format!("startup-guard {VERSION}")));
    }
    for platform in [
        format!("manylinux2014_{elsewhere}"),
        format!("musllinux_1_2_{elsewhere}"),
        "macosx_11_0_arm64".to_owned(),
        "win_amd64".to_owned(),
    ] {
        let output = install(&platform);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{platform}: {stderr}");
        let reason = format!("No matching distribution found for startup-guard=={VERSION}");
        assert!(stderr.contains(&reason), "{platform}: {stderr}");
    }
}

fn installed() {
    // With its own pip, as a user has it.
    let environment = Environment::with(&[]);
    let python = environment.bin("python");
    let pip = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command.args(["-m", "pip", "--disable-pip-version-check", "--isolated"]);
        command.env("PIP_CONFIG_FILE", "/dev/null").args(arguments);
        succeeds(&mut command)
    };
    let before = environment.files();
    let file = wheel().to_str().expect("it is UTF-8");
    pip(&["install", "--no-index", file]);

    let guard = Guard::instead(environment.bin("startup-guard"));
    let ended = guard.line("check").run().expect_code(66);
    ended.expect_stderr("required-vars.yaml");
    let manifest =
        "version: 1\nvariables: {PORT: {type: port}}\nserver: {command: [sh, -c, exit 7]}\n";
    for (line, port, code) in [
        ("check", "8000", 0),
        ("check", "800000", 78),
        ("run", "800000", 78),
        ("run", "8000", 7),
    ] {
        let guard = Guard::instead(environment.bin("startup-guard"));
        guard.folder.file("required-vars.yaml", manifest);
        guard.env("PORT", port).line(line).run().expect_code(code);
    }

    pip(&["uninstall", "--yes", "startup-guard"]);
    assert_eq!(environment.files(), before);
}

fn service() {
    let environment = Environment::with_guard();
    let postgres = Postgres::start();
    let port = free_port();
    let guard = Guard::instead(environment.bin("startup-guard"));
    let running = in_service(guard, &postgres, port).line("run").start();
    until_healthy(port);
    running.signal(Signal::SIGTERM);
    let mut ended = running.end().expect_code(128 + Signal::SIGTERM as i32);
    ended = ended
        .expect_stderr("Running upgrade  -> 0001")
        .expect_stderr("Démarrage du serveur FastAPI")
        .expect_never(postgres.password());
    for (_, canary) in CANARIES {
        ended = ended.expect_never(canary);
    }
}

fn alone() {
    let environment = Environment::with_guard();
    let folder = Folder::new();
    fs::copy(
        environment.bin("startup-guard"),
        folder.path().join("startup-guard"),
    )
    .expect("it can be copied");
    let run = |line: &str| {
        let top = folder.path().to_owned();
        Guard::instead("/startup-guard")
            .before_exec(move || {
                nix::unistd::chroot(&top).expect("root may change the root folder");
                nix::unistd::chdir("/").expect("the new root has a root");
            })
            .line(line)
            .run()
    };
    // A program with a C library does not start here: it is not there, and neither is its loader.
    run("run --no-manifest -- /bin/sh -c true").expect_code(127);
    let ended = run("run --no-manifest -- /startup-guard --version").expect_code(0);
    assert!(ended.stdout().starts_with("startup-guard "), "{ended}");
    run("check").expect_code(66);
    folder.file(
        "required-vars.yaml",
        "version: 1\nvariables: {A_KEY: {}}\nserver: {command: [/startup-guard, exit-codes]}\n",
    );
    run("check").expect_code(78);
}

fn source() {
    let told = told(source_distribution());
    let listed = succeeds(
        Command::new("git")
            .args(["ls-files", "src"])
            .current_dir(root()),
    );
    let mut expected: BTreeSet<&str> = listed.lines().collect();
    expected.extend([
        ".cargo/config.toml",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "PKG-INFO",
        "README.md",
        "docs/required-vars.schema.json",
        "pyproject.toml",
    ]);
    let files = told["files"].as_array().expect("it has files");
    let files: BTreeSet<&str> = files.iter().filter_map(Value::as_str).collect();
    let wrong: Vec<_> = files.symmetric_difference(&expected).collect();
    assert!(wrong.is_empty(), "too many or missing: {wrong:?}");
    let first = fs::read(source_distribution()).expect("it can be read");
    succeeds(&mut make(&root(), "sdist"));
    let second = fs::read(source_distribution()).expect("it can be read");
    assert!(first == second, "the two source distributions differ");
}

/// Without optimisations and the database's client, which `make wheel` has built with the same files.
fn from_source() {
    let environment = Environment::new();
    let path = std::env::var("PATH").expect("PATH is set");
    let maturin = venv("maturin");
    let bin = maturin.parent().expect("it is in a folder").display();
    succeeds(
        pip()
            .arg("--python")
            .arg(venv("python"))
            .args(["wheel", "--no-index", "--no-build-isolation", "--no-deps"])
            .arg("--wheel-dir")
            .arg(environment.path())
            .arg(source_distribution())
            .env("PATH", format!("{bin}:{path}"))
            .env(
                "MATURIN_PEP517_ARGS",
                "--profile dev --no-default-features --locked --offline",
            )
            // Not that of these tests, whose guard has the same place.
            .env(
                "CARGO_TARGET_DIR",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("from-source"),
            ),
    );
    let name = format!(
        "startup_guard-{VERSION}-py3-none-linux_{}.whl",
        ARCHITECTURES[0]
    );
    let file = environment.path().join(name);
    environment.install(&[file.to_str().expect("it is UTF-8")]);
    let guard = environment.bin("startup-guard");
    assert!(is_static(&guard));
    assert!(
        !is_static(Path::new("/bin/sh")),
        "the shell has a loader, which the question must see"
    );
    let version = succeeds(Command::new(guard).arg("--version"));
    assert!(version.starts_with(&format!("startup-guard {VERSION}")));
}

fn railway() {
    let example = root().join("examples/railway-python");
    let read = |name: &str| fs::read_to_string(example.join(name)).expect("it can be read");
    let settings: Value = serde_json::from_str(&read("railpack.json")).expect("it is JSON");
    let start = settings["deploy"]["startCommand"].as_str();
    let start = start.expect("it has a start command");
    assert_eq!(start, "startup-guard run");
    assert!(read("README.md").contains(&format!("```\n{start}\n```")));

    // The service's packages are those of the other environment, and only the guard is new in this one.
    let environment = Environment::new();
    let packages = [
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
    ];
    let packages_of = |python: &Path| succeeds(Command::new(python).args(packages));
    let others = packages_of(&venv("python"));
    let own = packages_of(&environment.bin("python"));
    fs::write(Path::new(own.trim()).join("others.pth"), others).expect("it can be written");
    let requirements = example.join("requirements.txt");
    let told = environment.install(&["-r", requirements.to_str().expect("it is UTF-8")]);
    let new = format!("Successfully installed startup-guard-{VERSION}");
    assert!(told.trim().ends_with(&new), "{told}");

    let path = format!(
        "{}:{}:/usr/bin:/bin",
        environment.path().join("bin").display(),
        venv("").display().to_string().trim_end_matches('/')
    );
    // The entrypoint of Railpack's images. Not every shell becomes its last command, but bash does.
    let service = |command: &str| {
        Guard::instead("/bin/bash")
            .in_folder(&example)
            .env("PATH", &path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .args(["-c", command])
    };
    // The outage: the variables are on another service.
    service(start).run().expect_code(78);

    let postgres = Postgres::start();
    let port = free_port();
    let started = |command: &str| {
        let service = service(command)
            .env("DATABASE_URL", &postgres.url)
            .env("PORT", port.to_string());
        service.start()
    };
    started("startup-guard check").end().expect_code(0);
    for visitor in 1..=2 {
        let running = started(start);
        until("the service is healthy", || {
            get(port, "/health").as_deref() == Some("\"ok\"")
        });
        let greeting = format!("\"Hello, visitor {visitor}\"");
        assert_eq!(get(port, "/"), Some(greeting));
        running.signal(Signal::SIGTERM);
        let ended = running.end().expect_code(128 + Signal::SIGTERM as i32);
        ended.expect_never(postgres.password());
    }
}
