//! Addresses: URLs, origins, mailboxes.

use std::net::IpAddr;
use std::str::FromStr;

use email_address::{EmailAddress, Options};

use crate::report::{Code, ValueFinding};
use crate::url::{Parts, cuts_password, split};

type Checked = Result<(), ValueFinding>;

fn wrong(problem: impl Into<String>, fix: impl Into<String>) -> Checked {
    Err(ValueFinding::new(Code::WrongType, problem, fix))
}

/// Whether a URL leads to the machine, or container, that it is used on.
pub fn is_local(url: &str) -> bool {
    split(url)
        .is_some_and(|parts| !parts.hosts.is_empty() && parts.hosts.split(',').all(is_loopback))
}

/// A URL with a host and, where `schemes` are given, one of those.
pub fn url(value: &str, schemes: &[String]) -> Checked {
    let Some(parts) = split(value) else {
        return wrong(
            "is not a URL",
            format!("write it as {}://host…", example_scheme(schemes)),
        );
    };
    // An unescaped character shifts all borders behind it, so it comes first.
    if has_unescaped_user(&parts) {
        return Err(ValueFinding::new(
            Code::Unescaped,
            "has an unescaped character in its user or password",
            "percent-encode the password: @ is %40, / is %2F, # is %23, ? is %3F, % is %25, a space is %20",
        ));
    }
    if value.contains(|other: char| other.is_whitespace() || other.is_control()) {
        return wrong(
            "has white space in it",
            "remove it, or percent-encode it as %20",
        );
    }
    if parts.hosts.is_empty() && !may_lack_host(&parts) {
        return wrong(
            "has no host",
            format!("write it as {}://host…", example_scheme(schemes)),
        );
    }
    if !parts.hosts.is_empty() && !parts.hosts.split(',').all(is_host_and_port) {
        return wrong(
            "has a host or a port that is none",
            "check what stands between :// and the next /",
        );
    }
    scheme_of(&parts, schemes)
}

/// An origin: scheme, host and port, as a browser sends it.
pub fn origin(value: &str, schemes: &[String]) -> Checked {
    let shape = "write scheme://host[:port] and nothing after it, such as https://app.example.com";
    let Some(parts) = split(value) else {
        return wrong("is not an origin", shape);
    };
    if parts.rest == "/" {
        return wrong(
            "ends with a slash, which no browser sends",
            "remove the slash at its end",
        );
    }
    if !parts.rest.is_empty() {
        return wrong("has a path after its host, which no browser sends", shape);
    }
    if parts.user_info.is_some() || !is_host_and_port(parts.hosts) {
        return wrong("is not an origin", shape);
    }
    scheme_of(&parts, schemes)
}

/// A mailbox: an address, alone or as `Name <address>`.
pub fn email(value: &str) -> Checked {
    let options = Options::default().with_minimum_sub_domains(2);
    if EmailAddress::parse_with_options(value, options).is_ok() {
        return Ok(());
    }
    wrong(
        "is not a mailbox",
        "write noreply@example.com or Name <noreply@example.com>",
    )
}

/// The scheme to show: one that the manifest names, never the value's own.
fn example_scheme(schemes: &[String]) -> &str {
    schemes.first().map_or("https", String::as_str)
}

fn scheme_of(parts: &Parts<'_>, schemes: &[String]) -> Checked {
    let is_admitted = schemes
        .iter()
        .any(|scheme| scheme.eq_ignore_ascii_case(parts.scheme));
    // In development nobody has a certificate for localhost.
    let is_local_http = parts.scheme.eq_ignore_ascii_case("http")
        && schemes.iter().any(|scheme| scheme == "https")
        && is_loopback(parts.hosts);
    if schemes.is_empty() || is_admitted || is_local_http {
        return Ok(());
    }
    let admitted: Vec<String> = schemes
        .iter()
        .map(|scheme| format!("{scheme}://"))
        .collect();
    let admitted = admitted.join(" or ");
    Err(ValueFinding::new(
        Code::WrongScheme,
        format!("does not begin with {admitted}"),
        format!("write it with {admitted}"),
    ))
}

/// Whether the user part holds a character that must be percent-encoded, or a `/`, `?` or `#` in it has cut
/// the URL too early.
fn has_unescaped_user(parts: &Parts<'_>) -> bool {
    match parts.user_info {
        Some(user_info) => {
            user_info.contains(['@', ' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}'])
                || user_info.contains(char::is_whitespace)
                || !is_percent_encoded(user_info)
        }
        None => cuts_password(parts),
    }
}

