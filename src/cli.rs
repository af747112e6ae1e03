//! The command line: arguments in, a [`Command`] out.
//!
//! The parser uses `lexopt` and help texts of our own instead of clap. In a test program with these options, clap 4
//! made the binary 222 KB larger and each start 96 µs slower (median of 1,500 pairs), a sixth of the guard's start.

mod definition;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{self, Long, Short, Value};
use lexopt::Parser;

use crate::dotenv::Dialect;
use crate::os::signals::{Forward, Rewrite, Signal};
use crate::text::{either, nearest};
pub use definition::{Argument, DIALECT, Given, MANIFEST, PROCESS, REPORT_FORMAT};
pub use definition::{SUBCOMMANDS, Subcommand, Takes, names};

/// What the command line selects.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Run(Run),
    Check(Check),
    Healthcheck(Healthcheck),
    /// A subcommand of the `author` module, which reads the arguments itself.
    Author(Given),
    /// A help text or the version, which is printed unchanged.
    Print(String),
}

/// The arguments of `startup-guard run`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub manifest: ManifestChoice,
    /// The process of the manifest to become.
    pub process: Option<String>,
    /// In the order of the command line.
    pub env_files: Vec<OsString>,
    /// `None` if it is detected from the content of each file.
    pub dialect: Option<Dialect>,
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
    /// Exit codes of the server, each with the one with which an init exits instead.
    pub remaps: Vec<(u8, u8)>,
    /// How long the server may take to end after a stop, before an init kills it. Without a limit if it is `None`.
    pub stop_grace: Option<Duration>,
    /// Replaces the command in the manifest.
    pub command: Option<Vec<OsString>>,
}

impl Run {
    /// Whether an option is given that is only for an init.
    pub fn needs_init(&self) -> bool {
        let has_lists = !self.rewrites.is_empty() || !self.remaps.is_empty();
        has_lists || self.forward.is_some() || self.stop_grace.is_some()
    }
}

/// The arguments of `startup-guard check`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Check {
    pub manifest: ManifestChoice,
    /// The only process of the manifest to check.
    pub process: Option<String>,
    pub format: ReportFormat,
    /// In the order of the command line; `-` is standard input.
    pub env_files: Vec<OsString>,
    /// `None` if it is detected from the content of each file.
    pub dialect: Option<Dialect>,
    /// Ignore the process's own environment.
    pub only_file: bool,
}

/// The arguments of `startup-guard healthcheck`.
#[derive(Debug, PartialEq, Eq)]
pub struct Healthcheck {
    /// The URL to request, with its references not yet expanded.
    pub url: String,
    /// The time limit for the answer.
    pub timeout: Option<Duration>,
    /// The statuses of a healthy service, separated by commas.
    pub statuses: Option<String>,
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

/// The commit and the target of a release, which sets them when it is built.
const COMMIT: Option<&str> = option_env!("STARTUP_GUARD_COMMIT");
const TARGET: Option<&str> = option_env!("STARTUP_GUARD_TARGET");

pub const REPORT_FORMATS: [(&str, ReportFormat); 3] = [
    ("text", ReportFormat::Text),
    ("json", ReportFormat::Json),
    ("github", ReportFormat::Github),
];

/// The names of our subcommands in other tools.
const HABITS: [(&str, &str); 4] = [
    ("validate lint verify test doctor", "check"),
    ("start exec serve up", "run"),
    ("health ping probe", "healthcheck"),
    ("gen", "generate"),
];

const FORWARDS: [(&str, Forward); 2] = [("child", Forward::Child), ("group", Forward::Group)];

/// An error with this message.
pub fn wrong<T>(message: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError(message.into()))
}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

/// What `--version` prints.
fn version(commit: Option<&str>, target: Option<&str>) -> String {
    let name = concat!("startup-guard ", env!("CARGO_PKG_VERSION"));
    match (commit, target) {
        (None | Some(""), _) | (_, None | Some("")) => format!("{name}\n"),
        (Some(commit), Some(target)) => format!("{name} ({commit:.12}, {target})\n"),
    }
}

