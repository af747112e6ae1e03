//! A step with a lot of output: log lines like those of a migration, some of which contain secrets.
//!
//!   chatter BYTES          writes lines to standard output, BYTES bytes in total
//!   chatter first PAUSE    writes one line, sleeps for PAUSE milliseconds, and exits
//!
//! The secrets are the values of the variables whose names begin with `SECRET_`.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

/// The size of one write, in bytes. It is not a multiple of a line, so lines and secrets are split over writes.
const WRITE: usize = 64 * 1024 + 1;
/// The size of the log lines that are written repeatedly, in bytes. It is small, so that this program needs little
/// memory.
const BLOCK: usize = 4 * WRITE;
/// One of this many lines contains a secret.
const LINES_PER_SECRET: usize = 100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["first", pause] => pause.parse().map(first),
        [bytes] => bytes.parse().map(chatter),
        _ => return ExitCode::from(64),
    };
    match done {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(_)) => ExitCode::FAILURE,
        Err(_) => ExitCode::from(64),
    }
}

fn first(pause: u64) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(b"INFO  [alembic.runtime.migration] Context impl PostgresqlImpl.\n")?;
    output.flush()?;
    std::thread::sleep(Duration::from_millis(pause));
    Ok(())
}

fn chatter(bytes: usize) -> io::Result<()> {
    let secrets: Vec<String> = std::env::vars()
        .filter(|(name, _)| name.starts_with("SECRET_"))
        .map(|(_, value)| value)
        .collect();
    let block = block(&secrets);
    // Not `stdout()`, which would search for line breaks.
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut left = bytes;
    for piece in block.chunks(WRITE).cycle() {
        let piece = &piece[..piece.len().min(left)];
        output.write_all(piece)?;
        left -= piece.len();
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// Complete log lines with a total size of `BLOCK` bytes.
fn block(secrets: &[String]) -> Vec<u8> {
    let mut block = String::new();
    let mut secrets = secrets.iter().cycle();
    for number in 0.. {
        let line = match (number % LINES_PER_SECRET == 0)
            .then(|| secrets.next())
            .flatten()
        {
            Some(secret) => {
                format!("DEBUG [app.settings] attempt {number}: using {secret} to connect\n")
            }
            None => format!(
                "INFO  [alembic.runtime.migration] Running upgrade {number:012x}, add table_{number}.created_at\n"
            ),
        };
        if block.len() + line.len() >= BLOCK {
            break;
        }
        block.push_str(&line);
    }
    block.push_str(&".".repeat(BLOCK - block.len() - 1));
    block.push('\n');
    block.into_bytes()
}
