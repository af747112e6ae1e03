//! Finds the reads by subscripts of `os.environ` and by calls: of the standard library, starlette, environs,
//! django-environ, python-decouple and dj-database-url.

use std::collections::HashMap;

use super::module::{Module, Statement, argument, arguments, closing, dotted, is_operator, parts};
use super::project::Project;
use super::values::{Form, apply, cast, convert, default, form};
use super::{Note, Read, Scan};
use crate::python::Token;
use crate::rule::Type;

/// How a function takes its arguments: the positions of the default and the cast.
#[derive(Clone, Copy)]
struct Signature {
    default: usize,
    cast: usize,
}

/// The position of an argument that can only be given by its name.
const NEVER: usize = usize::MAX;

/// The default of a variable in the `Env(…)` of django-environ, and its type.
type Scheme = HashMap<String, (Form, Option<Option<String>>)>;

/// Finds the reads of all modules.
pub fn find(project: &Project<'_>, scan: &mut Scan) {
    let scheme = scheme(project);
    for module in &project.modules {
        let mut reader = Reader {
            project,
            module,
            scheme: &scheme,
            prefixes: Vec::new(),
            hidden: Vec::new(),
            tested: Vec::new(),
            reads: Vec::new(),
            notes: &mut scan.notes,
        };
        for statement in &module.statements {
            reader.statement(statement);
        }
        let Reader { tested, reads, .. } = reader;
        scan.reads.extend(reads.into_iter().map(|read| Read {
            is_required: read.is_required && !tested.contains(&read.name),
            ..read
        }));
    }
}

/// The variables that the calls of django-environ's `Env` declare.
fn scheme(project: &Project<'_>) -> Scheme {
    let mut scheme = Scheme::new();
    for module in &project.modules {
        for statement in &module.statements {
            let tokens = &statement.tokens;
            for at in 0..tokens.len() {
                let Some((path, end)) = dotted(tokens, at) else {
                    continue;
                };
                let is_call = tokens.get(end).is_some_and(|token| is_operator(token, "("));
                if !is_call || !path.ends_with("Env") {
                    continue;
                }
                let path = project.resolve(module, &path);
                if path != "environ.Env" && path != "environ.FileAwareEnv" {
                    continue;
                }
                for (name, value) in arguments(tokens, end) {
                    let Some(name) = name else { continue };
                    let items = arguments(value, 0);
                    let declared = match items.as_slice() {
                        [(None, kind), (None, value)] => (cast(kind), Some(default(value))),
                        _ => (cast(value), None),
                    };
                    scheme.insert(name.to_owned(), declared);
                }
            }
        }
    }
    scheme
}

struct Reader<'p, 'a> {
    project: &'p Project<'a>,
    module: &'p Module<'a>,
    scheme: &'p Scheme,
    /// The open `with env.prefixed(…)`: the indentation, and the prefix.
    prefixes: Vec<(usize, String)>,
    /// The parameters of the open functions, which hide names of the module: the indentation, and the name.
    hidden: Vec<(usize, &'a str)>,
    /// The names that the module tests with `in`.
    tested: Vec<String>,
    reads: Vec<Read>,
    notes: &'p mut Vec<Note>,
}

impl<'a> Reader<'_, 'a> {
    fn statement(&mut self, statement: &Statement<'a>) {
        let tokens = &statement.tokens;
        self.prefixes
            .retain(|(indent, _)| statement.indent > *indent);
        self.hidden.retain(|(indent, _)| statement.indent > *indent);
        if let [Token::Name("import" | "from"), ..] = tokens.as_slice() {
            return;
        }
        if let Some(open) = parameters(tokens) {
            for part in parts(&tokens[open + 1..closing(tokens, open)], ",") {
                if let Some(Token::Name(name)) = part.first() {
                    self.hidden.push((statement.indent, name));
                }
            }
        }
        for at in 0..tokens.len() {
            let Token::Name(first) = tokens[at] else {
                continue;
            };
            let is_attribute = at > 0 && is_operator(&tokens[at - 1], ".");
            if is_attribute || self.hidden.iter().any(|(_, name)| *name == first) {
                continue;
            }
            if !self.module.names.contains_key(first) && self.module.wildcards.is_empty() {
                continue;
            }
            if let Some((path, end)) = dotted(tokens, at) {
                let path = self.project.resolve(self.module, &path);
                self.expression(statement, at, end, &path);
            }
        }
    }

