use super::{Url, certain_passwords, host_and_port, passwords, percent_decoded};
use crate::report::Code;
use crate::rule::{Rule, Type};
use crate::targets::{Protocol, Target};

#[test]
fn only_percent_encoding_is_decoded() {
    assert_eq!(percent_decoded("p%40s%2Fs"), b"p@s/s");
    assert_eq!(percent_decoded("100%"), b"100%");
    assert_eq!(percent_decoded("%zz%4%+1"), b"%zz%4%+1");
    assert_eq!(percent_decoded("%c3%a9"), "é".as_bytes());
}

#[test]
fn hosts_come_with_and_without_a_port() {
    for (text, cut) in [
        ("db", Some(("db", None))),
        ("db:5432", Some(("db", Some(5432)))),
        ("[::1]:5432", Some(("::1", Some(5432)))),
        ("[fe80::1%eth0]", Some(("fe80::1%eth0", None))),
        ("db:", Some(("db", None))),
        ("db:0", None),
        ("db:+1", None),
        ("db:65536", None),
        ("[::1", None),
        ("[::1]5", None),
    ] {
        assert_eq!(host_and_port(text), cut, "{text}");
    }
}

#[test]
fn the_rest_is_a_path_and_a_query() {
    let url = Url::cut("a://h/x%20y?k=a%26b&l&m=1+2#f?n=o").expect("a URL");
    assert_eq!(url.path(), "x%20y");
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        url.parameters(),
        [pair("k", "a&b"), pair("l", ""), pair("m", "1+2")]
    );
    assert_eq!(Url::cut("a://h?k=v").expect("a URL").path(), "");
}

