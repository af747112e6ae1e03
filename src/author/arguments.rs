//! The commands for the authors of manifests, as the command line defines them, and their arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::{
    Argument, DIALECT, Given, MANIFEST, ManifestChoice, PROCESS, REPORT_FORMAT, REPORT_FORMATS,
    ReportFormat, Subcommand, Takes, UsageError, names, wrong,
};
use crate::dotenv::Dialect;

const TEMPLATE_FORMATS: [(&str, TemplateFormat); 2] = [
    ("env", TemplateFormat::Env),
    ("markdown", TemplateFormat::Markdown),
];

const TARGETS: [(&str, Target); 4] = [
    ("railway", Target::Railway),
    ("docker", Target::Docker),
    ("compose", Target::Compose),
    ("kubernetes", Target::Kubernetes),
];

/// The formats of the table of exit codes, with whether they are JSON.
const TABLE_FORMATS: [(&str, bool); 2] = [("text", false), ("json", true)];

const SHELLS: [(&str, Shell); 3] = [
    ("bash", Shell::Bash),
    ("zsh", Shell::Zsh),
    ("fish", Shell::Fish),
];

/// The subcommands of this module.
#[rustfmt::skip]
pub static SUBCOMMANDS: [Subcommand; 8] = [
    Subcommand { name: "template", usage: "template [OPTIONS]", summary: "print an env file with every variable",
        about: "Prints an env file, or a table for the documentation, with every variable of the manifest.",
        arguments: &[
            MANIFEST,
            Argument { name: "--format", value: "FORMAT", takes: Takes::OneOf(&names(&TEMPLATE_FORMATS)),
                help: "env (default) or markdown" },
            Argument { name: "--check", value: "FILE", takes: Takes::File,
                help: "compare FILE instead of printing: exit with 78 and a diff if it is out of date" },
        ], examples: "" },
    Subcommand { name: "generate", usage: "generate [OPTIONS] [NAME…]", summary: "generate secrets",
        about: "Generates the values of secrets for which the manifest has the key `generate`.",
        arguments: &[
            MANIFEST,
            Argument { name: "--env-file", value: "FILE", takes: Takes::File,
                help: "set what is missing or a placeholder in FILE, instead of printing the values" },
            DIALECT,
            Argument { name: "--force", value: "", takes: Takes::Nothing, help: "write to FILE even if git tracks it" },
            Argument { name: "NAME…", value: "", takes: Takes::Text,
                help: "the variables to generate (default: all that can be generated)" },
        ], examples: "" },
    Subcommand { name: "export", usage: "export [OPTIONS] PLATFORM",
        summary: "write the values of an env file for a platform",
        about: "Writes the values of env files in the form of a platform, after a check.",
        arguments: &[
            MANIFEST, PROCESS,
            Argument { name: "--env-file", value: "FILE…", takes: Takes::File,
                help: "the variables (required; - is standard input; repeatable)" },
            DIALECT,
            Argument { name: "--force", value: "", takes: Takes::Nothing, help: "export invalid values, too" },
            Argument { name: "--apply", value: "", takes: Takes::Nothing,
                help: "railway: run the railway program instead of printing its commands" },
            Argument { name: "--service", value: "NAME", takes: Takes::Text, help: "railway: the service" },
            Argument { name: "--environment", value: "NAME", takes: Takes::Text, help: "railway: the environment" },
            Argument { name: "--project", value: "ID", takes: Takes::Text, help: "railway: the project" },
            Argument { name: "PLATFORM", value: "", takes: Takes::OneOf(&names(&TARGETS)),
                help: "railway, docker, compose or kubernetes" },
        ], examples: "" },
    Subcommand { name: "init", usage: "init [OPTIONS] [PATH]", summary: "write a first manifest",
        about: "Writes a first manifest from the env file, compose file and Python code of a service.",
        arguments: &[
            Argument { name: "--manifest", value: "FILE", takes: Takes::File,
                help: "the file to write (default: $STARTUP_GUARD_MANIFEST, or required-vars.yaml in PATH)" },
            Argument { name: "--write", value: "", takes: Takes::Nothing,
                help: "write the manifest instead of printing it" },
            Argument { name: "PATH", value: "", takes: Takes::Path, help: "the folder of the service (default: .)" },
        ], examples: "" },
    Subcommand { name: "audit", usage: "audit [OPTIONS] PATH", summary: "compare the code with the manifest",
        about: "Compares the variables that Python code reads with those that the manifest declares.\n\
                Exits with 0 if they agree, and with 78 if they differ.",
        arguments: &[
            MANIFEST, REPORT_FORMAT,
            Argument { name: "PATH", value: "", takes: Takes::Path,
                help: "the folder or file with the code, for example startup-guard audit app" },
        ], examples: "" },
    Subcommand { name: "schema", usage: "schema", summary: "print the JSON schema of the manifest",
        about: "Prints the JSON schema of the manifest.",
        arguments: &[], examples: "" },
    Subcommand { name: "completions", usage: "completions SHELL", summary: "print the completions for a shell",
        about: "Prints the completions for a shell.",
        arguments: &[Argument { name: "SHELL", value: "", takes: Takes::OneOf(&names(&SHELLS)),
            help: "bash, zsh or fish" }],
        examples: "Use them in this shell:
  bash   source <(startup-guard completions bash)
  zsh    source <(startup-guard completions zsh)
  fish   startup-guard completions fish | source" },
    Subcommand { name: "exit-codes", usage: "exit-codes [OPTIONS]", summary: "print the table of exit codes",
        about: "Prints the table of exit codes.",
        arguments: &[Argument { name: "--format", value: "FORMAT", takes: Takes::OneOf(&names(&TABLE_FORMATS)),
            help: "text (default) or json" }], examples: "" },
];

/// The arguments of `startup-guard template`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Template {
    pub manifest: ManifestChoice,
    pub format: TemplateFormat,
    /// Compare this file with the template instead of printing the template.
    pub check: Option<OsString>,
}

