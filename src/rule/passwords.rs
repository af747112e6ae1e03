//! The passwords that stand in a text: in the URLs in it, and in connection strings such as
//! `host=db password=…`.

use super::url::{cuts_password, is_scheme_character, split};

/// Keys of a query or of a connection string whose value is a password. One that ends like another comes before it.
const KEYS: [&str; 4] = ["sslpassword", "password", "passwd", "pwd"];

/// Every password in a text, as it is written. The text may be one URL, a list of URLs in any form, or a
/// sentence with URLs in it.
pub fn passwords(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = urls(text).into_iter().filter_map(in_user_part).collect();
    found.extend(by_key(text));
    found.retain(|password| !password.is_empty());
    found
}

/// The URLs in a text. Each goes on to where the next begins.
fn urls(text: &str) -> Vec<&str> {
    let starts: Vec<usize> = text
        .match_indices("://")
        .map(|(at, _)| text[..at].trim_end_matches(is_scheme_character).len())
        .collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .filter_map(|(&start, end)| text.get(start..end))
        .collect()
}

fn in_user_part(url: &str) -> Option<&str> {
    let parts = split(url)?;
    let user_info = match parts.user_info {
        Some(user_info) => user_info,
        // A raw `/`, `?` or `#` in the password: that is wrong, and a password all the same.
        None if cuts_password(&parts) => url.split_once("://")?.1.rsplit_once('@')?.0,
        None => return None,
    };
    user_info.split_once(':').map(|(_, password)| password)
}

fn by_key(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('=') {
        let Some(before) = KEYS.iter().find_map(|key| before_key(&text[..at], key)) else {
            continue;
        };
        let rest = &text[at + 1..];
        if before.ends_with(['?', '&']) {
            found.extend(of_query(rest));
        } else if before.is_empty()
            || before.ends_with([';', '"', '\''])
            || before.ends_with(char::is_whitespace)
        {
            found.push(of_connection_string(rest));
        }
    }
    found
}

/// What stands before a key, in any case, at the end of a text.
fn before_key<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (before, found) = text.split_at_checked(text.len().checked_sub(key.len())?)?;
    found.eq_ignore_ascii_case(key).then_some(before)
}

/// The value at the beginning of the rest of a query. In a list of URLs a comma ends it, in a single one it
/// does not, so that both are found where another URL follows.
fn of_query(rest: &str) -> Vec<&str> {
    let is_end = |other: char| matches!(other, '&' | '#' | '"' | '\'') || other.is_whitespace();
    let whole = rest.split(is_end).next().unwrap_or_default();
    match whole.split_once(',') {
        Some((item, _)) if rest.contains("://") => vec![item, whole],
        _ => vec![whole],
    }
}

/// The value at the beginning of the rest of a connection string: quoted, or up to the next separator.
fn of_connection_string(rest: &str) -> &str {
    for quote in ['\'', '"'] {
        if let Some(quoted) = rest.strip_prefix(quote) {
            return quoted.split(quote).next().unwrap_or_default();
        }
    }
    rest.split(|other: char| matches!(other, ';' | '"' | '\'') || other.is_whitespace())
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::passwords;

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
            assert_eq!(passwords(text), found, "{text}");
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
                &["one", "one,pg://h/d?password=two", "two"],
            ),
            ("The database is pg://a:one@h/d now.", &["one"]),
            ("é://é:one@é", &[]),
        ] {
            assert_eq!(passwords(text), found, "{text}");
        }
    }

    #[test]
    fn a_connection_string_has_its_password_behind_a_key() {
        for (text, found) in [
            ("host=db password=s3cret dbname=app", &["s3cret"][..]),
            ("password='s3 cret' host=db", &["s3 cret"]),
            ("Server=db;User Id=a;Password=s3cret;", &["s3cret"]),
            ("Server=db;Pwd=s3cret", &["s3cret"]),
            ("nopassword=1", &[]),
        ] {
            assert_eq!(passwords(text), found, "{text}");
        }
    }
}
