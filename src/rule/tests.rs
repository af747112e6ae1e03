mod hosts;
mod placeholders;
mod real;

use super::{List, Rule, Type, strip_wrapping};
use crate::report::Code;

fn codes(rule: &Rule, value: &str) -> Vec<Code> {
    rule.findings(value)
        .into_iter()
        .map(|finding| finding.code)
        .collect()
}

fn typed(value_type: Type) -> Rule {
    Rule {
        value_type,
        ..Rule::default()
    }
}

#[test]
fn quotes_and_white_space_are_findings_and_the_text_inside_is_checked() {
    let rule = typed(Type::Integer);
    assert_eq!(codes(&rule, "12"), []);
    assert_eq!(codes(&rule, "\"12\""), [Code::Quoted]);
    assert_eq!(codes(&rule, " '12' "), [Code::WhiteSpace, Code::Quoted]);
    assert_eq!(
        codes(&rule, "\"twelve\"\n"),
        [Code::WhiteSpace, Code::Quoted, Code::WrongType]
    );
}

#[test]
fn json_may_be_a_quoted_string() {
    assert_eq!(codes(&typed(Type::Json), "\"text\""), []);
    assert_eq!(codes(&typed(Type::Json), "{\"a\": [1]}"), []);
    let twice = problems(&typed(Type::Json), r#""{\"a\": 1}""#);
    assert!(matches!(&*twice, [(problem, false)] if problem.contains("twice")));
    assert_eq!(codes(&typed(Type::Json), "{'a': 1}"), [Code::WrongType]);
}

#[test]
fn every_item_of_a_list_is_checked_and_numbered() {
    let ports = |list| Rule {
        list: Some(list),
        ..typed(Type::Port)
    };
    let rule = ports(List::Csv);
    assert_eq!(codes(&rule, "80, 443,8000"), []);
    let findings = rule.findings("80,http,0");
    assert_eq!(findings.len(), 2);
    assert!(
        findings[0].problem.starts_with("(item 2 of 3) "),
        "{}",
        findings[0].problem
    );
    let rule = ports(List::Json);
    assert_eq!(codes(&rule, "[\"80\"]"), []);
    assert_eq!(codes(&rule, "[80, 443]"), []);
    assert_eq!(codes(&rule, "80,443"), [Code::WrongType]);
}

#[test]
fn a_csv_list_must_not_be_json_or_have_an_empty_item() {
    let rule = Rule {
        list: Some(List::Csv),
        ..Rule::default()
    };
    assert_eq!(codes(&rule, "[\"a\",\"b\"]"), [Code::WrongType]);
    assert_eq!(codes(&rule, "[::1],localhost"), []);
    for value in ["a,,b", "a,", ",a"] {
        let found = rule.findings(value);
        assert!(found.len() == 1 && !found[0].is_certain, "{value}");
    }
}

#[test]
fn lengths_are_counted_in_characters() {
    let rule = Rule {
        min_length: Some(3),
        max_length: Some(4),
        ..Rule::default()
    };
    assert_eq!(codes(&rule, "éé"), [Code::TooShort]);
    assert_eq!(codes(&rule, "éééé"), []);
    assert_eq!(codes(&rule, "ééééé"), [Code::TooLong]);
}

#[test]
fn all_findings_come_at_once() {
    let rule = Rule {
        min_length: Some(10),
        pattern: Some(regex_lite::Regex::new("^re_").expect("a sound pattern")),
        one_of: vec!["re_a_long_one".to_owned()],
        ..Rule::default()
    };
    assert_eq!(
        codes(&rule, "short"),
        [Code::TooShort, Code::NotOneOf, Code::NoMatch]
    );
}

#[test]
fn wrapping_is_stripped_once() {
    assert_eq!(strip_wrapping(" \"v\"\n"), "v");
    assert_eq!(strip_wrapping("'a\"b'"), "a\"b");
    assert_eq!(strip_wrapping("\""), "\"");
    assert_eq!(strip_wrapping("\"open"), "\"open");
}

fn problems(rule: &Rule, value: &str) -> Vec<(String, bool)> {
    let findings = rule.findings(value).into_iter();
    findings
        .map(|finding| (finding.problem, finding.is_certain))
        .collect()
}

#[test]
fn white_space_is_an_error_only_where_it_cannot_work() {
    let text = Rule::default();
    let secret = Rule {
        is_secret: true,
        ..Rule::default()
    };
    let choice = Rule {
        one_of: vec!["live".to_owned()],
        ..Rule::default()
    };
    for (rule, value, problem, is_certain) in [
        (&text, "v\r\n", "ends with a line break", false),
        (&secret, "v\n", "ends with a line break", true),
        (&choice, "live\r", "ends with a line break", true),
        (
            &typed(Type::Integer),
            "8000\n",
            "ends with a line break",
            false,
        ),
        (
            &typed(Type::Number),
            "0.5\r",
            "ends with a line break",
            false,
        ),
        (
            &typed(Type::Boolean),
            "true\n",
            "ends with a line break",
            true,
        ),
        (&typed(Type::Path), "/data ", "ends with white space", false),
        (&text, "v ", "ends with white space", false),
        (&secret, "\tv", "begins with white space", true),
        (&text, "a\r\nb", "contains carriage returns (\\r)", false),
        (
            &secret,
            "\u{201c}sk-fake\u{201d}",
            "contains typographic quotes or dashes, or invisible characters",
            false,
        ),
    ] {
        assert_eq!(
            problems(rule, value),
            [(problem.to_owned(), is_certain)],
            "{value:?}"
        );
    }
}

#[test]
fn line_breaks_at_the_end_of_a_pem_text_of_json_and_of_several_lines_are_sound() {
    let pem = "-----BEGIN PRIVATE KEY-----\nZmFrZQ==\n-----END PRIVATE KEY-----\n";
    let secret = Rule {
        is_secret: true,
        ..Rule::default()
    };
    for value in [
        pem,
        &pem.replace('\n', "\r\n"),
        "{\"type\": \"service_account\"}\n",
        "first line\nsecond line\n",
    ] {
        assert_eq!(problems(&secret, value), [], "{value:?}");
        assert_eq!(problems(&Rule::default(), value), [], "{value:?}");
    }
    assert_eq!(problems(&typed(Type::Json), "{\"a\": 1}\r\n"), []);
    assert_eq!(problems(&typed(Type::Pem), pem), []);
}

#[test]
fn quotes_around_a_free_text_may_be_meant() {
    let certain =
        |rule: &Rule, value: &str| rule.findings(value).iter().any(|found| found.is_certain);
    let secret = Rule {
        is_secret: true,
        ..Rule::default()
    };
    assert!(!certain(&Rule::default(), "\"Hello\""));
    assert_eq!(codes(&Rule::default(), "\"Hello\""), [Code::Quoted]);
    assert_eq!(codes(&Rule::default(), "\""), []);
    assert!(certain(&secret, "'fake-secret'"));
    for value_type in [Type::Boolean, Type::Port, Type::Email, Type::Duration] {
        assert!(certain(&typed(value_type), "\"true\""));
    }
    assert_eq!(codes(&typed(Type::Json), "'{\"a\": 1}'"), [Code::Quoted]);
}

#[test]
fn a_comment_behind_a_value_that_breaks_its_rule_is_the_likely_reason() {
    let csv = Rule {
        list: Some(List::Csv),
        ..typed(Type::Integer)
    };
    let choice = Rule {
        one_of: vec!["live".to_owned()],
        ..Rule::default()
    };
    let pattern = Rule {
        pattern: Some(regex_lite::Regex::new("^[a-z]+$").expect("a sound pattern")),
        ..Rule::default()
    };
    for (rule, value) in [
        (&typed(Type::Port), "5434 # host port"),
        (&typed(Type::Port), "\"5434\" # host port"),
        (&typed(Type::Port), "5434\t# host port #1"),
        (&typed(Type::Boolean), "true # or false"),
        (&typed(Type::Url), "https://example.com # the front end"),
        (&typed(Type::Origin), "https://example.com # the front end"),
        (&typed(Type::Email), "ops@example.com # a person"),
        (&typed(Type::Duration), "30s # seconds"),
        (&typed(Type::Integer), "# required"),
        (&csv, "1,2 # two"),
        (&choice, "live # or test"),
        (&pattern, "abc # letters"),
    ] {
        let found = rule.findings(value);
        assert!(
            !found.is_empty() && found.iter().all(|finding| finding.fix.contains("comment")),
            "{value}"
        );
    }
    for (rule, value) in [
        (&typed(Type::Port), "http # host port"),
        (&typed(Type::Port), "5434#1"),
        (&pattern, "a#b"),
    ] {
        let found = rule.findings(value);
        assert!(
            found.iter().all(|finding| !finding.fix.contains("comment")),
            "{value}"
        );
    }
    assert_eq!(codes(&Rule::default(), "C # and F#"), []);
}

fn table(rule: &Rule, right: &[&str], wrong: &[&str]) {
    for value in right {
        assert_eq!(rule.check_type(value), Ok(()), "{value} is right");
    }
    for value in wrong {
        assert!(rule.check_type(value).is_err(), "{value} is wrong");
    }
}

#[test]
fn whole_numbers_are_digits_within_their_limits() {
    table(
        &Rule {
            min: Some(-1.0),
            max: Some(10.0),
            ..typed(Type::Integer)
        },
        &["0", "-1", "10", "007"],
        &[
            "",
            "11",
            "-2",
            "1,000",
            "1.5",
            "0x",
            "٣",
            "99999999999999999999",
        ],
    );
}

#[test]
fn numbers_are_finite() {
    table(
        &typed(Type::Number),
        &["1", "-0.5", "1e3", ".5"],
        &["inf", "NaN", "1,5", "1_0", "1e999", "1e", "0x1p3", ""],
    );
}

#[test]
fn durations_have_a_unit() {
    table(
        &Rule {
            min: Some(1.0),
            max: Some(60.0),
            ..typed(Type::Duration)
        },
        &["1s", "1m", "1500ms"],
        &[
            "30", "2h", "s", "1 parsec", "-1s", "PT2H", "P", "1::", "00:02:00",
        ],
    );
}

#[test]
fn booleans_are_twelve_words_in_any_case() {
    table(
        &typed(Type::Boolean),
        &[
            "true", "FALSE", "1", "0", "Yes", "no", "ON", "off", "t", "F", "y", "N",
        ],
        &["2", "enabled", "", "null", "1.0", "ja"],
    );
}

#[test]
fn ports_are_from_1_to_65535() {
    table(
        &typed(Type::Port),
        &["1", "8000", "65535"],
        &["0", "65536", "-1", "+80", "http", "80.0", ""],
    );
}

#[test]
fn json_is_the_whole_text() {
    table(
        &typed(Type::Json),
        &["1", "[]", "{\"a\": null}", "\"x\""],
        &["", "{", "[1,]", "{} {}", "None"],
    );
}

#[test]
fn paths_are_not_urls_and_need_no_shell() {
    table(
        &typed(Type::Path),
        &["/var/lib", "relative/file", "file"],
        &["~/x", "~", "file:///x", "/a\n/b"],
    );
}

#[test]
fn a_json_finding_has_the_position_but_no_text() {
    let checked = typed(Type::Json).check_type("{\"password\": canary}");
    let finding = checked.expect_err("this is no JSON");
    assert!(!finding.problem.contains("canary") && !finding.problem.contains("password"));
}

fn code(value_type: Type, schemes: &[&str], value: &str) -> Option<Code> {
    let schemes = schemes.iter().map(|&name| name.to_owned()).collect();
    let rule = Rule {
        schemes,
        ..typed(value_type)
    };
    rule.check_type(value).err().map(|finding| finding.code)
}

#[test]
fn mailboxes_come_alone_or_with_a_name() {
    for value in [
        "noreply@example.com",
        "INTOWORK <noreply@example.com>",
        "Équipe <a.b+c@mail.example.com>",
    ] {
        assert_eq!(code(Type::Email, &[], value), None, "{value}");
    }
    for value in [
        "",
        "example.com",
        "a@",
        "@example.com",
        "a@localhost",
        "Name <a@example.com",
        "a b@example.com",
    ] {
        assert_eq!(
            code(Type::Email, &[], value),
            Some(Code::WrongType),
            "{value}"
        );
    }
}
