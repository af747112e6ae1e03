//! Reads ini files by the rules of Python's `ConfigParser`, as alembic uses it.

use std::collections::HashMap;

/// How often a value may refer to other values, and to how many bytes it may grow. Python's own limit is only the depth.
const MAX_REFERENCES: usize = 100;
const MAX_VALUE: usize = 16 * 1024;
const MAX_DEPTH: usize = 10;

/// The name of the section whose options every section has.
const DEFAULT: &str = "DEFAULT";

/// The sections of a file, without the interpolation of their values.
#[derive(Debug, Default)]
pub struct Ini {
    sections: HashMap<String, HashMap<String, String>>,
    /// The options that the section `DEFAULT` and alembic itself set.
    defaults: HashMap<String, String>,
    here: String,
}

impl Ini {
    /// Parses a text in which `\n` is the only line break. `here` is the folder of the file.
    /// Returns `None` if Python refuses it.
    pub fn parse(text: &str, here: String) -> Option<Self> {
        // Python takes some control characters for white space, others not.
        if text.contains(|next: char| next.is_control() && next != '\n' && next != '\t') {
            return None;
        }
        let mut read: HashMap<String, HashMap<String, Vec<&str>>> = HashMap::new();
        // The section and the option of the previous line, and its indentation.
        let mut section: Option<&str> = None;
        let mut option: Option<String> = None;
        let mut level = 0;
        for line in text.split_terminator('\n') {
            let value = line.trim();
            if value.starts_with(['#', ';']) {
                continue;
            }
            let current = section.and_then(|name| read.get_mut(name));
            let lines = current
                .zip(option.as_ref())
                .and_then(|(options, name)| options.get_mut(name));
            if value.is_empty() {
                if let Some(lines) = lines {
                    lines.push(value);
                }
                continue;
            }
            let indent = line.chars().take_while(|next| next.is_whitespace()).count();
            if let Some(lines) = lines
                && indent > level
            {
                lines.push(value);
                continue;
            }
            level = indent;
            let header = value
                .strip_prefix('[')
                .and_then(|rest| rest.rsplit_once(']'));
            if let Some((name, _)) = header
                && !name.is_empty()
            {
                if read.contains_key(name) && name != DEFAULT {
                    return None;
                }
                read.entry(name.to_owned()).or_default();
                (section, option) = (Some(name), None);
                continue;
            }
            let (name, first) = value.split_once(['=', ':'])?;
            let name = name.trim_end().to_lowercase();
            let is_new = read
                .get_mut(section?)?
                .insert(name.clone(), vec![first.trim_start()])
                .is_none();
            if name.is_empty() || !is_new {
                return None;
            }
            option = Some(name);
        }
        let joined =
            |(name, lines): (String, Vec<&str>)| (name, lines.join("\n").trim_end().to_owned());
        let mut sections: HashMap<String, HashMap<String, String>> = read
            .into_iter()
            .map(|(name, options)| (name, options.into_iter().map(joined).collect()))
            .collect();
        let mut defaults = sections.remove(DEFAULT).unwrap_or_default();
        defaults.entry("here".to_owned()).or_insert(here.clone());
        Some(Self {
            sections,
            defaults,
            here,
        })
    }

    /// Whether the section has the option, or the default section has it and the section exists.
    pub fn has(&self, section: &str, option: &str) -> bool {
        self.raw(section, option).is_some()
    }

    /// The interpolated value of an option. Returns `None` if Python cannot interpolate it.
    pub fn get(&self, section: &str, option: &str) -> Option<String> {
        let mut value = String::new();
        let mut references = 0;
        self.interpolate(
            section,
            self.raw(section, option)?,
            &mut value,
            &mut references,
            1,
        )?;
        Some(value)
    }

    fn raw(&self, section: &str, option: &str) -> Option<&str> {
        let own = self.sections.get(section)?.get(option);
        own.or_else(|| self.defaults.get(option))
            .map(String::as_str)
    }

    fn interpolate(
        &self,
        section: &str,
        raw: &str,
        value: &mut String,
        references: &mut usize,
        depth: usize,
    ) -> Option<()> {
        // Python decodes the file with the locale's encoding, of which only ASCII is certain.
        if !raw.is_ascii() && raw != self.here || raw.contains('%') && depth > MAX_DEPTH {
            return None;
        }
        let mut rest = raw;
        while let Some((before, after)) = rest.split_once('%') {
            *value += before;
            if let Some(after) = after.strip_prefix('%') {
                value.push('%');
                rest = after;
                continue;
            }
            let (name, after) = after.strip_prefix('(')?.split_once(')')?;
            rest = after.strip_prefix('s')?;
            *references += 1;
            if *references > MAX_REFERENCES || value.len() > MAX_VALUE {
                return None;
            }
            let named = self.raw(section, &name.to_lowercase())?;
            self.interpolate(section, named, value, references, depth + 1)?;
        }
        *value += rest;
        Some(())
    }
}
