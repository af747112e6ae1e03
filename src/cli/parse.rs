//! Arguments in, a `Command` out.
//!
//! `lexopt` and a help text written by hand, not clap: with these options in a program of its own clap 4 made
//! the binary 222 KB larger and every start 96 µs longer (median of 1,500 pairs), a sixth of the whole. Its
//! suggestions are what we would miss; `strsim` makes them, and is here for the manifest anyway.

mod check;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt;

use super::{Command, Forward, ManifestChoice, Rewrite, Run, TableFormat, Topic, UsageError};

const SUBCOMMANDS: [&str; 4] = ["run", "check", "healthcheck", "exit-codes"];

/// Reads the arguments (without the program's own name).
///
/// # Errors
/// Anything that is not in the usage, with the nearest thing that is.
pub fn parse(arguments: Vec<OsString>) -> Result<Command, UsageError> {
    let (ours, command) = split_at_command(arguments);
    let means_run = ours.first().is_none_or(|first| is_option_of_run(first));
    let mut parser = lexopt::Parser::from_args(ours);
    if means_run {
        return run(&mut parser, command);
    }
    let subcommand = match parser.next().map_err(usage)? {
        Some(Value(name)) => name.string().map_err(usage)?,
        Some(Short('h') | Long("help")) => return Ok(Command::Help(Topic::All)),
        Some(Short('V') | Long("version")) => return Ok(Command::Version),
        Some(other) => {
            return Err(UsageError(format!(
                "unknown option `{}`; did you mean `--help` or `--version`?",
                option_name(&other)
            )));
        }
        None => return run(&mut parser, command),
    };
    if command.is_some() && subcommand != "run" {
        return Err(UsageError(format!(
            "`{subcommand}` takes no command after `--`; only `run` does"
        )));
    }
    match subcommand.as_str() {
        "run" => run(&mut parser, command),
        "check" => check::check(&mut parser),
        "healthcheck" => healthcheck(&mut parser),
        "exit-codes" => exit_codes(&mut parser),
        "help" => Ok(Command::Help(Topic::All)),
        unknown => Err(UsageError(match nearest(unknown, &SUBCOMMANDS) {
            Some(known) => format!("unknown subcommand `{unknown}`; did you mean `{known}`?"),
            None => format!(
                "unknown subcommand `{unknown}`; there are run, check, healthcheck and exit-codes. \
                 To run a command, write it after `--`: startup-guard run -- {unknown}"
            ),
        })),
    }
}

/// Without a subcommand, options are those of the main job, unless they are (or nearly are) the program's own.
fn is_option_of_run(first: &OsStr) -> bool {
    const OWN: [&str; 4] = ["-h", "--help", "-V", "--version"];
    let Some(first) = first.to_str() else {
        return false;
    };
    first.starts_with('-') && !OWN.contains(&first) && nearest(first, &OWN[1..]).is_none()
}

/// Everything after the first `--` is the user's command; nothing after it means that there is none.
fn split_at_command(mut arguments: Vec<OsString>) -> (Vec<OsString>, Option<Vec<OsString>>) {
    let Some(at) = arguments.iter().position(|argument| argument == "--") else {
        return (arguments, None);
    };
    let command: Vec<OsString> = arguments.drain(at..).skip(1).collect();
    (arguments, (!command.is_empty()).then_some(command))
}

