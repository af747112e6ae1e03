//! The types and defaults of values, as annotations, casts and literals tell them.

use super::Read;
use super::module::{closing, dotted, is_operator, literal, parts};
use crate::python::Token;
use crate::rule::{List, Type};

/// What an annotation or a cast tells about a value.
#[derive(Clone, Debug, Default)]
pub struct Form {
    pub value_type: Option<Type>,
    pub list: Option<List>,
    pub is_secret: bool,
    /// Whether None is admitted.
    pub is_optional: bool,
    /// The dotted paths in an annotation.
    pub names: Vec<String>,
}

/// The type that a name stands for: a class of Python or of a library, or a method of an `Env`.
pub fn type_of(name: &str) -> Option<Type> {
    let named = match name {
        "str" | "Literal" => Type::String,
        "int" | "PositiveInt" | "NonNegativeInt" | "StrictInt" | "conint" => Type::Integer,
        "float" | "Decimal" | "decimal" | "PositiveFloat" | "NonNegativeFloat" | "confloat" => {
            Type::Number
        }
        "bool" | "StrictBool" => Type::Boolean,
        "url" | "URL" | "AnyUrl" | "AnyHttpUrl" | "HttpUrl" | "db" | "db_url" | "cache"
        | "cache_url" | "email_url" | "search_url" | "channels_url" | "dj_db_url"
        | "dj_cache_url" | "dj_email_url" => Type::Url,
        "EmailStr" | "NameEmail" => Type::Email,
        "json" | "Json" | "dict" | "Dict" => Type::Json,
        "path" | "Path" | "FilePath" | "DirectoryPath" | "NewPath" => Type::Path,
        _ if name.ends_with("Dsn") => Type::Url,
        _ => return None,
    };
    Some(named)
}

/// Whether the name stands for a list.
pub fn is_list(name: &str) -> bool {
    let names = "list List set Set frozenset FrozenSet tuple Tuple Sequence";
    names.split(' ').any(|list| list == name)
}