    /// Reads the expression that begins with a path: `tokens[at..end]`.
    fn expression(&mut self, statement: &Statement<'a>, at: usize, end: usize, path: &str) {
        let tokens = &statement.tokens;
        let next = match tokens.get(end) {
            Some(Token::Operator(operator)) => *operator,
            _ => "",
        };
        if let Some(rest) = environment(path) {
            match (rest, next) {
                ("", "[") => self.subscript(statement, at, end),
                ("" | ".keys", _) if at > 0 && tokens[at - 1] == Token::Name("in") => {
                    self.membership(statement, at);
                }
                (".get" | ".setdefault", "(") => {
                    let signature = Signature {
                        default: 1,
                        cast: NEVER,
                    };
                    self.call(statement, at, end, &signature, |read, _| {
                        read.is_required = false
                    });
                }
                (".pop", "(") => {
                    let signature = Signature {
                        default: 1,
                        cast: NEVER,
                    };
                    self.call(statement, at, end, &signature, |_, _| ());
                }
                _ => {}
            }
        } else if next == "(" {
            self.library(statement, at, end, path);
        }
    }

    fn library(&mut self, statement: &Statement<'a>, at: usize, end: usize, path: &str) {
        let standard = Signature {
            default: 1,
            cast: NEVER,
        };
        if path == "os.getenv" || path == "os.getenvb" {
            self.call(statement, at, end, &standard, |read, _| {
                read.is_required = false
            });
        } else if let Some(rest) = path.strip_prefix("starlette.config.Config(") {
            if let Some((prefix, "" | ".get")) = rest.split_once(')') {
                let signature = Signature {
                    default: 2,
                    cast: 1,
                };
                self.call(statement, at, end, &signature, |read, _| {
                    read.name.insert_str(0, prefix);
                });
            }
        } else if let "decouple.config"
        | "decouple.config.get"
        | "decouple.Config()"
        | "decouple.Config().get"
        | "decouple.AutoConfig()"
        | "decouple.AutoConfig().get" = path
        {
            let signature = Signature {
                default: 1,
                cast: 2,
            };
            self.call(statement, at, end, &signature, |_, _| ());
        } else if path == "dj_database_url.config" {
            self.standard_url(statement, at, end, "DATABASE_URL", &["env"], &standard);
        } else if let Some(method) = method(path, &["environs.Env()", "environs.env"]) {
            self.environs(statement, at, end, method);
        } else if let Some(method) = method(path, &["environ.Env()", "environ.FileAwareEnv()"]) {
            self.django(statement, at, end, method);
        }
    }

    /// A call of environs' `Env`, or of its method.
    fn environs(&mut self, statement: &Statement<'a>, at: usize, end: usize, method: &str) {
        let tokens = &statement.tokens;
        match method {
            "read_env" | "seal" | "dump" | "add_parser" | "parser_for" | "add_validator" => {}
            "prefixed" => {
                let arguments = arguments(tokens, end);
                let prefix = argument(&arguments, 0, &["prefix"]);
                match prefix.and_then(|prefix| self.project.text(self.module, prefix)) {
                    Some(prefix) => self.prefixes.push((statement.indent, prefix)),
                    None => self.computed(statement, at),
                }
            }
            _ => {
                let prefix: String = self.prefixes.iter().map(|(_, prefix)| &**prefix).collect();
                let form = form(method);
                let signature = Signature {
                    default: 1,
                    cast: NEVER,
                };
                self.call(statement, at, end, &signature, |read, inner| {
                    read.name.insert_str(0, &prefix);
                    apply(read, &form);
                    if read.list.is_some() {
                        read.value_type = inner.value_type;
                    }
                });
            }
        }
    }

