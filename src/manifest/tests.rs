//! Tests of whole manifests: what is read, what is a fault, and the lines of faults.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::words::{COMMAND, LEVELS, LISTS, ROOT, SERVER, STEP, TYPES, VARIABLE, WAIT, Words};
use super::{Awaited, Manifest, Place, Template};

fn manifest(text: &str) -> Manifest {
    Manifest::parse(text.as_bytes(), true).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn faults(text: &str) -> Vec<String> {
    let faults = Manifest::parse(text.as_bytes(), true)
        .err()
        .unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

/// The line and the path of the first fault of a text.
fn first_place(text: &str) -> String {
    let faults = faults(text);
    let first = faults.first().expect("this manifest has a fault");
    first.splitn(3, ": ").take(2).collect::<Vec<_>>().join(": ")
}

#[test]
fn a_fault_has_the_line_of_its_own_key_or_item() {
    for (text, place) in [
        // Flow mappings over several lines.
        (
            "version: 1\nvariables: {A: {level: optional,\n  list: x}, B:\n  {file: 1}}\n",
            "line 3: variables.A.list",
        ),
        (
            "version: 1\nvariables: {A: {level: optional,\n  list: csv}, B:\n  {file: 1}}\n",
            "line 4: variables.B.file",
        ),
        // Items of lists after various entries.
        (
            "version: 1\nsteps:\n  # one\n  - {name: a, command: [x]}\n\n  # two\n  - b\n",
            "line 7: steps[1]",
        ),
        (
            "version: 1\nsteps:\n  -\n    name: a\n    command: [x]\n  -\n    name: a\n    command: [y]\n",
            "line 7: steps[1].name",
        ),
        (
            "version: 1\nsteps:\n- name: a\n  command: [sh, -c, \"b\n  c\"]\n- name: b\n",
            "line 6: steps[1].command",
        ),
        (
            "version: 1\nsteps:\n- name: a\n  command:\n  - sh\n  - |\n    one: [\n    - two\n- name: b\n  timeout: 1\n  command: [x]\n",
            "line 10: steps[1].timeout",
        ),
        ("version: 1\nsteps:\n- 5\n- 6\n", "line 3: steps[0]"),
        (
            "version: 1\nsteps:\n- {name: a, command: [x]}\n- 5\n",
            "line 4: steps[1]",
        ),
        (
            "version: 1\nwait_for:\n- {tcp: 'a:1'}\n# [ { \" '\n- {}\n",
            "line 5: wait_for[1]",
        ),
        (
            "version: 1\nwait_for:\n- tcp: a:1\n-\n- tcp: b:1\n",
            "line 4: wait_for[1]",
        ),
        (
            "version: 1\nwait_for:\n- \"a\\tb\"\n- tcp: b:1\n",
            "line 3: wait_for[0]",
        ),
        // Lists in lists.
        (
            "version: 1\nsteps:\n- name: a\n  command: [x]\n- - name: b\n- []\n",
            "line 5: steps[1]",
        ),
        (
            "version: 1\nvariables:\n  A:\n    one_of:\n    - a\n    - [b]\n",
            "line 6: variables.A.one_of[1]",
        ),
        (
            "version: 1\nvariables:\n  A:\n    one_of:\n    - 1\n    - 2.0\n    - {}\n",
            "line 7: variables.A.one_of[2]",
        ),
        // Scalars that span several lines, and keys with escapes.
        (
            "version: 1\nvariables:\n  A:\n    hint: one\n      two\n    docs: |\n      three\n    min: x\n",
            "line 8: variables.A.min",
        ),
        (
            "version: 1\nvariables:\n  A:\n    hint: one\n      two\n    \"\\x6din\": x\n",
            "line 6: variables.A.min",
        ),
        (
            "version: 1\nsteps:\n- name: a\n  command: [sh, -c, \"b\n  c\"]\n- {}\n",
            "line 6: steps[1].name",
        ),
        (
            "version: 1\nsteps:\n- name: a\n  command:\n  - x\n  - |\n    - {}\n    - é\n\n- 5\n",
            "line 10: steps[1]",
        ),
        // The fault of a missing key has the line on which its mapping begins.
        (
            "version: 1\nsteps:\n- name: a\n  command: [x]\n\n- command: [y]\n",
            "line 6: steps[1].name",
        ),
        (
            "version: 1\nvariables:\n  A:\n  B:\n  A:\n",
            "line 5: variables.A",
        ),
        // Lists over several lines that have no scalar.
        (
            "version: 1\nvariables:\n  A:\n    one_of: [\n      a,\n\n      [\n      ],\n    ]\n",
            "line 7: variables.A.one_of[1]",
        ),
        (
            "version: 1\nsteps:\n- {name: a, command: [x]}\n-\n  - []\n-\n",
            "line 5: steps[1]",
        ),
        // Escapes whose text stands elsewhere, too.
        (
            "version: 1\nvariables:\n  A:\n    hint: \"\\x6c\\x69st b\"\n    docs: list b\n    list: x\n",
            "line 6: variables.A.list",
        ),
        (
            "version: 1\nsteps:\n- {name: \"a\\x5b\", command: [v, \"x\n\n    y\\\n    z\"]}\n- \"x\\ty\"\n",
            "line 7: steps[1]",
        ),
    ] {
        assert_eq!(first_place(text), place, "{text}");
    }
}

#[test]
fn an_alias_does_not_change_the_lines_of_later_entries() {
    for (text, place) in [
        // The fault of an alias's target has the line of the target.
        (
            "version: 1\nvariables:\n  A: &a {level: optional,\n    list: x}\n  B: *a\n",
            "line 4: variables.A.list",
        ),
        (
            "version: 1\nvariables:\n  A: &a [x]\n  B:\n    file: *a\n",
            "line 3: variables.A",
        ),
        // An alias before an item that has no scalar.
        (
            "version: 1\nsteps:\n- &a {name: a, command: [x]}\n- *a\n- {}\n",
            "line 3: steps[1].name",
        ),
        (
            "version: 1\nwait_for:\n- &a {tcp: 'a:1'}\n- *a\n- 5\n",
            "line 5: wait_for[2]",
        ),
        (
            "version: 1\nwait_for:\n- &a {tcp: 'a:1'}\n- *a\n- &b {}\n- *b\n- []\n",
            "line 5: wait_for[2]",
        ),
    ] {
        assert_eq!(first_place(text), place, "{text}");
    }
}

#[test]
fn an_alias_has_a_line_of_its_own() {
    let text = "version: 1\nvariables: {A: {one_of: &a []}, B: &b [x, [y]]}\nwait_for:\n- tcp: a:1\n\n- *a\n- *b\n- 5\n";
    let places: Vec<_> = faults(text)
        .iter()
        .filter_map(|fault| Some(fault.split_once(": expected")?.0.to_owned()))
        .collect();
    let expected = [
        "line 2: variables.B",
        "line 6: wait_for[1]",
        "line 7: wait_for[2]",
        "line 8: wait_for[3]",
    ];
    assert_eq!(places, expected);
}

#[test]
fn every_key_that_is_set_again_has_its_own_line() {
    let text = "version: 1\nvariables:\n  A:\n  B: {docs: a,\n    docs: b}\n  \"\\x41\":\n  A:\n";
    let expected = [
        "line 5: variables.B.docs: is already set on line 4",
        "line 6: variables.A: is already set on line 3",
        "line 7: variables.A: is already set on line 3",
    ];
    assert_eq!(faults(text), expected);
}

/// The parser of the lines rejects texts of several lines that are indented no more than their key.
#[test]
fn a_fault_behind_what_the_parser_of_lines_rejects_has_no_line() {
    let text =
        "version: 1\nvariables:\n  A:\n    min: x\n    hint: \"a\n b\"\n    max: y\n    max: y\n";
    let expected = [
        "variables.A.max: is already set",
        "variables.A.max: expected a number, found a text",
        "line 4: variables.A.min: expected a number, found a text",
    ];
    assert_eq!(faults(text), expected);
}

#[test]
fn what_is_not_a_mapping_has_one_fault() {
    for (text, fault) in [
        (
            "version: 1\nsteps: [5]\n",
            "line 2: steps[0]: expected a mapping with name and command",
        ),
        (
            "version: 1\nsteps: [{name: a, command: [x], lock: true}]\n",
            "line 2: steps[0].lock: expected a mapping such as {postgres: DATABASE_URL}",
        ),
        (
            "version: 1\nwait_for: [5]\n",
            "line 2: wait_for[0]: expected a mapping such as {postgres: DATABASE_URL, timeout: 60s}",
        ),
    ] {
        assert_eq!(faults(text), [fault]);
    }
}

#[test]
fn a_variable_knows_its_line() {
    let text =
        "\u{feff}# first\nversion: 1\nvariables:\n  A: {hint: 'a\n\n  b'}\n  \"B\":\n  C: *a\n";
    let text = text.replace("A: {", "A: &a {");
    let manifest = manifest(&text);
    let lines = manifest.variables.iter().map(|variable| variable.line);
    assert_eq!(lines.collect::<Vec<_>>(), [Some(4), Some(7), Some(8)]);
}

#[test]
fn a_text_keeps_the_spelling_of_a_scalar() {
    let text = "version: 1
variables:
  A: {default: &v 1.10, one_of: [1.10, 0x1F, +5, True, ~, 99999999999999999999999], example: *v}
  B: {default: !secret text, hint: !!str 7, level: optional, min_length: 1}
steps:
- {name: 1.0, command: [a, *v, 'null', 1e3]}
";
    let manifest = manifest(text);
    let a = &manifest.variables[0];
    assert_eq!(a.default.as_deref(), Some("1.10"));
    assert_eq!(a.example.as_deref(), Some("1.10"));
    let choices = ["1.10", "0x1F", "+5", "True", "~", "99999999999999999999999"];
    assert_eq!(a.rule.one_of, choices);
    let b = &manifest.variables[1];
    assert_eq!(b.default.as_deref(), Some("text"));
    assert_eq!(b.hint.as_deref(), Some("7"));
    assert_eq!(b.rule.min_length, Some(1));
    let step = &manifest.steps[0];
    assert_eq!(step.name, "1.0");
    let words: Vec<_> = step.command.iter().map(super::Template::source).collect();
    assert_eq!(words, ["a", "1.10", "null", "1e3"]);
}

#[test]
fn a_quoted_number_or_boolean_is_a_text() {
    let text = "version: '1'\nvariables: {A: {secret: 'true', min: '1', min_length: 1.5, max_length: -1}}\n";
    let found = [
        "line 1: version: expected the version of this format, `version: 1` without quotes, found a text",
        "line 2: variables.A.min_length: expected a whole number of at least 0, found a number",
        "line 2: variables.A.max_length: expected a whole number of at least 0, found a number",
        "line 2: variables.A.min: expected a number, found a text",
        "line 2: variables.A.secret: expected true or false, found a text",
    ];
    assert_eq!(faults(text), found);
}

#[test]
fn a_null_is_an_absent_key() {
    let text = "version: 1\nvariables: {A: {default: ~, one_of: null}}\nsteps:\nserver:\nwait_for: [{tcp: , http: 'http://a/', timeout: }]\n";
    let manifest = manifest(text);
    assert_eq!(manifest.variables[0].default, None);
    assert!(manifest.server.is_none());
    let Awaited::Server(_, place) = &manifest.waits[0].awaited else {
        panic!("the wait is for a server");
    };
    assert_eq!(*place, Place::Literal(Template::parse("http://a/")));
}

/// The time limit on a slow machine, without optimisation. A fast machine needs a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_merge_key_adds_the_entries_of_other_mappings() {
    let text = "version: 1
x-secret: &secret {secret: true, min_length: 8}
x-more:
  - &more {<<: *secret, min_length: 9, hint: more}
variables:
  <<: {FIRST: {hint: merged}, A: {hint: lost}}
  A: {<<: *secret, description: own}
  B: {min_length: 2, <<: [*more, *secret]}
  C: {<<: [*secret, *more], level: optional}
";
    let read = manifest(text).variables.into_iter();
    let read = read.map(|each| (each.name, each.secret, each.rule.min_length, each.hint));
    let hint = Some("more".to_owned());
    let mut expected = vec![
        ("A".to_owned(), true, Some(8), None),
        ("B".to_owned(), true, Some(2), hint.clone()),
        ("C".to_owned(), true, Some(8), hint),
        ("FIRST".to_owned(), false, None, Some("merged".to_owned())),
    ];
    assert_eq!(read.collect::<Vec<_>>(), expected);
    // The first tree does not have the spelling of numbers, so the text is read again.
    let spelled = text.replace("hint: more", "hint: 1.10");
    for (.., hint) in &mut expected[1..3] {
        *hint = Some("1.10".to_owned());
    }
    let read = manifest(&spelled).variables.into_iter();
    let read = read.map(|each| (each.name, each.secret, each.rule.min_length, each.hint));
    assert_eq!(read.collect::<Vec<_>>(), expected);
}

#[test]
fn faults_of_merged_entries_have_the_lines_of_these_entries() {
    let text = "version: 1
x-one: &one
  secret: maybe
x-two: &two
  level: optional
  level: required
variables:
  A:
    <<: *one
  B:
    hint: x
    <<: [*two, 5]
  C:
    <<: x
  D: {<<: *two, level: critical,
    <<: *one}
  E:
    '<<': x
y-other: 1
";
    let expected = [
        "line 3: variables.A.secret: expected true or false, found a text",
        "line 6: variables.B.level: is already set on line 5",
        "line 12: variables.B.<<: expected a mapping or a list of mappings, found a number",
        "line 14: variables.C.<<: expected a mapping or a list of mappings, found a text",
        "line 16: variables.D.<<: is set twice; write one list: `<<: [*a, *b]`",
        "line 18: variables.E.\"<<\": unknown key `\"<<\"`; known keys: ",
        "line 19: y-other: unknown key `y-other`; known keys: ",
    ];
    let found = faults(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn a_manifest_that_was_made_to_be_slow_is_rejected_quickly() {
    const SIZE: usize = 1_000_000;
    let many = |start: &str, entry: &dyn Fn(usize) -> String| {
        let mut text = format!("version: 1\n{start}");
        for number in 0.. {
            let entry = entry(number);
            if text.len() + entry.len() > SIZE {
                break;
            }
            text.push_str(&entry);
        }
        text
    };
    let scalar = "x".repeat(SIZE / 2);
    let items = "[],".repeat(SIZE / 6);
    let choices: Vec<String> = (0..60_000).map(|number| number.to_string()).collect();
    let choices = choices.join(", ");
    for text in [
        // A very large number of faults.
        many("variables:\n", &|number| format!("  A{number}: x\n")),
        many("", &|number| format!("k{number}: 1\n")),
        many("processes:\n", &|number| format!("  p {number}: {{}}\n")),
        many("variables:\n  A: {\n", &|number| format!("a{number}: 1,\n")) + "}\n",
        many("variables:\n", &|_| "  A:\n".to_owned()),
        // Names that are similar to many others.
        many("variables:\n", &|number| {
            format!("  AAAAA{number}: {{distinct_from: AAAAB{number}}}\n")
        }),
        many("variables:\n", &|number| {
            format!(
                "  {}{number}: {{distinct_from: {}}}\n",
                "A".repeat(900),
                "B".repeat(900)
            )
        }),
        // Aliases of a large value.
        many(&format!("a: &a {scalar}\nb:\n"), &|_| "- *a\n".to_owned()),
        many(&format!("a: &a \"{scalar}\\t\"\nb:\n"), &|_| {
            "- *a\n".to_owned()
        }),
        many(&format!("a: &a [{items}]\nb:\n"), &|_| "- *a\n".to_owned()),
        many(&format!("a: &a 0.{}\nb:\n", "0".repeat(SIZE / 2)), &|_| {
            "- *a\n".to_owned()
        }),
        // A long key in the path of many faults.
        many(&format!("? {scalar}\n: {{\n"), &|number| {
            format!("k{number}: 1,\n")
        }) + "}\n",
        many(&format!("variables: {{\n? {scalar}\n: {{\n"), &|number| {
            format!("k{number}: 1,\n")
        }) + "}}\n",
        // Lists that are looked up in each other.
        format!(
            "version: 1\nvariables:\n  A: {{one_of: [{choices}]}}\n  B: {{required_when: {{A: [{choices}]}}}}\nx: 1\n"
        ),
        many("steps:\n", &|number| {
            format!("- {{name: s{number}, command: [x]}}\n")
        }) + "x: 1\n",
    ] {
        let started = Instant::now();
        let found = faults(&text);
        let took = started.elapsed();
        let (count, size) = (found.len(), found.concat().len());
        let beginning = &text[..60];
        assert!((1..=200).contains(&count), "{count} faults: {beginning}");
        assert!(size < SIZE, "{size} bytes of faults: {beginning}");
        assert!(took < PATIENCE, "{took:?}: {beginning}");
    }
}

#[test]
fn a_generator_is_offered_only_if_each_of_its_values_keeps_the_rule() {
    for (rule, is_offered) in [
        ("generate: {}", true),
        ("generate: {}, min_length: 44, max_length: 44", true),
        ("generate: {}, max_length: 43", false),
        ("generate: {bytes: 24}, max_length: 32", true),
        ("generate: {format: hex}, max_length: 40", false),
        ("generate: {format: hex}, pattern: '^[0-9a-f]{64}$'", true),
        ("generate: {}, pattern: '^[0-9A-Za-z]+=*$'", false),
        ("generate: {}, pattern: '^[a-z]'", false),
        ("generate: {format: hex}, type: integer", false),
        (
            "generate: {length: 32}, min_length: 32, max_length: 32",
            true,
        ),
        ("generate: {format: hex, length: 40}, max_length: 40", true),
        (
            "generate: {format: base64url}, pattern: '^[0-9A-Za-z_-]{43}$'",
            true,
        ),
        (
            "generate: {format: base64url, length: 24}, pattern: '^[^=]{24}$'",
            true,
        ),
        (
            "generate: {format: base64url}, pattern: '^[0-9A-Za-z]+$'",
            false,
        ),
        (
            "generate: {format: alphanumeric}, pattern: '^[0-9A-Za-z]{43}$'",
            true,
        ),
        (
            "generate: {format: alphanumeric, length: 22}, min_length: 23",
            false,
        ),
        ("generate: {}, shared: true", false),
        ("min_length: 1", false),
    ] {
        let text = format!("version: 1\nvariables: {{A: {{secret: true, {rule}}}}}\n");
        let manifest = Manifest::parse(text.as_bytes(), false).expect("it is sound");
        let generator = manifest.variables[0].generator();
        assert_eq!(generator.is_some(), is_offered, "{rule}");
    }
}

#[test]
fn a_generator_without_a_meaning_or_with_too_little_randomness_is_a_fault() {
    let too_few = "makes 15 random bytes, which must be from 16 to 4096";
    for (generate, fault) in [
        ("bytes: 15", ".bytes: must be from 16 to 4096"),
        ("bytes: 4097", ".bytes: must be from 16 to 4096"),
        ("length: 20", &format!(".length: {too_few}")),
        ("length: 30, format: hex", &format!(".length: {too_few}")),
        (
            "length: 20, format: base64url",
            &format!(".length: {too_few}"),
        ),
        (
            "length: 21, format: alphanumeric",
            ".length: must be from 22 to 4096",
        ),
        (
            "length: 4097, format: alphanumeric",
            ".length: must be from 22 to 4096",
        ),
        (
            "length: 33",
            ".length: must be a multiple of 4 with `format: base64`",
        ),
        (
            "length: 33, format: hex",
            ".length: must be even with `format: hex`",
        ),
        (
            "length: 33, format: base64url",
            ".length: must not be a multiple of 4 plus 1 with `format: base64url`",
        ),
        (
            "bytes: 32, length: 44",
            ".length: cannot be set together with `bytes`, which determines it",
        ),
        (
            "bytes: 32, format: alphanumeric",
            ".bytes: is not valid with `format: alphanumeric`; use `length`, the number of letters and digits",
        ),
        (
            "format: base32",
            ".format: `base32` is not one of base64, base64url, hex, alphanumeric; did you mean `base64`?",
        ),
    ] {
        let text =
            format!("version: 1\nvariables: {{A: {{secret: true, generate: {{{generate}}}}}}}\n");
        let faults = Manifest::parse(text.as_bytes(), false).expect_err("it has a fault");
        let messages: Vec<String> = faults.iter().map(|fault| fault.message.clone()).collect();
        assert_eq!(
            messages,
            [format!("variables.A.generate{fault}")],
            "{generate}"
        );
    }
}

#[test]
fn a_length_gives_values_of_this_length() {
    let mut count = 0;
    for format in ["base64", "base64url", "hex", "alphanumeric"] {
        for length in 32..=128 {
            let text = format!(
                "version: 1\nvariables: {{A: {{generate: {{length: {length}, format: {format}}}}}}}\n"
            );
            let Ok(manifest) = Manifest::parse(text.as_bytes(), false) else {
                continue;
            };
            let generate = manifest.variables[0].generate.expect("it has a generator");
            let (characters, padding) = generate.length();
            assert_eq!((characters, padding), (length, 0), "{format}");
            count += 1;
        }
    }
    assert_eq!(count, 25 + 73 + 49 + 97, "a length is refused");
}

#[test]
fn keys_and_names_that_make_no_sense_are_faults() {
    let text = "version: 1
empty: sometimes
placeholders: [a, ' ']
variables:
  A: {escaped: true}
  B: {type: pem, escaped: yes}
  C: {not_placehoder: true}
  '': {}
  a=b: {}
  'a b': {}
  persona-app-key: {secret: true}
  my.key: {type: pem, escaped: true, not_placeholder: true}
  é: {}
  FLAG: {type: boolean}
  D: {required_when: {FLAG: [true, maybe]}}
";
    let name =
        "is not a valid name: it is empty, or contains `=`, white space or a control character";
    assert_eq!(
        faults(text),
        [
            "line 2: empty: `sometimes` is not one of keep, unset".to_owned(),
            "line 3: placeholders: has an empty text, which counts as missing anyway".to_owned(),
            "line 5: variables.A.escaped: is only valid with `type: pem`".to_owned(),
            "line 6: variables.B.escaped: expected true or false, found a text".to_owned(),
            "line 7: variables.C.not_placehoder: unknown key `not_placehoder`; did you mean `not_placeholder`?".to_owned(),
            format!("line 8: variables.: {name}"),
            format!("line 9: variables.a=b: {name}"),
            format!("line 10: variables.a b: {name}"),
            "line 15: variables.D.required_when.FLAG: has a value that breaks the variable's rule, so the condition could never hold".to_owned(),
        ]
    );
}

#[test]
fn conditions_and_files_that_make_no_sense_are_faults() {
    for (keys, fault) in [
        (
            "required_with: []",
            "required_with: is empty; name at least one variable",
        ),
        (
            "required_without: []",
            "required_without: is empty; name at least one variable",
        ),
        (
            "required_with: [X]",
            "required_with: names the variable itself",
        ),
        (
            "required_without: X",
            "required_without: names the variable itself",
        ),
        (
            "required_with: [OTHR]",
            "required_with: `OTHR` is not declared under variables; did you mean `OTHER`?",
        ),
        (
            "required_with: [FULL]",
            "required_with: FULL has a default, so it is always set, and the condition always holds",
        ),
        (
            "required_without: [OTHER, FULL]",
            "required_without: FULL has a default, so it is always set, and the condition never holds",
        ),
        (
            "required_without: [OTHER], required_with: [OTHER]",
            "required_without: names only variables of `required_with`, so the variable is always required; remove both",
        ),
        (
            "file: OTHER",
            "file: `OTHER` is declared as a variable, so it cannot also name a file with X",
        ),
        (
            "file: TOKEN_FILE",
            "file: `TOKEN_FILE` already names the file of TOKEN",
        ),
        (
            "file: yes",
            "file: `yes` is not the name of a variable; write `true`, `false` or a name such as X_FILE",
        ),
        (
            "file: /run/x",
            "file: `/run/x` is not the name of a variable; write `true`, `false` or a name such as X_FILE",
        ),
        (
            "file: 1",
            "file: expected true, false or a name, found a number",
        ),
        (
            "file: [A]",
            "file: expected true, false or a name, found a list",
        ),
        (
            "type: hots",
            "type: `hots` is not one of string, integer, number, boolean, port, url, origin, email, json, path, duration, host, pem; did you mean `host`?",
        ),
        (
            "list: spaces",
            "list: `spaces` is not one of csv, json, space; did you mean `space`?",
        ),
        (
            "type: pem, list: space",
            "list: cannot separate items of `type: pem`, which contain spaces; write `list: json`",
        ),
        (
            "required_if: OTHER",
            "required_if: unknown key `required_if`; write `required_when: {NAME: [value]}`",
        ),
        (
            "required_wiht: [OTHER]",
            "required_wiht: unknown key `required_wiht`; did you mean `required_with`?",
        ),
    ] {
        let text = format!(
            "version: 1\nvariables:\n  TOKEN: {{secret: true}}\n  OTHER: {{level: optional}}\n  FULL: {{default: x}}\n  X: {{{keys}}}\n"
        );
        assert_eq!(faults(&text), [format!("line 6: variables.X.{fault}")]);
    }
    let text = "version: 1\nvariables:\n  my.key: {secret: true, file: true}\n";
    assert_eq!(
        faults(text),
        [
            "line 3: variables.my.key.file: is not valid for a name that no shell can set; write another name for the variable with the file"
        ]
    );
    manifest("version: 1\nvariables: {A: {file: false}, B: {file: ~, secret: true}, B_PATH: {}}\n");
}

#[test]
fn a_default_may_be_unusual_but_not_wrong() {
    let text = |default: &str| {
        format!("version: 1\nvariables: {{A: {{type: port, default: {default}}}}}\n")
    };
    assert_eq!(faults(&text("0")), [""; 0]);
    assert_eq!(faults(&text("x")).len(), 1);
}

#[test]
fn a_wait_can_name_a_variable_with_any_name() {
    let text = "version: 1
variables: {db.host: {}}
wait_for: [{tcp: db.host}, {tcp: 'other.host:80'}]
server: {command: [x]}
";
    let waits = manifest(text).waits.into_iter();
    let places: Vec<_> = waits
        .map(|wait| match wait.awaited {
            Awaited::Server(_, place) => place,
            other => panic!("{other:?} is no server"),
        })
        .collect();
    let expected = [
        Place::Variable("db.host".to_owned()),
        Place::Literal(Template::parse("other.host:80")),
    ];
    assert_eq!(places, expected);
}

/// A manifest with the key KEY in the fourth line, for each kind of mapping.
const PLACES: [(&str, &str, Words); 5] = [
    ("", "version: 1\n\n\nKEY: x\n", ROOT),
    (
        "variables.A.",
        "version: 1\nvariables:\n  A:\n    KEY: x\n",
        VARIABLE,
    ),
    (
        "steps[0].",
        "version: 1\nsteps:\n- {name: a, command: [x],\n  KEY: x}\n",
        STEP,
    ),
    (
        "server.",
        "version: 1\nserver:\n  command: [x]\n  KEY: x\n",
        SERVER,
    ),
    (
        "wait_for[0].",
        "version: 1\nwait_for:\n- tcp: db:5432\n  KEY: x\n",
        WAIT,
    ),
];

/// All words of a table, each with its advice.
fn words_of(table: Words) -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = table.iter();
    rows.flat_map(|(words, advice)| words.split(' ').map(move |word| (word, *advice)))
}

#[test]
fn every_key_of_another_tool_is_told_with_its_advice_in_its_own_line() {
    for (path, text, own) in PLACES {
        let of_commands = ["steps[0].", "server."].contains(&path);
        let shared = words_of(COMMAND).filter(|_| of_commands);
        for (word, advice) in words_of(own).chain(shared) {
            let advice = advice.replace("{NAME}", "x");
            let told = format!("line 4: {path}{word}: unknown key `{word}`; {advice}");
            assert_eq!(faults(&text.replace("KEY", word)), [told]);
        }
    }
}

#[test]
fn every_word_of_another_tool_is_told_with_its_advice() {
    for (key, table) in [("type", TYPES), ("list", LISTS), ("level", LEVELS)] {
        for (word, advice) in words_of(table) {
            let text = format!("version: 1\nvariables:\n  A:\n    {key}: '{word}'\n");
            let told = format!("line 4: variables.A.{key}: unknown word `{word}`; {advice}");
            assert_eq!(faults(&text), [told]);
        }
    }
}

#[test]
fn the_advice_names_keys_that_exist() {
    let tables = [
        ROOT, VARIABLE, STEP, SERVER, WAIT, COMMAND, TYPES, LISTS, LEVELS,
    ];
    let rows = tables.into_iter().flatten();
    let quoted = rows.flat_map(|(_, advice)| advice.split('`').skip(1).step_by(2));
    let keys: BTreeSet<&str> = quoted
        .map(|text| text.trim_start_matches("- "))
        .filter_map(|text| text.split([':', ' ']).next())
        .filter(|key| {
            key.chars()
                .all(|each| each.is_ascii_lowercase() || each == '_')
        })
        .filter(|key| *key != "docker")
        .collect();
    assert!(keys.len() > 25, "{keys:?}");
    for key in keys {
        let is_unknown = PLACES.iter().all(|(_, text, _)| {
            let told = faults(&text.replace("KEY", key)).concat();
            told.contains(&format!("unknown key `{key}`"))
        });
        assert!(!is_unknown, "{key} is no key");
    }
}

#[test]
fn every_advice_on_a_type_is_admitted() {
    let advice = [TYPES, LISTS, LEVELS].into_iter().flatten();
    let quoted = advice.flat_map(|(_, advice)| advice.split('`').skip(1).step_by(2));
    let rules: BTreeSet<&str> = quoted.filter(|text| text.contains(": ")).collect();
    assert!(rules.len() > 10, "{rules:?}");
    for rule in rules {
        let text = format!("version: 1\nvariables: {{A: {{{rule}}}}}\n");
        assert_eq!(faults(&text), [""; 0], "{rule}");
    }
}

/// The command that a fault of a manifest offers.
fn offered(command: &str) -> String {
    let text = format!("version: 1\nserver: {{command: {command:?}}}\n");
    let told = faults(&text).concat();
    let (_, offered) = told.split_once("; write ").expect("there is an offer");
    offered.to_owned()
}

#[test]
fn a_command_in_one_text_is_offered_as_a_list_that_means_the_same() {
    for command in [
        "alembic upgrade head",
        "uvicorn app.main:app --host 0.0.0.0 --port ${PORT:-8000}",
        "gunicorn -w 4 -b 0.0.0.0:${PORT} --threads=2 my_site.wsgi:application",
        "celery -A proj worker --loglevel=info -Q a,b",
        "python -",
        "node server.js null 1.0 true",
        "/opt/venv/bin/python -m app -x y=z",
    ] {
        let offered = offered(command);
        let text = format!("version: 1\nserver: {{command: {offered}}}\n");
        let server = manifest(&text).server.expect("there is a server");
        let words: Vec<_> = server
            .command
            .iter()
            .map(|word| word.source().to_string_lossy())
            .collect();
        assert_eq!(words.join(" "), command, "{offered}");
    }
}

#[test]
fn an_offered_command_has_nothing_that_may_be_a_secret_or_needs_a_shell() {
    for (command, expected) in [
        ("cd app && alembic upgrade head", "[sh, -c, '…']"),
        ("MODE=fake-canary serve", "[sh, -c, '…']"),
        ("serve \"fake canary\"", "[sh, -c, '…']"),
        ("serve $PORT", "[sh, -c, '…']"),
        ("serve ${PORT:-80 00}", "[sh, -c, '…']"),
        ("redis-cli -a fake-canary ping", "[redis-cli, …]"),
        ("psql postgres://app:fake-canary@db/app", "[psql, …]"),
        ("serve --api-token fake-canary", "[serve, …]"),
        ("serve fake-canary-0123456789abcdef", "[serve, …]"),
    ] {
        assert_eq!(offered(command), expected);
    }
}

#[test]
fn only_a_first_word_that_cannot_be_a_program_is_a_command_line() {
    for (word, is_line) in [
        ("alembic upgrade head", true),
        ("sh -c", true),
        ("/app/start.sh --flag", true),
        ("python app/main.py --debug", true),
        ("/opt/My App/run", false),
        ("My App/run", false),
        ("/opt/My App - Beta/run", false),
        ("${PROGRAM:-my server} x", false),
        ("serve", false),
        (" serve", false),
    ] {
        let text = format!("version: 1\nserver: {{command: [{word:?}, x]}}\n");
        let told = faults(&text).concat();
        assert_eq!(
            told.contains("server.command[0]: is a whole command line"),
            is_line,
            "{word}: {told}"
        );
    }
}

#[test]
fn the_value_of_a_variable_is_not_shown_where_a_mapping_is_expected() {
    for text in [
        "variables: {A: fake-canary}",
        "variables: {A: 'postgres://app:fake-canary@db/app'}",
        "variables: [A=fake-canary, 'B: fake-canary']",
        "variables: [{A: fake-canary}, {name: fake-canary}]",
        "variables: 'A:fake-canary'",
        "variables: {A: [fake-canary]}",
        "variables: {A: {one_of: fake-canary|b, secret: true}}",
        "variables: {A: {secret: true, value_of: fake-canary, default_value: fake-canary}}",
        "wait_for: ['http://app:fake-canary@db/app', 'app:fake-canary', fake-canary]",
        "wait_for: 'postgres://app:fake-canary@db/app'",
        "steps: {A: fake-canary}",
    ] {
        let told = faults(&format!("version: 1\n{text}\n")).concat();
        assert!(
            !told.is_empty() && !told.contains("canary"),
            "{text}: {told}"
        );
    }
}

#[test]
fn one_allowed_value_may_contain_a_comma() {
    let read = manifest("version: 1\nvariables: {SCOPES: {one_of: 'read,write'}}\n");
    assert_eq!(read.variables[0].rule.one_of, ["read,write"]);
}
