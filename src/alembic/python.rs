//! Reads the variables of a revision file, and searches `env.py`, without running them.

use crate::python::{Line, Lines, Reason, Token};

/// The variables that alembic reads from a revision file.
const VARIABLES: [&str; 4] = ["revision", "down_revision", "depends_on", "branch_labels"];

/// Keywords that begin a statement whose body can be on the same line.
const COMPOUND: &str = "if elif else for while try except finally with async match";

/// Names with which a module's variables can be set or computed without naming them.
const INDIRECT: &str = "exec eval globals locals vars setattr delattr modules builtins f_globals __builtins__ \
    __class__ __dict__ __getattr__ __globals__ __import__ __setattr__";

/// Whether a name is in one of these lists.
fn is_in(names: &str, name: &str) -> bool {
    names.split(' ').any(|other| other == name)
}

const COMMA: Token<'static> = Token::Operator(",");
const STAR: Token<'static> = Token::Operator("*");

/// What a revision file says about its place in the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    pub revision: String,
    pub down_revision: Vec<String>,
    pub depends_on: Vec<String>,
    pub branch_labels: Vec<String>,
}

/// The values of the variables.
type Found = [Option<Vec<String>>; VARIABLES.len()];

/// The variables of a revision file. What Python would not load is not found out.
///
/// # Errors
/// A clause that follows the name of the file, if the variables cannot be told for certain.
pub fn variables(source: &str) -> Result<Variables, Reason> {
    let mut lines = Lines::new(utf_8(source)?);
    // The indentation of the function or class whose body the line can belong to.
    let mut scope = None;
    let mut found = Found::default();
    while let Some(Line { indent, tokens, .. }) = lines.next()? {
        refuse_indirect(&tokens)?;
        scope = scope.filter(|margin| indent > *margin);
        let defined = defined(&tokens);
        let is_compound = matches!(tokens[0], Token::Name(first) if is_in(COMPOUND, first));
        if let Some(name) = defined {
            refuse_mention(std::slice::from_ref(name))?;
            if tokens.contains(&Token::Operator(":=")) {
                return Err("assigns in the head of a definition".to_owned());
            }
        }
        if scope.is_some() || defined.is_some() {
            // A function, or a class, can use the names for its own variables and parameters, even on the same line.
            if tokens.contains(&Token::Name("global")) {
                refuse_mention(&tokens)?;
            }
            scope = scope.or(Some(indent));
        } else if indent > 0 || is_compound {
            refuse_mention(&tokens)?;
        } else {
            for statement in tokens.split(|token| *token == Token::Operator(";")) {
                assign(statement, &mut found)?;
            }
        }
    }
    let [revision, down_revision, depends_on, branch_labels] = found;
    let revision = revision.and_then(|mut texts| texts.pop());
    Ok(Variables {
        revision: revision.ok_or("does not set `revision`")?,
        down_revision: down_revision.ok_or("does not set `down_revision`")?,
        depends_on: depends_on.unwrap_or_default(),
        branch_labels: branch_labels.unwrap_or_default(),
    })
}

/// Checks that `env.py` uses the default version table, as far as the manifest does not name the table or its schema.
///
/// # Errors
/// A clause that follows the name of the file, if it may use another one.
pub fn check_environment(
    source: &str,
    names_table: bool,
    names_schema: bool,
) -> Result<(), Reason> {
    let mut lines = Lines::new(utf_8(source)?);
    let (mut calls, mut has_offline_mode) = (0, false);
    let is_known = names_table && names_schema;
    while let Some(Line { tokens, .. }) = lines.next()? {
        let has_stars = tokens.windows(2).any(|pair| pair == [STAR; 2]);
        for (position, token) in tokens.iter().enumerate() {
            let (Token::Name(text) | Token::Text(_, text)) = *token else {
                continue;
            };
            check_word(text, names_table, names_schema)?;
            has_offline_mode |= *token == Token::Name("is_offline_mode");
            if *token == Token::Name("configure") {
                calls += 1;
                let is_call = tokens.get(position + 1) == Some(&Token::Operator("("));
                if (has_stars || !is_call) && !is_known {
                    return Err("passes arguments to `configure` that cannot be read".to_owned());
                }
            }
        }
    }
    match calls {
        _ if is_known => Ok(()),
        0 => Err("does not call `configure` itself".to_owned()),
        // The other mode is probably in another module.
        1 if has_offline_mode => Err("calls `configure` in one of its two modes only".to_owned()),
        _ => Ok(()),
    }
}

