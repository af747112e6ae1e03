//! `startup-guard schema`: the schema and the guard accept the same manifests, and every example names the schema.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Folder, Guard};

const SCHEMA: &str = "docs/required-vars.schema.json";

/// The beginning of the first line of a manifest, before the path of the schema.
const MODELINE: &str = "# yaml-language-server: $schema=";

/// A key or a value that the manifest does not have, and that is not similar to one.
const STRANGE: &str = "zzzzzzzz";

/// Where the schema has the keys of each mapping, with the beginning and the end of a manifest around an entry of it.
const MAPPINGS: [(&str, &str, &str); 10] = [
    ("", "", ""),
    ("/properties/audit", "audit: {", "}"),
    ("/definitions/process", "server: {", "}"),
    ("/definitions/variable", "variables: {X: {", "}}"),
    (
        "/definitions/variable/properties/generate",
        "variables: {X: {generate: {",
        "}}}",
    ),
    ("/definitions/wait", "wait_for: [{", "}]"),
    ("/definitions/step", "steps: [{", "}]"),
    (
        "/definitions/step/properties/announce",
        "steps: [{announce: {",
        "}}]",
    ),
    (
        "/definitions/step/properties/up_to_date",
        "steps: [{up_to_date: {",
        "}}]",
    ),
    (
        "/definitions/step/properties/lock",
        "steps: [{lock: {",
        "}}]",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("the file can be read")
}

fn schema() -> Value {
    let ended = Guard::new().line("schema").run().expect_code(0);
    serde_json::from_slice(&ended.stdout).expect("the schema is JSON")
}

/// The keys of the mapping at a place of the schema, with what the schema says about each.
fn properties<'s>(schema: &'s Value, pointer: &str) -> BTreeMap<&'s str, &'s Value> {
    let properties = schema.pointer(&format!("{pointer}/properties"));
    let properties = properties.and_then(Value::as_object);
    let properties = properties.unwrap_or_else(|| panic!("{pointer} has no properties"));
    let named = properties.iter().map(|(key, told)| (key.as_str(), told));
    named.collect()
}

/// What the guard says about a manifest with these entries in a mapping.
fn told((_, begin, end): (&str, &str, &str), entries: &str) -> String {
    let manifest = format!("{{version: 1, {begin}{entries}{end}}}\n");
    let ended = Guard::with_manifest(&manifest).line("check").run();
    ended.expect_code(65).stderr()
}

/// The words of a list behind `marker`, up to the end of the line.
fn listed<'t>(text: &'t str, marker: &str) -> Option<BTreeSet<&'t str>> {
    let (_, list) = text.split_once(marker)?;
    let list = list.lines().next().unwrap_or_default();
    Some(list.split(", ").collect())
}

/// Runs a program of `target/venv` in a folder.
fn python_tool(name: &str, folder: &Path, arguments: &[&str]) -> Output {
    let program = root().join("target/venv/bin").join(name);
    assert!(
        program.exists(),
        "{} is missing: run `make venv` first",
        program.display()
    );
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    command.output().expect("the program starts")
}

/// Whether the tests run with their full number of cases.
#[expect(clippy::disallowed_methods, reason = "these are tests, not the guard")]
fn is_soak() -> bool {
    std::env::var_os("STARTUP_GUARD_SOAK").is_some_and(|value| value == "1")
}

#[test]
fn the_schema_is_printed_byte_for_byte() {
    let ended = Guard::new().line("schema").run().expect_code(0);
    ended.expect_stdout(&read(SCHEMA));
}

