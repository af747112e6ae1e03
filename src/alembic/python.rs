//! Reads the variables of a revision file, and searches `env.py`, without running them.

use regex_lite::Regex;

use super::tokens::{Line, Lines, Reason, Token};

/// The variables that alembic reads from a revision file.
const VARIABLES: [&str; 4] = ["revision", "down_revision", "depends_on", "branch_labels"];

/// Keywords that begin a statement whose body can be on the same line.
const COMPOUND: [&str; 11] = [
    "if", "elif", "else", "for", "while", "try", "except", "finally", "with", "async", "match",
];

/// Functions that can set a variable without naming it. Methods with these names are other functions.
const INDIRECT: [&str; 6] = ["locals", "vars", "exec", "eval", "setattr", "delattr"];

/// Names through which a module's variables can be set or computed, also as attributes.
const MODULE: [&str; 8] = [
    "__dict__",
    "__getattr__",
    "__setattr__",
    "__class__",
    "__builtins__",
    "builtins",
    "modules",
    "f_globals",
];

const INDENTATION: &str = "has an inconsistent indentation";

/// What a revision file says about its place in the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    pub revision: String,
    pub down_revision: Vec<String>,
    pub depends_on: Vec<String>,
    pub branch_labels: Vec<String>,
}

/// The value of a simple assignment.
enum Value {
    None,
    Text(String),
    List(Vec<String>),
}

/// A block of indented lines.
struct Block {
    indent: usize,
    /// Whether names that are set in it are not the module's.
    is_scope: bool,
}

/// The variables of a revision file.
///
/// # Errors
/// A clause that follows the name of the file, if the variables cannot be told for certain.
pub fn variables(source: &str) -> Result<Variables, Reason> {
    let mut lines = Lines::new(utf_8(source)?);
    let mut blocks = vec![Block {
        indent: 0,
        is_scope: false,
    }];
    // Whether the block that the previous line has opened, if it has, is a scope.
    let mut opened = None;
    let mut found = [const { None }; VARIABLES.len()];
    while let Some(Line { indent, tokens }) = lines.next()? {
        let is_scope = enter(&mut blocks, indent, opened)?;
        let is_definition = is_definition(&tokens);
        opened =
            (tokens.last() == Some(&Token::Operator(":"))).then_some(is_scope || is_definition);
        if sets_indirectly(&tokens) {
            return Err("can set variables indirectly".to_owned());
        }
        let is_compound = matches!(tokens[0], Token::Name(first) if COMPOUND.contains(&first));
        if is_scope || is_definition {
            // A function, or a class, can use the names for its own variables and parameters, even on the same line.
            if tokens.contains(&Token::Name("global")) {
                refuse_mention(&tokens)?;
            }
            if !is_scope {
                let name = tokens.iter().find(|token| !is_definition_keyword(token));
                refuse_mention(name.map_or(&[], std::slice::from_ref))?;
                if tokens.iter().any(assigns_inside) {
                    return Err("assigns in the head of a definition".to_owned());
                }
            }
        } else if blocks.len() > 1 || is_compound {
            refuse_mention(&tokens)?;
        } else {
            for statement in tokens.split(|token| *token == Token::Operator(";")) {
                assign(statement, &mut found)?;
            }
        }
    }
    let [revision, down_revision, depends_on, branch_labels] = found;
    let list = |value: Option<Value>| match value {
        None | Some(Value::None) => Vec::new(),
        Some(Value::Text(text)) => vec![text],
        Some(Value::List(texts)) => texts,
    };
    match (revision, &down_revision) {
        (Some(Value::Text(revision)), Some(_)) => Ok(Variables {
            revision,
            down_revision: list(down_revision),
            depends_on: list(depends_on),
            branch_labels: list(branch_labels),
        }),
        (Some(Value::Text(_)), None) => Err("does not set `down_revision`".to_owned()),
        _ => Err("does not set `revision` to a string".to_owned()),
    }
}

/// What `env.py` may leave to the guard's own knowledge of the version table.
#[derive(Clone, Copy)]
pub struct Known {
    pub table: bool,
    pub schema: bool,
}

/// Checks that `env.py` uses the default version table, except for what is known.
///
/// # Errors
/// A clause that follows the name of the file, if it may use another one.
pub fn check_environment(source: &str, known: Known) -> Result<(), Reason> {
    let mut lines = Lines::new(utf_8(source)?);
    let mut configures = false;
    while let Some(Line { tokens, .. }) = lines.next()? {
        for (position, token) in tokens.iter().enumerate() {
            let (Token::Name(text) | Token::Text(_, text)) = *token else {
                continue;
            };
            check_word(text, known)?;
            if *token == Token::Name("configure") {
                configures = true;
                let arguments = bracketed(&tokens[position + 1..], "(");
                let is_readable = arguments
                    .is_some_and(|(inside, _)| !inside.windows(2).any(|pair| pair == [STAR; 2]));
                if !is_readable && !known.table {
                    return Err("passes arguments to `configure` that cannot be read".to_owned());
                }
            }
        }
    }
    if configures || known.table && known.schema {
        Ok(())
    } else {
        Err("does not call `configure` itself".to_owned())
    }
}

