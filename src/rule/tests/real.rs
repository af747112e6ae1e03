//! Values as real deployments have them. A finding on one of them would refuse a healthy deployment.

use super::super::{List, Rule, Type};
use super::typed;

/// The minimum number of real values of each type.
const MIN_VALUES: usize = 20;

#[track_caller]
fn are_sound(rule: &Rule, values: &[&str]) {
    assert!(values.len() >= MIN_VALUES);
    for value in values {
        assert_eq!(rule.findings(value), [], "{value:?}");
    }
}

#[test]
fn real_strings_are_sound() {
    let values = [
        "hunter2",
        "production",
        "00000000",
        "exchange-memory",
        "fake 16 char pass",
        "eohwef0ijd324g$1jgfos",
        "p@ss:w/o#rd?&=",
        "\"",
        "it's",
        "\"one\" and \"two",
        "%h %l %u %t",
        "{asctime} {levelname} {message}",
        "C # and F#",
        "Équipe IntoWork",
        "sha256:9f86d081884c7d659a2feaa0c55ad015",
        "-Xmx512m -Dfile.encoding=UTF-8",
        "--max-old-space-size=4096",
        "*.example.com",
        "*",
        "-",
        "0 3 * * *",
        "Europe/Paris",
        "en_US.UTF-8",
        "a\tb",
        "line one\nline two",
        "line one\nline two\n",
        "{\"type\": \"service_account\"}\n",
        "$2b$12$fakefakefakefakefakefu",
        "eyJhbGciOiJub25lIn0.e30.",
        "postgres",
        "todo",
        "AccountName=app;AccountKey=ZmFrZQ==;EndpointSuffix=core.windows.net",
        "-----BEGIN PUBLIC KEY-----\nZmFrZQ==\n-----END PUBLIC KEY-----",
    ];
    are_sound(&Rule::default(), &values);
    let secret = Rule {
        is_secret: true,
        ..Rule::default()
    };
    are_sound(&secret, &values);
}

#[test]
fn real_whole_numbers_are_sound() {
    are_sound(
        &typed(Type::Integer),
        &[
            "0",
            "1",
            "-1",
            "+5",
            "007",
            "4",
            "10",
            "12",
            "20",
            "30",
            "60",
            "100",
            "255",
            "300",
            "587",
            "1000",
            "1024",
            "3600",
            "86400",
            "1048576",
            "2147483647",
            "9223372036854775807",
            "-1001234567890",
        ],
    );
}

#[test]
fn real_numbers_are_sound() {
    are_sound(
        &typed(Type::Number),
        &[
            "0",
            "1",
            "-1",
            "+1.5",
            "0.0",
            "0.1",
            "0.5",
            ".5",
            "5.",
            "0.7",
            "0.95",
            "1.0",
            "2.5",
            "1e3",
            "1E-5",
            "1e-8",
            "3.14159",
            "-0.25",
            "100",
            "0.001",
            "48.8566",
            "-122.4194",
        ],
    );
}

#[test]
fn real_booleans_are_sound() {
    are_sound(
        &typed(Type::Boolean),
        &[
            "true", "false", "True", "False", "TRUE", "FALSE", "1", "0", "yes", "no", "Yes", "No",
            "YES", "NO", "on", "off", "On", "Off", "ON", "OFF", "t", "f", "T", "F", "y", "n", "Y",
            "N",
        ],
    );
}

#[test]
fn real_ports_are_sound() {
    are_sound(
        &typed(Type::Port),
        &[
            "1", "22", "25", "80", "443", "465", "587", "1025", "2525", "3000", "3306", "4222",
            "5000", "5173", "5432", "5672", "6379", "6432", "8000", "8080", "8443", "9000", "9092",
            "10000", "11211", "27017", "65535", "08080",
        ],
    );
}

#[test]
fn real_email_addresses_are_sound() {
    are_sound(
        &typed(Type::Email),
        &[
            "noreply@example.com",
            "no-reply@mail.example.com",
            "INTOWORK <noreply@example.com>",
            "Équipe <a.b+c@mail.example.com>",
            "\"Doe, Jane\" <jane@example.com>",
            "Jane Doe <jane.doe@example.co.uk>",
            "<jane@example.com>",
            "user+tag@example.com",
            "user_name@example.com",
            "o'hara@example.com",
            "a@b.co",
            "1234567890@example.com",
            "jane@sub.domain.example.org",
            "jane@xn--bcher-kva.example",
            "jane@bücher.example",
            "用户@例子.广告",
            "webmaster@host.docker.internal",
            "admin@example.local",
            "ops@example.museum",
            "x@example-one.com",
            "jane%example.org@example.net",
            "\"jane doe\"@example.com",
            "AC-Team <ac_team@example.io>",
        ],
    );
}

