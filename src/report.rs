//! What the check found, as plain ordered data. A report holds names and problems, never values, so nothing
//! that renders it can leak one.

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
    /// What the variable is for, from the manifest.
    pub description: Option<String>,
}

/// All findings, in the manifest's order.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub findings: Vec<Finding>,
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
