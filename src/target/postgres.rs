//! Where a PostgreSQL is, and how to log in: its URL, read as libpq, `SQLAlchemy` and asyncpg read it.

use std::time::Duration;

use crate::report::{Code, ValueFinding};
use crate::url::{Parts, decoded, host_and_port, percent_decoded, split};

/// The port where nobody names one.
const PORT: u16 = 5432;

/// Where the server is looked for when nobody names a host: the sockets' usual folders, then the network.
const DEFAULT_HOSTS: [&str; 3] = ["/var/run/postgresql", "/tmp", "localhost"];

/// Shorter limits are taken for this one, as in libpq.
const LEAST_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A database. No `Debug`: it holds the password.
#[derive(Clone)]
pub struct PostgresTarget {
    /// Tried in this order.
    pub hosts: Vec<Host>,
    /// None: the name of the system's user.
    pub user: Option<String>,
    pub password: Option<Vec<u8>>,
    /// None: as the user is named.
    pub name: Option<String>,
    /// Settings for the session, as the server takes them.
    pub options: Option<String>,
    pub connect_timeout: Option<Duration>,
    pub role: Role,
    pub tls: Tls,
}

/// One address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Network {
        name: String,
        port: u16,
    },
    /// A Unix socket in a folder; the port is part of its name.
    Socket {
        folder: String,
        port: u16,
    },
}

/// What a server must be to be the right one among several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Any,
    /// It takes writes.
    Primary,
    /// It only follows another.
    Standby,
}

/// How the connection is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub mode: TlsMode,
    /// None: the system's.
    pub roots: Option<String>,
    /// Files of our own certificate and its key.
    pub certificate: Option<(String, String)>,
    /// TLS from the first byte on, without asking.
    pub is_direct: bool,
    pub binding: Binding,
}

/// libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    Disable,
    /// Encrypted where the server can, and nothing is verified.
    Prefer,
    /// Encrypted, and nothing is verified.
    Require,
    /// The certificate is one of ours, whatever its name.
    VerifyCa,
    VerifyFull,
}

/// Whether the log-in is bound to the encrypted channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    Disable,
    Prefer,
    Require,
}

fn wrong(problem: impl Into<String>, fix: impl Into<String>) -> ValueFinding {
    ValueFinding::new(Code::WrongType, problem, fix)
}

impl PostgresTarget {
    /// Reads a URL. What it leaves open comes from libpq's variables (`PGPASSWORD`, …), through `variable`.
    ///
    /// # Errors
    /// What is wrong with it, without its text.
    pub fn parse<'v>(
        url: &str,
        variable: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<Self, ValueFinding> {
        let parts = split(url.trim()).ok_or_else(|| {
            wrong(
                "is not a PostgreSQL URL",
                "write it as postgresql://user:password@host:5432/database",
            )
        })?;
        if !is_postgres(parts.scheme) {
            return Err(ValueFinding::new(
                Code::WrongScheme,
                "does not begin with postgresql://, and no other database is known here",
                "write it as postgresql://user:password@host:5432/database",
            ));
        }
        let source = Source {
            query: parts.query(),
            variable,
        };
        let (user, password) = match parts.user_info {
            Some(info) => {
                let (user, password) = info
                    .split_once(':')
                    .map_or((info, None), |(user, password)| (user, Some(password)));
                (decoded(user), password.map(percent_decoded))
            }
            None => (String::new(), None),
        };
        let path = decoded(parts.path());
        Ok(Self {
            hosts: source.hosts(&parts)?,
            user: not_empty(user).or_else(|| source.get(&["user"], "PGUSER")),
            password: password
                .filter(|password| !password.is_empty())
                .or_else(|| Some(source.get(&["password"], "PGPASSWORD")?.into_bytes())),
            name: not_empty(path).or_else(|| source.get(&["dbname", "database"], "PGDATABASE")),
            options: source.get(&["options"], "PGOPTIONS"),
            connect_timeout: source.connect_timeout()?,
            role: source.role()?,
            tls: source.tls()?,
        })
    }

