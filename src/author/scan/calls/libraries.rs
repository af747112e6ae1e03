//! The calls of starlette, environs, django-environ, python-decouple and dj-database-url, and of the code's own functions
//! that read the variable that an argument names.

use super::{Idiom, NEVER, Reader};
use crate::author::scan::module::{Statement, argument, arguments, dotted, is_operator};
use crate::author::scan::project::Project;
use crate::author::scan::values::{self, Form, cast, form};

/// The most variables that calls of `Env(…)` declare.
const MAX_SCHEME: usize = 1000;

/// The variables in the `Env(…)` of django-environ: the name, what the type tells, and the default.
pub type Scheme = Vec<(String, Form, Option<Option<String>>)>;

/// The variables that the calls of django-environ's `Env` declare.
pub fn scheme(project: &Project<'_>) -> Scheme {
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
                    let (form, default) = match items.as_slice() {
                        [(None, kind), (None, value)] => (cast(kind), Some(values::default(value))),
                        _ => (cast(value), None),
                    };
                    if scheme.len() < MAX_SCHEME {
                        scheme.push((name.to_owned(), form, default));
                    }
                }
            }
        }
    }
    scheme
}

impl<'a> Reader<'_, 'a> {
    /// How a function reads that is no method of `os.environ`; `None` if it reads no variable.
    pub fn library(
        &mut self,
        statement: &Statement<'a>,
        at: usize,
        end: usize,
        path: &str,
    ) -> Option<Idiom> {
        if let Some((prefix, position, template)) = self.helpers.get(path) {
            return Some(Idiom {
                name: *position,
                prefix: prefix.clone(),
                form: Form {
                    value_type: template.value_type,
                    list: template.list,
                    ..Form::default()
                },
                is_required: template.is_required,
                ..Idiom::new(position + 1, NEVER)
            });
        }
        if let Some(rest) = path.strip_prefix("starlette.config.Config(")
            && let Some((prefix, "" | ".get")) = rest.split_once(')')
        {
            return Some(Idiom {
                prefix: prefix.to_owned(),
                ..Idiom::new(2, 1)
            });
        }
        match path.strip_suffix(".get").unwrap_or(path) {
            "os.getenv" | "os.getenvb" => return Some(Idiom::tolerant()),
            "decouple.config" | "decouple.Config()" | "decouple.AutoConfig()" => {
                return Some(Idiom::new(1, 2));
            }
            // Without the variable, it returns an empty configuration.
            "dj_database_url.config" => {
                return Some(Idiom {
                    standard: "DATABASE_URL",
                    form: form("url"),
                    ..Idiom::tolerant()
                });
            }
            _ => {}
        }
        if let Some(method) = method(path, &["environs.Env()", "environs.env"]) {
            self.environs(statement, at, end, method)
        } else {
            django(method(path, &["environ.Env()", "environ.FileAwareEnv()"])?)
        }
    }

    /// A call of environs' `Env`, or of its method.
    fn environs(
        &mut self,
        statement: &Statement<'a>,
        at: usize,
        end: usize,
        method: &str,
    ) -> Option<Idiom> {
        match method {
            "read_env" | "seal" | "dump" | "add_parser" | "parser_for" | "add_validator" => None,
            "prefixed" => {
                let arguments = arguments(&statement.tokens, end);
                let prefix = argument(&arguments, 0, &["prefix"]);
                match prefix.and_then(|prefix| self.project.text(self.module, prefix)) {
                    Some(prefix) => self.prefixes.push((statement.indent, prefix)),
                    None => self.computed(statement, at),
                }
                None
            }
            _ => Some(Idiom {
                prefix: self.prefixes.iter().map(|(_, prefix)| &**prefix).collect(),
                form: form(method),
                ..Idiom::new(1, NEVER)
            }),
        }
    }
}

/// A call of django-environ's `Env`, or of its method.
fn django(method: &str) -> Option<Idiom> {
    let (standard, default, cast) = match method {
        "read_env" | "parse_value" => return None,
        _ if method.ends_with("_config") => return None,
        "db" | "db_url" => ("DATABASE_URL", 1, NEVER),
        "cache" | "cache_url" => ("CACHE_URL", 1, NEVER),
        "email" | "email_url" => ("EMAIL_URL", 1, NEVER),
        "search" | "search_url" => ("SEARCH_URL", 1, NEVER),
        "channels" | "channels_url" => ("CHANNELS_URL", 1, NEVER),
        "" | "get_value" | "list" | "tuple" | "dict" => ("", 2, 1),
        _ => ("", 1, NEVER),
    };
    let form = match standard {
        "" => form(method),
        _ => form("url"),
    };
    Some(Idiom {
        standard,
        form,
        has_scheme: true,
        ..Idiom::new(default, cast)
    })
}

/// The method of one of these objects that a path stands for; empty for the object itself.
fn method<'p>(path: &'p str, objects: &[&str]) -> Option<&'p str> {
    let rest = objects
        .iter()
        .find_map(|object| path.strip_prefix(object))?;
    let method = rest.strip_prefix('.').unwrap_or(rest);
    (!method.contains(['.', '('])).then_some(method)
}
