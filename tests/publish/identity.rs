//! Two builds of one commit are equal byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Folder;
use crate::{SOAK, Test, host, root, succeeds};

pub const TESTS: &[Test] = &[(
    "two_builds_of_one_commit_in_two_folders_are_equal_byte_for_byte",
    &[SOAK],
    are_equal,
)];

/// Builds the archive and the wheel of a commit in a clone. Returns the content of each file by its name, and of the
/// binary.
fn built(clone: &Path, commit: &str, cargo_home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut git = Command::new("git");
    git.args(["clone", "--quiet", "--no-checkout"]).arg(root());
    succeeds(git.arg(clone));
    let mut git = Command::new("git");
    git.args(["checkout", "--quiet", "--detach", commit]);
    succeeds(git.current_dir(clone));
    // The programs that make the wheel are the same for both, and newer than nothing.
    let target = clone.join("target");
    fs::create_dir(&target).expect("a folder can be made");
    std::os::unix::fs::symlink(root().join("target/venv"), target.join("venv"))
        .expect("a link can be made");
    let mut make = Command::new("make");
    make.args(["--old-file=target/venv/complete", "dist", "wheel"]);
    make.arg(format!("COMMIT={commit}"));
    make.env_remove("MAKEFLAGS").env("CARGO_HOME", cargo_home);
    succeeds(make.current_dir(clone));
    let mut found = BTreeMap::new();
    for folder in ["target/dist", "target/wheels"] {
        for entry in fs::read_dir(clone.join(folder)).expect("the folder can be listed") {
            let entry = entry.expect("the entry can be read");
            let content = fs::read(entry.path()).expect("the file can be read");
            found.insert(Path::new(folder).join(entry.file_name()), content);
        }
    }
    assert_eq!(found.len(), 2, "{:?}", found.keys());
    let binary = PathBuf::from(format!("target/{}/release/startup-guard", host()));
    let version = succeeds(Command::new(clone.join(&binary)).arg("--version"));
    let number = env!("CARGO_PKG_VERSION");
    let (commit, target) = (&commit[..12], host());
    assert_eq!(
        version,
        format!("startup-guard {number} ({commit}, {target})\n")
    );
    let content = fs::read(clone.join(&binary)).expect("the binary is built");
    found.insert(binary, content);
    found
}

fn are_equal() {
    let mut git = Command::new("git");
    git.args(["rev-parse", "HEAD"]).current_dir(root());
    let commit = succeeds(&mut git).trim().to_owned();
    let folder = Folder::new();
    let home = std::env::var("HOME").expect("HOME is set");
    let cargo_home = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let cargo_home = PathBuf::from(cargo_home);
    // The same crates, in a folder with another name.
    let other_home = folder.path().join("other-cargo-home");
    fs::create_dir(&other_home).expect("a folder can be made");
    std::os::unix::fs::symlink(cargo_home.join("registry"), other_home.join("registry"))
        .expect("a link can be made");
    let one = built(&folder.path().join("a"), &commit, &cargo_home);
    let longer = folder.path().join("in/a/folder/with/a/longer/name");
    let other = built(&longer, &commit, &other_home);
    assert!(one.keys().eq(other.keys()), "{:?}", other.keys());
    for (name, content) in &one {
        assert!(*content == other[name], "{} differs", name.display());
    }
}