#[test]
fn real_json_is_sound() {
    are_sound(
        &typed(Type::Json),
        &[
            "{}",
            "[]",
            "null",
            "true",
            "0",
            "-1.5e3",
            "\"text\"",
            "\"\"",
            "[1, 2]",
            "[\"a\", \"b\"]",
            "{\"a\": {\"b\": [null]}}",
            "{\"a\": 1}\n",
            "{\"a\": 1}\r\n",
            " {\"a\": 1} ",
            "{\n  \"type\": \"service_account\",\n  \"project_id\": \"fake\"\n}\n",
            "{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\nZmFrZQ==\\n-----END PRIVATE KEY-----\\n\"}",
            "{\"url\": \"https://example.com/#x\"}",
            "[{\"name\": \"a\"}, {\"name\": \"b\"}]",
            "{\"é\": \"\\u00e9\"}",
            "{\"emoji\": \"🚀\"}",
            "[[0, 1], [2, 3]]",
            "123456789012345678901234567890",
            "{\"a b\": \"it's\"}",
        ],
    );
}

#[test]
fn real_paths_are_sound() {
    are_sound(
        &typed(Type::Path),
        &[
            "/",
            "/data",
            "/var/lib/app/",
            "/etc/ssl/certs/ca-certificates.crt",
            "/run/secrets/db_password",
            "/var/run/docker.sock",
            "/app/.env",
            "/home/app/.ssh/id_ed25519",
            "/mnt/My Files/report.pdf",
            "/proc/self/fd/1",
            "/dev/stdout",
            ".",
            "..",
            "./data",
            "../shared",
            "data/app.db",
            "file.txt",
            "app:create_app",
            "C:\\Users\\app\\data",
            "C:/Users/app",
            "\\\\server\\share",
            "/usr/local/bin:/usr/bin:/bin",
            "/données/été",
            "/a~b",
            "~backup",
            "/cloudsql/project:region:instance",
            "@/abstract",
        ],
    );
}

#[test]
fn real_durations_are_sound() {
    are_sound(
        &typed(Type::Duration),
        &[
            "0",
            "1 01:30:00",
            "0s",
            "1s",
            "30s",
            "90s",
            "500ms",
            "1500ms",
            "100us",
            "5m",
            "10m",
            "1h",
            "1h30m",
            "1h 30m",
            "1.5h",
            "1H",
            "24h",
            "72h0m0s",
            "1d",
            "7d",
            "7 days",
            "2 hours",
            "30 sec",
            "10 minutes",
            "1 day, 0:00:05",
            "1 days 02:00:00",
            "2 weeks",
            "PT30S",
            "PT0.5S",
            "PT1H30M",
            "P1D",
            "P1DT2H",
            "P1W",
            "P1M",
            "-PT5M",
            "-1s",
            "00:30:00",
            "00:00:30.5",
        ],
    );
}

/// A PEM text that has this label.
fn block(label: &str, inside: &str) -> String {
    format!("-----BEGIN {label}-----\n{inside}\n-----END {label}-----")
}