    /// `host:port`, all of them: what may be shown.
    pub fn shown(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        hosts.join(",")
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Host::Network { name, port } if name.contains(':') => write!(out, "[{name}]:{port}"),
            Host::Network { name, port } => write!(out, "{name}:{port}"),
            Host::Socket { folder, port } => write!(out, "{folder}/.s.PGSQL.{port}"),
        }
    }
}

/// `postgresql`, `postgres`, and both with the name of a driver behind a `+`.
pub fn is_postgres(scheme: &str) -> bool {
    let dialect = scheme.split('+').next().unwrap_or_default();
    dialect.eq_ignore_ascii_case("postgresql") || dialect.eq_ignore_ascii_case("postgres")
}

fn not_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Where a parameter comes from: the query first, then libpq's variable for it.
struct Source<F> {
    query: Vec<(String, String)>,
    variable: F,
}

impl<'v, F: Fn(&str) -> Option<&'v str>> Source<F> {
    fn get(&self, keys: &[&str], variable: &str) -> Option<String> {
        let named = |(key, value): &(String, String)| {
            (keys.contains(&key.as_str()) && !value.is_empty()).then(|| value.clone())
        };
        let in_query = self.query.iter().rev().find_map(named);
        in_query.or_else(|| (self.variable)(variable).map(str::to_owned))
    }

    fn hosts(&self, parts: &Parts<'_>) -> Result<Vec<Host>, ValueFinding> {
        // One for all hosts, or one for each.
        let ports = self.get(&["port"], "PGPORT").unwrap_or_default();
        let (default_port, ports) = match ports.as_str() {
            "" => (PORT, Vec::new()),
            several if several.contains(',') => (PORT, several.split(',').collect()),
            one => (port(one)?, Vec::new()),
        };
        let in_authority = parts.hosts.split(',').filter(|host| !host.is_empty());
        let mut named: Vec<String> = in_authority.map(str::to_owned).collect();
        if named.is_empty() {
            // SQLAlchemy writes the key once for each host, libpq once with commas.
            let in_query = self.query.iter().filter(|(key, _)| key == "host");
            named = in_query
                .flat_map(|(_, hosts)| hosts.split(','))
                .filter(|host| !host.is_empty())
                .map(str::to_owned)
                .collect();
        }
        if named.is_empty()
            && let Some(hosts) = (self.variable)("PGHOST")
        {
            named = hosts.split(',').map(str::to_owned).collect();
        }
        if named.is_empty() {
            named = DEFAULT_HOSTS.map(str::to_owned).to_vec();
        }
        let numbered = named.iter().enumerate();
        numbered
            .map(|(index, text)| {
                let default = match ports.get(index) {
                    Some(text) => port(text)?,
                    None => default_port,
                };
                host(text, default)
            })
            .collect()
    }

