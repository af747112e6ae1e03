//! Parses the classes of a file: their bases, fields and configuration.

use crate::author::scan::Note;
use crate::author::scan::module::{
    Argument, Module, Statement, argument, arguments, closing, dotted, find, is_operator, parts,
};
use crate::author::scan::project::Project;
use crate::author::scan::values::{Form, annotation, default};
use crate::python::Token;

/// A class, without what it inherits.
pub struct Class {
    pub path: String,
    pub file: String,
    pub line: usize,
    /// The paths of its bases.
    pub bases: Vec<String>,
    pub fields: Vec<Field>,
    pub config: Config,
}

/// What can be a field of a model.
#[derive(Clone, Debug, Default)]
pub struct Field {
    pub name: String,
    pub file: String,
    pub line: usize,
    /// Version 2 has no fields without an annotation.
    pub is_annotated: bool,
    pub has_default: bool,
    pub default: Option<String>,
    pub form: Form,
    /// The names in `validation_alias` or `alias`.
    pub aliases: Vec<String>,
    /// The names in version 1's `env`.
    pub env: Option<Vec<String>>,
}

/// The configuration of a model, as far as it changes names.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub prefix: Option<String>,
    pub prefix_target: Option<String>,
    pub delimiter: Option<String>,
    pub case_sensitive: Option<bool>,
    pub by_name: Option<bool>,
    pub by_alias: Option<bool>,
    /// Whether the code computes the names.
    pub is_computed: bool,
    /// Version 1's `fields`: the names of a field's variables.
    pub names: Vec<(String, Vec<String>)>,
}

impl Config {
    pub fn is_case_sensitive(&self) -> bool {
        self.case_sensitive == Some(true)
    }

    /// Replaces what the other configuration has, too.
    pub fn update(&mut self, other: Self) {
        self.prefix = other.prefix.or(self.prefix.take());
        self.prefix_target = other.prefix_target.or(self.prefix_target.take());
        self.delimiter = other.delimiter.or(self.delimiter.take());
        self.case_sensitive = other.case_sensitive.or(self.case_sensitive);
        self.by_name = other.by_name.or(self.by_name);
        self.by_alias = other.by_alias.or(self.by_alias);
        self.is_computed |= other.is_computed;
        self.names.splice(..0, other.names);
    }
}

/// The classes of a module.
pub fn parse(project: &Project<'_>, module: &Module<'_>, notes: &mut Vec<Note>) -> Vec<Class> {
    let mut parser = Parser {
        project,
        module,
        notes,
    };
    let statements = &module.statements;
    let headers = statements.iter().enumerate();
    let headers = headers.filter_map(|(index, statement)| match statement.tokens.as_slice() {
        [Token::Name("class"), Token::Name(name), ..] => Some((index, *name)),
        _ => None,
    });
    let mut classes = Vec::new();
    for (index, name) in headers {
        let header = &statements[index];
        let body = &statements[index + 1..];
        let end = body.iter().position(|each| each.indent <= header.indent);
        let body = &body[..end.unwrap_or(body.len())];
        classes.push(parser.class(name, header, body));
    }
    classes
}

struct Parser<'p, 'a> {
    project: &'p Project<'a>,
    module: &'p Module<'a>,
    notes: &'p mut Vec<Note>,
}