/// URLs, each with the error of the rule and the target, whether `is_local` is true, and the passwords.
type Agreed = (&'static str, Option<Code>, bool, &'static [&'static str]);

const AGREED: [Agreed; 27] = [
    (
        "postgresql://app:s3cret@db:5432/app",
        None,
        false,
        &["s3cret"],
    ),
    (
        "postgresql://app:s3cret@localhost/app",
        None,
        true,
        &["s3cret"],
    ),
    ("postgresql://app@h1:5432,h2/app", None, false, &[]),
    ("postgresql://127.0.0.1,[::1]:1/app", None, true, &[]),
    ("postgresql://localhost,db/app", None, false, &[]),
    ("postgresql:///app", None, false, &[]),
    (
        "postgresql:///app?host=/var/run/postgresql",
        None,
        false,
        &[],
    ),
    ("postgresql:///app?user=a@b", None, false, &[]),
    ("postgresql://db/app?application_name=a@b", None, false, &[]),
    (
        "postgresql://u:p@db/app?application_name=a@b",
        None,
        false,
        &["p"],
    ),
    (
        "postgresql://u:p%40w@%2Frun%2Fpg:1/app",
        None,
        false,
        &["p%40w"],
    ),
    ("postgresql://[::1/app", Some(Code::WrongType), false, &[]),
    (
        "postgresql://[localhost]/app",
        Some(Code::WrongType),
        false,
        &[],
    ),
    ("postgresql://::1/app", Some(Code::WrongType), false, &[]),
    (
        "postgresql://localhost:port/app",
        Some(Code::WrongType),
        false,
        &[],
    ),
    (
        "postgresql://localhost,/app",
        Some(Code::WrongType),
        false,
        &[],
    ),
    ("postgresql://a..b/app", Some(Code::WrongType), false, &[]),
    ("postgresql://u:p/w@db/app", None, false, &["p/w"]),
    ("postgresql://u:12/34@db/app", None, false, &["12/34"]),
    ("postgresql://u:p#w@db/app", None, false, &["p#w"]),
    ("postgresql://u:p?w@db/app", None, false, &["p?w"]),
    (
        "postgresql://u:p@w/x@db/app",
        Some(Code::Unescaped),
        false,
        &["p", "p@w/x"],
    ),
    ("http://localhost:80/@name", None, true, &[]),
    ("http://[::1]/@name", None, true, &[]),
    ("redis://u:p/w@db/0", Some(Code::Unescaped), false, &["p/w"]),
    ("http://u:p/w@web/", Some(Code::Unescaped), false, &["p/w"]),
    ("https:///path", Some(Code::WrongType), false, &[]),
];

/// The rule of `type: url`, the target of a wait without variables, the diagnosis and the mask agree about each URL.
#[test]
fn the_rule_the_targets_the_diagnosis_and_the_mask_agree() {
    for (text, code, is_local, found) in AGREED {
        let protocol = match text.split(':').next() {
            Some("http" | "https") => Protocol::Http,
            Some("redis") => Protocol::Tcp,
            _ => Protocol::Postgres,
        };
        let value_type = Type::Url;
        let rule = Rule {
            value_type,
            ..Rule::default()
        };
        let findings = rule.findings(text).into_iter();
        let mut errors = findings.filter(|finding| finding.is_certain);
        assert_eq!(
            errors.next().map(|finding| finding.code),
            code,
            "rule: {text}"
        );
        if cfg!(feature = "postgres") {
            let target = Target::parse(protocol, text, |_| None);
            assert_eq!(
                target.err().map(|finding| finding.code),
                code,
                "target: {text}"
            );
        }
        let url = Url::cut(text).expect("a URL");
        assert_eq!(url.is_local(), is_local, "diagnosis: {text}");
        assert_eq!(passwords(text), found, "mask: {text}");
    }
}

fn passwords_in(text: &str) -> Vec<&str> {
    let mut found = passwords(text);
    found.dedup();
    found
}

#[test]
fn a_password_is_in_the_credentials_or_in_the_query_or_in_both() {
    for (text, found) in [
        ("postgresql://app:s3cret@db/app", &["s3cret"][..]),
        ("redis://:s3cret@cache:6379/0", &["s3cret"]),
        ("mongodb+srv://app:s3cret@h1,h2:1/x", &["s3cret"]),
        ("postgresql://db/app?user=app&password=s3cret", &["s3cret"]),
        ("postgresql://app@db/app?password=s3cret#x", &["s3cret"]),
        (
            "postgresql://app:one@db/app?password=two&sslpassword=three",
            &["one", "two", "three"],
        ),
        ("jdbc:postgresql://db/app?user=a&password=b", &["b"]),
        ("postgresql://app:pa/ss@db/app", &["pa/ss"]),
        ("postgresql://app@db/password=x", &[]),
        ("postgresql://app:@db/app?password=", &[]),
        ("https://host:8000/path@here", &[]),
        ("no url", &[]),
        ("", &[]),
        ("://", &[]),
    ] {
        assert_eq!(passwords_in(text), found, "{text}");
    }
}

#[test]
fn passwords_are_found_in_every_url_of_a_text() {
    for (text, found) in [
        ("redis://:one@a:1,redis://:two@b:1", &["one", "two"][..]),
        ("redis://:one@a:1/0 redis://:two@b:1/0", &["one", "two"]),
        (
            r#"["amqp://a:one@h/v", "amqp://a:two@h/v"]"#,
            &["one", "two"],
        ),
        (
            "pg://h/d?password=one,pg://h/d?password=two",
            &["one", "two"],
        ),
        ("The database is pg://a:one@h/d now.", &["one"]),
        ("é://é:one@é", &[]),
    ] {
        assert_eq!(passwords_in(text), found, "{text}");
    }
}

#[test]
fn a_password_in_a_connection_string_follows_a_key() {
    for (text, found) in [
        ("host=db password=s3cret dbname=app", &["s3cret"][..]),
        ("password='s3 cret' host=db", &["s3 cret"]),
        ("Server=db;User Id=a;Password=s3cret;", &["s3cret"]),
        ("Server=db;Pwd=s3cret", &["s3cret"]),
        ("host=db password = s3cret", &["s3cret"]),
        (r"password='it\'s3cret' host=db", &[r"it\'s3cret"]),
        ("Password=\"a\"\"b\";Server=db", &["a\"\"b"]),
        (
            "redis:6379,password=s3cret,ssl=true",
            &["s3cret", "s3cret,ssl=true"],
        ),
        ("nopassword=1", &[]),
    ] {
        assert_eq!(passwords_in(text), found, "{text}");
    }
}

#[test]
fn text_that_only_resembles_a_password_is_not_a_certain_one() {
    for (text, found) in [
        ("using postgresql://app:s3cret@db/app now", &["s3cret"][..]),
        ("redis://:one@a:1,redis://:two@b:1", &["one", "two"]),
        ("at redis://a:1?password=one", &["one", "one"]),
        ("Server=db;Pwd=one;", &["one", "one"]),
        ("http://0.0.0.0:8000 for admin@example.com", &[]),
        ("redis://cache:6379 for user@example.com", &[]),
        ("amqp://h:5672/a@b", &[]),
        ("kafka://b1:9092,b2:9092/t@x", &[]),
        ("starting, pwd=/srv/app", &[]),
    ] {
        assert_eq!(certain_passwords(text), found, "{text}");
    }
}

#[test]
fn a_long_list_is_searched_in_linear_time_and_space() {
    let list: Vec<String> = (0..5_000)
        .map(|number| format!("a://h?password={number:05}"))
        .collect();
    let list = list.join(",");
    let found = passwords(&list);
    assert_eq!(found.len(), 10_000);
    assert!(found.iter().all(|password| password.len() == 5));
}
