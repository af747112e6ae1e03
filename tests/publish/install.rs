//! `install.sh` installs a release from a server, in each shell and with each downloader, or it fails and changes nothing;
//! `cargo binstall` is told of the same files.

#[path = "../database/certificates.rs"]
#[allow(dead_code, reason = "it serves the other tests, too")]
mod certificates;
pub mod installer;
pub mod site;

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use boml::table::TomlTable;
use nix::sys::signal::Signal;

use self::certificates::{Certificate, authority};
use self::installer::{
    AARCH64, Installer, OLD, TOOLS, X86_64, archive, archive_name, expect_installed,
    expect_unchanged, find, names, pack, program, release_of, release_with,
};
use self::site::{Answer, Site, sum_line};
use crate::support::{Folder, until};
use crate::{Test, make, release_binary, root, succeeds};

pub const TESTS: &[Test] = &[
    ("install_sh_works_in_sh", &["curl", "wget"], || {
        every_downloader(&["/bin/sh"])
    }),
    (
        "install_sh_works_in_dash",
        &["curl", "wget", "dash"],
        || every_downloader(&["dash"]),
    ),
    ("install_sh_works_in_bash", &["curl", "wget"], || {
        every_downloader(&["bash"])
    }),
    ("install_sh_works_in_zsh", &["curl", "wget", "zsh"], || {
        every_downloader(&["zsh", "--emulate", "sh"])
    }),
    (
        "install_sh_works_where_every_program_is_busybox",
        &["busybox"],
        busybox_alone,
    ),
    (
        "install_sh_takes_the_latest_release_by_redirects",
        &["curl"],
        latest,
    ),
    (
        "install_sh_installs_the_program_of_this_build",
        &["curl"],
        this_build,
    ),
    (
        "install_sh_shows_no_password_of_a_mirror",
        &["curl", "wget", "busybox"],
        mirror,
    ),
    (
        "a_release_is_verified_and_unpacked_by_hand_as_the_page_says",
        &["curl", "busybox"],
        by_hand,
    ),
    (
        "install_sh_installs_into_the_folder_that_it_is_given",
        &["curl"],
        folders,
    ),
    (
        "install_sh_installs_for_root_and_for_others_by_default",
        &["curl"],
        default_folders,
    ),
    (
        "install_sh_changes_nothing_if_a_download_is_faulty",
        &["curl"],
        faulty_downloads,
    ),
    (
        "install_sh_changes_nothing_unless_the_sums_have_one_right_entry",
        &["curl"],
        faulty_sums,
    ),
    (
        "install_sh_changes_nothing_if_an_archive_is_not_the_release",
        &["curl"],
        faulty_archives,
    ),
    (
        "install_sh_reports_a_file_that_wget_cannot_download",
        &["wget", "busybox"],
        wget_failures,
    ),
    (
        "install_sh_asks_a_busy_server_again",
        &["curl"],
        busy_server,
    ),
    (
        "install_sh_writes_nothing_but_the_program",
        &["curl"],
        hostile_archives,
    ),
    (
        "install_sh_gives_up_on_a_server_that_hangs",
        &["curl", "wget", "busybox"],
        hanging_server,
    ),
    (
        "install_sh_refuses_what_is_too_large",
        &["curl", "wget", "busybox"],
        too_large,
    ),
    (
        "install_sh_cleans_up_when_it_is_stopped",
        &["curl"],
        stopped,
    ),
    (
        "install_sh_does_not_leave_tls_and_checks_certificates",
        &["curl"],
        tls,
    ),
    (
        "install_sh_refuses_a_wget_that_checks_no_certificates",
        &["wget"],
        unchecked_certificates,
    ),
    (
        "install_sh_names_the_tool_that_is_missing",
        &["curl"],
        missing_tools,
    ),
    (
        "install_sh_needs_only_one_tool_for_sums",
        &["curl", "shasum", "busybox"],
        tools_for_sums,
    ),
    (
        "install_sh_knows_for_which_machines_there_is_a_binary",
        &["curl"],
        machines,
    ),
    (
        "install_sh_says_what_to_do_if_the_folder_cannot_be_written_to",
        &["curl"],
        folders_that_cannot_be_written,
    ),
    (
        "install_sh_refuses_wrong_arguments",
        &["curl"],
        wrong_arguments,
    ),
    (
        "install_sh_does_nothing_if_it_is_cut_off",
        &["curl"],
        cut_off_scripts,
    ),
    (
        "shellcheck_finds_nothing_in_install_sh",
        &["shellcheck"],
        shellcheck,
    ),
    (
        "cargo_binstall_and_install_sh_download_the_same_archives",
        &["curl"],
        binstall,
    ),
];

