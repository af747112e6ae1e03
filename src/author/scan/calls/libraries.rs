//! The calls of starlette, environs, django-environ, python-decouple and dj-database-url, and of the code's own functions
//! that read the variable that an argument names.

use std::collections::HashMap;

use super::{NEVER, Reader, Signature};
use crate::author::scan::Read;
use crate::author::scan::module::{Statement, argument, arguments, dotted, is_operator};
use crate::author::scan::project::Project;
use crate::author::scan::values::{Form, apply, cast, default, form};
use crate::rule::Type;

/// The default of a variable in the `Env(…)` of django-environ, and its type.
pub type Scheme = HashMap<String, (Form, Option<Option<String>>)>;

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

impl<'a> Reader<'_, 'a> {
    /// A call of something that is neither `os.environ` nor a method of it.
    pub fn library(&mut self, statement: &Statement<'a>, at: usize, end: usize, path: &str) {
        let standard = Signature {
            default: 1,
            cast: NEVER,
        };
        if let Some((prefix, position, template)) = self.helpers.get(path) {
            self.helper(statement, at, end, prefix, *position, template);
        } else if path == "os.getenv" || path == "os.getenvb" {
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

    /// A call of a function that reads the variable that its argument names.
    fn helper(
        &mut self,
        statement: &Statement<'a>,
        at: usize,
        end: usize,
        prefix: &str,
        position: usize,
        template: &Read,
    ) {
        let arguments = arguments(&statement.tokens, end);
        let Some((_, name)) = arguments.get(position) else {
            return;
        };
        let Some(name) = self.name(name) else {
            self.computed(statement, at);
            return;
        };
        let signature = Signature {
            default: position + 1,
            cast: NEVER,
        };
        let name = [prefix, &name].concat();
        let mut read = self.read_with(statement, at, name, &arguments, &signature);
        read.is_required &= template.is_required;
        read.value_type = template.value_type;
        read.list = template.list;
        self.reads.push(read);
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
}

/// The method of one of these objects that a path stands for; empty for the object itself.
fn method<'p>(path: &'p str, objects: &[&str]) -> Option<&'p str> {
    let rest = objects
        .iter()
        .find_map(|object| path.strip_prefix(object))?;
    let method = rest.strip_prefix('.').unwrap_or(rest);
    (!method.contains(['.', '('])).then_some(method)
}