/// Reads the arguments (without the program's own name). The caller runs the subcommands `others` itself.
///
/// # Errors
/// Returns an error for the first invalid argument. It suggests the valid argument with the most similar name.
pub fn parse(
    mut ours: Vec<OsString>,
    others: &'static [Subcommand],
) -> Result<Command, UsageError> {
    // What follows the first `--` is the user's command, or `None` if nothing follows.
    let end = ours.iter().position(|argument| argument == "--");
    let command = end.map(|at| ours.drain(at..).skip(1).collect());
    let command = command.filter(|command: &Vec<_>| !command.is_empty());
    let first = ours.first().cloned().unwrap_or_default();
    let first = first.to_string_lossy();
    let name = match &*first {
        "help" if ours.len() > 1 => return parse(vec![ours.remove(1), "--help".into()], others),
        "-h" | "--help" | "help" => return Ok(Command::Print(definition::overview(others))),
        // Without a subcommand the options are those of `run`.
        option if option.is_empty() || option.starts_with('-') => "run",
        name => {
            ours.remove(0);
            name
        }
    };
    let known = || SUBCOMMANDS.iter().chain(others);
    let named = |name: &str| known().find(|known| known.name == name);
    let Some(subcommand) = named(name) else {
        let known: Vec<&str> = known().map(|known| known.name).collect();
        let otherwise = format!(
            "it must be {}. To run a command, write it after `--`: startup-guard run -- {name}",
            either(&known)
        );
        let what = format!("unknown subcommand `{name}`");
        return Err(unknown(&what, name, &known, otherwise));
    };
    if command.is_some() && name != "run" {
        let told = format!("`{name}` takes no command after `--`; only `run` does");
        return wrong(told);
    }
    let mut given = Given::new(subcommand);
    let mut parser = Parser::from_args(ours.clone());
    while let Some(argument) = parser.next()? {
        let known = match argument {
            Short('h') | Long("help") => return Ok(Command::Print(subcommand.help())),
            Short('V') | Long("version") => return Ok(Command::Print(version(COMMIT, TARGET))),
            Short(_) => None,
            Long(name) => subcommand.argument(&format!("--{name}")),
            Value(_) => given.next_operand(),
        };
        let Some(known) = known else {
            let mut words = ours.iter().map(|word| word.to_string_lossy());
            // Only an implied `run` has an option as its first word.
            return match words.position(|word| named(&word).is_some()) {
                Some(at) if first.starts_with('-') => wrong(first_word(ours, at)),
                _ => Err(unexpected(subcommand, &argument)),
            };
        };
        let value = match argument {
            Value(word) => word,
            _ if known.takes == Takes::Nothing => OsString::new(),
            _ => parser.value()?,
        };
        given.add(known, value)?;
    }
    match name {
        "run" => run(&given, command),
        "check" => check(&given),
        "healthcheck" => Ok(Command::Healthcheck(Healthcheck {
            url: given.needed(given.text("URL"))?,
            timeout: given.duration("--timeout")?,
            statuses: given.text("--status"),
        })),
        _ => Ok(Command::Author(given)),
    }
}

/// The advice on a command line whose subcommand is the word at `at`, behind options.
fn first_word(mut words: Vec<OsString>, at: usize) -> String {
    words[..=at].rotate_right(1);
    let line = words.join(OsStr::new(" "));
    let (name, line) = (words[0].to_string_lossy(), line.to_string_lossy());
    format!("the subcommand `{name}` must be the first word: startup-guard {line}")
}

/// The error for an argument that the subcommand does not have.
fn unexpected(subcommand: &Subcommand, argument: &Arg) -> UsageError {
    let (what, given) = match argument {
        Short(letter) => ("unknown option", format!("-{letter}")),
        Long(name) => ("unknown option", format!("--{name}")),
        Value(value) => ("unexpected argument", value.to_string_lossy().into_owned()),
    };
    let name = subcommand.name;
    let what = format!("{what} `{given}` for `{name}`");
    if name == "run" && matches!(argument, Value(_)) {
        let command = format!("startup-guard run -- {given}");
        return UsageError(format!("{what}; a command follows `--`: {command}"));
    }
    let known = subcommand.arguments.iter();
    let known = known.filter(|known| known.is_option());
    let known = known.map(|known| known.name);
    let known: Vec<&str> = known.chain(["--help", "--version"]).collect();
    let otherwise = format!("see `startup-guard {name} --help`");
    unknown(&what, &given, &known, otherwise)
}

/// An error with the most similar known name, or else another advice.
fn unknown(what: &str, given: &str, known: &[&str], otherwise: String) -> UsageError {
    let is_habit = |(words, name): &&(&str, &str)| {
        known.contains(name) && words.split(' ').any(|word| word == given)
    };
    let habit = HABITS.iter().find(is_habit).map(|(_, name)| *name);
    let near = habit.or_else(|| nearest(given, known.iter().copied()));
    let advice = near.map_or(otherwise, |near| format!("did you mean `{near}`?"));
    UsageError(format!("{what}; {advice}"))
}

fn run(given: &Given, command: Option<Vec<OsString>>) -> Result<Command, UsageError> {
    let rewrites = given.texts("--rewrite");
    let rewrites: Result<_, _> = rewrites.iter().map(|text| rewrite(text)).collect();
    let durations = parsed(given, "--stop-grace", GRACE, |text| {
        let duration = humantime::parse_duration(text).ok();
        duration.filter(|duration| !duration.is_zero())
    });
    let run = Run {
        manifest: given.manifest()?,
        process: given.text("--process"),
        env_files: given.files("--env-file"),
        dialect: given.choice("--dialect", &Dialect::NAMES),
        skip: given.texts("--skip"),
        no_server: given.has("--no-server"),
        init: given.has("--init"),
        forward: given.choice("--forward", &FORWARDS),
        rewrites: rewrites?,
        remaps: parsed(given, "--remap-exit", REMAP, |text| {
            let (from, to) = text.split_once(':')?;
            Some((from.parse().ok()?, to.parse().ok()?))
        })?,
        stop_grace: durations?.pop(),
        command,
    };
    if run.process.is_some() && run.manifest == ManifestChoice::None {
        return wrong("`--process` cannot be combined with `--no-manifest`");
    }
    let excluded = match (run.no_server, &run.command) {
        (true, Some(_)) => "a command after `--`",
        (true, None) if run.init || run.needs_init() => "`--init` or an option of an init",
        _ => return Ok(Command::Run(run)),
    };
    wrong(format!("`--no-server` cannot be combined with {excluded}"))
}

