//! The README and the pages under `docs` agree with the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Guard;

const MANIFEST: &str = include_str!("../../required-vars.yaml");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page, by its path in the project.
fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("the page can be read")
}

/// The README and every page, with their paths in the project.
fn pages() -> Vec<(PathBuf, String)> {
    let folder = fs::read_dir(root().join("docs")).expect("the folder can be listed");
    let mut paths: Vec<PathBuf> = folder
        .map(|entry| Path::new("docs").join(entry.expect("the entry can be read").file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.push("README.md".into());
    paths.sort();
    let read = |path: PathBuf| {
        let text = page(&path.to_string_lossy());
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The contents of the fenced code blocks with this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once(&opening) {
        let (block, after) = after.split_once("\n```").expect("the block is closed");
        found.push(format!("{block}\n"));
        rest = after;
    }
    found
}

/// The parts of a text in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The first cell of each row of the table whose header begins with `header`, split at its backticks.
fn first_cells(page: &str, header: &str) -> Vec<String> {
    let mut rows = page
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {header} |")))
        .skip(2)
        .take_while(|line| line.starts_with("| "))
        .peekable();
    assert!(rows.peek().is_some(), "there is no table of {header}");
    let first = |row: &str| row.split(" | ").next().unwrap_or_default().to_owned();
    let cells: Vec<String> = rows.map(first).collect();
    let names = cells.iter().flat_map(|cell| quoted(cell));
    names.map(str::to_owned).collect()
}

#[test]
fn every_link_between_the_pages_leads_somewhere_and_the_readme_names_every_page() {
    let pages = pages();
    let (_, readme) = &pages[0];
    for (path, text) in &pages {
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let folder = path.parent().expect("a page is in a folder");
            assert!(
                root().join(folder).join(target).exists(),
                "{} links to {target}",
                path.display()
            );
        }
        let link = format!("]({})", path.display());
        assert!(
            path == Path::new("README.md") || readme.contains(&link),
            "the README does not name {}",
            path.display()
        );
    }
}

#[test]
fn every_manifest_in_the_pages_is_one() {
    let mut count = 0;
    for (path, text) in pages() {
        for block in blocks(&text, "yaml") {
            let manifest = if block.starts_with("version: 1\n") {
                block
            } else if block.starts_with("wait_for:\n") {
                let before = "version: 1\nvariables: {DATABASE_URL: {}, REDIS_URL: {}}\n";
                format!("{before}server: {{command: [true]}}\n{block}")
            } else {
                continue;
            };
            count += 1;
            let ended = Guard::with_manifest(&manifest).line("check").run();
            assert!(
                [0, 78].contains(&ended.code()),
                "{}: {ended}",
                path.display()
            );
        }
    }
    assert!(count >= 3, "only {count} manifests were found");
}

#[test]
fn the_shell_lines_of_the_readme_run() {
    let readme = page("README.md");
    let blocks = blocks(&readme, "sh").concat();
    let lines = blocks
        .lines()
        .filter_map(|line| line.split("startup-guard ").nth(1));
    let lines: Vec<&str> = lines
        .map(|line| line.split(" #").next().unwrap_or_default().trim())
        .collect();
    // The code, the template and `.env` do not exist here, and standard input is empty.
    let codes = [66, 66, 66, 78, 65, 66, 66, 0, 78];
    assert_eq!(lines.len(), codes.len(), "{lines:?}");
    for (line, code) in lines.into_iter().zip(codes) {
        let guard = Guard::with_manifest(MANIFEST);
        guard.folder.file(".env.production", "LOG_LEVEL=info\n");
        guard.line(line).run().expect_code(code);
    }
}

#[test]
fn the_manifests_page_names_keys_that_the_manifest_has() {
    let manifest = page("docs/manifest.md");
    let tables = [
        ("## Keys of a variable", "variables: {X: {KEY: 1}}\n"),
        ("## Keys of a step", "variables: {}\nsteps: [{KEY: 1}]\n"),
        (
            "## Keys of an entry of `wait_for`",
            "variables: {}\nwait_for: [{KEY: 1}]\n",
        ),
    ];
    for (heading, shape) in tables {
        let (_, section) = manifest
            .split_once(heading)
            .expect("there is such a section");
        let told = |key: &str| {
            let manifest = format!("version: 1\n{}", shape.replace("KEY", key));
            Guard::with_manifest(&manifest).line("check").run().stderr()
        };
        assert!(
            told("kye").contains("kye"),
            "a key that does not exist is a fault"
        );
        for key in first_cells(section, "key") {
            assert!(
                !told(&key).contains(&format!("`{key}`")),
                "{heading}: {}",
                told(&key)
            );
        }
    }
}

/// The options in a text.
fn options(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    let words = text.split(|letter: char| !is_part(letter));
    let options = words.filter(|word| word.starts_with("--") && *word != "--");
    options.map(str::to_owned).collect()
}

#[test]
fn the_command_lines_page_has_every_subcommand_with_its_options_and_no_other() {
    let help = |line: &str| Guard::new().line(line).run().expect_code(0).stdout();
    let page = page("docs/command-line.md");
    let mut documented = BTreeSet::new();
    for row in page
        .lines()
        .filter(|line| line.starts_with("| `startup-guard "))
    {
        let (usage, _) = row.split_once("` | ").expect("a row has two cells");
        let mut words = usage.split([' ', '[', ']']);
        let name = words.find(|word| word.starts_with(char::is_lowercase));
        let name = name.expect("the usage has a subcommand").to_owned();
        let rows = help(&format!("{name} --help"));
        let rows = rows.lines().filter(|line| line.starts_with("  --"));
        let helped = rows.filter_map(|row| row.split_whitespace().next());
        let helped: BTreeSet<String> = helped.map(str::to_owned).collect();
        assert_eq!(options(usage), helped, "{name}");
        documented.insert(name);
    }
    let told = Guard::new().line("?").run().expect_code(64).stderr();
    let (_, known) = told
        .split_once("it must be ")
        .expect("the error has the names");
    let (known, _) = known.split_once(". ").expect("the names are a sentence");
    let known = known.replace(" or ", ", ");
    assert_eq!(documented, known.split(", ").map(str::to_owned).collect());
}

#[test]
fn the_command_lines_page_has_every_variable_of_the_guard() {
    let help = Guard::new().line("--help").run().expect_code(0).stdout();
    let helped: Vec<&str> = help
        .split_whitespace()
        .filter(|word| word.starts_with("STARTUP_GUARD_"))
        .collect();
    let documented = first_cells(&page("docs/command-line.md"), "variable");
    assert_eq!(documented, helped);
}

#[test]
fn the_page_of_env_files_has_every_dialect() {
    let dialects = first_cells(&page("docs/env-files.md"), "`--dialect`");
    for dialect in ["compose", "docker", "python-dotenv", "kv"] {
        assert!(dialects.contains(&dialect.to_owned()), "{dialect}");
        let guard = Guard::with_manifest("version: 1\nvariables: {A: {}}\n");
        let file = guard.folder.file("values", "A=1\n");
        let arguments = ["check", "--dialect", dialect, "--env-file"];
        guard.args(arguments).args([file]).run().expect_code(0);
    }
}

#[test]
fn the_pages_document_every_json_field() {
    let report = page("docs/report-and-causes.md");
    let logs = page("docs/logs.md");
    let broken = || {
        Guard::with_manifest(
            "version: 1\nvariables: {A: {}, B: {type: port}}\nserver: {command: [true]}\n",
        )
        .env("B", "http")
    };
    let guard = broken();
    let file = guard.folder.file("values", "A=x\nC='y'z\nA_B=1\n");
    let line = "check --format json --env-file";
    let ended = guard.line(line).args([file]).run().expect_code(78);
    let mut fields = BTreeSet::new();
    for line in ended.stdout().lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        fields.extend(
            object
                .as_object()
                .expect("a line is an object")
                .keys()
                .cloned(),
        );
    }
    assert!(fields.len() > 15, "{fields:?}");
    for field in fields.iter().filter(|field| *field != "kind") {
        assert!(
            report.contains(&format!("`{field}`")),
            "{field} is not documented"
        );
    }
    let ended = broken()
        .env("STARTUP_GUARD_LOG", "json")
        .run()
        .expect_code(78);
    let documented = first_cells(&logs, "field");
    for line in ended.json_lines() {
        for field in line.as_object().expect("a line is an object").keys() {
            assert!(documented.contains(field), "{field} is not documented");
        }
    }
}
