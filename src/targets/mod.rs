//! The targets of waits and locks, parsed from a URL or an address.

#[cfg(feature = "postgres")]
pub mod postgres;

use std::fmt;

use crate::report::{Code, ValueFinding, wrong_type};
use crate::url::{Url, host_and_port};
#[cfg(feature = "postgres")]
use postgres::PostgresTarget;

/// How to find out whether a dependency is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Logs in to a PostgreSQL server.
    Postgres,
    /// Opens a TCP connection.
    Tcp,
    /// Sends a GET request, and expects a status from 200 to 299, or one of a list.
    Http,
}

impl Protocol {
    /// The key in the manifest, and the name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Postgres => "postgres",
            Protocol::Tcp => "tcp",
            Protocol::Http => "http",
        }
    }
}

/// The target of a wait.
#[derive(Clone)]
pub enum Target {
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresTarget>),
    /// Ready as soon as one of the addresses accepts a connection.
    Tcp(Vec<Address>),
    Http(HttpTarget),
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(out, "[{host}]:{port}")
        } else {
            write!(out, "{host}:{port}")
        }
    }
}

/// A page to request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTarget {
    pub address: Address,
    pub is_encrypted: bool,
    /// The host as written in the URL, with the port if the URL has one.
    pub host_header: String,
    /// Path and query.
    pub path: String,
    /// The file with the root certificates, or `None` for the system's.
    pub roots: Option<String>,
    /// The statuses with which it is ready. If empty, those from 200 to 299.
    pub statuses: Vec<u16>,
}

impl Target {
    /// Parses the value of a variable, or a literal of the manifest. `variable` looks up libpq's environment variables
    /// and `SSL_CERT_FILE`.
    ///
    /// # Errors
    /// What is wrong with the text. The finding does not contain the text itself.
    pub fn parse<'v>(
        protocol: Protocol,
        text: &str,
        variable: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<Self, ValueFinding> {
        match protocol {
            #[cfg(feature = "postgres")]
            Protocol::Postgres => PostgresTarget::parse(text, variable)
                .map(|database| Target::Postgres(Box::new(database))),
            #[cfg(not(feature = "postgres"))]
            Protocol::Postgres => Err(wrong_type(
                "needs the PostgreSQL client, which this build of startup-guard does not have",
                "use a build with the feature `postgres`",
            )),
            Protocol::Tcp => addresses(text).map(Target::Tcp),
            Protocol::Http => HttpTarget::parse(text, variable("SSL_CERT_FILE")).map(Target::Http),
        }
    }

    /// The addresses for messages, each as `host:port`. They contain no secrets.
    pub fn shown(&self) -> String {
        match self {
            #[cfg(feature = "postgres")]
            Target::Postgres(database) => database.shown(),
            Target::Tcp(addresses) => {
                let shown = addresses.iter().map(Address::to_string);
                shown.collect::<Vec<_>>().join(",")
            }
            Target::Http(page) => page.address.to_string(),
        }
    }
}

/// What a list of statuses must be.
pub const STATUSES: &str = "must be a status from 200 to 599, such as 401, or a list of them";

/// Parses the status of an answer of a web server.
pub fn http_status(text: &str) -> Option<u16> {
    let are_digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let status = text.parse().ok().filter(|_| are_digits);
    status.filter(|status| (200..=599).contains(status))
}

/// Splits a text into the parts of a URL. Returns `None` if it is not a URL.
///
/// # Errors
/// If an unescaped character cuts the credentials, and no client reads them as they are meant.
fn cut(text: &str) -> Result<Option<Url<'_>>, ValueFinding> {
    let url = Url::cut(text.trim());
    match url.filter(|url| url.is_cut).map(|url| url.raw_characters()) {
        Some((raw, true)) => Err(ValueFinding::unescaped_credentials((raw, true))),
        _ => Ok(url),
    }
}