/// Installs a release, refuses one, and is stopped.
fn every_downloader(shell: &[&str]) {
    for downloader in ["curl", "wget"] {
        let site = Site::start(release_of(&archive("0.1.0")));
        let ended = Installer::in_shell(shell, &[downloader, "sha256sum"])
            .from(&site)
            .with_arguments()
            .run()
            .expect_code(0);
        let to = ended.folder.path().join("to");
        expect_installed(&to);
        let name = archive_name(X86_64);
        let expected = format!(
            "downloading {url}/download/v0.1.0/SHA256SUMS\n\
             downloading {url}/download/v0.1.0/{name}\n\
             installed startup-guard 0.1.0 (0123456789ab, {X86_64}) as {to}/startup-guard\n\
             {to} is not in PATH; to add it: export PATH=\"{to}:$PATH\"\n",
            url = site.url,
            to = to.display(),
        );
        let ended = ended.expect_stdout(&expected);
        assert_eq!(ended.stderr(), "", "{shell:?} with {downloader}");
        let wrong = sum_line(&name, b"another archive");
        let site = Site::start(release_with(Answer::Content(archive("0.1.0")), &wrong));
        let ended = Installer::in_shell(shell, &[downloader, "sha256sum"])
            .from(&site)
            .with_arguments()
            .after_another()
            .run();
        expect_unchanged(ended, "the SHA-256 sum of startup-guard-x86_64");
        stops_on(shell, downloader, Signal::SIGTERM, 143);
    }
}

fn busybox_alone() {
    let site = Site::start(release_of(&archive("0.1.0")));
    let ended = Installer::on_busybox()
        .from(&site)
        .with_arguments()
        .run()
        .expect_code(0);
    expect_installed(&ended.folder.path().join("to"));
    let wrong = sum_line(&archive_name(X86_64), b"another archive");
    let site = Site::start(release_with(Answer::Content(archive("0.1.0")), &wrong));
    let ended = Installer::on_busybox()
        .from(&site)
        .with_arguments()
        .after_another()
        .run();
    expect_unchanged(ended, "the SHA-256 sum of startup-guard-x86_64");
}

fn latest() {
    let assets = Site::start(release_of(&archive("0.1.0")));
    let names = ["SHA256SUMS".to_owned(), archive_name(X86_64)];
    let redirects = names.iter().flat_map(|name| {
        let release = format!("download/v0.1.0/{name}");
        let asset = Answer::Redirect(format!("{}/{release}", assets.url));
        [
            (
                format!("releases/latest/download/{name}"),
                Answer::Redirect(format!("/releases/{release}")),
            ),
            (format!("releases/{release}"), asset),
        ]
    });
    let site = Site::start(redirects.collect());
    let url = format!("{}/releases/", site.url);
    let installer = Installer::new(&["curl", "sha256sum"]);
    let to = installer.to();
    let path = format!("{}:{}", installer.bin().display(), to.display());
    let ended = Installer(
        installer
            .env("STARTUP_GUARD_BASE_URL", &url)
            .0
            .args(["--to".as_ref(), to.as_os_str()]),
    )
    .env("PATH", &path)
    .run()
    .expect_code(0);
    expect_installed(&to);
    assert!(!ended.stdout().contains("PATH"), "{ended}");
    let expected: Vec<String> = names
        .iter()
        .flat_map(|name| {
            [
                format!("/releases/latest/download/{name}"),
                format!("/releases/download/v0.1.0/{name}"),
            ]
        })
        .collect();
    assert_eq!(site.asked(), expected);
}

fn this_build() {
    // The debug build is too large.
    succeeds(&mut make(&root(), "guard"));
    let folder = Folder::new();
    fs::copy(release_binary(), folder.path().join("startup-guard"))
        .expect("the program can be copied");
    let site = Site::start(release_of(&pack(&folder, &["startup-guard"])));
    let ended = Installer::new(&["curl", "sha256sum"])
        .from(&site)
        .with_arguments()
        .run()
        .expect_code(0);
    let installed = ended.folder.path().join("to/startup-guard");
    let printed = succeeds(Command::new(installed).arg("exit-codes"));
    assert!(printed.contains("78"), "{printed}");
}