#[test]
fn real_pem_texts_are_sound() {
    const BASE64: &str =
        "MIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4wggE6AgEAAkEAfakefakefakefake\nfakefake/+==";
    let labels = [
        "PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "DSA PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "PUBLIC KEY",
        "RSA PUBLIC KEY",
        "CERTIFICATE",
        "TRUSTED CERTIFICATE",
        "X509 CERTIFICATE",
        "CERTIFICATE REQUEST",
        "NEW CERTIFICATE REQUEST",
        "X509 CRL",
        "PKCS7",
        "CMS",
        "DH PARAMETERS",
        "EC PARAMETERS",
        "ATTRIBUTE CERTIFICATE",
        "ANY PRIVATE KEY",
    ];
    let mut values: Vec<String> = labels.iter().map(|label| block(label, BASE64)).collect();
    let key = block("PRIVATE KEY", BASE64);
    let certificate = block("CERTIFICATE", BASE64);
    values.extend([
        format!("{key}\n"),
        format!("{key}\n\n"),
        key.replace('\n', "\r\n"),
        format!("{certificate}\n{certificate}\n{key}\n"),
        format!("Bag Attributes\n    friendlyName: fake\nsubject=CN = fake\n{certificate}"),
        format!("# the chain\n{certificate}"),
        block(
            "RSA PRIVATE KEY",
            &format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,152ACBC5BB81\n\n{BASE64}"),
        ),
        block(
            "PGP PRIVATE KEY BLOCK",
            &format!("Version: GnuPG v2\n\n{BASE64}\n=AbCd"),
        ),
        block("PRIVATE KEY", &BASE64.replace('\n', "")),
        key.replace('\n', " \n"),
    ]);
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    are_sound(&typed(Type::Pem), &values);
    are_sound(&Rule::default(), &values);
    let escaped: Vec<String> = values
        .iter()
        .map(|value| value.replace("\r\n", "\n").replace('\n', "\\n"))
        .collect();
    let escaped: Vec<&str> = escaped.iter().map(String::as_str).collect();
    let rule = Rule {
        is_escaped: true,
        ..typed(Type::Pem)
    };
    are_sound(&rule, &escaped);
    are_sound(&rule, &values);
}

#[test]
fn a_broken_pem_text_is_an_error_for_its_type_and_a_warning_for_a_text() {
    let key = "-----BEGIN PRIVATE KEY-----\nZmFrZWZha2Vm\nZmFrZQ==\n-----END PRIVATE KEY-----";
    for (value, problem) in [
        (key.replace('\n', " "), "became spaces"),
        (key.replace('\n', ""), "became spaces"),
        (key.replacen('\n', " ", 1), "became spaces"),
        (key.replace('\n', "\\n"), "two characters"),
        (
            "-----BEGIN PRIVATE KEY-----".to_owned(),
            "only the first line",
        ),
        (
            key.replace("-----END PRIVATE KEY-----", ""),
            "without its END line",
        ),
        (
            key.replace("END PRIVATE", "END RSA PRIVATE"),
            "do not match",
        ),
        (key.replace("ZmFrZQ==", "ZmFrZ"), "other than base64"),
        (key.replace("ZmFrZQ==", "Zm-_ZQ=="), "other than base64"),
        (
            key.replace("ZmFrZWZha2Vm\nZmFrZQ==\n", ""),
            "other than base64",
        ),
        (format!("{key}\n{}", &key[..40]), "without its END line"),
    ] {
        for (rule, is_certain) in [(typed(Type::Pem), true), (Rule::default(), false)] {
            let [finding] = &rule.findings(&value)[..] else {
                panic!("{value} has not one finding");
            };
            assert!(
                finding.problem.contains(problem),
                "{value}: {}",
                finding.problem
            );
            assert_eq!(finding.is_certain, is_certain, "{value}");
        }
    }
    assert_eq!(typed(Type::Pem).findings(&key.replace('\n', "\t\n")), []);
    let indented = typed(Type::Pem).findings(&key.replace('\n', "\n  "));
    assert!(
        matches!(&*indented, [found] if found.problem.contains("white space") && !found.is_certain)
    );
    for value in [
        "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t",
        "MIIBVAIBADANBg==",
        "a key",
    ] {
        assert!(typed(Type::Pem).findings(value)[0].is_certain, "{value}");
        assert_eq!(Rule::default().findings(value), [], "{value}");
    }
}

#[test]
fn what_only_some_programs_read_is_a_warning() {
    for (value_type, values) in [
        (
            Type::Integer,
            &[
                "1_000",
                "0x10",
                "0o17",
                "1e3",
                "1.0",
                "99999999999999999999",
            ][..],
        ),
        (
            Type::Number,
            &["inf", "-Infinity", "NaN", "1_0.5", "0x10", "1e999"],
        ),
        (Type::Boolean, &["enabled", "Disabled", "enable", "ok"]),
        (Type::Port, &["0", "+80", "8_000", "80.0", "0x50"]),
        (Type::Duration, &["30", "30.5", "-1"]),
        (
            Type::Email,
            &[
                "root@localhost",
                "a.@b.co",
                "a..b@example.com",
                "a@b.co,c@d.co",
                "a@b.co; c@d.co",
            ],
        ),
        (Type::Path, &["~/x", "~", "s3://bucket/key", "a\nb"]),
    ] {
        for value in values {
            let found = typed(value_type).findings(value);
            assert!(
                found.len() == 1 && !found[0].is_certain,
                "{value}: {found:?}"
            );
        }
    }
}

