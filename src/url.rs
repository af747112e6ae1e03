//! A URL cut at its delimiters.
//!
//! Not the `url` crate: a browser's parser repairs what we are here to find (it drops line breaks, turns
//! `\` into `/`, escapes a password's raw characters), and knows one host where database URLs have several.

/// A URL cut at its delimiters; nothing is decoded.
pub struct Parts<'a> {
    pub scheme: &'a str,
    /// What stands before the authority's last `@`.
    pub user_info: Option<&'a str>,
    /// One host with its port, or several with commas.
    pub hosts: &'a str,
    /// Path, query and fragment, with their delimiters.
    pub rest: &'a str,
}

/// Cuts `scheme://[user@]hosts[rest]`; nothing when it has no such form.
pub fn split(url: &str) -> Option<Parts<'_>> {
    let (scheme, after) = url.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(is_scheme_character);
    if !is_scheme {
        return None;
    }
    let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
    let (user_info, hosts) = match authority.rsplit_once('@') {
        Some((user_info, hosts)) => (Some(user_info), hosts),
        None => (None, authority),
    };
    Some(Parts {
        scheme,
        user_info,
        hosts,
        rest,
    })
}

/// Whether a character can stand in a scheme.
pub fn is_scheme_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.')
}

/// Whether a raw `/`, `?` or `#` in the password has cut the URL too early: `user:pa/ss@host` reads as the
/// host `user`, the port `pa` and the path `/ss@host`.
pub fn cuts_password(parts: &Parts<'_>) -> bool {
    let Some((_, port)) = parts.hosts.rsplit_once(':') else {
        return false;
    };
    let looks_like_port = port.bytes().all(|byte| byte.is_ascii_digit());
    // A web address may well have an @ in its path; a database's does not.
    let is_web =
        parts.scheme.eq_ignore_ascii_case("http") || parts.scheme.eq_ignore_ascii_case("https");
    parts.rest.contains('@') && (!looks_like_port || !is_web)
}

impl<'a> Parts<'a> {
    /// The path without its first slash, nothing decoded.
    pub fn path(&self) -> &'a str {
        let end = self.rest.find(['?', '#']).unwrap_or(self.rest.len());
        self.rest[..end].trim_start_matches('/')
    }

    /// The pairs of the query, decoded. A `+` stays one: that is a form's space, not a URL's.
    pub fn query(&self) -> Vec<(String, String)> {
        let rest = self.rest.split('#').next().unwrap_or_default();
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decoded(key), decoded(value))
            })
            .collect()
    }
}

/// Splits `host[:port]`, the host of an IPv6 address without its brackets; nothing when the port is none.
pub fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            match after.strip_prefix(':') {
                Some(port) => (host, port),
                None if after.is_empty() => (host, ""),
                None => return None,
            }
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if port.is_empty() {
        return Some((host, None));
    }
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|&port| is_number && port > 0)?;
    Some((host, Some(port)))
}

/// A text with its percent escapes decoded; what is no escape stays.
pub fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = after
            .get(..2)
            .filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| str::from_utf8(digits).ok());
        if let Some(escaped) = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            decoded.push(escaped);
            rest = &after[2..];
        } else {
            decoded.push(byte);
            rest = after;
        }
    }
    decoded
}

/// The same as text; bytes that are not UTF-8 become replacement characters.
pub fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&percent_decoded(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{host_and_port, percent_decoded, split};

    #[test]
    fn escapes_are_decoded_and_everything_else_stays() {
        assert_eq!(percent_decoded("p%40s%2Fs"), b"p@s/s");
        assert_eq!(percent_decoded("100%"), b"100%");
        assert_eq!(percent_decoded("%zz%4%+1"), b"%zz%4%+1");
        assert_eq!(percent_decoded("%c3%a9"), "é".as_bytes());
    }

    #[test]
    fn hosts_come_with_and_without_a_port() {
        for (text, cut) in [
            ("db", Some(("db", None))),
            ("db:5432", Some(("db", Some(5432)))),
            ("[::1]:5432", Some(("::1", Some(5432)))),
            ("[fe80::1%eth0]", Some(("fe80::1%eth0", None))),
            ("db:", Some(("db", None))),
            ("db:0", None),
            ("db:+1", None),
            ("db:65536", None),
            ("[::1", None),
            ("[::1]5", None),
        ] {
            assert_eq!(host_and_port(text), cut, "{text}");
        }
    }

    #[test]
    fn the_rest_is_a_path_and_a_query() {
        let parts = split("a://h/x%20y?k=a%26b&l&m=1+2#f?n=o").expect("a URL");
        assert_eq!(parts.path(), "x%20y");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            parts.query(),
            [pair("k", "a&b"), pair("l", ""), pair("m", "1+2")]
        );
        assert_eq!(split("a://h?k=v").expect("a URL").path(), "");
    }
}
