//! A builder that runs `install.sh` on a machine with certain programs, releases to install, and what must come of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::site::{Answer, Site, sum_line};
use crate::support::{Ended, Folder, Guard, Running};
use crate::{root, succeeds};

pub const X86_64: &str = "x86_64-unknown-linux-musl";
pub const AARCH64: &str = "aarch64-unknown-linux-musl";

/// What `install.sh` needs beside a downloader and a tool for sums.
pub const TOOLS: &[&str] = &[
    "chmod", "grep", "gzip", "id", "mkdir", "mktemp", "mv", "rm", "tail", "tar", "timeout",
];

pub fn archive_name(target: &str) -> String {
    format!("startup-guard-{target}.tar.gz")
}

/// A stand-in for the program, which prints this version.
pub fn program(version: &str) -> String {
    format!("#!/bin/sh\necho 'startup-guard {version} (0123456789ab, {X86_64})'\n")
}

/// Packs members of a folder into an archive.
pub fn pack(folder: &Folder, members: &[&str]) -> Vec<u8> {
    let archive = folder.path().join("packed.tar.gz");
    succeeds(
        Command::new("tar")
            .args(["--absolute-names", "-C"])
            .arg(folder.path())
            .arg("-czf")
            .arg(&archive)
            .args(members),
    );
    fs::read(archive).expect("the archive can be read")
}

/// The archive of a release, with a stand-in for the program.
pub fn archive(version: &str) -> Vec<u8> {
    let folder = Folder::new();
    folder.script("startup-guard", &program(version));
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
        folder.file(name, name);
    }
    pack(
        &folder,
        &[
            "startup-guard",
            "LICENSE-APACHE",
            "LICENSE-MIT",
            "README.md",
        ],
    )
}

/// The files of a server with the release 0.1.0, of which these archives are for x86-64.
pub fn release_of(archive: &[u8]) -> BTreeMap<String, Answer> {
    release_with(
        Answer::Content(archive.to_owned()),
        &[
            sum_line("startup-guard-0.1.0.tar.gz", b"the source"),
            sum_line(&archive_name(AARCH64), b"another archive"),
            sum_line(&archive_name(X86_64), archive),
        ]
        .concat(),
    )
}

/// The files of a server with the release 0.1.0: its archive for x86-64, and its sums.
pub fn release_with(archive: Answer, sums: &str) -> BTreeMap<String, Answer> {
    BTreeMap::from([
        (format!("download/v0.1.0/{}", archive_name(X86_64)), archive),
        (
            "download/v0.1.0/SHA256SUMS".to_owned(),
            Answer::Content(sums.as_bytes().to_owned()),
        ),
    ])
}

/// The path of a program. Wrappers in folders of the user are passed by.
pub fn find(program: &str) -> PathBuf {
    ["/usr/bin", "/bin", "/usr/local/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{program} is installed"))
}

/// A run of `install.sh` on a machine that only has certain programs, and whose `uname -sm` prints `Linux x86_64`.
pub struct Installer(pub Guard);

impl Installer {
    /// Passes the script to `/bin/sh` on standard input, on a machine with `TOOLS` and these programs.
    pub fn new(programs: &[&str]) -> Self {
        Self::in_shell(&["/bin/sh"], programs)
    }

    pub fn in_shell(shell: &[&str], programs: &[&str]) -> Self {
        let this = Self::bare(shell);
        for program in TOOLS.iter().chain(programs) {
            symlink(find(program), this.bin().join(program)).expect("a link can be made");
        }
        this
    }

    /// A machine whose only program is busybox, also for the shell.
    pub fn on_busybox() -> Self {
        let this = Self::bare(&["busybox", "sh"]);
        for applet in TOOLS.iter().chain(&["wget", "sha256sum"]) {
            symlink(find("busybox"), this.bin().join(applet)).expect("a link can be made");
        }
        this
    }