const STAR: Token<'static> = Token::Operator("*");

/// Checks a name or a string of `env.py`.
fn check_word(text: &str, known: Known) -> Result<(), Reason> {
    for (position, name) in text.match_indices("version_table") {
        let after = &text[position + name.len()..];
        if after.starts_with("_schema") && !known.schema {
            return Err("names `version_table_schema`".to_owned());
        }
        if !after.starts_with("_schema") && !after.starts_with("_pk") && !known.table {
            return Err("names `version_table`".to_owned());
        }
    }
    for name in ["search_path", "schema_translate_map"] {
        if text.contains(name) && !known.schema {
            return Err(format!("names `{name}`"));
        }
    }
    // The template for several databases, each of which has its own version table, passes this argument.
    if text.contains("upgrade_token") {
        return Err("migrates several databases".to_owned());
    }
    Ok(())
}

/// Checks that Python decodes a source as UTF-8. Returns it without a byte-order mark.
fn utf_8(source: &str) -> Result<&str, Reason> {
    let text = source.strip_prefix('\u{feff}').unwrap_or(source);
    let lines = text.split('\n').take(2);
    for line in lines.filter(|line| line.contains("coding")) {
        let pattern = r"^[ \t\x0c]*#.*?coding[:=][ \t]*([-\w.]+)";
        let pattern = Regex::new(pattern).expect("the pattern is valid");
        if pattern.captures(line).is_some_and(|found| {
            !["utf-8", "utf8", "utf_8"].contains(&found[1].to_ascii_lowercase().as_str())
        }) {
            return Err("declares another encoding than UTF-8".to_owned());
        }
    }
    Ok(text)
}

/// Leaves the blocks that end before a line, and enters the one that the previous line has opened. Returns whether the
/// line is in a scope of its own.
fn enter(blocks: &mut Vec<Block>, indent: usize, opened: Option<bool>) -> Result<bool, Reason> {
    let is_deeper = blocks.last().is_some_and(|block| block.indent < indent);
    match opened {
        Some(is_scope) if is_deeper => blocks.push(Block { indent, is_scope }),
        Some(_) => return Err(INDENTATION.to_owned()),
        None => {}
    }
    while blocks.pop_if(|block| block.indent > indent).is_some() {}
    match blocks.last() {
        Some(block) if block.indent == indent => Ok(block.is_scope),
        _ => Err(INDENTATION.to_owned()),
    }
}

fn is_definition_keyword(token: &Token<'_>) -> bool {
    ["async", "def", "class"]
        .iter()
        .any(|word| *token == Token::Name(word))
}

