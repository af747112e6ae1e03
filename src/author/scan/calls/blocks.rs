//! Tells which blocks of statements do not always run.

use crate::author::scan::module::Statement;
use crate::python::Token;

/// Whether the first of these statements begins a block that does not always run, or after whose failure the code goes
/// on.
pub fn is_branch(statements: &[Statement<'_>]) -> bool {
    let Some((header, rest)) = statements.split_first() else {
        return false;
    };
    match header.tokens.first() {
        Some(Token::Name("if" | "elif" | "else" | "except" | "case")) => true,
        Some(Token::Name("try")) => !raises(header.indent, rest),
        _ => false,
    }
}

/// Whether the handlers after the body of a `try` end the program, or raise another exception.
fn raises(indent: usize, statements: &[Statement<'_>]) -> bool {
    let is_inside = |statement: &&Statement<'_>| statement.indent > indent;
    let body = statements.iter().take_while(is_inside).count();
    let is_part = |statement: &&Statement<'_>| {
        statement.indent > indent || statement.tokens.first() == Some(&Token::Name("except"))
    };
    let handlers = statements[body..].iter().take_while(is_part);
    let ends = |token: &Token<'_>| matches!(token, Token::Name("raise" | "exit" | "_exit"));
    handlers
        .into_iter()
        .any(|statement| statement.tokens.iter().any(ends))
}
