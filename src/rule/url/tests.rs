//! What each value is, was tried out with `SQLAlchemy`, urllib, redis-py, kombu, pymongo, asyncpg, psycopg, httpx, yarl,
//! pydantic and Node's URL, or is from the documentation of the client.

use crate::report::Code;
use crate::rule::{Rule, Type};

/// What a rule says of a value: nothing, a warning, or an error.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Sound,
    Warning(Code),
    Error(Code),
}
use Code::{ForeignParameter, Unescaped, WrongScheme, WrongType};
use Verdict::{Error, Sound, Warning};

fn rule(value_type: Type, schemes: &[&str]) -> Rule {
    let schemes = schemes.iter().map(|&name| name.to_owned()).collect();
    Rule {
        value_type,
        schemes,
        ..Rule::default()
    }
}

fn verdict(rule: &Rule, value: &str) -> Verdict {
    match rule.check_type(value) {
        Ok(()) => Sound,
        Err(finding) if finding.is_certain => Error(finding.code),
        Err(finding) => Warning(finding.code),
    }
}

fn problem(rule: &Rule, value: &str) -> String {
    let finding = rule.check_type(value).expect_err(value);
    format!("{} → {}", finding.problem, finding.fix)
}

#[test]
fn real_urls_are_sound() {
    for value in [
        // SQLAlchemy's user may contain an `@`, as the users of Azure do.
        "mysql+pymysql://admin@server:s3cret@server.mysql.database.azure.com/app",
        "postgresql+psycopg://app:a{b}^%c|d@db/app",
        "mongodb://app:a{b}^c|d@db/app",
        // From the documentation of django-environ, Prisma, golang-migrate, and Symfony's mailer.
        "sqlite://:memory:",
        "sqlserver://db:1433;database=app;user=sa;password=s3cret;encrypt=true",
        "mysql://app:s3cret@tcp(db:3306)/app",
        "null://null",
        "postgresql://app:s3cret@db:5432/app?sslmode=require",
        "postgresql://app:s3cret@db.internal/app?options=-c%20search_path%3Dx",
        "postgresql+psycopg://app@h1,h2/app?target_session_attrs=read-write",
        "postgresql+psycopg://app:p@/app?host=h1:5432&host=h2:5433",
        "postgresql://app:p@h1:5432,h2:5433/app",
        "postgresql:///app",
        "postgresql://srv.postgres.database.azure.com:5432/d?user=app@srv&password=p",
        "ldap://dc1:389/dc=x??sub?(mail=*@example.com)",
        "postgresql://app:p@/app",
        "postgresql:///app?host=/var/run/postgresql",
        "postgresql://app:p@/app?host=/cloudsql/proj:eu:inst",
        "postgresql://app:p@%2Fcloudsql%2Fproj%3Aeu%3Ainst/app",
        "postgresql+pg8000://u:p4ssw0rd1@/d?unix_sock=/cloudsql/p:r:i/.s.PGSQL.5432",
        "postgresql+asyncpg://u:p@ep-x-pooler.eu-central-1.aws.neon.tech/d?ssl=require",
        "postgresql+asyncpg://u:p@h/d?prepared_statement_cache_size=0",
        "POSTGRESQL://app:p@db/app",
        "postgres://u:p:w@db.example.com:5432/d",
        "postgresql://app:p@[fd00::1]:5432/app",
        "postgresql://app:p@[fe80::1%25eth0]/app",
        "postgresql://app:p%40s%2Fs@app_db-1.default.svc.cluster.local./app",
        "postgis://u:p@db/gis",
        "cockroachdb+psycopg://root@crdb:26257/defaultdb?sslmode=disable",
        "mysql://root@127.0.0.1/d",
        "mysql+pymysql://u:p@/d?unix_socket=/cloudsql/x:y:z",
        "mysql+mysqlconnector://u:p@db:3306/d?charset=utf8mb4",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BODBC+Driver+18%7D",
        "mssql+pyodbc://u:p@dsnname",
        "mssql+pyodbc://u:p@db,1433/d?driver=ODBC+Driver+18+for+SQL+Server",
        "oracle+oracledb://u:p@db:1521/?service_name=FREEPDB1",
        "snowflake://u:p@acct/db/schema?warehouse=w",
        "bigquery://project",
        "bigquery://",
        "clickhouse+native://u:p@ch:9000/d",
        "duckdb:///:memory:",
        "sqlite://",
        "sqlite:///rel.db",
        "sqlite:///./app.db",
        "sqlite:////abs/app.db",
        "sqlite+aiosqlite:////abs.db?timeout=30",
        "jdbc:postgresql://db:5432/d",
        "jdbc:sqlserver://db:1433;databaseName=x",
        "jdbc:oracle:thin:@db:1521:x",
        "mongodb://u:p@h1:27017,h2:27018/d?replicaSet=rs0",
        "mongodb+srv://u:p@cluster0.abcde.mongodb.net/?retryWrites=true",
        "mongodb://%2Ftmp%2Fmongodb-27017.sock/d",
        "redis://cache",
        "redis://:p%40ss@cache:6379/0",
        "rediss://default:p@cache.upstash.io:6379",
        "redis+socket:///run/redis/redis.sock?virtual_host=1",
        "redis+sentinel://s1:26379,s2:26379/mymaster/0",
        "unix:///run/redis/redis.sock?db=1",
        "unix://:p@/run/redis.sock",
        "sentinel://:p@s1:26379;sentinel://:p@s2:26379",
        "redis://:p@r1:6379/0;redis://:p@r2:6379/0",
        "amqp://guest:guest@mq//",
        "amqp://u:p@mq/a@b",
        "amqp://mq/a@b",
        "amqps://u:p@mq:5671/v?heartbeat=30",
        "sqs://",
        "sqs://key:secret@",
        "nats://a:4222,nats://u:p@b:4222",
        "kafka://a:9092,b:9092",
        "tcp://0.0.0.0:8080",
        "https://example.com",
        "http://[::1]:8000/path@here",
        "https://host:8080/@name",
        "https://cors.example.com/https://other.example.com/x",
        "https://bücher.example/a|b^c",
        "https://key@o1.ingest.sentry.io/2",
        "http://web_1:",
        "http://api.:80",
        "wss://h/ws",
        "s3://bucket/key",
        "gs://bucket",
        "smtp://user%40example.com:p@mail:587",
        "smtp+tls://mail:587",
        "ldaps://dc1.example.com",
        "ldap:///dc=example",
        "file:///srv/data",
        "mailto:ops@example.com",
        "data:text/plain,x",
        "otpauth://totp/x",
        "git+ssh://git@example.com/a/b.git",
    ] {
        assert_eq!(verdict(&rule(Type::Url, &[]), value), Sound, "{value}");
    }
}

