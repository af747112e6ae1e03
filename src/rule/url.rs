//! The rules for URLs and origins. A value is an error only if none of the clients of its scheme accepts it.

use super::drivers::check_parameters;
use super::{Checked, Rule, ensure, warn_unless};
use crate::report::{Code, ValueFinding, wrong_type};
use crate::url::{Url, host_and_port, is_ipv6, port};

/// Schemes that are not followed by `://`, or by a `://` of another scheme.
const OPAQUE: &str = "jdbc r2dbc mailto data urn tel file unix";

/// The characters of templates such as `https://{tenant}.example.com`, of addresses to listen on such as `http://*:80`,
/// and of SQL Server's instances (`host\instance`) and Oracle's descriptions.
const NO_NAME: &str = "{}$*+\\()";

impl Rule {
    /// Checks a URL: its credentials, its hosts, its scheme, and its parameters.
    pub(super) fn check_url(&self, value: &str) -> Checked {
        let is_control = "contains a line break or another control character";
        ensure(!value.contains(char::is_control), is_control, "remove it")?;
        let opaque = value.split(':').next().unwrap_or_default();
        let mut schemes = OPAQUE.split(' ');
        if schemes.any(|known| known.eq_ignore_ascii_case(opaque)) && opaque.len() < value.len() {
            return self.check_scheme(opaque, false);
        }
        let url = Url::cut(value).ok_or_else(|| self.no_url(value))?;
        // Several URLs in one value, such as the brokers of Celery, or servers of LDAP.
        let is_separator =
            |other: char| ",;".contains(other) || other == ' ' && url.scheme.starts_with("ldap");
        let mut others = url.whole.split(is_separator).skip(1);
        let is_list = self.list.is_none() && others.any(|text| Url::cut(text.trim()).is_some());
        let mut raw = url.raw_characters();
        // Only SQLAlchemy has schemes with a driver, and it does not accept a raw `@` in a password.
        let is_sqlalchemy = self.schemes.iter().any(|scheme| scheme.contains('+'));
        let has_at = url.password.is_some_and(|text| text.contains('@'));
        raw.1 |= is_sqlalchemy && url.is_sql() && has_at;
        let is_raw = !raw.0.is_empty();
        let problem = "contains white space, which not all clients accept";
        let has_space = value.contains(char::is_whitespace);
        // An unescaped character makes all later parts wrong.
        let mut found = Vec::from_iter(is_raw.then(|| ValueFinding::unescaped_credentials(raw)));
        found.extend(check_host(&url).err().filter(|_| !is_list));
        found.extend(self.check_scheme(url.scheme, url.is_local()).err());
        found.extend(check_parameters(&url).err());
        found.extend(warn_unless(!has_space, problem, "percent-encode it as %20").err());
        // An error is not hidden by a warning.
        found.sort_by_key(|finding| !finding.is_certain);
        found.into_iter().next().map_or(Ok(()), Err)
    }

    /// The finding for a value that is no URL.
    fn no_url(&self, value: &str) -> ValueFinding {
        let example = self.schemes.first().map_or("https", String::as_str);
        let shape = format!("write it as {example}://host…");
        let (start, _) = value.split_once("://").unwrap_or((value, ""));
        let (name, _) = start.split_once('=').unwrap_or_default();
        let is_name = |other: char| other.is_ascii_alphanumeric() || other == '_';
        let (scheme, _) = value.split_once([':', '/']).unwrap_or_default();
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = matches!(&*scheme, "http" | "https") || self.schemes.contains(&scheme);
        if !name.is_empty() && name.chars().all(is_name) && start.len() < value.len() {
            let fix = "remove the name and the = from the value";
            let problem = "begins with a name and =, which are part of the value here";
            wrong_type(problem, fix)
        } else if start.starts_with("psql ") {
            let fix = "set it to the URL between the quotes alone";
            wrong_type("is a command line of psql, not a URL", fix)
        } else if is_scheme {
            wrong_type("does not have :// after its scheme", shape)
        } else {
            wrong_type("is not a URL", shape)
        }
    }

    /// Checks an origin: scheme, host and port, as a browser sends it.
    pub(super) fn check_origin(&self, value: &str) -> Checked {
        const SHAPE: &str =
            "write scheme://host[:port] and nothing after it, such as https://app.example.com";
        // Browsers send these for pages without an origin, such as those in a sandbox or of a mobile application.
        if matches!(value, "null" | "file://") {
            return Ok(());
        }
        warn_unless(value != "*", "admits all origins", "list each origin")?;
        // A regular expression can begin with `^`.
        let url = Url::cut(value.trim_start_matches('^'));
        let url = url.ok_or_else(|| wrong_type("is not an origin", SHAPE))?;
        let problem = "has a path after its host, which no browser sends";
        ensure(matches!(url.rest, "" | "/"), problem, SHAPE)?;
        let is_pattern = url.authority.contains(['*', '^', '$', '(', '\\', '[']);
        let host = host_and_port(url.authority);
        let is_host = host.is_some() || is_pattern && !value.contains(char::is_whitespace);
        ensure(url.user.is_none() && is_host, "is not an origin", SHAPE)?;
        self.check_scheme(url.scheme, url.is_local())?;
        let problem = "has a wildcard, which Django takes, but Starlette's allow_origins matches with no origin";
        let fix = "list each origin, or use a regular expression (allow_origin_regex)";
        let is_plain = host.is_some() && !value.starts_with('^');
        warn_unless(is_plain, problem, fix)?;
        let problem = "ends with a slash, which no browser sends: it only matches if the application removes the slash";
        warn_unless(url.rest != "/", problem, "remove the slash at its end")?;
        let is_sent = |other: char| other.is_ascii() && !other.is_ascii_uppercase();
        let problem =
            "has capital letters or letters that are not ASCII in its host, which no browser sends";
        let fix = "write it in small letters, and xn--… for other letters";
        warn_unless(url.authority.chars().all(is_sent), problem, fix)?;
        let port = host.and_then(|(_, port)| port).filter(|_| url.is_web());
        let is_default = port.is_some() && port == url.default_port();
        let problem = "has the default port of its scheme, which no browser sends";
        warn_unless(!is_default, problem, "remove the port")
    }

