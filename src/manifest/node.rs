//! The YAML text as a tree that keeps duplicate keys, places and the spelling of scalars.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_yaml::Number;

/// The largest tree that a text may become, in bytes of its scalars and 1 more for each node. Without aliases, a
/// text of the largest size stays below it.
const MAX_TREE: usize = 2 * 1024 * 1024;

/// How far the next word of a text of several lines is looked for, in bytes.
const MAX_GAP: usize = 1000;

/// A value of the YAML text.
pub struct Node<'a> {
    /// The byte of the text at which its first scalar stands. A list's items always have one.
    pub at: Option<usize>,
    /// How a null, a Boolean or a number is written; known after [`Node::spell`].
    pub spelling: Option<Cow<'a, str>>,
    pub value: Value<'a>,
}

pub enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Mapping(Vec<Entry<'a>>),
}

/// A key with its value. A mapping may have several entries with the same key.
pub struct Entry<'a> {
    pub key: Cow<'a, str>,
    /// The byte of the text at which the key stands.
    pub at: usize,
    pub node: Node<'a>,
}

impl<'a> Node<'a> {
    /// Reads a text.
    ///
    /// # Errors
    /// When the text is not one YAML document, has a key that is not a scalar, is nested deeper than the parser
    /// admits, or has aliases that expand to more than [`MAX_TREE`].
    pub fn parse(text: &'a str) -> Result<Self, serde_yaml::Error> {
        let reader = Reader {
            text,
            end: Cell::new(0),
            size: Cell::new(0),
        };
        reader.deserialize(serde_yaml::Deserializer::from_str(text))
    }

    /// Reads the same text again for the spelling of the scalars that are not texts.
    ///
    /// The parser hands over `1.10` either as a number or as a text, and has to be told which before it is known
    /// what stands there. Most manifests do without this second reading.
    pub fn spell(&mut self, text: &'a str) -> Result<(), serde_yaml::Error> {
        Spelling(self).deserialize(serde_yaml::Deserializer::from_str(text))
    }

    /// What a fault calls this value. The value itself may be a secret.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

/// Makes nodes of what the parser finds.
struct Reader<'a> {
    text: &'a str,
    /// Where the last scalar with a known place ends.
    end: Cell<usize>,
    /// Of the tree so far, as [`MAX_TREE`] counts.
    size: Cell<usize>,
}

impl<'a> Reader<'a> {
    fn node<E: Error>(&self, value: Value<'a>, at: Option<usize>) -> Result<Node<'a>, E> {
        let length = match &value {
            Value::Text(text) => text.len(),
            _ => 0,
        };
        self.size.set(self.size.get() + 1 + length);
        if self.size.get() > MAX_TREE {
            return Err(E::custom("its aliases expand it to more than 2 MiB"));
        }
        Ok(Node {
            at,
            spelling: None,
            value,
        })
    }

    /// The place of a scalar that the parser has not copied: it is a part of the text.
    fn place_of(&self, scalar: &str) -> usize {
        let at = scalar.as_ptr().addr() - self.text.as_ptr().addr();
        // An alias leads back to its anchor.
        self.end.set(self.end.get().max(at + scalar.len()));
        at
    }

    /// The place of the next thing in the text: the dash of an item, or the first character of a scalar.
    fn next_place(&self) -> usize {
        let mut rest = &self.text[self.end.get()..];
        loop {
            rest = rest
                .trim_start_matches([' ', '\t', '\r', '\n', ',', ':', '"', '\'', '[', ']', '}']);
            if !rest.starts_with('#') {
                break;
            }
            rest = rest.trim_start_matches(|character| character != '\n');
        }
        let at = self.text.len() - rest.len();
        let item = rest.trim_start_matches('-').trim_start_matches(' ');
        let end = item.find([' ', ',', '\n', ']']).unwrap_or(item.len());
        self.end.set(self.text.len() - item.len() + end);
        at
    }

    /// Notes where a text ends that the parser has copied because it has escapes or stands on several lines. Its
    /// words stand in the manifest in the same order.
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

impl<'a> DeserializeSeed<'a> for &Reader<'a> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for &Reader<'a> {
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

    /// No key admits a number that large, but its digits may be a text.
    fn visit_u128<E: Error>(self, number: u128) -> Result<Node<'a>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Node<'a>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node<'a>, E> {
        self.node(Value::Number(number.into()), None)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Node<'a>, E> {
        self.node(Value::Text(text.into()), Some(self.place_of(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node<'a>, E> {
        let at = self.next_place();
        self.pass(at, text);
        self.node(Value::Text(text.to_owned().into()), Some(at))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut source: A) -> Result<Node<'a>, A::Error> {
        let mut items = Vec::new();
        while let Some(mut item) = source.next_element_seed(self)? {
            item.at = item.at.or_else(|| Some(self.next_place()));
            items.push(item);
        }
        let at = items.first().and_then(|item: &Node<'_>| item.at);
        self.node(Value::List(items), at)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut source: A) -> Result<Node<'a>, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = source.next_key_seed(Key(self))? {
            let node = source.next_value_seed(self)?;
            // Always, because a key is read as a text, and a text has a place.
            if let (Value::Text(key), Some(at)) = (key.value, key.at) {
                entries.push(Entry { key, at, node });
            }
        }
        let at = entries.first().map(|entry| entry.at);
        self.node(Value::Mapping(entries), at)
    }

    /// A value with a tag such as `!secret`, which is left out.
    fn visit_enum<A: EnumAccess<'a>>(self, source: A) -> Result<Node<'a>, A::Error> {
        let (IgnoredAny, value) = source.variant_seed(PhantomData)?;
        value.newtype_variant_seed(self)
    }
}

/// Reads a key, which is a text however it is written.
struct Key<'r, 'a>(&'r Reader<'a>);

impl<'a> DeserializeSeed<'a> for Key<'_, 'a> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        deserializer.deserialize_str(self.0)
    }
}

/// Fills in the spelling of the scalars of a node that was read from the same place.
struct Spelling<'n, 'a>(&'n mut Node<'a>);

impl<'a> DeserializeSeed<'a> for Spelling<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0.value {
            Value::List(_) => deserializer.deserialize_seq(self),
            Value::Mapping(_) => deserializer.deserialize_map(self),
            _ => deserializer.deserialize_str(self),
        }
    }
}

impl<'a> Visitor<'a> for Spelling<'_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the same value again")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<(), E> {
        self.0.spelling = Some(text.into());
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.spelling = Some(text.to_owned().into());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut source: A) -> Result<(), A::Error> {
        if let Value::List(items) = &mut self.0.value {
            for item in items {
                source.next_element_seed(Spelling(item))?;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut source: A) -> Result<(), A::Error> {
        if let Value::Mapping(entries) = &mut self.0.value {
            for entry in entries {
                source.next_key::<IgnoredAny>()?;
                source.next_value_seed(Spelling(&mut entry.node))?;
            }
        }
        Ok(())
    }
}
