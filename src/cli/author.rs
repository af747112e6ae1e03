//! The arguments of the commands for the authors of manifests.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg::{Long, Value};
use lexopt::{Parser, ValueExt};

use super::{
    Command, ManifestChoice, REPORT_FORMATS, ReportFormat, UsageError, choice, choose, file,
    help_or_error, manifest, wrong,
};
use crate::dotenv::Dialect;
use crate::text::either;

/// The commands for the authors of manifests.
#[derive(Debug, PartialEq, Eq)]
pub enum Author {
    Template(Template),
    Generate(Generate),
    Export(Export),
    Init(Init),
    Audit(Audit),
    Schema,
    Completions(Shell),
}

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

pub fn template(parser: &mut Parser) -> Result<Command, UsageError> {
    let formats = [
        ("env", TemplateFormat::Env),
        ("markdown", TemplateFormat::Markdown),
    ];
    let mut template = Template::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("manifest") => choose(&mut template.manifest, manifest(parser)?)?,
            Long("format") => template.format = choice(parser, "--format", &formats)?,
            Long("check") => template.check = Some(file(parser, "--check")?),
            other => return help_or_error("template", &other),
        }
    }
    Ok(Command::Author(Author::Template(template)))
}

pub fn generate(parser: &mut Parser) -> Result<Command, UsageError> {
    let mut generate = Generate::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("manifest") => choose(&mut generate.manifest, manifest(parser)?)?,
            Long("env-file") => generate.env_file = Some(file(parser, "--env-file")?),
            Long("dialect") => {
                generate.dialect = Some(choice(parser, "--dialect", &Dialect::NAMES)?);
            }
            Long("force") => generate.force = true,
            Value(name) => generate.names.push(name.string()?),
            other => return help_or_error("generate", &other),
        }
    }
    Ok(Command::Author(Author::Generate(generate)))
}

const TARGETS: [(&str, Target); 4] = [
    ("railway", Target::Railway),
    ("docker", Target::Docker),
    ("compose", Target::Compose),
    ("kubernetes", Target::Kubernetes),
];

pub fn export(parser: &mut Parser) -> Result<Command, UsageError> {
    let mut target = None;
    let mut export = Export {
        manifest: ManifestChoice::Default,
        target: Target::Railway,
        env_files: Vec::new(),
        dialect: None,
        force: false,
        apply: false,
        service: None,
        environment: None,
        project: None,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("manifest") => choose(&mut export.manifest, manifest(parser)?)?,
            Long("env-file") => export.env_files.push(file(parser, "--env-file")?),
            Long("dialect") => export.dialect = Some(choice(parser, "--dialect", &Dialect::NAMES)?),
            Long("force") => export.force = true,
            Long("apply") => export.apply = true,
            Long("service") => export.service = Some(parser.value()?.string()?),
            Long("environment") => export.environment = Some(parser.value()?.string()?),
            Long("project") => export.project = Some(parser.value()?.string()?),
            Value(word) if target.is_none() => target = Some(word.string()?),
            other => return help_or_error("export", &other),
        }
    }
    let names = TARGETS.map(|(name, _)| name);
    let Some(name) = target else {
        return wrong(format!("`export` needs a platform: {}", either(&names)));
    };
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        return wrong(format!(
            "the platform must be {}, not `{name}`",
            either(&names)
        ));
    };
    export.target = *target;
    let is_railway = export.target == Target::Railway;
    let has_place =
        export.service.is_some() || export.environment.is_some() || export.project.is_some();
    match export.env_files.iter().filter(|file| *file == "-").count() {
        _ if export.env_files.is_empty() => wrong("`export` needs an `--env-file` with the values"),
        2.. => wrong("`--env-file -` can be given only once: standard input is read to its end"),
        _ if !is_railway && (export.apply || has_place) => {
            wrong("`--apply`, `--service`, `--environment` and `--project` are for `railway` only")
        }
        _ => Ok(Command::Author(Author::Export(export))),
    }
}

pub fn init(parser: &mut Parser) -> Result<Command, UsageError> {
    let mut init = Init {
        manifest: ManifestChoice::Default,
        path: PathBuf::new(),
        write: false,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("manifest") => choose(&mut init.manifest, manifest(parser)?)?,
            Long("write") => init.write = true,
            Value(path) if init.path.as_os_str().is_empty() => init.path = path.into(),
            other => return help_or_error("init", &other),
        }
    }
    if init.path.as_os_str().is_empty() {
        init.path = PathBuf::from(".");
    }
    Ok(Command::Author(Author::Init(init)))
}

pub fn audit(parser: &mut Parser) -> Result<Command, UsageError> {
    let mut audit = Audit {
        manifest: ManifestChoice::Default,
        path: PathBuf::new(),
        format: ReportFormat::Text,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("manifest") => choose(&mut audit.manifest, manifest(parser)?)?,
            Long("format") => audit.format = choice(parser, "--format", &REPORT_FORMATS)?,
            Value(path) if audit.path.as_os_str().is_empty() => audit.path = path.into(),
            other => return help_or_error("audit", &other),
        }
    }
    if audit.path.as_os_str().is_empty() {
        return wrong("`audit` needs the folder with the code: startup-guard audit app");
    }
    Ok(Command::Author(Author::Audit(audit)))
}

pub fn schema(parser: &mut Parser) -> Result<Command, UsageError> {
    match parser.next()? {
        None => Ok(Command::Author(Author::Schema)),
        Some(other) => help_or_error("schema", &other),
    }
}

pub fn completions(parser: &mut Parser) -> Result<Command, UsageError> {
    let shells = [
        ("bash", Shell::Bash),
        ("zsh", Shell::Zsh),
        ("fish", Shell::Fish),
    ];
    let argument = match parser.next()? {
        Some(Value(name)) => name.string()?,
        None => return wrong("`completions` needs a shell: bash, zsh or fish"),
        Some(other) => return help_or_error("completions", &other),
    };
    match shells.iter().find(|(name, _)| *name == argument) {
        Some((_, shell)) => Ok(Command::Author(Author::Completions(*shell))),
        None => wrong(format!(
            "the shell must be bash, zsh or fish, not `{argument}`"
        )),
    }
}