fn run(parser: &mut lexopt::Parser, command: Option<Vec<OsString>>) -> Result<Command, UsageError> {
    const OPTIONS: [&str; 8] = [
        "--manifest",
        "--no-manifest",
        "--skip",
        "--no-server",
        "--init",
        "--forward",
        "--rewrite",
        "--help",
    ];
    let mut run = Run {
        command,
        ..Run::default()
    };
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Long("manifest") => choose(&mut run.manifest, ManifestChoice::File(file_of(parser)?))?,
            Long("no-manifest") => choose(&mut run.manifest, ManifestChoice::None)?,
            Long("skip") => run.skip.push(text_of(parser)?),
            Long("no-server") => run.no_server = true,
            Long("init") => run.init = true,
            Long("forward") => run.forward = Some(forward(parser)?),
            Long("rewrite") => run.rewrites.push(rewrite(parser)?),
            Short('h') | Long("help") => return Ok(Command::Help(Topic::Run)),
            Value(word) => {
                return Err(UsageError(format!(
                    "unexpected argument `{word}`; a command follows `--`: startup-guard run -- {word}",
                    word = word.to_string_lossy()
                )));
            }
            other => return Err(unknown_option(&other, "run", &OPTIONS)),
        }
    }
    if run.no_server && run.command.is_some() {
        return Err(UsageError(
            "`--no-server` and a command after `--` exclude each other".to_owned(),
        ));
    }
    let is_init = run.init || run.forward.is_some() || !run.rewrites.is_empty();
    if run.no_server && is_init {
        return Err(UsageError(
            "`--no-server` and `--init`, `--forward` or `--rewrite` exclude each other".to_owned(),
        ));
    }
    Ok(Command::Run(run))
}

fn forward(parser: &mut lexopt::Parser) -> Result<Forward, UsageError> {
    match text_of(parser)?.as_str() {
        "child" => Ok(Forward::Child),
        "group" => Ok(Forward::Group),
        other => Err(UsageError(format!(
            "`--forward` is child or group, and not `{other}`"
        ))),
    }
}

fn rewrite(parser: &mut lexopt::Parser) -> Result<Rewrite, UsageError> {
    let text = text_of(parser)?;
    let (from, to) = text.split_once(':').ok_or_else(|| {
        UsageError(format!(
            "`--rewrite` takes FROM:TO, such as TERM:INT, and not `{text}`"
        ))
    })?;
    Ok(Rewrite {
        from: from.to_owned(),
        to: to.to_owned(),
    })
}

fn text_of(parser: &mut lexopt::Parser) -> Result<String, UsageError> {
    parser.value().and_then(ValueExt::string).map_err(usage)
}

fn healthcheck(parser: &mut lexopt::Parser) -> Result<Command, UsageError> {
    let mut url = None;
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Value(value) if url.is_none() => url = Some(value.string().map_err(usage)?),
            Short('h') | Long("help") => return Ok(Command::Help(Topic::Healthcheck)),
            other => return Err(unknown_option(&other, "healthcheck", &["--help"])),
        }
    }
    url.map(Command::Healthcheck).ok_or_else(|| {
        UsageError(
            "`healthcheck` needs a URL: startup-guard healthcheck http://127.0.0.1:8000/health"
                .to_owned(),
        )
    })
}

fn exit_codes(parser: &mut lexopt::Parser) -> Result<Command, UsageError> {
    let mut format = TableFormat::Text;
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Long("format") => {
                format = format_of(
                    parser,
                    &[("text", TableFormat::Text), ("json", TableFormat::Json)],
                )?;
            }
            Short('h') | Long("help") => return Ok(Command::Help(Topic::ExitCodes)),
            other => {
                return Err(unknown_option(
                    &other,
                    "exit-codes",
                    &["--format", "--help"],
                ));
            }
        }
    }
    Ok(Command::ExitCodes(format))
}

fn choose(choice: &mut ManifestChoice, new: ManifestChoice) -> Result<(), UsageError> {
    if *choice != ManifestChoice::Default {
        return Err(UsageError(
            "give one manifest: `--manifest FILE` or `--no-manifest`, once".to_owned(),
        ));
    }
    *choice = new;
    Ok(())
}

fn file_of(parser: &mut lexopt::Parser) -> Result<PathBuf, UsageError> {
    let file = parser.value().map_err(usage)?;
    if file.is_empty() {
        return Err(UsageError(
            "`--manifest` needs a file's name, and got an empty one".to_owned(),
        ));
    }
    Ok(file.into())
}

fn format_of<F: Copy>(parser: &mut lexopt::Parser, formats: &[(&str, F)]) -> Result<F, UsageError> {
    choice_of(parser, "format", formats)
}

