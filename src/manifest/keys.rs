//! Reads the tree key by key, and keeps every fault with its path and line.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use super::node::{Entry, Node, Value};
use crate::text::did_you_mean;

/// Faults that are kept. Of a text that was made to be slow, the others are not even counted.
pub const MAX_FAULTS: usize = 200;

/// Names among which the one that was meant is looked for.
const MAX_NAMES: usize = 500;

/// The longest word, in bytes, for which the one that was meant is looked for.
const MAX_WORD: usize = 64;

/// What is told of another value than a mapping where no example helps.
pub const MAPPING: &str = "expected a mapping";

/// One thing that is wrong with the manifest.
#[derive(Debug, PartialEq)]
pub struct Fault {
    /// Counted from 1: where the entry or the item begins.
    pub line: Option<usize>,
    /// What is wrong, behind the path to it, such as `steps[0].command`.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(out, "line {line}: ")?;
        }
        out.write_str(&self.message)
    }
}

/// What is found while a tree is read.
pub struct Reading {
    /// The byte at which each line begins.
    lines: Vec<usize>,
    faults: RefCell<Vec<Fault>>,
    /// Whether a text was asked for whose node does not know how it is written.
    pub lacks_spelling: Cell<bool>,
}

impl Reading {
    pub fn new(text: &str) -> Self {
        let breaks = memchr::memchr_iter(b'\n', text.as_bytes());
        Self {
            lines: std::iter::once(0).chain(breaks.map(|at| at + 1)).collect(),
            faults: RefCell::default(),
            lacks_spelling: Cell::new(false),
        }
    }

    /// The faults in the order of their lines.
    pub fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        // Stable: faults of one line stay in the order in which they were found.
        faults.sort_by_key(|fault| fault.line);
        faults
    }

    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|&start| start <= at)
    }

    /// Keeps a fault, once.
    fn push(&self, path: &str, at: Option<usize>, message: impl fmt::Display) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < MAX_FAULTS {
            let line = at.map(|at| self.line(at));
            let message = format!("{path}: {message}");
            let fault = Fault { line, message };
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
    }

    /// A scalar as it is written.
    fn text(&self, node: &Node<'_>) -> Option<String> {
        match (&node.value, &node.spelling) {
            (Value::Text(text), _) | (_, Some(text)) => Some(text.to_string()),
            (Value::List(_) | Value::Mapping(_), None) => None,
            (_, None) => {
                self.lacks_spelling.set(true);
                Some(String::new())
            }
        }
    }

    /// `; did you mean X?`, where there is a near word.
    pub fn near<'a>(&self, word: &str, known: impl Iterator<Item = &'a str>) -> String {
        if word.len() > MAX_WORD || self.faults.borrow().len() >= MAX_FAULTS {
            return String::new();
        }
        did_you_mean(word, known.take(MAX_NAMES))
    }
}

