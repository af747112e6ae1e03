//! The YAML text as a tree that keeps duplicate keys and the spelling of scalars.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::slice;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_yaml::Number;

use super::words::{meaning, other_file};

/// The maximum number of nested brackets, far more than any manifest has. The parser itself rejects a depth of 128.
const MAX_DEPTH: usize = 1000;

/// The maximum size of a tree: the sum of its scalars' lengths in bytes, plus 1 per node. Only aliases can make a tree
/// larger than this, because the size of the text is limited.
const MAX_TREE: usize = 2 * 1024 * 1024;

/// The key whose value is a mapping, or a list of mappings, with further entries for its mapping.
pub const MERGE: &str = "<<";

/// What stands for a key that is written as `"<<"` or `'<<'`, which is a key like any other.
const QUOTED_MERGE: &str = "\"<<\"";

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
    /// The line, counted from 1, of its key, or on which the item of a list begins. `None` for the whole text, and
    /// before [`Node::locate`].
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
        let tree = read(text, None);
        if matches!(&tree, Ok(tree) if matches!(tree.value, Value::Mapping(_))) {
            return tree;
        }
        if let Some((line, message)) = other_file(text) {
            return Err(Fault::of_text(Some(line), message));
        }
        tree?;
        let message = "the manifest must be a mapping of keys such as `version: 1`, with a space behind the colon";
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

    /// Sets the line of every node below this one, which is the tree of the text, and renames the keys that are a quoted
    /// `<<`. A node that [`lines_of`] does not reach stays as it is.
    pub fn locate(&mut self, text: &str) {
        self.set_lines(&mut lines_of(text).into_iter().skip(1));
    }

    /// Sets the line of every node from the items of [`lines_of`], without the one of this node.
    fn set_lines(&mut self, lines: &mut impl Iterator<Item = (usize, bool)>) {
        match &mut self.value {
            Value::List(items) => {
                for item in items {
                    item.line = lines.next().map(|(line, _)| line);
                    item.set_lines(lines);
                }
            }
            Value::Mapping(entries) => {
                for (key, node) in entries {
                    let (line, is_quoted) = lines.next().unzip();
                    node.line = line;
                    if is_quoted == Some(true) && key == MERGE {
                        *key = QUOTED_MERGE.into();
                    }
                    // An entry has the line of its key.
                    lines.next();
                    node.set_lines(lines);
                }
            }
            _ => {}
        }
    }

    /// The entries of a mapping, and those that its merge key adds. An entry of the mapping itself takes precedence over
    /// an added one, and so does an entry of an earlier mapping in the merge key's list. `wrong` is called with each
    /// value that cannot be merged, and what is wrong with it. Any other value has no entries.
    pub fn merged<'n>(&'n self, wrong: &mut dyn FnMut(&'n Self, String)) -> Vec<&'n Entry<'a>> {
        let is_merge = |(key, _): &&Entry<'_>| key == MERGE;
        let (merges, mut found): (Vec<_>, Vec<_>) = self.value.entries().iter().partition(is_merge);
        let Some(((_, merge), others)) = merges.split_first() else {
            return found;
        };
        let mut names: HashSet<&str> = found.iter().map(|(key, _)| &**key).collect();
        let sources = match &merge.value {
            Value::List(items) => items,
            _ => slice::from_ref(merge),
        };
        for source in sources {
            if matches!(source.value, Value::Mapping(_)) {
                let mut added = source.merged(wrong);
                added.retain(|(key, _)| !names.contains(&**key));
                names.extend(added.iter().map(|(key, _)| &**key));
                found.append(&mut added);
            } else {
                let kind = source.kind();
                let problem = format!("expected a mapping or a list of mappings, found {kind}");
                wrong(source, problem);
            }
        }
        for (_, again) in others {
            let problem = "is set twice; write one list: `<<: [*a, *b]`";
            wrong(again, problem.to_owned());
        }
        found
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
    let reader = Reader {
        size: &Cell::new(0),
        number_size: longest_number(text),
        known,
    };
    let tree = reader.deserialize(serde_yaml::Deserializer::from_str(text));
    let mut tree = tree.map_err(|error| syntax_fault(text, &error))?;
    // This parser does not tell a quoted `<<` from a merge key, so the other one must.
    if text.contains("\"<<\"") || text.contains("'<<'") {
        tree.locate(text);
    }
    Ok(tree)
}

