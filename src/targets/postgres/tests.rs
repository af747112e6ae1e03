use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, Host, SslMode, SslNegotiation, TargetSessionAttrs};

use super::{Code, PostgresTarget, Verify};

fn parse(url: &str) -> PostgresTarget {
    parse_with(url, &[])
}

fn parse_with(url: &str, variables: &[(&str, &'static str)]) -> PostgresTarget {
    let lookup = |name: &str| {
        let found = variables.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| *value)
    };
    match PostgresTarget::parse(url, lookup) {
        Ok(database) => database,
        Err(finding) => panic!("{url}: {finding:?}"),
    }
}

fn refused(url: &str) -> Code {
    match PostgresTarget::parse(url, |_| None) {
        Ok(_) => panic!("{url} is read"),
        Err(finding) => finding.code,
    }
}

fn network(name: &str, port: u16) -> (Host, u16) {
    (Host::Tcp(name.to_owned()), port)
}

fn socket(folder: &str, port: u16) -> (Host, u16) {
    (Host::Unix(folder.into()), port)
}

fn hosts(database: &PostgresTarget) -> Vec<(Host, u16)> {
    let hosts = database.hosts();
    hosts.map(|(host, port)| (host.clone(), port)).collect()
}

fn mode(database: &PostgresTarget) -> (SslMode, Verify) {
    (database.config.get_ssl_mode(), database.tls.verify)
}

#[test]
fn schemes_with_a_driver_are_postgresql_too() {
    for scheme in [
        "postgres",
        "postgresql",
        "postgresql+psycopg2",
        "postgresql+asyncpg",
        "postgres+psycopg",
        "POSTGRESQL",
    ] {
        let database = parse(&format!("{scheme}://app:s3cret@db/app"));
        assert_eq!(hosts(&database), [network("db", 5432)], "{scheme}");
        assert_eq!(database.config.get_user(), Some("app"));
        assert_eq!(database.config.get_password(), Some(&b"s3cret"[..]));
        assert_eq!(database.config.get_dbname(), Some("app"));
        assert_eq!(mode(&database), (SslMode::Prefer, Verify::Nothing));
    }
}

#[test]
fn percent_encoded_parts_are_decoded() {
    let database = parse("postgresql://us%40er:p%2Fw%3A%25@h/my%20db?options=-c%20a%3D1");
    assert_eq!(database.config.get_user(), Some("us@er"));
    assert_eq!(database.config.get_password(), Some(&b"p/w:%"[..]));
    assert_eq!(database.config.get_dbname(), Some("my db"));
    assert_eq!(database.config.get_options(), Some("-c a=1"));
}

#[test]
fn there_are_one_or_several_names_addresses_or_sockets() {
    for (url, hosts) in [
        ("postgres://h:1/d", vec![network("h", 1)]),
        (
            "postgres://[::1]:1,h2/d",
            vec![network("::1", 1), network("h2", 5432)],
        ),
        (
            "postgres://h1,h2/d?port=1,2",
            vec![network("h1", 1), network("h2", 2)],
        ),
        (
            "postgres:///d?host=h1:1&host=h2:2",
            vec![network("h1", 1), network("h2", 2)],
        ),
        (
            "postgres:///d?host=h1,h2&port=7",
            vec![network("h1", 7), network("h2", 7)],
        ),
        ("postgres:///d?host=::1", vec![network("::1", 5432)]),
        (
            "postgresql+pg8000://u:p@/d?unix_sock=/cloudsql/p:r:i/.s.PGSQL.5433",
            vec![socket("/cloudsql/p:r:i", 5433)],
        ),
        (
            "postgresql://u:p/w@:5433/d?host=h",
            vec![network("h", 5433)],
        ),
        (
            "postgres://u@/d?host=/run/pg&port=1",
            vec![socket("/run/pg", 1)],
        ),
        ("postgres://u@%2Frun%2Fpg:2/d", vec![socket("/run/pg", 2)]),
        (
            "postgres:///d",
            vec![
                socket("/var/run/postgresql", 5432),
                socket("/tmp", 5432),
                network("localhost", 5432),
            ],
        ),
    ] {
        assert_eq!(super::tests::hosts(&parse(url)), hosts, "{url}");
    }
    assert_eq!(parse("postgres://[::1]:1,h2/d").shown(), "[::1]:1,h2:5432");
}

#[test]
fn sslmode_means_what_it_does_for_libpq_and_ssl_for_asyncpg() {
    for (query, mode) in [
        ("", (SslMode::Prefer, Verify::Nothing)),
        ("sslmode=disable", (SslMode::Disable, Verify::Nothing)),
        ("sslmode=allow", (SslMode::Prefer, Verify::Nothing)),
        ("sslmode=require", (SslMode::Require, Verify::Nothing)),
        ("ssl=require", (SslMode::Require, Verify::Nothing)),
        ("ssl=true", (SslMode::Require, Verify::Nothing)),
        // The values of node-postgres, and of the library `databases`.
        ("sslmode=no-verify", (SslMode::Require, Verify::Nothing)),
        ("ssl=True", (SslMode::Require, Verify::Nothing)),
        ("ssl=0", (SslMode::Disable, Verify::Nothing)),
        (
            "sslmode=require&sslrootcert=/ca.pem",
            (SslMode::Require, Verify::Authority),
        ),
        ("sslmode=verify-ca", (SslMode::Require, Verify::Authority)),
        ("sslmode=verify-full", (SslMode::Require, Verify::Name)),
        ("sslrootcert=system", (SslMode::Require, Verify::Name)),
    ] {
        assert_eq!(
            super::tests::mode(&parse(&format!("postgres://h/d?{query}"))),
            mode,
            "{query}"
        );
    }
    let url = "postgres://h/d?sslrootcert=/ca.pem&channel_binding=require&sslcert=c&sslkey=k";
    let PostgresTarget { config, tls } = parse(url);
    assert_eq!(tls.roots.as_deref(), Some("/ca.pem"));
    assert_eq!(config.get_channel_binding(), ChannelBinding::Require);
    assert_eq!(config.get_ssl_negotiation(), SslNegotiation::Postgres);
    let direct = parse("postgres://h/d?sslmode=require&sslnegotiation=direct").config;
    assert_eq!(direct.get_ssl_negotiation(), SslNegotiation::Direct);
    assert_eq!(tls.certificate, Some(("c".to_owned(), "k".to_owned())));
    assert_eq!(parse("postgres://h/d?sslrootcert=system").tls.roots, None);
}

#[test]
fn what_the_url_does_not_specify_comes_from_libpqs_variables() {
    let variables = [
        ("PGHOST", "h"),
        ("PGPORT", "7"),
        ("PGUSER", "u"),
        ("PGPASSWORD", "p"),
        ("PGDATABASE", "d"),
        ("PGSSLMODE", "require"),
    ];
    let database = parse_with("postgresql://", &variables);
    assert_eq!(hosts(&database), [network("h", 7)]);
    assert_eq!(database.config.get_user(), Some("u"));
    assert_eq!(database.config.get_password(), Some(&b"p"[..]));
    assert_eq!(database.config.get_dbname(), Some("d"));
    assert_eq!(mode(&database), (SslMode::Require, Verify::Nothing));
    let database = parse_with("postgresql:///app", &variables);
    assert_eq!(hosts(&database), [network("h", 7)]);
    let database = parse_with("postgresql://a:b@c:1/e?sslmode=disable", &variables);
    assert_eq!(hosts(&database), [network("c", 1)]);
    assert_eq!(database.config.get_user(), Some("a"));
    assert_eq!(database.config.get_password(), Some(&b"b"[..]));
    assert_eq!(mode(&database), (SslMode::Disable, Verify::Nothing));
}

#[test]
fn timeouts_and_roles_mean_what_they_do_for_libpq() {
    let timeout = |text: &str| {
        let database = parse(&format!("postgres://h/d?connect_timeout={text}"));
        database.config.get_connect_timeout().copied()
    };
    assert_eq!(timeout("0"), None);
    assert_eq!(timeout("1"), Some(Duration::from_secs(2)));
    assert_eq!(timeout("30"), Some(Duration::from_secs(30)));
    let role = |text: &str| {
        let database = parse(&format!("postgres://h/d?target_session_attrs={text}"));
        database.config.get_target_session_attrs()
    };
    assert_eq!(role("read-write"), TargetSessionAttrs::ReadWrite);
    assert_eq!(role("prefer-standby"), TargetSessionAttrs::Any);
    assert_eq!(role("standby"), TargetSessionAttrs::ReadOnly);
}

#[test]
fn other_urls_are_findings() {
    for (url, code) in [
        ("", Code::WrongType),
        ("db:5432", Code::WrongType),
        ("mysql://h/d", Code::WrongScheme),
        ("postgresqlx://h/d", Code::WrongScheme),
        ("postgres://h:0/d", Code::WrongType),
        ("postgres://h:port/d", Code::WrongType),
        ("postgres://a%20b/d", Code::WrongType),
        ("postgres://%2Frun%1b/d", Code::WrongType),
        ("postgres://h/d?port=x", Code::WrongType),
        ("postgres://h/d?sslmode=maybe", Code::WrongType),
        (
            "postgres://h/d?sslmode=require&sslrootcert=system",
            Code::WrongType,
        ),
        ("postgres://h/d?connect_timeout=soon", Code::WrongType),
        ("postgres://h/d?target_session_attrs=best", Code::WrongType),
    ] {
        assert_eq!(refused(url), code, "{url}");
    }
}
