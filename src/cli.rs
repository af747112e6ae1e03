//! The command line: arguments in, a [`Command`] out.
//!
//! The parser uses `lexopt` and handwritten help texts instead of clap. In a test program with these options, clap 4
//! made the binary 222 KB larger and each start 96 µs slower (median of 1,500 pairs), a sixth of the guard's start.

mod author;

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg::{self, Long, Short, Value};
use lexopt::{Parser, ValueExt};

use crate::dotenv::Dialect;
use crate::exit;
use crate::os::signals::{Forward, Rewrite, Signal};
use crate::text::{either, nearest};
pub use author::{Audit, Author, Export, Generate, Init, Shell, Template};

/// What the command line selects.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Run(Run),
    Check(Check),
    /// The URL to request, with its references not yet expanded.
    Healthcheck(String),
    Author(Author),
    /// A help text, the version or the table of exit codes, which is printed unchanged.
    Print(Cow<'static, str>),
}

/// The arguments of `startup-guard run`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub manifest: ManifestChoice,
    /// Names of steps to leave out.
    pub skip: Vec<String>,
    /// Exit with 0 after the steps.
    pub no_server: bool,
    /// Stay as the server's init.
    pub init: bool,
    /// Which processes an init forwards signals to.
    pub forward: Option<Forward>,
    /// Signals that an init forwards as other signals.
    pub rewrites: Vec<Rewrite>,
    /// Replaces the manifest's `server.command`.
    pub command: Option<Vec<OsString>>,
}

/// The arguments of `startup-guard check`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Check {
    pub manifest: ManifestChoice,
    pub format: ReportFormat,
    /// In the order of the command line; `-` is standard input.
    pub env_files: Vec<OsString>,
    /// `None` if it is detected from the content of each file.
    pub dialect: Option<Dialect>,
    /// Ignore the process's own environment.
    pub only_file: bool,
}

/// The manifest that the command line names.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum ManifestChoice {
    /// Neither option is given. `STARTUP_GUARD_MANIFEST` or the default file name applies.
    #[default]
    Default,
    File(PathBuf),
    /// `--no-manifest`.
    None,
}

/// The value of `check --format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportFormat {
    #[default]
    Text,
    Json,
    /// Annotations of a GitHub workflow.
    Github,
}

/// An invalid argument or setting. The message names it and says what is valid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The help text of the program.
const OVERVIEW: &str = include_str!("cli/help/all.txt");

/// The subcommands and their help texts. A line that begins with two spaces and an option documents that option;
/// `help_or_error` reads the known options from these lines.
const SUBCOMMANDS: [(&str, &str); 11] = [
    ("run", include_str!("cli/help/run.txt")),
    ("check", include_str!("cli/help/check.txt")),
    ("healthcheck", include_str!("cli/help/healthcheck.txt")),
    ("template", include_str!("cli/help/template.txt")),
    ("generate", include_str!("cli/help/generate.txt")),
    ("export", include_str!("cli/help/export.txt")),
    ("init", include_str!("cli/help/init.txt")),
    ("audit", include_str!("cli/help/audit.txt")),
    ("schema", include_str!("cli/help/schema.txt")),
    ("completions", include_str!("cli/help/completions.txt")),
    ("exit-codes", include_str!("cli/help/exit-codes.txt")),
];

const VERSION: &str = concat!("startup-guard ", env!("CARGO_PKG_VERSION"), "\n");

/// An error with this message.
pub fn wrong<T>(message: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError(message.into()))
}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