#[test]
fn the_schema_has_every_key_and_every_word_of_the_code_and_no_other() {
    let schema = schema();
    for mapping in MAPPINGS {
        let properties = properties(&schema, mapping.0);
        let found = told(mapping, &format!("{STRANGE}: 1"));
        let known = listed(&found, &format!("unknown key `{STRANGE}`; known keys: "));
        let known = known.unwrap_or_else(|| panic!("{mapping:?}: {found}"));
        let keys: BTreeSet<&str> = properties.keys().copied().collect();
        assert_eq!(keys, known, "{mapping:?}");
        for (key, about) in properties {
            let found = told(mapping, &format!("{key}: {STRANGE}, {STRANGE}: 1"));
            let words = listed(&found, &format!("`{STRANGE}` is not one of "));
            let admitted = about["enum"].as_array().map(|words| {
                let words = words.iter().filter_map(Value::as_str);
                words.collect::<BTreeSet<_>>()
            });
            assert_eq!(admitted, words, "{mapping:?} {key}");
        }
    }
}

/// The places of all mappings with named keys, below `place`. Conditions are no places of their own.
fn mappings(place: &Value, pointer: &str, found: &mut BTreeSet<String>) {
    if place.get("properties").is_some() {
        found.insert(pointer.to_owned());
    }
    for group in ["properties", "definitions"] {
        let entries = place.get(group).and_then(Value::as_object);
        for (key, inner) in entries.into_iter().flatten() {
            mappings(inner, &format!("{pointer}/{group}/{key}"), found);
        }
    }
    for key in ["items", "additionalProperties", "additionalItems"] {
        let inner = place.get(key).into_iter();
        let several = inner.clone().filter_map(Value::as_array).flatten();
        for inner in inner.chain(several) {
            mappings(inner, &format!("{pointer}/{key}"), found);
        }
    }
}

#[test]
fn every_mapping_is_closed_and_every_key_is_described() {
    let schema = schema();
    let mut found = BTreeSet::new();
    mappings(&schema, "", &mut found);
    let expected = MAPPINGS.map(|(pointer, _, _)| pointer.to_owned());
    assert_eq!(found, BTreeSet::from(expected));
    for pointer in found {
        let closed = schema.pointer(&format!("{pointer}/additionalProperties"));
        assert_eq!(closed, Some(&Value::Bool(false)), "{pointer}");
        for (key, about) in properties(&schema, &pointer) {
            let description = about["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.'), "{pointer} {key}: {description}");
        }
    }
}

/// The texts that the page lists as messages of faults which no schema can find.
fn differences() -> Vec<String> {
    let page = read("docs/schema.md");
    let (_, table) = page
        .split_once("| the guard's message contains |")
        .expect("the page has the table");
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2).map(str::to_owned))
        .collect()
}

