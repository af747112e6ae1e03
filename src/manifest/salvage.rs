//! A faulty manifest, read key by key: each key that can be read is kept, each that cannot is a fault.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

use super::fault::{Fault, Path};
use super::raw::{RawManifest, RawServer, RawVariable, RawVariables};
use super::tree::{Entry, Node};
use crate::text::did_you_mean;

/// What an item of `steps` is expected to be.
const STEP: &str = "expected a mapping with name and command";

/// What an item of `wait_for` is expected to be.
const WAIT: &str = "expected a mapping such as {postgres: DATABASE_URL, timeout: 60s}";

/// Whatever of the tree can be read, and a fault for everything else.
pub fn salvage(tree: &Node) -> (RawManifest, Vec<Fault>) {
    let mut faults = Vec::new();
    let root = Path::default();
    let Node::Mapping(entries) = tree else {
        faults.push(Fault::at(
            root,
            "the manifest must be a mapping of keys such as version and variables",
        ));
        return (RawManifest::default(), faults);
    };
    let (nested, plain): (Vec<&Entry>, Vec<&Entry>) = unique(entries, &root, &mut faults)
        .into_iter()
        .partition(|entry| {
            matches!(
                entry.key.as_str(),
                "variables" | "wait_for" | "steps" | "server"
            )
        });
    let mut manifest: RawManifest = read_keys(&plain, &root, &mut faults);
    for entry in nested {
        let path = root.key(&entry.key);
        match (entry.key.as_str(), &entry.value) {
            (_, Node::Null) => {}
            ("variables", Node::Mapping(entries)) => {
                manifest.variables = Some(variables(entries, &path, &mut faults));
            }
            ("steps", Node::Sequence(items)) => {
                manifest.steps = Some(items_of(items, &path, STEP, &mut faults));
            }
            ("wait_for", Node::Sequence(items)) => {
                manifest.wait_for = Some(items_of(items, &path, WAIT, &mut faults));
            }
            ("server", Node::Mapping(entries)) => {
                manifest.server = Some(mapping::<RawServer>(entries, &path, &mut faults));
            }
            ("steps", _) => faults.push(Fault::at(
                path,
                "expected a list of steps, each with a name",
            )),
            ("wait_for", _) => faults.push(Fault::at(
                path,
                "expected a list such as [{postgres: DATABASE_URL}]",
            )),
            _ => faults.push(Fault::at(path, "expected a mapping")),
        }
    }
    (manifest, faults)
}

fn variables(entries: &[Entry], path: &Path, faults: &mut Vec<Fault>) -> RawVariables {
    let mut variables = Vec::new();
    for entry in unique(entries, path, faults) {
        let path = path.key(&entry.key);
        let variable = match &entry.value {
            Node::Null => RawVariable::default(),
            Node::Mapping(entries) => mapping(entries, &path, faults),
            _ => {
                faults.push(Fault::at(
                    path,
                    "expected a mapping such as {level: required, type: url}",
                ));
                RawVariable::default()
            }
        };
        variables.push((entry.key.clone(), variable));
    }
    RawVariables(variables)
}

/// A list of mappings; `expected` is the fault of an item that is none.
fn items_of<T: DeserializeOwned>(
    items: &[Node],
    path: &Path,
    expected: &str,
    faults: &mut Vec<Fault>,
) -> Vec<T> {
    let mut read = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = path.index(index);
        match item {
            Node::Mapping(entries) => read.push(mapping(entries, &path, faults)),
            _ => faults.push(Fault::at(path, expected)),
        }
    }
    read
}

fn mapping<T: DeserializeOwned>(entries: &[Entry], path: &Path, faults: &mut Vec<Fault>) -> T {
    let entries = unique(entries, path, faults);
    read_keys(&entries, path, faults)
}

/// The first of each key; the others are faults.
fn unique<'a>(entries: &'a [Entry], path: &Path, faults: &mut Vec<Fault>) -> Vec<&'a Entry> {
    let mut seen = std::collections::HashMap::new();
    let mut first = Vec::new();
    for entry in entries {
        match seen.get(entry.key.as_str()) {
            None => {
                seen.insert(entry.key.as_str(), entry.line);
                first.push(entry);
            }
            Some(line) => {
                let mut fault = Fault::at(
                    path.key(&entry.key),
                    format!("stands here again, after line {line}"),
                );
                fault.line = Some(entry.line);
                faults.push(fault);
            }
        }
    }
    first
}

