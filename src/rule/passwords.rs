//! The passwords in a text: those of the URLs in it, and those of connection strings such as `host=db password=…`.

use crate::url::{Url, is_scheme_character};

/// Keys whose value is a password, in a query or in a connection string.
const KEYS: [&str; 4] = ["password", "sslpassword", "passwd", "pwd"];

/// Everything in a text that can be a password, as it is written. It is masked in output. The text can be a URL, a
/// list of URLs in any form, a connection string, or a sentence that contains such.
pub fn passwords(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in parts(text) {
        let url = Url::cut(part);
        found.extend(url.and_then(|url| url.password));
        found.extend(url.and_then(|url| url.cut_password()));
        found.extend(by_key(part));
    }
    found.retain(|password| !password.is_empty());
    found
}

/// Everything in a text that is certainly a password: in the credentials or the query of a URL, or in a connection
/// string with semicolons. A sentence that contains a URL and, elsewhere, an `@` has none.
pub fn certain_passwords(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in text.split_whitespace().flat_map(parts) {
        found.extend(Url::cut(part).and_then(|url| url.password));
        if part.contains("://") || part.contains(';') {
            found.extend(by_key(part));
        }
    }
    found.retain(|password| !password.is_empty());
    found
}

/// Cuts a text where URLs begin. Each part but the first is a URL and the text after it.
fn parts(text: &str) -> Vec<&str> {
    let starts = text
        .match_indices("://")
        .map(|(at, _)| text[..at].trim_end_matches(is_scheme_character).len());
    let mut borders: Vec<usize> = std::iter::once(0).chain(starts).collect();
    borders.push(text.len());
    let pairs = borders.windows(2);
    pairs
        .filter_map(|border| text.get(border[0]..border[1]))
        .collect()
}

fn by_key(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('=') {
        let before = text[..at].trim_end();
        let border = before.trim_end_matches(|other: char| other.is_ascii_alphabetic());
        let key = &before[border.len()..];
        if !KEYS.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            continue;
        }
        let rest = &text[at + 1..];
        let is_space = border.ends_with(char::is_whitespace);
        if border.ends_with(['?', '&']) {
            found.extend(readings(rest, &['&', '#']));
        } else if border.is_empty() || is_space || border.ends_with([';', ',', '"', '\'']) {
            found.extend(of_connection_string(rest.trim_start()));
        }
    }
    found
}

/// The value at the beginning of a text. A comma ends it in a list of URLs and in some connection strings, but can
/// also be part of it, so both readings are returned.
fn readings<'a>(text: &'a str, ends: &[char]) -> [&'a str; 2] {
    let is_end =
        |other: char| ends.contains(&other) || matches!(other, '"' | '\'') || other.is_whitespace();
    let whole = text.split(is_end).next().unwrap_or_default();
    let whole = whole.trim_end_matches(',');
    [whole.split(',').next().unwrap_or_default(), whole]
}

fn of_connection_string(text: &str) -> [&str; 2] {
    let first = text.chars().next();
    let Some(quote) = first.filter(|first| matches!(first, '"' | '\'')) else {
        return readings(text, &[';']);
    };
    let inside = &text[1..];
    [&inside[..quoted_length(inside, quote)], ""]
}

/// The length of a quoted value, without its quotes, in bytes. A backslash escapes a quote, and so does another quote.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote && characters.next_if(|&(_, next)| next == quote).is_none() {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::{certain_passwords, passwords};

    fn found(text: &str) -> Vec<&str> {
        let mut found = passwords(text);
        found.dedup();
        found
    }

    #[test]
    fn a_password_stands_in_the_user_part_or_in_the_query_or_in_both() {
        for (text, found) in [
            ("postgresql://app:s3cret@db/app", &["s3cret"][..]),
            ("redis://:s3cret@cache:6379/0", &["s3cret"]),
            ("mongodb+srv://app:s3cret@h1,h2:1/x", &["s3cret"]),
            ("postgresql://db/app?user=app&password=s3cret", &["s3cret"]),
            ("postgresql://app@db/app?password=s3cret#x", &["s3cret"]),
            (
                "postgresql://app:one@db/app?password=two&sslpassword=three",
                &["one", "two", "three"],
            ),
            ("jdbc:postgresql://db/app?user=a&password=b", &["b"]),
            ("postgresql://app:pa/ss@db/app", &["pa/ss"]),
            ("postgresql://app@db/password=x", &[]),
            ("postgresql://app:@db/app?password=", &[]),
            ("https://host:8000/path@here", &[]),
            ("no url", &[]),
            ("", &[]),
            ("://", &[]),
        ] {
            assert_eq!(super::tests::found(text), found, "{text}");
        }
    }

    #[test]
    fn every_url_of_a_text_is_looked_into() {
        for (text, found) in [
            ("redis://:one@a:1,redis://:two@b:1", &["one", "two"][..]),
            ("redis://:one@a:1/0 redis://:two@b:1/0", &["one", "two"]),
            (
                r#"["amqp://a:one@h/v", "amqp://a:two@h/v"]"#,
                &["one", "two"],
            ),
            (
                "pg://h/d?password=one,pg://h/d?password=two",
                &["one", "two"],
            ),
            ("The database is pg://a:one@h/d now.", &["one"]),
            ("é://é:one@é", &[]),
        ] {
            assert_eq!(super::tests::found(text), found, "{text}");
        }
    }

    #[test]
    fn a_connection_string_has_its_password_behind_a_key() {
        for (text, found) in [
            ("host=db password=s3cret dbname=app", &["s3cret"][..]),
            ("password='s3 cret' host=db", &["s3 cret"]),
            ("Server=db;User Id=a;Password=s3cret;", &["s3cret"]),
            ("Server=db;Pwd=s3cret", &["s3cret"]),
            ("host=db password = s3cret", &["s3cret"]),
            (r"password='it\'s3cret' host=db", &[r"it\'s3cret"]),
            ("Password=\"a\"\"b\";Server=db", &["a\"\"b"]),
            (
                "redis:6379,password=s3cret,ssl=true",
                &["s3cret", "s3cret,ssl=true"],
            ),
            ("nopassword=1", &[]),
        ] {
            assert_eq!(super::tests::found(text), found, "{text}");
        }
    }

    #[test]
    fn what_is_only_like_a_password_is_no_certain_one() {
        for (text, found) in [
            ("using postgresql://app:s3cret@db/app now", &["s3cret"][..]),
            ("redis://:one@a:1,redis://:two@b:1", &["one", "two"]),
            ("at redis://a:1?password=one", &["one", "one"]),
            ("Server=db;Pwd=one;", &["one", "one"]),
            ("http://0.0.0.0:8000 for admin@example.com", &[]),
            ("redis://cache:6379 for user@example.com", &[]),
            ("amqp://h:5672/a@b", &[]),
            ("kafka://b1:9092,b2:9092/t@x", &[]),
            ("starting, pwd=/srv/app", &[]),
        ] {
            assert_eq!(certain_passwords(text), found, "{text}");
        }
    }

    #[test]
    fn a_long_list_is_looked_through_in_linear_time_and_space() {
        let list: Vec<String> = (0..5_000)
            .map(|number| format!("a://h?password={number:05}"))
            .collect();
        let list = list.join(",");
        let found = passwords(&list);
        assert_eq!(found.len(), 10_000);
        assert!(found.iter().all(|password| password.len() == 5));
    }
}