/// The entries of a mapping, read key by key. Every value that is not what was expected is a fault.
pub struct Keys<'a> {
    reading: &'a Reading,
    path: String,
    at: Option<usize>,
    /// False for what is neither a mapping nor null, which is a fault already.
    is_mapping: bool,
    /// Sorted by key.
    entries: Vec<&'a Entry<'a>>,
    asked: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    /// The keys of a mapping, or of null, which has none. Each key counts once.
    pub fn new(
        node: &'a Node<'a>,
        path: String,
        at: Option<usize>,
        expected: &str,
        reading: &'a Reading,
    ) -> Self {
        let mut entries: Vec<&Entry<'_>> = match &node.value {
            Value::Mapping(entries) => entries.iter().collect(),
            _ => Vec::new(),
        };
        let is_mapping = matches!(node.value, Value::Mapping(_) | Value::Null);
        if !is_mapping {
            reading.push(&path, at, expected);
        }
        // Stable: the first of several equal ones stays the first.
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        entries.dedup_by(|again, first| {
            let is_again = again.key == first.key;
            if is_again {
                let line = reading.line(first.at);
                let path = join(&path, &again.key);
                let message = format_args!("is set again, after line {line}");
                reading.push(&path, Some(again.at), message);
            }
            is_again
        });
        Self {
            reading,
            path,
            at,
            is_mapping,
            // Of a variable, which has the most keys.
            asked: Vec::with_capacity(if entries.is_empty() { 0 } else { 24 }),
            entries,
        }
    }

    /// The line of the mapping itself.
    pub fn line(&self) -> Option<usize> {
        self.at.map(|at| self.reading.line(at))
    }

    /// Keeps a fault of the mapping itself.
    pub fn fault_here(&self, message: impl fmt::Display) {
        self.reading.push(&self.path, self.at, message);
    }

    /// Keeps a fault of a key, which may be absent.
    pub fn fault(&self, key: &str, message: impl fmt::Display) {
        let path = join(&self.path, key);
        self.reading.push(&path, self.place(key), message);
    }

    /// Keeps a fault of a key on a condition.
    pub fn fault_if(&self, is_wrong: bool, key: &str, message: &str) {
        if is_wrong {
            self.fault(key, message);
        }
    }

    /// Keeps a fault for each key that nobody has asked for.
    pub fn finish(&self) {
        for Entry { key, .. } in &self.entries {
            if !self.asked.contains(&&**key) {
                let mut hint = self.reading.near(key, self.asked.iter().copied());
                if hint.is_empty() {
                    hint = format!("; there are {}", self.asked.join(", "));
                }
                self.fault(key, format_args!("unknown key `{key}`{hint}"));
            }
        }
    }

    /// Whether a key has a value; null is none.
    pub fn has(&self, key: &str) -> bool {
        let entry = self.find(key);
        entry.is_some_and(|entry| !matches!(entry.node.value, Value::Null))
    }

    /// Where a key stands; of one that is absent, where the mapping does.
    fn place(&self, key: &str) -> Option<usize> {
        self.find(key).map(|entry| entry.at).or(self.at)
    }

    fn find(&self, key: &str) -> Option<&'a Entry<'a>> {
        let found = self.entries.binary_search_by(|entry| (*entry.key).cmp(key));
        found.ok().map(|position| self.entries[position])
    }

    /// The value of a key; null is none.
    fn get(&mut self, key: &'static str) -> Option<&'a Node<'a>> {
        if self.entries.is_empty() {
            return None;
        }
        self.asked.push(key);
        let node = &self.find(key)?.node;
        Some(node).filter(|node| !matches!(node.value, Value::Null))
    }

    /// What `read` makes of the value of a key.
    fn read<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&'a Node<'a>) -> Option<T>,
    ) -> Option<T> {
        let node = self.get(key)?;
        let value = read(node);
        if value.is_none() {
            let message = format_args!("expected {expected}, found {}", node.kind());
            self.fault(key, message);
        }
        value
    }

    /// A scalar as it is written: `1.10` stays `1.10`, `yes` stays `yes`.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let reading = self.reading;
        self.read(key, "a text", |node| reading.text(node))
    }

    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", |node| match node.value {
            Value::Bool(value) => Some(value),
            _ => None,
        })
    }

    pub fn whole(&mut self, key: &'static str) -> Option<u32> {
        self.read(key, "a whole number from 0 on", |node| match &node.value {
            Value::Number(number) => number.as_u64()?.try_into().ok(),
            _ => None,
        })
    }

    pub fn number(&mut self, key: &'static str) -> Option<f64> {
        self.read(key, "a number", |node| match &node.value {
            Value::Number(number) => number.as_f64(),
            _ => None,
        })
    }

    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let reading = self.reading;
        let expected = "a duration with its unit, such as 90s or 10m";
        self.read(key, expected, |node| {
            humantime::parse_duration(&reading.text(node)?).ok()
        })
    }

    /// The value of one of the words of a table.
    pub fn choice<T: Copy>(&mut self, key: &'static str, table: &[(&str, T)]) -> Option<T> {
        let word = self.text(key)?;
        let found = table.iter().find(|(name, _)| *name == word);
        if found.is_none() {
            let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
            let near = self.reading.near(&word, names.iter().copied());
            let names = names.join(", ");
            self.fault(key, format_args!("`{word}` is not one of {names}{near}"));
        }
        found.map(|(_, value)| *value)
    }

    /// A list of texts; a single one stands for a list of one.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.get(key)?;
        self.texts_of(self.find(key)?)
    }

    /// The list of texts of each key, in the order of the text.
    pub fn all_texts(&self) -> Vec<(String, Vec<String>)> {
        let entries = self.in_order().into_iter();
        let read = |entry: &'a Entry<'a>| {
            let texts = self.texts_of(entry).unwrap_or_default();
            (entry.key.to_string(), texts)
        };
        entries.map(read).collect()
    }

    fn texts_of(&self, Entry { key, node, .. }: &'a Entry<'a>) -> Option<Vec<String>> {
        match &node.value {
            Value::List(items) => Some(self.items_of(key, items)),
            Value::Null | Value::Mapping(_) => {
                let message = format_args!("expected a list of texts, found {}", node.kind());
                self.fault(key, message);
                None
            }
            _ => self.reading.text(node).map(|text| vec![text]),
        }
    }

    /// The words of a command. No shell splits a text into them.
    pub fn words(&mut self, key: &'static str) -> Option<Vec<String>> {
        let expected = "a list of words such as [alembic, upgrade, head] (no shell splits a text)";
        let items = self.read(key, expected, |node| match &node.value {
            Value::List(items) => Some(items),
            _ => None,
        })?;
        Some(self.items_of(key, items))
    }

    /// The texts of a list. Where an item is not one, an empty text stands for it.
    fn items_of(&self, key: &str, items: &'a [Node<'a>]) -> Vec<String> {
        let texts = items.iter().enumerate().map(|(index, item)| {
            self.reading.text(item).unwrap_or_else(|| {
                let path = format!("{}[{index}]", join(&self.path, key));
                let message = format_args!("expected a text, found {}", item.kind());
                self.reading.push(&path, item.at, message);
                String::new()
            })
        });
        texts.collect()
    }

    /// The keys of a mapping below this one.
    pub fn mapping(&mut self, key: &'static str, expected: &str) -> Option<Keys<'a>> {
        let node = self.get(key)?;
        let path = join(&self.path, key);
        let keys = Keys::new(node, path, self.place(key), expected, self.reading);
        Some(keys).filter(|keys| keys.is_mapping)
    }

    /// The keys of each mapping in this one, with their names, in the order of the text.
    pub fn mappings(&self, expected: &str) -> Vec<(&'a str, Keys<'a>)> {
        let entries = self.in_order().into_iter();
        let read = |Entry { key, at, node }: &'a Entry<'a>| {
            let path = join(&self.path, key);
            (
                &**key,
                Keys::new(node, path, Some(*at), expected, self.reading),
            )
        };
        entries.map(read).collect()
    }

    /// The keys of each mapping in a list.
    pub fn list(&mut self, key: &'static str, expected: &str) -> Vec<Keys<'a>> {
        let items = self.read(key, "a list", |node| match &node.value {
            Value::List(items) => Some(items.iter()),
            _ => None,
        });
        let read = |(index, item): (usize, &'a Node<'a>)| {
            let path = format!("{}[{index}]", join(&self.path, key));
            Keys::new(item, path, item.at, expected, self.reading)
        };
        let keys = items.into_iter().flatten().enumerate().map(read);
        keys.filter(|keys| keys.is_mapping).collect()
    }

    fn in_order(&self) -> Vec<&'a Entry<'a>> {
        let mut entries = self.entries.clone();
        entries.sort_by_key(|entry| entry.at);
        entries
    }
}

fn join(path: &str, key: &str) -> String {
    let dot = if path.is_empty() { "" } else { "." };
    [path, dot, key].concat()
}
