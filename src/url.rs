//! Splits URLs into their parts, for the rules of values, the targets of waits and locks, the diagnosis, and the mask.
//!
//! The `url` crate is not used. It parses as browsers do and repairs the mistakes that must be found here (it removes
//! line breaks, changes `\` to `/`, escapes raw characters in a password). It also allows only one host, while database
//! URLs can have several.

use std::net::{IpAddr, Ipv6Addr};

/// The default ports of servers, by scheme.
const PORTS: &str = "postgresql:5432 postgres:5432 postgis:5432 psql:5432 pgsql:5432 mysql:3306 mysql2:3306 mariadb:3306 \
    redis:6379 rediss:6379 valkey:6379 amqp:5672 pyamqp:5672 amqps:5671 mongodb:27017 nats:4222 kafka:9092 \
    memcached:11211 http:80 https:443";

/// The schemes of databases that `SQLAlchemy` connects to through a driver, such as `postgresql+psycopg`.
const SQL: &str = "postgresql postgres mysql mariadb cockroachdb mssql oracle redshift clickhouse";

/// The longest host name, in bytes.
const MAX_HOST: usize = 255;

/// Keys whose value is a password, in a query or in a connection string.
const KEYS: [&str; 4] = ["password", "sslpassword", "passwd", "pwd"];

/// A host name or address, without brackets, and its port.
pub type Host<'a> = (&'a str, Option<u16>);

/// A URL, split at its delimiters. Nothing is decoded.
#[derive(Clone, Copy)]
pub struct Url<'a> {
    /// The scheme, including a driver as in `postgresql+psycopg`.
    pub scheme: &'a str,
    pub user: Option<&'a str>,
    /// Everything between the first `:` of the credentials and their `@`.
    pub password: Option<&'a str>,
    /// One or several `host[:port]`, separated by commas. Can be empty.
    pub authority: &'a str,
    /// The path, the query and the fragment, with their delimiters.
    pub rest: &'a str,
    /// Everything after `://`.
    pub whole: &'a str,
    /// Whether a raw `/`, `?` or `#` cuts the credentials for most clients: they read `user:pa/ss@host` as the host
    /// `user`, the port `pa` and the path `/ss@host`. The parts are split here as they are meant, so that no part of the
    /// password is taken for a host.
    pub is_cut: bool,
}

impl<'a> Url<'a> {
    /// Splits `scheme://[user[:password]@]hosts[rest]`. Returns `None` if the text does not begin with a scheme and
    /// `://`.
    pub fn cut(text: &'a str) -> Option<Self> {
        let (scheme, whole) = text.split_once("://")?;
        let starts_with_letter = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
        if !starts_with_letter || !scheme.chars().all(is_scheme_character) {
            return None;
        }
        let authority = whole.split(['/', '?', '#']).next().unwrap_or_default();
        let url = Self::split(scheme, whole, authority.rfind('@'));
        let end = url.end_of_cut_credentials();
        Some(end.map_or(url, |end| Self {
            is_cut: true,
            ..Self::split(scheme, whole, Some(end))
        }))
    }

    /// Splits what follows `://`, with the position of the `@` that ends the credentials.
    fn split(scheme: &'a str, whole: &'a str, end: Option<usize>) -> Self {
        let credentials = end.map(|end| &whole[..end]);
        let hosts = end.map_or(whole, |end| &whole[end + 1..]);
        let (authority, rest) = hosts.split_at(hosts.find(['/', '?', '#']).unwrap_or(hosts.len()));
        Self {
            scheme,
            user: credentials.map(|text| text.split(':').next().unwrap_or_default()),
            password: credentials.and_then(|text| Some(text.split_once(':')?.1)),
            authority,
            rest,
            whole,
            is_cut: false,
        }
    }

    /// The scheme in lower case, without a driver such as `+psycopg`.
    fn dialect(&self) -> String {
        let dialect = self.scheme.split('+').next().unwrap_or_default();
        dialect.to_ascii_lowercase()
    }

