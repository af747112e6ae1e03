//! Prepares the measurements: builds programs, fetches peers, and creates the environment and the manifests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command as Tool;

/// The guard, built with the release profile.
pub const GUARD: &str = env!("CARGO_BIN_EXE_startup-guard");
/// The folder of this benchmark's sources.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
/// The folder below the target directory in which everything is built.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// The options with which `rustc` builds a program.
#[derive(Clone, Copy)]
pub enum Build {
    /// A usual static program.
    Plain,
    /// With the options of the guard's release profile.
    Release,
    /// Without a C library.
    Freestanding,
}

/// A program to which the guard is compared: its path, or the reason why it is missing.
pub type Peer = Result<PathBuf, String>;

/// Creates an empty folder for a benchmark's files, and makes it the working directory, in which the guard looks for
/// its manifest.
pub fn enter_scratch(name: &str) -> io::Result<PathBuf> {
    let folder = Path::new(SCRATCH).join(name);
    fs::create_dir_all(&folder)?;
    std::env::set_current_dir(&folder)?;
    Ok(folder)
}

/// Builds `benches/programs/NAME.rs` with the guard's own relocation model.
pub fn program(name: &str, build: Build) -> io::Result<PathBuf> {
    let (suffix, options): (_, &[&str]) = match build {
        Build::Plain => ("", &["-O"]),
        Build::Release => (
            "-release",
            &[
                "-Copt-level=3",
                "-Clto=fat",
                "-Ccodegen-units=1",
                "-Cpanic=abort",
                "-Cstrip=symbols",
            ],
        ),
        Build::Freestanding => (
            "",
            &[
                "-O",
                "-Cpanic=abort",
                "-Clink-arg=-nostartfiles",
                "-Clink-arg=-nostdlib",
            ],
        ),
    };
    let source = Path::new(SOURCES)
        .join("programs")
        .join(name)
        .with_extension("rs");
    let program = Path::new(SCRATCH).join(format!("{name}{suffix}"));
    let model = if matches!(build, Build::Freestanding) {
        "static"
    } else {
        relocation_model()?
    };
    let done = Tool::new(rustc())
        .args([
            "--edition=2024",
            "-Ctarget-feature=+crt-static",
            &format!("-Crelocation-model={model}"),
        ])
        .args(options)
        .arg("-o")
        .args([&program, &source])
        .status()?;
    if done.success() {
        installed(&program)
    } else {
        Err(io::Error::other(format!(
            "rustc could not build {name}: {done}"
        )))
    }
}

/// Copies a program, so that it is written sequentially, as in an image's layer or a package. A file that a linker has
/// written in pieces is in the page cache in small pieces, each of which causes a page fault (15 % of the floor's
/// start).
pub fn installed(program: &Path) -> io::Result<PathBuf> {
    let mut name = program.file_name().unwrap_or_default().to_owned();
    name.push("-installed");
    let copy = Path::new(SCRATCH).join(name);
    fs::copy(program, &copy)?;
    Ok(copy)
}

/// The kind of this machine: its processors, and whether it is virtual.
pub fn machine() -> io::Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(": "))
            .map_or("", |(_, value)| value)
    };
    let count = std::thread::available_parallelism()?;
    let is_virtual = field("flags").split(' ').any(|flag| flag == "hypervisor");
    Ok(format!(
        "{count} processors, {}, {}{}",
        std::env::consts::ARCH,
        field("model name"),
        if is_virtual { ", virtual machine" } else { "" }
    ))
}

/// The relocation model of the guard's binary, in the terms of `rustc`.
pub fn relocation_model() -> io::Result<&'static str> {
    /// The offset of the type in an ELF file.
    const TYPE: usize = 16;
    /// The type of a program with fixed addresses.
    const EXECUTABLE: u8 = 2;
    Ok(if fs::read(GUARD)?.get(TYPE) == Some(&EXECUTABLE) {
        "static"
    } else {
        "pic"
    })
}

/// The peers in Debian's packages, by name.
pub fn peers() -> io::Result<Vec<(String, Peer)>> {
    let folder = Path::new(SCRATCH).with_file_name("bench-peers");
    let output = Tool::new(Path::new(SOURCES).join("peers.sh"))
        .arg(folder)
        .output()?;
    let peer = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        let (name, path) = (fields.next()?, fields.next()?);
        Some((name, fields.next().map_or(Ok(PathBuf::from(path)), Err)))
    };
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(peer)
        .collect())
}

/// The bash script that the guard replaces.
pub fn start_script() -> PathBuf {
    Path::new(SOURCES).join("start.sh")
}

/// The example's manifest without `wait_for` and `steps`, with this server.
pub fn example_manifest(server: &Path) -> io::Result<String> {
    Ok(example_variables()? + &server_section(server))
}

/// The example's manifest without `wait_for`, `steps` and `server`.
pub fn example_variables() -> io::Result<String> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/required-vars.yaml"))?;
    Ok(without_sections(&text, &["wait_for", "steps", "server"]))
}

/// The `server` section of a manifest, with the example's announcement.
pub fn server_section(server: &Path) -> String {
    format!(
        "server:\n  announce: \"🎯 Démarrage du serveur FastAPI sur le port ${{PORT:-8000}}...\"\n  command: [\"{}\"]\n",
        server.display()
    )
}

/// A sound environment for the example's manifest: all twelve variables, and those of a container.
pub fn sound_environment() -> Vec<(String, String)> {
    [
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("HOSTNAME", "3f9c1d7a52be"),
        ("HOME", "/home/app"),
        ("PORT", "8000"),
        ("NEXTAUTH_SECRET", "q8Zr2Jx5Nw1TbV7cKd0Lf3Hg6Ys9Pa4Me"),
        (
            "DATABASE_URL",
            "postgresql://app:b3nchm4rk@postgres.internal:5432/intowork",
        ),
        ("JWT_SECRET", "Wm4Xo7Rt1Ql9Zc2Vb5Nk8Jh3Gf6Dd0Sa"),
        ("JWT_ALGORITHM", "HS256"),
        ("RESEND_API_KEY", "re_b3nchm4rk_Lk7Jh5Gf3Ds1"),
        ("FROM_EMAIL", "INTOWORK <noreply@intowork.org>"),
        ("FRONTEND_URL", "https://intowork.org"),
        (
            "ALLOWED_ORIGINS",
            "https://intowork.org,https://www.intowork.org",
        ),
        ("ENVIRONMENT", "production"),
        ("LOG_LEVEL", "INFO"),
        ("SECRET_KEY", "Pz9Xy8Wv7Ut6Sr5Qp4On3Ml2Kj1Ih0Gf"),
        ("REDIS_URL", "redis://:b3nchm4rk@redis.internal:6379/0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// The text of a manifest without these top-level keys and everything below them.
fn without_sections(text: &str, keys: &[&str]) -> String {
    let mut is_kept = true;
    let mut kept = String::new();
    for line in text.split_inclusive('\n') {
        let is_key = line.starts_with(|first: char| first.is_ascii_alphabetic());
        if is_key {
            is_kept = !keys.iter().any(|key| {
                line.strip_prefix(key)
                    .is_some_and(|rest| rest.starts_with(':'))
            });
        }
        if is_kept {
            kept.push_str(line);
        }
    }
    kept
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells its compiler in a variable"
)]
fn rustc() -> std::ffi::OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}
