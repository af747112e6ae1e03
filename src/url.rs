//! The one place where a URL is cut into its parts: for the rules of values, the targets of waits and locks, the
//! diagnosis, and the mask.
//!
//! This does not use the `url` crate. A browser's parser repairs the mistakes that are to be found here (it drops line
//! breaks, turns `\` into `/`, escapes raw characters in a password), and allows only one host, where database URLs
//! can have several.

use std::net::{IpAddr, Ipv6Addr};

/// The schemes of the URLs of servers, by the port that these listen on.
const PORTS: [(u16, &[&str]); 11] = [
    (5432, &["postgresql", "postgres"]),
    (3306, &["mysql", "mariadb"]),
    (6379, &["redis", "rediss", "valkey"]),
    (5672, &["amqp"]),
    (5671, &["amqps"]),
    (27017, &["mongodb"]),
    (4222, &["nats"]),
    (9092, &["kafka"]),
    (11211, &["memcached"]),
    (80, &["http"]),
    (443, &["https"]),
];

/// The longest host name, in bytes.
const MAX_HOST: usize = 255;

/// A host name or address, without brackets, and its port.
pub type Host<'a> = (&'a str, Option<u16>);

/// A URL, cut at its delimiters. Nothing is decoded.
#[derive(Clone, Copy)]
pub struct Url<'a> {
    /// With the name of a driver, as in `postgresql+psycopg`.
    pub scheme: &'a str,
    pub user: Option<&'a str>,
    /// Everything between the first `:` of the credentials and their `@`.
    pub password: Option<&'a str>,
    /// One `host[:port]`, or several, separated by commas. Can be empty.
    pub authority: &'a str,
    /// The path, the query and the fragment, with their delimiters.
    pub rest: &'a str,
    /// Everything after `://`.
    whole: &'a str,
}

impl<'a> Url<'a> {
    /// Cuts `scheme://[user[:password]@]hosts[rest]`. Returns `None` for a text that does not begin with a scheme
    /// and `://`.
    pub fn cut(text: &'a str) -> Option<Self> {
        let (scheme, whole) = text.split_once("://")?;
        let starts_with_letter = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
        if !starts_with_letter || !scheme.chars().all(is_scheme_character) {
            return None;
        }
        let (authority, rest) = whole.split_at(whole.find(['/', '?', '#']).unwrap_or(whole.len()));
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        Some(Self {
            scheme,
            user: credentials.map(|text| text.split(':').next().unwrap_or_default()),
            password: credentials.and_then(|text| Some(text.split_once(':')?.1)),
            authority,
            rest,
            whole,
        })
    }

    /// The scheme, in lower case, without the name of a driver such as `+psycopg`.
    fn dialect(&self) -> String {
        let dialect = self.scheme.split('+').next().unwrap_or_default();
        dialect.to_ascii_lowercase()
    }

    /// Whether the scheme is `http` or `https`.
    pub fn is_web(&self) -> bool {
        matches!(&*self.scheme.to_ascii_lowercase(), "http" | "https")
    }

    /// Whether the scheme is one of PostgreSQL's, with or without a driver.
    pub fn is_postgres(&self) -> bool {
        matches!(&*self.dialect(), "postgresql" | "postgres")
    }

    /// The port that a server of this scheme listens on, if it is known.
    pub fn default_port(&self) -> Option<u16> {
        let dialect = self.dialect();
        let mut ports = PORTS.iter();
        let found = ports.find(|(_, schemes)| schemes.contains(&dialect.as_str()));
        found.map(|&(port, _)| port)
    }

    /// All hosts, or `None` if there is none or one is invalid.
    pub fn hosts(&self) -> Option<Vec<Host<'a>>> {
        self.authority.split(',').map(host_and_port).collect()
    }

    /// Whether the URL names no host, although it must. The URL of a database file or of a Unix socket has none.
    /// libpq takes the host of a PostgreSQL URL without one from `PGHOST`, and else looks for a local server.
    pub fn lacks_host(&self) -> bool {
        let is_file = self.scheme.starts_with("sqlite") || ["file", "unix"].contains(&self.scheme);
        let may_lack_host = is_file && self.rest.len() > 1
            || self.is_postgres()
            || self.parameters().iter().any(|(key, _)| key == "host");
        self.authority.is_empty() && !may_lack_host
    }

    /// Whether all hosts are the machine, or container, that the URL is used on. Invalid hosts are not.
    pub fn is_local(&self) -> bool {
        let are_local = |hosts: Vec<Host<'_>>| hosts.iter().all(|(name, _)| is_loopback(name));
        self.hosts().is_some_and(are_local)
    }

    /// Whether a raw `/`, `?` or `#` in the credentials ends them too early: `user:pa/ss@host` reads as the host
    /// `user`, the port `pa` and the path `/ss@host`. What is then taken for a host can be a part of the password.
    pub fn has_cut_credentials(&self) -> bool {
        if self.authority.is_empty() {
            return false;
        }
        if self.is_web() {
            // The path of a web address can contain an `@`.
            return self.rest.contains('@') && self.hosts().is_none();
        }
        // Once the credentials are complete, an `@` after the `?` belongs to a parameter.
        let has_port = self.authority.contains(':');
        let before_query = self.rest.split('?').next().unwrap_or_default();
        before_query.contains('@') && (has_port || self.default_port().is_some())
            || self.rest.contains('@') && has_port && self.user.is_none()
    }

    /// The whole password, if `has_cut_credentials`.
    pub fn cut_password(&self) -> Option<&'a str> {
        let (credentials, _) = self.whole.rsplit_once('@')?;
        let (_, password) = credentials.split_once(':')?;
        self.has_cut_credentials().then_some(password)
    }

    /// The path without its first slash, not decoded.
    pub fn path(&self) -> &'a str {
        let path = self.rest.split(['?', '#']).next().unwrap_or_default();
        path.trim_start_matches('/')
    }

    /// The parameters of the query, decoded. A `+` stays a `+`: it means a space in forms only.
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

/// Cuts `host[:port]`, with brackets around an IPv6 address. Returns `None` if the host or the port is invalid.
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

/// Reads a port: decimal digits, from 1 to 65535.
pub fn port(text: &str) -> Option<u16> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&port| is_digits && port > 0)
}

/// Whether a text is an IPv6 address, with or without a zone such as `%eth0`.
pub fn is_ipv6(text: &str) -> bool {
    let address = text.split('%').next().unwrap_or_default();
    address.parse::<Ipv6Addr>().is_ok()
}

/// A percent sign can be part of the encoded path of a socket. The names of many container networks contain
/// underscores.
fn is_host_name(host: &str) -> bool {
    let is_allowed = |other: char| other.is_alphanumeric() || "-._%~".contains(other);
    (1..=MAX_HOST).contains(&host.len()) && host.chars().all(is_allowed) && !host.contains("..")
}

fn is_loopback(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    let is_address = host
        .parse()
        .is_ok_and(|address: IpAddr| address.is_loopback());
    name == "localhost" || name.ends_with(".localhost") || is_address
}

/// Decodes the percent escapes in a text. A `%` without two hexadecimal digits stays as it is.
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

/// Whether each `%` in a text is followed by two hexadecimal digits.
pub fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|piece| escape(piece).is_some())
}

/// The byte that the first two characters after a `%` stand for.
fn escape(after: &str) -> Option<u8> {
    let digits = after.get(..2)?;
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| are_digits)
}

/// Decodes the percent escapes in a text. Bytes that are not UTF-8 become replacement characters.
pub fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&percent_decoded(text)).into_owned()
}

#[cfg(test)]
mod tests;