fn folders() {
    let site = Site::start(release_of(&archive("0.1.0")));
    for (argument, folder) in [
        ("with a space/and another", "with a space/and another"),
        ("-x", "-x"),
        ("--version/", "--version"),
        ("./a/", "a"),
        ("b/../c//d", "c/d"),
        ("back\\slash $HOME 'quote' *", "back\\slash $HOME 'quote' *"),
    ] {
        let ended = Installer::new(&["curl", "sha256sum"])
            .from(&site)
            .args(&["--to", argument, "--version", "v0.1.0"])
            .run()
            .expect_code(0);
        let folder = ended.folder.path().join(folder);
        expect_installed(&folder);
        let place = format!(" as {}/startup-guard\n", folder.display());
        assert!(ended.stdout().contains(&place), "{ended}");
    }
    // A folder that is in PATH is recognized, however it is written.
    for argument in ["bin", "./bin/", "../{}/bin//"] {
        let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
        let name = installer.0.folder.path().file_name();
        let name = name.expect("the folder has a name").to_string_lossy();
        let argument = argument.replace("{}", &name);
        let ended = installer.args(&["--to", &argument, "--version", "0.1.0"]);
        let ended = ended.run().expect_code(0);
        assert!(!ended.stdout().contains("PATH"), "{ended}");
    }
    // A warning of a program that succeeds does not matter.
    let warns = |program: &str| {
        let real = find(program);
        format!("echo 'a warning' >&2; exec {} \"$@\"", real.display())
    };
    let installer = Installer::new(&["curl", "sha256sum"]);
    let installer = ["mkdir", "mktemp", "chmod", "mv"]
        .iter()
        .fold(installer, |installer, program| {
            installer.with(program, &warns(program))
        });
    let ended = installer.from(&site).with_arguments().run().expect_code(0);
    expect_installed(&ended.folder.path().join("to"));
    // The umask does not matter, and neither does the folder for temporary files.
    let script = "umask 077; exec sh -s -- --version 0.1.0 --to new/folder";
    let installer = Installer::bare(&["/bin/sh", "-c", script]);
    for tool in TOOLS.iter().chain(&["curl", "sha256sum", "sh"]) {
        symlink(find(tool), installer.bin().join(tool)).expect("a link can be made");
    }
    let ended = installer
        .from(&site)
        .env("TMPDIR", "/nonexistent")
        .run()
        .expect_code(0);
    expect_installed(&ended.folder.path().join("new/folder"));
    let mode = fs::metadata(ended.folder.path().join("new")).expect("it is there");
    assert_eq!(mode.permissions().mode() & 0o7777, 0o755);
    // What was installed before is replaced, also if it is a link: what it points to remains.
    let installer = Installer::new(&["curl", "sha256sum"]).after_another();
    let elsewhere = installer.0.folder.script("elsewhere", OLD);
    fs::remove_file(installer.to().join("startup-guard")).expect("it can be removed");
    symlink(&elsewhere, installer.to().join("startup-guard")).expect("a link can be made");
    let ended = installer.from(&site).with_arguments().run().expect_code(0);
    expect_installed(&ended.folder.path().join("to"));
    assert_eq!(fs::read_to_string(elsewhere).expect("it can be read"), OLD);
}

fn mirror() {
    const PASSWORD: &str = "canary-kYQzrW";
    let url_of = |site: &Site| site.url.replacen("//", &format!("//ci:{PASSWORD}@"), 1);
    let gnu = |downloader: &str| Installer::new(&[downloader, "sha256sum"]);
    for downloader in ["curl", "wget", "busybox"] {
        let installer = || match downloader {
            "busybox" => Installer::on_busybox(),
            _ => gnu(downloader),
        };
        let good = Site::start(release_of(&archive("0.1.0")));
        let empty = Site::start([].into());
        let closed = "http://127.0.0.1:1/a@b".to_owned();
        let wrong = format!("http://ci:{PASSWORD}@127.0.0.1:99999");
        for (url, code) in [
            (url_of(&good), 0),
            (url_of(&empty), 1),
            (closed, 1),
            (wrong, 1),
        ] {
            let shown = url.replace(&format!("ci:{PASSWORD}@"), "");
            let installer = installer().env("STARTUP_GUARD_BASE_URL", &url);
            let ended = installer.with_arguments().run().expect_code(code);
            let expected = format!("downloading {shown}/download/v0.1.0/SHA256SUMS\n");
            assert!(ended.stdout().starts_with(&expected), "{ended}");
            assert!(!ended.to_string().contains(PASSWORD), "{ended}");
        }
    }
}

fn by_hand() {
    let page = fs::read_to_string(root().join("docs/install.md")).expect("the page can be read");
    let (_, lines) = page
        .split_once("By hand, it is\n\n```sh\n")
        .expect("the lines are there");
    let (lines, _) = lines.split_once("```").expect("they end");
    let releases = "https://github.com/startup-guard/startup-guard/releases";
    assert!(lines.contains(releases), "{lines}");
    let good = archive("0.1.0");
    let wrong = [
        sum_line("startup-guard-0.1.0.tar.gz", b"the source"),
        sum_line(&archive_name(X86_64), b"another archive"),
    ];
    for (files, is_good) in [
        (release_of(&good), true),
        (
            release_with(Answer::Content(good.clone()), &wrong.concat()),
            false,
        ),
        (
            release_with(Answer::Content(good.clone()), &wrong[0]),
            false,
        ),
    ] {
        let site = Site::start(files);
        let script = lines.replace(releases, &site.url);
        for installer in [Installer::on_busybox(), Installer::new(&["sha256sum"])] {
            let uname = "[ \"$1\" = -m ] && echo x86_64";
            let installer = installer.with("uname", uname);
            let _ = symlink(find("curl"), installer.bin().join("curl"));
            installer.0.folder.file("lines", &script);
            let lines = File::open(installer.0.folder.path().join("lines"));
            let guard = installer.0.stdin(lines.expect("it can be opened"));
            let ended = guard.run();
            let is_unpacked = ended.folder.path().join("startup-guard").exists();
            assert_eq!(is_unpacked, is_good, "{ended}");
            assert_eq!(ended.code() == 0, is_good, "{ended}");
        }
    }
}

