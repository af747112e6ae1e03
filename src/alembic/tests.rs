//! Compares the reader with the real alembic and the real Python, which `tests/alembic/oracle.py` asks.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::ini::Ini;
use super::python::{self, Variables};
use crate::environment::{is_soak, temporary_folder};

use super::command_line::CommandLine;
use super::history::Status;
use super::{Error, History, Settings, Targets, command_line, with_source};

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
        super::read(&settings(&self.files()))
    }

    fn files(&self) -> Vec<PathBuf> {
        let names = ["alembic.ini", "pyproject.toml"].into_iter();
        let files = names.map(|name| self.0.join(name));
        files.filter(|file| file.exists()).collect()
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

/// The settings of a manifest that says nothing else about alembic.
fn settings(files: &[PathBuf]) -> Settings<'_> {
    Settings {
        files,
        variable: None,
        python_path: None,
        section: "alembic",
        names_table: false,
        names_schema: false,
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
    let case = &case["settings"];
    let files: Vec<PathBuf> = texts(&case["files"])
        .into_iter()
        .map(PathBuf::from)
        .collect();
    super::read(&Settings {
        variable: case["variable"].as_str().map(OsStr::new),
        python_path: case["python_path"].as_str().map(OsStr::new),
        section: text(&case["section"]),
        ..settings(&files)
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
    let (seed, cases) = oracle("histories", cases(120), &folder);
    let (mut broken, mut compared, mut certain) = (0, 0, 0);
    for case in &cases {
        let read = read_case(case);
        // Without an option for it, alembic has rules of its own for what separates the items of a list.
        if case["settings"]["is_separated"] == false && matches!(read, Err(Error::Uncertain(_))) {
            continue;
        }
        if let Some(error) = case["error"].as_str() {
            let is_broken = matches!(read, Err(Error::Broken(_)));
            // Not every circle is certainly one that alembic finds.
            // A colon in a revision is an error since alembic 1.17.1 only.
            let may_be_left = error.contains("ycle") || error.contains("Character(s) ':'");
            let is_left = matches!(read, Err(Error::Uncertain(_))) && may_be_left;
            assert!(
                is_broken || is_left,
                "seed {seed}: {error}, but {read:?} of {case}"
            );
            broken += usize::from(is_broken);
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
        let names: Vec<&str> = list(&case["names"]).iter().map(text).collect();
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
                        let is_plain = |text: &str| names.contains(&text) && !text.contains('-');
                        let is_head = |text: &str| ["head", "heads"].contains(&text);
                        let is_plain_target = match target.split_once('@') {
                            None => is_head(target) || is_plain(target),
                            Some((label, name)) => is_plain(label) && is_head(name),
                        };
                        let is_left = !is_plain_target || !rows.iter().all(|row| is_plain(row));
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
    let (seed, cases) = oracle("sources", cases(1500), &folder);
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
        certain * 4 > loaded && loaded * 8 > cases.len(),
        "seed {seed}: {certain} of {loaded}"
    );
}

#[test]
fn ini_files_have_the_values_that_python_reads() {
    let folder = Folder::new("inis");
    let (seed, cases) = oracle("inis", cases(1000), &folder);
    let mut accepted = 0;
    for case in &cases {
        let source = super::read_file(&folder.0.join(text(&case["file"])), "it");
        // It is not read if it has unusual line breaks.
        let Ok(Some(shown)) = source else {
            continue;
        };
        let ours = Ini::parse(&shown, "/here".to_owned());
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
            // The template for several databases uses `globals()`.
            let is_expected = variables.is_ok() || case["template"] == "multidb";
            assert!(is_expected, "seed {seed}: {variables:?} of {file}");
        }
        match (text(&case["template"]), read_case(case)) {
            ("multidb", Err(Error::Uncertain(error))) => {
                assert_eq!(error, "env.py names `upgrade_token`")
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

#[test]
fn command_lines_are_parsed_as_by_alembic() {
    let folder = Folder::new("commands");
    let (seed, cases) = oracle("commands", cases(2000), &folder);
    let mut certain = 0;
    for case in &cases {
        let mut words = vec![OsString::from("/venv/bin/alembic")];
        words.extend(texts(&case["words"]).into_iter().map(OsString::from));
        let (Ok(Some(ours)), Some(theirs)) = (command_line(&words), case["parsed"].as_array())
        else {
            continue;
        };
        certain += 1;
        let files: Vec<PathBuf> = texts(&theirs[0]).into_iter().map(PathBuf::from).collect();
        assert_eq!(ours.files, files, "seed {seed}: {case}");
        let section = ours.section.as_deref().unwrap_or("alembic");
        assert_eq!(section, text(&theirs[1]), "seed {seed}: {case}");
        assert_eq!(
            ours.upgrade.as_deref(),
            theirs[2].as_str(),
            "seed {seed}: {case}"
        );
    }
    println!("{certain} certain of {}", cases.len());
    assert!(certain * 8 > cases.len(), "seed {seed}: {certain}");
}

#[test]
fn only_plain_alembic_command_lines_are_parsed() {
    let parse = |line: &str| {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        command_line(&words).map_err(|error| error.to_string())
    };
    let upgrade = |files: &[&str], section: Option<&str>| CommandLine {
        files: files.iter().map(PathBuf::from).collect(),
        section: section.map(str::to_owned),
        upgrade: Some("heads".to_owned()),
    };
    for (line, expected) in [
        ("alembic upgrade heads", upgrade(&[], None)),
        ("alembic -ca upgrade heads", upgrade(&["a"], None)),
        (
            "/venv/bin/alembic -c a.ini upgrade heads",
            upgrade(&["a.ini"], None),
        ),
        (
            "python -m alembic -n x upgrade heads",
            upgrade(&[], Some("x")),
        ),
        (
            "/usr/bin/python3.11 -m alembic -ca.ini --name=x upgrade heads",
            upgrade(&["a.ini"], Some("x")),
        ),
        (
            "uv run python -m alembic -ca.ini upgrade heads",
            upgrade(&["a.ini"], None),
        ),
        ("poetry run alembic upgrade heads", upgrade(&[], None)),
        (
            "env PGOPTIONS=-clock_timeout=5s A=b alembic -ca.ini upgrade heads",
            upgrade(&["a.ini"], None),
        ),
        (
            "/usr/bin/env uv run env A= python -m alembic upgrade heads",
            upgrade(&[], None),
        ),
        (
            "alembic -c a.ini --config=p/pyproject.toml -q -x t=1 --raiseerr upgrade --tag t heads",
            upgrade(&["a.ini", "p/pyproject.toml"], None),
        ),
    ] {
        assert_eq!(parse(line), Ok(Some(expected)), "{line}");
    }
    assert_eq!(
        parse("alembic current --check-heads"),
        Ok(Some(CommandLine::default()))
    );
    for line in [
        "alembic",
        "alembic -c a.ini",
        "alembic upgrade",
        "alembic upgrade heads --sql",
        "alembic upgrade a b",
        "alembic --conf a.ini upgrade heads",
        "alembic -c -n upgrade heads",
        "alembic -c= upgrade heads",
        "poetry run alembic --conf a.ini upgrade heads",
    ] {
        let reason = "the arguments of its alembic command are not understood";
        assert_eq!(parse(line), Err(reason.to_owned()), "{line}");
    }
    for line in [
        "env ALEMBIC_CONFIG=a.ini alembic upgrade heads",
        "env A=b PYTHONPATH=lib alembic upgrade heads",
        "uv run env PGOPTIONS=-csearch_path=app alembic upgrade heads",
    ] {
        let reason = "its `env` sets ALEMBIC_CONFIG, PYTHONPATH or a search_path";
        assert_eq!(parse(line), Err(reason.to_owned()), "{line}");
    }
    for line in [
        "",
        "env",
        "env A=b",
        "env -C backend alembic upgrade heads",
        "env --unset=A alembic upgrade heads",
        "sh -c alembic",
        "uv alembic upgrade heads",
        "uv run",
        "python alembic upgrade heads",
        "python -m alembic.config upgrade heads",
        "python-alembic -m alembic upgrade heads",
    ] {
        assert_eq!(parse(line), Ok(None), "{line}");
    }
}

/// The variables of a source, or why they are not certain.
fn variables(source: &str) -> Result<Variables, String> {
    python::variables(source)
}

#[test]
fn a_source_that_may_set_the_variables_otherwise_is_uncertain() {
    let base = "revision = 'a'\ndown_revision = None\n";
    for (added, expected) in [
        (
            "if x:\n    revision = 'b'\n",
            "uses `revision` other than in a simple assignment",
        ),
        (
            "if x: pass; revision = 'b'\n",
            "uses `revision` other than in a simple assignment",
        ),
        (
            "revision: (revision := 'b') = 'a'\n",
            "uses `revision` other than in a simple assignment",
        ),
        (
            "if x: revision = 'b'\n",
            "uses `revision` other than in a simple assignment",
        ),
        (
            "if x: y; revision = 'b'\n",
            "uses `revision` other than in a simple assignment",
        ),
        (
            "import x as down_revision\n",
            "uses `down_revision` other than in a simple assignment",
        ),
        (
            "x, depends_on = 1, 2\n",
            "uses `depends_on` other than in a simple assignment",
        ),
        (
            "del revision\n",
            "uses `revision` other than in a simple assignment",
        ),
        ("from x import *\n", "can set variables indirectly"),
        ("exec(x)\n", "can set variables indirectly"),
        ("x = f'{exec(y)}'\n", "can set variables indirectly"),
        (
            "sys.modules[__name__].revision = 'b'\n",
            "can set variables indirectly",
        ),
        (
            "def f():\n    globals()['revision'] = 1\n",
            "can set variables indirectly",
        ),
        (
            "def f():\n    global revision\n",
            "uses `revision` other than in a simple assignment",
        ),
        (
            "def f(): global revision\n",
            "uses `revision` other than in a simple assignment",
        ),
        (
            "def revision(): pass\n",
            "uses `revision` other than in a simple assignment",
        ),
        (
            "async def revision(): pass\n",
            "uses `revision` other than in a simple assignment",
        ),
        (
            "def f(x=(y := 1)): pass\n",
            "assigns in the head of a definition",
        ),
        ("x = f'{(y := 1)}'\n", "can set variables indirectly"),
        ("x.exec(f'{exec(y)}')\n", "can set variables indirectly"),
        ("def f():\n    x.vars()\n", "can set variables indirectly"),
        (
            "class A:\n    def revision(self): pass\n",
            "uses `revision` other than in a simple assignment",
        ),
        ("x = (1\n", "has unbalanced brackets"),
        ("x = 1]\n", "has unbalanced brackets"),
        ("x = 'a\ny = b'\n", "has an unterminated string"),
        ("x = 'a\n", "has an unterminated string"),
        ("x = '''a\n", "has an unterminated string"),
        ("x = 'a\\", "has an unterminated string"),
        (
            "def f():\n    x\nif x:\n    revision = 'b'\n",
            "uses `revision` other than in a simple assignment",
        ),
        (
            "if x:\n    def f(): x\n    revision = 'b'\n",
            "uses `revision` other than in a simple assignment",
        ),
        ("é = 1\n", "has an unusual character outside of strings"),
        ("\\\nx = 1\n", "has a line that begins with a backslash"),
    ] {
        let text = format!("{base}{added}");
        assert_eq!(variables(&text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_value_that_is_no_plain_literal_is_uncertain() {
    let base = "revision = 'a'\ndown_revision = None\n";
    for (added, name) in [
        ("depends_on, x = 1, 2\n", "depends_on"),
        ("branch_labels += x\n", "branch_labels"),
        ("revision = f()\n", "revision"),
        ("revision = None\n", "revision"),
        ("revision.x = 'b'\n", "revision"),
        ("revision = ['a']\n", "revision"),
        ("revision = 'a',\n", "revision"),
        ("down_revision = [None]\n", "down_revision"),
        ("down_revision: str\n", "down_revision"),
        ("revision = f'a'\n", "revision"),
        ("revision = b'a'\n", "revision"),
        ("revision = '\\x61'\n", "revision"),
        ("revision = x = 'a'\n", "revision"),
        ("revision = ''\n", "revision"),
        ("down_revision = ('a', None)\n", "down_revision"),
        ("down_revision = 'a', ['b']\n", "down_revision"),
        ("down_revision = ['a'],\n", "down_revision"),
        ("down_revision = ('a')('b')\n", "down_revision"),
        ("revision = ('a',)[0]\n", "revision"),
        ("revision: x(y='b')\n", "revision"),
    ] {
        let text = format!("{base}{added}");
        assert_eq!(
            variables(&text),
            Err(format!("computes `{name}`")),
            "{text}"
        );
    }
}

#[test]
fn an_f_string_that_versions_of_python_end_elsewhere_is_uncertain() {
    let base = "revision = 'a'\ndown_revision = None\n";
    let expected = "has an f-string that versions of Python read differently";
    for text in [
        "x = f'{\"}\" + d['a']}'\n",
        "x = f'}} { {d['a']} }'\n",
        "x = f'{\"\"\"a\"b}'\n",
        "x = f'{é(1)}'\n",
        "x = f'{\"{\"}'\n",
        "x = f'{d['a']}'\n",
    ] {
        let found = variables(&format!("{base}{text}"));
        assert_eq!(found, Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_source_without_both_variables_or_with_another_encoding_is_uncertain() {
    let base = "revision = 'a'\ndown_revision = None\n";
    let no_revision = Err("does not set `revision`".to_owned());
    for text in ["", "down_revision = None\n"] {
        assert_eq!(variables(text), no_revision, "{text}");
    }
    let no_down_revision = Err("does not set `down_revision`".to_owned());
    assert_eq!(variables("revision = 'a'\n"), no_down_revision);
    for cookie in ["# coding: latin-1\n", "\n# -*- coding=cp1252 -*-\n"] {
        let expected = Err("declares another encoding than UTF-8".to_owned());
        assert_eq!(variables(&format!("{cookie}{base}")), expected);
    }
    let nested = |depth| {
        format!(
            "down_revision = None\nrevision = {}'a'{}\n",
            "(".repeat(depth),
            ")".repeat(depth)
        )
    };
    let expected = Err("computes `revision`".to_owned());
    assert_eq!(variables(&nested(100_000)), expected);
}

#[test]
fn realistic_sources_are_certain() {
    let expected = |down: &[&str], depends: &[&str], labels: &[&str]| {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Ok(Variables {
            revision: "ae1027a6acf".to_owned(),
            down_revision: owned(down),
            depends_on: owned(depends),
            branch_labels: owned(labels),
        })
    };
    let annotated = r#""""Add it's "users"

Revision ID: ae1027a6acf
Revises: 1975ea83b712
revision = "none"
"""
from __future__ import annotations

from typing import Sequence, Union

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision: str = "ae1027a6acf"
down_revision: Union[str, Sequence[str], None] = (
    "1975ea83b712",
    "27c6a30d7c24",
)
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None

logger = logging.getLogger(f"alembic.{__name__}")
ROLES = {"admin": 1, "user": 2}
users = sa.table("users", sa.column("revision", sa.String), sa.column("depends_on"))
if sa.__version__ < "2":
    raise RuntimeError("trop ancien, désolé")


class Status(enum.Enum):
    revision = "revision"


def _batches(connection, revision, *, size: int = 100):
    last = 0
    while (rows := connection.execute(sa.text(f"SELECT id FROM users WHERE id > {last} LIMIT {size}")).all()):
        yield rows
        last = rows[-1].id


def upgrade() -> None:
    revision, depends_on = "x", []
    for revision in depends_on:
        if not revision:
            revision = "y"
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("revision", sa.String(length=50), nullable=True))
        batch_op.create_index(batch_op.f("ix_users_revision"), ["revision"], unique=False)
    op.execute(f"""UPDATE users SET data = '{{"a": {ROLES["admin"]}}}' WHERE x = '{revision:>10}'""")
    session = orm.Session(bind=op.get_bind())
    session.exec(select(1))


def downgrade() -> None:
    op.drop_column("users", "revision")
"#;
    assert_eq!(
        variables(annotated),
        expected(&["1975ea83b712", "27c6a30d7c24"], &[], &[])
    );
    let old = "\"\"\"x\n\nCreate Date: 2014\n\n\"\"\"\n\n# revision identifiers, used by Alembic.\nrevision = 'ae1027a6acf'\n\
        down_revision = None\nbranch_labels = ('shop',)\ndepends_on = ['a', \"b\"]; x = 1\n\nfrom alembic import op\n\n\
        def upgrade():\n\top.add_column(\n'x')\n\n\ndef downgrade():\n\tpass\n";
    for text in [old.to_owned(), format!("\u{feff}{old}")] {
        assert_eq!(variables(&text), expected(&[], &["a", "b"], &["shop"]));
    }
}

#[test]
fn an_environment_that_may_use_another_version_table_is_uncertain() {
    let nothing = (false, false);
    let check = |text: &str, (table, schema): (bool, bool)| {
        python::check_environment(text, table, schema).err()
    };
    let call = |arguments: &str| format!("# version_table\ncontext.configure({arguments})\n");
    for arguments in [
        "",
        "version_table_pk=False",
        "connection=c, target_metadata=m, compare_type=2*3",
    ] {
        assert_eq!(check(&call(arguments), nothing), None, "{arguments}");
    }
    let open = "passes arguments to `configure` that cannot be read";
    for (arguments, expected, table, schema) in [
        ("version_table='x'", "names `version_table`", true, false),
        (
            "version_table_schema='x'",
            "names `version_table_schema`",
            false,
            true,
        ),
        (
            "x={'version_table': 'x'}",
            "names `version_table`",
            true,
            false,
        ),
        ("**arguments", open, true, true),
        ("c, x=f(**y)", open, true, true),
        (
            "x=f'SET search_path TO {y}'",
            "names `search_path`",
            false,
            true,
        ),
        (
            "x={'options': '-csearch_path=y'}",
            "names `search_path`",
            false,
            true,
        ),
        (
            "x=c.execution_options(schema_translate_map=y)",
            "names `schema_translate_map`",
            false,
            true,
        ),
    ] {
        let text = call(arguments);
        assert_eq!(
            check(&text, nothing).as_deref(),
            Some(expected),
            "{arguments}"
        );
        for only in [(!table, false), (false, !schema)] {
            let found = check(&text, only);
            assert_eq!(found.as_deref(), Some(expected), "{arguments}");
        }
        assert_eq!(check(&text, (table, schema)), None, "{arguments}");
    }
    let text = "from app.migrations import run\nrun()\n";
    assert_eq!(
        check(text, (true, false)).as_deref(),
        Some("does not call `configure` itself")
    );
    assert_eq!(check(text, (true, true)), None);
    let one_mode =
        "if context.is_offline_mode():\n    context.configure(url=x)\nelse:\n    run()\n";
    assert_eq!(
        check(one_mode, (true, false)).as_deref(),
        Some("calls `configure` in one of its two modes only")
    );
    assert_eq!(check(one_mode, (true, true)), None);
    let both = one_mode.replace("run()", "context.configure(connection=y)");
    assert_eq!(check(&both, nothing), None);
    assert_eq!(
        check("run = context.configure\nrun(**x)\n", nothing).as_deref(),
        Some(open)
    );
    let several = call("upgrade_token=x");
    assert_eq!(
        check(&several, (true, true)).as_deref(),
        Some("names `upgrade_token`")
    );
}

/// The outcome of a reading, in one line.
fn outcome(read: Result<History, Error>) -> String {
    match read {
        Ok(history) => history
            .heads()
            .iter()
            .map(|(head, _)| *head)
            .collect::<Vec<_>>()
            .join(" "),
        Err(Error::Uncertain(text)) => format!("uncertain: {text}"),
        Err(Error::Broken(text)) => format!("broken: {text}"),
    }
}

/// The text of a revision file.
fn revision(id: &str, down: &str) -> String {
    format!("revision = '{id}'\ndown_revision = {down}\n")
}

#[test]
fn what_alembic_rejects_is_broken_only_if_every_file_is_certain() {
    for (name, one, other, expected) in [
        (
            "b1",
            "revision = 'a'\ndown_revision = None\n",
            "revision = 'b'\ndown_revision = 'x\u{7}'\n",
            "broken: 0002_b.py refers to the revision x\u{fffd}, which no file has",
        ),
        (
            "b2",
            "revision = 'a'\ndown_revision = 'nothing'\n",
            "revision = f()\ndown_revision = 'a'\n",
            "uncertain: 0002_b.py computes `revision`",
        ),
        (
            "b3",
            "revision = 'a'\ndown_revision = 'b'\n",
            "revision = 'b'\ndown_revision = 'a'\n",
            "broken: 0001_a.py and 0002_b.py refer to each other in a circle",
        ),
        (
            "b4",
            "revision = 'a'\ndown_revision = None\n",
            "revision = 'b'\ndown_revision = 'b'\n",
            "broken: 0002_b.py refers to the revision b, which is its own",
        ),
        (
            "b5",
            "revision = 'a'\ndown_revision = None\n",
            "revision = 'b'\ndown_revision = 'a'\nbranch_labels = 'a'\n",
            "broken: 0002_b.py uses the label a, which is used already",
        ),
        (
            "b6",
            "revision = 'a'\ndown_revision = None\n",
            "revision = 'b@'\ndown_revision = 'a'\n",
            "broken: 0002_b.py has the revision b@, which alembic does not allow",
        ),
        (
            "b7",
            "revision = 'a'\ndown_revision = None\n",
            "revision = 'a'\ndown_revision = None\n",
            "uncertain: 0002_b.py has the revision a, which is used already",
        ),
        (
            "b8",
            "revision = 'a'\ndown_revision = None\nbranch_labels = 'l'\n",
            "revision = 'b'\ndown_revision = 'l'\n",
            "broken: 0002_b.py refers to the revision l, which no file has",
        ),
        (
            "b9",
            "revision = 'a'\ndown_revision = None\nbranch_labels = 'l'\n",
            "revision = 'b'\ndown_revision = None\ndepends_on = 'l'\n",
            "a b",
        ),
    ] {
        let folder = Folder::project(name, &[("0001_a.py", one), ("0002_b.py", other)]);
        assert_eq!(outcome(folder.read()), expected, "{one}{other}");
    }
}

#[test]
fn a_configuration_that_is_not_certain_says_which_key_is_not() {
    let folder = Folder::project("keys", &[("1.py", &revision("a", "None"))]);
    folder.write("m/versions/2.py", revision("b", "'a'"));
    for (ini, expected) in [
        ("[alembic]\nscript_location = %(here)s/m\n", "b"),
        (
            "[alembic]\nSCRIPT_LOCATION : %(here)s/%(x)s\n[DEFAULT]\nx=m\n",
            "b",
        ),
        ("", "uncertain: the configuration has no `script_location`"),
        (
            "[other]\nscript_location = %(here)s/m\n",
            "uncertain: the configuration has no `script_location`",
        ),
        (
            "script_location = %(here)s/m\n",
            "uncertain: the ini file cannot be parsed",
        ),
        (
            "[alembic]\n[alembic]\n",
            "uncertain: the ini file cannot be parsed",
        ),
        (
            "[alembic]\na = 1\na = 2\n",
            "uncertain: the ini file cannot be parsed",
        ),
        (
            "[alembic]\nscript_location = %(nothing)s/m\n",
            "uncertain: the configuration's `script_location` cannot be read for certain",
        ),
        (
            "[alembic]\nscript_location = é\n",
            "uncertain: the configuration's `script_location` cannot be read for certain",
        ),
        (
            "[alembic]\nscript_location =\n",
            "uncertain: a folder of `script_location` does not exist",
        ),
        (
            "[alembic]\nscript_location = %(here)s/nothing\n",
            "uncertain: a folder of `script_location` does not exist",
        ),
        (
            "[alembic]\nscript_location = %(here)s/m\nversion_locations = %(here)s/nothing\n",
            "uncertain: a folder of `version_locations` does not exist",
        ),
        (
            "[alembic]\nscript_location = %(here)s/m\nversion_locations = %(here)s/m\npath_separator = x\n",
            "uncertain: the configuration's `version_locations` cannot be read for certain",
        ),
        (
            "[alembic]\nscript_location = %(here)s/m\nversion_locations = %(here)s/m %(here)s/m\n",
            "uncertain: the configuration's `version_locations` cannot be read for certain",
        ),
        (
            "[alembic]\nscript_location = %(here)s/m\nversion_locations = %(here)s/m\n  %(here)s/m\n",
            "uncertain: the configuration's `version_locations` cannot be read for certain",
        ),
        (
            "[alembic]\nscript_location = %(a)s/m\na = %(b)s\nb = %(here)s\n",
            "uncertain: the configuration's `script_location` cannot be read for certain",
        ),
        ("[alembic]\nscript_location = %(a)s/m\na = %(here)s\n", "b"),
        (
            "[alembic]\nscript_location = %(here)s/m\nsourceless = true\n",
            "uncertain: the configuration sets `sourceless`",
        ),
        (
            "[alembic]\nscript_location = nothing:m\n",
            "uncertain: the package in `script_location` is not found for certain",
        ),
    ] {
        folder.write("alembic.ini", ini);
        assert_eq!(outcome(folder.read()), expected, "{ini}");
    }
}

#[test]
fn a_missing_configuration_is_told_from_one_without_the_location() {
    let folder = Folder::project("missing", &[("1.py", &revision("a", "None"))]);
    let missing = [folder.0.join("canary.ini")];
    assert_eq!(
        outcome(super::read(&settings(&missing))),
        "uncertain: the configuration file that is named does not exist"
    );
    // The working directory of the tests has no configuration.
    assert_eq!(
        outcome(super::read(&settings(&[]))),
        "uncertain: there is no alembic.ini or pyproject.toml with a `script_location`"
    );
    let one_of_two = [
        folder.0.join("alembic.ini"),
        folder.0.join("pyproject.toml"),
    ];
    assert_eq!(outcome(super::read(&settings(&one_of_two))), "a");
}

#[test]
fn a_pyproject_that_is_not_certain_says_which_key_is_not() {
    let folder = Folder::project("toml", &[("1.py", &revision("b", "None"))]);
    for (toml, expected) in [
        ("[tool.alembic]\nscript_location = '%(here)s/m'\n", "b"),
        (
            "[project]\nname = 'x'\n[tool]\nalembic = {script_location = \"%(here)s/m\", sourceless = false}\n",
            "b",
        ),
        (
            "[tool.alembic]\nscript_location = 1\n",
            "uncertain: the configuration's `script_location` cannot be read for certain",
        ),
        (
            "[tool.alembic]\nscript_location = '%(x)s/m'\n",
            "uncertain: the configuration's `script_location` cannot be read for certain",
        ),
        (
            "[tool.alembic]\nscript_location = '%(here)s/m'\nsourceless = 'x'\n",
            "uncertain: the configuration's `sourceless` cannot be read for certain",
        ),
        (
            "[tool.alembic\n",
            "uncertain: pyproject.toml cannot be parsed",
        ),
        (
            "[tool]\nalembic = 1\n",
            "uncertain: pyproject.toml cannot be parsed",
        ),
        (
            &format!("a = {}", "[".repeat(500_000)),
            "uncertain: pyproject.toml cannot be parsed",
        ),
        (
            &format!("a = {}", "[".repeat(300)),
            "uncertain: pyproject.toml cannot be parsed",
        ),
    ] {
        folder
            .write("alembic.ini", "")
            .write("pyproject.toml", toml);
        assert_eq!(outcome(folder.read()), expected, "{toml:.100}");
    }
    let folders =
        "[tool.alembic]\nscript_location = '%(here)s/m'\nversion_locations = ['%(here)s/m%%']\n";
    folder
        .write("alembic.ini", "[alembic]\nversion_locations =\n")
        .write("pyproject.toml", folders)
        .write("m%/1.py", revision("c", "None"));
    assert_eq!(outcome(folder.read()), "c");
    let laughs =
        (0..9).map(|level| format!("x{level} = {}\n", format!("%(x{})s", level + 1).repeat(50)));
    let laughs = laughs.collect::<Vec<_>>().concat();
    folder.write(
        "alembic.ini",
        format!("[alembic]\nscript_location = %(x0)s\n{laughs}x9 =\n"),
    );
    let expected = "uncertain: the configuration's `script_location` cannot be read for certain";
    assert_eq!(outcome(folder.read()), expected);
    for section in ["", "DEFAULT"] {
        let files = folder.files();
        let read = super::read(&Settings {
            section,
            ..settings(&files)
        });
        assert_eq!(
            outcome(read),
            "uncertain: the section of the ini file has a special name"
        );
    }
    let file = folder.0.join("alembic.ini");
    let files = [file.clone(), file];
    let read = super::read(&settings(&files));
    assert_eq!(
        outcome(read),
        "uncertain: two configuration files of the same kind are named"
    );
}

#[test]
fn a_package_is_found_where_python_finds_it() {
    let folder = Folder::project("packages", &[]);
    folder.write("alembic.ini", "[alembic]\nscript_location = guard_a.b:m\nprepend_sys_path = %(here)s/one\npath_separator = os\n");
    for place in ["one", "two"] {
        folder.write(&format!("{place}/guard_a/b/m/env.py"), "configure()");
        folder.write(
            &format!("{place}/guard_a/b/m/versions/1.py"),
            revision(place, "None"),
        );
    }
    let unknown = "uncertain: the package in `script_location` is not found for certain";
    let python_path = OsString::from(format!("/nowhere:{}", folder.0.join("two").display()));
    let files = folder.files();
    let read = || {
        outcome(super::read(&Settings {
            python_path: Some(&python_path),
            ..settings(&files)
        }))
    };
    // Without `__init__.py`, Python goes on searching.
    assert_eq!(read(), unknown);
    folder
        .write("one/guard_a/__init__.py", "")
        .write("one/guard_a/b/__init__.py", "");
    assert_eq!(read(), "one");
    fs::remove_dir_all(folder.0.join("one")).expect("it can be removed");
    folder
        .write("two/guard_a/__init__.py", "")
        .write("two/guard_a/b/__init__.py", "");
    assert_eq!(read(), "two");
    folder.write("one/guard_a.py", "");
    assert_eq!(read(), unknown);
    folder.write(
        "alembic.ini",
        "[alembic]\nscript_location = guard_b:m\nprepend_sys_path = x:%(here)s/three:z\npath_separator = os\n",
    );
    folder
        .write("three/guard_b/__init__.py", "")
        .write("three/guard_b/m/env.py", "configure()")
        .write("three/guard_b/m/versions/1.py", revision("three", "None"));
    assert_eq!(read(), "three");
    // alembic has imported its own package before it looks for this one.
    folder.write(
        "alembic.ini",
        "[alembic]\nscript_location = alembic:m\nprepend_sys_path = %(here)s/three\npath_separator = os\n",
    );
    fs::rename(
        folder.0.join("three/guard_b"),
        folder.0.join("three/alembic"),
    )
    .expect("it can be renamed");
    assert_eq!(read(), unknown);
    // This working directory is searched first by `python -m alembic`, and has another `src`.
    folder.write("alembic.ini", "[alembic]\nscript_location = src:m\n");
    folder
        .write("two/src/__init__.py", "")
        .write("two/src/m/env.py", "configure()");
    assert_eq!(read(), unknown);
}

#[test]
fn files_that_cannot_be_read_for_certain_are_uncertain() {
    let folder = Folder::project("files", &[("1.py", &revision("a", "None"))]);
    assert_eq!(outcome(folder.read()), "a");
    let versions = folder.0.join("m/versions");
    let expect = |name: &str, text: &[u8], expected: &str| {
        folder.write(name, text);
        assert_eq!(outcome(folder.read()), expected, "{name}");
        fs::remove_file(folder.0.join(name)).expect("it can be removed");
    };
    expect(
        "m/versions/2.py",
        b"revision = '\xff'",
        "uncertain: 2.py is no plain text in UTF-8",
    );
    expect(
        "m/versions/2.py",
        &b" ".repeat(1024 * 1024 + 1),
        "uncertain: 2.py is larger than 1 MiB",
    );
    expect(
        "m/versions/2.py",
        b"# x\rrevision = 'b'\ndown_revision = 'a'\n",
        "uncertain: 2.py is no plain text in UTF-8",
    );
    expect(
        "m/versions/2.py",
        b"revision = 'b'\r\ndown_revision = 'a'\r\n",
        "b",
    );
    expect("m/versions/2.txt", b"?", "a");
    expect("m/versions/__init__2.py", b"?", "a");
    expect("m/versions/.#2.py", b"?", "a");
    expect("m/versions/2.pyc", b"?", "a");
    std::os::unix::fs::symlink("nobody@nowhere", versions.join(".#1.py"))
        .expect("a link can be made");
    assert_eq!(outcome(folder.read()), "a");
    std::os::unix::fs::symlink("nowhere.py", versions.join("2.py")).expect("a link can be made");
    assert_eq!(outcome(folder.read()), "uncertain: 2.py cannot be read");
    fs::remove_file(versions.join("2.py")).expect("it can be removed");
    std::os::unix::fs::symlink("/dev/zero", versions.join("2")).expect("a link can be made");
    fs::create_dir(versions.join("3.py")).expect("a folder can be made");
    assert_eq!(outcome(folder.read()), "a");
    fs::remove_dir(versions.join("3.py")).expect("it can be removed");
    expect(
        "m/versions/2\n.py",
        b"?",
        "uncertain: the name of a revision file has a line break",
    );
    let environment = folder.0.join("m/env.py");
    fs::remove_file(&environment).expect("it can be removed");
    std::os::unix::fs::symlink("/dev/zero", &environment).expect("a link can be made");
    assert_eq!(outcome(folder.read()), "uncertain: env.py cannot be read");
    fs::remove_file(&environment).expect("it can be removed");
    assert_eq!(outcome(folder.read()), "uncertain: env.py does not exist");
}

/// A history of this many revisions in a chain.
fn chain(count: usize) -> Result<History, Error> {
    History::new(
        &(0..count)
            .map(|number| {
                let down_revision = number.checked_sub(1).map(|below| format!("r{below:06}"));
                let variables = Variables {
                    revision: format!("r{number:06}"),
                    down_revision: down_revision.into_iter().collect(),
                    ..Variables::default()
                };
                (format!("{number}.py"), variables)
            })
            .collect::<Vec<_>>(),
    )
}

#[test]
fn a_chain_of_ten_thousand_revisions_is_compared_quickly() {
    let start = Instant::now();
    let history = chain(10_000).expect("it has no circle");
    assert_eq!(history.heads(), [("r009999", "9999.py")]);
    let status = |row: &str| history.status(&[row.to_owned()], &Targets::All);
    assert_eq!(status("r009999"), Status::UpToDate);
    assert_eq!(status("r000000"), Status::Pending(9999));
    assert_eq!(
        status("r0099999"),
        Status::Ahead(vec!["r0099999".to_owned()])
    );
    assert_eq!(history.status(&[], &Targets::All), Status::Pending(10_000));
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn there_is_a_limit_to_the_number_of_files() {
    let folder = Folder::project("many", &[("1.py", &revision("a", "None"))]);
    for number in 0..10_000 {
        folder.write(&format!("m/versions/{number}.txt"), "");
    }
    assert_eq!(
        outcome(folder.read()),
        "uncertain: there are more than 10000 files"
    );
}

#[test]
fn there_is_a_limit_to_the_size_of_all_files() {
    let folder = Folder::project("large", &[]);
    let comment = format!("#{}\n", " ".repeat(1024 * 1024 - 100));
    for number in 0..65 {
        let down = if number == 0 { "None" } else { "'r0'" };
        let text = comment.clone() + &revision(&format!("r{number}"), down);
        folder.write(&format!("m/versions/{number}.py"), text);
    }
    assert_eq!(
        outcome(folder.read()),
        "uncertain: the revision files are larger than 64 MiB"
    );
}

#[test]
fn rows_and_targets_that_are_no_plain_revisions_are_uncertain() {
    let history = chain(3).expect("it has no circle");
    let uncertain = |rows: &[&str], targets: &Targets| {
        let rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
        match history.status(&rows, targets) {
            Status::Uncertain(text) => text,
            other => panic!("{other:?} of {rows:?} to {targets:?}"),
        }
    };
    for row in ["", "head", "heads", "base", "-1", " -1", "a@r000000"] {
        assert_eq!(
            uncertain(&[row], &Targets::All),
            "the version table has a row that is no revision"
        );
    }
    assert_eq!(
        uncertain(&["r00000"], &Targets::All),
        "a revision begins with the row r00000"
    );
    assert_eq!(
        uncertain(&["r000000", "r000002"], &Targets::All),
        "one row of the version table is an ancestor of another"
    );
    assert_eq!(
        uncertain(&[], &Targets::Listed(Vec::new())),
        "a target of the upgrade cannot be resolved"
    );
    for target in [
        "",
        "base",
        "+1",
        "r000001-1",
        "r000000:r000001",
        "nothing",
        "r00000",
        "nothing@head",
        "r000001@r000002",
        "@head",
        "head@head",
    ] {
        let targets = Targets::Listed(vec!["head".to_owned(), target.to_owned()]);
        assert_eq!(
            uncertain(&["r000002"], &targets),
            "a target of the upgrade cannot be resolved",
            "{target}"
        );
    }
    let long = "x".repeat(100);
    let expected = format!("{}…", "x".repeat(64));
    assert_eq!(
        history.status(&[long], &Targets::All),
        Status::Ahead(vec![expected])
    );
}

#[test]
fn texts_contain_no_paths_and_no_values_of_variables() {
    let folder = Folder::project("private", &[("1.py", "revision = f()\n")]);
    let variable = folder.0.join("canary.ini");
    folder.write("canary.ini", "[alembic]\nscript_location = canary:canary\n");
    let python_path = OsString::from("/canary");
    let with_variable = |text: &str| {
        folder.write("canary.ini", text);
        let settings = Settings {
            variable: Some(variable.as_os_str()),
            python_path: Some(&python_path),
            ..settings(&[])
        };
        outcome(super::read(&settings))
    };
    for text in [
        "canary",
        "[alembic]\nscript_location = canary\n",
        "[alembic]\nscript_location = canary:canary\n",
        "[alembic]\nscript_location = %(canary)s\n",
        "[alembic]\nscript_location = %(here)s/m\nversion_locations = canary\n",
        "[alembic]\nscript_location = %(here)s/m\nversion_path_separator = canary\nversion_locations = canary\n",
    ] {
        let told = with_variable(text);
        assert!(
            told.starts_with("uncertain: ") && !told.contains("canary") && !told.contains('/'),
            "{told}"
        );
    }
    let told = with_variable("[alembic]\nscript_location = %(here)s/m\n");
    assert_eq!(told, "uncertain: 1.py computes `revision`");
}

#[test]
fn lists_of_folders_are_split_as_by_alembic() {
    const UNCERTAIN_LIST: &str =
        "uncertain: the configuration's `version_locations` cannot be read for certain";
    let folder = Folder::project("lists", &[]);
    folder
        .write("a/1.py", revision("a", "None"))
        .write("b/1.py", revision("b", "None"));
    for (options, expected) in [
        ("%(here)s/a:%(here)s/b\npath_separator = os\n", "a b"),
        ("%(here)s/a : %(here)s/b:\npath_separator = :\n", "a b"),
        (
            "\n  %(here)s/a\n\n  %(here)s/b\npath_separator = newline\n",
            "a b",
        ),
        ("%(here)s/a   %(here)s/b\npath_separator = space\n", "a b"),
        ("%(here)s/a;%(here)s/b\nversion_path_separator = ;\n", "a b"),
        // Without a separator, alembic splits at spaces and commas.
        ("%(here)s/b,  %(here)s/a\n", UNCERTAIN_LIST),
        ("%(here)s/b   %(here)s/a\n", UNCERTAIN_LIST),
    ] {
        let text =
            format!("[alembic]\nscript_location = %(here)s/m\nversion_locations = {options}");
        folder.write("alembic.ini", text);
        assert_eq!(outcome(folder.read()), expected, "{options}");
    }
}

/// A history of these revisions: each with its revision, `down_revision` and label.
fn history(revisions: &[(&str, &[&str], &str)]) -> Result<History, Error> {
    let variables = revisions.iter().map(|(id, down, label)| Variables {
        revision: (*id).to_owned(),
        down_revision: down.iter().map(ToString::to_string).collect(),
        branch_labels: Some((*label).to_owned())
            .filter(|label| !label.is_empty())
            .into_iter()
            .collect(),
        depends_on: Vec::new(),
    });
    let files: Vec<_> = variables
        .map(|variables| (format!("{}.py", variables.revision), variables))
        .collect();
    History::new(&files)
}

#[test]
fn a_circle_that_alembic_does_not_find_is_uncertain() {
    let read = history(&[
        ("a", &[], ""),
        ("b", &["a", "c"], ""),
        ("c", &["b"], ""),
        ("d", &["c"], ""),
    ]);
    assert_eq!(outcome(read), "uncertain: the revisions form a circle");
}
