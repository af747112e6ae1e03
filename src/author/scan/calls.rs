//! Finds the reads by subscripts of `os.environ` and by calls: of the standard library, starlette, environs,
//! django-environ, python-decouple and dj-database-url.

mod blocks;
mod libraries;

use std::collections::HashMap;

use super::module::{
    Module, Statement, argument, arguments, closing, dotted, find as position_of, is_operator,
    parts,
};
use super::project::Project;
use super::values::{Form, apply, cast, convert, default};
use super::{Note, Read, Scan};
use crate::python::Token;
use libraries::Scheme;

/// The position of an argument that can only be given by its name.
const NEVER: usize = usize::MAX;

/// How a function reads a variable.
struct Idiom {
    /// The positions of the arguments.
    name: usize,
    default: usize,
    cast: usize,
    /// The name that is read if no argument has it. Empty if there is none.
    standard: &'static str,
    /// What is put before the name.
    prefix: String,
    /// What the function itself tells about the value.
    form: Form,
    /// Whether the function fails without the variable, unless it is called with a default.
    is_required: bool,
    /// Whether the variables are also declared in the call of django-environ's `Env`.
    has_scheme: bool,
}

impl Idiom {
    /// A function whose first argument is the name, and that fails without the variable.
    fn new(default: usize, cast: usize) -> Self {
        Self {
            name: 0,
            default,
            cast,
            standard: "",
            prefix: String::new(),
            form: Form::default(),
            is_required: true,
            has_scheme: false,
        }
    }

    /// A function that returns None without the variable.
    fn tolerant() -> Self {
        Self {
            is_required: false,
            ..Self::new(1, NEVER)
        }
    }
}

/// Begins and separates the parts of a name that is a parameter of a function: what is put before it, the path of the
/// function, and the position of the parameter. No environment variable has this character in its name.
const PARAMETER: char = '\0';

/// How many functions that read their parameters may call each other.
const MAX_HELPERS: usize = 4;

/// The functions that read the variable that a parameter names: what is put before the name, the position of the
/// parameter, and how it is read.
type Helpers = HashMap<String, (String, usize, Read)>;

/// Finds the reads of all modules.
pub fn find(project: &Project<'_>, scan: &mut Scan) {
    let scheme = libraries::scheme(project);
    let mut helpers = Helpers::new();
    for round in 1.. {
        let (mut reads, mut notes) = (Vec::new(), Vec::new());
        for module in &project.modules {
            let mut reader = Reader {
                project,
                module,
                scheme: &scheme,
                helpers: &helpers,
                prefixes: Vec::new(),
                parameters: Vec::new(),
                branches: Vec::new(),
                excused: Vec::new(),
                reads: Vec::new(),
                notes: &mut notes,
            };
            for (index, statement) in module.statements.iter().enumerate() {
                reader.statement(statement);
                if blocks::is_branch(&module.statements[index..]) {
                    reader.branches.push(statement.indent);
                }
            }
            let Reader {
                excused,
                reads: own,
                ..
            } = reader;
            reads.extend(own.into_iter().map(|read| Read {
                is_required: read.is_required && !excused.contains(&read.name),
                ..read
            }));
        }
        let count = helpers.len();
        let (parameters, reads): (Vec<_>, Vec<_>) = reads
            .into_iter()
            .partition(|read| read.name.contains(PARAMETER));
        for read in parameters {
            add_helper(&mut helpers, &read);
        }
        if helpers.len() == count || round == MAX_HELPERS {
            scan.reads.extend(reads);
            scan.notes.extend(notes);
            return;
        }
    }
}

/// Records the function that reads a parameter.
fn add_helper(helpers: &mut Helpers, read: &Read) {
    let parts: Vec<&str> = read.name.split(PARAMETER).collect();
    let [prefix, path, position] = parts[..] else {
        return;
    };
    let (prefix, path) = (prefix.to_owned(), path.to_owned());
    let position = position.parse().unwrap_or(0);
    let helper = helpers
        .entry(path)
        .or_insert_with(|| (prefix, position, read.clone()));
    let known = &mut helper.2;
    known.is_required &= read.is_required;
    known.value_type = known.value_type.or(read.value_type);
    known.list = known.list.or(read.list);
}