/// Whether a line is the head of a function or of a class.
fn is_definition(tokens: &[Token<'_>]) -> bool {
    match tokens {
        [Token::Name("async"), second, ..] => *second == Token::Name("def"),
        [first, ..] => is_definition_keyword(first),
        [] => false,
    }
}

/// Whether a token is `:=`, or an f-string that can contain it.
fn assigns_inside(token: &Token<'_>) -> bool {
    match token {
        Token::Operator(operator) => *operator == ":=",
        Token::Text(_, content) => token.is_template() && content.contains(":="),
        Token::Name(_) | Token::Number => false,
    }
}

/// Refuses tokens of the module's own code that may set one of the variables.
fn refuse_mention(tokens: &[Token<'_>]) -> Result<(), Reason> {
    for token in tokens {
        match token {
            Token::Name(name) if VARIABLES.contains(name) => {
                return Err(format!("uses `{name}` other than in a simple assignment"));
            }
            Token::Text(..) if assigns_inside(token) => {
                return Err("assigns in an f-string".to_owned());
            }
            Token::Name(_) | Token::Text(..) | Token::Number | Token::Operator(_) => {}
        }
    }
    Ok(())
}

/// Whether a line can set variables that it does not name: with functions such as `exec`, or with `import *`.
fn sets_indirectly(tokens: &[Token<'_>]) -> bool {
    let is_word =
        |word: &str| INDIRECT.contains(&word) || MODULE.contains(&word) || word == "globals";
    tokens.iter().enumerate().any(|(position, token)| {
        let after = &tokens[position + 1..];
        let is_attribute = position > 0 && tokens[position - 1] == Token::Operator(".");
        match *token {
            Token::Name("import") => after.first() == Some(&STAR),
            // alembic's template for several databases has `globals()["upgrade_%s" % name]()`, which only reads.
            Token::Name("globals") => {
                let item = bracketed(after, "(").and_then(|(_, rest)| bracketed(rest, "["));
                item.is_none_or(|(_, rest)| rest.first() != Some(&Token::Operator("(")))
            }
            Token::Name(name) => {
                MODULE.contains(&name) || INDIRECT.contains(&name) && !is_attribute
            }
            Token::Text(_, content) => {
                let mut words = content.split(|next: char| !next.is_alphanumeric() && next != '_');
                token.is_template() && words.any(is_word)
            }
            Token::Number | Token::Operator(_) => false,
        }
    })
}

/// Reads a statement at the left margin. Later assignments replace earlier ones.
fn assign(statement: &[Token<'_>], found: &mut [Option<Value>; 4]) -> Result<(), Reason> {
    let variable = match statement {
        [Token::Name(name), ..] => VARIABLES.iter().position(|variable| variable == name),
        _ => None,
    };
    let Some(variable) = variable else {
        return refuse_mention(statement);
    };
    let rest = &statement[1..];
    refuse_mention(rest)?;
    let value = match rest {
        [Token::Operator("="), value @ ..] => value,
        [Token::Operator(":"), annotated @ ..] => after_annotation(annotated),
        _ => &[],
    };
    let value = parse(value).ok_or_else(|| format!("computes `{}`", VARIABLES[variable]))?;
    found[variable] = Some(value);
    Ok(())
}

/// The tokens after the first `=` outside of brackets.
fn after_annotation<'t, 's>(mut tokens: &'t [Token<'s>]) -> &'t [Token<'s>] {
    loop {
        tokens = match tokens {
            [] => return tokens,
            [Token::Operator("="), value @ ..] => return value,
            [Token::Operator(open @ ("(" | "[" | "{")), ..] => {
                bracketed(tokens, open).map_or(&[], |(_, rest)| rest)
            }
            [_, rest @ ..] => rest,
        };
    }
}

/// Parses a string, `None`, or a tuple or list of strings.
fn parse(tokens: &[Token<'_>]) -> Option<Value> {
    let (value, rest) = item(tokens)?;
    match rest {
        [] => Some(value),
        [Token::Operator(","), ..] => list(tokens).map(Value::List),
        _ => None,
    }
}

/// Parses strings that are separated by commas.
fn list(mut tokens: &[Token<'_>]) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    while !tokens.is_empty() {
        let (Value::Text(text), rest) = item(tokens)? else {
            return None;
        };
        texts.push(text);
        tokens = match rest {
            [] => rest,
            [Token::Operator(","), more @ ..] => more,
            _ => return None,
        };
    }
    Some(texts)
}

/// Parses a value up to a comma. Returns it with the tokens that follow.
fn item<'t, 's>(tokens: &'t [Token<'s>]) -> Option<(Value, &'t [Token<'s>])> {
    if let Some((inside, rest)) = bracketed(tokens, "[") {
        return Some((Value::List(list(inside)?), rest));
    }
    if let Some((inside, rest)) = bracketed(tokens, "(") {
        let value = if inside.is_empty() {
            Some(Value::List(Vec::new()))
        } else {
            parse(inside)
        };
        return Some((value?, rest));
    }
    if let [Token::Name("None"), rest @ ..] = tokens {
        return Some((Value::None, rest));
    }
    let mut rest = tokens;
    let mut text = String::new();
    while let [Token::Text(prefix, content), after @ ..] = rest {
        let is_plain = prefix.is_empty() || prefix.eq_ignore_ascii_case("u");
        let is_raw = prefix.eq_ignore_ascii_case("r");
        if !is_raw && (!is_plain || content.contains('\\')) {
            return None;
        }
        text += content;
        rest = after;
    }
    // alembic does not treat an empty string like None.
    (!text.is_empty()).then_some((Value::Text(text), rest))
}

/// The tokens in the pair of brackets with which the tokens begin, and those after it.
fn bracketed<'t, 's>(
    tokens: &'t [Token<'s>],
    open: &str,
) -> Option<(&'t [Token<'s>], &'t [Token<'s>])> {
    if tokens.first() != Some(&Token::Operator(open)) {
        return None;
    }
    let mut depth = 0;
    let close = tokens.iter().position(|token| {
        match token {
            Token::Operator("(" | "[" | "{") => depth += 1,
            Token::Operator(")" | "]" | "}") => depth -= 1,
            Token::Operator(_) | Token::Name(_) | Token::Text(..) | Token::Number => {}
        }
        depth == 0
    })?;
    Some((&tokens[1..close], &tokens[close + 1..]))
}
