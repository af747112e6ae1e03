//! The result of a check, as plain ordered data. A report contains the names of variables and what is wrong with them,
//! but never their values, so that no renderer can leak one. `check --format json` prints the serialized form.

use std::fmt::{self, Display};

use serde::Serialize;

/// The kinds of finding. Logs and reports name them in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    Missing,
    Empty,
    Placeholder,
    TooShort,
    TooLong,
    NotOneOf,
    NoMatch,
    WrongType,
    WrongScheme,
    ForeignParameter,
    Unescaped,
    Quoted,
    WhiteSpace,
    Misread,
    SameSecret,
    FileUnreadable,
    FileAndValue,
    NotUtf8,
    UnsetReference,
    SecretInArgument,
    PasswordAnnounced,
    SeveralHeads,
    BrokenHistory,
    UnreadableHistory,
}

/// What is wrong with a value, without the variable that has the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueFinding {
    pub code: Code,
    /// What is wrong: the predicate of a sentence whose subject is the variable's name.
    pub problem: String,
    /// How to correct it, in the imperative.
    pub fix: String,
    /// Whether the value certainly cannot work. Otherwise the finding is a warning at every level.
    pub is_certain: bool,
}

impl ValueFinding {
    /// Creates the finding for a value that certainly cannot work.
    pub fn new(code: Code, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            code,
            problem: problem.into(),
            fix: fix.into(),
            is_certain: true,
        }
    }

    /// The same finding as a warning, for a value that can work but is probably not meant.
    pub fn into_warning(mut self) -> Self {
        self.is_certain = false;
        self
    }

    /// The finding for a URL whose credentials contain these characters, which should be percent-encoded.
    pub fn unescaped_credentials((raw, is_certain): (String, bool)) -> Self {
        let joined = |separator: &str, show: fn(char) -> String| {
            raw.chars().map(show).collect::<Vec<_>>().join(separator)
        };
        let all = joined(" and ", |raw| raw.to_string());
        let encoded = joined(", ", |raw| format!("{raw} is %{:02X}", u32::from(raw)));
        let hint = [", which not all clients accept", ""][usize::from(is_certain)];
        let problem = format!("has an unescaped {all} in its user or password{hint}");
        let fix = format!("percent-encode it: {encoded}");
        let mut finding = Self::new(Code::Unescaped, problem, fix);
        finding.is_certain = is_certain;
        finding
    }

    /// The finding for a URL with an invalid host or port.
    pub fn invalid_host() -> Self {
        let fix = "check the part between :// and the next /";
        wrong_type("has an invalid host or port", fix)
    }
}

/// The finding for a value that does not have the form of its type.
pub fn wrong_type(problem: impl Into<String>, fix: impl Into<String>) -> ValueFinding {
    ValueFinding::new(Code::WrongType, problem, fix)
}

/// Whether a finding keeps the server from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Warning,
}

/// The name of a code or a severity in logs and reports, such as `not_utf8`.
pub fn name_of(code: impl Serialize) -> impl Display {
    fmt::from_fn(move |out| code.serialize(out))
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The variable with this name.
    Variable(String),
    /// The step with this name.
    Step(String),
}

impl Subject {
    pub fn variable(name: &str) -> Self {
        Self::Variable(name.to_owned())
    }
}

impl Display for Subject {
    /// The subject of the finding's sentence.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Variable(name) => out.write_str(name),
            Subject::Step(name) => write!(out, "the step {name}"),
        }
    }
}

/// One thing that is wrong with one variable or one step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Finding {
    #[serde(flatten)]
    pub subject: Subject,
    #[serde(rename = "finding")]
    pub code: Code,
    pub severity: Severity,
    /// The level that applies to the variable; `None` if the manifest does not declare it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<&'static str>,
    /// What is wrong: the predicate of a sentence with the subject.
    pub problem: String,
    /// How to correct it, in the imperative.
    pub fix: String,
    /// The manifest's hint and documentation link. Shown instead of `fix` if a command of the report sets the variable.
    #[serde(skip)]
    pub hint: Option<String>,
    /// What the variable is for, from the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The line of the manifest that declares the variable, counted from 1.
    #[serde(skip)]
    pub manifest_line: Option<usize>,
    /// The line of the env file that sets the variable, if one does.
    #[serde(flatten)]
    pub source: Option<Source>,
    /// The processes of the manifest for which it counts. If empty, it counts for all that were checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<String>,
    /// The other variables of which one can be set instead of this one, which is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<String>,
}

impl Finding {
    /// The variable's name; `None` if the finding is about a step.
    pub fn variable(&self) -> Option<&str> {
        match &self.subject {
            Subject::Variable(name) => Some(name),
            Subject::Step(_) => None,
        }
    }

    /// The name of the variable, and of those that can be set instead. Empty if the finding is about a step.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let others = self.alternatives.iter().map(String::as_str);
        self.variable().into_iter().chain(others)
    }

    /// The step's name; `None` if the finding is about a variable.
    pub fn step(&self) -> Option<&str> {
        match &self.subject {
            Subject::Step(name) => Some(name),
            Subject::Variable(_) => None,
        }
    }
}

/// A line of an env file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Source {
    /// The file's name as the user gave it; `-` is standard input.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

impl Source {
    /// The file's name as messages show it, with control characters escaped.
    pub fn shown_file(&self) -> String {
        match self.file.as_str() {
            "-" => "standard input".to_owned(),
            file => file.escape_debug().to_string(),
        }
    }
}

/// The kinds of note. Reports name them in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteCode {
    /// A line of an env file that readers of env files understand differently.
    Portability,
    /// A line that has no effect, or not the effect that it seems to have.
    Line,
    /// A line that gives a variable another value than it seems to.
    Misread,
    /// A variable that is set under a former or a similar name, although it may be unset.
    OtherName,
    /// Variables of an env file that the manifest does not declare.
    Undeclared,
    /// Files of alembic that cannot be read for certain.
    History,
    /// A command that probably does not do what is meant.
    Command,
}

/// A remark on an env file, the names in the environment, alembic's files or a command. It is not a finding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Note {
    #[serde(rename = "note")]
    pub code: NoteCode,
    /// The names of the variables that the note is about.
    pub variables: Vec<String>,
    /// The predicate of a sentence whose subject is the source; a whole sentence if there is no source.
    pub text: String,
    #[serde(flatten)]
    pub source: Option<Source>,
}

impl Note {
    /// Creates a note on no variable and without a source.
    pub fn new(code: NoteCode, text: String) -> Self {
        let (variables, source) = (Vec::new(), None);
        Self {
            code,
            variables,
            text,
            source,
        }
    }
}

/// All findings, in the manifest's order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The number of variables that the manifest declares.
    pub declared: usize,
    pub findings: Vec<Finding>,
    /// In the order of the files and their lines.
    pub notes: Vec<Note>,
}

impl Report {
    /// The number of findings that keep the server from starting.
    pub fn errors(&self) -> usize {
        let findings = self.findings.iter();
        findings
            .filter(|finding| finding.severity == Severity::Error)
            .count()
    }

    /// Removes the notes if there are errors: notes about the steps matter only if they can run.
    pub fn clear_notes_of_invalid(&mut self) {
        if self.errors() > 0 {
            self.notes.clear();
        }
    }

    /// The number of findings that do not keep the server from starting.
    pub fn warnings(&self) -> usize {
        self.findings.len() - self.errors()
    }
}
