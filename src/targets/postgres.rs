//! The addresses of a PostgreSQL server and how to log in, from a URL for libpq, `SQLAlchemy` or asyncpg.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, SslMode, SslNegotiation, TargetSessionAttrs};

use super::{Address, cut};
use crate::report::{Code, ValueFinding, wrong_type};
use crate::url::{self, Url, decoded, host_and_port, is_ipv6, percent_decoded, port};

/// The port if none is specified.
const PORT: u16 = 5432;

/// The hosts if none is specified: the usual folders of Unix sockets, then the local TCP port.
const DEFAULT_HOSTS: &str = "/var/run/postgresql,/tmp,localhost";

/// A shorter `connect_timeout` counts as this one, as in libpq.
const MIN_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The values of libpq's `sslmode`, with whether to encrypt and what to verify.
const MODES: [(&str, (SslMode, Verify)); 6] = [
    ("disable", (SslMode::Disable, Verify::Nothing)),
    ("allow", (SslMode::Prefer, Verify::Nothing)),
    ("prefer", (SslMode::Prefer, Verify::Nothing)),
    ("require", (SslMode::Require, Verify::Nothing)),
    ("verify-ca", (SslMode::Require, Verify::Authority)),
    ("verify-full", (SslMode::Require, Verify::Name)),
];

const ROLES: [(&str, TargetSessionAttrs); 6] = [
    ("any", TargetSessionAttrs::Any),
    ("read-write", TargetSessionAttrs::ReadWrite),
    ("read-only", TargetSessionAttrs::ReadOnly),
    ("primary", TargetSessionAttrs::ReadWrite),
    ("standby", TargetSessionAttrs::ReadOnly),
    ("prefer-standby", TargetSessionAttrs::Any),
];

/// A database. Does not implement `Debug`, because it contains the password.
#[derive(Clone)]
pub struct PostgresTarget {
    /// Everything except the verification of TLS. The hosts are tried in order, and each has a port. In
    /// `target_session_attrs`, `ReadWrite` means a primary and `ReadOnly` a standby.
    pub config: Config,
    pub tls: Tls,
}

/// How a TLS connection is verified, and the client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub verify: Verify,
    /// The file with the root certificates, or `None` for the system's.
    pub roots: Option<String>,
    /// The files with the client's certificate and its key.
    pub certificate: Option<(String, String)>,
}

/// What is verified of the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    Nothing,
    /// The certificate must be signed by a trusted authority, and may be for any host name.
    Authority,
    /// The certificate must also be for the host's name.
    Name,
}

