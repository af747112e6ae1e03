//! The parsed files together: finds out what a name stands for across files.

use std::collections::HashMap;

use super::module::{Module, dotted, literal, parts};
use crate::python::{self, Token};

/// How many imports are followed from one name.
const MAX_IMPORTS: usize = 16;

/// The packages that the scanner knows. No scanned file replaces them, unless it is imported relatively.
const KNOWN: &str = "os pydantic pydantic_settings starlette fastapi environs environ decouple dj_database_url typing pathlib";

pub struct Project<'a> {
    pub modules: Vec<Module<'a>>,
    /// The modules by the last part of their names.
    by_name: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Project<'a> {
    pub fn new(modules: Vec<Module<'a>>) -> Self {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, module) in modules.iter().enumerate() {
            let last = module.source.module.rsplit('.').next();
            by_name
                .entry(last.unwrap_or_default())
                .or_default()
                .push(index);
        }
        Self { modules, by_name }
    }

    /// What a dotted path stands for in a module: a path in a known package, or a path that begins with a dot, of what a
    /// scanned file defines.
    pub fn resolve(&self, module: &Module<'a>, path: &str) -> String {
        self.follow(module, path, 0)
    }

    fn follow(&self, module: &Module<'a>, path: &str, count: usize) -> String {
        let first = path.split(['.', '(']).next().unwrap_or_default();
        if module.names.contains_key(first) {
            let expanded = module.expand(path);
            return self.absolute(module, &expanded, count);
        }
        match self.provider(module, first, &mut Vec::new()) {
            Some(from) if count < MAX_IMPORTS => self.follow(from, path, count + 1),
            _ => path.to_owned(),
        }
    }

    /// The module from which `import *` imports a name, also by way of others. `seen` has the modules that are already
    /// searched.
    fn provider<'p>(
        &'p self,
        module: &'p Module<'a>,
        name: &str,
        seen: &mut Vec<&'p str>,
    ) -> Option<&'p Module<'a>> {
        for wildcard in &module.wildcards {
            let Some(from) = self.find(module, wildcard) else {
                continue;
            };
            if from.has(name) {
                return Some(from);
            }
            if seen.len() < MAX_IMPORTS && !seen.contains(&from.source.module.as_str()) {
                seen.push(&from.source.module);
                let found = self.provider(from, name, seen);
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// Follows a path of a module to where its last name is defined.
    fn absolute(&self, importer: &Module<'a>, path: &str, count: usize) -> String {
        let end = path.find(['.', '(']).unwrap_or(path.len());
        if KNOWN.split(' ').any(|known| known == &path[..end]) {
            return path.to_owned();
        }
        let end = path.find('(').unwrap_or(path.len());
        for (dot, _) in path[..end].rmatch_indices('.') {
            let Some(module) = self.find(importer, &path[..dot]) else {
                continue;
            };
            let rest = &path[dot + 1..];
            let first = rest.split(['.', '(']).next().unwrap_or_default();
            let own = module.own(first);
            if module.names.get(first) == Some(&own) || count >= MAX_IMPORTS {
                return [&own, &rest[first.len()..]].concat();
            }
            if module.has(first) || !module.wildcards.is_empty() {
                return self.follow(module, rest, count + 1);
            }
        }
        path.to_owned()
    }

    /// The module with this name. Of several, the one that is nearest to the importing module.
    fn find<'p>(&'p self, importer: &Module<'a>, name: &str) -> Option<&'p Module<'a>> {
        let last = name.rsplit('.').next()?;
        let named = self.by_name.get(last)?.iter();
        let named = named.map(|index| &self.modules[*index]);
        let is_it = |module: &&Module<'a>| {
            let own = module.source.module.as_str();
            own == name
                || own
                    .strip_suffix(name)
                    .is_some_and(|rest| rest.ends_with('.'))
        };
        let near = |module: &&Module<'a>| {
            let pair = module.source.module.split('.');
            let pair = pair.zip(importer.source.module.split('.'));
            pair.take_while(|(one, other)| one == other).count()
        };
        named.filter(is_it).max_by_key(near)
    }

    /// The text of an expression that consists of string literals and constants, with `+` between them or in an f-string.
    pub fn text(&self, module: &Module<'a>, tokens: &[Token<'a>]) -> Option<String> {
        if let Some(text) = literal(tokens) {
            return Some(text);
        }
        let parts = parts(tokens, "+");
        let texts = parts.iter().map(|part| match (dotted(part, 0), *part) {
            (Some((path, end)), _) if end == part.len() => self.constant(module, &path),
            (_, [Token::Text(_, content)]) if part[0].is_template() => self.filled(module, content),
            _ => literal(part),
        });
        texts
            .collect::<Option<Vec<_>>>()
            .map(|texts| texts.concat())
    }

    /// The content of an f-string whose expressions are constants.
    fn filled(&self, module: &Module<'a>, content: &str) -> Option<String> {
        let (mut text, mut end) = (String::new(), 0);
        for range in python::expressions(content) {
            text += content[end..range.start].strip_suffix('{')?;
            text += &self.constant(module, &content[range.clone()])?;
            end = range.end + 1;
        }
        text += &content[end..];
        (!text.contains(['{', '}', '\\'])).then_some(text)
    }

    /// The text of a constant of this module, or of another one that it imports.
    fn constant(&self, module: &Module<'a>, path: &str) -> Option<String> {
        if let Some(constant) = module.constants.get(path) {
            return Some(constant.clone()).filter(|text| !text.is_empty());
        }
        let path = module.expand(path);
        let (from, name) = path.rsplit_once('.')?;
        let from = self.find(module, from)?;
        let constant = from.constants.get(name)?;
        Some(constant.clone()).filter(|text| !text.is_empty())
    }
}

impl Module<'_> {
    fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }
}
