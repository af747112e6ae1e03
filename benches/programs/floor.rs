//! The floor: a static Rust program that does nothing except execute another one.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: floor PROGRAM [ARGUMENT]…");
        return ExitCode::from(64);
    };
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("floor: {}: {error}", program.display());
    ExitCode::from(127)
}
