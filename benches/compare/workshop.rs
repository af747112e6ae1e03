//! What is measured and what it needs: the programs that are built here, the peers that are fetched, the
//! environment and the manifests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command as Tool;

/// The guard, built with the profile of a release.
pub const GUARD: &str = env!("CARGO_BIN_EXE_startup-guard");
/// The folder of this benchmark's sources.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
/// Where everything is built: below the target directory.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// How `rustc` builds a program.
#[derive(Clone, Copy)]
pub enum Build {
    /// As anybody would build a static one.
    Plain,
    /// With what the guard's profile of a release adds.
    Release,
    /// Without a C library.
    Freestanding,
}

/// A program that the guard is compared with: where it is, or why it is not here.
pub type Peer = Result<PathBuf, String>;

/// Makes an empty folder for a benchmark's files, and goes there: the guard looks for its manifest in
/// its working directory.
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

/// A copy of a program, as an image's layer or a package has it: written from beginning to end. What a linker
/// has written in pieces stands in the page cache in small pieces, and each costs a page fault of its own
/// (15 % of the floor's start).
pub fn installed(program: &Path) -> io::Result<PathBuf> {
    let mut name = program.file_name().unwrap_or_default().to_owned();
    name.push("-installed");
    let copy = Path::new(SCRATCH).join(name);
    fs::copy(program, &copy)?;
    Ok(copy)
}

/// The relocation model that the guard was linked with, as `rustc` calls it.
pub fn relocation_model() -> io::Result<&'static str> {
    /// Where an ELF file tells its type.
    const TYPE: usize = 16;
    /// The type of one that is linked to fixed addresses.
    const EXECUTABLE: u8 = 2;
    Ok(if fs::read(GUARD)?.get(TYPE) == Some(&EXECUTABLE) {
        "static"
    } else {
        "pic"
    })
}

/// The peers from Debian's packages, by name.
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

/// The example's manifest without what it waits for and its steps, with this server.
pub fn example_manifest(server: &Path) -> io::Result<String> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/required-vars.yaml"))?;
    Ok(without_sections(&text, &["wait_for", "steps", "server"]) + &server_section(server))
}

/// The section of a manifest that names the server, with the example's announcement.
pub fn server_section(server: &Path) -> String {
    format!(
        "server:\n  announce: \"🎯 Démarrage du serveur FastAPI sur le port ${{PORT:-8000}}...\"\n  command: [\"{}\"]\n",
        server.display()
    )
}

/// An environment that is sound for the example's manifest: all twelve variables, and what a container has.
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

/// The text of a manifest without these keys of its top level and all that is below them.
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
