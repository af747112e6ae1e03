//! Finds the fields of pydantic's settings classes.

mod class;

use std::collections::HashMap;

use super::module::dotted;
use super::project::Project;
use super::{Note, Read, Scan};
use crate::python::Token;
use crate::rule::Type;
use class::{Class, Config, Field};

/// How deep models may be inside each other.
const MAX_NESTED: usize = 8;

/// How many classes may inherit from each other.
const MAX_BASES: usize = 64;

/// The most reads that one class can have, so that models inside each other cannot fill the memory.
const MAX_READS: usize = 10_000;

/// What a class is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Other,
    Model,
    /// `BaseSettings` of pydantic's version 1.
    Settings1,
    /// `BaseSettings` of the package `pydantic_settings`.
    Settings2,
}

impl Kind {
    /// The kind of a class of pydantic itself.
    fn of(path: &str) -> Self {
        match path {
            "pydantic_settings.BaseSettings" | "pydantic_settings.main.BaseSettings" => {
                Self::Settings2
            }
            "pydantic.BaseSettings"
            | "pydantic.env_settings.BaseSettings"
            | "pydantic.v1.BaseSettings" => Self::Settings1,
            "pydantic.BaseModel" | "pydantic.main.BaseModel" | "pydantic.v1.BaseModel" => {
                Self::Model
            }
            _ => Self::Other,
        }
    }

    fn is_settings(self) -> bool {
        matches!(self, Self::Settings1 | Self::Settings2)
    }
}

/// A class with what it inherits.
#[derive(Clone, Default)]
struct Whole {
    kind: Kind,
    fields: Vec<Field>,
    config: Config,
}

/// The positions of things by their dotted paths.
type Index = HashMap<String, usize>;

/// All classes of the scanned code.
struct Classes {
    /// Each class without what it inherits.
    own: Vec<Class>,
    index: Index,
    /// Each class with what it inherits; `None` until it is known.
    whole: Vec<Option<Whole>>,
}

/// Finds the reads of all settings classes. A class that only other classes are derived from is read as a part of those.
pub fn find(project: &Project<'_>, scan: &mut Scan) {
    let mut classes = Vec::new();
    for module in &project.modules {
        classes.extend(class::parse(project, module, &mut scan.notes));
    }
    let mut index = Index::new();
    for (position, class) in classes.iter().enumerate() {
        index.insert(class.path.clone(), position);
    }
    let whole = classes.iter().map(|_| None).collect();
    let mut classes = Classes {
        own: classes,
        index,
        whole,
    };
    for position in 0..classes.own.len() {
        classes.inherit(position, 0);
    }
    let is_alone = classes.alone(project);
    for (position, class) in classes.own.iter().enumerate() {
        let Some(own) = &classes.whole[position] else {
            continue;
        };
        let mut note = |text: String| {
            scan.notes.push(Note {
                file: class.file.clone(),
                line: Some(class.line),
                text,
            });
        };
        if own.kind == Kind::Other {
            if let Some(base) = classes.foreign_base(class) {
                note(format!(
                    "the class inherits from {base}, which is not in the scanned code, so its fields are not read"
                ));
            }
        } else if own.kind.is_settings() && is_alone[position] {
            if own.config.is_computed {
                note("the names of this class's variables are computed".to_owned());
            } else {
                let names = Names {
                    own,
                    classes: &classes,
                };
                let mut reads = Vec::new();
                names.reads(own, None, true, &mut reads);
                scan.reads.append(&mut reads);
            }
        }
    }
}

impl Classes {
    /// The class with this path, with what it inherits.
    fn get(&self, path: &str) -> Option<&Whole> {
        self.whole[*self.index.get(path)?].as_ref()
    }

    /// The base of a class that has the name of a settings class, but is not scanned.
    fn foreign_base<'c>(&self, class: &'c Class) -> Option<&'c String> {
        let is_foreign =
            |base: &&String| base.ends_with("Settings") && !self.index.contains_key(*base);
        class.bases.iter().find(is_foreign)
    }

    /// Which classes are read on their own: those that no other class is derived from, and those that the code calls.
    fn alone(&self, project: &Project<'_>) -> Vec<bool> {
        let mut is_alone = vec![true; self.own.len()];
        for base in self.own.iter().flat_map(|class| &class.bases) {
            if let Some(position) = self.index.get(base) {
                is_alone[*position] = false;
            }
        }
        for module in &project.modules {
            for statement in &module.statements {
                let tokens = &statement.tokens;
                let is_header = tokens.first() == Some(&Token::Name("class"));
                for at in 0..tokens.len() {
                    if let Some((path, end)) = dotted(tokens, at)
                        && tokens.get(end) == Some(&Token::Operator("("))
                        && !is_header
                        && let path = project.resolve(module, &path)
                        && let Some(position) = self.index.get(&path)
                    {
                        is_alone[*position] = true;
                    }
                }
            }
        }
        is_alone
    }

    /// Adds to a class what it inherits. A class that inherits from itself inherits nothing.
    fn inherit(&mut self, position: usize, depth: usize) {
        if self.whole[position].is_some() || depth > MAX_BASES {
            return;
        }
        self.whole[position] = Some(Whole::default());
        let mut result = Whole::default();
        let mut configs = Vec::new();
        let bases = self.own[position].bases.clone();
        // The fields of the first base replace those of the others.
        for base in bases.iter().rev() {
            let mut inherited = Whole::default();
            if let Some(&base) = self.index.get(base) {
                self.inherit(base, depth + 1);
                inherited = self.whole[base].clone().unwrap_or_default();
            } else {
                inherited.kind = Kind::of(base);
            }
            if result.kind == Kind::Other || inherited.kind.is_settings() {
                result.kind = inherited.kind;
            }
            for field in inherited.fields {
                replace(&mut result.fields, field);
            }
            configs.push(inherited.config);
        }
        // In version 2, the configuration of the last base replaces those of the others.
        if result.kind != Kind::Settings1 {
            configs.reverse();
        }
        let class = &self.own[position];
        configs.push(class.config.clone());
        for config in configs {
            result.config.update(config);
        }
        for field in &class.fields {
            replace(&mut result.fields, field.clone());
        }
        self.whole[position] = Some(result);
    }
}

