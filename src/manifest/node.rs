//! The YAML text as a tree that keeps duplicate keys, line numbers and the spelling of scalars.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_yaml::Number;

/// The maximum number of nested brackets, far more than any manifest has. The parser itself rejects a depth of 128.
const MAX_DEPTH: usize = 1000;

/// The maximum size of a tree: the sum of its scalars' lengths in bytes, plus 1 per node. Only aliases can make a tree
/// larger than this, because the size of the text is limited.
const MAX_TREE: usize = 2 * 1024 * 1024;

/// The maximum distance between two words of a scalar that spans several lines, in bytes.
const MAX_GAP: usize = 1000;

/// One fault of the manifest.
#[derive(Debug, PartialEq)]
pub struct Fault {
    /// The line on which the entry or item begins, counted from 1. `None` if the fault has no line.
    pub line: Option<usize>,
    /// The path, such as `steps[0].command`, and what is wrong there.
    pub message: String,
}

impl Fault {
    /// Creates a fault of the text as a whole, without a path.
    pub fn of_text(line: Option<usize>, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { line, message }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(out, "line {line}: ")?;
        }
        out.write_str(&self.message)
    }
}

/// A value of the YAML text.
#[derive(Clone)]
pub struct Node<'a> {
    /// The line of its key, or on which it begins as an item of a list, counted from 1. `None` for the root.
    pub line: Option<usize>,
    /// The scalar as it is written. `None` for lists and mappings, and for a null, Boolean or number unless the tree is
    /// from [`Node::spelled`].
    pub text: Option<Cow<'a, str>>,
    pub value: Value<'a>,
}