/// Checks a name or a string of `env.py`.
fn check_word(text: &str, names_table: bool, names_schema: bool) -> Result<(), Reason> {
    let others = text.replace("version_table_schema", "");
    let others = others.replace("version_table_pk", "");
    for (text, name, is_known) in [
        (text, "version_table_schema", names_schema),
        (text, "search_path", names_schema),
        (text, "schema_translate_map", names_schema),
        (&others, "version_table", names_table),
        // The template for several databases, each of which has its own version table, passes this argument.
        (text, "upgrade_token", false),
    ] {
        if text.contains(name) && !is_known {
            return Err(format!("names `{name}`"));
        }
    }
    Ok(())
}

/// Checks that Python decodes a source as UTF-8. Returns it without a byte-order mark.
fn utf_8(source: &str) -> Result<&str, Reason> {
    let text = source.strip_prefix('\u{feff}').unwrap_or(source);
    // Only a comment in the first two lines can declare another encoding.
    for line in text.split('\n').take(2) {
        if line.trim_start().starts_with('#')
            && let Some((_, declared)) = line.split_once("coding")
        {
            let name = declared.strip_prefix([':', '=']).unwrap_or_default();
            let name = name.trim_start().to_ascii_lowercase();
            if !name.starts_with("utf-8") && !name.starts_with("utf8") {
                return Err("declares another encoding than UTF-8".to_owned());
            }
        }
    }
    Ok(text)
}

/// The name of the function or class whose head a line is.
fn defined<'t, 's>(tokens: &'t [Token<'s>]) -> Option<&'t Token<'s>> {
    match tokens {
        [Token::Name("def" | "class"), name, ..]
        | [Token::Name("async"), Token::Name("def"), name, ..] => Some(name),
        _ => None,
    }
}

/// Refuses tokens of the module's own code that may set one of the variables.
fn refuse_mention(tokens: &[Token<'_>]) -> Result<(), Reason> {
    for token in tokens {
        if let Token::Name(name) = token
            && VARIABLES.contains(name)
        {
            return Err(format!("uses `{name}` other than in a simple assignment"));
        }
    }
    Ok(())
}

/// Refuses a line that can set variables that it does not name, with functions such as `exec` or with `import *`. An
/// f-string can contain the same code, and assign with `:=`.
fn refuse_indirect(tokens: &[Token<'_>]) -> Result<(), Reason> {
    for (position, token) in tokens.iter().enumerate() {
        let is_indirect = match *token {
            Token::Name("import") => tokens.get(position + 1) == Some(&STAR),
            // The sessions of SQLModel have a method of this name.
            Token::Name("exec") => position == 0 || tokens[position - 1] != Token::Operator("."),
            Token::Name(name) => is_in(INDIRECT, name),
            Token::Text(_, text) if token.is_template() => {
                let mut words = text.split(|next: char| !next.is_alphanumeric() && next != '_');
                text.contains(":=") || words.any(|word| is_in(INDIRECT, word))
            }
            Token::Text(..) | Token::Number(_) | Token::Operator(_) => false,
        };
        if is_indirect {
            return Err("can set variables indirectly".to_owned());
        }
    }
    Ok(())
}

/// Reads a statement at the left margin. Later assignments replace earlier ones.
fn assign(statement: &[Token<'_>], found: &mut Found) -> Result<(), Reason> {
    let variable = match statement {
        [Token::Name(name), ..] => VARIABLES.iter().position(|variable| variable == name),
        _ => None,
    };
    let Some(variable) = variable else {
        return refuse_mention(statement);
    };
    let (name, rest) = (VARIABLES[variable], &statement[1..]);
    refuse_mention(rest)?;
    let mut sides = rest.splitn(2, |token| *token == Token::Operator("="));
    let value = match sides.next() {
        Some([] | [Token::Operator(":"), ..]) => sides.next().unwrap_or_default(),
        _ => &[],
    };
    let value = match name {
        "revision" => text(value).map(|text| vec![text]),
        _ => list(value),
    };
    found[variable] = Some(value.ok_or_else(|| format!("computes `{name}`"))?);
    Ok(())
}

/// Parses a string, `None`, or a tuple or list of strings.
fn list(tokens: &[Token<'_>]) -> Option<Vec<String>> {
    let items = match tokens {
        [Token::Name("None")] => &[],
        [Token::Operator("("), items @ .., Token::Operator(")")]
        | [Token::Operator("["), items @ .., Token::Operator("]")] => items,
        [] => return None,
        _ => tokens,
    };
    let items = items.strip_suffix(&[COMMA]).unwrap_or(items);
    if items.is_empty() {
        return Some(Vec::new());
    }
    items.split(|token| *token == COMMA).map(text).collect()
}

/// The text of a string literal, or of several without anything between them.
fn text(tokens: &[Token<'_>]) -> Option<String> {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Text("" | "r" | "R" | "u" | "U", content) if !content.contains('\\') => {
                text += content;
            }
            _ => return None,
        }
    }
    // alembic does not treat an empty string like None.
    (!text.is_empty()).then_some(text)
}