    fn connect_timeout(&self) -> Result<Option<Duration>, ValueFinding> {
        let Some(text) = self.get(&["connect_timeout"], "PGCONNECT_TIMEOUT") else {
            return Ok(None);
        };
        let seconds: i64 = text.trim().parse().map_err(|_| {
            wrong(
                "has a connect_timeout that is no number of seconds",
                "write it as connect_timeout=10",
            )
        })?;
        let seconds = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0);
        Ok(seconds.map(|seconds| Duration::from_secs(seconds).max(LEAST_CONNECT_TIMEOUT)))
    }

    fn role(&self) -> Result<Role, ValueFinding> {
        let role = self.get(&["target_session_attrs"], "PGTARGETSESSIONATTRS");
        match role.as_deref() {
            None | Some("any" | "prefer-standby") => Ok(Role::Any),
            Some("read-write" | "primary") => Ok(Role::Primary),
            Some("read-only" | "standby") => Ok(Role::Standby),
            Some(_) => Err(wrong(
                "has an unknown target_session_attrs",
                "use any, read-write, read-only, primary, standby or prefer-standby",
            )),
        }
    }

    fn tls(&self) -> Result<Tls, ValueFinding> {
        let roots = self.get(&["sslrootcert"], "PGSSLROOTCERT");
        let is_system = roots.as_deref() == Some("system");
        let mode = self.get(&["sslmode", "ssl"], "PGSSLMODE");
        let mode = match mode.as_deref() {
            // libpq: naming the system's roots asks for them to be used.
            None if is_system => TlsMode::VerifyFull,
            None => TlsMode::Prefer,
            Some(text) => mode_of(text)?,
        };
        if is_system && mode != TlsMode::VerifyFull {
            return Err(wrong(
                "has sslrootcert=system with a weaker sslmode than verify-full",
                "write sslmode=verify-full",
            ));
        }
        let mode = match mode {
            // As libpq does: whoever names roots wants them to be used.
            TlsMode::Require if roots.is_some() => TlsMode::VerifyCa,
            mode => mode,
        };
        let certificate = self.get(&["sslcert"], "PGSSLCERT");
        let key = self.get(&["sslkey"], "PGSSLKEY");
        let binding = self.get(&["channel_binding"], "PGCHANNELBINDING");
        Ok(Tls {
            mode,
            roots: roots
                .filter(|_| !is_system)
                .or_else(|| (self.variable)("SSL_CERT_FILE").map(str::to_owned)),
            certificate: certificate.zip(key),
            is_direct: self.get(&["sslnegotiation"], "PGSSLNEGOTIATION").as_deref()
                == Some("direct"),
            binding: match binding.as_deref() {
                Some("disable") => Binding::Disable,
                Some("require") => Binding::Require,
                _ => Binding::Prefer,
            },
        })
    }
}

/// libpq's `sslmode`, and what asyncpg takes for its `ssl`.
fn mode_of(text: &str) -> Result<TlsMode, ValueFinding> {
    match text {
        "disable" | "false" => Ok(TlsMode::Disable),
        "allow" | "prefer" => Ok(TlsMode::Prefer),
        "require" | "true" => Ok(TlsMode::Require),
        "verify-ca" => Ok(TlsMode::VerifyCa),
        "verify-full" => Ok(TlsMode::VerifyFull),
        _ => Err(wrong(
            "has an unknown sslmode",
            "use disable, allow, prefer, require, verify-ca or verify-full",
        )),
    }
}

fn port(text: &str) -> Result<u16, ValueFinding> {
    let port = text.trim().parse().ok().filter(|&port| port > 0);
    port.ok_or_else(|| wrong("has a port that is none", "use a number from 1 to 65535"))
}

fn host(text: &str, default_port: u16) -> Result<Host, ValueFinding> {
    let decoded_text = decoded(text);
    if decoded_text.starts_with('/') {
        return Ok(socket(&decoded_text, default_port));
    }
    // An IPv6 address without brackets can have no port.
    let is_bare_address = decoded_text.parse::<std::net::Ipv6Addr>().is_ok();
    let cut = if is_bare_address {
        Some((decoded_text.as_str(), None))
    } else {
        host_and_port(&decoded_text)
    };
    match cut {
        Some((name, port)) if !name.is_empty() => Ok(Host::Network {
            name: name.to_owned(),
            port: port.unwrap_or(default_port),
        }),
        _ => Err(wrong(
            "has a host or a port that is none",
            "check what stands between the @ and the next /",
        )),
    }
}

/// A socket's folder; a port may stand behind it, as behind any other host.
fn socket(text: &str, default_port: u16) -> Host {
    let cut = text.rsplit_once(':');
    let with_port = cut.and_then(|(folder, port)| Some((folder, port.parse().ok()?)));
    let (folder, port) = with_port.unwrap_or((text, default_port));
    Host::Socket {
        folder: folder.trim_end_matches('/').to_owned(),
        port,
    }
}

#[cfg(test)]
mod tests;