#[test]
fn urls_that_only_some_clients_accept_are_warnings() {
    for (value, code) in [
        // pymongo accepts a `#`, and Node's client does not.
        ("mongodb://app:pa#ss@db:27017/app", Unescaped),
        (
            "ldap://ldap1.example.org ldap://ldap2.example.org",
            WrongType,
        ),
        // urllib, Node and Go end the password at the last `@`, libpq and SQLAlchemy at the first.
        ("redis://:p@ss@cache:6379/0", Unescaped),
        ("amqp://u:p@ss@mq/v", Unescaped),
        ("postgres://u:p@ss@db/d", Unescaped),
        ("mysql://u:p@ss@db/d", Unescaped),
        ("https://u:p@ss@h/", Unescaped),
        ("smtp+tls://user@example.com:p@mail:587", Unescaped),
        // SQLAlchemy accepts these, urllib does not.
        ("postgresql://u:p/w@db/d", Unescaped),
        ("postgresql://u:12/34@db/d", Unescaped),
        ("postgresql+psycopg://u:p#w@db/d", Unescaped),
        ("mysql+pymysql://u:p?w@db/d", Unescaped),
        // Go and libpq do not accept some of these.
        ("postgresql://u:p^w|{}<>\"`\\[]@db/d", Unescaped),
        ("redis://:100%@cache:6379", Unescaped),
        ("mysql://u:fake%pass@db/d", Unescaped),
        ("postgresql://u:pa ss@db/d", WrongType),
        ("mssql+pyodbc://u:p@h/d?driver=ODBC Driver 18", WrongType),
        ("https://example.com/a b", WrongType),
        ("mssql+pyodbc://u:p@h\\SQLEXPRESS/d", WrongType),
        (
            "oracle+oracledb://u:p@(DESCRIPTION=(ADDRESS=(HOST=h)(PORT=1521)))",
            WrongType,
        ),
        ("https://{tenant}.example.com:{port}/", WrongType),
        ("http://*:80", WrongType),
        ("http://+:8080", WrongType),
        ("http://127.0.0.1:0", WrongType),
        ("redis:///0", WrongType),
        ("redis://:p@:6379/0", WrongType),
        ("postgresql://u:p@:5432/d", WrongType),
        ("amqp://", WrongType),
        ("amqp://mq:5672/a@b", Unescaped),
        ("postgres://u:p@//cloudsql/proj:eu:inst/d", WrongType),
    ] {
        assert_eq!(
            verdict(&rule(Type::Url, &[]), value),
            Warning(code),
            "{value}"
        );
    }
}

