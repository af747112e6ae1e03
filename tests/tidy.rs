//! Rules that the compiler does not check: which module may import which, where `unsafe` is allowed, and the sizes of
//! files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The page with the table of allowed imports. A module may only import modules below it.
const ARCHITECTURE: &str = include_str!("../docs/architecture.md");

/// The limits of the sources: lines of code without blank lines, comments and unit tests, and numbers of files.
const MAX_CODE: usize = 17_190;
const MAX_FILES: usize = 115;
const MAX_CODE_OF_FILE: usize = 450;
const MAX_FILES_OF_FOLDER: usize = 14;

/// The table in the architecture page: each module with the modules that it may import.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let rows = ARCHITECTURE
        .lines()
        .skip_while(|line| !line.starts_with("| module | may import |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let rows: Vec<_> = rows
        .filter_map(|row| {
            let mut cells = row.trim_matches('|').split('|');
            let module = cells.next()?.trim().trim_matches('`');
            let imports = cells.next()?.split('`').skip(1).step_by(2).collect();
            Some((module, imports))
        })
        .collect();
    let table: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert!(table.len() > 10, "the table is in docs/architecture.md");
    assert_eq!(table.len(), rows.len(), "each module has one row");
    table
}

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

/// The top-level module of a file.
fn module(path: &Path) -> String {
    let first = path.components().next().expect("the path is not empty");
    first
        .as_os_str()
        .to_string_lossy()
        .trim_end_matches(".rs")
        .to_owned()
}

/// The lines of code of a source, without blank lines, comments and modules of unit tests.
fn code(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        if line == "#[cfg(test)]" {
            let is_block = rest.next().is_some_and(|line| line.ends_with('{'));
            while is_block && rest.next().is_some_and(|line| line != "}") {}
        } else if !line.trim().is_empty() && !line.trim_start().starts_with("//") {
            lines.push(line);
        }
    }
    lines
}

/// All sources except files of unit tests.
fn counted() -> Vec<(PathBuf, String)> {
    let is_test = |path: &Path| {
        path.iter()
            .any(|part| part == "tests" || part == "tests.rs")
    };
    let all = sources().into_iter();
    all.filter(|(path, _)| !is_test(path)).collect()
}

/// The top-level modules that a source imports with a path `crate::NAME` or `crate::{NAME…}`. In `main.rs`, paths begin
/// with the module itself.
fn imports(text: &str, is_main: bool, known: &[&str]) -> BTreeSet<String> {
    let code: String = code(text).join("\n");
    let mut found = BTreeSet::new();
    for name in known {
        let is_named = ["crate::{", "crate::"].iter().any(|before| {
            [":", ";", ",", "}"]
                .iter()
                .any(|after| code.contains(&format!("{before}{name}{after}")))
        }) || is_main
            && (code.contains(&format!(" {name}::")) || code.contains(&format!("({name}::")));
        if is_named {
            found.insert((*name).to_owned());
        }
    }
    found
}

#[test]
fn every_module_imports_only_modules_below_it() {
    let allowed = allowed();
    let known: Vec<&str> = allowed.keys().copied().collect();
    let mut wrong = Vec::new();
    for (path, text) in counted() {
        let module = module(&path);
        let Some(admitted) = allowed.get(module.as_str()) else {
            wrong.push(format!("{} belongs to no known module", path.display()));
            continue;
        };
        for import in imports(&text, module == "main", &known) {
            if import != module && !admitted.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A node from which a path of one or more edges leads back to itself.
fn circle<N: Ord + Clone>(graph: &BTreeMap<N, BTreeSet<N>>) -> Option<N> {
    graph.keys().find_map(|start| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start.clone()]);
        while let Some(node) = open.pop() {
            for next in graph.get(&node).into_iter().flatten() {
                if next == start {
                    return Some(start.clone());
                }
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        None
    })
}

#[test]
fn the_allowed_imports_go_one_way() {
    let graph = allowed()
        .into_iter()
        .map(|(module, imports)| (module, imports.into_iter().collect()))
        .collect();
    assert_eq!(circle(&graph), None, "a module imports itself in the end");
}

/// The path of the module that a file holds: `startup::wait` for `startup/wait.rs` and `startup/wait/mod.rs`.
fn module_path(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    parts.pop_if(|last| last == "mod");
    parts
}

/// All paths in a source that begin with `crate` or `super`, with their braces expanded.
fn named_paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let starts = ["crate::", "super::", "self::"];
    let positions = starts.iter().flat_map(|start| code.match_indices(start));
    for (position, _) in positions {
        let is_inside = code[..position]
            .ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':');
        if !is_inside {
            collect_paths(&mut code[position..].chars().peekable(), &[], &mut found);
        }
    }
    found
}

