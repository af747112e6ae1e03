//! Terminals.

use std::io::IsTerminal;

/// Whether what we say is read on a terminal.
pub fn is_terminal_on_stderr() -> bool {
    std::io::stderr().is_terminal()
}