    /// A machine with no program but `uname`.
    pub fn bare(shell: &[&str]) -> Self {
        let (program, arguments) = shell.split_first().expect("a shell");
        let program = if program.starts_with('/') {
            PathBuf::from(program)
        } else {
            find(program)
        };
        let guard = Guard::instead(program).args(arguments).args(["-s", "--"]);
        fs::create_dir(guard.folder.path().join("bin")).expect("a folder can be made");
        let bin = guard.folder.path().join("bin");
        let script = File::open(root().join("install.sh")).expect("the script is there");
        let this = Self(guard.stdin(script).env("PATH", &bin));
        this.on("Linux x86_64")
    }

    pub fn bin(&self) -> PathBuf {
        self.0.folder.path().join("bin")
    }

    /// The folder into which `with_arguments` installs.
    pub fn to(&self) -> PathBuf {
        self.0.folder.path().join("to")
    }

    /// Adds a program that is a script. Another process writes it: a program cannot be executed while a process has it
    /// open for writing, and the tests of other threads inherit what is open here.
    pub fn with(self, name: &str, script: &str) -> Self {
        let (source, program) = (self.bin().join("source"), self.bin().join(name));
        fs::write(&source, format!("#!/bin/sh\n{script}\n")).expect("it can be written");
        // It may be a link to the program of this machine.
        let _ = fs::remove_file(&program);
        succeeds(
            Command::new("install")
                .args(["-m", "755"])
                .args([&source, &program]),
        );
        fs::remove_file(source).expect("it was there");
        self
    }

    /// Sets what `uname -sm` prints.
    pub fn on(self, machine: &str) -> Self {
        self.with("uname", &format!("echo '{machine}'"))
    }

    pub fn from(self, site: &Site) -> Self {
        let url = site.url.clone();
        self.env("STARTUP_GUARD_BASE_URL", &url)
    }

    pub fn env(self, name: &str, value: &str) -> Self {
        Self(self.0.env(name, value))
    }

    pub fn args(self, arguments: &[&str]) -> Self {
        Self(self.0.args(arguments))
    }

    /// Passes the arguments to install the release 0.1.0 into the folder `to`.
    pub fn with_arguments(self) -> Self {
        let to = self.to();
        let this = self.args(&["--version", "0.1.0", "--to"]);
        Self(this.0.args([to]))
    }

    /// Puts a program into the folder `to` that was installed before.
    pub fn after_another(self) -> Self {
        fs::create_dir(self.to()).expect("a folder can be made");
        self.0.folder.script("to/startup-guard", OLD);
        self
    }

    pub fn start(self) -> Running {
        self.0.start()
    }

    pub fn run(self) -> Ended {
        self.0.run()
    }
}

/// A program that was installed before.
pub const OLD: &str = "#!/bin/sh\necho startup-guard 0.0.9\n";

/// The names of the files in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder can be listed");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

/// Asserts that a folder contains the stand-in of version 0.1.0, for everyone, and nothing else.
#[track_caller]
pub fn expect_installed(folder: &Path) {
    assert_eq!(names(folder), ["startup-guard"]);
    let installed = folder.join("startup-guard");
    assert_eq!(
        fs::read_to_string(&installed).expect("it can be read"),
        program("0.1.0")
    );
    let mode = fs::metadata(&installed).expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o7777, 0o755);
}

/// Asserts that a run after another installation failed, said this, and changed nothing.
#[track_caller]
pub fn expect_unchanged(ended: Ended, message: &str) -> Ended {
    let ended = ended.expect_code(1).expect_stderr(message);
    let to = ended.folder.path().join("to");
    assert_eq!(names(&to), ["startup-guard"], "{ended}");
    let kept = fs::read_to_string(to.join("startup-guard")).expect("it can be read");
    assert_eq!(kept, OLD, "{ended}");
    assert_eq!(names(ended.folder.path()), ["bin", "to"], "{ended}");
    ended
}
