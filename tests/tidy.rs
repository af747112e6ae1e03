//! The rules of the house that a compiler does not hold: who may import whom, where `unsafe` may stand, and
//! that no file grows beyond one idea.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom. Data flows one way: whatever stands lower knows nothing of what stands above.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "main",
        &[
            "cli",
            "commands",
            "environment",
            "error",
            "exit",
            "log",
            "os",
        ],
    ),
    (
        "commands",
        &[
            "check",
            "cli",
            "diagnosis",
            "dotenv",
            "environment",
            "error",
            "exit",
            "log",
            "manifest",
            "net",
            "os",
            "platform",
            "render",
            "report",
            "rule",
            "startup",
            "target",
            "text",
            "url",
        ],
    ),
    (
        "startup",
        &[
            "check", "log", "manifest", "net", "os", "report", "rule", "target", "text",
        ],
    ),
    ("net", &["os", "target", "url"]),
    (
        "render",
        &[
            "diagnosis",
            "exit",
            "manifest",
            "platform",
            "report",
            "text",
        ],
    ),
    (
        "diagnosis",
        &[
            "check",
            "environment",
            "manifest",
            "platform",
            "report",
            "rule",
            "text",
            "url",
        ],
    ),
    (
        "check",
        &[
            "environment",
            "manifest",
            "os",
            "report",
            "rule",
            "target",
            "text",
            "url",
        ],
    ),
    (
        "error",
        &[
            "check", "cli", "dotenv", "exit", "log", "manifest", "os", "startup", "target",
        ],
    ),
    (
        "manifest",
        &["os", "report", "rule", "target", "text", "url"],
    ),
    ("target", &["report", "text", "url"]),
    ("rule", &["report", "text", "url"]),
    ("platform", &["environment", "manifest", "text"]),
    ("cli", &["dotenv", "os", "text"]),
    ("log", &["os"]),
    ("dotenv", &[]),
    ("environment", &[]),
    ("exit", &[]),
    ("os", &[]),
    ("report", &[]),
    ("text", &[]),
    ("url", &[]),
];

/// From here on a file is more than one idea, in lines.
const MAX_LINES: usize = 400;

fn sources() -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the folder can be listed") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("the source can be read");
        (
            path.strip_prefix(&root)
                .expect("it is below src")
                .to_owned(),
            text,
        )
    };
    files.into_iter().map(read).collect()
}

/// The module of the first level that a file belongs to.
fn module(path: &Path) -> String {
    let first = path.components().next().expect("the path is not empty");
    first
        .as_os_str()
        .to_string_lossy()
        .trim_end_matches(".rs")
        .to_owned()
}

/// Modules of ours that a text names by their path, `crate::NAME`, braces included. In `main.rs` paths begin
/// with the module itself.
fn imports(text: &str, is_main: bool) -> BTreeSet<String> {
    let known: Vec<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = BTreeSet::new();
    for name in known {
        let is_named = code.contains(&format!("crate::{name}::"))
            || code.contains(&format!("crate::{name};"))
            || code.contains(&format!("crate::{{{name}"))
            || is_main
                && (code.contains(&format!(" {name}::")) || code.contains(&format!("({name}::")));
        if is_named {
            found.insert(name.to_owned());
        }
    }
    found
}

#[test]
fn every_module_imports_only_what_stands_below_it() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module(&path);
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{} belongs to no known module", path.display()));
            continue;
        };
        // Unit tests may use what other modules provide for tests.
        if path.ends_with("tests.rs") {
            continue;
        }
        for import in imports(&text, module == "main") {
            if import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn reaches(graph: &BTreeMap<&str, &[&str]>, from: &str, to: &str) -> bool {
    graph[from]
        .iter()
        .any(|&next| next == to || reaches(graph, next, to))
}

#[test]
fn the_allowed_imports_go_one_way() {
    let graph: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    for module in graph.keys() {
        assert!(
            !reaches(&graph, module, module),
            "{module} imports itself in the end"
        );
    }
}

#[test]
fn the_kernel_is_talked_to_in_one_place() {
    for (path, text) in sources()
        .into_iter()
        .filter(|(path, _)| module(path) != "os")
    {
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            let is_lint = line.contains("unsafe_code");
            assert!(
                !line.contains("unsafe") || is_lint,
                "{}: {line}",
                path.display()
            );
            assert!(
                !line.replace("unix::", "").contains("nix::"),
                "{}: {line}",
                path.display()
            );
        }
    }
}

#[test]
fn the_environment_is_read_and_the_process_ended_in_one_place() {
    for (path, text) in sources() {
        let reads = text.contains("std::env::");
        assert!(
            !reads || path == Path::new("environment.rs"),
            "{} reads std::env",
            path.display()
        );
        assert!(
            !text.contains("process::exit"),
            "{} calls process::exit",
            path.display()
        );
    }
}

#[test]
fn no_source_file_is_longer_than_one_idea() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
}

#[test]
fn nothing_is_unwrapped_without_a_reason() {
    for (path, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for call in [".unwrap()", ".expect(\"\")", "todo!(", "unimplemented!("] {
            assert!(!code.contains(call), "{} has {call}", path.display());
        }
    }
}

/// What `.ci/run` makes of a log of tests.
fn judged(log: &str) -> std::process::Output {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ignored.log");
    fs::write(&file, log).expect("the log can be written");
    std::process::Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ignored.py"))
        .arg("--strict")
        .arg(&file)
        .output()
        .expect("python3 starts")
}

#[test]
fn a_test_may_be_ignored_only_for_a_need_that_this_machine_does_not_meet() {
    let result = |count: i32| {
        format!(
            "test result: ok. 1 passed; 0 failed; {count} ignored; 0 measured; 0 filtered out\n"
        )
    };
    let accepted = judged(&format!("test a ... ok\n{}", result(0)));
    assert!(accepted.status.success(), "{accepted:?}");
    for (line, told) in [
        (
            "test a ... ignored",
            "a was ignored (no reason is given), but",
        ),
        (
            "test a::b ... ignored, too slow",
            "a::b was ignored (too slow), but",
        ),
        (
            "test [there is no strace to be used: No such file or directory] a    ... ignored",
            "no test may be ignored for this reason",
        ),
        ("test a ... ok", "the counts of ignored tests differ by 1"),
    ] {
        let refused = judged(&format!("{line}\n{}", result(1)));
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let shown = String::from_utf8_lossy(&refused.stderr);
        assert!(shown.contains(told), "{shown}");
    }
    let needs_root = format!(
        "test [becoming another user needs root] a ... ignored\n{}",
        result(1)
    );
    let is_root = nix::unistd::geteuid().is_root();
    assert_eq!(judged(&needs_root).status.success(), !is_root);
}
