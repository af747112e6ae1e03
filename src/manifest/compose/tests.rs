//! Tests of composed values: what is encoded where, and the order and the circles of values that refer to each other.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::Manifest;
use super::{NotComposed, Template, in_order};
use crate::environment::is_soak;

/// The text of a template in which every `${X}` is this value.
fn composed(template: &str, value: &str) -> Result<String, NotComposed<'static>> {
    let template = Box::leak(Box::new(Template::parse(template)));
    let lookup = |name: &str| (name == "X").then(|| OsStr::new(value));
    let pieces = template.compose(lookup, 1000)?.into_iter();
    let bytes: Vec<u8> = pieces.flat_map(|(_, piece)| piece).collect();
    Ok(String::from_utf8(bytes).expect("these values are UTF-8"))
}

#[test]
fn a_reference_is_encoded_where_its_characters_could_end_its_part() {
    const PLAIN: &str = "a:b/c@d?e#f%41&g=h+i j[é]";
    const ENCODED: &str = "a%3Ab%2Fc%40d%3Fe%23f%2541%26g%3Dh%2Bi%20j%5B%C3%A9%5D";
    for template in [
        "db://{}:p@h/d",
        "db://u:{}@h/d",
        "db://u:p@h/{}",
        "db://u:p@h/x/{}/y?z",
        "db://h/{}#x",
        "db://h?a={}",
        "db://h/d?a=1&b={}&c=2#x",
        "db://h/d?a=1#x{}",
        "db+driver://u:{}@a,b:1/d",
        "jdbc:db://h/d?user={}&x=y",
        "https://h/@{}",
        "db://u:{}@h?x=@",
    ] {
        let expected = template.replace("{}", ENCODED);
        let found = composed(&template.replace("{}", "${X}"), PLAIN);
        assert_eq!(found, Ok(expected), "{template}");
    }
    for template in [
        "{}",
        "{}/health",
        "db://{}",
        "db://u:p@{}",
        "db://u:p@h:{}/d",
        "db://a,{}:5432/d",
        "db://h/d?{}",
        "db://h/d?a=b&{}",
        "db://h/d?{}=x",
        "host=h password={}",
        "{}, db://u:p@h",
        "see db://u:{}@h",
        "db:/{}/x",
        "://u:{}@h",
    ] {
        let expected = template.replace("{}", PLAIN);
        let found = composed(&template.replace("{}", "${X}"), PLAIN);
        assert_eq!(found, Ok(expected), "{template}");
    }
}

#[test]
fn positions_follow_from_the_template_and_from_what_stands_before_the_hosts() {
    for (template, value, expected) in [
        ("${X}://u:${X}@h", "a+b", "a+b://u:a%2Bb@h"),
        ("db+${X}://${X}@h", "a+b", "db+a+b://a%2Bb@h"),
        (
            "${X}/t?q=${X}",
            "http://h/s",
            "http://h/s/t?q=http%3A%2F%2Fh%2Fs",
        ),
        ("${X}${X}", "db://u:@h", "db://u:@hdb://u:@h"),
        ("db://${X}@h", "u:p:@/", "db://u:p%3A%40%2F@h"),
        ("db://${X}@h", "u@x", "db://u%40x@h"),
        ("db://${X}:@h", "u:p", "db://u%3Ap:@h"),
        ("db://u:p@${X}:1/d", "fd12::3", "db://u:p@[fd12::3]:1/d"),
        ("db://${X}", "::1", "db://[::1]"),
        ("db://a,${X},b/d", "::1", "db://a,[::1],b/d"),
        ("db://[${X}]:1/d", "::1", "db://[::1]:1/d"),
        ("db://x-${X}.y/d", "db", "db://x-db.y/d"),
        (
            "sqlite:///${X}?a=b",
            "/data/é b?.db",
            "sqlite:////data/é b%3F.db?a=b",
        ),
        (
            "db:///d?host=${X}",
            "/run/x y",
            "db:///d?host=%2Frun%2Fx%20y",
        ),
        ("db://h${X}", "/v1/a", "db://h/v1/a"),
        ("db://u:${Y:-p@}@h", "", "db://u:p%40@h"),
        ("$${X} ${X}", "a", "${X} a"),
    ] {
        let found = composed(template, value);
        assert_eq!(found.as_deref(), Ok(expected), "{template} {value}");
    }
    let folder = Err(NotComposed::FolderAsHost("X"));
    for template in ["db://${X}/d", "db://u@${X}:1/d", "db://a,${X}"] {
        assert_eq!(composed(template, "/run"), folder, "{template}");
    }
    assert_eq!(composed("a${Y}", ""), Err(NotComposed::Unset("Y")));
    let long = "x".repeat(500);
    assert_eq!(composed("${X}${X}${X}", &long), Err(NotComposed::TooLong));
    assert!(composed("${X}${X}", &long).is_ok());
}