fn default_folders() {
    // A `mktemp` that fails shows the folder without anything being written to it.
    let shows_folder = "echo \"in ${2%/*}\" >&2; exit 1";
    let installer = |user: &str| {
        let fake = format!("[ \"$1\" = -u ] && echo {user}");
        let installer = Installer::new(&["curl", "sha256sum"]);
        installer
            .with("id", &fake)
            .with("mktemp", shows_folder)
            .with("mkdir", ":")
    };
    let message = |folder: &str| {
        format!(
            "install.sh: {folder}/ cannot be written to (in {folder}): \
             name another folder with --to, such as --to \"$HOME/.local/bin\"\n"
        )
    };
    for (user, home, folder) in [
        ("0", Some("/home/app"), "/usr/local/bin"),
        ("0", None, "/usr/local/bin"),
        ("1000", Some("/home/app"), "/home/app/.local/bin"),
    ] {
        let installer = installer(user);
        let installer = match home {
            Some(home) => installer.env("HOME", home),
            None => installer,
        };
        let ended = installer.run().expect_code(1);
        assert_eq!(ended.stderr(), message(folder));
    }
    let ended = installer("1000").run().expect_code(1);
    assert_eq!(
        ended.stderr(),
        "install.sh: HOME is not set: name a folder with --to\n"
    );
}

/// Asserts that this release is not installed, with this message.
#[track_caller]
fn expect_refused(archive: Answer, sums: &str, message: &str) {
    let site = Site::start(release_with(archive, sums));
    let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
    expect_unchanged(installer.with_arguments().after_another().run(), message);
}

fn faulty_downloads() {
    let good = archive("0.1.0");
    let name = archive_name(X86_64);
    let line = sum_line(&name, &good);
    let mut corrupt = good.clone();
    corrupt[100] ^= 1;
    let wrong_sum = "the SHA-256 sum of startup-guard-x86_64";
    let to_itself = Answer::Redirect(format!("/download/v0.1.0/{name}"));
    for (archive, message) in [
        (Answer::Content(corrupt), wrong_sum),
        (Answer::Content(Vec::new()), wrong_sum),
        (
            Answer::CutOff(good.clone()),
            "was not downloaded: curl: (18)",
        ),
        (to_itself, "was not downloaded: curl: (47)"),
    ] {
        expect_refused(archive, &line, message);
    }
    for missing in [name.as_str(), "SHA256SUMS"] {
        let mut files = release_of(&good);
        let path = format!("download/v0.1.0/{missing}");
        files.remove(&path).expect("it was there");
        let site = Site::start(files);
        let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
        let message = format!(
            "{}/{path} was not downloaded: curl: (22) The requested URL returned error: 404",
            site.url
        );
        expect_unchanged(installer.with_arguments().after_another().run(), &message);
    }
}

fn faulty_sums() {
    let good = archive("0.1.0");
    let name = archive_name(X86_64);
    let line = sum_line(&name, &good);
    let upper = line.to_uppercase().replace(&name.to_uppercase(), &name);
    let is_called = |other: &str| line.replace(&name, other);
    let another = sum_line(&name, b"another");
    let none = "SHA256SUMS has 0 entries for startup-guard-x86_64";
    let two = "SHA256SUMS has 2 entries for startup-guard-x86_64";
    let wrong_sum = "the SHA-256 sum of startup-guard-x86_64";
    for (sums, message) in [
        (line.replace(&line[..8], "00000000"), wrong_sum),
        (line[2..].to_owned(), wrong_sum),
        (upper, wrong_sum),
        (sum_line("x", b""), none),
        (String::new(), none),
        (is_called(&format!("a{name}")), none),
        (is_called(&format!("{name}.sig")), none),
        (is_called(&format!("x {name}")), none),
        (is_called(&format!("dist/{name}")), none),
        (line.replace('\n', "\r\n"), none),
        ("<html>Not found</html>\n".to_owned(), none),
        (line.repeat(2), two),
        (format!("{line}{another}"), two),
    ] {
        expect_refused(Answer::Content(good.clone()), &sums, message);
    }
    // The last line break may be missing, and there may be the mark of binary files.
    for sums in [line.trim_end().to_owned(), line.replace("  ", " *")] {
        let site = Site::start(release_with(Answer::Content(good.clone()), &sums));
        let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
        let ended = installer.with_arguments().run().expect_code(0);
        expect_installed(&ended.folder.path().join("to"));
    }
}