fn rewrite(text: &str) -> Result<Rewrite, UsageError> {
    let wrong = |told| wrong(format!("--rewrite {text}: {told}"));
    let Some((from, to)) = text.split_once(':') else {
        return wrong("the value of `--rewrite` must be FROM:TO, such as TERM:INT");
    };
    let Some(from) = Signal::parse(from).filter(|from| from.can_be_passed_on()) else {
        return wrong("FROM must be the name or the number of a signal that can be forwarded");
    };
    let new = Signal::parse(to);
    if new.is_none() && to != "0" {
        return wrong("TO must be the name or the number of a signal, or 0 to drop FROM");
    }
    Ok(Rewrite { from, to: new })
}

const REMAP: &str = "it must be FROM:TO, two exit codes from 0 to 255, such as 143:0";
const GRACE: &str = "it must be a duration of more than 0 with its unit, such as 8s";

/// The values of an option. `told` says which ones `parse` accepts.
fn parsed<T>(
    given: &Given,
    name: &str,
    told: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, UsageError> {
    let read =
        |text: &String| parse(text).map_or_else(|| wrong(format!("{name} {text}: {told}")), Ok);
    given.texts(name).iter().map(read).collect()
}

fn check(given: &Given) -> Result<Command, UsageError> {
    let format = given.choice("--format", &REPORT_FORMATS);
    let check = Check {
        manifest: given.manifest()?,
        process: given.text("--process"),
        format: format.unwrap_or_default(),
        env_files: given.files("--env-file"),
        dialect: given.choice("--dialect", &Dialect::NAMES),
        only_file: given.has("--only-file"),
    };
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

#[cfg(test)]
mod tests {
    use super::{COMMIT, Command, ManifestChoice, Run, TARGET, parse, version};

    fn parsed(line: &str) -> Result<Command, String> {
        let words = line.split_whitespace().map(Into::into);
        parse(words.collect(), &[]).map_err(|error| error.to_string())
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
        let version = Command::Print(version(COMMIT, TARGET));
        assert_eq!(parsed("--version"), Ok(version));
        let told = "unknown option `--versoin` for `run`; did you mean `--version`?";
        assert_eq!(parsed("--versoin"), Err(told.to_owned()));
    }

    #[test]
    fn the_version_has_the_commit_and_the_target_if_both_are_set() {
        const HASH: &str = "0123456789abcdef0123456789abcdef01234567";
        let number = env!("CARGO_PKG_VERSION");
        assert_eq!(
            version(Some(HASH), Some("x86_64-unknown-linux-musl")),
            format!("startup-guard {number} (0123456789ab, x86_64-unknown-linux-musl)\n")
        );
        // A hash that is already short is printed as it is.
        let short = format!("startup-guard {number} (0123abc, a-b-c)\n");
        assert_eq!(version(Some("0123abc"), Some("a-b-c")), short);
        let unset = [None, Some("")];
        let incomplete = unset.map(|unset| [(unset, Some("a-b-c")), (Some(HASH), unset)]);
        for (commit, target) in incomplete.into_iter().flatten().chain([(None, None)]) {
            assert_eq!(version(commit, target), format!("startup-guard {number}\n"));
        }
    }

    #[test]
    fn an_option_without_a_value_can_be_given_again() {
        assert_eq!(parsed("run --init --init"), parsed("run --init"));
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
                "unexpected argument `uvicorn` for `run`; a command follows `--`: startup-guard run -- uvicorn",
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
            (
                "run --manifest x --manifest x",
                "`--manifest` can be given only once",
            ),
            (
                "run --process web --no-manifest",
                "`--process` cannot be combined with `--no-manifest`",
            ),
            ("run --skip=", "`--skip` must not be empty"),
            ("check --manifest=", "`--manifest` must not be empty"),
        ];
        for (line, message) in cases {
            assert_eq!(parsed(line), Err(message.to_owned()), "{line}");
        }
    }

    #[test]
    fn help_on_a_subcommand_is_its_help() {
        assert_eq!(parsed("help check"), parsed("check -h"));
        assert_eq!(parsed("help"), parsed("--help"));
        assert_eq!(parsed("help help"), parsed("--help"));
        assert_eq!(parsed("help chek"), parsed("chek"));
    }
}
