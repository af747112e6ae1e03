//! Asks `git` about a file.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use crate::environment::Environment;
use crate::os::family::Ending;
use crate::os::program::StartError;
use crate::os::tool;

/// How long `git` may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What git knows about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no repository, or no git.
    Outside,
    /// It is in a repository, and a commit of everything would not contain it.
    Ignored,
    /// It is in a repository, and would be added by `git add .`.
    Untracked,
    /// It is part of the repository.
    Tracked,
    /// git does not answer, for example because the repository belongs to another user.
    Unknown,
}

/// Asks git about a file. The file need not exist, but its folder must.
pub fn state(file: &Path, environment: &Environment) -> State {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return State::Outside;
    };
    let mut ancestors = folder.ancestors();
    if !ancestors.any(|each| each.join(".git").exists()) {
        return State::Outside;
    }
    // The file's name is no pattern.
    let is_tracked = ["--literal-pathspecs", "ls-files", "--error-unmatch"];
    match answer(folder, &is_tracked, name, environment) {
        Ok(0) => State::Tracked,
        Ok(1) => match answer(folder, &["check-ignore", "--quiet"], name, environment) {
            Ok(0) => State::Ignored,
            _ => State::Untracked,
        },
        Err(StartError::NotFound(_)) => State::Outside,
        _ => State::Unknown,
    }
}

/// The exit code of a command of git for a file; -1 if git does not end in time, or is ended by a signal.
///
/// # Errors
/// If git cannot be started; `NotFound` if there is none.
fn answer(
    folder: &Path,
    command: &[&str],
    name: &OsStr,
    environment: &Environment,
) -> Result<i32, StartError> {
    let name = Path::new(".").join(name);
    let mut words = vec!["git".into(), "-C".into(), folder.into()];
    words.extend(command.iter().map(OsString::from));
    words.extend(["--".into(), name.into()]);
    let finished = tool::run(words, environment.entries(), b"", TIMEOUT)?;
    Ok(match finished.map(|finished| finished.ending) {
        Some(Ending::Exited(code)) => code,
        Some(Ending::Signaled(_)) | None => -1,
    })
}
