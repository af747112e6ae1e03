//! What can be waited for, from the text that names it.

#[cfg(feature = "postgres")]
pub mod postgres;

use crate::report::{Code, ValueFinding};
use crate::url::{Parts, host_and_port, split};
#[cfg(feature = "postgres")]
use postgres::PostgresTarget;

/// The ports of URLs that name none, by scheme.
const PORTS: [(&str, u16); 15] = [
    ("postgresql", 5432),
    ("postgres", 5432),
    ("mysql", 3306),
    ("mariadb", 3306),
    ("redis", 6379),
    ("rediss", 6379),
    ("valkey", 6379),
    ("amqp", 5672),
    ("amqps", 5671),
    ("mongodb", 27017),
    ("nats", 4222),
    ("kafka", 9092),
    ("memcached", 11211),
    ("http", 80),
    ("https", 443),
];

/// How something is asked whether it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// By logging in.
    Postgres,
    /// By connecting.
    Tcp,
    /// By a GET that is answered with a 2xx.
    Http,
}

impl Protocol {
    /// The manifest's key, and the word in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Postgres => "postgres",
            Protocol::Tcp => "tcp",
            Protocol::Http => "http",
        }
    }
}

/// Something that can be waited for.
#[derive(Clone)]
pub enum Target {
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresTarget>),
    Tcp(Vec<Address>),
    Http(HttpTarget),
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

/// Something to GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTarget {
    pub address: Address,
    pub is_encrypted: bool,
    /// The host as the URL has it, with the port where it names one.
    pub host_header: String,
    /// Path and query.
    pub path: String,
    /// The file of the root certificates; none: the system's.
    pub roots: Option<String>,
}

fn wrong(problem: &str, fix: &str) -> ValueFinding {
    ValueFinding::new(Code::WrongType, problem, fix)
}

impl Target {
    /// Reads what a variable or the manifest says. `variable` gives libpq's variables.
    ///
    /// # Errors
    /// What is wrong with the text, without it.
    pub fn parse<'v>(
        protocol: Protocol,
        text: &str,
        variable: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<Self, ValueFinding> {
        refuse_cut_credentials(text.trim())?;
        match protocol {
            #[cfg(feature = "postgres")]
            Protocol::Postgres => PostgresTarget::parse(text, variable)
                .map(Box::new)
                .map(Target::Postgres),
            #[cfg(not(feature = "postgres"))]
            Protocol::Postgres => Err(wrong(
                "is a database, which this startup-guard was built without",
                "use a build with the feature `postgres`",
            )),
            Protocol::Tcp => addresses(text.trim()).map(Target::Tcp),
            Protocol::Http => {
                let page = HttpTarget::parse(text.trim())?;
                let roots = variable("SSL_CERT_FILE").map(str::to_owned);
                Ok(Target::Http(HttpTarget { roots, ..page }))
            }
        }
    }

    /// `host:port`: what may be shown.
    pub fn shown(&self) -> String {
        match self {
            #[cfg(feature = "postgres")]
            Target::Postgres(database) => database.shown(),
            Target::Tcp(addresses) => {
                let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                shown.join(",")
            }
            Target::Http(page) => page.address.to_string(),
        }
    }
}

/// `host:port`, or a URL with one host or several.
fn addresses(text: &str) -> Result<Vec<Address>, ValueFinding> {
    let (hosts, default_port) = match split(text) {
        Some(parts) => (parts.hosts, default_port(parts.scheme)),
        None => (text, None),
    };
    let no_address = || {
        wrong(
            "names no host and port",
            "write it as host:port, or as a URL with a host",
        )
    };
    let each = hosts.split(',').map(|host| {
        let (host, port) = host_and_port(host)
            .filter(|(host, _)| is_host(host))
            .ok_or_else(no_address)?;
        let port = port.or(default_port).ok_or_else(|| {
            wrong(
                "names no port",
                "write the port behind the host, with a colon",
            )
        })?;
        let host = host.to_owned();
        Ok(Address { host, port })
    });
    each.collect()
}

fn is_host(host: &str) -> bool {
    let is_other =
        |other: char| other.is_whitespace() || other.is_control() || "/?#@".contains(other);
    !host.is_empty() && !host.contains(is_other)
}

