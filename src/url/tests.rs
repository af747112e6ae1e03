use super::{Url, host_and_port, percent_decoded};
use crate::report::Code;
use crate::rule::{self, Rule, Type};
use crate::target::{Protocol, Target};

#[test]
fn escapes_are_decoded_and_everything_else_stays() {
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

/// A text, the finding of the rule and of the target, whether the URL leads to this machine, and its passwords.
type Agreed = (&'static str, Option<Code>, bool, &'static [&'static str]);

const AGREED: [Agreed; 26] = [
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
    ("postgresql+psycopg://app@h1:5432,h2/app", None, false, &[]),
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
    (
        "postgresql://u:p/w@db/app",
        Some(Code::Unescaped),
        false,
        &["p/w"],
    ),
    (
        "postgresql://u:12/34@db/app",
        Some(Code::Unescaped),
        false,
        &["12/34"],
    ),
    (
        "postgresql://u:p#w@db/app",
        Some(Code::Unescaped),
        false,
        &["p#w"],
    ),
    (
        "postgresql://u:p?w@db/app",
        Some(Code::Unescaped),
        false,
        &["p?w"],
    ),
    (
        "postgresql://u:p@w/x@db/app",
        Some(Code::Unescaped),
        false,
        &["p", "p@w/x"],
    ),
    ("http://localhost:80/@name", None, true, &[]),
    ("http://[::1]/@name", None, true, &[]),
    ("http://u:p/w@web/", Some(Code::Unescaped), false, &["p/w"]),
    ("https:///path", Some(Code::WrongType), false, &[]),
];

/// Each user of the cut says the same of a text: the rule of `type: url`, the target of a wait without variables, the
/// diagnosis, and the mask.
#[test]
fn the_rule_the_targets_the_diagnosis_and_the_mask_agree() {
    for (text, code, is_local, passwords) in AGREED {
        let protocol = if text.starts_with("http") {
            Protocol::Http
        } else {
            Protocol::Postgres
        };
        let value_type = Type::Url;
        let rule = Rule {
            value_type,
            ..Rule::default()
        };
        let findings = rule.findings(text);
        assert_eq!(
            findings.first().map(|finding| finding.code),
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
        assert_eq!(rule::passwords(text), passwords, "mask: {text}");
    }
}