fn faulty_archives() {
    let good = archive("0.1.0");
    let packed = |name: &str, content: &str| {
        let folder = Folder::new();
        folder.script(name, content);
        pack(&folder, &[name])
    };
    let program_of = |script: &str| packed("startup-guard", script);
    let no_program = "startup-guard cannot be unpacked from startup-guard-x86_64";
    let is_another = "and not startup-guard 0.1.0: nothing was installed";
    for (archive, message) in [
        (Vec::new(), no_program),
        (b"no archive".to_vec(), no_program),
        (good[..good.len() / 2].to_vec(), no_program),
        (packed("README.md", "text"), no_program),
        (
            program_of("#!/bin/sh\necho canary >&2; exit 3\n"),
            "does not run here: canary",
        ),
        (archive("0.2.0"), is_another),
        (archive("0.1.01"), is_another),
        (archive("0.1"), is_another),
        (program_of(""), is_another),
        (program_of("#!/bin/sh\necho 0.1.0\n"), is_another),
    ] {
        let sums = sum_line(&archive_name(X86_64), &archive);
        expect_refused(Answer::Content(archive), &sums, message);
    }
    // The latest release may have any version, but it has one.
    let archive = program_of("#!/bin/sh\necho canary\n");
    let sums = sum_line(&archive_name(X86_64), &archive).into_bytes();
    let site = Site::start(
        [
            (archive_name(X86_64), Answer::Content(archive)),
            ("SHA256SUMS".to_owned(), Answer::Content(sums)),
        ]
        .map(|(name, answer)| (format!("latest/download/{name}"), answer))
        .into(),
    );
    let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
    let ended = installer.args(&["--to", "to"]).after_another().run();
    let message = "is 'canary', and not startup-guard: nothing was installed\n";
    expect_unchanged(ended, message);
}

fn wget_failures() {
    let good = archive("0.1.0");
    let sums = sum_line(&archive_name(X86_64), &good);
    let missing = || {
        let mut files = release_of(&good);
        files.remove("download/v0.1.0/SHA256SUMS");
        Site::start(files)
    };
    let site = missing();
    let installer = Installer::new(&["wget", "sha256sum"]).from(&site);
    let ended = installer.with_arguments().after_another().run();
    expect_unchanged(ended, "ERROR 404: Not Found.");
    let site = missing();
    let ended = Installer::on_busybox()
        .from(&site)
        .with_arguments()
        .after_another()
        .run();
    expect_unchanged(ended, "wget: server returned error: HTTP/1.1 404 Not Found");
    let site = Site::start(release_with(Answer::CutOff(good.clone()), &sums));
    let ended = Installer::on_busybox()
        .from(&site)
        .with_arguments()
        .after_another()
        .run();
    expect_unchanged(
        ended,
        "was not downloaded: wget: connection closed prematurely",
    );
}

fn busy_server() {
    let good = archive("0.1.0");
    let sums = sum_line(&archive_name(X86_64), &good);
    let site = Site::start(release_with(Answer::SecondTime(good), &sums));
    let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
    let ended = installer.with_arguments().run().expect_code(0);
    expect_installed(&ended.folder.path().join("to"));
    assert_eq!(site.asked().len(), 3);
}

fn hostile_archives() {
    // Members that would be written elsewhere are not unpacked.
    let folder = Folder::new();
    fs::create_dir(folder.path().join("in")).expect("a folder can be made");
    folder.script("startup-guard", &program("0.1.0"));
    folder.file("escaped", "canary");
    folder.file("in/escaped", "canary");
    symlink("/etc/passwd", folder.path().join("link")).expect("a link can be made");
    let archive = folder.path().join("packed.tar.gz");
    succeeds(
        Command::new("tar")
            .arg("--absolute-names")
            .arg("-C")
            .arg(folder.path().join("in"))
            .arg("-czf")
            .arg(&archive)
            .args([
                "../escaped",
                "escaped",
                "../link",
                "-C",
                "..",
                "startup-guard",
            ]),
    );
    let archive = fs::read(archive).expect("the archive can be read");
    let site = Site::start(release_of(&archive));
    let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
    let ended = installer.with_arguments().run().expect_code(0);
    expect_installed(&ended.folder.path().join("to"));
    assert_eq!(names(ended.folder.path()), ["bin", "to"]);
    // A program that is a link or a folder is refused, and the file behind it is neither read nor changed.
    for kind in ["link", "hard link", "folder"] {
        let folder = Folder::new();
        let program = folder.path().join("startup-guard");
        let elsewhere = folder.script("elsewhere", &self::program("0.1.0"));
        let members: &[&str] = match kind {
            "link" => {
                symlink(&elsewhere, &program).expect("a link can be made");
                &["startup-guard"]
            }
            "hard link" => {
                fs::hard_link(&elsewhere, &program).expect("a link can be made");
                &["elsewhere", "startup-guard"]
            }
            _ => {
                fs::create_dir(&program).expect("a folder can be made");
                &["startup-guard"]
            }
        };
        let site = Site::start(release_of(&pack(&folder, members)));
        let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
        let ended = installer.with_arguments().after_another().run();
        expect_unchanged(ended, "and not startup-guard 0.1.0: nothing was installed");
    }
}

fn hanging_server() {
    let path = "download/v0.1.0/SHA256SUMS";
    let gnu = |downloader: &str| Installer::new(&[downloader, "sha256sum"]);
    for installer in [gnu("curl"), gnu("wget"), Installer::on_busybox()] {
        let site = Site::start([(path.to_owned(), Answer::Silence)].into());
        let ended = installer
            .from(&site)
            .env("STARTUP_GUARD_TIMEOUT", "1")
            .with_arguments()
            .after_another()
            .run();
        let message = format!(
            "install.sh: {}/{path} was not downloaded within 1 s\n",
            site.url
        );
        let ended = expect_unchanged(ended, &message);
        assert_eq!(ended.stderr(), message);
        // On a busy machine the download may not even have begun.
        site.wait_until_closed(site.asked().len());
    }
}