#[test]
fn urls_that_no_client_accepts_are_errors() {
    for (value, code) in [
        ("mongodb://app:pa:ss@db:27017/app", Unescaped),
        ("smtp://app:/s3cret@mail.example.org:587", Unescaped),
        ("postgresql+psycopg://app:pa?s@s@db/app", Unescaped),
        ("postgresql+psycopg://app:pa#$s@s@db/app", Unescaped),
        (
            "postgresql+asyncpg://u:p@h/d?statement_cache_size=0",
            ForeignParameter,
        ),
        ("", WrongType),
        ("example.com", WrongType),
        ("a:9092,b:9092", WrongType),
        ("://x", WrongType),
        ("1x://h", WrongType),
        ("http://", WrongType),
        ("https:///path", WrongType),
        ("mongodb:///d", WrongType),
        (
            "mongodb+srv://u:p@cluster0.abcde.mongodb.net:27017/d",
            WrongType,
        ),
        ("http://host:99999", WrongType),
        ("http://host:port", WrongType),
        ("postgresql://u:p@db:5432x/d", WrongType),
        ("http://a b/", WrongType),
        ("https://a.example https://b.example", WrongType),
        ("https://exa\nmple.com", WrongType),
        ("postgresql+psycopg://u:p@h1:5432,h2:5433/d", WrongType),
        ("postgresql+psycopg://u:p@db:/d", WrongType),
        ("postgresql+psycopg://u:p@ss@db/d", Unescaped),
        ("postgresql://u:p@w/x@db/d", Unescaped),
        ("mongodb://u:p@ss@h/d", Unescaped),
        ("mongodb://u:100%@h/d", Unescaped),
        ("mongodb+srv://u:p/w@h/d", Unescaped),
        ("redis://:p/w@cache:6379/0", Unescaped),
        ("redis://:p#w@cache:6379/0", Unescaped),
        ("redis://:p?w@cache:6379/0", Unescaped),
        ("redis://dsa86+9r/A=@redis.example.net:6380/14", Unescaped),
        ("amqp://u:p/w@mq/v", Unescaped),
        ("http://u:p/w@web/", Unescaped),
        (
            "postgresql+asyncpg://u:p@db/d?sslmode=require",
            ForeignParameter,
        ),
    ] {
        assert_eq!(
            verdict(&rule(Type::Url, &[]), value),
            Error(code),
            "{value}"
        );
    }
    // An error is not hidden by a warning.
    let only = rule(Type::Url, &["postgresql"]);
    assert_eq!(verdict(&only, "postgres://u:p^w@db/d"), Error(WrongScheme));
    let url = "postgresql+asyncpg://u:p^w@db/d?sslmode=require";
    assert_eq!(verdict(&rule(Type::Url, &[]), url), Error(ForeignParameter));
}

