//! A server that is a child of the guard, which stays as its init.

use nix::errno::Errno;
use nix::unistd::{Pid, chdir, setpgid, setsid};

use super::fork::{self, Launch, SpawnError};
use super::program::Program;
use super::queue::Queue;
use super::signals::Signals;
use super::terminal::Terminal;
use super::user::User;

/// What separates the server from the guard.
pub enum Apart<'a> {
    /// In a process group of its own, which gets the terminal's foreground if we have it.
    Group(Option<&'a Terminal>),
    /// In a session of its own, which gets the terminal if we have given it up.
    Session(Option<&'a Terminal>),
}

/// Starts the server with our own streams and descriptors. Gives its number; it leads its process group.
///
/// # Errors
/// When the system refuses, or the program cannot be executed.
pub fn spawn(
    program: &Program,
    user: Option<&User>,
    apart: &Apart<'_>,
    signals: &Signals,
    _: &Queue,
) -> Result<i32, SpawnError> {
    if let Some(user) = user {
        user.own_standard_streams();
    }
    let prepare = || -> Result<(), Errno> {
        match apart {
            Apart::Group(terminal) => {
                setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
                if let Some(terminal) = terminal {
                    terminal.give_to_caller();
                }
            }
            Apart::Session(terminal) => {
                setsid()?;
                if let Some(terminal) = terminal {
                    terminal.attach();
                }
            }
        }
        Ok(())
    };
    let launch = Launch {
        program,
        user,
        inherited: signals.inherited(),
        prepare,
    };
    fork::spawn(&launch).map(Pid::as_raw)
}

/// Leaves the folder that the guard was started in, once the server runs there: an init needs no folder, and
/// would keep the file system busy that it is on. Where `/` cannot be entered, the guard stays where it is.
pub fn leave_folder() {
    let _ = chdir("/");
}
