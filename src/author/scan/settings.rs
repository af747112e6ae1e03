//! Finds the fields of pydantic's settings classes.

mod class;

use std::collections::{HashMap, HashSet};

use super::module::dotted;
use super::project::Project;
use super::{Note, Read, Scan};
use crate::rule::Type;
use class::{Class, Config, Field};

/// How deep models may be inside each other.
const MAX_NESTED: usize = 8;

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

/// Finds the reads of all settings classes. A class that only other classes are derived from is read as a part of those.
pub fn find(project: &Project<'_>, scan: &mut Scan) {
    let mut classes = HashMap::new();
    for module in &project.modules {
        for class in class::parse(project, module, &mut scan.notes) {
            classes.insert(class.path.clone(), class);
        }
    }
    let mut whole = HashMap::new();
    for path in classes.keys() {
        inherit(path, &classes, &mut whole);
    }
    let bases = classes.values().flat_map(|class| &class.bases);
    let bases: HashSet<&str> = bases.map(String::as_str).collect();
    let called = called(project, &bases);
    for (path, class) in &classes {
        let Some(own) = whole.get(path) else {
            continue;
        };
        scan.notes.extend(foreign_base(class, own, &classes));
        let is_read = !bases.contains(path.as_str()) || called.contains(path);
        if !own.kind.is_settings() || !is_read {
            continue;
        }
        if own.config.has_generator {
            scan.notes.push(Note {
                file: class.file.clone(),
                line: Some(class.line),
                text: "an `alias_generator` computes the names of this class's variables"
                    .to_owned(),
            });
            continue;
        }
        let mut reads = Vec::new();
        let from = Names { own, whole: &whole };
        from.reads(own, None, true, &mut reads);
        scan.reads.extend(reads);
    }
}

/// The note that a class may be a settings class, because a base that is not scanned has the name of one.
fn foreign_base(class: &Class, own: &Whole, classes: &HashMap<String, Class>) -> Option<Note> {
    let is_foreign = |base: &&String| {
        base.ends_with("Settings") && !classes.contains_key(*base) && Kind::of(base) == Kind::Other
    };
    let base = class.bases.iter().find(is_foreign)?;
    let text = format!(
        "the class inherits from {base}, which is not in the scanned code, so its fields are not read"
    );
    (own.kind == Kind::Other).then(|| Note {
        file: class.file.clone(),
        line: Some(class.line),
        text,
    })
}

/// Those of the classes that the code calls.
fn called(project: &Project<'_>, classes: &HashSet<&str>) -> HashSet<String> {
    let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
    let names: HashSet<String> = classes.iter().filter_map(|path| last(path)).collect();
    let mut called = HashSet::new();
    for module in &project.modules {
        let statements = module.statements.iter();
        for tokens in statements.map(|statement| &statement.tokens) {
            if tokens[..].starts_with(&[crate::python::Token::Name("class")]) {
                continue;
            }
            for at in 0..tokens.len() {
                if let Some((path, end)) = dotted(tokens, at)
                    && tokens.get(end) == Some(&crate::python::Token::Operator("("))
                    && last(&module.expand(&path)).is_some_and(|name| names.contains(&name))
                {
                    called.insert(project.resolve(module, &path));
                }
            }
        }
    }
    called
}

/// Adds to a class what it inherits. A class that inherits from itself inherits nothing.
fn inherit(path: &str, classes: &HashMap<String, Class>, whole: &mut HashMap<String, Whole>) {
    if whole.contains_key(path) {
        return;
    }
    whole.insert(path.to_owned(), Whole::default());
    let Some(class) = classes.get(path) else {
        return;
    };
    let mut result = Whole::default();
    let mut configs = Vec::new();
    // The fields of the first base replace those of the others.
    for base in class.bases.iter().rev() {
        inherit(base, classes, whole);
        let kind = Kind::of(base);
        let inherited = whole.get(base).cloned().unwrap_or_default();
        let kind = if kind == Kind::Other {
            inherited.kind
        } else {
            kind
        };
        if result.kind == Kind::Other || kind.is_settings() {
            result.kind = kind;
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
    for config in configs.into_iter().chain([class.config.clone()]) {
        result.config.update(config);
    }
    for field in &class.fields {
        replace(&mut result.fields, field.clone());
    }
    whole.insert(path.to_owned(), result);
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
    whole: &'w HashMap<String, Whole>,
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
            let model = model.filter_map(|name| self.whole.get(name));
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
