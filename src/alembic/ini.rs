//! Reads ini files by the rules of Python's `ConfigParser`, as alembic uses it.

use std::collections::HashMap;

/// The maximum length of a value with references, in bytes, and how deep the references can be. Python's own limit is
/// only the depth, and larger.
const MAX_VALUE: usize = 4096;
const MAX_DEPTH: usize = 3;

/// The name of the section whose options every section has.
const DEFAULT: &str = "DEFAULT";

/// The sections of a file, without the interpolation of their values.
pub struct Ini {
    /// The options of each section, with their values.
    sections: HashMap<String, HashMap<String, String>>,
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
        let mut sections = HashMap::<String, HashMap<String, String>>::new();
        // The section and the option of the previous line, and its indentation. No option has an empty name.
        let (mut section, mut option) = (String::new(), String::new());
        let mut level = 0;
        for line in text.split('\n') {
            let value = line.trim();
            if value.starts_with(['#', ';']) {
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            let options = sections.get_mut(&section);
            match options.and_then(|options| options.get_mut(&option)) {
                Some(lines) if value.is_empty() || indent > level => {
                    *lines += "\n";
                    *lines += value;
                    continue;
                }
                None if value.is_empty() => continue,
                Some(_) | None => level = indent,
            }
            let header = value.strip_prefix('[');
            let header = header.and_then(|rest| rest.rsplit_once(']'));
            if let Some((name, _)) = header.filter(|(name, _)| !name.is_empty()) {
                if sections.contains_key(name) && name != DEFAULT {
                    return None;
                }
                (section, option) = (name.to_owned(), String::new());
                sections.entry(section.clone()).or_default();
                continue;
            }
            let (name, value) = value.split_once(['=', ':'])?;
            option = name.trim_end().to_lowercase();
            let value = value.trim_start().to_owned();
            let options = sections.get_mut(&section)?;
            if option.is_empty() || options.insert(option.clone(), value).is_some() {
                return None;
            }
        }
        let defaults = sections.entry(DEFAULT.to_owned()).or_default();
        let own = defaults.entry("here".into());
        own.or_insert_with(|| here.clone());
        Some(Self { sections, here })
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
        let (own, option) = (self.sections.get(section)?, option.to_lowercase());
        let defaults = &self.sections[DEFAULT];
        let value = own.get(&option).or_else(|| defaults.get(&option));
        value.map(|value| value.trim_end())
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