/// What an annotation of pydantic tells. A list is JSON.
pub fn annotation(tokens: &[Token<'_>]) -> Form {
    let mut form = Form::default();
    collect(tokens, &mut form);
    form
}

fn collect(tokens: &[Token<'_>], form: &mut Form) {
    union(&parts(tokens, "|"), form);
}

fn union(members: &[&[Token<'_>]], form: &mut Form) {
    let types = members
        .iter()
        .filter(|part| **part != [Token::Name("None")]);
    let is_ambiguous = types.count() > 1;
    for part in members {
        let Some((path, end)) = dotted(part, 0) else {
            // An annotation can be in quotes.
            if let Some(text) = literal(part)
                && is_plain_name(&text)
            {
                note_name(&text, &[], form);
            }
            continue;
        };
        let inside = match part.get(end) {
            Some(token) if is_operator(token, "[") => &part[end + 1..closing(part, end)],
            _ => &[],
        };
        note_name(&path, inside, form);
    }
    // A list, or a text that a validator splits.
    if is_ambiguous && form.list.is_some() {
        form.list = None;
        form.value_type = None;
    }
}

fn is_plain_name(text: &str) -> bool {
    text.chars()
        .all(|next| next.is_alphanumeric() || "_.".contains(next))
}

fn note_name(path: &str, inside: &[Token<'_>], form: &mut Form) {
    let name = path.rsplit('.').next().unwrap_or_default();
    match name {
        "None" => form.is_optional = true,
        "Optional" => {
            form.is_optional = true;
            collect(inside, form);
        }
        "Union" => union(&parts(inside, ","), form),
        "Annotated" | "Final" => {
            let items = parts(inside, ",");
            if let [first, metadata @ ..] = items.as_slice() {
                collect(first, form);
                let is_raw = |part: &&[Token<'_>]| part.last() == Some(&Token::Name("NoDecode"));
                if metadata.iter().any(is_raw) {
                    form.list = None;
                    form.value_type = None;
                }
            }
        }
        "SecretStr" | "SecretBytes" => form.is_secret = true,
        "Secret" => {
            form.is_secret = true;
            collect(inside, form);
        }
        _ if is_list(name) => {
            form.list = Some(List::Json);
            if let Some(first) = parts(inside, ",").first() {
                let mut item = Form::default();
                collect(first, &mut item);
                form.value_type = item.value_type;
            }
        }
        _ => {
            form.names.push(path.to_owned());
            // In a union, the first type is tried first.
            form.value_type = form.value_type.or_else(|| type_of(name));
        }
    }
}

/// What a cast of starlette, decouple or django-environ tells. Their lists are separated by commas.
pub fn cast(tokens: &[Token<'_>]) -> Form {
    let mut form = Form::default();
    let Some((path, _)) = dotted(tokens, 0) else {
        return form;
    };
    let name = path.rsplit('.').next().unwrap_or_default();
    match name {
        "Csv" | "CommaSeparatedStrings" => form.list = Some(List::Csv),
        "Secret" => form.is_secret = true,
        _ if is_list(name) => form.list = Some(List::Csv),
        _ => form.value_type = type_of(name),
    }
    form
}

/// The text of a default that is a literal, as the environment would have it. `None` for `None`, and for whatever is
/// computed.
pub fn default(tokens: &[Token<'_>]) -> Option<String> {
    match *tokens {
        [Token::Number(number)] => Some(number.to_owned()),
        [Token::Operator("-"), Token::Number(number)] => Some(format!("-{number}")),
        [Token::Name(name @ ("True" | "False"))] => Some(name.to_owned()),
        _ => literal(tokens),
    }
}

/// What a method of an `Env` tells about the value.
pub fn form(method: &str) -> Form {
    Form {
        value_type: type_of(method).filter(|_| method != "dict"),
        list: is_list(method).then_some(List::Csv),
        ..Form::default()
    }
}

/// Adds to a read what a form tells.
pub fn apply(read: &mut Read, form: &Form) {
    read.value_type = form.value_type.or(read.value_type);
    read.list = form.list.or(read.list);
    read.is_secret |= form.is_secret;
}

/// Applies what the code does with the text that it has read: `int(…)`, `….split(",")`, `… == "true"`.
pub fn convert(read: &mut Read, before: &[Token<'_>], after: &[Token<'_>]) {
    if let [
        ..,
        Token::Name(name @ ("int" | "float" | "Path")),
        Token::Operator("("),
    ] = before
    {
        read.value_type = read.value_type.or_else(|| type_of(name));
    }
    match after {
        [
            Token::Operator("."),
            Token::Name("split"),
            Token::Operator("("),
            Token::Text(_, ","),
            ..,
        ] => read.list = Some(List::Csv),
        [
            Token::Operator("."),
            Token::Name("split"),
            Token::Operator("("),
            Token::Operator(")"),
            ..,
        ] => read.list = Some(List::Space),
        [
            Token::Operator("."),
            Token::Name("lower"),
            Token::Operator("("),
            Token::Operator(")"),
            compared @ ..,
        ]
        | compared
            if is_compared_to_true(compared) =>
        {
            read.value_type = Some(Type::Boolean);
        }
        _ => {}
    }
}

/// Whether these tokens compare a text with `true` or the like.
fn is_compared_to_true(tokens: &[Token<'_>]) -> bool {
    let tokens = match tokens {
        [Token::Operator("=="), tokens @ ..]
        | [
            Token::Name("in"),
            Token::Operator("(" | "[" | "{"),
            tokens @ ..,
        ] => tokens,
        _ => &[],
    };
    let words = ["true", "1", "yes", "on", "t", "y"];
    matches!(tokens, [Token::Text(_, word), ..] if words.contains(&word.to_lowercase().as_str()))
}