/// Parses one path, or the paths in braces, after the prefix `before`.
fn collect_paths(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    before: &[String],
    found: &mut Vec<Vec<String>>,
) {
    let mut path = before.to_vec();
    loop {
        let mut name = String::new();
        while let Some(letter) = rest.next_if(|next| next.is_alphanumeric() || *next == '_') {
            name.push(letter);
        }
        if !name.is_empty() {
            path.push(name);
        }
        if rest.next_if_eq(&':').is_some() {
            rest.next_if_eq(&':');
            continue;
        }
        if rest.next_if_eq(&'{').is_some() {
            loop {
                while rest
                    .next_if(|next| next.is_whitespace() || *next == ',')
                    .is_some()
                {}
                if rest.next_if_eq(&'}').is_some() || rest.peek().is_none() {
                    return;
                }
                collect_paths(rest, &path, found);
                while rest.next_if(|next| !",}".contains(*next)).is_some() {}
            }
        }
        found.push(path);
        return;
    }
}

/// For each file the files that it uses. Uses between a module and its ancestors are not included, because a module
/// that declares a child does not use it thereby.
fn uses(files: &[(PathBuf, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<Vec<String>> = files.iter().map(|(path, _)| module_path(path)).collect();
    let mut graph = BTreeMap::new();
    for (path, text) in files {
        let own = module_path(path);
        let mut used = BTreeSet::new();
        for named in named_paths(&code(text).join("\n")) {
            let mut base = own.clone();
            let mut rest = named.as_slice();
            while let [first, after @ ..] = rest {
                match first.as_str() {
                    "crate" => base.clear(),
                    "super" => drop(base.pop()),
                    "self" => {}
                    _ => break,
                }
                rest = after;
            }
            base.extend_from_slice(rest);
            while !base.is_empty() && !modules.contains(&base) {
                base.pop();
            }
            if !base.is_empty() && !own.starts_with(&base) && !base.starts_with(&own) {
                used.insert(base.join("::"));
            }
        }
        graph.insert(own.join("::"), used);
    }
    graph
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    assert_eq!(circle(&uses(&counted())), None);
}

#[test]
fn a_circle_of_files_is_found() {
    let file = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
    let house = |last: &str| {
        uses(&[
            file("net/mod.rs", "mod http;\nmod tls;\n"),
            file("net/http.rs", "use super::tls;\n"),
            file(
                "net/tls/mod.rs",
                "use super::{\n    dial::{self, share},\n};\n",
            ),
            file("net/dial.rs", last),
        ])
    };
    assert_eq!(circle(&house("use crate::text::{names, http};\n")), None);
    assert_eq!(circle(&house("// use super::http;\n")), None);
    for back in ["use super::http;\n", "fn f() -> crate::net::http::X {}\n"] {
        assert!(circle(&house(back)).is_some(), "{back}");
    }
}

#[test]
fn the_sources_are_within_their_limits() {
    let files = counted();
    let sizes: Vec<(&PathBuf, usize)> = files
        .iter()
        .map(|(path, text)| (path, code(text).len()))
        .collect();
    for (path, size) in &sizes {
        assert!(
            *size <= MAX_CODE_OF_FILE,
            "{} has {size} lines of code",
            path.display()
        );
    }
    let mut folders: BTreeMap<&Path, usize> = BTreeMap::new();
    for (path, _) in &sizes {
        *folders.entry(path.parent().unwrap_or(path)).or_default() += 1;
    }
    for (folder, count) in folders {
        assert!(
            count <= MAX_FILES_OF_FOLDER,
            "{} has {count} files",
            folder.display()
        );
    }
    // The commands for authors are apart from the way to the server.
    let sizes: Vec<usize> = sizes
        .into_iter()
        .filter(|(path, _)| !path.starts_with("author"))
        .map(|(_, size)| size)
        .collect();
    assert!(sizes.len() <= MAX_FILES, "there are {} files", sizes.len());
    let total: usize = sizes.iter().sum();
    assert!(total <= MAX_CODE, "there are {total} lines of code");
}

#[test]
fn blank_lines_comments_and_unit_tests_do_not_count() {
    let text = "//! Doc.\n\nfn a() {\n    // Why.\n    b();\n}\n\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\n";
    assert_eq!(code(text), ["fn a() {", "    b();", "}"]);
    let text = "#[cfg(test)]\nmod tests;\nfn a() {}\n";
    assert_eq!(code(text), ["fn a() {}"]);
}

#[test]
fn the_pages_stay_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = |path: &Path| {
        fs::read_to_string(path)
            .expect("a page can be read")
            .lines()
            .count()
    };
    assert!(
        lines(&root.join("README.md")) <= 150,
        "the README is longer than 150 lines"
    );
    for entry in fs::read_dir(root.join("docs")).expect("the folder can be listed") {
        let path = entry.expect("the entry can be read").path();
        assert!(
            lines(&path) <= 200,
            "{} is longer than 200 lines",
            path.display()
        );
    }
}

#[test]
fn the_pages_for_contributors_name_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (page, least) in [("CONTRIBUTING.md", 60), ("SECURITY.md", 10)] {
        let text = fs::read_to_string(root.join(page)).expect("the page can be read");
        // Commands are in blocks of their own.
        let prose: String = text.split("```").step_by(2).collect();
        let quoted = prose.split('`').skip(1).step_by(2);
        let tests = quoted.map(|path| path.split_once("::").map_or(path, |(path, _)| path));
        let links = prose.split("](").skip(1);
        let links = links.filter_map(|rest| rest.split(')').next());
        let links = links.filter(|link| !link.contains("://"));
        let is_path = |path: &&str| {
            let is_file = Path::new(path).extension().is_some();
            !path.contains([' ', '=']) && (path.contains('/') || is_file)
        };
        let named: BTreeSet<&str> = tests.chain(links).filter(is_path).collect();
        assert!(named.len() >= least, "{page} names {named:?}");
        for path in named.iter().filter(|path| !path.contains("NAME")) {
            // A path without a folder of the project is below src.
            let exists = root.join(path).exists() || root.join("src").join(path).exists();
            assert!(exists, "{page} names {path}");
        }
    }
}

