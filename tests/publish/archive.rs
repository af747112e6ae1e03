//! The archive of a release, which `make dist` makes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Folder;
use crate::{Test, host, is_static, make, release_binary, root, succeeds};

pub const TESTS: &[Test] = &[
    (
        "make_dist_packs_a_static_binary_that_names_no_folder_of_this_machine",
        &[],
        packs_the_binary,
    ),
    (
        "the_archive_depends_on_neither_the_time_nor_the_modes_of_the_files",
        &[],
        depends_on_nothing_else,
    ),
    (
        "make_dist_gives_cargo_the_commit_the_target_and_the_flags",
        &[],
        gives_cargo_what_a_release_needs,
    ),
    (
        "make_dist_works_in_a_folder_with_a_space_in_its_name",
        &[],
        works_with_a_space,
    ),
    (
        "make_dist_makes_no_archive_if_cargo_fails",
        &[],
        makes_nothing_of_a_failure,
    ),
];

/// A target that no test builds for.
const OTHER: &str = "aarch64-unknown-linux-musl";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What `tar` lists of an archive, with a single space between two columns.
fn listed(archive: &Path) -> Vec<String> {
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "--utc", "--full-time", "-tvf"]);
    let text = succeeds(tar.arg(archive).env("LC_ALL", "C"));
    let words = text.lines().map(str::split_whitespace);
    words
        .map(|words| words.collect::<Vec<_>>().join(" "))
        .collect()
}

/// The lines of `listed` for an archive of these files.
fn expected(folder: &Path, binary: &Path) -> Vec<String> {
    let line = |mode: &str, path: PathBuf| {
        let size = fs::metadata(&path).expect("the file is there").len();
        let name = path.file_name().expect("a file has a name");
        let name = name.to_string_lossy();
        format!("{mode} 0/0 {size} 1980-01-01 00:00:00 {name}")
    };
    let texts = ["LICENSE-APACHE", "LICENSE-MIT", "README.md"];
    let texts = texts.map(|name| line("-rw-r--r--", folder.join(name)));
    let binary = line("-rwxr-xr-x", binary.to_owned());
    texts.into_iter().chain([binary]).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn packs_the_binary() {
    let made = succeeds(&mut make(&root(), "dist"));
    let name = format!("startup-guard-{}.tar.gz", host());
    let folder = root().join("target/dist");
    let archive = folder.join(&name);
    assert_eq!(listed(&archive), expected(&root(), &release_binary()));

    // The last line is one that `sha256sum --check` reads.
    let line = made.lines().last().expect("make prints a line");
    assert!(line.ends_with(&format!("  {name}")), "{line}");
    let sums = Folder::new();
    let sums = sums.file("SHA256SUMS", format!("{line}\n"));
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--strict"]).arg(&sums);
    succeeds(check.current_dir(&folder));

    let unpacked = Folder::new();
    let mut tar = Command::new("tar");
    succeeds(tar.arg("-xf").arg(&archive).current_dir(unpacked.path()));
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
        let packed = fs::read(unpacked.path().join(name)).expect("it is unpacked");
        assert_eq!(packed, fs::read(root().join(name)).expect(name), "{name}");
    }
    let binary = unpacked.path().join("startup-guard");
    let version = succeeds(Command::new(&binary).arg("--version"));
    let number = env!("CARGO_PKG_VERSION");
    assert_eq!(version, format!("startup-guard {number}\n"));

    assert!(is_static(&binary));
    let bytes = fs::read(&binary).expect("it is unpacked");
    // The panics in crates have the names of files, which shows that this would find a folder.
    assert!(contains(&bytes, "/cargo/"));
    let home = std::env::var("HOME").expect("HOME is set");
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    for folder in [root().to_string_lossy().into_owned(), cargo] {
        assert!(!contains(&bytes, &folder), "the binary contains {folder}");
    }
}

/// A folder with a copy of the Makefile, the files of an archive, and a program `cargo` that writes what it is given into
/// `cargo.log` instead of building.
struct Project {
    _folder: Folder,
    path: PathBuf,
}

impl Project {
    fn new(name: &str) -> Self {
        let folder = Folder::new();
        let path = folder.path().join(name);
        fs::create_dir_all(path.join("bin")).expect("a folder can be made");
        let makefile = fs::read(root().join("Makefile")).expect("the Makefile can be read");
        fs::write(path.join("Makefile"), makefile).expect("a file can be written");
        for name in ["LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
            fs::write(path.join(name), name).expect("a file can be written");
        }
        let project = Self {
            _folder: folder,
            path,
        };
        project.cargo(&format!(
            "echo \"$*\" >cargo.log
             env | grep -E '^(STARTUP_GUARD_(COMMIT|TARGET)=|CARGO_TARGET_.*_RUSTFLAGS=|CARGO_(ENCODED|MANIFEST|PKG|TARGET_DIR|BUILD_TARGET_DIR)|RUSTFLAGS=)' | sort >>cargo.log
             mkdir -p target/{OTHER}/release
             echo built >target/{OTHER}/release/startup-guard
             chmod 700 target/{OTHER}/release/startup-guard\n"
        ));
        project
    }