/// The value of `template --format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateFormat {
    #[default]
    Env,
    Markdown,
}

/// The arguments of `startup-guard generate`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Generate {
    pub manifest: ManifestChoice,
    /// The variables to generate; if empty, all that can be.
    pub names: Vec<String>,
    /// The file to fill in, instead of printing the values.
    pub env_file: Option<OsString>,
    /// `None` if it is detected from the content of the file.
    pub dialect: Option<Dialect>,
    /// Write to a file that git tracks, too.
    pub force: bool,
}

/// The arguments of `startup-guard export`.
#[derive(Debug, PartialEq, Eq)]
pub struct Export {
    pub manifest: ManifestChoice,
    /// The only process of the manifest whose variables are exported.
    pub process: Option<String>,
    pub target: Target,
    /// At least one, in the order of the command line; `-` is standard input.
    pub env_files: Vec<OsString>,
    /// `None` if it is detected from the content of each file.
    pub dialect: Option<Dialect>,
    /// Export invalid values, too.
    pub force: bool,
    /// Run the platform's command-line program instead of printing its commands (Railway only).
    pub apply: bool,
    /// The service, project environment and project on Railway, if they are not those that the folder is linked to.
    pub service: Option<String>,
    pub environment: Option<String>,
    pub project: Option<String>,
}

/// What `export` writes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Railway,
    Docker,
    Compose,
    Kubernetes,
}

/// The arguments of `startup-guard init`.
#[derive(Debug, PartialEq, Eq)]
pub struct Init {
    /// The file to write.
    pub manifest: ManifestChoice,
    /// The folder of the service.
    pub path: PathBuf,
    /// Write the manifest instead of printing it.
    pub write: bool,
}

/// The arguments of `startup-guard audit`.
#[derive(Debug, PartialEq, Eq)]
pub struct Audit {
    pub manifest: ManifestChoice,
    /// The folder or file with the code.
    pub path: PathBuf,
    pub format: ReportFormat,
}

/// A shell that `completions` can write for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The arguments of `template`.
///
/// # Errors
/// For this function and the next ones: if arguments exclude each other, or if one is missing.
pub fn template(given: &Given) -> Result<Template, UsageError> {
    Ok(Template {
        manifest: given.manifest()?,
        format: given
            .choice("--format", &TEMPLATE_FORMATS)
            .unwrap_or_default(),
        check: given.files("--check").pop(),
    })
}

pub fn generate(given: &Given) -> Result<Generate, UsageError> {
    let generate = Generate {
        manifest: given.manifest()?,
        names: given.texts("NAME…"),
        env_file: given.files("--env-file").pop(),
        dialect: given.choice("--dialect", &Dialect::NAMES),
        force: given.has("--force"),
    };
    if generate.env_file.is_none() && (generate.force || generate.dialect.is_some()) {
        return wrong("`--dialect` and `--force` need an `--env-file`");
    }
    Ok(generate)
}

pub fn export(given: &Given) -> Result<Export, UsageError> {
    let target = given.choice("PLATFORM", &TARGETS);
    let export = Export {
        manifest: given.manifest()?,
        process: given.text("--process"),
        target: given.needed(target)?,
        env_files: given.files("--env-file"),
        dialect: given.choice("--dialect", &Dialect::NAMES),
        force: given.has("--force"),
        apply: given.has("--apply"),
        service: given.text("--service"),
        environment: given.text("--environment"),
        project: given.text("--project"),
    };
    let is_railway = export.target == Target::Railway;
    let has_place =
        export.service.is_some() || export.environment.is_some() || export.project.is_some();
    match export.env_files.iter().filter(|file| *file == "-").count() {
        _ if export.env_files.is_empty() => wrong("`export` needs an `--env-file` with the values"),
        2.. => wrong("`--env-file -` can be given only once: standard input is read to its end"),
        _ if !is_railway && (export.apply || has_place) => {
            wrong("`--apply`, `--service`, `--environment` and `--project` are for `railway` only")
        }
        _ if export.project.is_some() && export.environment.is_none() => {
            wrong("`--project` needs `--environment`, as in Railway's own program")
        }
        _ => Ok(export),
    }
}