fn too_large() {
    let path = "download/v0.1.0/SHA256SUMS";
    let gnu = |downloader: &str| Installer::new(&[downloader, "sha256sum"]);
    for installer in [gnu("curl"), gnu("wget"), Installer::on_busybox()] {
        let site = Site::start([(path.to_owned(), Answer::Endless)].into());
        let ended = installer.from(&site).with_arguments().after_another().run();
        let message = format!("{}/{path} was not downloaded: it is too large\n", site.url);
        expect_unchanged(ended, &message);
    }
    // A small archive with a large program.
    let folder = Folder::new();
    let program = File::create(folder.path().join("startup-guard")).expect("it can be made");
    program.set_len(130 << 20).expect("it can be enlarged");
    let archive = pack(&folder, &["startup-guard"]);
    let sums = sum_line(&archive_name(X86_64), &archive);
    let message = "startup-guard cannot be unpacked from startup-guard-x86_64";
    expect_refused(Answer::Content(archive), &sums, message);
}

fn stopped() {
    stops_on(&["/bin/sh"], "curl", Signal::SIGINT, 130);
    stops_on(&["/bin/sh"], "curl", Signal::SIGHUP, 129);
}

/// Asserts that this signal ends the script and its download at once, and that nothing is left behind.
fn stops_on(shell: &[&str], downloader: &str, signal: Signal, code: i32) {
    let sums = sum_line(&archive_name(X86_64), b"");
    let site = Site::start(release_with(Answer::Silence, &sums));
    let installer = Installer::in_shell(shell, &[downloader, "sha256sum"]).from(&site);
    let installer = installer.with_arguments().after_another();
    let to = installer.to();
    let running = installer.start();
    until("the archive is asked for", || site.asked().len() == 2);
    assert_eq!(names(&to).len(), 2, "there is a temporary folder");
    running.signal(signal);
    site.wait_until_closed(1);
    let ended = running.end().expect_code(code);
    assert_eq!(names(&to), ["startup-guard"], "{ended}");
    assert_eq!(ended.stderr(), "");
}

fn tls() {
    let authority = authority();
    let certificate = Certificate::new(&authority, |_| {});
    let files = release_of(&archive("0.1.0"));
    let trusting = |site: &Site, authorities: &str| {
        let installer = Installer::new(&["curl", "sha256sum"]).from(site);
        let file = installer.bin().join("authorities.pem");
        fs::write(&file, authorities).expect("it can be written");
        let file = file.to_str().expect("UTF-8").to_owned();
        let installer = installer.env("CURL_CA_BUNDLE", &file);
        installer.with_arguments().after_another().run()
    };
    let site = Site::start_tls(files.clone(), certificate.config());
    let ended = trusting(&site, &authority.pem()).expect_code(0);
    expect_installed(&ended.folder.path().join("to"));
    // Another authority's certificate is refused.
    let ended = trusting(&site, &self::certificates::authority().pem());
    expect_unchanged(ended, "SHA256SUMS was not downloaded: ");
    assert_eq!(
        site.asked().len(),
        2,
        "nothing was asked for after the refusal"
    );
    // A redirect out of TLS is refused.
    let plain = Site::start(files.clone());
    let redirects = files.keys().map(|path| {
        let to = format!("{}/{path}", plain.url);
        (path.clone(), Answer::Redirect(to))
    });
    let site = Site::start_tls(redirects.collect(), certificate.config());
    let ended = trusting(&site, &authority.pem());
    expect_unchanged(ended, "was not downloaded: curl: (1)");
    assert_eq!(plain.asked(), [""; 0]);
}

fn unchecked_certificates() {
    let site = Site::start(release_of(&archive("0.1.0")));
    let wget = format!(
        "echo 'wget: note: TLS certificate validation not implemented' >&2; exec {} \"$@\"",
        find("wget").display()
    );
    let ended = Installer::new(&["sha256sum"])
        .with("wget", &wget)
        .from(&site)
        .with_arguments()
        .after_another()
        .run();
    expect_unchanged(
        ended,
        "install.sh: this wget does not check the certificates of servers: install curl\n",
    );
}

fn missing_tools() {
    let site = Site::start(release_of(&archive("0.1.0")));
    for (programs, message) in [
        (&["sha256sum"][..], "install.sh: curl or wget is needed\n"),
        (
            &["curl"],
            "install.sh: sha256sum, shasum or busybox is needed to check the download\n",
        ),
    ] {
        let ended = Installer::new(programs)
            .from(&site)
            .with_arguments()
            .after_another()
            .run();
        expect_unchanged(ended, message);
    }
    for tool in ["tar", "gzip", "timeout", "mktemp"] {
        let installer = Installer::new(&["curl", "sha256sum"]).after_another();
        fs::remove_file(installer.bin().join(tool)).expect("it was there");
        let ended = installer.from(&site).with_arguments().run();
        expect_unchanged(ended, &format!("install.sh: {tool} is needed\n"));
    }
    assert_eq!(site.asked(), [""; 0]);
}