    fn cargo(&self, script: &str) {
        let path = self.path.join("bin/cargo");
        fs::write(&path, format!("#!/bin/sh -e\n{script}")).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode can be set");
    }

    fn make_dist(&self) -> Command {
        let mut command = make(&self.path, "dist");
        let path = std::env::var("PATH").expect("PATH is set");
        let path = format!("{}:{path}", self.path.join("bin").display());
        command.arg(format!("TARGET={OTHER}"));
        command.env("PATH", path).env("CARGO_HOME", "/crates");
        command
    }

    fn archive(&self) -> PathBuf {
        let name = format!("target/dist/startup-guard-{OTHER}.tar.gz");
        self.path.join(name)
    }

    /// What `cargo` was given: its arguments, then its variables.
    fn given(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path.join("cargo.log")).expect("cargo was called");
        log.lines().map(str::to_owned).collect()
    }
}

fn depends_on_nothing_else() {
    let [first, second] = ["a", "b"].map(Project::new);
    // What a checkout with another umask, at another time, looks like.
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
        let path = second.path.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
        let mut touch = Command::new("touch");
        succeeds(touch.args(["--date", "2001-02-03T04:05:06Z"]).arg(path));
    }
    let one = succeeds(&mut first.make_dist());
    let other = succeeds(second.make_dist().env("TZ", "Asia/Tokyo"));
    assert_eq!(one.lines().last(), other.lines().last());
    let binary = PathBuf::from(format!("target/{OTHER}/release/startup-guard"));
    for project in [first, second] {
        let listed = listed(&project.archive());
        assert_eq!(listed, expected(&project.path, &project.path.join(&binary)));
        // The header of gzip has neither a name (the flags) nor a time.
        let bytes = fs::read(project.archive()).expect("the archive can be read");
        assert_eq!(bytes[3..8], [0; 5]);
    }
}

/// The flag that gives the sources of the standard library the name that they have where they are not installed.
fn renamed_library() -> String {
    let sysroot = succeeds(Command::new("rustc").args(["--print", "sysroot"]));
    let told = succeeds(Command::new("rustc").arg("-vV"));
    let mut lines = told.lines();
    let hash = lines.find_map(|line| line.strip_prefix("commit-hash: "));
    let hash = hash.expect("rustc names its commit");
    let folder = format!("{}/lib/rustlib/src/rust", sysroot.trim());
    format!("--remap-path-prefix={folder}=/rustc/{hash}")
}

fn gives_cargo_what_a_release_needs() {
    let project = Project::new("project");
    let given = |commit: &str| {
        let folder = project.path.display();
        [
            format!("build --release --locked --target {OTHER}"),
            format!(
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUSTFLAGS=\
                 --remap-path-prefix=/crates=/cargo --remap-path-prefix={folder}=/src {}",
                renamed_library()
            ),
            format!("STARTUP_GUARD_COMMIT={commit}"),
            format!("STARTUP_GUARD_TARGET={OTHER}"),
        ]
    };
    succeeds(project.make_dist().arg(format!("COMMIT={COMMIT}")));
    assert_eq!(project.given(), given(COMMIT));
    succeeds(project.make_dist().env("STARTUP_GUARD_COMMIT", COMMIT));
    assert_eq!(project.given(), given(COMMIT));
    // These two would replace the flags that make the binary static. The variables that `cargo test` has given to this
    // test, such as CARGO_PKG_NAME, would make the build start anew.
    let mut command = project.make_dist();
    command.env("RUSTFLAGS", "-D warnings");
    command.env("CARGO_ENCODED_RUSTFLAGS", "");
    // With another folder, the archive would have no binary, or an old one.
    command.env("CARGO_TARGET_DIR", "/elsewhere");
    succeeds(command.env("CARGO_BUILD_TARGET_DIR", "/elsewhere"));
    assert_eq!(project.given(), given(""));
}

fn works_with_a_space() {
    let project = Project::new("my project");
    succeeds(&mut project.make_dist());
    let flags = format!(
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUSTFLAGS=--remap-path-prefix=/crates=/cargo  {}",
        renamed_library()
    );
    assert_eq!(project.given()[1], flags);
    assert_eq!(listed(&project.archive()).len(), 4);
}

fn makes_nothing_of_a_failure() {
    let project = Project::new("project");
    project.cargo("exit 101\n");
    let ended = project.make_dist().output().expect("make starts");
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(!project.archive().exists());
}
