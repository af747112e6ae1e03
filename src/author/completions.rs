//! `startup-guard completions`: the completions for a shell.

use crate::cli::Shell;

/// The script that a shell reads to complete the guard's command line.
pub fn script(shell: Shell) -> String {
    format!("{shell:?}\n")
}
