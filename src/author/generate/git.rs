//! Asks `git` about a file.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use crate::os::family::Ending;
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
pub fn state(file: &Path) -> State {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return State::Outside;
    };
    let mut ancestors = folder.ancestors();
    if !ancestors.any(|each| each.join(".git").exists()) {
        return State::Outside;
    }
    // The file's name is no pattern.
    let is_tracked = ["--literal-pathspecs", "ls-files", "--error-unmatch"];
    match answer(folder, &is_tracked, name) {
        Ok(0) => State::Tracked,
        Ok(1) => match answer(folder, &["check-ignore", "--quiet"], name) {
            Ok(0) => State::Ignored,
            _ => State::Untracked,
        },
        Err(ErrorKind::NotFound) => State::Outside,
        _ => State::Unknown,
    }
}

/// The exit code of a command of git for a file.
///
/// # Errors
/// `NotFound` if there is no git. Another kind if it does not end in time, or not regularly.
fn answer(folder: &Path, command: &[&str], name: &OsStr) -> Result<i32, ErrorKind> {
    let name = Path::new(".").join(name);
    let mut arguments = vec![OsStr::new("-C"), folder.as_os_str()];
    arguments.extend(command.iter().map(OsStr::new));
    arguments.extend([OsStr::new("--"), name.as_os_str()]);
    let finished = tool::run("git", &arguments, b"", TIMEOUT);
    match finished.map_err(|error| error.kind())?.ending {
        Ending::Exited(code) => Ok(code),
        Ending::Signaled(_) => Err(ErrorKind::Other),
    }
}