    /// Whether the scheme is `http` or `https`.
    pub fn is_web(&self) -> bool {
        matches!(&*self.scheme.to_ascii_lowercase(), "http" | "https")
    }

    /// Whether the scheme is one for `PostgreSQL`, with or without a driver.
    pub fn is_postgres(&self) -> bool {
        self.default_port() == Some(5432)
    }

    /// The default port of the scheme, if it is known.
    pub fn default_port(&self) -> Option<u16> {
        let known = PORTS.split(' ').filter_map(|known| known.split_once(':'));
        let mut known = known.filter(|(scheme, _)| *scheme == self.dialect());
        known.next()?.1.parse().ok()
    }

    /// All hosts, or `None` if there is none or one is invalid.
    pub fn hosts(&self) -> Option<Vec<Host<'a>>> {
        self.authority.split(',').map(host_and_port).collect()
    }

    /// Whether all hosts are loopback addresses, which lead to the machine or container itself. Returns false if a host
    /// is invalid.
    pub fn is_local(&self) -> bool {
        let are_local = |hosts: Vec<Host<'_>>| hosts.iter().all(|(name, _)| is_loopback(name));
        self.hosts().is_some_and(are_local)
    }

    /// The position in `whole` of the `@` that ends the credentials if a raw `/`, `?` or `#` probably cuts them.
    fn end_of_cut_credentials(&self) -> Option<usize> {
        let first = self.whole.len() - self.rest.len() + self.rest.find('@')?;
        // The host begins after the last `@` before its end.
        let after = self.whole[first..].split(['/', '?', '#']).next()?;
        let end = first + after.rfind('@')?;
        // An `@` behind a second `://` belongs to another URL.
        if self.authority.is_empty() || self.whole[..end].contains("://") {
            return None;
        }
        // The path of an http URL and the virtual host of AMQP can contain an `@`, and so can a parameter.
        let has_port = self.authority.contains(':');
        let is_free = self.is_web() || self.is_amqp() && (self.user.is_some() || !has_port);
        let query = self.whole[..end].split_once('?').unwrap_or_default().1;
        let is_likely = !is_free && !query.contains('=') && self.default_port().is_some();
        let is_no_host = || self.hosts().is_none() || !is_free && self.authority.ends_with(':');
        let is_unreadable = self.user.is_none() && is_no_host();
        (is_likely || is_unreadable).then_some(end)
    }

    /// The characters of the user and the password that should be percent-encoded, each once, and whether no client
    /// accepts the URL with them.
    pub fn raw_characters(&self) -> (String, bool) {
        let credentials = [self.user, self.password].into_iter().flatten();
        let credentials: Vec<&str> = credentials.collect();
        let has = |raw: &char| credentials.iter().any(|text| text.contains(*raw));
        let is_mongodb = self.scheme.starts_with("mongodb");
        // Only Go's parser of URLs refuses a `{` or the like, and it reads neither of the first two.
        let refused = if is_mongodb {
            "@/?#[]%:"
        } else if self.driver().is_some() {
            "@/?#[]"
        } else {
            "@/?#\"<>[]\\^`{|}%"
        };
        let has_at = self.password.is_some_and(|text| text.contains('@'));
        let is_encoded = credentials.iter().all(|text| is_percent_encoded(text));
        let is_raw = |raw: &char| match raw {
            '%' => !is_encoded,
            // SQLAlchemy's user may contain it.
            '@' if self.driver().is_some() => has_at,
            _ => has(raw),
        };
        let raw: String = refused.chars().filter(is_raw).collect();
        // What the clients of each scheme accept was tried out. SQLAlchemy's password ends at the first `@`, and may
        // contain a `/`, `?` or `#`, and its user an `@`; most other clients end the password at the last `@` before the
        // first of these three.
        let is_certain = if is_mongodb {
            raw.contains(['@', '/', '?', '%', ':'])
        } else if self.is_sql() {
            has_at && (self.is_cut || self.driver().is_some())
        } else {
            let start = self.whole.split(['/', '?', '#']).next().unwrap_or_default();
            self.is_cut && !(self.is_amqp() && host_and_port(start).is_some())
        };
        (raw, is_certain)
    }

    /// The password. If the credentials are cut, what is certainly a part of it.
    fn certain_password(&self) -> Option<&'a str> {
        if !self.is_cut {
            return self.password;
        }
        let (start, _) = self.whole.split_once('@')?;
        let (_, password) = start.split_once(':')?;
        (!start.contains(['/', '?', '#'])).then_some(password)
    }

    /// Whether the URL is that of a database that `SQLAlchemy` knows, with or without a driver.
    pub fn is_sql(&self) -> bool {
        SQL.split(' ').any(|known| known == self.dialect())
    }

    /// The driver that the scheme selects in `SQLAlchemy`, such as `asyncpg`, in lower case.
    pub fn driver(&self) -> Option<String> {
        let driver = self.scheme.split_once('+').filter(|_| self.is_sql())?.1;
        Some(driver.to_ascii_lowercase())
    }

    fn is_amqp(&self) -> bool {
        matches!(self.default_port(), Some(5671 | 5672))
    }

    /// The path without its leading slashes, not decoded.
    pub fn path(&self) -> &'a str {
        let path = self.rest.split(['?', '#']).next().unwrap_or_default();
        path.trim_start_matches('/')
    }

    /// The parameters of the query, decoded. A `+` is not decoded, because it means a space only in form data.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let rest = self.rest.split('#').next().unwrap_or_default();
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let cut = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        cut.map(|(key, value)| (decoded(key), decoded(value)))
            .collect()
    }
}

