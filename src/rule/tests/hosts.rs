//! Hosts, and lists that are separated by spaces.

use super::{List, Rule, Type, typed};
use crate::report::ValueFinding;

/// What is said about a value, and whether it is an error.
fn told(rule: &Rule, value: &str) -> Vec<(String, bool)> {
    let found = rule.findings(value).into_iter();
    found
        .map(
            |ValueFinding {
                 problem,
                 is_certain,
                 ..
             }| (problem, is_certain),
        )
        .collect()
}

fn spaced(value_type: Type) -> Rule {
    Rule {
        list: Some(List::Space),
        ..typed(value_type)
    }
}

#[test]
fn names_and_addresses_are_hosts() {
    for host in [
        "localhost",
        "db",
        "my_service",
        "db.example.com",
        "db.example.com.",
        "xn--bcher-kva.example",
        "bücher.example",
        "postgres.railway.internal",
        "db-0.db.default.svc.cluster.local",
        "10.0.0.5",
        "127.1",
        "0.0.0.0",
        "::",
        "::1",
        "[::1]",
        "fd12:3456::1",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        "::ffff:10.0.0.1",
        "a",
        "1",
        "DB.Example.COM",
    ] {
        assert_eq!(told(&typed(Type::Host), host), [], "{host}");
    }
}

#[test]
fn what_no_program_can_look_up_is_an_error() {
    for (value, problem) in [
        ("redis:6379", "contains a port"),
        ("10.0.0.5:5432", "contains a port"),
        ("[::1]:5432", "contains a port"),
        ("http://db", "is a URL, not a host"),
        ("postgresql://u:p@db/app", "is a URL, not a host"),
        ("db/app", "contains a path"),
        ("10.0.0.0/8", "contains a path"),
        ("app@db", "contains a user"),
        ("a..b", "is not a host name or an IP address"),
        (".", "is not a host name or an IP address"),
        ("db one", "is not a host name or an IP address"),
        ("[::1", "is not a host name or an IP address"),
        ("a:b:c", "is not a host name or an IP address"),
        ("db:99999", "is not a host name or an IP address"),
        ("db!", "is not a host name or an IP address"),
        ("d\u{0}b", "is not a host name or an IP address"),
    ] {
        assert_eq!(
            told(&typed(Type::Host), value),
            [(problem.to_owned(), true)],
            "{value}"
        );
    }
    let long = ":1".repeat(200_000);
    assert_eq!(told(&typed(Type::Host), &long).len(), 1);
}

#[test]
fn what_some_programs_take_for_a_host_is_a_warning() {
    for (value, problem) in [
        ("/var/run/postgresql", "is the path of a socket, not a host"),
        ("@abstract", "is the path of a socket, not a host"),
        ("db1,db2", "is a list of hosts only for some programs"),
        ("*", "is a pattern of hosts only for some programs"),
        (
            "*.example.com",
            "is a pattern of hosts only for some programs",
        ),
        (
            ".example.com",
            "is a pattern of hosts only for some programs",
        ),
        ("{tenant}.example.com", "has a gap to fill in"),
        ("10.0.0.256", "looks like an IP address, but is none"),
        ("10.0.0.05", "looks like an IP address, but is none"),
    ] {
        assert_eq!(
            told(&typed(Type::Host), value),
            [(problem.to_owned(), false)],
            "{value}"
        );
    }
    let long = format!("{}.example.com", "a".repeat(64));
    let problem = "is longer than a name of the DNS can be";
    assert_eq!(
        told(&typed(Type::Host), &long),
        [(problem.to_owned(), false)]
    );
}

#[test]
fn the_items_of_a_list_can_be_separated_by_white_space() {
    let hosts = spaced(Type::Host);
    for value in [
        "*",
        "a.example.com",
        "a.example.com  .example.com\t[::1] 10.0.0.1",
        "*.example.com localhost",
    ] {
        assert_eq!(told(&hosts, value), [], "{value}");
    }
    let numbers = spaced(Type::Integer);
    assert_eq!(told(&numbers, "1 2\n3"), []);
    let commas = "is a list that is separated by commas, not by spaces";
    for (rule, value, problem) in [
        (&numbers, "1 x", "(item 2 of 2) is not a whole number"),
        (&numbers, "1,2", commas),
        (&hosts, "a.example.com,b.example.com", commas),
        (
            &hosts,
            "a.example.com:8000 b",
            "(item 1 of 2) contains a port",
        ),
        (&hosts, "[\"a\", \"b\"]", "is written as a JSON list"),
        (
            &numbers,
            "1|2",
            "is a list that is separated by vertical bars, not by spaces",
        ),
    ] {
        assert_eq!(told(rule, value), [(problem.to_owned(), true)], "{value}");
    }
    let fix = &numbers.findings("1,2")[0].fix;
    assert_eq!(fix, "separate the items with spaces: a b");
}