/// Parses `host:port`, or a URL with one or several hosts.
fn addresses(text: &str) -> Result<Vec<Address>, ValueFinding> {
    const SHAPE: &str = "write it as host:port, or as a URL with a host";
    let several = || text.split([',', ';']).map(str::trim);
    if several().skip(1).any(|one| Url::cut(one).is_some()) {
        let all = several().filter(|one| !one.is_empty()).map(addresses);
        return Ok(all.collect::<Result<Vec<_>, _>>()?.concat());
    }
    let url = cut(text)?;
    let default_port = url.and_then(|url| url.default_port());
    if url.is_some_and(|url| url.scheme.ends_with("+srv")) {
        let problem = "names no server: clients look the servers up in DNS (SRV)";
        let fix = "wait for host:port of a server instead";
        return Err(wrong_type(problem, fix));
    }
    let hosts = url.map_or(text.trim(), |url| url.authority);
    let read = |host| {
        let missing = |problem| move || wrong_type(problem, SHAPE);
        let (host, port) = host_and_port(host).ok_or_else(missing("has no host and port"))?;
        let port = port.or(default_port).ok_or_else(missing("has no port"))?;
        let host = host.to_owned();
        Ok(Address { host, port })
    };
    hosts.split(',').map(read).collect()
}

/// Where the answer of a web server leads.
pub enum Redirect {
    /// To another page of the same host.
    Followed(Box<HttpTarget>),
    /// To another host.
    Elsewhere(String),
    /// To what is not a URL of a web page.
    Invalid,
    /// From https to http.
    Downgraded,
}

impl HttpTarget {
    /// The page to which a header `Location` of this page's answer leads.
    pub fn redirected(&self, location: &str) -> Redirect {
        let scheme = ["http:", "https:"][usize::from(self.is_encrypted)];
        let path = self.path.split('?').next().unwrap_or_default();
        let folder = path.rfind('/').map_or("/", |last| &path[..=last]);
        let host = &self.host_header;
        let url = match location.as_bytes() {
            _ if Url::cut(location).is_some() => location.to_owned(),
            [b'/', b'/', ..] => format!("{scheme}{location}"),
            [b'/', ..] => format!("{scheme}//{host}{location}"),
            [b'?', ..] => format!("{scheme}//{host}{path}{location}"),
            // A fragment is not part of a request.
            [] | [b'#', ..] => format!("{scheme}//{host}{}", self.path),
            _ => format!("{scheme}//{host}{folder}{location}"),
        };
        let Ok(page) = Self::parse(&url, self.roots.as_deref()) else {
            return Redirect::Invalid;
        };
        if !page.address.host.eq_ignore_ascii_case(&self.address.host) {
            Redirect::Elsewhere(page.address.host)
        } else if self.is_encrypted && !page.is_encrypted {
            Redirect::Downgraded
        } else {
            Redirect::Followed(Box::new(page))
        }
    }

