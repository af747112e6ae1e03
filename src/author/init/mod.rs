//! `startup-guard init`: writes a first manifest from the env files, the compose file, the code and the start of a
//! service.

mod draft;
mod names;
mod parts;
mod sources;
mod start;
mod words;
mod yaml;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::scan::{Note, scan};
use crate::author::arguments::Init;
use crate::cli::ManifestChoice;
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;
use crate::input::manifest_file;
use crate::manifest::{DEFAULT_FILE, Manifest};
use crate::os::file;
use crate::platform::quoted;
use crate::text::count;

/// Files that name the packages of a Python service.
const REQUIREMENTS: [&str; 4] = [
    "requirements.txt",
    "requirements/base.txt",
    "pyproject.toml",
    "Pipfile",
];

/// Drivers of `PostgreSQL`, and those of other databases of SQL, separated by spaces.
const POSTGRES_DRIVERS: &str = "psycopg psycopg2 psycopg2-binary psycopg-binary asyncpg pg8000";
const OTHER_DRIVERS: &str = "pymysql mysqlclient aiomysql asyncmy mysql-connector-python aiosqlite pyodbc aioodbc pymssql \
    oracledb cx-oracle cx_oracle duckdb libsql";

/// The longest name that is declared, in bytes. YAML's limit for a key is 1024 characters.
const MAX_NAME: usize = 200;

/// The largest number of places at which the files and the code name variables.
const MAX_PLACES: usize = 5000;

/// The largest number of notes that are logged.
const MAX_NOTES: usize = 20;

/// Runs the command.
///
/// # Errors
/// If nothing is found, if the manifest exists already, or if an output cannot be written.
pub fn run(arguments: &Init, environment: &Environment) -> Result<(), Error> {
    let folder = &arguments.path;
    if !folder.is_dir() {
        let text = format!(
            "{} is not a folder; name the folder of the service",
            folder.display()
        );
        return super::failure(Exit::NO_INPUT, text);
    }
    let sources = sources::read(folder);
    let mut code = scan(folder)?;
    let has_code = !code.reads.is_empty();
    code.reads.retain(|read| is_name(&read.name));
    for read in &mut code.reads {
        // The manifest is in the folder.
        if let Ok(file) = Path::new(&read.file).strip_prefix(folder) {
            read.file = file.display().to_string();
        }
    }
    log_notes(sources.notes, code.notes);
    if sources.listed.len() + code.reads.len() > MAX_PLACES {
        let text = format!(
            "{} names variables in more than {MAX_PLACES} places; name a smaller folder",
            folder.display()
        );
        return super::failure(Exit::INVALID_INPUT, text);
    }
    let only_postgres = has_only_postgres(folder);
    let drafts = draft::drafts(sources.listed, code.reads, has_code, only_postgres);
    if drafts.variables.is_empty() {
        let text = format!(
            "{} has no env file, no compose file and no Python code that names a variable",
            folder.display()
        );
        return super::failure(Exit::NO_INPUT, text);
    }
    let url = parts::url(&drafts.variables, only_postgres);
    let text = yaml::manifest(&yaml::Service {
        drafts: &drafts,
        url: url.as_deref(),
        start: &start::read(folder),
        has_alembic: folder.join("alembic.ini").is_file(),
        has_code,
    });
    if let Err(faults) = Manifest::parse(text.as_bytes(), true) {
        let fault = faults.first().map(ToString::to_string).unwrap_or_default();
        let text =
            format!("internal error: the new manifest is invalid: {fault}; please report it");
        return super::failure(Exit::INVALID_INPUT, text);
    }
    let file = target(arguments, environment);
    if !arguments.write {
        super::print(&text)?;
        tracing::info!(
            "nothing was written; add --write to write it to {}",
            file.display()
        );
        return Ok(());
    }
    write(&file, &text)?;
    let variables = drafts.variables.len() + usize::from(url.is_some());
    let variables = count(variables, "variable");
    tracing::info!(
        "wrote {} with {variables}; read it, then run: {}",
        file.display(),
        next(arguments, environment)
    );
    Ok(())
}

/// Whether a manifest can declare a variable with this name.
fn is_name(name: &str) -> bool {
    let is_outside = |other: char| other == '=' || other.is_whitespace() || other.is_control();
    !name.contains(is_outside) && (1..=MAX_NAME).contains(&name.len())
}

/// The file to write: the one that is named, or the default one in the folder of the service.
fn target(arguments: &Init, environment: &Environment) -> PathBuf {
    let named = manifest_file(&arguments.manifest, environment);
    let is_named = matches!(arguments.manifest, ManifestChoice::File(_));
    let is_default = |file: &PathBuf| !is_named && file == Path::new(DEFAULT_FILE);
    let named = named.filter(|file| !is_default(file));
    named.unwrap_or_else(|| inside(&arguments.path, DEFAULT_FILE))
}

/// The path of a file in a folder, without a `./` before it.
fn inside(folder: &Path, name: &str) -> PathBuf {
    if folder == Path::new(".") {
        PathBuf::from(name)
    } else {
        folder.join(name)
    }
}

/// Creates the file with the manifest.
///
/// # Errors
/// If the file, or a symbolic link in its place, exists already, or if it cannot be written.
fn write(file: &Path, text: &str) -> Result<(), Error> {
    let shown = file.display();
    match file::create(file, text) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => super::failure(
            Exit::USAGE,
            format!(
                "{shown} exists already and is not changed; name another file with --manifest, or leave out --write to print the new manifest"
            ),
        ),
        Err(error) => super::failure(
            Exit::OS_REFUSED,
            format!("{shown} cannot be written: {error}"),
        ),
    }
}

/// The command that checks the new manifest.
fn next(arguments: &Init, environment: &Environment) -> String {
    let file = target(arguments, environment);
    let has_env_file = arguments.path.join(".env").is_file();
    let mut command = "startup-guard check".to_owned();
    if file != Path::new(DEFAULT_FILE) {
        command += &format!(" --manifest {}", quoted(&file.to_string_lossy()));
    }
    if has_env_file {
        let file = inside(&arguments.path, ".env");
        command += &format!(" --env-file {}", quoted(&file.to_string_lossy()));
    }
    command
}

/// Logs what could not be read.
fn log_notes(mut notes: Vec<String>, code: Vec<Note>) {
    notes.extend(code.into_iter().map(|note| match note.line {
        Some(line) => format!("{}:{line}: {}", note.file, note.text),
        None => format!("{}: {}", note.file, note.text),
    }));
    for note in notes.iter().take(MAX_NOTES) {
        tracing::warn!("{note}");
    }
    let more = notes.len().saturating_sub(MAX_NOTES);
    if more > 0 {
        tracing::warn!("and {}", count(more, "more note"));
    }
}

/// Whether the packages of a service include drivers of `PostgreSQL`, and of no other database.
fn has_only_postgres(folder: &Path) -> bool {
    let texts = REQUIREMENTS
        .iter()
        .filter_map(|name| sources::text(&folder.join(name)).ok());
    let all = texts.collect::<Vec<_>>().join("\n").to_lowercase();
    let is_part = |other: char| other.is_ascii_alphanumeric() || "-_".contains(other);
    let words: Vec<&str> = all.split(|other| !is_part(other)).collect();
    let has = |list: &str| {
        list.split_ascii_whitespace()
            .any(|driver| words.contains(&driver))
    };
    has(POSTGRES_DRIVERS) && !has(OTHER_DRIVERS)
}
