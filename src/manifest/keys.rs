//! Reads the tree key by key, and records every fault with its path and line.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use super::forms::Form;
use super::node::{Entry, Fault, MERGE, Node, Value};
use super::template::is_name;
use super::words::{Words, advice_on};
use crate::text::did_you_mean;

/// The maximum number of recorded faults. Further faults are not even counted, so that a malicious text cannot make the
/// check slow.
pub const MAX_FAULTS: usize = 200;

/// The maximum number of known words to which a wrong one is compared.
const MAX_NAMES: usize = 500;

/// The maximum length of a wrong word that is compared to known ones, in bytes.
const MAX_WORD: usize = 64;

/// How many characters of a key are shown. A long key before each of many faults would make a huge report.
const MAX_KEY: usize = 200;

/// A value in the tree, with its path.
pub struct Cursor<'a> {
    faults: &'a RefCell<Vec<Fault>>,
    path: String,
    node: &'a Node<'a>,
}

impl<'a> Cursor<'a> {
    /// Creates a cursor at the root. All faults of the tree are recorded in `faults`.
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

    pub fn is_mapping(&self) -> bool {
        matches!(self.node.value, Value::Mapping(_))
    }

    pub fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    /// The scalar as it is written, if it has a spelling. Null has none.
    pub fn text(&self) -> Option<&'a str> {
        let text = self.node.text.as_deref();
        text.filter(|_| !self.is_null())
    }

    /// Records a fault of the value, unless the same one is already recorded.
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

    pub fn flag(&self) -> Option<bool> {
        match self.node.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub fn is_text(&self) -> bool {
        matches!(self.node.value, Value::Text)
    }

    /// Records the fault that the value has the wrong kind. Returns `None`.
    pub fn wrong_kind<T>(&self, expected: &str) -> Option<T> {
        let kind = self.node.kind();
        self.fault(format_args!("expected {expected}, found {kind}"));
        None
    }

    /// The whole number. Records a fault for any other value.
    pub fn whole_number(&self, expected: &str) -> Option<u32> {
        let number = match &self.node.value {
            Value::Number(number) => number.as_u64().and_then(|number| number.try_into().ok()),
            _ => None,
        };
        number.or_else(|| self.wrong_kind(expected))
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

    /// The items of a list. Records a fault for any other value.
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

    /// Records the fault of a value that is not such a mapping.
    fn misshapen(&self, form: Form) {
        if !self.has_all_faults() {
            let advice = (form.advice)(self.node);
            self.fault(format_args!("{}{advice}", form.expected));
        }
    }

    /// The keys of a mapping. Null has no keys. Any other value has no keys either, and is a fault.
    pub fn keys(self, form: impl Into<Form>) -> Keys<'a> {
        let form = form.into();
        let wrong = &mut |node: &'a Node<'a>, problem| self.value(MERGE, node).fault(problem);
        let keys = Keys {
            entries: self.node.merged(wrong),
            here: self,
            // A variable has the most keys.
            asked: Vec::with_capacity(32),
            words: form.words,
        };
        if !keys.is_mapping() {
            keys.here.misshapen(form);
        }
        keys.check_repetitions();
        keys
    }
}

/// A type that can be read from the value of a key. A value of another kind is a fault.
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
        cursor.flag().or_else(|| cursor.wrong_kind("true or false"))
    }
}

impl Read for u32 {
    fn read(cursor: &Cursor<'_>) -> Option<Self> {
        cursor.whole_number("a whole number of at least 0")
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

/// A list of texts, or a single text, which counts as a list with one item. An item that is not a text is a fault, and
/// read as an empty text.
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
    /// With those of the mappings that are merged into this one.
    entries: Vec<&'a Entry<'a>>,
    asked: Vec<&'static str>,
    /// Keys of other tools.
    words: &'static [Words],
}

impl<'a> Keys<'a> {
    fn is_mapping(&self) -> bool {
        matches!(self.here.node.value, Value::Mapping(_) | Value::Null)
    }

    /// Records a fault for each key that is set more than once.
    fn check_repetitions(&self) {
        let mut entries = self.entries.clone();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        for same in entries.chunk_by(|(one, _), (other, _)| one == other) {
            let line = same[0].1.line.map(|line| format!(" on line {line}"));
            let line = line.unwrap_or_default();
            let repeated = same[1..].iter();
            for (key, node) in repeated.take_while(|_| !self.here.has_all_faults()) {
                let message = format_args!("is already set{line}");
                self.here.value(key, node).fault(message);
            }
        }
    }