/// A raw `/`, `?` or `#` in a user or password ends the host too early: what would then be taken for the host,
/// and shown, is a part of them. Of web addresses only those that cannot be meant so.
fn refuse_cut_credentials(text: &str) -> Result<(), ValueFinding> {
    let Some(parts) = split(text) else {
        return Ok(());
    };
    let is_web = ["http", "https"]
        .iter()
        .any(|web| parts.scheme.eq_ignore_ascii_case(web));
    // Behind a `?` an `@` can be a parameter's, if the user part is complete.
    let suspicious = match parts.user_info {
        Some(_) => parts.rest.split('?').next().unwrap_or_default(),
        None => parts.rest,
    };
    if is_web || !suspicious.contains('@') {
        return Ok(());
    }
    Err(ValueFinding::new(
        Code::Unescaped,
        "has an unescaped character in its user or password",
        "percent-encode the password: @ is %40, / is %2F, # is %23, ? is %3F",
    ))
}

fn default_port(scheme: &str) -> Option<u16> {
    let dialect = scheme.split('+').next().unwrap_or_default();
    let known = PORTS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(dialect));
    known.map(|&(_, port)| port)
}

impl HttpTarget {
    /// Reads `http[s]://host[:port][/path]`.
    ///
    /// # Errors
    /// What is wrong with the text, without it.
    pub fn parse(text: &str) -> Result<Self, ValueFinding> {
        let shape = "write it as http://host:port/path";
        let parts = split(text).ok_or_else(|| wrong("is not an http URL", shape))?;
        let is_encrypted = parts.scheme.eq_ignore_ascii_case("https");
        if !is_encrypted && !parts.scheme.eq_ignore_ascii_case("http") {
            return Err(ValueFinding::new(
                Code::WrongScheme,
                "does not begin with http:// or https://",
                shape,
            ));
        }
        if is_encrypted && cfg!(not(feature = "postgres")) {
            return Err(ValueFinding::new(
                Code::WrongScheme,
                "begins with https://, which this startup-guard was built without",
                "use http://, or a build with the feature `postgres`",
            ));
        }
        let (host, port) = host_and_port(parts.hosts)
            .filter(|(host, _)| is_host(host))
            .ok_or_else(|| wrong("has a host or a port that is none", shape))?;
        let default = if is_encrypted { 443 } else { 80 };
        let path = path_and_query(&parts);
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong(
                "has a character in its path that must be percent-encoded",
                "percent-encode white space and everything that is not ASCII",
            ));
        }
        Ok(Self {
            address: Address {
                host: host.to_owned(),
                port: port.unwrap_or(default),
            },
            is_encrypted,
            host_header: parts.hosts.to_owned(),
            path,
            roots: None,
        })
    }
}

fn path_and_query(parts: &Parts<'_>) -> String {
    let rest = parts.rest.split('#').next().unwrap_or_default();
    if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Code, HttpTarget, Protocol, Target, addresses};

    #[test]
    fn what_is_cut_out_of_a_password_is_no_host() {
        for text in [
            "redis://CANuser:4711/xyz@127.0.0.1/0",
            "redis://CANuser:4711#xyz@127.0.0.1",
            "redis://CANuser:4711?xyz@127.0.0.1",
            "redis://u@CAN:47/11@127.0.0.1/0",
        ] {
            let refused = Target::parse(Protocol::Tcp, text, |_| None);
            let code = refused.err().map(|violation| violation.code);
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
        assert!(escape.is_err(), "a control character is in no host");
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
        for text in [
            "",
            "cache",
            "cache:port",
            "unknown://h",
            "redis:///0",
            "a b:1",
            "h:1/x",
        ] {
            assert!(addresses(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_has_a_host_and_a_path() {
        let page = HttpTarget::parse("http://auth:8080/health?x=1#y").expect("a page");
        let (host, port) = ("auth".to_owned(), 8080);
        assert_eq!(page.address, Address { host, port });
        assert_eq!(page.path, "/health?x=1");
        assert_eq!(page.host_header, "auth:8080");
        assert_eq!(
            HttpTarget::parse("http://[::1]?q").expect("a page").path,
            "/?q"
        );
        for text in [
            "auth:8080",
            "ftp://h/",
            "http://",
            "http://h/a b",
            "http://h:0/",
        ] {
            assert!(HttpTarget::parse(text).is_err(), "{text}");
        }
    }
}
