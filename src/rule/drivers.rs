//! The parameters of a URL that the driver in its scheme refuses. `SQLAlchemy` hands each parameter to the driver, and a
//! driver refuses one that is another client's. `tests/drivers/record.py` has tried out all of these names.

use std::collections::BTreeSet;

use super::Checked;
use crate::report::{Code, ValueFinding, wrong_type};
use crate::url::Url;

/// The parameters of libpq, which psycopg passes on.
const LIBPQ: &str = "sslmode sslrootcert sslcert sslkey sslcrl sslcrldir sslpassword sslsni sslcompression
    sslnegotiation requiressl requirepeer channel_binding options application_name fallback_application_name
    connect_timeout client_encoding keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout
    gssencmode krbsrvname gsslib target_session_attrs load_balance_hosts service passfile hostaddr host port user
    password dbname replication ssl_min_protocol_version ssl_max_protocol_version require_auth";

/// The parameters of all drivers for `MySQL`.
const MYSQL: &str = "connect_timeout host port user password autocommit unix_socket charset use_unicode init_command
    ssl_ca ssl_cert ssl_key ssl_cipher read_default_file sql_mode db";

/// The drivers, each with the parameters that it accepts in some recorded version, in two lists.
const DRIVERS: [(&str, &str, &str); 10] = [
    ("asyncpg", "", "krbsrvname gsslib target_session_attrs service passfile host port user password ssl timeout
        command_timeout statement_cache_size max_cached_statement_lifetime max_cacheable_statement_size server_settings
        direct_tls database dsn prepared_statement_cache_size prepared_statement_name_func async_fallback"),
    ("psycopg", LIBPQ, "prepare_threshold autocommit row_factory"),
    ("psycopg_async", LIBPQ, "prepare_threshold autocommit row_factory async_fallback"),
    ("psycopg2", LIBPQ, "database dsn"),
    ("pg8000", "", "application_name host port user password replication timeout database ssl_context unix_sock
        source_address tcp_keepalive"),
    ("pymysql", MYSQL, "ssl database ssl_capath ssl_disabled ssl_verify_cert ssl_verify_identity read_timeout
        write_timeout local_infile read_default_group client_flag compress program_name cursorclass named_pipe passwd
        collation auth_plugin_map bind_address max_allowed_packet"),
    ("mysqldb", MYSQL, "ssl database ssl_capath ssl_mode read_timeout write_timeout local_infile read_default_group
        client_flag compress auth_plugin cursorclass named_pipe passwd collation"),
    ("aiomysql", MYSQL, "ssl async_fallback echo ssl_capath local_infile read_default_group client_flag auth_plugin
        program_name cursorclass"),
    ("asyncmy", MYSQL, "ssl database async_fallback echo ssl_capath read_timeout local_infile read_default_group
        client_flag program_name auth_plugin_map max_allowed_packet"),
    ("mysqlconnector", MYSQL, "database dsn pool_size ssl_disabled ssl_verify_cert ssl_verify_identity read_timeout
        write_timeout compress auth_plugin passwd collation use_pure connection_timeout raise_on_warnings time_zone"),
];

/// The parameters of other clients: Prisma, JDBC, pgx, node-postgres, poolers, mysql2, Go's drivers.
const OTHERS: &str = "pgbouncer schema connection_limit pool_timeout socket_timeout sslidentity sslaccept currentSchema
    prepareThreshold reWriteBatchedInserts ApplicationName loginTimeout socketTimeout search_path pool_max_conns
    pool_min_conns default_query_exec_mode statement_cache_capacity binary_parameters statement_timeout uselibpqcompat
    supa workaround Pooling min_size max_size max_overflow pool_recycle pool_pre_ping ssl-mode sslMode useSSL requireSSL
    verifyServerCertificate serverTimezone allowPublicKeyRetrieval useUnicode characterEncoding autoReconnect
    zeroDateTimeBehavior parseTime loc tls multiStatements connectionLimit timezone useAffectedRows sessionVariables
    connectTimeout allowNativePasswords rejectUnauthorized";

/// The values of `sslmode`, and of asyncpg's `ssl`.
const MODES: &str = "disable, allow, prefer, require, verify-ca, verify-full";

/// Drivers with those of their parameters that accept no text, and all values in a URL are texts.
const NO_TEXTS: [(&str, &str); 2] = [
    (
        "asyncpg",
        "statement_cache_size timeout server_settings max_cached_statement_lifetime max_cacheable_statement_size",
    ),
    ("pg8000", "timeout"),
];

/// Parameters that show that the URL is for the library `databases`, which reads only these and ignores all others.
const DATABASES: [&str; 4] = ["min_size", "max_size", "pool_recycle", "unix_sock"];

/// Whether a driver refuses a parameter. Nothing is known of an unknown parameter or driver.
fn is_refused(driver: &str, parameter: &str) -> bool {
    let has = |list: &str| list.split_whitespace().any(|name| name == parameter);
    let is_accepted = |(_, shared, own): &(_, &str, &str)| has(shared) || has(own);
    let found = DRIVERS.iter().find(|(name, ..)| *name == driver);
    let is_known = has(OTHERS) || DRIVERS.iter().any(is_accepted);
    is_known && found.is_some_and(|found| !is_accepted(found))
}

/// Checks that the driver of a URL accepts its parameters.
pub fn check_parameters(url: &Url<'_>) -> Checked {
    // Nothing is known of another driver. Its name is a part of the value, so it must not be shown.
    let is_recorded = |driver: &String| DRIVERS.iter().any(|(name, ..)| name == driver);
    let Some(driver) = url.driver().filter(is_recorded) else {
        return Ok(());
    };
    let parameters = url.parameters();
    let names = parameters.iter().map(|(name, _)| name.as_str());
    if names.clone().any(|name| DATABASES.contains(&name)) {
        return Ok(());
    }
    let refused: BTreeSet<&str> = names.filter(|name| is_refused(&driver, name)).collect();
    // The parameter that selects TLS in other drivers and in this one, and what to do about the former.
    let ssl_ca = "for TLS, write ssl_ca= with the file of the root certificates";
    let same = "write ssl instead of sslmode, with the same value";
    let (foreign, own, advice) = match &*driver {
        "asyncpg" => ("sslmode", "ssl", same),
        "pg8000" => ("sslmode", "", "for TLS, pass an ssl_context in the code"),
        _ if url.is_postgres() => ("ssl", "sslmode", "write sslmode=require instead of ssl"),
        _ => ("sslmode", "", ssl_ca),
    };
    if !refused.is_empty() {
        let shown = refused.iter().copied().collect::<Vec<_>>().join(", ");
        let problem = format!("has parameters that its driver {driver} refuses: {shown}");
        let fix = match refused.contains(foreign) {
            false => format!("remove {shown}"),
            true if refused.len() == 1 => advice.to_owned(),
            true => format!("{advice}, and remove the others"),
        };
        return Err(ValueFinding::new(Code::ForeignParameter, problem, fix));
    }
    let no_texts = NO_TEXTS.iter().find(|(name, _)| *name == driver);
    let (_, no_texts) = no_texts.copied().unwrap_or_default();
    let is_no_text = |name: &str| no_texts.split_whitespace().any(|each| each == name);
    if let Some((name, _)) = parameters.iter().find(|(name, _)| is_no_text(name)) {
        let problem = format!("has {name}, which its driver {driver} does not accept as a text");
        let instead = match name.as_str() {
            "statement_cache_size" => "write prepared_statement_cache_size, or ",
            _ => "",
        };
        let fix = format!("{instead}pass it in the code (connect_args)");
        return Err(ValueFinding::new(Code::ForeignParameter, problem, fix));
    }
    let is_known = |value: &str| MODES.split(", ").any(|mode| mode == value);
    let mut values = parameters.iter().filter(|(name, _)| name == own);
    let Some((_, value)) = values.find(|(_, value)| !is_known(value)) else {
        return Ok(());
    };
    let problem = format!("has a value of {own} that its driver {driver} refuses");
    let mut finding = wrong_type(problem, format!("write one of {MODES}"));
    // The library `databases` reads a boolean and hands it to asyncpg, which accepts one that is no text.
    let is_boolean = driver == "asyncpg" && matches!(&*value.to_lowercase(), "true" | "false");
    finding.is_certain = !is_boolean;
    Err(finding)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{DRIVERS, LIBPQ, MODES, MYSQL, OTHERS, check_parameters, is_refused};
    use crate::report::Code;
    use crate::url::Url;

    /// The recordings of the drivers, each with the parameters or values that it refuses.
    fn runs(key: &str) -> Vec<(String, Vec<String>)> {
        let record = include_str!("../../tests/drivers/drivers.json");
        let record: Value = serde_json::from_str(record).expect("the record is JSON");
        let runs = record["runs"].as_array().expect("there are runs").iter();
        let all = runs.flat_map(|run| run[key].as_object().expect("a run has drivers"));
        let words = |list: &Value| {
            list.as_str()
                .expect("a list")
                .split(' ')
                .map(str::to_owned)
                .collect()
        };
        all.map(|(driver, list)| (driver.clone(), words(list)))
            .collect()
    }

    #[test]
    fn a_parameter_is_refused_if_and_only_if_every_recorded_version_of_the_driver_refuses_it() {
        let record = include_str!("../../tests/drivers/drivers.json");
        let record: Value = serde_json::from_str(record).expect("the record is JSON");
        let names: Vec<&str> = record["names"]
            .as_str()
            .expect("names")
            .split(' ')
            .collect();
        let runs = runs("refused");
        for (driver, ..) in DRIVERS {
            let mut refused = runs
                .iter()
                .filter(|(name, _)| name == driver)
                .map(|(_, list)| list);
            assert!(
                refused.clone().count() >= 2,
                "{driver} is recorded in two versions"
            );
            for name in &names {
                let by_all = refused
                    .clone()
                    .all(|list| list.iter().any(|other| other == name));
                assert_eq!(is_refused(driver, name), by_all, "{name} of {driver}");
            }
            assert!(
                refused.all(|list| list.len() > 100),
                "{driver} refuses the others' parameters"
            );
        }
        let mut known = [LIBPQ, MYSQL, OTHERS]
            .iter()
            .flat_map(|list| list.split_whitespace());
        assert!(
            known.all(|name| names.contains(&name)),
            "each name is recorded"
        );
    }

    #[test]
    fn the_modes_of_tls_are_those_that_the_drivers_accept() {
        for (driver, refused) in runs("modes") {
            let is_refused = |mode: &&str| refused.iter().any(|other| other == mode);
            assert!(
                !MODES.split(", ").any(|mode| is_refused(&mode)),
                "{driver} accepts all modes"
            );
            for mode in ["true", "false", "1", "Require", "required"] {
                assert!(is_refused(&mode), "{driver} refuses {mode}");
            }
        }
    }

    fn told(url: &str) -> Option<(Code, String, String)> {
        let found = check_parameters(&Url::cut(url).expect("a URL")).err()?;
        assert!(found.is_certain, "{url}");
        Some((found.code, found.problem, found.fix))
    }

    #[test]
    fn parameters_of_other_clients_are_named_with_what_to_write_instead() {
        for (url, refused, fix) in [
            (
                "postgresql+asyncpg://u:p@h/d?sslmode=require&channel_binding=require",
                "asyncpg refuses: channel_binding, sslmode",
                "write ssl instead of sslmode, with the same value, and remove the others",
            ),
            (
                "postgresql+psycopg2://u:p@h/d?pgbouncer=true&connection_limit=1",
                "psycopg2 refuses: connection_limit, pgbouncer",
                "remove connection_limit, pgbouncer",
            ),
            (
                "postgresql+psycopg://u:p@h/d?ssl=true",
                "psycopg refuses: ssl",
                "write sslmode=require instead of ssl",
            ),
            (
                "mysql+pymysql://u:p@h/d?charset=utf8mb4&sslmode=require",
                "pymysql refuses: sslmode",
                "for TLS, write ssl_ca= with the file of the root certificates",
            ),
            (
                "MARIADB+aiomysql://u:p@h/d?ssl%2Dmode=REQUIRED",
                "aiomysql refuses: ssl-mode",
                "remove ssl-mode",
            ),
        ] {
            let (code, problem, told) = told(url).expect(url);
            assert_eq!(code, Code::ForeignParameter, "{url}");
            assert!(problem.ends_with(refused), "{url}: {problem}");
            assert_eq!(told, fix, "{url}");
        }
        let problem = "has a value of ssl that its driver asyncpg refuses";
        for (url, is_certain) in [
            ("postgresql+asyncpg://u:p@h/d?ssl=required", true),
            ("postgresql+asyncpg://u:p@h/d?ssl=true", false),
        ] {
            let found = check_parameters(&Url::cut(url).expect("a URL")).expect_err(url);
            assert_eq!(
                (&*found.problem, found.is_certain),
                (problem, is_certain),
                "{url}"
            );
        }
    }

    #[test]
    fn nothing_is_said_of_a_url_without_a_driver_nor_of_an_unknown_parameter() {
        for url in [
            "postgresql://u:p@h/d?sslmode=require&channel_binding=require&pgbouncer=true&schema=public",
            "postgres://u:p@h/d?supa=base-pooler.x&ssl=true",
            "mysql://u:p@h/d?ssl-mode=REQUIRED",
            "postgresql+asyncpg://u:p@h/d?ssl=verify-full&prepared_statement_cache_size=0&async_fallback=true",
            "postgresql+asyncpg://u:p@h/d?something_new=1",
            "postgresql+asyncpg://u:p@h/d?min_size=5&max_size=20&ssl=require",
            "mysql+aiomysql://u:p@/d?unix_sock=/run/mysqld/mysqld.sock",
            "postgresql+psycopg://u:p@h/d?prepare_threshold=0&sslmode=verify-ca&options=-c%20search_path%3Dx",
            "postgresql+newdriver://u:p@h/d?sslmode=require",
            "postgresql+newdriver://u:p@h/d?sslmode=no-verify",
            "mysql+mysqldb://u:p@h/d?ssl_mode=REQUIRED&charset=utf8mb4",
            "redis+socket:///run/r.sock?schema=1",
            "mongodb+srv://u:p@h/d?ssl=true",
        ] {
            assert_eq!(told(url), None, "{url}");
        }
    }
}