impl PostgresTarget {
    /// Parses a URL. What the URL does not specify comes from libpq's environment variables, which `variable` looks up.
    ///
    /// # Errors
    /// What is wrong with the URL. The finding does not contain the URL itself.
    pub fn parse<'v>(
        text: &str,
        variable: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<Self, ValueFinding> {
        const SHAPE: &str = "write it as postgresql://user:password@host:5432/database";
        let url = cut(text)?.ok_or_else(|| wrong_type("is not a PostgreSQL URL", SHAPE))?;
        if !url.is_postgres() {
            let problem = "does not begin with postgresql://, the only database that is supported";
            return Err(ValueFinding::new(Code::WrongScheme, problem, SHAPE));
        }
        // The last value of a parameter counts, so user and database from before the query override those in it.
        let user = ("user".to_owned(), decoded(url.user.unwrap_or_default()));
        let name = ("dbname".to_owned(), decoded(url.path()));
        let parameters = [url.parameters(), vec![user, name]].concat();
        let source = Source {
            parameters,
            variable,
        };
        let mut config = Config::new();
        let hosts = source.hosts(&url).ok_or_else(ValueFinding::invalid_host)?;
        let ports = source.ports(hosts.len())?;
        for ((name, port), default) in hosts.into_iter().zip(ports) {
            config.host(name).port(port.unwrap_or(default));
        }
        if let Some(user) = source.get(&["user"], "PGUSER") {
            config.user(user);
        }
        if let Some(password) = url.password.filter(|password| !password.is_empty()) {
            config.password(percent_decoded(password));
        } else if let Some(password) = source.get(&["password"], "PGPASSWORD") {
            config.password(password);
        }
        if let Some(name) = source.get(&["dbname", "database"], "PGDATABASE") {
            config.dbname(name);
        }
        if let Some(options) = source.get(&["options"], "PGOPTIONS") {
            config.options(options);
        }
        if let Some(text) = source.get(&["connect_timeout"], "PGCONNECT_TIMEOUT") {
            let problem = "has a connect_timeout that is not a whole number of seconds";
            let invalid = |_| wrong_type(problem, "write it as connect_timeout=10");
            let seconds: i64 = text.trim().parse().map_err(invalid)?;
            // As in libpq, there is no limit if the number is zero or negative.
            if let Some(seconds) = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0) {
                config.connect_timeout(Duration::from_secs(seconds).max(MIN_CONNECT_TIMEOUT));
            }
        }
        config.channel_binding(match source.get(&["channel_binding"], "PGCHANNELBINDING") {
            Some("disable") => ChannelBinding::Disable,
            Some("require") => ChannelBinding::Require,
            _ => ChannelBinding::Prefer,
        });
        if let Some(role) = source.get(&["target_session_attrs"], "PGTARGETSESSIONATTRS") {
            config.target_session_attrs(choose("target_session_attrs", role, &ROLES)?);
        }
        if source.get(&["sslnegotiation"], "PGSSLNEGOTIATION") == Some("direct") {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        let (mode, tls) = source.tls()?;
        config.ssl_mode(mode);
        Ok(Self { config, tls })
    }

    /// Accepts only a primary.
    pub fn require_primary(&mut self) {
        let role = TargetSessionAttrs::ReadWrite;
        self.config.target_session_attrs(role);
    }

    /// The hosts and their ports, in the order in which they are tried.
    pub fn hosts(&self) -> impl Iterator<Item = (&Host, u16)> {
        let ports = self.config.get_ports().iter().copied();
        self.config.get_hosts().iter().zip(ports)
    }

    /// The addresses for messages, each as `host:port` or the path of a socket. They contain no secrets.
    pub fn shown(&self) -> String {
        let shown = self.hosts().map(|(host, port)| match host.clone() {
            Host::Tcp(host) => Address { host, port }.to_string(),
            Host::Unix(folder) => socket(&folder, port).display().to_string(),
        });
        shown.collect::<Vec<String>>().join(",")
    }
}