#[test]
fn each_mistake_in_a_url_has_its_own_words() {
    let rule = rule(Type::Url, &["postgresql"]);
    for (value, told) in [
        (
            "redis://dsa86+9r/A=@h:6380/14",
            "has an unescaped / in its user or password → percent-encode it: / is %2F",
        ),
        (
            "mongodb://u:p@s/%@h/d",
            "has an unescaped @ and / and % in its user or password → percent-encode it: @ is %40, / is %2F, % is %25",
        ),
        (
            "postgresql://u:p@fd00::1:5432/d",
            "has an IPv6 address without brackets",
        ),
        ("postgresql://::1/d", "has an IPv6 address without brackets"),
        (
            "postgres://app:pw@/cloudsql/proj:eu:inst/app",
            "the name of the database belongs → write the folder as a parameter: /database?host=/folder",
        ),
        (
            "mysql://u@/var/run/mysqld/d",
            "database?unix_socket=/folder",
        ),
        (
            "http://https://example.com",
            "has a second scheme where its host belongs",
        ),
        (
            "DATABASE_URL=postgres://u:p@h/d",
            "begins with a name and =",
        ),
        ("psql 'postgresql://u:p@h/d'", "is a command line of psql"),
        ("postgresql//u:p@h/d", "does not have :// after its scheme"),
        ("https:/example.com", "does not have :// after its scheme"),
        (
            "example.com",
            "is not a URL → write it as postgresql://host…",
        ),
    ] {
        let all = problem(&rule, value);
        assert!(all.contains(told), "{value}: {all}");
    }
}

#[test]
fn https_alone_admits_http_on_localhost_and_loopback() {
    let https = rule(Type::Url, &["https"]);
    for value in [
        "https://example.com",
        "HTTPS://example.com",
        "http://localhost:3000",
        "http://127.0.0.1",
        "http://[::1]:3000",
        "http://app.localhost",
    ] {
        assert_eq!(verdict(&https, value), Sound, "{value}");
    }
    for value in [
        "http://example.com",
        "http://localhost.example.com",
        "ftp://localhost",
        "mailto:a@example.com",
    ] {
        assert_eq!(verdict(&https, value), Error(WrongScheme), "{value}");
    }
    assert_eq!(verdict(&rule(Type::Url, &["jdbc"]), "jdbc:h2:mem:x"), Sound);
}

#[test]
fn real_origins_are_sound() {
    for value in [
        "https://app.example.com",
        "https://example.com:8443",
        "http://localhost",
        "http://localhost:3000",
        "http://127.0.0.1:5173",
        "http://[::1]:3000",
        "http://192.168.1.20:8080",
        "https://my-app-git-main-team.vercel.app",
        "https://my_app.up.railway.app",
        "https://xn--bcher-kva.example",
        "https://localhost",
        "http://tauri.localhost",
        "tauri://localhost",
        "capacitor://localhost",
        "ionic://localhost",
        "app://localhost",
        "app://obsidian.md",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
        "vscode-webview://1a2b3c",
        "exp://192.168.1.20:8081",
        "null",
        "file://",
        "http://example.com:443",
    ] {
        assert_eq!(verdict(&rule(Type::Origin, &[]), value), Sound, "{value}");
    }
}

#[test]
fn origins_that_only_some_applications_match_are_warnings() {
    for value in [
        "*",
        "https://*.example.org",
        "https://sub.*.example.org",
        "http://localhost:*",
        "https://.*\\.example\\.org",
        // Flask-CORS takes regular expressions.
        "^https://.*\\.example\\.org$",
        "https://app.example.com/",
        "https://App.Example.com",
        "https://bücher.example",
        "https://example.com:443",
        "http://example.com:80",
    ] {
        assert_eq!(
            verdict(&rule(Type::Origin, &[]), value),
            Warning(WrongType),
            "{value}"
        );
    }
}

#[test]
fn a_scheme_with_tls_is_not_to_be_replaced_by_one_without() {
    for (admitted, value, other) in [
        ("redis", "rediss://cache:6379", "rediss"),
        (
            "mongodb",
            "mongodb+srv://cluster.example.net",
            "mongodb+srv",
        ),
    ] {
        let found = rule(Type::Url, &[admitted])
            .check_type(value)
            .expect_err(value);
        let fix = format!("add `{other}` to `schemes`, if the application supports it");
        assert_eq!((found.code, found.fix), (WrongScheme, fix));
    }
}

#[test]
fn origins_that_no_browser_sends_are_errors() {
    for value in [
        "",
        "app.example.com",
        "*.example.org",
        "https://app.example.com/x",
        "https://app.example.com//",
        "https://a.example?x",
        "https://u@h",
        "https://",
        "https://a b",
        "https://h:port",
    ] {
        assert_eq!(
            verdict(&rule(Type::Origin, &[]), value),
            Error(WrongType),
            "{value}"
        );
    }
    let https = rule(Type::Origin, &["https"]);
    assert_eq!(
        verdict(&https, "http://app.example.com"),
        Error(WrongScheme)
    );
}
