//! What the check found, as plain ordered data. A report holds names and problems, never values, so nothing
//! that renders it can leak one.

use std::fmt;

/// The kinds of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Missing,
    Placeholder,
    TooShort,
    TooLong,
    NotOneOf,
    NoMatch,
    WrongType,
    WrongScheme,
    Unescaped,
    Quoted,
    WhiteSpace,
    SameSecret,
    FileUnreadable,
    FileAndValue,
    NotUtf8,
    UnsetReference,
    SecretInArgument,
    PasswordAnnounced,
}

impl Code {
    /// The stable name, as it stands in logs and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Code::Missing => "missing",
            Code::Placeholder => "placeholder",
            Code::TooShort => "too_short",
            Code::TooLong => "too_long",
            Code::NotOneOf => "not_one_of",
            Code::NoMatch => "no_match",
            Code::WrongType => "wrong_type",
            Code::WrongScheme => "wrong_scheme",
            Code::Unescaped => "unescaped",
            Code::Quoted => "quoted",
            Code::WhiteSpace => "white_space",
            Code::SameSecret => "same_secret",
            Code::FileUnreadable => "file_unreadable",
            Code::FileAndValue => "file_and_value",
            Code::NotUtf8 => "not_utf8",
            Code::UnsetReference => "unset_reference",
            Code::SecretInArgument => "secret_in_argument",
            Code::PasswordAnnounced => "password_announced",
        }
    }
}

/// What is wrong with a value, before it is known which variable holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueFinding {
    pub code: Code,
    /// What is wrong: the rest of a sentence that begins with the variable's name.
    pub problem: String,
    /// How to mend it, as an order.
    pub fix: String,
}

impl ValueFinding {
    pub fn new(code: Code, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            code,
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

/// Whether a finding keeps the server from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing that is wrong with one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub code: Code,
    pub severity: Severity,
    /// The variable's name.
    pub variable: String,
    /// The level that the manifest gives it, by name; none for a variable that it does not declare.
    pub level: Option<&'static str>,
    /// What is wrong: the rest of a sentence that begins with the variable's name.
    pub problem: String,
    /// How to mend it, as an order.
    pub fix: String,
    /// What the manifest says about a right value, where a command already does what `fix` orders.
    pub hint: Option<String>,
    /// What the variable is for, from the manifest.
    pub description: Option<String>,
    /// Where its value was written, when that was an env file.
    pub source: Option<Source>,
}

/// A line of a file that we were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As the user named it; `-` is standard input.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

impl Source {
    /// The file as people read it.
    pub fn shown_file(&self) -> String {
        match self.file.as_str() {
            "-" => "standard input".to_owned(),
            file => file.escape_debug().to_string(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.shown_file(), self.line)
    }
}

/// The kinds of note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteCode {
    /// A line of an env file that its readers understand differently.
    Portability,
    /// A line that has no effect, or another one than it seems.
    Line,
    /// Variables of an env file that the manifest does not declare.
    Undeclared,
}

impl NoteCode {
    /// The stable name, as it stands in reports.
    pub const fn name(self) -> &'static str {
        match self {
            NoteCode::Portability => "portability",
            NoteCode::Line => "line",
            NoteCode::Undeclared => "undeclared",
        }
    }
}

/// Something worth knowing that is no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub code: NoteCode,
    pub source: Option<Source>,
    /// Names of the variables that it is about.
    pub variables: Vec<String>,
    /// The rest of a sentence that begins with the source; a whole one where there is no source.
    pub text: String,
}

/// All findings, in the manifest's order.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// In the order of the files and their lines.
    pub notes: Vec<Note>,
    /// How many variables the manifest declares.
    pub declared: usize,
}

impl Report {
    /// How many findings keep the server from starting.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many findings do not.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }
}
