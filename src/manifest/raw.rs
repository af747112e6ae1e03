//! The manifest as it is written: one type per mapping, every key optional, so that any part of it can be
//! read alone. What the keys mean together is `validate`'s to judge.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{FailOn, GenerateFormat, Level, StopSignal};
use crate::rule::{List, Type};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawManifest {
    pub version: Option<u64>,
    pub service: Option<Text>,
    pub announce: Option<Text>,
    pub fail_on: Option<FailOn>,
    pub user: Option<Text>,
    pub variables: Option<RawVariables>,
    pub wait_for: Option<Vec<RawWait>>,
    pub steps: Option<Vec<RawStep>>,
    pub server: Option<RawServer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawVariable {
    pub level: Option<Level>,
    #[serde(rename = "type")]
    pub value_type: Option<Type>,
    pub list: Option<List>,
    pub schemes: Option<Texts>,
    pub one_of: Option<Texts>,
    pub pattern: Option<Text>,
    pub min_length: Option<u32>,
    pub max_length: Option<u32>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub distinct_from: Option<Texts>,
    pub required_when: Option<RawConditions>,
    pub default: Option<Text>,
    pub secret: Option<bool>,
    pub file: Option<bool>,
    pub example: Option<Text>,
    pub description: Option<Text>,
    pub hint: Option<Text>,
    pub docs: Option<Text>,
    pub generate: Option<RawGenerate>,
    pub renamed_from: Option<Texts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawGenerate {
    pub bytes: Option<u32>,
    pub format: Option<GenerateFormat>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawStep {
    pub name: Option<Text>,
    pub announce: Option<RawAnnounce>,
    pub command: Option<Command>,
    pub timeout: Option<Span>,
    pub stop_signal: Option<StopSignal>,
    pub stop_grace: Option<Span>,
    pub allow_failure: Option<bool>,
    pub up_to_date: Option<Command>,
    pub lock: Option<RawLock>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawWait {
    pub postgres: Option<Text>,
    pub tcp: Option<Text>,
    pub http: Option<Text>,
    pub timeout: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawLock {
    pub postgres: Option<Text>,
    pub timeout: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawAnnounce {
    pub start: Option<Text>,
    pub done: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawServer {
    pub announce: Option<Text>,
    pub command: Option<Command>,
    pub init: Option<bool>,
}

/// The variables in the order of the text; serde's own maps would keep neither order nor duplicates.
#[derive(Debug, Default)]
pub struct RawVariables(pub Vec<(String, RawVariable)>);

/// `{NAME: [value, …]}`, in the order of the text.
#[derive(Debug, Default)]
pub struct RawConditions(pub Vec<(String, Texts)>);

/// A scalar, taken as it is written: `1.10` stays `1.10`, `yes` stays `yes`.
#[derive(Debug, Default)]
pub struct Text(pub String);

/// A list of scalars; a single one stands for a list of one.
#[derive(Debug, Default)]
pub struct Texts(pub Vec<String>);

/// A command: a list of words, and no shell to split a text into them.
#[derive(Debug, Default)]
pub struct Command(pub Vec<String>);

/// A length of time with its unit.
#[derive(Debug)]
pub struct Span(pub Duration);

/// A visitor of one scalar, whatever YAML takes it for.
struct Scalar(&'static str);

impl Visitor<'_> for Scalar {
    type Value = String;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_string(Scalar("a text")).map(Text)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "a duration with its unit, such as 90s or 10m";
        let text = deserializer.deserialize_string(Scalar(EXPECTED))?;
        let span = humantime::parse_duration(&text);
        span.map(Span)
            .map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), &EXPECTED))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = ListVisitor {
            expected: "a list of texts",
            admits_one: true,
        };
        deserializer.deserialize_any(visitor).map(Texts)
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a list of words such as [alembic, upgrade, head] (no shell splits a text)";
        deserializer
            .deserialize_seq(ListVisitor {
                expected,
                admits_one: false,
            })
            .map(Command)
    }
}

struct ListVisitor {
    expected: &'static str,
    admits_one: bool,
}

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Vec<String>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.expected)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
        let mut texts = Vec::new();
        while let Some(Text(text)) = items.next_element()? {
            texts.push(text);
        }
        Ok(texts)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
        if self.admits_one {
            return Ok(vec![text.to_owned()]);
        }
        Err(de::Error::invalid_type(
            de::Unexpected::Other("a text"),
            &self,
        ))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Vec<String>, E> {
        self.visit_str(if value { "true" } else { "false" })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Vec<String>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Vec<String>, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for RawVariables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor =
            PairsVisitor::<Option<RawVariable>>::new("a mapping of names to what they must be");
        let pairs = deserializer.deserialize_map(visitor)?;
        Ok(Self(
            pairs
                .into_iter()
                .map(|(name, variable)| (name, variable.unwrap_or_default()))
                .collect(),
        ))
    }
}

impl<'de> Deserialize<'de> for RawConditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = PairsVisitor::<Texts>::new(
            "a mapping of a variable to the values that require this one",
        );
        deserializer.deserialize_map(visitor).map(Self)
    }
}

/// A mapping as pairs in the order of the text.
struct PairsVisitor<V> {
    expected: &'static str,
    value: std::marker::PhantomData<V>,
}

impl<V> PairsVisitor<V> {
    fn new(expected: &'static str) -> Self {
        Self {
            expected,
            value: std::marker::PhantomData,
        }
    }
}

impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
    type Value = Vec<(String, V)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.expected)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((Text(name), value)) = entries.next_entry()? {
            pairs.push((name, value));
        }
        Ok(pairs)
    }
}