    /// A call of django-environ's `Env`, or of its method.
    fn django(&mut self, statement: &Statement<'a>, at: usize, end: usize, method: &str) {
        let standard = match method {
            "read_env"
            | "parse_value"
            | "db_url_config"
            | "cache_url_config"
            | "email_url_config"
            | "search_url_config"
            | "channels_url_config" => return,
            "db" | "db_url" => "DATABASE_URL",
            "cache" | "cache_url" => "CACHE_URL",
            "email" | "email_url" => "EMAIL_URL",
            "search" | "search_url" => "SEARCH_URL",
            "channels" | "channels_url" => "CHANNELS_URL",
            _ => "",
        };
        let signature = match method {
            "" | "get_value" | "list" | "tuple" | "dict" => Signature {
                default: 2,
                cast: 1,
            },
            _ => Signature {
                default: 1,
                cast: NEVER,
            },
        };
        if !standard.is_empty() {
            self.standard_url(statement, at, end, standard, &["var"], &signature);
            return;
        }
        let (form, scheme) = (form(method), self.scheme);
        self.call(statement, at, end, &signature, |read, _| {
            apply(read, &form);
            if let Some((form, default)) = scheme.get(&read.name) {
                apply(read, form);
                if let Some(default) = default {
                    read.is_required = false;
                    read.default = read.default.take().or_else(|| default.clone());
                }
            }
        });
    }

    /// A call that reads a URL, from a variable with this name if it names no other one.
    fn standard_url(
        &mut self,
        statement: &Statement<'a>,
        at: usize,
        end: usize,
        standard: &str,
        keys: &[&str],
        signature: &Signature,
    ) {
        let is_url = |read: &mut Read, _: &Form| {
            read.value_type = Some(Type::Url);
            // dj-database-url returns an empty configuration.
            read.is_required &= keys != ["env"];
        };
        let arguments = arguments(&statement.tokens, end);
        if argument(&arguments, 0, keys).is_some() {
            self.call(statement, at, end, signature, is_url);
        } else {
            let mut read =
                self.read_with(statement, at, standard.to_owned(), &arguments, signature);
            is_url(&mut read, &Form::default());
            self.reads.push(read);
        }
    }

    /// A call whose first argument is the name. `adapt` changes the read for the library.
    fn call(
        &mut self,
        statement: &Statement<'a>,
        at: usize,
        end: usize,
        signature: &Signature,
        adapt: impl FnOnce(&mut Read, &Form),
    ) {
        let tokens = &statement.tokens;
        let arguments = arguments(tokens, end);
        let Some(name) = argument(&arguments, 0, &["key", "name", "var", "option", "env"]) else {
            return;
        };
        let Some(name) = self.name(name) else {
            self.computed(statement, at);
            return;
        };
        let mut read = self.read_with(statement, at, name, &arguments, signature);
        let subcast = argument(&arguments, NEVER, &["subcast"]);
        let inner = subcast.map(cast).unwrap_or_default();
        adapt(&mut read, &inner);
        let after = closing(tokens, end) + 1;
        self.converted(&mut read, tokens, at, after);
        self.reads.push(read);
    }

    fn read_with(
        &self,
        statement: &Statement<'a>,
        at: usize,
        name: String,
        arguments: &[super::module::Argument<'_, 'a>],
        signature: &Signature,
    ) -> Read {
        let given = argument(
            arguments,
            signature.default,
            &["default", "load_default", "missing"],
        );
        let cast = argument(arguments, signature.cast, &["cast"]).map(cast);
        let mut read = self.read(statement, at, name);
        read.is_required = given.is_none();
        read.default = given
            .and_then(|given| default(given).or_else(|| self.project.text(self.module, given)));
        apply(&mut read, &cast.unwrap_or_default());
        read
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
        let is_written = tokens
            .get(close + 1)
            .is_some_and(|token| is_operator(token, "="))
            || tokens[0] == Token::Name("del");
        if is_written {
            return;
        }
        match self.name(tokens.get(end + 1..close).unwrap_or_default()) {
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
                self.tested.push(name.clone());
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
        let is_outside = |other: char| other == '=' || other.is_whitespace() || other.is_control();
        let name = self.project.text(self.module, tokens)?;
        (!name.is_empty() && !name.contains(is_outside)).then_some(name)
    }

    /// Applies what the code does with the text that it has read.
    fn converted(&self, read: &mut Read, tokens: &[Token<'a>], at: usize, after: usize) {
        let rest = tokens.get(after..).unwrap_or_default();
        convert(read, &tokens[..at], rest);
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

/// The method of one of these objects that a path stands for; empty for the object itself.
fn method<'p>(path: &'p str, objects: &[&str]) -> Option<&'p str> {
    let rest = objects
        .iter()
        .find_map(|object| path.strip_prefix(object))?;
    let method = rest.strip_prefix('.').unwrap_or(rest);
    (!method.contains(['.', '('])).then_some(method)
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