/// A mapping of the keys that can be read, each tried alone.
fn read_keys<T: DeserializeOwned>(entries: &[&Entry], path: &Path, faults: &mut Vec<Fault>) -> T {
    let mut readable = Vec::new();
    for &entry in entries {
        match T::deserialize(KeysDeserializer(vec![entry])) {
            Ok(_) => readable.push(entry),
            Err(error) => faults.push(Fault::at(path.key(&entry.key), error.0)),
        }
    }
    T::deserialize(KeysDeserializer(readable))
        .expect("each of these keys was just read alone, and none twice")
}

/// A serde error as the rest of a fault's line. It may quote what is written in the manifest; texts, which
/// could be a secret's default, are always readable and never quoted.
#[derive(Debug)]
pub struct ReadError(String);

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        // The kind alone: what is found can be a secret's default in the wrong place.
        let found = match found {
            de::Unexpected::Map => "a mapping",
            de::Unexpected::Seq => "a list",
            de::Unexpected::Bool(_) => "true or false",
            de::Unexpected::Unit | de::Unexpected::Option => "nothing",
            de::Unexpected::Signed(_) | de::Unexpected::Unsigned(_) | de::Unexpected::Float(_) => {
                "a number"
            }
            _ => "a text",
        };
        Self(format!("expected {}, found {found}", in_words(expected)))
    }

    fn invalid_value(_found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self(format!("expected {}", in_words(expected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let near = did_you_mean(variant, expected.iter().copied());
        Self(format!(
            "`{variant}` is not one of {}{near}",
            expected.join(", ")
        ))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let near = did_you_mean(field, expected.iter().copied());
        let all = if near.is_empty() {
            format!("; there are {}", expected.join(", "))
        } else {
            near
        };
        Self(format!("unknown key `{field}`{all}"))
    }
}

/// serde names Rust's types where a person expects words.
fn in_words(expected: &dyn de::Expected) -> String {
    match expected.to_string().as_str() {
        "u32" | "u64" => "a whole number from 0 on".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        other => other
            .strip_prefix("struct Raw")
            .map_or_else(|| other.to_owned(), |_| "a mapping".to_owned()),
    }
}

/// Some keys of a mapping, as serde reads them.
struct KeysDeserializer<'a>(Vec<&'a Entry>);

impl<'de> Deserializer<'de> for KeysDeserializer<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let pairs = self
            .0
            .into_iter()
            .map(|entry| (entry.key.as_str(), &entry.value));
        visitor.visit_map(MapDeserializer::new(pairs))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, ReadError> for &Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Node {
    /// A scalar as it may have been written.
    fn as_written(&self) -> Option<String> {
        match self {
            Node::Bool(value) => Some(value.to_string()),
            Node::Integer(number) => Some(number.to_string()),
            Node::Float(number) => Some(number.to_string()),
            Node::Text(text) => Some(text.clone()),
            Node::Null => Some(String::new()),
            Node::Sequence(_) | Node::Mapping(_) => None,
        }
    }
}

impl<'de> Deserializer<'de> for &Node {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Integer(number) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => visitor.visit_i128(*number),
            },
            Node::Float(number) => visitor.visit_f64(*number),
            Node::Text(text) => visitor.visit_str(text),
            Node::Sequence(items) => visitor.visit_seq(SeqDeserializer::new(items.iter())),
            Node::Mapping(entries) => {
                KeysDeserializer(entries.iter().collect()).deserialize_any(visitor)
            }
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.as_written() {
            Some(text) => visitor.visit_string(text),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.as_written() {
            Some(word) => {
                let word: de::value::StringDeserializer<ReadError> = word.into_deserializer();
                word.deserialize_enum(name, variants, visitor)
            }
            None => Err(ReadError(format!(
                "expected one of {}",
                variants.join(", ")
            ))),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