/// Reads the arguments (without the program's own name).
///
/// # Errors
/// Returns an error for the first invalid argument. It suggests the valid argument with the most similar name.
pub fn parse(mut ours: Vec<OsString>) -> Result<Command, UsageError> {
    // What follows the first `--` is the user's command, or `None` if nothing follows.
    let end = ours.iter().position(|argument| argument == "--");
    let command = end.map(|at| ours.drain(at..).skip(1).collect());
    let command = command.filter(|command: &Vec<_>| !command.is_empty());
    let first = ours.first().cloned().unwrap_or_default();
    let first = first.to_string_lossy();
    let subcommand = match &*first {
        "-h" | "--help" | "help" => return Ok(Command::Print(OVERVIEW.into())),
        // Without a subcommand the options are those of `run`.
        option if option.is_empty() || option.starts_with('-') => "run",
        subcommand => {
            ours.remove(0);
            subcommand
        }
    };
    if command.is_some() && subcommand != "run" {
        return wrong(format!(
            "`{subcommand}` takes no command after `--`; only `run` does"
        ));
    }
    let mut parser = Parser::from_args(ours);
    match subcommand {
        "run" => run(&mut parser, command),
        "check" => check(&mut parser),
        "healthcheck" => healthcheck(&mut parser),
        "template" => author::template(&mut parser),
        "generate" => author::generate(&mut parser),
        "export" => author::export(&mut parser),
        "init" => author::init(&mut parser),
        "audit" => author::audit(&mut parser),
        "schema" => author::schema(&mut parser),
        "completions" => author::completions(&mut parser),
        "exit-codes" => exit_codes(&mut parser),
        unknown => {
            let known = SUBCOMMANDS.map(|(name, _)| name);
            wrong(match nearest(unknown, known.into_iter()) {
                Some(near) => format!("unknown subcommand `{unknown}`; did you mean `{near}`?"),
                None => format!(
                    "unknown subcommand `{unknown}`; it must be {}. \
                     To run a command, write it after `--`: startup-guard run -- {unknown}",
                    either(&known)
                ),
            })
        }
    }
}

fn run(parser: &mut Parser, command: Option<Vec<OsString>>) -> Result<Command, UsageError> {
    let mut run = Run {
        command,
        ..Run::default()
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("manifest") => choose(&mut run.manifest, manifest(parser)?)?,
            Long("no-manifest") => choose(&mut run.manifest, ManifestChoice::None)?,
            Long("skip") => run.skip.push(parser.value()?.string()?),
            Long("no-server") => run.no_server = true,
            Long("init") => run.init = true,
            Long("forward") => run.forward = Some(choice(parser, "--forward", &FORWARDS)?),
            Long("rewrite") => run.rewrites.push(rewrite(&parser.value()?.string()?)?),
            Value(word) => {
                let word = word.to_string_lossy();
                return wrong(format!(
                    "unexpected argument `{word}`; a command follows `--`: startup-guard run -- {word}"
                ));
            }
            other => return help_or_error("run", &other),
        }
    }
    let is_init = run.init || run.forward.is_some() || !run.rewrites.is_empty();
    let excluded = match (run.no_server, &run.command) {
        (true, Some(_)) => "a command after `--`",
        (true, None) if is_init => "`--init`, `--forward` or `--rewrite`",
        _ => return Ok(Command::Run(run)),
    };
    wrong(format!("`--no-server` cannot be combined with {excluded}"))
}

const FORWARDS: [(&str, Forward); 2] = [("child", Forward::Child), ("group", Forward::Group)];

fn rewrite(text: &str) -> Result<Rewrite, UsageError> {
    let Some((from, to)) = text.split_once(':') else {
        return wrong(format!(
            "`--rewrite` must be FROM:TO, such as TERM:INT, not `{text}`"
        ));
    };
    let Some(from) = Signal::parse(from).filter(|from| from.can_be_passed_on()) else {
        return wrong(format!(
            "--rewrite {text}: FROM must be the name or the number of a signal that can be forwarded"
        ));
    };
    let new = Signal::parse(to);
    if new.is_none() && to != "0" {
        return wrong(format!(
            "--rewrite {text}: TO must be the name or the number of a signal, or 0 to drop FROM"
        ));
    }
    Ok(Rewrite { from, to: new })
}

fn check(parser: &mut Parser) -> Result<Command, UsageError> {
    let mut check = Check::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("manifest") => choose(&mut check.manifest, manifest(parser)?)?,
            Long("format") => check.format = choice(parser, "--format", &REPORT_FORMATS)?,
            Long("env-file") => check.env_files.push(file(parser, "--env-file")?),
            Long("dialect") => check.dialect = Some(choice(parser, "--dialect", &Dialect::NAMES)?),
            Long("only-file") => check.only_file = true,
            other => return help_or_error("check", &other),
        }
    }
    let problem = match check.env_files.as_slice() {
        [] if check.only_file => "`--only-file` needs an `--env-file`",
        [] if check.dialect.is_some() => "`--dialect` needs an `--env-file`",
        files if files.iter().filter(|file| *file == "-").count() > 1 => {
            "`--env-file -` can be given only once: standard input is read to its end"
        }
        _ => return Ok(Command::Check(check)),
    };
    wrong(problem)
}