fn is_percent_encoded(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|after| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

/// A database file, and a server behind a Unix socket, are addressed without a host.
fn may_lack_host(parts: &Parts<'_>) -> bool {
    let is_file =
        parts.scheme.starts_with("sqlite") || parts.scheme == "file" || parts.scheme == "unix";
    is_file && parts.rest.len() > 1
        || parts.rest.contains("?host=")
        || parts.rest.contains("&host=")
}

fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, after)) => {
                let port = if after.is_empty() {
                    Some("")
                } else {
                    after.strip_prefix(':')
                };
                return address
                    .split('%')
                    .next()
                    .is_some_and(|address| address.parse::<IpAddr>().is_ok())
                    && port.is_some_and(is_port_or_empty);
            }
            None => return false,
        },
        None => text.split_once(':').unwrap_or((text, "")),
    };
    is_host(host) && is_port_or_empty(port)
}

fn is_port_or_empty(port: &str) -> bool {
    port.is_empty()
        || port.bytes().all(|byte| byte.is_ascii_digit())
            && u16::from_str(port).is_ok_and(|port| port > 0)
}

/// A name or an IPv4 address. Percent signs admit an encoded socket's path; underscores stand in many
/// networks' names.
fn is_host(host: &str) -> bool {
    let is_host_character = |character: char| {
        character.is_alphanumeric() || matches!(character, '-' | '.' | '_' | '%' | '~')
    };
    !host.is_empty()
        && host.len() <= 255
        && host.chars().all(is_host_character)
        && !host.contains("..")
}

fn is_loopback(hosts: &str) -> bool {
    let host = match hosts.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => hosts.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{Code, email, origin, url};

    fn told(checked: super::Checked) -> Option<Code> {
        checked.err().map(|violation| violation.code)
    }

    fn schemes(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn urls_need_a_scheme_and_a_host() {
        for value in [
            "postgresql://app:s3cret@db:5432/app?sslmode=require",
            "postgresql+psycopg://app@h1:5432,h2/app",
            "postgresql:///app?host=/var/run/postgresql",
            "redis://:p%40ss@cache:6379/0",
            "https://example.com",
            "http://[::1]:8000/path@here",
            "https://host:8080/@name",
            "sqlite:///./app.db",
            "https://bücher.example",
        ] {
            assert_eq!(told(url(value, &[])), None, "{value}");
        }
        for value in [
            "",
            "example.com",
            "://x",
            "http://",
            "https:///path",
            "http://host:99999",
            "http://a b/",
            "1x://h",
        ] {
            assert_eq!(told(url(value, &[])), Some(Code::WrongType), "{value}");
        }
    }

    #[test]
    fn raw_characters_in_the_user_part_are_unescaped() {
        for value in [
            "postgresql://app:p@ss@db/app",
            "postgresql://app:pa/ss@db/app",
            "postgresql://app:12/34@db/app",
            "postgresql://app:pa#ss@db/app",
            "postgresql://app:pa?ss@db/app",
            "postgresql://app:pa ss@db/app",
            "postgresql://app:100%@db/app",
            "redis://:a/b@cache:6379",
        ] {
            assert_eq!(told(url(value, &[])), Some(Code::Unescaped), "{value}");
        }
    }

    #[test]
    fn https_alone_admits_http_on_localhost_and_loopback() {
        let https = schemes(&["https"]);
        for value in [
            "https://example.com",
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:3000",
            "http://app.localhost",
        ] {
            assert_eq!(told(url(value, &https)), None, "{value}");
        }
        for value in [
            "http://example.com",
            "http://localhost.example.com",
            "ftp://localhost",
        ] {
            assert_eq!(told(url(value, &https)), Some(Code::WrongScheme), "{value}");
        }
        assert_eq!(told(url("HTTPS://example.com", &https)), None);
    }

    #[test]
    fn origins_have_nothing_after_the_port() {
        for value in ["https://app.example.com", "http://localhost:3000"] {
            assert_eq!(told(origin(value, &[])), None, "{value}");
        }
        for value in [
            "https://app.example.com/",
            "https://app.example.com/x",
            "app.example.com",
            "*",
            "https://u@h",
            "https://",
            "https://a.example?x",
        ] {
            assert_eq!(told(origin(value, &[])), Some(Code::WrongType), "{value}");
        }
        assert_eq!(
            told(origin("http://app.example.com", &schemes(&["https"]))),
            Some(Code::WrongScheme)
        );
    }

    #[test]
    fn mailboxes_come_alone_or_with_a_name() {
        for value in [
            "noreply@example.com",
            "INTOWORK <noreply@example.com>",
            "Équipe <a.b+c@mail.example.com>",
        ] {
            assert_eq!(told(email(value)), None, "{value}");
        }
        for value in [
            "",
            "example.com",
            "a@",
            "@example.com",
            "a@localhost",
            "Name <a@example.com",
            "a b@example.com",
        ] {
            assert_eq!(told(email(value)), Some(Code::WrongType), "{value}");
        }
    }
}