fn tools_for_sums() {
    let good = archive("0.1.0");
    let wrong = sum_line(&archive_name(X86_64), b"another archive");
    for tool in ["sha256sum", "shasum", "busybox"] {
        let site = Site::start(release_of(&good));
        let installer = Installer::new(&["curl", tool]).from(&site);
        let ended = installer.with_arguments().run().expect_code(0);
        expect_installed(&ended.folder.path().join("to"));
        let site = Site::start(release_with(Answer::Content(good.clone()), &wrong));
        let installer = Installer::new(&["curl", tool]).from(&site);
        let ended = installer.with_arguments().after_another().run();
        expect_unchanged(ended, "the SHA-256 sum of startup-guard-x86_64");
    }
}

fn machines() {
    let no_binary = |machine: &str| format!("install.sh: there is no binary for {machine}: ");
    for (machine, advice) in [
        (
            "Linux armv7l",
            "build it with 'cargo install startup-guard --locked'\n",
        ),
        (
            "Linux riscv64",
            "build it with 'cargo install startup-guard --locked'\n",
        ),
        (
            "Darwin arm64",
            "startup-guard runs on Linux; run this script in the image or container\n",
        ),
        (
            "MINGW64_NT-10.0 x86_64",
            "startup-guard runs on Linux; run this script in the image or container\n",
        ),
    ] {
        let installer = Installer::new(&["curl", "sha256sum"]).on(machine);
        let ended = installer.with_arguments().after_another().run();
        expect_unchanged(ended, &(no_binary(machine) + advice));
    }
    for (machine, target) in [
        ("Linux x86_64", X86_64),
        ("Linux amd64", X86_64),
        ("Linux aarch64", AARCH64),
        ("Linux arm64", AARCH64),
    ] {
        assert_eq!(
            asked_on(machine),
            [
                "/download/v0.1.0/SHA256SUMS".to_owned(),
                format!("/download/v0.1.0/{}", archive_name(target))
            ]
        );
    }
}

/// What `install.sh --version 0.1.0` asks a server for on a machine.
fn asked_on(machine: &str) -> Vec<String> {
    let sums = Answer::Content(Vec::new());
    let site = Site::start([("download/v0.1.0/SHA256SUMS".to_owned(), sums)].into());
    let installer = Installer::new(&["curl", "sha256sum"]).on(machine);
    let ended = installer.from(&site).with_arguments().after_another().run();
    expect_unchanged(ended, "curl: (22) The requested URL returned error: 404");
    site.asked()
}

fn folders_that_cannot_be_written() {
    let site = Site::start(release_of(&archive("0.1.0")));
    for (folder, is_in_own_folder) in [
        ("/proc", false),
        ("/proc/new/folder", false),
        ("file/folder", true),
    ] {
        let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
        installer.0.folder.file("file", "");
        let own = installer.0.folder.path().join(folder);
        let shown = if is_in_own_folder {
            own
        } else {
            PathBuf::from(folder)
        };
        let ended = installer.args(&["--to", folder]).run().expect_code(1);
        let stderr = ended.stderr();
        let begin = format!("install.sh: {}/ cannot be written to (", shown.display());
        assert!(stderr.starts_with(&begin), "{ended}");
        let advice = "): name another folder with --to, such as --to \"$HOME/.local/bin\"\n";
        assert!(stderr.ends_with(advice), "{ended}");
    }
    let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
    let in_the_way = installer.to().join("startup-guard");
    fs::create_dir_all(&in_the_way).expect("a folder can be made");
    let ended = installer.with_arguments().run().expect_code(1);
    assert_eq!(
        ended.stderr(),
        format!(
            "install.sh: {} is a folder: move it away, or name another folder with --to\n",
            in_the_way.display()
        )
    );
    assert_eq!(names(&in_the_way), [""; 0]);
    assert_eq!(site.asked(), [""; 0]);
}

fn wrong_arguments() {
    for (arguments, message) in [
        (&["--folder", "/tmp"][..], "unknown argument '--folder'"),
        (&["0.1.0"], "unknown argument '0.1.0'"),
        (&["--to"], "--to needs a value"),
        (&["--to", ""], "--to needs a value"),
        (&["--version"], "--version needs a value"),
        (&["--version", ""], "--version needs a value"),
        (
            &["--version", "../../x"],
            "'../../x' is not a version such as 0.1.0",
        ),
        (
            &["--version", "0.1/0"],
            "'0.1/0' is not a version such as 0.1.0",
        ),
        (
            &["--version", "0.1.0?x"],
            "'0.1.0?x' is not a version such as 0.1.0",
        ),
        (
            &["--version", "0.1.0 "],
            "'0.1.0 ' is not a version such as 0.1.0",
        ),
        (
            &["--version", "0.1.0\n"],
            "'0.1.0\n' is not a version such as 0.1.0",
        ),
        (&["--version", "vv1"], "'v1' is not a version such as 0.1.0"),
        (
            &["--version", "latest"],
            "'latest' is not a version such as 0.1.0",
        ),
    ] {
        let installer = Installer::new(&["curl", "sha256sum"]).args(arguments);
        let ended = installer.run().expect_code(64);
        let expected = format!("install.sh: {message} (see install.sh --help)\n");
        assert_eq!(ended.stderr(), expected);
        assert_eq!(names(ended.folder.path()), ["bin"]);
    }
    for seconds in ["abc", "-1", "0", "5m", "1 "] {
        let installer = Installer::new(&["curl", "sha256sum"]);
        let installer = installer.env("STARTUP_GUARD_TIMEOUT", seconds);
        let ended = installer.with_arguments().run().expect_code(64);
        let message = format!("STARTUP_GUARD_TIMEOUT is '{seconds}', and not a number of seconds");
        let expected = format!("install.sh: {message} (see install.sh --help)\n");
        assert_eq!(ended.stderr(), expected);
        assert_eq!(names(ended.folder.path()), ["bin"]);
    }
    for argument in ["--help", "-h"] {
        let ended = Installer::new(&["cat"])
            .args(&[argument])
            .run()
            .expect_code(0);
        assert!(ended.stdout().starts_with("Usage: install.sh "), "{ended}");
        assert_eq!(ended.stderr(), "");
    }
}