impl<'a> Parser<'_, 'a> {
    fn class(&mut self, name: &str, header: &Statement<'a>, body: &[Statement<'a>]) -> Class {
        let mut class = Class {
            path: self.module.own(name),
            file: self.module.source.file.clone(),
            line: header.lines[0],
            bases: Vec::new(),
            fields: Vec::new(),
            config: Config::default(),
        };
        let is_derived = header
            .tokens
            .get(2)
            .is_some_and(|token| is_operator(token, "("));
        let given = if is_derived {
            arguments(&header.tokens, 2)
        } else {
            Vec::new()
        };
        for (key, value) in given {
            if let Some(key) = key {
                self.configure(&mut class.config, key, value);
            } else if let Some((path, _)) = dotted(value, 0) {
                class.bases.push(self.project.resolve(self.module, &path));
            }
        }
        let margin = body.first().map_or(0, |first| first.indent);
        let mut is_config = false;
        for statement in body {
            let tokens = statement.tokens.as_slice();
            if statement.indent > margin {
                if let [Token::Name(key), Token::Operator("="), value @ ..] = tokens
                    && is_config
                {
                    self.configure(&mut class.config, key, value);
                }
                continue;
            }
            is_config = matches!(tokens, [Token::Name("class"), Token::Name("Config"), ..]);
            match tokens {
                [Token::Name("model_config"), ..] => {
                    if let Some(at) = find(tokens, "=") {
                        self.configure_all(&mut class.config, &tokens[at + 1..]);
                    }
                }
                [Token::Name(name), Token::Operator(":" | "="), ..] if !name.starts_with('_') => {
                    class.fields.extend(self.field(name, statement));
                }
                _ => {}
            }
        }
        class
    }

    /// `SettingsConfigDict(key=value)` or `{"key": value}`. Every other expression may have any names.
    fn configure_all(&mut self, config: &mut Config, value: &[Token<'a>]) {
        if value.first().is_some_and(|token| is_operator(token, "{")) {
            for (key, value) in entries(value) {
                if let Some(key) = self.project.text(self.module, key) {
                    self.configure(config, &key, value);
                }
            }
        } else if let Some((path, end)) = dotted(value, 0) {
            let is_known = path.ends_with("ConfigDict") || path == "dict";
            let is_call = value.get(end).is_some_and(|token| is_operator(token, "("));
            if !is_known || !is_call || closing(value, end) + 1 != value.len() {
                config.is_computed = true;
                return;
            }
            for (key, value) in arguments(value, end) {
                if let Some(key) = key {
                    self.configure(config, key, value);
                }
            }
        }
    }

    fn configure(&mut self, config: &mut Config, key: &str, value: &[Token<'a>]) {
        let flag = Some(value == [Token::Name("True")]);
        let text = self.project.text(self.module, value);
        let is_none = value == [Token::Name("None")];
        match key {
            "env_prefix" | "env_prefix_target" | "env_nested_delimiter" => {
                config.is_computed |= text.is_none() && !is_none;
                match key {
                    "env_prefix" => config.prefix = text,
                    "env_prefix_target" => config.prefix_target = text,
                    _ => config.delimiter = text,
                }
            }
            "case_sensitive" => config.case_sensitive = flag,
            "populate_by_name" | "validate_by_name" | "allow_population_by_field_name" => {
                config.by_name = flag;
            }
            "validate_by_alias" => config.by_alias = flag,
            "alias_generator" => config.is_computed |= !is_none,
            "fields" => {
                for (field, settings) in entries(value) {
                    let field = self.project.text(self.module, field);
                    let env = entries(settings).into_iter().find(|(key, _)| {
                        self.project.text(self.module, key).as_deref() == Some("env")
                    });
                    if let (Some(field), Some((_, names))) = (field, env) {
                        let names = self.names(names);
                        config.names.push((field, names));
                    }
                }
            }
            _ => {}
        }
    }

    /// A field with this name; `None` for a class variable.
    fn field(&mut self, name: &str, statement: &Statement<'a>) -> Option<Field> {
        let tokens = statement.tokens.as_slice();
        let equals = find(tokens, "=").unwrap_or(tokens.len());
        let is_annotated = is_operator(&tokens[1], ":");
        let annotated = if is_annotated {
            &tokens[2..equals]
        } else {
            &[]
        };
        let value = tokens.get(equals + 1..).unwrap_or_default();
        if let Some((path, _)) = dotted(annotated, 0)
            && path.ends_with("ClassVar")
        {
            return None;
        }
        let mut form = annotation(annotated);
        for path in &mut form.names {
            *path = self.project.resolve(self.module, path);
        }
        let mut field = Field {
            name: name.to_owned(),
            file: self.module.source.file.clone(),
            line: statement.lines[0],
            is_annotated,
            form,
            ..Field::default()
        };
        let metadata = match dotted(annotated, 0) {
            Some((path, end)) if path.ends_with("Annotated") => arguments(annotated, end),
            _ => Vec::new(),
        };
        for (_, item) in metadata {
            if let Some(given) = self.field_call(item) {
                self.describe(&mut field, &given, usize::MAX, statement);
            }
        }
        match self.field_call(value) {
            Some(given) => self.describe(&mut field, &given, 0, statement),
            None if !value.is_empty() => self.default(&mut field, value),
            None => {}
        }
        Some(field)
    }

    /// The arguments of a call of `Field`.
    fn field_call<'t>(&self, tokens: &'t [Token<'a>]) -> Option<Vec<Argument<'t, 'a>>> {
        let (path, end) = dotted(tokens, 0)?;
        let path = self.project.resolve(self.module, &path);
        let is_field = path == "Field" || path.starts_with("pydantic") && path.ends_with(".Field");
        let is_call = is_field && tokens.get(end).is_some_and(|token| is_operator(token, "("));
        is_call.then(|| arguments(tokens, end))
    }

    fn default(&self, field: &mut Field, value: &[Token<'a>]) {
        field.has_default = value != [Token::Operator("."); 3];
        field.default = default(value).or_else(|| self.project.text(self.module, value));
    }

    /// Applies the arguments of `Field`. The first argument is the default if it is at `position`.
    fn describe(
        &mut self,
        field: &mut Field,
        given: &[Argument<'_, 'a>],
        position: usize,
        statement: &Statement<'a>,
    ) {
        if let Some(value) = argument(given, position, &["default"]) {
            self.default(field, value);
        }
        field.has_default |= argument(given, usize::MAX, &["default_factory"]).is_some();
        for key in ["alias", "validation_alias"] {
            if let Some(value) = argument(given, usize::MAX, &[key])
                && value != [Token::Name("None")]
            {
                field.aliases = self.names(value);
                if field.aliases.is_empty() {
                    self.notes.push(Note {
                        file: field.file.clone(),
                        line: Some(statement.lines[0]),
                        text: format!("the alias of the field {} is computed", field.name),
                    });
                }
            }
        }
        if let Some(value) = argument(given, usize::MAX, &["env"]) {
            field.env = Some(self.names(value));
        }
    }

    /// The names in a text, a list of texts, `AliasChoices(…)` or `AliasPath(…)`.
    fn names(&self, value: &[Token<'a>]) -> Vec<String> {
        if let Some(text) = self.project.text(self.module, value) {
            return vec![text];
        }
        let open = dotted(value, 0).map_or(0, |(_, end)| end);
        let is_path = matches!(dotted(value, 0), Some((path, _)) if path.ends_with("AliasPath"));
        let items = arguments(value, open).into_iter();
        let items = items.take(if is_path { 1 } else { usize::MAX });
        items.flat_map(|(_, item)| self.names(item)).collect()
    }
}

/// The entries of a dictionary.
fn entries<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<(&'t [Token<'a>], &'t [Token<'a>])> {
    if !tokens.first().is_some_and(|token| is_operator(token, "{")) {
        return Vec::new();
    }
    let items = parts(&tokens[1..closing(tokens, 0)], ",").into_iter();
    let entry = items.filter_map(|item| {
        let at = find(item, ":")?;
        Some((&item[..at], &item[at + 1..]))
    });
    entry.collect()
}