pub fn init(given: &Given) -> Result<Init, UsageError> {
    let path = given.files("PATH").pop();
    Ok(Init {
        manifest: given.manifest()?,
        path: path.unwrap_or_else(|| ".".into()).into(),
        write: given.has("--write"),
    })
}

pub fn audit(given: &Given) -> Result<Audit, UsageError> {
    let path = given.files("PATH").pop();
    Ok(Audit {
        manifest: given.manifest()?,
        path: given.needed(path)?.into(),
        format: given
            .choice("--format", &REPORT_FORMATS)
            .unwrap_or_default(),
    })
}

pub fn shell(given: &Given) -> Result<Shell, UsageError> {
    given.needed(given.choice("SHELL", &SHELLS))
}

/// Whether `exit-codes` prints JSON.
pub fn as_json(given: &Given) -> bool {
    given.choice("--format", &TABLE_FORMATS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::{self, Command, parse};

    fn subcommands() -> impl Iterator<Item = &'static Subcommand> {
        cli::SUBCOMMANDS.iter().chain(&SUBCOMMANDS)
    }

    /// What is read from a line, as text.
    fn read(line: &str) -> String {
        let words = line.split_whitespace().map(Into::into).collect();
        let given = match parse(words, &SUBCOMMANDS) {
            Ok(Command::Author(given)) => given,
            Ok(command) => return format!("{command:?}"),
            Err(error) => panic!("{line}: {error}"),
        };
        let read = match given.subcommand.name {
            "template" => template(&given).map(|read| format!("{read:?}")),
            "generate" => generate(&given).map(|read| format!("{read:?}")),
            "export" => export(&given).map(|read| format!("{read:?}")),
            "init" => init(&given).map(|read| format!("{read:?}")),
            "audit" => audit(&given).map(|read| format!("{read:?}")),
            "completions" => shell(&given).map(|read| format!("{read:?}")),
            "exit-codes" => Ok(as_json(&given).to_string()),
            other => panic!("{other} is not read"),
        };
        read.unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Lines that differ in the value of an argument only.
    fn lines(subcommand: &Subcommand, argument: &Argument) -> Vec<String> {
        let (options, operand) = match (subcommand.name, argument.name) {
            ("generate", "--env-file") => ("", ""),
            ("check" | "generate", _) => ("--env-file a", ""),
            ("export", "--environment") => ("--env-file a", "railway"),
            ("export", _) => ("--env-file a --environment b", "railway"),
            ("audit", _) => ("", "app"),
            ("healthcheck", "--timeout" | "--status") => ("", "http://h/"),
            _ => ("", ""),
        };
        let name = subcommand.name;
        if argument.takes == Takes::Nothing {
            let line = format!("{name} {options} {operand}");
            return vec![format!("{line} {}", argument.name), line];
        }
        let values = match argument.takes {
            Takes::OneOf(names) => names,
            _ if argument.value == "FROM:TO…" => &["1:2", "2:1"],
            _ if argument.value == "DURATION" => &["1s", "2s"],
            _ => &["x", "y"],
        };
        let line = |value: &&str| match (name, argument.is_option()) {
            (_, true) => format!("{name} {options} {} {value} {operand}", argument.name),
            ("export", false) => format!("{name} --env-file a {value}"),
            (_, false) => format!("{name} {value}"),
        };
        values.iter().map(line).collect()
    }

    #[test]
    fn every_argument_is_read_and_each_of_its_values_has_an_effect_of_its_own() {
        for subcommand in subcommands() {
            let arguments = subcommand.arguments.iter();
            for argument in arguments.filter(|argument| argument.takes != Takes::Command) {
                let lines = lines(subcommand, argument);
                let read: BTreeSet<String> = lines.iter().map(|line| read(line)).collect();
                assert_eq!(read.len(), lines.len(), "{lines:?}: {read:?}");
            }
        }
    }

    #[test]
    fn the_help_names_each_value_that_an_argument_admits() {
        for argument in subcommands().flat_map(|known| known.arguments) {
            if let Takes::OneOf(names) = argument.takes {
                let is_named = |name: &&str| argument.help.contains(name);
                assert!(names.iter().all(is_named), "{argument:?}");
            }
        }
    }

    #[test]
    fn a_usage_shows_whether_there_are_options_and_an_operand() {
        for subcommand in subcommands() {
            let usage = subcommand.usage;
            let has_options = subcommand.arguments.iter().any(Argument::is_option);
            assert_eq!(usage.contains("[OPTIONS]"), has_options, "{usage}");
            assert!(usage.contains(subcommand.name), "{usage}");
            let mut arguments = subcommand.arguments.iter();
            let is_shown = |known: &Argument| known.is_option() || usage.contains(known.name);
            assert!(arguments.all(is_shown), "{usage}");
        }
    }
}