/// Whether a character can be part of a scheme.
pub fn is_scheme_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.')
}

/// Splits `host[:port]`, with brackets around an IPv6 address. Returns `None` if the host or the port is invalid.
pub fn host_and_port(text: &str) -> Option<Host<'_>> {
    let (host, rest) = if let Some(inside) = text.strip_prefix('[') {
        inside.split_once(']').filter(|(host, _)| is_ipv6(host))?
    } else {
        let cut = text.split_at(text.find(':').unwrap_or(text.len()));
        Some(cut).filter(|(host, _)| is_host_name(host))?
    };
    match rest {
        "" | ":" => Some((host, None)),
        _ => Some((host, Some(port(rest.strip_prefix(':')?)?))),
    }
}

/// Parses a port: decimal digits, from 1 to 65535.
pub fn port(text: &str) -> Option<u16> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&port| is_digits && port > 0)
}

/// Whether a text is an IPv6 address, with or without a zone such as `%eth0`.
pub fn is_ipv6(text: &str) -> bool {
    let address = text.split('%').next().unwrap_or_default();
    address.parse::<Ipv6Addr>().is_ok()
}

/// Whether a text can be a host name. Admits `%`, because the path of a socket is percent-encoded, and `_`, because
/// many names in container networks contain it.
fn is_host_name(host: &str) -> bool {
    let is_allowed = |other: char| other.is_alphanumeric() || "-._%~".contains(other);
    (1..=MAX_HOST).contains(&host.len()) && host.chars().all(is_allowed) && !host.contains("..")
}

fn is_loopback(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    let address: Option<IpAddr> = name.parse().ok();
    let is_address = address.is_some_and(|address| address.is_loopback());
    name == "localhost" || name.ends_with(".localhost") || is_address
}

/// Decodes the percent-encoding in a text. A `%` without two hexadecimal digits is left unchanged.
pub fn percent_decoded(text: &str) -> Vec<u8> {
    let mut pieces = text.split('%');
    let mut decoded = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (byte, rest) = escape(piece).map_or((b'%', piece), |byte| (byte, &piece[2..]));
        decoded.push(byte);
        decoded.extend_from_slice(rest.as_bytes());
    }
    decoded
}

