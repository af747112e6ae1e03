//! The manifest as a tree that knows its lines: for telling faults, never for reading a sound manifest.
//!
//! serde has no way to ask a deserializer where it stands, and `serde_yaml` tells a line only in an error.
//! So every key is answered with an error that carries the key, `serde_yaml` adds the line to it, and the
//! walk goes on behind the key, which it has consumed. That a parser's error is followed by more of the
//! same document is unusual; the tests here hold it to that.

use std::collections::HashMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::fault::{Path, Segment};

/// A value of the YAML text.
#[derive(Debug, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key with its value. Keys of one mapping can be the same: that is for the reader to tell.
#[derive(Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    /// The key's line, counted from 1.
    pub line: usize,
    pub value: Node,
}

impl Node {
    /// Reads a text.
    ///
    /// # Errors
    /// Where it is no YAML, or more than a tree of scalars: a tag, a key that is no scalar, too deep.
    pub fn read(text: &str) -> Result<Self, serde_yaml::Error> {
        NodeSeed.deserialize(serde_yaml::Deserializer::from_str(text))
    }

    /// The line of the last key that a path passes as far as it exists here. An item of a sequence has the
    /// line of its first key.
    pub fn line_of(&self, path: &Path) -> Option<usize> {
        let mut node = self;
        let mut line = None;
        for segment in path.segments() {
            node = match (segment, node) {
                (Segment::Key(key), Node::Mapping(entries)) => {
                    let Some(entry) = entries.iter().find(|entry| entry.key == *key) else {
                        break;
                    };
                    line = Some(entry.line);
                    &entry.value
                }
                (Segment::Index(index), Node::Sequence(items)) => {
                    let Some(item) = items.get(*index) else {
                        break;
                    };
                    if let Node::Mapping(entries) = item {
                        line = entries.first().map(|entry| entry.line).or(line);
                    }
                    item
                }
                _ => break,
            };
        }
        line
    }
}

impl Node {
    /// The line of each key below a key of the whole text.
    pub fn lines_below(&self, key: &str) -> HashMap<String, usize> {
        let entries_of = |node: &Node| match node {
            Node::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.line))
                .collect(),
            _ => HashMap::new(),
        };
        let Node::Mapping(entries) = self else {
            return HashMap::new();
        };
        let below = entries.iter().find(|entry| entry.key == key);
        below
            .map(|entry| entries_of(&entry.value))
            .unwrap_or_default()
    }
}

struct NodeSeed;

impl<'de> DeserializeSeed<'de> for NodeSeed {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed {
    type Value = Node;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text, a number, a list or a mapping")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Integer(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Integer(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Float(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element_seed(NodeSeed)? {
            nodes.push(node);
        }
        Ok(Node::Sequence(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        loop {
            let answer = match source.next_key_seed(KeySeed) {
                Ok(None) => return Ok(Node::Mapping(entries)),
                Ok(Some(never)) => match never {},
                Err(answer) => answer,
            };
            let Some((key, line)) = read_answer(&answer.to_string()) else {
                return Err(answer);
            };
            let value = source.next_value_seed(NodeSeed)?;
            entries.push(Entry { key, line, value });
        }
    }
}

/// Precedes the key in an answer, and stands in no YAML text: the parser refuses control characters.
const MARK: char = '\u{1}';

/// Answers every key with an error that holds it.
struct KeySeed;

/// What never comes back from a key.
enum Never {}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Never;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Never, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Never;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name as the key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Never, E> {
        Err(E::custom(format_args!("{MARK}{key}{MARK}")))
    }
}

/// The key and the line of an answer, `…<mark>KEY<mark> at line N column M`; at the very beginning of the
/// text `serde_yaml` leaves the place out.
fn read_answer(message: &str) -> Option<(String, usize)> {
    let (_, answer) = message.split_once(MARK)?;
    let (key, place) = answer.rsplit_once(MARK)?;
    let line = match place.strip_prefix(" at line ") {
        Some(place) => place.split(' ').next()?.parse().ok()?,
        None => 1,
    };
    Some((key.to_owned(), line))
}

#[cfg(test)]
mod tests {
    use super::{Node, Path};

    fn line(text: &str, path: &Path) -> Option<usize> {
        Node::read(text).expect("this text is YAML").line_of(path)
    }

    #[test]
    fn every_key_has_its_line_whatever_the_style() {
        let text = "a: 1\n# b: not here\n\"b\":\n  c: {d: 1,\n    e: [x]}\n  'f g': |\n    b: text\n\nsteps:\n  - name: x\n    command: []\n  -\n    name: y\n";
        let root = Path::default();
        assert_eq!(line(text, &root.key("a")), Some(1));
        assert_eq!(line(text, &root.key("b")), Some(3));
        assert_eq!(line(text, &root.key("b").key("c").key("d")), Some(4));
        assert_eq!(line(text, &root.key("b").key("c").key("e")), Some(5));
        assert_eq!(line(text, &root.key("b").key("f g")), Some(6));
        assert_eq!(line(text, &root.key("b").key("absent")), Some(3));
        assert_eq!(line(text, &root.key("steps").index(0)), Some(10));
        assert_eq!(
            line(text, &root.key("steps").index(1).key("name")),
            Some(13)
        );
        assert_eq!(line(text, &root.key("absent")), None);
    }

    #[test]
    fn equal_keys_are_both_kept() {
        let Ok(Node::Mapping(entries)) = Node::read("a: 1\na: 2\n") else {
            panic!("this is a mapping")
        };
        let kept: Vec<_> = entries
            .iter()
            .map(|entry| (entry.key.as_str(), entry.line))
            .collect();
        assert_eq!(kept, [("a", 1), ("a", 2)]);
    }

    #[test]
    fn a_syntax_error_behind_good_keys_is_still_told() {
        let error = Node::read("a: 1\nb: [1, 2\nc: 3\n").expect_err("this is no YAML");
        assert!(
            error.location().is_some_and(|place| place.line() >= 2),
            "{error}"
        );
    }

    #[test]
    fn a_key_that_is_no_name_is_refused() {
        assert!(Node::read("? [a, b]\n: 1\n").is_err());
    }
}