/// A parameter of a function.
struct Parameter<'a> {
    /// The indentation of the function.
    indent: usize,
    name: &'a str,
    /// The function, if it is one of the module itself.
    function: Option<&'a str>,
    position: usize,
    /// Whether its default is `os.environ`.
    is_environment: bool,
}

struct Reader<'p, 'a> {
    project: &'p Project<'a>,
    module: &'p Module<'a>,
    scheme: &'p Scheme,
    /// The open `with env.prefixed(…)`: the indentation, and the prefix.
    prefixes: Vec<(usize, String)>,
    helpers: &'p Helpers,
    /// The parameters of the open functions, which hide names of the module.
    parameters: Vec<Parameter<'a>>,
    /// The indentations of the open blocks that do not always run.
    branches: Vec<usize>,
    /// The names that the module tests with `in`, or sets itself.
    excused: Vec<String>,
    reads: Vec<Read>,
    notes: &'p mut Vec<Note>,
}

impl<'a> Reader<'_, 'a> {
    fn statement(&mut self, statement: &Statement<'a>) {
        let tokens = &statement.tokens;
        self.prefixes
            .retain(|(indent, _)| statement.indent > *indent);
        self.parameters
            .retain(|parameter| statement.indent > parameter.indent);
        self.branches.retain(|indent| statement.indent > *indent);
        if let [Token::Name("import" | "from"), ..] = tokens.as_slice() {
            return;
        }
        self.open_function(statement);
        for at in 0..tokens.len() {
            let Token::Name(first) = tokens[at] else {
                continue;
            };
            let before = at.checked_sub(1).map(|before| tokens[before]);
            let is_other = matches!(
                before,
                Some(Token::Operator(".") | Token::Name("def" | "class"))
            );
            if is_other {
                continue;
            }
            if tokens
                .get(at + 1)
                .is_some_and(|token| is_operator(token, "="))
            {
                self.option(statement, at, first);
            }
            let Some((path, end)) = dotted(tokens, at) else {
                continue;
            };
            match self.parameter(first) {
                Some(parameter) if parameter.is_environment => {
                    let path = ["os.environ", &path[first.len()..]].concat();
                    self.expression(statement, at, end, &path);
                }
                None if self.module.names.contains_key(first)
                    || !self.module.wildcards.is_empty() =>
                {
                    let path = self.project.resolve(self.module, &path);
                    self.expression(statement, at, end, &path);
                }
                _ => {}
            }
        }
    }

    /// Records the parameters of the function that a statement begins.
    fn open_function(&mut self, statement: &Statement<'a>) {
        let tokens = &statement.tokens;
        let Some(open) = parameters(tokens) else {
            return;
        };
        let function = match tokens.get(open - 1) {
            Some(Token::Name(name)) if statement.indent == 0 => Some(*name),
            _ => None,
        };
        let items = parts(&tokens[open + 1..closing(tokens, open)], ",");
        for (position, item) in items.into_iter().enumerate() {
            if let Some(Token::Name(name)) = item.first() {
                self.parameters.push(Parameter {
                    indent: statement.indent,
                    name,
                    function,
                    position,
                    is_environment: self.is_environment(item),
                });
            }
        }
    }

    /// Whether the default of a parameter is `os.environ`.
    fn is_environment(&self, parameter: &[Token<'a>]) -> bool {
        let default = position_of(parameter, "=").map_or(parameter.len(), |equals| equals + 1);
        dotted(parameter, default).is_some_and(|(path, end)| {
            let path = self.project.resolve(self.module, &path);
            end == parameter.len() && environment(&path) == Some("")
        })
    }

    /// An argument of click and typer that names the variables of an option: `envvar="X"`.
    fn option(&mut self, statement: &Statement<'a>, at: usize, argument: &str) {
        match argument {
            "auto_envvar_prefix" => self.computed(statement, at),
            "envvar" => {
                let value = &statement.tokens[at + 2..];
                let close = closing(value, 0);
                match value.get(close + 1) {
                    Some(Token::Operator("," | ")")) => {}
                    _ => return self.computed(statement, at),
                }
                for token in &value[..=close] {
                    if let Some(name) = self.name(std::slice::from_ref(token)) {
                        let read = self.read(statement, at, name);
                        self.reads.push(read);
                    }
                }
            }
            _ => {}
        }
    }

    /// The parameter of an open function with this name.
    fn parameter(&self, name: &str) -> Option<&Parameter<'a>> {
        let mut parameters = self.parameters.iter().rev();
        parameters.find(|parameter| parameter.name == name)
    }

    /// Reads the expression that begins with a path: `tokens[at..end]`.
    fn expression(&mut self, statement: &Statement<'a>, at: usize, end: usize, path: &str) {
        let tokens = &statement.tokens;
        let next = match tokens.get(end) {
            Some(Token::Operator(operator)) => *operator,
            _ => "",
        };
        let is_tested = at > 0 && tokens[at - 1] == Token::Name("in");
        let idiom = match (environment(path), next) {
            (Some(""), "[") => return self.subscript(statement, at, end),
            (Some("" | ".keys"), _) if is_tested => return self.membership(statement, at),
            (Some(".get" | ".setdefault"), "(") => Some(Idiom::tolerant()),
            (Some(".pop"), "(") => Some(Idiom::new(1, NEVER)),
            (None, "(") => self.library(statement, at, end, path),
            _ => None,
        };
        if let Some(idiom) = idiom {
            self.call(statement, at, end, idiom);
            if path.ends_with(".setdefault") {
                self.excused
                    .extend(self.reads.last().map(|read| read.name.clone()));
            }
        }
    }

    fn call(&mut self, statement: &Statement<'a>, at: usize, end: usize, idiom: Idiom) {
        let tokens = &statement.tokens;
        let arguments = arguments(tokens, end);
        let keys = ["key", "name", "var", "option", "env"];
        let name = match argument(&arguments, idiom.name, &keys) {
            Some(name) => self.name(name),
            None if idiom.standard.is_empty() => return,
            None => Some(idiom.standard.to_owned()),
        };
        let Some(name) = name else {
            return self.computed(statement, at);
        };
        let keys = ["default", "load_default", "missing"];
        let given = argument(&arguments, idiom.default, &keys);
        let mut read = self.read(statement, at, idiom.prefix + &name);
        read.is_required = idiom.is_required && given.is_none();
        read.default = given.and_then(|given| self.default(given));
        if let Some(value) = argument(&arguments, idiom.cast, &["cast", "subcast"]) {
            apply(&mut read, &cast(value));
        }
        apply(&mut read, &idiom.form);
        let mut scheme = self.scheme.iter().rev();
        if idiom.has_scheme
            && let Some((_, form, default)) = scheme.find(|(name, ..)| *name == read.name)
        {
            apply(&mut read, form);
            if let Some(default) = default {
                read.is_required = false;
                read.default = read.default.take().or_else(|| default.clone());
            }
        }
        self.converted(&mut read, tokens, at, closing(tokens, end) + 1);
        self.reads.push(read);
    }

    fn read(&self, statement: &Statement<'a>, at: usize, name: String) -> Read {
        Read {
            name,
            file: self.module.source.file.clone(),
            line: statement.lines[at],
            ..Read::default()
        }
    }

    /// `os.environ["X"]`, unless it is assigned or deleted.
    fn subscript(&mut self, statement: &Statement<'a>, at: usize, end: usize) {
        let tokens = &statement.tokens;
        let close = closing(tokens, end);
        let name = self.name(tokens.get(end + 1..close).unwrap_or_default());
        if tokens[0] == Token::Name("del") {
            return;
        }
        let next = tokens.get(close + 1);
        if next.is_some_and(|token| is_operator(token, "=")) {
            // `os.environ["X"] = os.environ["X"].strip()` needs the variable.
            let is_changed = tokens[close..].contains(&tokens[end + 1]);
            self.excused.extend(name.filter(|_| !is_changed));
            return;
        }
        match name {
            Some(name) => {
                let mut read = self.read(statement, at, name);
                read.is_required = true;
                self.converted(&mut read, tokens, at, close + 1);
                self.reads.push(read);
            }
            None => self.computed(statement, at),
        }
    }

    /// `"X" in os.environ`.
    fn membership(&mut self, statement: &Statement<'a>, at: usize) {
        let tokens = &statement.tokens[..at - 1];
        let is_not = tokens.last() == Some(&Token::Name("not"));
        let tokens = &tokens[..tokens.len() - usize::from(is_not)];
        let name = match tokens {
            // A loop over the names.
            [.., Token::Name("for"), _] => return,
            [.., Token::Operator("."), Token::Name(_)] | [] => None,
            [.., last] => self.name(std::slice::from_ref(last)),
        };
        match name {
            Some(name) => {
                self.excused.push(name.clone());
                let read = self.read(statement, at, name);
                self.reads.push(read);
            }
            // A loop over several names.
            None if tokens
                .iter()
                .rev()
                .take(4)
                .any(|token| *token == Token::Name("for")) => {}
            None => self.computed(statement, at),
        }
    }

    /// The name of a variable that an expression stands for.
    fn name(&self, tokens: &[Token<'a>]) -> Option<String> {
        if let [Token::Name(name)] = tokens
            && let Some(parameter) = self.parameter(name)
        {
            let path = self.module.own(parameter.function?);
            let position = parameter.position;
            return Some(format!("{PARAMETER}{path}{PARAMETER}{position}"));
        }
        let is_outside = |other: char| other == '=' || other.is_whitespace() || other.is_control();
        let name = self.project.text(self.module, tokens)?;
        (!name.is_empty() && !name.contains(is_outside)).then_some(name)
    }

    /// Applies what the code does with the text that it has read, and whether it always reads it.
    fn converted(&self, read: &mut Read, tokens: &[Token<'a>], at: usize, after: usize) {
        let rest = tokens.get(after..).unwrap_or_default();
        convert(read, &tokens[..at], rest);
        let is_alternative = matches!(&tokens[..at], [.., Token::Name("and" | "or" | "else")])
            || rest.first() == Some(&Token::Name("if"));
        read.is_required &= self.branches.is_empty() && !is_alternative;
        if let [Token::Name("or"), value, ..] = rest
            && read.default.as_deref().is_none_or(str::is_empty)
        {
            read.is_required = false;
            read.default = self.default(std::slice::from_ref(value));
        }
    }

    /// The default that an expression stands for.
    fn default(&self, tokens: &[Token<'a>]) -> Option<String> {
        default(tokens).or_else(|| self.project.text(self.module, tokens))
    }

    fn computed(&mut self, statement: &Statement<'a>, at: usize) {
        self.notes.push(Note {
            file: self.module.source.file.clone(),
            line: Some(statement.lines[at]),
            text: "the name of the variable that is read here is computed".to_owned(),
        });
    }
}

/// The rest of a path behind `os.environ` or a copy of it.
fn environment(path: &str) -> Option<&str> {
    let rest = path
        .strip_prefix("os.environb")
        .or_else(|| path.strip_prefix("os.environ"))?;
    let rest = rest.strip_prefix(".copy()").unwrap_or(rest);
    (rest.is_empty() || rest.starts_with('.')).then_some(rest)
}

/// The position of the parenthesis before the parameters of a function.
fn parameters(tokens: &[Token<'_>]) -> Option<usize> {
    let start = match tokens {
        [Token::Name("def"), ..] => 2,
        [Token::Name("async"), Token::Name("def"), ..] => 3,
        _ => return None,
    };
    let is_open = |token: &Token<'_>| is_operator(token, "(");
    Some(start + tokens.get(start..)?.iter().position(is_open)?)
}