#[test]
fn a_manifest_is_accepted_exactly_if_no_value_refers_to_itself() {
    const NODES: usize = 6;
    let graph = proptest::collection::btree_set((0..NODES, 0..NODES), 0..9);
    let config = Config {
        cases: if is_soak() { 100_000 } else { 2_000 },
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&graph, |edges: BTreeSet<(usize, usize)>| {
        // The naive model: all pairs that are connected by any path.
        let mut reachable = edges.clone();
        for _ in 0..NODES {
            let longer = reachable.iter().flat_map(|&(from, by)| {
                let onward = edges.iter().filter(move |(begin, _)| *begin == by);
                onward.map(move |&(_, to)| (from, to))
            });
            reachable.extend(longer.collect::<Vec<_>>());
        }
        let mut text = "version: 1\nvariables:\n".to_owned();
        for node in 0..NODES {
            let own = edges.iter().filter(|(from, _)| *from == node);
            let references: Vec<_> = own.map(|(_, to)| format!("${{V{to}}}")).collect();
            let references = references.concat();
            let value = [format!("value: '{references}'"), String::new()];
            let secret = if node == 0 { "secret: true, " } else { "" };
            let value = &value[usize::from(references.is_empty())];
            text += &format!("  V{node}: {{{secret}{value}}}\n");
        }
        let is_circular = (0..NODES).any(|node| reachable.contains(&(node, node)));
        match Manifest::parse(text.as_bytes(), false) {
            Err(faults) => {
                prop_assert!(is_circular, "{text}{faults:?}");
                let is_on_circle = |node: usize| reachable.contains(&(node, node));
                for fault in faults {
                    let (name, message) = fault.message.split_once(".value: ").unwrap_or_default();
                    let start: usize = name
                        .trim_start_matches("variables.V")
                        .parse()
                        .unwrap_or(NODES);
                    prop_assert!(
                        message.starts_with("refers to the variable itself"),
                        "{message}"
                    );
                    let words = message.split(|each: char| !each.is_ascii_alphanumeric());
                    let others = words.filter_map(|word| word.strip_prefix('V')?.parse().ok());
                    let path: Vec<usize> =
                        [start].into_iter().chain(others).chain([start]).collect();
                    for pair in path.windows(2) {
                        prop_assert!(edges.contains(&(pair[0], pair[1])), "{text}{message}");
                    }
                    prop_assert!(is_on_circle(start));
                }
            }
            Ok(manifest) => {
                prop_assert!(!is_circular, "{text}");
                let variables: Vec<_> = manifest.variables.iter().collect();
                let (order, _) = in_order(&variables);
                let at = |node| order.iter().position(|&position| position == node);
                for &(from, to) in &edges {
                    prop_assert!(
                        at(to).is_none_or(|before| Some(before) < at(from)),
                        "{text}"
                    );
                }
                for (node, variable) in variables.iter().enumerate() {
                    let is_secret = node == 0 || reachable.contains(&(node, 0));
                    prop_assert_eq!(variable.secret, is_secret, "V{} in {}", node, &text);
                    prop_assert_eq!(variable.rule.is_secret, is_secret);
                }
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_long_chain_of_values_is_put_in_order() {
    let mut text = "version: 1\nvariables:\n  V0: {}\n".to_owned();
    for node in (1..20_000).rev() {
        text += &format!("  V{node}: {{value: '${{V{}}}'}}\n", node - 1);
    }
    let manifest = Manifest::parse(text.as_bytes(), false).expect("the manifest is sound");
    let variables: Vec<_> = manifest.variables.iter().collect();
    let (order, _) = in_order(&variables);
    assert_eq!(order.len(), 19_999);
    assert_eq!(variables[order[0]].name, "V1");
}
