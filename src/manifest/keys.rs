//! Reads the tree key by key, and keeps every fault with its path and line.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use super::node::{Entry, Fault, Node, Value};
use crate::text::did_you_mean;

/// Faults that are kept. The others of a text that was made to be slow are not even counted.
pub const MAX_FAULTS: usize = 200;

/// How many known words a wrong one is compared with.
const MAX_NAMES: usize = 500;

/// The longest wrong word, in bytes, that is compared with known ones.
const MAX_WORD: usize = 64;

/// How many characters of a key are shown. A long key before each of many faults would make a huge report.
const MAX_KEY: usize = 200;

/// The fault of a value that must be a mapping, where no example helps.
pub const MAPPING: &str = "expected a mapping";

/// A value in the tree, with the path to it.
pub struct Cursor<'a> {
    faults: &'a RefCell<Vec<Fault>>,
    path: String,
    node: &'a Node<'a>,
}

impl<'a> Cursor<'a> {
    /// The whole text. All faults of what is below are kept in `faults`.
    pub fn root(node: &'a Node<'a>, faults: &'a RefCell<Vec<Fault>>) -> Self {
        Self {
            faults,
            path: String::new(),
            node,
        }
    }

    pub fn line(&self) -> Option<usize> {
        self.node.line
    }

    /// Keeps a fault of the value, once.
    pub fn fault(&self, message: impl fmt::Display) {
        if !self.has_all_faults() {
            let message = format!("{}: {message}", self.path);
            let line = self.node.line;
            let fault = Fault { line, message };
            let mut faults = self.faults.borrow_mut();
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
    }

    fn has_all_faults(&self) -> bool {
        self.faults.borrow().len() >= MAX_FAULTS
    }

    /// Keeps the fault that the value is of the wrong kind.
    fn wrong_kind<T>(&self, expected: &str) -> Option<T> {
        let kind = self.node.kind();
        self.fault(format_args!("expected {expected}, found {kind}"));
        None
    }

    /// The value of a key in this mapping.
    fn value(&self, key: &str, node: &'a Node<'a>) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self {
            path: [&self.path, dot, &*shown(key)].concat(),
            node,
            ..*self
        }
    }

    /// The items of a list; any other value is a fault.
    pub fn items(&self, expected: &str) -> Option<Vec<Self>> {
        let Value::List(items) = &self.node.value else {
            return self.wrong_kind(expected);
        };
        let item = |(index, node): (usize, &'a Node<'a>)| Self {
            path: format!("{}[{index}]", self.path),
            node,
            ..*self
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The keys of a mapping, or of null, which has none; any other value is a fault, and has none.
    pub fn keys(self, expected: &str) -> Keys<'a> {
        let keys = Keys {
            entries: self.node.value.entries(),
            here: self,
            // A variable has the most keys.
            asked: Vec::with_capacity(24),
        };
        if !keys.is_mapping() {
            keys.here.fault(expected);
        }
        keys.check_repetitions();
        keys
    }
}

/// What the value of a key can be read as. A value of another kind is a fault.
pub trait Read: Sized {
    fn read(cursor: &Cursor<'_>) -> Option<Self>;
}

/// A scalar as it is written: `1.10` stays `1.10`, `yes` stays `yes`.
impl Read for String {
    fn read(cursor: &Cursor<'_>) -> Option<Self> {
        let text = cursor.node.text.as_deref().map(str::to_owned);
        text.or_else(|| cursor.wrong_kind("a text"))
    }
}

impl Read for bool {
    fn read(cursor: &Cursor<'_>) -> Option<Self> {
        match cursor.node.value {
            Value::Bool(value) => Some(value),
            _ => cursor.wrong_kind("true or false"),
        }
    }
}

impl Read for u32 {
    fn read(cursor: &Cursor<'_>) -> Option<Self> {
        let number = match &cursor.node.value {
            Value::Number(number) => number.as_u64().and_then(|number| number.try_into().ok()),
            _ => None,
        };
        number.or_else(|| cursor.wrong_kind("a whole number from 0 on"))
    }
}

impl Read for f64 {
    fn read(cursor: &Cursor<'_>) -> Option<Self> {
        match &cursor.node.value {
            Value::Number(number) => number.as_f64(),
            _ => cursor.wrong_kind("a number"),
        }
    }
}

impl Read for Duration {
    fn read(cursor: &Cursor<'_>) -> Option<Self> {
        let text = cursor.node.text.as_deref();
        let duration = text.and_then(|text| humantime::parse_duration(text).ok());
        duration.or_else(|| cursor.wrong_kind("a duration with its unit, such as 90s or 10m"))
    }
}

/// A list of texts; a single one stands for a list of one. An item that is not a text is empty.
impl Read for Vec<String> {
    fn read(cursor: &Cursor<'_>) -> Option<Self> {
        match cursor.node.value {
            Value::Null | Value::List(_) | Value::Mapping(_) => {
                let items = cursor.items("a list of texts")?;
                let texts = items.iter().map(String::read);
                Some(texts.map(Option::unwrap_or_default).collect())
            }
            _ => Some(vec![String::read(cursor)?]),
        }
    }
}

/// The entries of a mapping, read key by key.
pub struct Keys<'a> {
    /// The mapping itself.
    pub here: Cursor<'a>,
    entries: &'a [Entry<'a>],
    asked: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    fn is_mapping(&self) -> bool {
        matches!(self.here.node.value, Value::Mapping(_) | Value::Null)
    }