    /// Records a fault of a key. If the key is absent, the fault has the line of the mapping.
    pub fn fault(&self, key: &str, message: impl fmt::Display) {
        if !self.here.has_all_faults() {
            let node = self.find(key).unwrap_or(self.here.node);
            self.here.value(key, node).fault(message);
        }
    }

    /// Records a fault of a key if `is_wrong` is true.
    pub fn fault_if(&self, is_wrong: bool, key: &str, message: impl fmt::Display) {
        if is_wrong {
            self.fault(key, message);
        }
    }

    /// Records a fault for each key that was not read. Returns whether one of them is a word of another tool.
    pub fn finish(&mut self) -> bool {
        // The names are not needed any more, and a large manifest has very many of these lists.
        let asked = std::mem::take(&mut self.asked);
        // Tools put what several entries share under such a key of the root.
        let is_extension = |key: &str| self.here.path.is_empty() && key.starts_with("x-");
        let is_unknown = |(key, _): &&&Entry<'_>| !asked.contains(&&**key) && !is_extension(key);
        let unknown = self.entries.iter().filter(is_unknown);
        let mut has_advice = false;
        for (key, node) in unknown.take_while(|_| !self.here.has_all_faults()) {
            let mut hint = self.near(key, asked.iter().copied());
            if let Some(advice) = advice_on(key, self.words) {
                has_advice = true;
                let name = node.text.as_deref().filter(|text| is_name(text));
                let advice = advice.replace("{NAME}", name.unwrap_or("NAME"));
                hint = format!("; {advice}");
            } else if hint.is_empty() {
                hint = format!("; known keys: {}", asked.join(", "));
            }
            let message = format_args!("unknown key `{}`{hint}", shown(key));
            self.here.value(key, node).fault(message);
        }
        has_advice
    }

    /// Returns `; did you mean X?` if a known word is similar, otherwise an empty text.
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

    /// Like `value`, and marks the key as known for `finish`.
    pub fn get(&mut self, key: &'static str) -> Option<Cursor<'a>> {
        self.asked.push(key);
        self.value(key)
    }

    pub fn read<T: Read>(&mut self, key: &'static str) -> Option<T> {
        T::read(&self.get(key)?)
    }

    /// Like `read`, and records a fault if the value is not valid.
    pub fn read_valid<T: Read>(
        &mut self,
        key: &'static str,
        is_valid: impl FnOnce(&T) -> bool,
        message: impl fmt::Display,
    ) -> Option<T> {
        let value = self.read(key)?;
        self.fault_if(!is_valid(&value), key, message);
        Some(value)
    }

    /// Reads a word, and looks it up in a table. Any other word is a fault.
    pub fn choice<T: Copy>(&mut self, key: &'static str, table: &[(&str, T)]) -> Option<T> {
        self.choice_with(key, table, &[])
    }

    /// Like `choice`, with words of other tools.
    pub fn choice_with<T: Copy>(
        &mut self,
        key: &'static str,
        table: &[(&str, T)],
        words: Words,
    ) -> Option<T> {
        let word: String = self.read(key)?;
        if let Some((_, value)) = table.iter().find(|(name, _)| *name == word) {
            return Some(*value);
        }
        if let Some(advice) = advice_on(&word, &[words]) {
            self.fault(key, format_args!("unknown word `{word}`; {advice}"));
        } else {
            let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
            let near = self.near(&word, names.iter().copied());
            let names = names.join(", ");
            self.fault(key, format_args!("`{word}` is not one of {names}{near}"));
        }
        None
    }

    /// The keys of a mapping that is the value of a key.
    pub fn mapping(&mut self, key: &'static str, form: impl Into<Form>) -> Option<Keys<'a>> {
        let keys = self.get(key)?.keys(form);
        Some(keys).filter(Keys::is_mapping)
    }

    /// The keys of each mapping in the list that is the value of a key.
    pub fn list(&mut self, key: &'static str, form: Form) -> Vec<Keys<'a>> {
        let list = self.get(key).and_then(|list| list.items(form.list));
        let keys = list.into_iter().flatten().map(|item| item.keys(form));
        keys.filter(Keys::is_mapping).collect()
    }

    /// All keys with their values, in the order of the text, until [`MAX_FAULTS`] are found.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Cursor<'a>)> {
        let entries = self.entries.iter();
        let entries = entries.take_while(|_| !self.here.has_all_faults());
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