fn replace(fields: &mut Vec<Field>, field: Field) {
    match fields.iter_mut().find(|other| other.name == field.name) {
        Some(other) => *other = field,
        None => fields.push(field),
    }
}

/// The names of the variables of a settings class.
struct Names<'w> {
    own: &'w Whole,
    classes: &'w Classes,
}

impl Names<'_> {
    /// Adds the reads of a class, which is the settings class itself, or a model in it whose variables begin with
    /// `prefix`.
    fn reads(
        &self,
        class: &Whole,
        nested: Option<(&str, usize)>,
        is_required: bool,
        reads: &mut Vec<Read>,
    ) {
        let config = &self.own.config;
        let is_first_version = self.own.kind == Kind::Settings1;
        for field in &class.fields {
            if reads.len() >= MAX_READS {
                return;
            }
            if !field.is_annotated && !is_first_version {
                continue;
            }
            let mut names = self.names(field, nested.is_some());
            if let Some((prefix, _)) = nested {
                for name in &mut names {
                    name.insert_str(0, prefix);
                }
            }
            let is_implicit = is_first_version && field.form.is_optional;
            let is_required = is_required && !field.has_default && !is_implicit;
            let model = field.form.names.iter();
            let model = model.filter_map(|name| self.classes.get(name));
            let model = model.clone().find(|model| model.kind != Kind::Other);
            let depth = nested.map_or(0, |(_, depth)| depth);
            match (model, &config.delimiter) {
                // The model reads its own variables.
                (Some(model), _) if model.kind.is_settings() && field.has_default => {}
                (Some(model), Some(delimiter)) if depth < MAX_NESTED && !delimiter.is_empty() => {
                    for name in names {
                        let prefix = format!("{name}{delimiter}");
                        self.reads(model, Some((&prefix, depth + 1)), is_required, reads);
                    }
                }
                _ => {
                    let value_type = model.map_or(field.form.value_type, |_| Some(Type::Json));
                    let first = names.first().map(|name| self.cased(name));
                    for (index, name) in names.iter().enumerate() {
                        reads.push(Read {
                            name: self.cased(name),
                            file: field.file.clone(),
                            line: field.line,
                            is_required: is_required && index == 0,
                            default: field.default.clone(),
                            value_type,
                            list: field.form.list,
                            is_secret: field.form.is_secret,
                            ignores_case: !config.is_case_sensitive(),
                            instead_of: first.clone().filter(|_| index > 0),
                        });
                    }
                }
            }
        }
    }

    /// The names of a field, of which the first is preferred.
    fn names(&self, field: &Field, is_nested: bool) -> Vec<String> {
        let config = &self.own.config;
        let prefix = config
            .prefix
            .as_deref()
            .filter(|_| !is_nested)
            .unwrap_or_default();
        let target = config.prefix_target.as_deref().unwrap_or("variable");
        let prefix_for = |what: &str| {
            if target == what || target == "all" {
                prefix
            } else {
                ""
            }
        };
        if self.own.kind == Kind::Settings1 {
            let listed = config.names.iter().find(|(name, _)| *name == field.name);
            let listed = listed.map(|(_, names)| names);
            return match listed.or(field.env.as_ref()) {
                Some(names) => names.clone(),
                None => vec![format!("{prefix}{}", field.name)],
            };
        }
        let aliases = field
            .aliases
            .iter()
            .filter(|_| config.by_alias != Some(false));
        let mut names: Vec<String> = aliases
            .map(|alias| format!("{}{alias}", prefix_for("alias")))
            .collect();
        if names.is_empty() || config.by_name == Some(true) {
            names.push(format!("{}{}", prefix_for("variable"), field.name));
        }
        names
    }

    /// The name as it is usually set, if its case is ignored.
    fn cased(&self, name: &str) -> String {
        if self.own.config.is_case_sensitive() {
            name.to_owned()
        } else {
            name.to_uppercase()
        }
    }
}