    fn check_scheme(&self, scheme: &str, is_local: bool) -> Checked {
        let scheme = scheme.to_ascii_lowercase();
        // `https` also admits `http` on localhost, where there is usually no certificate.
        let is_admitted = |admitted: &String| {
            *admitted == scheme || admitted == "https" && scheme == "http" && is_local
        };
        if self.schemes.is_empty() || self.schemes.iter().any(is_admitted) {
            return Ok(());
        }
        let admitted = format!("{}://", self.schemes.join(":// or "));
        let problem = format!("does not begin with {admitted}");
        // Without TLS or the lookup of its servers, the URL would lead elsewhere.
        let variant = |admitted: &String| {
            let rest = scheme.strip_prefix(admitted.as_str())?;
            matches!(rest, "s" | "+srv").then(|| format!("{admitted}{rest}"))
        };
        let fix = match self.schemes.iter().find_map(variant) {
            Some(other) => format!("add `{other}` to `schemes`, if the application supports it"),
            None => format!("write it with {admitted}"),
        };
        Err(ValueFinding::new(Code::WrongScheme, problem, fix))
    }
}

/// Checks the hosts and their ports.
fn check_host(url: &Url<'_>) -> Checked {
    let authority = url.authority;
    // Django's `sqlite://:memory:`, Prisma's `sqlserver://host;database=…`, and Go's `mysql://user@tcp(host:3306)/db`.
    let is_server = url.scheme == "sqlserver" && authority.contains(';');
    if url.scheme.starts_with("sqlite") || is_server || authority.starts_with("tcp(") {
        return Ok(());
    }
    let only_port = authority.strip_prefix(':').and_then(port);
    if authority.is_empty() || only_port.is_some() {
        return check_no_host(url);
    }
    let problem = "has a second scheme where its host belongs";
    let is_doubled = authority.ends_with(':') && url.rest.starts_with("//");
    ensure(!is_doubled, problem, "remove one of the two schemes")?;
    let Some(hosts) = url.hosts() else {
        let address = authority.rsplit_once(':').unwrap_or_default().0;
        if is_ipv6(authority) || is_ipv6(address) {
            let fix = "write the address in brackets, such as [2001:db8::1]:5432";
            return Err(wrong_type("has an IPv6 address without brackets", fix));
        }
        // A server that listens on port 0 chooses a free one.
        let is_usual =
            !authority.contains(|other| NO_NAME.contains(other)) && !authority.ends_with(":0");
        let problem = "has a host or port to which only some programs connect";
        warn_unless(is_usual, problem, "check its host and port")?;
        return Err(ValueFinding::invalid_host());
    };
    let is_srv = url.scheme.eq_ignore_ascii_case("mongodb+srv");
    let problem = "has a port or several hosts, which mongodb+srv does not accept";
    let fix = "write one host without a port, or use mongodb://";
    ensure(!is_srv || matches!(*hosts, [(_, None)]), problem, fix)?;
    if url.driver().is_some() {
        let has_port = hosts.iter().rev().skip(1).any(|(_, port)| port.is_some());
        let problem = "has several hosts with ports, which SQLAlchemy does not accept";
        let fix = "write each host as a parameter, such as ?host=db1:5432&host=db2:5432";
        ensure(!has_port, problem, fix)?;
        let problem = "has a colon but no port after its host";
        let fix = "write the port, or remove the colon";
        ensure(!authority.ends_with(':'), problem, fix)?;
    }
    Ok(())
}

/// Checks a URL without a host, which is the address of a Unix socket, of a file, or of the client's default host.
fn check_no_host(url: &Url<'_>) -> Checked {
    let scheme = url.scheme.to_ascii_lowercase();
    let needs_host = ["http", "https", "ws", "wss", "mongodb", "mongodb+srv"];
    let fix = "write the host after ://";
    ensure(!needs_host.contains(&&*scheme), "has no host", fix)?;
    let has_any = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
    let parameters = url.parameters();
    let mut keys = parameters.iter().map(|(key, _)| key.as_str());
    let is_elsewhere = keys.any(|key| has_any(key, &["host", "sock", "service"]));
    if url.default_port().is_none() || is_elsewhere || has_any(&scheme, &["sock", "unix"]) {
        return Ok(());
    }
    let is_mysql = scheme.starts_with("mysql");
    let key = is_mysql.then_some("unix_socket");
    let key = url.is_postgres().then_some("host").or(key);
    if let Some(key) = key.filter(|_| url.path().contains('/')) {
        let problem = "has the folder of a socket where the name of the database belongs";
        let fix = format!("write the folder as a parameter: /database?{key}=/folder");
        let mut finding = wrong_type(problem, fix);
        // django-environ takes the folder from a path with two slashes.
        finding.is_certain = !url.rest.starts_with("//");
        return Err(finding);
    }
    let is_usual = url.is_postgres() && url.authority.is_empty();
    let problem = "has no host, for which most clients take localhost";
    warn_unless(is_usual, problem, fix)
}

#[cfg(test)]
mod tests;