    /// Parses `http[s]://host[:port][/path]`. `roots` is the file with the root certificates, or `None` for the
    /// system's.
    ///
    /// # Errors
    /// What is wrong with the text. The finding does not contain the text itself.
    pub fn parse(text: &str, roots: Option<&str>) -> Result<Self, ValueFinding> {
        const SHAPE: &str = "write it as http://host:port/path";
        let wrong_scheme = |problem, fix| Err(ValueFinding::new(Code::WrongScheme, problem, fix));
        let url = cut(text)?.ok_or_else(|| wrong_type("is not an http URL", SHAPE))?;
        if !url.is_web() {
            return wrong_scheme("does not begin with http:// or https://", SHAPE);
        }
        let is_encrypted = url.scheme.eq_ignore_ascii_case("https");
        if is_encrypted && cfg!(not(feature = "postgres")) {
            let problem =
                "begins with https://, which this build of startup-guard does not support";
            let fix = "use http://, or a build with the feature `postgres`";
            return wrong_scheme(problem, fix);
        }
        let (host, port) = host_and_port(url.authority).ok_or_else(ValueFinding::invalid_host)?;
        let port = port.unwrap_or(if is_encrypted { 443 } else { 80 });
        let path = url.rest.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = "has a character in its path that must be percent-encoded";
            let fix = "percent-encode white space and all characters that are not ASCII";
            return Err(wrong_type(problem, fix));
        }
        let host = host.to_owned();
        Ok(Self {
            address: Address { host, port },
            is_encrypted,
            host_header: url.authority.to_owned(),
            path: format!("{slash}{path}"),
            roots: roots.map(str::to_owned),
            statuses: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Code, HttpTarget, Protocol, Redirect, Target, addresses};

    #[test]
    fn a_part_of_a_password_is_never_taken_for_a_host() {
        for text in [
            "redis://CANuser:4711/xyz@127.0.0.1/0",
            "redis://CANuser:4711#xyz@127.0.0.1",
            "redis://CANuser:4711?xyz@127.0.0.1",
            "redis://u@CAN:47/11@127.0.0.1/0",
        ] {
            let refused = Target::parse(Protocol::Tcp, text, |_| None);
            let code = refused.err().map(|finding| finding.code);
            assert_eq!(code, Some(Code::Unescaped), "{text}");
        }
        for text in [
            "http://host:80/@name",
            "redis://u:p@cache/0?name=a@b",
            "cache:6379",
        ] {
            let protocol = if text.starts_with("http") {
                Protocol::Http
            } else {
                Protocol::Tcp
            };
            assert!(Target::parse(protocol, text, |_| None).is_ok(), "{text}");
        }
        let escape = Target::parse(Protocol::Tcp, "\u{1b}[31mhost:1", |_| None);
        assert!(escape.is_err(), "no host contains a control character");
    }

    #[test]
    fn an_address_is_a_host_with_its_port_or_a_url() {
        for (text, shown) in [
            ("cache:6379", "cache:6379"),
            ("[::1]:80", "[::1]:80"),
            ("redis://:s3cret@cache/0", "cache:6379"),
            ("rediss://u:p@cache:7000", "cache:7000"),
            ("amqps://mq/vhost", "mq:5671"),
            ("postgresql+asyncpg://db/app", "db:5432"),
        ] {
            let read = addresses(text).expect("an address");
            assert_eq!(
                read.first().map(ToString::to_string).as_deref(),
                Some(shown)
            );
        }
        assert_eq!(
            addresses("mongodb://a,b:1/d").expect("two addresses").len(),
            2
        );
        let several = addresses("amqp://u:p@a;amqp://u:p@b:1").expect("two addresses");
        let several: Vec<String> = several.iter().map(ToString::to_string).collect();
        assert_eq!(several, ["a:5672", "b:1"]);
        for text in [
            "",
            "cache",
            "cache:port",
            "unknown://h",
            "redis:///0",
            "mongodb+srv://u:p@cluster0.example.net/d",
            "a b:1",
            "h:1/x",
        ] {
            assert!(addresses(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_redirect_is_followed_to_pages_of_the_same_host_only() {
        let page = |url| HttpTarget::parse(url, None).expect("a page");
        let (plain, encrypted) = ("http://Auth:8080/a/b?x=1", "https://auth/a");
        for (from, location, to) in [
            (plain, "/", Ok("http://Auth:8080/")),
            (plain, "c?y", Ok("http://Auth:8080/a/c?y")),
            (plain, "?y=2", Ok("http://Auth:8080/a/b?y=2")),
            (plain, "", Ok("http://Auth:8080/a/b?x=1")),
            (plain, "#top", Ok("http://Auth:8080/a/b?x=1")),
            (plain, "//auth/x", Ok("http://auth/x")),
            (plain, "https://auth:8080/a/b", Ok("https://auth:8080/a/b")),
            (plain, "HTTP://AUTH:9/", Ok("http://AUTH:9/")),
            (
                plain,
                "https://auth.example.com/",
                Err(Some("auth.example.com")),
            ),
            (plain, "http://u:p@mail:8080/", Err(Some("mail"))),
            (plain, "ftp://auth/", Err(None)),
            (plain, "/a b", Err(None)),
            (encrypted, "//auth/b", Ok("https://auth/b")),
            (encrypted, "http://auth/b", Err(Some("downgraded"))),
        ] {
            let expected = to.map(page).map_err(|host| host.map(str::to_owned));
            let led = match page(from).redirected(location) {
                Redirect::Followed(page) => Ok(*page),
                Redirect::Elsewhere(host) => Err(Some(host)),
                Redirect::Invalid => Err(None),
                Redirect::Downgraded => Err(Some("downgraded".to_owned())),
            };
            assert_eq!(led, expected, "{location}");
        }
    }

    #[test]
    fn a_page_has_a_host_and_a_path() {
        let page = HttpTarget::parse("http://auth:8080/health?x=1#y", None).expect("a page");
        let (host, port) = ("auth".to_owned(), 8080);
        assert_eq!(page.address, Address { host, port });
        assert_eq!(page.path, "/health?x=1");
        assert_eq!(page.host_header, "auth:8080");
        assert_eq!(
            HttpTarget::parse("http://[::1]?q", None)
                .expect("a page")
                .path,
            "/?q"
        );
        for text in [
            "auth:8080",
            "ftp://h/",
            "http://",
            "http://h/a b",
            "http://h:0/",
        ] {
            assert!(HttpTarget::parse(text, None).is_err(), "{text}");
        }
    }
}