/// The path of the server's socket in a folder.
pub fn socket(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

/// The parameters of the URL, and libpq's environment variables for those that it does not have.
struct Source<F> {
    parameters: Vec<(String, String)>,
    variable: F,
}

impl<'v, F: Fn(&str) -> Option<&'v str>> Source<F> {
    fn get<'a>(&'a self, keys: &[&str], variable: &str) -> Option<&'a str>
    where
        'v: 'a,
    {
        let is_set = |(key, value): &&(String, String)| keys.contains(&&**key) && !value.is_empty();
        let parameter = self.parameters.iter().rfind(is_set);
        parameter.map_or_else(|| (self.variable)(variable), |(_, value)| Some(value))
    }

    /// The hosts from the URL, its query, `PGHOST` or the defaults, with those ports that are specified with a host.
    /// Returns `None` if a host is invalid.
    fn hosts(&self, url: &Url<'_>) -> Option<Vec<(String, Option<u16>)>> {
        let only_port = url.authority.strip_prefix(':').and_then(port);
        let read = |text: &str, port: Option<u16>| {
            let (name, own) = host(text)?;
            Some((name.to_owned(), own.or(port)))
        };
        if !url.authority.is_empty() && only_port.is_none() {
            let hosts = url.hosts()?.into_iter();
            let hosts = hosts.map(|(name, port)| read(&decoded(name), port));
            return hosts.collect();
        }
        // SQLAlchemy repeats the key for each host. libpq separates the hosts by commas. pg8000 has a key for a socket.
        let hosts = self.parameters.iter();
        let hosts = hosts.filter(|(key, _)| matches!(&**key, "host" | "unix_sock"));
        let named: Vec<&str> = hosts.map(|(_, hosts)| &**hosts).collect();
        let named = named.join(",");
        let named = Some(named.as_str()).filter(|hosts| !hosts.trim_matches(',').is_empty());
        let hosts = named.or_else(|| (self.variable)("PGHOST"));
        let hosts = hosts.unwrap_or(DEFAULT_HOSTS).split(',');
        let hosts = hosts.filter(|host| !host.is_empty());
        hosts.map(|text| read(text, only_port)).collect()
    }

    /// The port of each of `count` hosts, for those without their own: the same for all hosts, or one for each.
    fn ports(&self, count: usize) -> Result<Vec<u16>, ValueFinding> {
        let Some(texts) = self.get(&["port"], "PGPORT") else {
            return Ok(vec![PORT; count]);
        };
        let ports: Option<Vec<u16>> = texts.split(',').map(|text| port(text.trim())).collect();
        let invalid = || wrong_type("has an invalid port", "use a number from 1 to 65535");
        let mut ports = ports.ok_or_else(invalid)?;
        let default = if ports.len() == 1 { ports[0] } else { PORT };
        ports.resize(count, default);
        Ok(ports)
    }

    fn tls(&self) -> Result<(SslMode, Tls), ValueFinding> {
        let roots = self.get(&["sslrootcert"], "PGSSLROOTCERT");
        let is_system = roots == Some("system");
        let mode = match self.get(&["sslmode", "ssl"], "PGSSLMODE") {
            None if is_system => "verify-full",
            None => "prefer",
            // As in libpq, which verifies the certificate if root certificates are specified.
            Some("require" | "true") if roots.is_some() => "verify-ca",
            // node-postgres has `no-verify`, and its `ssl` and that of `databases` can be a boolean.
            Some("true" | "True" | "1" | "no-verify") => "require",
            Some("false" | "False" | "0") => "disable",
            Some(text) => text,
        };
        let (mode, verify) = choose("sslmode", mode, &MODES)?;
        // libpq rejects this, too.
        if is_system && verify != Verify::Name {
            let problem = "has sslrootcert=system with a weaker sslmode than verify-full";
            return Err(wrong_type(problem, "write sslmode=verify-full"));
        }
        let certificate = self.get(&["sslcert"], "PGSSLCERT").map(str::to_owned);
        let key = self.get(&["sslkey"], "PGSSLKEY").map(str::to_owned);
        let own_roots = roots.filter(|_| !is_system);
        let roots = own_roots.or_else(|| (self.variable)("SSL_CERT_FILE"));
        let tls = Tls {
            verify,
            roots: roots.map(str::to_owned),
            certificate: certificate.zip(key),
        };
        Ok((mode, tls))
    }
}

/// Parses a host from the query or `PGHOST`: the folder of a socket or the socket itself, an IPv6 address without
/// brackets, or `host[:port]`.
fn host(text: &str) -> Option<url::Host<'_>> {
    if text.starts_with('/') && !text.contains(char::is_control) {
        let socket = text.split_once("/.s.PGSQL.");
        return Some(socket.map_or((text, None), |(folder, number)| (folder, port(number))));
    }
    if is_ipv6(text) {
        return Some((text, None));
    }
    host_and_port(text)
}

/// Looks up a parameter's value in `choices`.
fn choose<T: Copy>(parameter: &str, value: &str, choices: &[(&str, T)]) -> Result<T, ValueFinding> {
    let found = choices.iter().find(|(name, _)| *name == value);
    found.map(|&(_, choice)| choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|&(name, _)| name).collect();
        let fix = format!("use one of {}", names.join(", "));
        wrong_type(format!("has an unknown {parameter}"), fix)
    })
}

#[cfg(test)]
mod tests;