#[test]
fn make_test_runs_every_suite() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(root.join("tests/all.sh")).expect("the script is there");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest is there");
    let names = manifest.split("[[test]]\nname = \"").skip(1);
    let mut names: Vec<&str> = names.filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.len() > 7, "{names:?}");
    // Cargo finds these two by itself.
    names.extend(["service", "tidy"]);
    for name in names {
        assert!(script.contains(&format!("--test {name} ")), "{name}");
    }
}

#[test]
fn only_src_os_uses_nix_and_unsafe() {
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
fn the_environment_is_read_and_the_process_exits_in_one_place() {
    for (path, text) in sources() {
        // The constants are of the build.
        let reads = text.replace("std::env::consts", "").contains("std::env::");
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
fn unwrap_and_unfinished_code_are_not_used() {
    for (path, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for call in [".unwrap()", ".expect(\"\")", "todo!(", "unimplemented!("] {
            assert!(!code.contains(call), "{} has {call}", path.display());
        }
    }
}

/// Runs the check of ignored tests of `.ci/run` on a log.
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
    // The names are aligned if there are several reasons.
    let needs_root = format!(
        "test                                         b     ... ok\n\
         test [becoming another user needs root]      a::bc ... ignored\n\
         test [becoming another user needs root now]  a     ... ignored\n{}",
        result(2)
    );
    let is_root = nix::unistd::geteuid().is_root();
    let needs_root = judged(&needs_root);
    assert_eq!(needs_root.status.success(), !is_root);
    let shown = String::from_utf8_lossy(&needs_root.stderr);
    assert_eq!(
        shown.lines().count(),
        if is_root { 2 } else { 0 },
        "{shown}"
    );
}