/// The line of every node in a text, counted from 1, and whether it is a scalar in quotes. They are in the order of the
/// text: a list or a mapping comes before its keys and values. An alias has its own line, followed by the lines of the
/// nodes inside its anchor.
///
/// `serde_yaml` does not report positions, so a second parser reads the text. The lines end where that parser reports
/// an error: it is stricter about the indentation of lists and scalars that span several lines.
fn lines_of(text: &str) -> Vec<(usize, bool)> {
    let mut lines = Vec::new();
    let mut open = Vec::new();
    let mut anchors: BTreeMap<usize, Range<usize>> = BTreeMap::new();
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        if lines.len() > MAX_TREE {
            break;
        }
        let line = span.start.line();
        match event {
            Event::Scalar(_, style, ..) => lines.push((line, style != ScalarStyle::Plain)),
            Event::Alias(anchor) => {
                lines.push((line, false));
                lines.extend_from_within(anchors.get(&anchor).cloned().unwrap_or_default());
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                lines.push((line, false));
                open.push((anchor, lines.len()));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let closed = open.pop();
                anchors.extend(closed.map(|(anchor, start)| (anchor, start..lines.len())));
            }
            _ => {}
        }
    }
    lines
}

fn syntax_fault(text: &str, error: &serde_yaml::Error) -> Fault {
    let message = error.to_string();
    // The position is moved to the beginning of the message.
    let message = message.split(" at line ").next().unwrap_or_default();
    let location = error.location();
    let (line, column) = location.map_or((0, 0), |at| (at.line(), at.column()));
    let message = meaning(message, text, (line, column));
    let place = match line {
        0 => String::new(),
        _ => format!("line {line}, column {column}: "),
    };
    let message = format!("{place}the file is not valid YAML: {message}");
    Fault::of_text(None, message)
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

/// Builds the nodes from the parser's events.
#[derive(Clone, Copy)]
struct Reader<'r, 'a> {
    /// The size of the tree so far, in the unit of [`MAX_TREE`].
    size: &'r Cell<usize>,
    /// The size of a number.
    number_size: usize,
    /// The value at this position from the first pass.
    known: Option<&'r Value<'a>>,
}

impl<'r, 'a> Reader<'r, 'a> {
    fn knowing(self, known: Option<&'r Value<'a>>) -> Self {
        Self { known, ..self }
    }

    fn node<E: Error>(self, value: Value<'a>, text: Option<Cow<'a, str>>) -> Result<Node<'a>, E> {
        let length = match (&text, &value) {
            (Some(text), _) => text.len(),
            (None, Value::Number(_)) => self.number_size,
            (None, _) => 0,
        };
        self.size.update(|size| size + 1 + length);
        if self.size.get() > MAX_TREE {
            return Err(E::custom("its aliases expand it to more than 2 MiB"));
        }
        Ok(Node {
            line: None,
            text,
            value,
        })
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
        self.node(Value::Null, None)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'a>, E> {
        self.node(Value::Bool(value), None)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node<'a>, E> {
        self.node(Value::Number(number.into()), None)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node<'a>, E> {
        self.node(Value::Number(number.into()), None)
    }

    /// No key admits such a large number, but it may be the digits of a text.
    fn visit_u128<E: Error>(self, _: u128) -> Result<Node<'a>, E> {
        self.visit_f64(f64::INFINITY)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Node<'a>, E> {
        self.visit_f64(f64::NEG_INFINITY)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node<'a>, E> {
        self.node(Value::Number(number.into()), None)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Node<'a>, E> {
        self.node(Value::Text, Some(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node<'a>, E> {
        self.node(Value::Text, Some(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut source: A) -> Result<Node<'a>, A::Error> {
        let mut items: Vec<Node<'_>> = Vec::new();
        let known = self.known.map_or(&[][..], Value::items);
        let known = |index: usize| self.knowing(known.get(index).map(|node| &node.value));
        while let Some(item) = source.next_element_seed(known(items.len()))? {
            items.push(item);
        }
        self.node(Value::List(items), None)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut source: A) -> Result<Node<'a>, A::Error> {
        let mut entries: Vec<Entry<'_>> = Vec::new();
        let known = self.known.map_or(&[][..], Value::entries);
        let known = |index: usize| self.knowing(known.get(index).map(|(_, node)| &node.value));
        // A key is always read as a text.
        while let Some(key) = source.next_key_seed(self.knowing(Some(&Value::Text)))? {
            let node = source.next_value_seed(known(entries.len()))?;
            entries.push((key.text.unwrap_or_default(), node));
        }
        self.node(Value::Mapping(entries), None)
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