fn cut_off_scripts() {
    let script = fs::read(root().join("install.sh")).expect("the script can be read");
    let site = Site::start(release_of(&archive("0.1.0")));
    // The script ends with a line break, without which it is complete.
    let complete = script.len() - 1;
    let spread = (0..complete).step_by(101);
    for length in spread.chain(complete - 60..complete) {
        let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
        let part = installer.bin().join("part");
        fs::write(&part, &script[..length]).expect("it can be written");
        let part = File::open(part).expect("it can be opened");
        let ended = Installer(installer.0.stdin(part)).with_arguments().run();
        assert_eq!(
            names(ended.folder.path()),
            ["bin"],
            "{length} bytes: {ended}"
        );
        assert_eq!(ended.stdout(), "", "{length} bytes");
    }
    assert_eq!(site.asked(), [""; 0]);
    let installer = Installer::new(&["curl", "sha256sum"]).from(&site);
    let ended = installer.with_arguments().run().expect_code(0);
    expect_installed(&ended.folder.path().join("to"));
}

fn shellcheck() {
    // SC2250 is about braces around every variable. SC2310 and SC2312 are about commands in conditions and in texts, whose
    // failure the script handles or ignores deliberately.
    succeeds(
        Command::new("shellcheck")
            .args([
                "--norc",
                "--shell=sh",
                "--enable=all",
                "--exclude=SC2250,SC2310,SC2312",
            ])
            .arg(root().join("install.sh")),
    );
}

/// Renders a template of cargo-binstall's metadata as its SUPPORT.md documents it.
fn render(template: &str, package: &TomlTable<'_>, target: &str) -> String {
    let text = |key: &str| package.get_string(key).expect("a text").to_owned();
    let rendered = [
        ("name", text("name")),
        ("version", text("version")),
        ("repo", text("repository")),
        ("bin", text("name")),
        ("target", target.to_owned()),
    ]
    .iter()
    .fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{ {name} }}"), value)
    });
    assert!(!rendered.contains('{'), "{rendered} has an unknown name");
    rendered
}

fn binstall() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("it can be read");
    let manifest = boml::parse(&manifest).expect("it is TOML");
    let package = manifest.get_table("package").expect("the package");
    let metadata = package.get_table("metadata").expect("the metadata");
    let binstall = metadata.get_table("binstall").expect("binstall's metadata");
    let overrides = binstall.get_table("overrides").expect("overrides");
    assert_eq!(binstall.get_string("pkg-fmt").expect("a format"), "tgz");
    let script = fs::read_to_string(root().join("install.sh")).expect("it can be read");
    let releases = format!(
        "{}/releases",
        package.get_string("repository").expect("a text")
    );
    assert!(script.contains(&format!("base=${{STARTUP_GUARD_BASE_URL:-{releases}}}")));
    let one_line = format!("curl -fsSL {releases}/latest/download/install.sh | sh\n");
    assert!(script.contains(&one_line));
    let version = package.get_string("version").expect("a version");
    for (machine, targets) in [
        ("Linux x86_64", [X86_64, "x86_64-unknown-linux-gnu"]),
        ("Linux aarch64", [AARCH64, "aarch64-unknown-linux-gnu"]),
    ] {
        let asked = asked_on(machine).pop().expect("the archive was asked for");
        let expected = format!("{releases}{}", asked.replace("0.1.0", version));
        for target in targets {
            let template = overrides
                .get_table(target)
                .and_then(|table| table.get_string("pkg-url"))
                .or_else(|_| binstall.get_string("pkg-url"))
                .expect("a template");
            assert_eq!(render(template, package, target), expected);
        }
    }
    // The archive is flat: `install.sh` takes the same member.
    let member = render(
        binstall.get_string("bin-dir").expect("a template"),
        package,
        X86_64,
    );
    assert_eq!(member, "startup-guard");
    assert!(script.contains(&format!("tar -xzOf \"$work/$1\" {member} ")));
}