    /// Keeps a fault for each key that is set more than once.
    fn check_repetitions(&self) {
        let mut entries: Vec<&Entry<'_>> = self.entries.iter().collect();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        for same in entries.chunk_by(|(one, _), (other, _)| one == other) {
            let line = same[0].1.line.unwrap_or_default();
            for (key, node) in &same[1..] {
                let message = format_args!("is set again, after line {line}");
                self.here.value(key, node).fault(message);
            }
        }
    }

    /// Keeps a fault of a key. That of an absent key is told where the mapping begins.
    pub fn fault(&self, key: &str, message: impl fmt::Display) {
        if !self.here.has_all_faults() {
            let node = self.find(key).unwrap_or(self.here.node);
            self.here.value(key, node).fault(message);
        }
    }

    /// Keeps a fault of a key on a condition.
    pub fn fault_if(&self, is_wrong: bool, key: &str, message: impl fmt::Display) {
        if is_wrong {
            self.fault(key, message);
        }
    }

    /// Keeps a fault for each key that nobody has asked for.
    pub fn finish(&self) {
        let is_unknown = |(key, _): &&Entry<'_>| !self.asked.contains(&&**key);
        for (key, node) in self.entries.iter().filter(is_unknown) {
            let mut hint = self.near(key, self.asked.iter().copied());
            if hint.is_empty() {
                hint = format!("; there are {}", self.asked.join(", "));
            }
            let message = format_args!("unknown key `{}`{hint}", shown(key));
            self.here.value(key, node).fault(message);
        }
    }

    /// `; did you mean X?`, if there is a near word.
    pub fn near<'w>(&self, word: &str, known: impl Iterator<Item = &'w str>) -> String {
        if word.len() > MAX_WORD || self.here.has_all_faults() {
            return String::new();
        }
        did_you_mean(word, known.take(MAX_NAMES))
    }

    fn find(&self, key: &str) -> Option<&'a Node<'a>> {
        let entry = self.entries.iter().find(|(other, _)| other == key);
        entry.map(|(_, node)| node)
    }

    /// The node of a key that has a value; null is none.
    fn set(&self, key: &str) -> Option<&'a Node<'a>> {
        let node = self.find(key);
        node.filter(|node| !matches!(node.value, Value::Null))
    }

    pub fn has(&self, key: &str) -> bool {
        self.set(key).is_some()
    }

    /// The value of a key; null is none.
    pub fn value(&self, key: &str) -> Option<Cursor<'a>> {
        Some(self.here.value(key, self.set(key)?))
    }

    /// The value of a key, which counts as a known one from now on.
    pub fn get(&mut self, key: &'static str) -> Option<Cursor<'a>> {
        self.asked.push(key);
        self.value(key)
    }

    pub fn read<T: Read>(&mut self, key: &'static str) -> Option<T> {
        T::read(&self.get(key)?)
    }

    /// The value of one of the words of a table.
    pub fn choice<T: Copy>(&mut self, key: &'static str, table: &[(&str, T)]) -> Option<T> {
        let word: String = self.read(key)?;
        let found = table.iter().find(|(name, _)| *name == word);
        if found.is_none() {
            let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
            let near = self.near(&word, names.iter().copied());
            let names = names.join(", ");
            self.fault(key, format_args!("`{word}` is not one of {names}{near}"));
        }
        found.map(|(_, value)| *value)
    }

    /// The keys of a mapping below this one.
    pub fn mapping(&mut self, key: &'static str, expected: &str) -> Option<Keys<'a>> {
        let keys = self.get(key)?.keys(expected);
        Some(keys).filter(Keys::is_mapping)
    }

    /// The keys of each mapping in a list.
    pub fn list(&mut self, key: &'static str, expected: &str) -> Vec<Keys<'a>> {
        let list = self.get(key).and_then(|list| list.items("a list"));
        let keys = list.into_iter().flatten().map(|item| item.keys(expected));
        keys.filter(Keys::is_mapping).collect()
    }

    /// All keys with their values, in the order of the text.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Cursor<'a>)> {
        let entries = self.entries.iter();
        entries.map(|(key, node)| (&**key, self.here.value(key, node)))
    }
}

/// A key as messages show it: the beginning of a very long one.
fn shown(key: &str) -> Cow<'_, str> {
    match key.char_indices().nth(MAX_KEY) {
        Some((end, _)) => format!("{}…", &key[..end]).into(),
        None => key.into(),
    }
}