#[test]
fn the_schema_accepts_a_manifest_exactly_if_the_guard_does() {
    let folder = Folder::new();
    let differences = differences();
    let (seed, count) = if is_soak() {
        ("2", "10000")
    } else {
        ("1", "200")
    };
    let output = python_tool(
        "python",
        root(),
        &[
            "tests/author/schema.py",
            env!("CARGO_BIN_EXE_startup-guard"),
            SCHEMA,
            &serde_json::to_string(&differences).expect("texts are JSON"),
            seed,
            count,
            folder.path().to_str().expect("the path is UTF-8"),
        ],
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let judged: Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");
    let wrong = judged["wrong"].as_array().expect("it is a list");
    assert!(
        wrong.is_empty(),
        "{} manifests are judged differently, such as {:#}",
        wrong.len(),
        wrong[0]
    );
    assert_eq!(judged["unsound"], Value::Array(Vec::new()));
    let occurred: BTreeSet<&str> = judged["occurred"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let listed: BTreeSet<&str> = differences.iter().map(String::as_str).collect();
    assert_eq!(occurred, listed, "each difference of the page occurs");
    for kind in ["accepted", "rejected", "guard_only"] {
        let count = judged["counts"][kind].as_u64().unwrap_or_default();
        assert!(count > 200, "only {count} are {kind}");
    }
}

/// All manifests of the project.
fn manifests() -> Vec<PathBuf> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the folder can be listed") {
            let path = entry.expect("the entry can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                collect(&path, found);
            } else if name == "required-vars.yaml" {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(root(), &mut found);
    found
}

#[test]
fn the_first_line_of_every_manifest_names_the_schema_which_accepts_it() {
    let manifests = manifests();
    assert!(manifests.contains(&root().join("required-vars.yaml")));
    for manifest in &manifests {
        let shown = manifest.display();
        let text = fs::read_to_string(manifest).expect("the manifest can be read");
        let first = text.lines().next().unwrap_or_default();
        let named = first.strip_prefix(MODELINE);
        let named = named.unwrap_or_else(|| panic!("{shown} does not begin with `{MODELINE}`"));
        let folder = manifest.parent().expect("a manifest is in a folder");
        let schema = folder.join(named).canonicalize();
        let schema = schema.unwrap_or_else(|error| panic!("{shown} names {named}: {error}"));
        assert_eq!(schema, root().join(SCHEMA), "{shown}");
    }
    let mut arguments = vec!["--schemafile", SCHEMA];
    arguments.extend(manifests.iter().filter_map(|manifest| manifest.to_str()));
    let output = python_tool("check-jsonschema", root(), &arguments);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_commands_of_the_page_work() {
    let page = read("docs/schema.md");
    let folder = Folder::new();
    let printed = Guard::new().line("schema").run().expect_code(0).stdout;
    folder.file("required-vars.schema.json", printed);
    let line = "check-jsonschema --schemafile required-vars.schema.json required-vars.yaml";
    assert!(page.contains(&format!("\n{line}\n")));
    let words: Vec<&str> = line.split(' ').collect();
    for (manifest, code) in [
        ("version: 1\nvariables: {A: {level: optional}}\n", 0),
        ("version: 1\nvariables: {A: {levle: optional}}\n", 1),
        ("version: 1\nvariables: {A: {schemes: https}}\n", 1),
        ("version: 1\nvariables: {A: {secret: yes}}\n", 1),
    ] {
        folder.file("required-vars.yaml", manifest);
        let output = python_tool(words[0], folder.path(), &words[1..]);
        assert_eq!(output.status.code(), Some(code), "{manifest}: {output:?}");
    }
    let arguments = ["--check-metaschema", "required-vars.schema.json"];
    let output = python_tool("check-jsonschema", folder.path(), &arguments);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_manifests_page_documents_every_key_of_the_schema() {
    let schema = schema();
    let page = read("docs/manifest.md");
    let alembic = read("docs/alembic.md");
    let quoted = |text: &str| -> BTreeSet<String> {
        let parts = text.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    };
    let tables = [
        ("## Keys of a variable", "/definitions/variable"),
        ("## Keys of a step", "/definitions/step"),
        ("## Keys of an entry of `wait_for`", "/definitions/wait"),
    ];
    for (heading, pointer) in tables {
        let (_, section) = page.split_once(heading).expect("the page has the section");
        let rows = section.lines().skip_while(|line| !line.starts_with("| `"));
        let rows = rows.take_while(|line| line.starts_with('|'));
        let cells = rows.filter_map(|row| row.split(" | ").next());
        let documented: BTreeSet<String> = cells.flat_map(quoted).collect();
        let keys: BTreeSet<String> = properties(&schema, pointer)
            .into_keys()
            .map(str::to_owned)
            .collect();
        assert_eq!(documented, keys, "{heading}");
    }
    let (_, example) = page
        .split_once("```yaml\n")
        .expect("the page has an example");
    let (example, _) = example.split_once("\n```").expect("the example ends");
    for key in properties(&schema, "").into_keys() {
        let is_shown = example
            .lines()
            .any(|line| line.starts_with(&format!("{key}:")));
        assert!(is_shown || page.contains(&format!("`{key}`")), "{key}");
    }
    let up_to_date = properties(&schema, "/definitions/step/properties/up_to_date");
    for key in up_to_date.into_keys() {
        assert!(
            alembic.contains(&format!("`{key}`")) || alembic.contains(&format!("{key}: ")),
            "{key}"
        );
    }
}