const REPORT_FORMATS: [(&str, ReportFormat); 3] = [
    ("text", ReportFormat::Text),
    ("json", ReportFormat::Json),
    ("github", ReportFormat::Github),
];

fn healthcheck(parser: &mut Parser) -> Result<Command, UsageError> {
    let mut url = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) if url.is_none() => url = Some(value.string()?),
            other => return help_or_error("healthcheck", &other),
        }
    }
    match url {
        Some(url) => Ok(Command::Healthcheck(url)),
        None => wrong(
            "`healthcheck` needs a URL: startup-guard healthcheck http://127.0.0.1:8000/health",
        ),
    }
}

fn exit_codes(parser: &mut Parser) -> Result<Command, UsageError> {
    let formats = [("text", false), ("json", true)];
    let mut as_json = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("format") => as_json = choice(parser, "--format", &formats)?,
            other => return help_or_error("exit-codes", &other),
        }
    }
    let text = exit::TABLE.into();
    Ok(Command::Print(if as_json {
        exit::json().into()
    } else {
        text
    }))
}

fn choose(choice: &mut ManifestChoice, new: ManifestChoice) -> Result<(), UsageError> {
    if *choice != ManifestChoice::Default {
        return wrong("give one manifest: `--manifest FILE` or `--no-manifest`, once");
    }
    *choice = new;
    Ok(())
}

fn manifest(parser: &mut Parser) -> Result<ManifestChoice, UsageError> {
    Ok(ManifestChoice::File(file(parser, "--manifest")?.into()))
}

fn file(parser: &mut Parser, option: &str) -> Result<OsString, UsageError> {
    let file = parser.value()?;
    if file.is_empty() {
        return wrong(format!("`{option}` needs the name of a file"));
    }
    Ok(file)
}

/// Reads the value of an option that has a fixed set of values.
fn choice<T: Copy>(
    parser: &mut Parser,
    option: &str,
    values: &[(&str, T)],
) -> Result<T, UsageError> {
    let text = parser.value()?.string()?;
    if let Some((_, value)) = values.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
    let names = either(&names);
    wrong(format!("`{option}` must be {names}, not `{text}`"))
}

/// Returns the help text for `--help`, the version for `--version`, and an error for any other argument, which the
/// subcommand does not have.
fn help_or_error(subcommand: &str, argument: &Arg) -> Result<Command, UsageError> {
    let help = SUBCOMMANDS.iter().find(|(name, _)| *name == subcommand);
    let help = help.map_or(OVERVIEW, |(_, help)| help);
    let (what, name) = match argument {
        Short('h') | Long("help") => return Ok(Command::Print(help.into())),
        Short('V') | Long("version") => return Ok(Command::Print(VERSION.into())),
        Short(letter) => ("unknown option", format!("-{letter}")),
        Long(name) => ("unknown option", format!("--{name}")),
        Value(value) => ("unexpected argument", value.to_string_lossy().into_owned()),
    };
    let lines = help.lines().filter_map(|line| line.strip_prefix("  --"));
    let options = lines.filter_map(|line| line.split(' ').next());
    let options: Vec<String> = options.map(|option| format!("--{option}")).collect();
    let known = options.iter().map(String::as_str);
    let hint = match nearest(&name, known.chain(["--help", "--version"])) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("see `startup-guard {subcommand} --help`"),
    };
    wrong(format!("{what} `{name}` for `{subcommand}`; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::{Command, ManifestChoice, Run, VERSION, parse};

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
        assert_eq!(parsed("--version"), Ok(Command::Print(VERSION.into())));
        let told = "unknown option `--versoin` for `run`; did you mean `--version`?";
        assert_eq!(parsed("--versoin"), Err(told.to_owned()));
    }

    #[test]
    fn a_double_dash_with_nothing_after_it_means_no_command() {
        assert_eq!(parsed("run --"), Ok(Command::Run(Run::default())));
    }

    #[test]
    fn arguments_after_the_double_dash_are_not_parsed() {
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
    fn an_invalid_argument_is_reported_with_the_most_similar_valid_one() {
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
                "`--format` must be text, json or github, not `xml`",
            ),
            (
                "run --no-server -- ls",
                "`--no-server` cannot be combined with a command after `--`",
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