#[derive(Clone)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text,
    List(Vec<Node<'a>>),
    Mapping(Vec<Entry<'a>>),
}

/// A key with its value. A mapping may have several entries with the same key.
pub type Entry<'a> = (Cow<'a, str>, Node<'a>);

impl<'a> Value<'a> {
    /// The items of a list. Empty for any other value.
    pub fn items(&self) -> &[Node<'a>] {
        match self {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of a mapping. Empty for any other value.
    pub fn entries(&self) -> &[Entry<'a>] {
        match self {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }
}

impl<'a> Node<'a> {
    /// Parses a text, whose root must be a mapping.
    ///
    /// # Errors
    /// If the text is empty, is not a single YAML document, has a key that is not a scalar, is nested too deeply, or
    /// has aliases that make the tree larger than [`MAX_TREE`].
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        if is_blank(text) {
            let message = "the file is empty; it needs at least `version: 1`";
            return Err(Fault::of_text(None, message));
        }
        if let Some(line) = too_deep(text) {
            return Err(Fault::of_text(Some(line), "the file is nested too deeply"));
        }
        let tree = read(text, None)?;
        if matches!(tree.value, Value::Mapping(_)) {
            return Ok(tree);
        }
        let message = "the manifest must be a mapping of keys such as version and variables";
        Err(Fault::of_text(None, message))
    }

    /// Parses the same text again, and keeps the spelling of every scalar.
    ///
    /// The parser returns `1.10` either as a number or as a text, and which of them must be requested before the value
    /// is known. So the first pass determines the kinds of values, and this one reads all scalars as texts. Most
    /// manifests do not need it.
    ///
    /// # Errors
    /// If the spelling makes the tree larger than [`MAX_TREE`].
    pub fn spelled(&self, text: &'a str) -> Result<Self, Fault> {
        read(text, Some(&self.value))
    }

    /// The name of the value's kind, for faults, which must not contain the value because it may be a secret.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text => "a text",
            Value::List(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

fn read<'a>(text: &'a str, known: Option<&Value<'a>>) -> Result<Node<'a>, Fault> {
    let breaks = memchr::memchr_iter(b'\n', text.as_bytes());
    let progress = Progress {
        text,
        lines: std::iter::once(0).chain(breaks.map(|at| at + 1)).collect(),
        end: Cell::new(0),
        size: Cell::new(0),
        number_size: longest_number(text),
    };
    let progress = &progress;
    let tree = Reader { progress, known }.deserialize(serde_yaml::Deserializer::from_str(text));
    let tree = tree.map_err(|error| syntax_fault(&error))?;
    Ok(Node { line: None, ..tree })
}

fn syntax_fault(error: &serde_yaml::Error) -> Fault {
    let message = error.to_string();
    // The position is moved to the beginning of the message.
    let message = message.split(" at line ").next().unwrap_or_default();
    let place = error.location().map_or_else(String::new, |place| {
        format!("line {}, column {}: ", place.line(), place.column())
    });
    Fault::of_text(
        None,
        format!("{place}the file is not valid YAML: {message}"),
    )
}

fn is_blank(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// The line on which a text becomes nested too deeply, counted from 1. `None` if it does not.
///
/// The YAML parser visits every open bracket at every token, so it would take hours to reject a large text of nothing
/// but brackets. Only brackets at positions where a value may begin are counted, not those inside a scalar, such as in
/// a pattern.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut may_begin = true;
    for (position, &byte) in text.as_bytes().iter().enumerate() {
        match byte {
            b'[' | b'{' if may_begin => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(text[..position].matches('\n').count() + 1);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            // After white space a value may begin if it may begin before it.
            b' ' | b'\t' | b'\r' => continue,
            _ => {}
        }
        may_begin = matches!(byte, b'[' | b'{' | b',' | b':' | b'-' | b'?' | b'\n');
    }
    None
}

/// The length of the longest number in a text with aliases, and 0 for a text without them. The parser reads the digits
/// of a number again for each alias, and does not return how many there are.
fn longest_number(text: &str) -> usize {
    if !(text.contains('&') && text.contains('*')) {
        return 0;
    }
    let is_part = |other: char| other.is_ascii_alphanumeric() || "+-._".contains(other);
    let words = text.split(|other| !is_part(other));
    let numbers = words.filter(|word| word.starts_with(|first: char| !first.is_ascii_alphabetic()));
    numbers.map(str::len).max().unwrap_or_default()
}

/// How far a text has been read.
struct Progress<'a> {
    text: &'a str,
    /// The offset at which each line begins, in bytes.
    lines: Vec<usize>,
    /// The offset of the end of the last scalar whose position is known, in bytes.
    end: Cell<usize>,
    /// The size of the tree so far, in the unit of [`MAX_TREE`].
    size: Cell<usize>,
    /// The size of a number.
    number_size: usize,
}

impl Progress<'_> {
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|&start| start <= at)
    }

    /// The offset of a scalar that the parser has borrowed from the text, in bytes.
    fn place_of(&self, scalar: &str) -> usize {
        let at = scalar.as_ptr().addr() - self.text.as_ptr().addr();
        // The scalar of an alias is at its anchor, before the current end.
        self.end.set(self.end.get().max(at + scalar.len()));
        at
    }

    /// The offset of the next node in the text: of the dash of an item, or of the first character of a scalar.
    fn next_place(&self) -> usize {
        let rest = &self.text[self.end.get()..];
        let mut rest = rest.trim_start_matches(['"', '\'']);
        let (at, item) = loop {
            rest = rest.trim_start_matches([' ', '\t', '\r', '\n', ',', ':', '[', ']', '}']);
            let item = rest.trim_start_matches(['-', ' ']);
            rest = match rest.bytes().next() {
                Some(b'#') => rest.trim_start_matches(|other| other != '\n'),
                // The position of an alias's target is already known.
                _ if item.starts_with('*') => item.trim_start_matches(is_inside_item),
                _ => break (self.text.len() - rest.len(), item),
            };
        };
        let after = item.trim_start_matches(is_inside_item);
        self.end.set(self.text.len() - after.len());
        at
    }

    /// Moves to the end of a scalar that the parser has copied, because it has escapes or spans several lines. Its
    /// words occur in the text in the same order.
    fn pass(&self, at: usize, text: &str) {
        let mut end = at;
        for word in text.split_whitespace() {
            let rest = &self.text.as_bytes()[end..];
            let near = &rest[..rest.len().min(MAX_GAP)];
            if let Some(gap) = memchr::memmem::find(near, word.as_bytes()) {
                end += gap + word.len();
            }
        }
        self.end.set(self.end.get().max(end));
    }
}

fn is_inside_item(character: char) -> bool {
    ![' ', ',', '\n', ']'].contains(&character)
}

/// Builds the nodes from the parser's events.
#[derive(Clone, Copy)]
struct Reader<'r, 'a> {
    progress: &'r Progress<'a>,
    /// The value at this position from the first pass.
    known: Option<&'r Value<'a>>,
}

impl<'r, 'a> Reader<'r, 'a> {
    fn knowing(self, known: Option<&'r Value<'a>>) -> Self {
        Self { known, ..self }
    }

    fn node<E: Error>(
        self,
        value: Value<'a>,
        text: Option<Cow<'a, str>>,
        line: Option<usize>,
    ) -> Result<Node<'a>, E> {
        let size = &self.progress.size;
        let length = match (&text, &value) {
            (Some(text), _) => text.len(),
            (None, Value::Number(_)) => self.progress.number_size,
            (None, _) => 0,
        };
        size.set(size.get() + 1 + length);
        if size.get() > MAX_TREE {
            return Err(E::custom("its aliases expand it to more than 2 MiB"));
        }
        Ok(Node { line, text, value })
    }

    fn text<E: Error>(self, text: Cow<'a, str>, at: usize) -> Result<Node<'a>, E> {
        self.node(Value::Text, Some(text), Some(self.progress.line(at)))
    }
}

impl<'a> DeserializeSeed<'a> for Reader<'_, 'a> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        match self.known {
            None | Some(Value::List(_) | Value::Mapping(_)) => deserializer.deserialize_any(self),
            Some(scalar) => Ok(Node {
                value: scalar.clone(),
                ..deserializer.deserialize_str(self)?
            }),
        }
    }
}

