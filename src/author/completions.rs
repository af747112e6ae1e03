//! `startup-guard completions`: the completions for a shell.

use super::arguments::Shell;

/// The script that a shell reads to complete the guard's command line.
pub fn script(shell: Shell) -> String {
    format!("{shell:?}\n")
}
