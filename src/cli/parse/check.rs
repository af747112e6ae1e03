//! The arguments of `check`.

use std::ffi::OsString;

use lexopt::Arg::{Long, Short};

use super::{choice_of, choose, file_of, format_of, unknown_option, usage};
use crate::cli::{Check, Command, Dialect, ManifestChoice, ReportFormat, Topic, UsageError};

/// Reads what follows `check`.
pub fn check(parser: &mut lexopt::Parser) -> Result<Command, UsageError> {
    const OPTIONS: [&str; 6] = [
        "--manifest",
        "--env-file",
        "--dialect",
        "--only-file",
        "--format",
        "--help",
    ];
    let mut check = Check::default();
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Long("manifest") => {
                choose(&mut check.manifest, ManifestChoice::File(file_of(parser)?))?;
            }
            Long("format") => {
                check.format = format_of(
                    parser,
                    &[
                        ("text", ReportFormat::Text),
                        ("json", ReportFormat::Json),
                        ("github", ReportFormat::Github),
                    ],
                )?;
            }
            Long("env-file") => check.env_files.push(env_file_of(parser, &check.env_files)?),
            Long("dialect") => check.dialect = Some(dialect_of(parser)?),
            Long("only-file") => check.only_file = true,
            Short('h') | Long("help") => return Ok(Command::Help(Topic::Check)),
            other => return Err(unknown_option(&other, "check", &OPTIONS)),
        }
    }
    if check.env_files.is_empty() && (check.only_file || check.dialect.is_some()) {
        let flag = if check.only_file {
            "--only-file"
        } else {
            "--dialect"
        };
        return Err(UsageError(format!("`{flag}` needs an `--env-file`")));
    }
    Ok(Command::Check(check))
}

fn env_file_of(parser: &mut lexopt::Parser, before: &[OsString]) -> Result<OsString, UsageError> {
    let file = parser.value().map_err(usage)?;
    if file.is_empty() {
        return Err(UsageError(
            "`--env-file` needs a file's name, or - for standard input, and got an empty one"
                .to_owned(),
        ));
    }
    if file == "-" && before.contains(&file) {
        return Err(UsageError(
            "standard input can be read once: `--env-file -`".to_owned(),
        ));
    }
    Ok(file)
}

fn dialect_of(parser: &mut lexopt::Parser) -> Result<Dialect, UsageError> {
    const DIALECTS: [(&str, Dialect); 4] = [
        ("compose", Dialect::Compose),
        ("docker", Dialect::Docker),
        ("python-dotenv", Dialect::PythonDotenv),
        ("kv", Dialect::Kv),
    ];
    choice_of(parser, "dialect", &DIALECTS)
}
