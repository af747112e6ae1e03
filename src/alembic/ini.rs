//! Reads ini files by the rules of Python's `ConfigParser`, as alembic uses it.

use std::collections::{HashMap, HashSet};

/// The maximum length of a value with references, in bytes, and how deep the references can be. Python's own limit is
/// only the depth, and larger.
const MAX_VALUE: usize = 4096;
const MAX_DEPTH: usize = 3;

/// The name of the section whose options every section has.
const DEFAULT: &str = "DEFAULT";

/// The sections of a file, without the interpolation of their values.
pub struct Ini {
    sections: HashSet<String>,
    /// Sections and options, with their values.
    values: HashMap<(String, String), String>,
    here: String,
}

impl Ini {
    /// Parses a text in which `\n` is the only line break. `here` is the folder of the file.
    /// Returns `None` if Python refuses it.
    pub fn parse(text: &str, here: String) -> Option<Self> {
        // Python takes some control characters for white space, others not.
        let is_space = |next: char| next.is_control() || next.is_whitespace();
        if text.contains(|next: char| is_space(next) && !" \t\n".contains(next)) {
            return None;
        }
        let (mut sections, mut values) = (HashSet::new(), HashMap::<_, String>::new());
        // The section and the option of the previous line, and its indentation.
        let mut section: Option<&str> = None;
        let mut option: Option<(String, String)> = None;
        let mut level = 0;
        for line in text.split('\n') {
            let value = line.trim();
            if value.starts_with(['#', ';']) {
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            let previous = option.as_ref().and_then(|option| values.get_mut(option));
            match previous {
                Some(lines) if value.is_empty() || indent > level => {
                    *lines += "\n";
                    *lines += value;
                    continue;
                }
                None if value.is_empty() => continue,
                Some(_) | None => level = indent,
            }
            let header = value
                .strip_prefix('[')
                .and_then(|rest| rest.rsplit_once(']'));
            if let Some((name, _)) = header.filter(|(name, _)| !name.is_empty()) {
                if !sections.insert(name.to_owned()) && name != DEFAULT {
                    return None;
                }
                (section, option) = (Some(name), None);
                continue;
            }
            let (name, value) = value.split_once(['=', ':'])?;
            let key = (section?.to_owned(), name.trim_end().to_lowercase());
            let value = value.trim_start().to_owned();
            if key.1.is_empty() || values.insert(key.clone(), value).is_some() {
                return None;
            }
            option = Some(key);
        }
        let default = (DEFAULT.to_owned(), "here".to_owned());
        values.entry(default).or_insert_with(|| here.clone());
        Some(Self {
            sections,
            values,
            here,
        })
    }

    /// Whether the section has the option, or the default section has it and the section exists.
    pub fn has(&self, section: &str, option: &str) -> bool {
        self.raw(section, option).is_some()
    }

    /// The interpolated value of an option. Returns `None` if Python cannot interpolate it.
    pub fn get(&self, section: &str, option: &str) -> Option<String> {
        self.expanded(section, option, MAX_DEPTH)
    }

    fn raw(&self, section: &str, option: &str) -> Option<&str> {
        let get = |section: &str| {
            self.values
                .get(&(section.to_owned(), option.to_lowercase()))
        };
        self.sections.get(section)?;
        let value = get(section).or_else(|| get(DEFAULT))?;
        Some(value.trim_end())
    }

    fn expanded(&self, section: &str, option: &str, depth: usize) -> Option<String> {
        let raw = self.raw(section, option)?;
        let depth = depth.checked_sub(1)?;
        // Python decodes the file with the locale's encoding, of which only ASCII is certain.
        if !raw.is_ascii() && raw != self.here {
            return None;
        }
        interpolated(raw, &|name| self.expanded(section, name, depth))
    }
}

/// Replaces each `%(name)s` by what `lookup` returns, and `%%` by `%`. Returns `None` for any other `%`.
pub fn interpolated(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut parts = text.split('%');
    let mut value = parts.next()?.to_owned();
    while let Some(part) = parts.next() {
        if part.is_empty() {
            value.push('%');
            value += parts.next()?;
        } else {
            let (name, rest) = part.strip_prefix('(')?.split_once(')')?;
            value += &lookup(name)?;
            value += rest.strip_prefix('s')?;
        }
        if text.len() > MAX_VALUE || value.len() > MAX_VALUE {
            return None;
        }
    }
    Some(value)
}