impl<'a> Visitor<'a> for Reader<'_, 'a> {
    type Value = Node<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text, a number, a list or a mapping")
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'a>, E> {
        self.node(Value::Null, None, None)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'a>, E> {
        self.node(Value::Bool(value), None, None)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node<'a>, E> {
        self.node(Value::Number(number.into()), None, None)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node<'a>, E> {
        self.node(Value::Number(number.into()), None, None)
    }

    /// No key admits such a large number, but it may be the digits of a text.
    fn visit_u128<E: Error>(self, _: u128) -> Result<Node<'a>, E> {
        self.visit_f64(f64::INFINITY)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Node<'a>, E> {
        self.visit_f64(f64::NEG_INFINITY)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node<'a>, E> {
        self.node(Value::Number(number.into()), None, None)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Node<'a>, E> {
        self.text(text.into(), self.progress.place_of(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node<'a>, E> {
        let at = self.progress.next_place();
        self.progress.pass(at, text);
        self.text(text.to_owned().into(), at)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut source: A) -> Result<Node<'a>, A::Error> {
        let mut items: Vec<Node<'_>> = Vec::new();
        let known = self.known.map_or(&[][..], Value::items);
        let known = |index: usize| self.knowing(known.get(index).map(|node| &node.value));
        while let Some(mut item) = source.next_element_seed(known(items.len()))? {
            if item.line.is_none() {
                item.line = Some(self.progress.line(self.progress.next_place()));
            }
            items.push(item);
        }
        let line = items.first().and_then(|item| item.line);
        self.node(Value::List(items), None, line)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut source: A) -> Result<Node<'a>, A::Error> {
        let mut entries: Vec<Entry<'_>> = Vec::new();
        let known = self.known.map_or(&[][..], Value::entries);
        let known = |index: usize| self.knowing(known.get(index).map(|(_, node)| &node.value));
        // A key is always read as a text.
        while let Some(key) = source.next_key_seed(self.knowing(Some(&Value::Text)))? {
            let line = key.line;
            let node = source.next_value_seed(known(entries.len()))?;
            entries.push((key.text.unwrap_or_default(), Node { line, ..node }));
        }
        let line = entries.first().and_then(|(_, node)| node.line);
        self.node(Value::Mapping(entries), None, line)
    }

    /// Reads a value with a tag such as `!secret`, which is ignored.
    fn visit_enum<A: EnumAccess<'a>>(self, source: A) -> Result<Node<'a>, A::Error> {
        let (IgnoredAny, value) = source.variant()?;
        value.newtype_variant_seed(self)
    }
}

#[cfg(test)]
mod tests {
    use super::too_deep;

    #[test]
    fn too_many_open_brackets_are_found_on_one_or_several_lines() {
        assert_eq!(too_deep(&format!("a: {}", "[".repeat(1000))), None);
        assert_eq!(too_deep(&format!("a: {}", "[".repeat(1001))), Some(1));
        assert_eq!(
            too_deep(&format!("a:\n{}", "{b:\n".repeat(2000))),
            Some(1002)
        );
        assert_eq!(too_deep(&"- [ ".repeat(2000)), Some(1));
    }

    #[test]
    fn brackets_in_texts_and_closed_ones_do_not_count() {
        let pattern = "A: {pattern: \"^\\\\[x\", hint: 'a [ in a text'}\n";
        assert_eq!(too_deep(&pattern.repeat(5000)), None);
        assert_eq!(too_deep(&"a: [[x], {y: z}]\n".repeat(5000)), None);
        assert_eq!(too_deep(""), None);
    }
}