#[test]
fn a_json_list_has_items_of_its_type() {
    let numbers = Rule {
        list: Some(List::Json),
        ..typed(Type::Integer)
    };
    let found = numbers.findings("[1, 2,]");
    assert!(!found[0].problem.contains("quotes"), "{}", found[0].problem);
    let list = |value_type| Rule {
        list: Some(List::Json),
        ..typed(value_type)
    };
    for (value_type, value) in [
        (Type::Integer, "[1, 2]"),
        (Type::Integer, "[\"1\", 2]"),
        (Type::Number, "[0.5, 1, 1e3]"),
        (Type::Port, "[80, 443]\n"),
        (Type::Boolean, "[true, false, \"yes\"]"),
        (Type::Json, "[1, {\"a\": []}, null, \"x\"]"),
        (Type::String, "[]"),
        (Type::String, "[\"a\"]"),
    ] {
        assert_eq!(list(value_type).findings(value), [], "{value}");
    }
    for (value_type, value, problem, is_certain) in [
        (
            Type::String,
            "[436026689,my_username]",
            "the quotes inside are missing",
            true,
        ),
        (
            Type::Origin,
            "[https://a.example.com]",
            "the quotes inside are missing",
            true,
        ),
        (Type::String, "['a', 'b']", "it needs double quotes", true),
        (Type::String, r#"[\"a\"]"#, "the backslashes", true),
        (Type::String, "a,b", "is not a JSON list", true),
        (Type::String, "[1, 2]", "an item that is not a text", false),
        (Type::String, "[null]", "an item that is not a text", false),
        (
            Type::Integer,
            "[1, \"x\"]",
            "(item 2 of 2) is not a whole number",
            true,
        ),
        (Type::Boolean, "[2]", "is not a boolean", true),
    ] {
        let found = list(value_type).findings(value);
        assert!(found[0].problem.contains(problem), "{value}: {found:?}");
        assert_eq!(found[0].is_certain, is_certain, "{value}");
    }
}

#[test]
fn a_list_with_other_separators_names_them() {
    let rule = Rule {
        list: Some(List::Csv),
        ..typed(Type::Origin)
    };
    let urls = Rule {
        list: Some(List::Csv),
        ..typed(Type::Url)
    };
    let found = urls.findings("http://a;http://b");
    assert!(found[0].problem.contains("semicolons"));
    for (value, separator) in [
        ("https://a.example.org https://b.example.org", "spaces"),
        (
            "https://a.example.org; https://b.example.org;",
            "semicolons",
        ),
        (
            "https://a.example.org|https://b.example.org",
            "vertical bars",
        ),
        (
            "https://a.example.org\nhttps://b.example.org",
            "line breaks",
        ),
    ] {
        let found = rule.findings(value);
        assert_eq!(found.len(), 1, "{value}");
        assert!(found[0].problem.contains(separator), "{value}: {found:?}");
    }
    let found = rule.findings("https://a.example.org nonsense");
    assert!(!found[0].problem.contains("separated"), "{found:?}");
    let words = Rule {
        list: Some(List::Csv),
        ..Rule::default()
    };
    assert_eq!(words.findings("Jane Doe, John Doe"), []);
}

#[test]
fn values_with_the_same_meaning_are_the_same() {
    for (value_type, one, other) in [
        (Type::Boolean, "1", "true"),
        (Type::Boolean, "ON", "yes"),
        (Type::Boolean, "0", "off"),
        (Type::Integer, "01", "1"),
        (Type::Number, "1.0", "1"),
        (Type::Port, "08080", "8080"),
        (Type::Duration, "90s", "1m30s"),
        (Type::Duration, "PT1H", "60m"),
        (Type::String, "a", "a"),
    ] {
        assert!(typed(value_type).are_same(one, other), "{one} and {other}");
    }
    for (value_type, one, other) in [
        (Type::Boolean, "1", "false"),
        (Type::Boolean, "maybe", "perhaps"),
        (Type::Integer, "1", "2"),
        (Type::String, "1", "true"),
        (Type::String, "A", "a"),
    ] {
        assert!(!typed(value_type).are_same(one, other), "{one} and {other}");
    }
}