/// Percent-encodes every byte but letters, digits, `-`, `.`, `_`, `~`, and those that `is_kept` returns true for.
pub fn percent_encoded(text: &[u8], is_kept: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len());
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || is_kept(byte) {
            encoded.push(byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    encoded
}

/// Whether each `%` in a text is followed by two hexadecimal digits.
pub fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|piece| escape(piece).is_some())
}

/// Decodes the two hexadecimal digits at the beginning of the text after a `%`.
fn escape(after: &str) -> Option<u8> {
    let digits = after.get(..2)?;
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| are_digits)
}

/// Decodes the percent-encoding in a text. Bytes that are not UTF-8 become replacement characters.
pub fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&percent_decoded(text)).into_owned()
}

/// Everything in a text that can be a password, as it is written, to be masked in output. The text can be a URL, a list
/// of URLs in any form, a connection string, or a sentence that contains one of these.
pub fn passwords(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in parts(text) {
        let url = Url::cut(part);
        found.extend(url.and_then(|url| url.certain_password()));
        found.extend(url.filter(|url| url.is_cut).and_then(|url| url.password));
        found.extend(by_key(part));
    }
    found.retain(|password| !password.is_empty());
    found
}

/// Everything in a text that is certainly a password: in the credentials or the query of a URL, or in a connection
/// string with semicolons. Returns nothing for a sentence that contains a URL and, elsewhere, an `@`.
pub fn certain_passwords(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in text.split_whitespace().flat_map(parts) {
        found.extend(Url::cut(part).and_then(|url| url.certain_password()));
        if part.contains("://") || part.contains(';') {
            found.extend(by_key(part));
        }
    }
    found.retain(|password| !password.is_empty());
    found
}

/// Splits a text where URLs begin. Each part except the first is a URL and the text after it.
fn parts(text: &str) -> Vec<&str> {
    let starts = text.match_indices("://");
    let starts = starts.map(|(at, _)| text[..at].trim_end_matches(is_scheme_character).len());
    let borders = std::iter::once(0).chain(starts).chain([text.len()]);
    let borders: Vec<usize> = borders.collect();
    let pairs = borders.windows(2);
    pairs.map(|pair| &text[pair[0]..pair[1]]).collect()
}

/// The values of the keys of passwords, in a query or in a connection string. A comma ends a value in a list of URLs and
/// in some connection strings, but can also be part of it, so the values up to the comma and beyond it are both returned.
fn by_key(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('=') {
        let before = text[..at].trim_end();
        let border = before.trim_end_matches(|other: char| other.is_ascii_alphabetic());
        let key = &before[border.len()..];
        let ends = match border.chars().next_back() {
            _ if !KEYS.iter().any(|known| known.eq_ignore_ascii_case(key)) => continue,
            Some('?' | '&') => ['&', '#'],
            None | Some(';' | ',' | '"' | '\'') => [';'; 2],
            Some(other) if other.is_whitespace() => [';'; 2],
            Some(_) => continue,
        };
        let value = text[at + 1..].trim_start();
        let is_quote = |other: char| matches!(other, '"' | '\'');
        if let Some(quote) = value.chars().next().filter(|first| is_quote(*first)) {
            found.push(&value[1..=quoted_length(&value[1..], quote)]);
            continue;
        }
        let is_end = |other| ends.contains(&other) || is_quote(other) || other.is_whitespace();
        let whole = value.split(is_end).next().unwrap_or_default();
        let whole = whole.trim_end_matches(',');
        found.extend([whole.split(',').next().unwrap_or_default(), whole]);
    }
    found
}

/// The length of a quoted value without its quotes, in bytes. A quote in it is escaped with a backslash, or doubled.
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
mod tests;
