//! Compares the reader with the real alembic and the real Python, which `tests/alembic/oracle.py` asks.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::ini::Ini;
use super::python::{self, Known, Variables};
use crate::environment::{is_soak, temporary_folder};

use super::{
    CommandLine, Error, History, Settings, Status, Targets, command_line, decoded, with_source,
};

/// A new folder that is removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("startup-guard-alembic-{name}-{}", std::process::id());
        let path = temporary_folder().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the folder can be made");
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it is below the folder"))
            .expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
        self
    }

    /// The history whose configuration is `alembic.ini` in this folder.
    fn read(&self) -> Result<History, Error> {
        self.read_with(|_| {})
    }

    fn read_with(&self, change: impl FnOnce(&mut Settings<'_>)) -> Result<History, Error> {
        let files = [self.0.join("alembic.ini"), self.0.join("pyproject.toml")];
        let mut settings = Settings {
            files: &files,
            variable: None,
            python_path: None,
            section: "alembic",
            names_table: false,
            names_schema: false,
        };
        change(&mut settings);
        super::read(&settings)
    }

    /// A project with `alembic.ini`, `env.py` and these revision files.
    fn project(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = Self::new(name);
        folder
            .write("alembic.ini", "[alembic]\nscript_location = %(here)s/m\n")
            .write("m/env.py", "context.configure()\n");
        fs::create_dir_all(folder.0.join("m/versions")).expect("the folder can be made");
        for (name, text) in files {
            folder.write(&format!("m/versions/{name}"), text);
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Asks the oracle, with a new seed that every failure shows. Returns the seed and the cases.
fn oracle(kind: &str, count: usize, folder: &Folder) -> (String, Vec<Value>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(
        python.exists(),
        "target/venv is missing: run `make venv` first"
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    let seed = now.as_nanos().to_string();
    let output = Command::new(python)
        .arg(root.join("tests/alembic/oracle.py"))
        .args([kind, &seed, &count.to_string()])
        .arg(&folder.0)
        .current_dir(root)
        .output()
        .expect("Python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "seed {seed}: {errors}");
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let cases = lines.filter(|line| !line.is_empty());
    let cases = cases.map(|line| serde_json::from_slice(line).expect("the oracle prints JSON"));
    (format!("{kind} {seed}"), cases.collect())
}

/// The number of cases: more if all tests run with their full number.
fn cases(count: usize) -> usize {
    if is_soak() { count * 20 } else { count }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is a text")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("it is a list")
}

fn texts(value: &Value) -> Vec<String> {
    let items = list(value);
    items.iter().map(|item| text(item).to_owned()).collect()
}

/// Reads the history that a case of the oracle describes.
fn read_case(case: &Value) -> Result<History, Error> {
    let settings = &case["settings"];
    let files: Vec<PathBuf> = texts(&settings["files"])
        .into_iter()
        .map(PathBuf::from)
        .collect();
    super::read(&Settings {
        files: &files,
        variable: settings["variable"].as_str().map(OsStr::new),
        python_path: settings["python_path"].as_str().map(OsStr::new),
        section: text(&settings["section"]),
        names_table: false,
        names_schema: false,
    })
}

fn heads(history: &History) -> Vec<(String, String)> {
    let heads = history.heads().into_iter();
    heads
        .map(|(id, file)| (id.to_owned(), file.to_owned()))
        .collect()
}

fn heads_of(case: &Value) -> Vec<(String, String)> {
    let pairs = list(&case["heads"]).iter();
    pairs
        .map(|pair| (text(&pair[0]).to_owned(), text(&pair[1]).to_owned()))
        .collect()
}

#[test]
fn histories_are_read_and_compared_as_by_alembic() {
    let folder = Folder::new("histories");
    let (seed, cases) = oracle("histories", cases(150), &folder);
    let (mut broken, mut compared, mut certain) = (0, 0, 0);
    for case in &cases {
        let read = read_case(case);
        if let Some(error) = case["error"].as_str() {
            assert!(
                matches!(read, Err(Error::Broken(_))),
                "seed {seed}: {error}, but {read:?} of {case}"
            );
            broken += 1;
            continue;
        }
        let is_circle = list(&case["states"]).is_empty();
        let history = match read {
            Ok(history) => history,
            // alembic does not find every circle.
            Err(Error::Uncertain(_)) if is_circle => continue,
            Err(error) => panic!("seed {seed}: {error:?} of {case}"),
        };
        assert_eq!(heads(&history), heads_of(case), "seed {seed}: {case}");
        for state in list(&case["states"]) {
            let rows = texts(&state["rows"]);
            for plan in list(&state["plans"]) {
                let target = text(&plan["target"]);
                let ours = history.status(&rows, &Targets::Listed(vec![target.to_owned()]));
                let message = || {
                    format!(
                        "seed {seed}: {ours:?} of {rows:?} to {plan} in {}",
                        case["settings"]
                    )
                };
                if target == "heads" {
                    assert_eq!(ours, history.status(&rows, &Targets::All), "{}", message());
                }
                compared += 1;
                certain += usize::from(!matches!(ours, Status::Uncertain(_)));
                match (&ours, plan["count"].as_u64()) {
                    (Status::UpToDate, count) => assert_eq!(count, Some(0), "{}", message()),
                    (Status::Pending(ours), count) => {
                        assert_eq!(count, Some(*ours as u64), "{}", message())
                    }
                    (Status::Ahead(_), count) => assert_eq!(count, None, "{}", message()),
                    (Status::Uncertain(_), None) => {}
                    // These targets and rows are left to alembic.
                    (Status::Uncertain(_), Some(_)) => {
                        let is_odd = |text: &String| {
                            text.is_empty()
                                || text.contains(['-', '+', '@'])
                                || ["base", "head", "heads"].contains(&text.as_str())
                        };
                        let is_left = rows.iter().any(is_odd)
                            || target == "base"
                            || target.starts_with(['+', '@'])
                            || target
                                .split('@')
                                .nth(1)
                                .is_some_and(|name| !name.starts_with("head"))
                            || target.contains("-1");
                        assert!(is_left, "{}", message());
                    }
                }
            }
        }
    }
    println!(
        "{broken} broken histories of {}, {certain} certain of {compared} comparisons",
        cases.len()
    );
    assert!(
        broken * 50 > cases.len() && certain * 3 > compared,
        "seed {seed}: {broken} {certain} {compared}"
    );
}

#[test]
fn variables_that_are_certain_are_those_of_the_imported_module() {
    let folder = Folder::new("sources");
    let (seed, cases) = oracle("sources", cases(2000), &folder);
    let (mut certain, mut loaded) = (0, 0);
    for case in &cases {
        let ours = with_source(&folder.0.join(text(&case["file"])), python::variables);
        let Some(theirs) = case["values"].as_array() else {
            continue;
        };
        loaded += 1;
        let Ok(ours) = ours else {
            continue;
        };
        certain += 1;
        let list = |value: &Value| value.as_array().map(|_| texts(value));
        let is_equal = theirs[0] == *ours.revision
            && list(&theirs[1]).as_ref() == Some(&ours.down_revision)
            && list(&theirs[2]).as_ref() == Some(&ours.depends_on)
            && list(&theirs[3]).as_ref() == Some(&ours.branch_labels);
        assert!(
            is_equal,
            "seed {seed}: {ours:?}, but {theirs:?} of\n{}",
            text(&case["text"])
        );
    }
    println!(
        "{certain} certain of {loaded} that Python loads of {}",
        cases.len()
    );
    assert!(
        certain * 4 > loaded && loaded * 4 > cases.len(),
        "seed {seed}: {certain} of {loaded}"
    );
}

#[test]
fn ini_files_have_the_values_that_python_reads() {
    let folder = Folder::new("inis");
    let (seed, cases) = oracle("inis", cases(1500), &folder);
    let mut accepted = 0;
    for case in &cases {
        let source = fs::read(folder.0.join(text(&case["file"]))).expect("the file can be read");
        let ours = Ini::parse(&decoded(&source).expect("it is UTF-8"), "/here".to_owned());
        let shown = String::from_utf8_lossy(&source);
        let (Some(ours), Some(theirs)) = (ours, case["values"].as_array()) else {
            continue;
        };
        accepted += 1;
        for value in theirs {
            let (section, key) = (text(&value[0]), text(&value[1]));
            assert_eq!(
                ours.has(section, key),
                value[2] == true,
                "seed {seed}: {value} of\n{shown}"
            );
            match ours.get(section, key) {
                Some(ours) => assert_eq!(value[3], *ours, "seed {seed}: {value} of\n{shown}"),
                None if value[3].as_str().is_some_and(str::is_ascii) => {
                    panic!("seed {seed}: {value} is not read of\n{shown}")
                }
                None => {}
            }
        }
    }
    println!("{accepted} of {} are read", cases.len());
    assert!(accepted * 8 > cases.len(), "seed {seed}: {accepted}");
}

#[test]
fn what_the_templates_of_alembic_make_is_certain() {
    let folder = Folder::new("templates");
    let (seed, cases) = oracle("templates", 1, &folder);
    assert_eq!(cases.len(), 5);
    for case in &cases {
        for file in texts(&case["files"]) {
            let variables = with_source(Path::new(&file), python::variables);
            assert!(variables.is_ok(), "seed {seed}: {variables:?} of {file}");
        }
        match (text(&case["template"]), read_case(case)) {
            ("multidb", Err(Error::Uncertain(error))) => {
                assert_eq!(error, "env.py migrates several databases")
            }
            ("multidb", other) => panic!("seed {seed}: {other:?}"),
            (_, history) => assert_eq!(
                heads(&history.expect("it is read")),
                heads_of(case),
                "seed {seed}: {case}"
            ),
        }
    }
}