fn choice_of<F: Copy>(
    parser: &mut lexopt::Parser,
    what: &str,
    formats: &[(&str, F)],
) -> Result<F, UsageError> {
    let name = text_of(parser)?;
    formats
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, format)| *format)
        .ok_or_else(|| {
            let known: Vec<&str> = formats.iter().map(|(known, _)| *known).collect();
            let known = match known.as_slice() {
                [first @ .., last] if !first.is_empty() => {
                    format!("{} and {last}", first.join(", "))
                }
                all => all.join(""),
            };
            UsageError(format!("unknown {what} `{name}`; there are {known}"))
        })
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn usage(error: lexopt::Error) -> UsageError {
    UsageError(error.to_string())
}

fn unknown_option(argument: &lexopt::Arg, subcommand: &str, options: &[&str]) -> UsageError {
    let name = option_name(argument);
    let what = if matches!(argument, Value(_)) {
        "unexpected argument"
    } else {
        "unknown option"
    };
    let hint = match nearest(&name, options) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("see `startup-guard {subcommand} --help`"),
    };
    UsageError(format!("{what} `{name}` for `{subcommand}`; {hint}"))
}

fn option_name(argument: &lexopt::Arg) -> String {
    match argument {
        Short(letter) => format!("-{letter}"),
        Long(name) => format!("--{name}"),
        Value(value) => value.to_string_lossy().into_owned(),
    }
}

fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = |known: &&str| strsim::osa_distance(word, known) <= 2;
    known
        .iter()
        .copied()
        .filter(near)
        .min_by_key(|known| strsim::osa_distance(word, known))
}

#[cfg(test)]
mod tests {
    use super::{Command, ManifestChoice, Run, parse};

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(Into::into).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn no_argument_at_all_means_run() {
        assert_eq!(parsed(""), Ok(Command::Run(Run::default())));
    }

    #[test]
    fn options_without_a_subcommand_are_those_of_run() {
        for line in ["--skip seed", "--no-server --skip seed"] {
            let with_run = format!("run {line}");
            assert_eq!(parsed(line), parsed(&with_run), "{line}");
        }
        assert_eq!(parsed("--version"), Ok(Command::Version));
        let told = "unknown option `--versoin`; did you mean `--help` or `--version`?";
        assert_eq!(parsed("--versoin"), Err(told.to_owned()));
    }

    #[test]
    fn a_double_dash_with_nothing_after_it_means_no_command() {
        assert_eq!(parsed("run --"), Ok(Command::Run(Run::default())));
    }

    #[test]
    fn what_follows_the_double_dash_is_left_as_it_is() {
        let Ok(Command::Run(run)) = parsed("run --skip seed -- sh -c --manifest -- x") else {
            panic!("run is parsed");
        };
        assert_eq!(
            run.command,
            Some(
                ["sh", "-c", "--manifest", "--", "x"]
                    .map(Into::into)
                    .to_vec()
            )
        );
        assert_eq!(run.manifest, ManifestChoice::Default);
        assert_eq!(run.skip, ["seed"]);
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_nearest_right_one() {
        let cases = [
            ("chek", "unknown subcommand `chek`; did you mean `check`?"),
            (
                "run --manifets x",
                "unknown option `--manifets` for `run`; did you mean `--manifest`?",
            ),
            (
                "run uvicorn",
                "unexpected argument `uvicorn`; a command follows `--`: startup-guard run -- uvicorn",
            ),
            (
                "check -- ls",
                "`check` takes no command after `--`; only `run` does",
            ),
            (
                "check --format xml",
                "unknown format `xml`; there are text, json and github",
            ),
            (
                "run --no-server -- ls",
                "`--no-server` and a command after `--` exclude each other",
            ),
            (
                "run --no-manifest --manifest x",
                "give one manifest: `--manifest FILE` or `--no-manifest`, once",
            ),
        ];
        for (line, message) in cases {
            assert_eq!(parsed(line), Err(message.to_owned()), "{line}");
        }
    }
}
