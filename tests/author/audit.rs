//! `audit`: what the scanner finds in code, and how it differs from the manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Ended, Guard};

const EMPTY: &str = "version: 1\nserver: {command: [x]}\n";

/// The folder with the fixtures. Each is a folder with Python code and the file `expected`.
fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/author/audit");
    let entries = fs::read_dir(folder).expect("the fixtures can be listed");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    paths.sort();
    paths
}

/// Audits the code in a folder with this manifest.
fn audit(folder: &Path, manifest: &str, format: &str) -> Ended {
    let guard = Guard::with_manifest(manifest);
    let file = guard.folder.path().join("required-vars.yaml");
    let guard = guard
        .in_folder(folder)
        .args(["audit", ".", "--format", format]);
    guard.args([Path::new("--manifest"), &file]).run()
}

fn lines(ended: &Ended) -> Vec<Value> {
    let text = ended.stdout();
    let parse = |line: &str| serde_json::from_str(line).expect("the line is JSON");
    text.lines().map(parse).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("the value is a text")
}

/// What the scanner finds, one line per variable as in the files `expected`.
fn found(folder: &Path) -> BTreeSet<String> {
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for line in lines(&audit(folder, EMPTY, "json")) {
        let place = |place: &Value| format!(" {}:{}", text(&place["file"]), place["line"]);
        match text(&line["kind"]) {
            "finding" => {
                let all = line["places"].as_array().expect("it has places");
                let all: String = all.iter().map(place).collect();
                places.insert(text(&line["variable"]).to_owned(), all);
            }
            "note" => drop(found.insert(format!("note{}", place(&line)))),
            _ => {}
        }
    }
    let required = required(folder, places.keys());
    found.extend(places.into_iter().map(|(name, places)| {
        let is_required = required.contains(&name);
        let suffix = if is_required { " required" } else { "" };
        format!("{name}{places}{suffix}")
    }));
    found
}

/// Those of the variables without which the code fails: the audit notes that if the manifest has them as optional.
fn required<'a>(folder: &Path, names: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    let declared = names.map(|name| format!("  {name}: {{level: optional}}\n"));
    let manifest = format!(
        "version: 1\nvariables:\n{}server: {{command: [x]}}\n",
        declared.collect::<String>()
    );
    let ended = audit(folder, &manifest, "json").expect_code(0);
    let notes = lines(&ended).into_iter();
    let needed = notes.filter_map(|note| {
        let note = note["text"].as_str()?.strip_prefix("the code needs ")?;
        Some(note.split_once(',')?.0.to_owned())
    });
    needed.collect()
}

#[test]
fn every_read_of_the_fixtures_is_found_and_no_other() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 8, "{fixtures:?}");
    for folder in fixtures {
        let expected = fs::read_to_string(folder.join("expected")).expect("it has a list");
        let expected: BTreeSet<String> = expected.lines().map(str::to_owned).collect();
        let found = found(&folder);
        let missed: Vec<_> = expected.difference(&found).collect();
        let invented: Vec<_> = found.difference(&expected).collect();
        assert!(
            missed.is_empty() && invented.is_empty(),
            "{}: missed {missed:#?}, invented {invented:#?}",
            folder.display()
        );
    }
}

/// Runs the fixture's recorder with the real libraries.
fn recorder() -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join("target/venv/bin/python"));
    command
        .arg(root.join("tests/author/audit/record.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn the_real_libraries_look_up_the_same_variables() {
    // The names that the code computes, and those that are not reported because Python and its libraries have them.
    let other = [
        "TASK_CRON",
        "AUDIO_LOG_LEVEL",
        "DB_LOG_LEVEL",
        "DJANGO_SETTINGS_MODULE",
    ];
    for (fixture, modules) in [
        ("template", "config"),
        ("paperless", "settings"),
        ("storefront", "shop.settings shop.wsgi"),
        (
            "cookiecutter",
            "config.settings.production config.settings.local",
        ),
        ("webui", "env"),
        ("flags", "settings"),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/author/audit");
        let folder = folder.join(fixture);
        let output = recorder().arg(&folder).args(modules.split(' ')).output();
        let output = output.expect("`make venv` has made the Python");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{fixture}: {told}");
        let names: Vec<String> = serde_json::from_slice(&output.stdout).expect("it is a list");
        let names = names.into_iter();
        let is_own = |name: &String| !name.starts_with("PYDANTIC_") && !other.contains(&&**name);
        let names: BTreeSet<String> = names.filter(is_own).collect();
        let found = found(&folder).into_iter();
        let found = found.filter_map(|line| Some(line.split_once(' ')?.0.to_owned()));
        let found: BTreeSet<String> = found.filter(|name| name != "note").collect();
        assert_eq!(found, names, "{fixture}");
    }
}

/// A sequence of numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        // Knuth's constants for a linear congruential generator.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let last = u64::try_from(choices.len()).expect("a length is small");
        choices[usize::try_from(self.below(last)).expect("an index is small")]
    }
}

/// A field of a settings class whose name contains `k{class}f{number}_`.
fn field(class: u32, number: u32, numbers: &mut Numbers) -> String {
    let marker = format!("k{class}f{number}_");
    let name = numbers.of(&["", "Db", "URL", "x_"]).to_owned() + &marker;
    let alias = numbers.of(&["", "", "", "alias", "validation_alias", "choices"]);
    let alias = match alias {
        "" => String::new(),
        "choices" => format!("validation_alias=AliasChoices('One{marker}', 'Two{marker}')"),
        alias => format!("{alias}='Al_{marker}'"),
    };
    let kind = numbers.of(&[
        "str",
        "str | None",
        "Optional[str]",
        "typing.Union[str, None]",
    ]);
    let default = numbers.of(&[
        "",
        "",
        "...",
        "'d'",
        "None",
        "default='d'",
        "default_factory=str",
    ]);
    // The default is validated.
    let kind = if default == "None" {
        "str | None"
    } else {
        kind
    };
    let is_call = !alias.is_empty() || default.contains('=');
    let arguments = [default, &alias].map(str::to_owned);
    let arguments = arguments.into_iter().filter(|text| !text.is_empty());
    let arguments = arguments.collect::<Vec<_>>().join(", ");
    match (is_call, default) {
        (true, "" | "default='d'" | "default_factory=str") if numbers.below(2) == 0 => {
            format!("    {name}: Annotated[{kind}, Field({arguments})]\n")
        }
        (true, _) => format!("    {name}: {kind} = Field({arguments})\n"),
        (false, "") => format!("    {name}: {kind}\n"),
        (false, default) => format!("    {name}: {kind} = {default}\n"),
    }
}

/// A settings class, with the classes that it needs, as Python code.
fn class(class: u32, numbers: &mut Numbers) -> String {
    let config = |numbers: &mut Numbers| {
        let prefix = numbers.of(&["", "env_prefix='App_', ", "env_prefix='p' '_', "]);
        let case = numbers.of(&["", "case_sensitive=True, ", "case_sensitive=False, "]);
        let by_name = numbers.of(&["", "", "populate_by_name=True, "]);
        let target = numbers.of(&["", "", "env_prefix_target='all', "]);
        format!("{prefix}{case}{by_name}{target}extra='ignore'")
    };
    let fields = |from: u32, numbers: &mut Numbers| {
        let count = u32::try_from(1 + numbers.below(4)).expect("it is small");
        let fields = (from..from + count).map(|number| field(class, number, numbers));
        fields.collect::<String>()
    };
    let mut text = format!("class Base{class}(BaseSettings):\n");
    if numbers.below(2) == 0 {
        text += &format!(
            "    model_config = SettingsConfigDict({})\n",
            config(numbers)
        );
    }
    text += &fields(0, numbers);
    text += &format!(
        "\nclass Model{class}(BaseModel):\n    k{class}f20_: str\n    k{class}f21_: str = ''\n"
    );
    let arguments = match numbers.below(3) {
        0 => ", env_prefix='Q_'",
        _ => "",
    };
    text += &format!(
        "\nclass K{class}(Base{class}{arguments}):\n    \"\"\"It has no k{class}f99_: str\"\"\"\n"
    );
    text += "    no_field: ClassVar[int] = 1\n    _private: str = ''\n";
    text += &fields(10, numbers);
    if numbers.below(2) == 0 {
        text += &format!("    k{class}f30_: Model{class}\n");
        text += "    model_config = {'env_nested_delimiter': '__'}\n";
    }
    text += "    @property\n    def computed(self) -> str:\n        local: str = ''\n        return local\n\n";
    text
}

#[test]
fn the_variables_of_a_settings_class_are_those_that_pydantic_reads() {
    const CLASSES: u32 = 150;
    let mut numbers = Numbers(15);
    let classes: String = (0..CLASSES)
        .map(|number| class(number, &mut numbers))
        .collect();
    let code = format!(
        "import typing\nfrom typing import Annotated, ClassVar, Optional\n\
         from pydantic import AliasChoices, BaseModel, Field\n\
         from pydantic_settings import BaseSettings, SettingsConfigDict\n\n{classes}"
    );
    let folder = crate::support::Folder::new();
    let file = folder.file("generated.py", code);
    let mut names: BTreeMap<String, [Vec<String>; 2]> = BTreeMap::new();
    for line in found(folder.path()) {
        let name = line.split(' ').next().unwrap_or_default();
        assert_ne!(name, "note", "{line}");
        let lower = name.to_lowercase();
        // The class's number is before the last `f` with digits.
        let (class, _) = lower.rsplit_once('f').expect("it has a marker");
        let (_, class) = class.rsplit_once('k').expect("it has a marker");
        let is_required = line.ends_with(" required");
        let of_class = names.entry(format!("K{class}")).or_default();
        of_class[usize::from(!is_required)].push(name.to_owned());
    }
    assert_eq!(names.len(), usize::try_from(CLASSES).expect("it is small"));
    let input = serde_json::to_vec(&names).expect("names can be serialized");
    let mut child = recorder()
        .arg("--classes")
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`make venv` has made the Python");
    let mut stdin = child.stdin.take().expect("it has a standard input");
    stdin.write_all(&input).expect("it reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        told.trim(),
        "",
        "{}",
        fs::read_to_string(&file).unwrap_or_default()
    );
}

/// A guard whose folder has this manifest below `version: 1`, and the file `app/main.py` with this code.
fn guard(manifest: &str, code: &str) -> Guard {
    let server = if manifest.contains("server:") {
        ""
    } else {
        "server: {command: [x]}\n"
    };
    let guard = Guard::with_manifest(&format!("version: 1\n{manifest}{server}"));
    fs::create_dir(guard.folder.path().join("app")).expect("the folder can be made");
    guard.folder.file("app/main.py", code);
    guard
}

/// The names that an audit reports, each with its kind, and the texts of its notes.
fn drift(manifest: &str, code: &str) -> (Vec<String>, Vec<String>) {
    let ended = guard(manifest, code).line("audit app --format json").run();
    let (mut findings, mut notes) = (Vec::new(), Vec::new());
    for line in lines(&ended) {
        match text(&line["kind"]) {
            "finding" => {
                findings.push(format!(
                    "{} {}",
                    text(&line["variable"]),
                    text(&line["finding"])
                ));
            }
            "note" => notes.push(text(&line["text"]).to_owned()),
            _ => {}
        }
    }
    ended.expect_code(if findings.is_empty() { 0 } else { 78 });
    (findings, notes)
}

fn assert_no_drift(manifest: &str, code: &str) {
    assert_eq!(drift(manifest, code), (vec![], vec![]), "{manifest}{code}");
}

#[test]
fn drift_in_both_directions_is_reported_with_its_places() {
    let manifest = "variables:\n  STRIPE_API_KEY: {secret: true}\n  OLD_FLAG: {level: optional}\n";
    let code = "import os\nA = os.environ['STRIPE_API_KEYS']\nB = os.getenv('STRIPE_API_KEYS')\n";
    guard(manifest, code)
        .line("audit app")
        .run()
        .expect_code(78)
        .expect_stdout(
            "the code and required-vars.yaml differ in 3 variables: 1 Python file read
❌ STRIPE_API_KEYS is read by the code, but not declared in the manifest; did you mean STRIPE_API_KEY?
   [undeclared] (app/main.py:2 and app/main.py:3)
   → declare it under `variables`, or add it to `ignore` under `audit`
❌ STRIPE_API_KEY is declared in the manifest, but the code does not read it; did you mean STRIPE_API_KEYS?
   [unread] (required-vars.yaml:3)
❌ OLD_FLAG is declared in the manifest, but the code does not read it [unread] (required-vars.yaml:4)
   → remove it from `variables`, or add it to `ignore` under `audit`
",
        );
    let told = guard(manifest, code)
        .line("audit app --format github")
        .run();
    assert_eq!(
        told.expect_code(78).stdout().lines().next(),
        Some(
            "::error file=app/main.py,line=2,title=STRIPE_API_KEYS undeclared::STRIPE_API_KEYS is read by the code, but \
             not declared in the manifest; did you mean STRIPE_API_KEY? → declare it under `variables`, or add it to \
             `ignore` under `audit`"
        )
    );
    let ended = guard(manifest, code).line("audit app --format json").run();
    let lines = lines(&ended.expect_code(78));
    let summary = lines.last().expect("there is a summary");
    assert_eq!(summary["kind"], "summary");
    assert_eq!(summary["version"], 1);
    assert_eq!(summary["verdict"], "drift");
    assert_eq!(summary["findings"].as_array().map(Vec::len), Some(3));
    assert_eq!(lines[0]["places"][1]["line"], 3);
    assert_eq!(lines[0]["near"], "STRIPE_API_KEY");
}

#[test]
fn a_file_name_cannot_forge_an_annotation_or_a_line() {
    let guard = guard("variables: {}\n", "");
    guard
        .folder
        .file("app/a\n::error::b%,c.py", "import os\nos.environ['X']\n");
    let told = guard.line("audit app --format github").run();
    let place = "::error file=app/a%0A%3A%3Aerror%3A%3Ab%25%2Cc.py,line=2,";
    let told = told.expect_code(78).stdout();
    assert!(
        told.starts_with(place) && told.lines().count() == 2,
        "{told}"
    );
}

#[test]
fn a_name_that_is_known_in_another_way_is_no_drift() {
    let read = |name: &str| format!("import os\nos.getenv('{name}')\n");
    assert_no_drift("variables: {KEY: {secret: true}}\n", &read("KEY_FILE"));
    for name in [
        "PATH",
        "HOME",
        "PORT",
        "WEB_CONCURRENCY",
        "PYTHONPATH",
        "RAILWAY_SERVICE_NAME",
    ] {
        assert_no_drift("variables: {}\n", &read(name));
    }
    let ignore = "variables: {}\naudit: {ignore: [AWS_*, ONE]}\n";
    assert_no_drift(ignore, &read("AWS_REGION"));
    assert_no_drift(ignore, &read("ONE"));
    let found = vec!["ONES undeclared".to_owned()];
    assert_eq!(drift(ignore, &read("ONES")), (found, vec![]));
    let unread = "variables: {AWS_REGION: {}}\naudit: {ignore: [AWS_*]}\n";
    assert_no_drift(unread, "");
    let (found, notes) = drift("variables: {NEW: {renamed_from: [OLD]}}\n", &read("OLD"));
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(
        notes,
        ["the code reads OLD, which is a former name of NEW; read NEW instead"]
    );
}

/// Whether the audit notes that the code needs the variable `A`.
fn is_needed(code: &str) -> bool {
    let (found, notes) = drift("variables: {A: {level: optional}}\n", code);
    assert!(found.is_empty(), "{code}: {found:?}");
    notes
        .iter()
        .any(|note| note.starts_with("the code needs A"))
}

#[test]
fn a_variable_is_needed_only_if_the_code_always_reads_it() {
    let import = "import os, sys\nfrom decouple import config\n";
    for code in [
        "os.environ['A']",
        "def load():\n    return os.environ['A']",
        "if x:\n    y = 1\nz = os.environ['A']",
        "if os.environ['A'] == '1':\n    pass",
        "try:\n    x = os.environ['A']\nexcept KeyError:\n    raise RuntimeError('A is missing')",
        "try:\n    x = os.environ['A']\nexcept KeyError:\n    print('no A')\n    sys.exit(1)",
        "os.environ['A'] = os.environ['A'].strip()",
        "config('A')",
    ] {
        assert!(is_needed(&format!("{import}{code}\n")), "{code}");
    }
    for code in [
        "if x:\n    y = os.environ['A']",
        "if x:\n    pass\nelse:\n    def load():\n        return os.environ['A']",
        "try:\n    x = os.environ['A']\nexcept KeyError:\n    x = None",
        "x = y or os.environ['A']",
        "x = os.environ['A'] if y else None",
        "x = None if y else os.environ['A']",
        "os.environ['A'] = '1'\nx = os.environ['A']",
        "os.environ.setdefault('A', '1')\nx = os.environ['A']",
        "if x:\n    y = config('A')",
    ] {
        assert!(!is_needed(&format!("{import}{code}\n")), "{code}");
    }
}

#[test]
fn the_environment_as_a_default_and_the_options_of_click_are_read() {
    for code in [
        "import os\ndef load(env=os.environ):\n    return env.get('A')\n",
        "from os import environ\ndef load(*, env: dict[str, str] = environ) -> str:\n    return env['A']\n",
        "import click\n@click.option('--a', envvar='A')\ndef main(a): ...\n",
        "import typer\ndef main(a: str = typer.Option(..., envvar=['A', 'PORT'])): ...\n",
    ] {
        assert_no_drift("variables: {A: {}}\n", code);
    }
    // A name that is computed, and code that ends too early.
    for code in [
        "f(envvar='A' + x())\n",
        "f(envvar=",
        "f(auto_envvar_prefix='A')\n",
    ] {
        let (found, notes) = drift("variables: {}\n", code);
        assert!(found.is_empty(), "{code}: {found:?}");
        let note = "the name of the variable that is read here is computed".to_owned();
        assert!(notes.contains(&note), "{code}: {notes:?}");
    }
    // Each other parameter may be anything.
    let other = "import os\ndef load(environ):\n    return environ.get('B')\n";
    assert_no_drift("variables: {}\n", other);
}

#[test]
fn computed_names_of_a_settings_class_are_a_note_and_no_reads() {
    for config in [
        "model_config = make(('server',))",
        "model_config = COMMON",
        "model_config = COMMON | SettingsConfigDict(env_prefix='X_')",
        "model_config = SettingsConfigDict(env_prefix=make())",
        "model_config = SettingsConfigDict(env_nested_delimiter=make())",
        "model_config = SettingsConfigDict(alias_generator=make)",
    ] {
        let code = format!(
            "from pydantic_settings import BaseSettings, SettingsConfigDict\nclass S(BaseSettings):\n    {config}\n    a: str\n"
        );
        let (found, notes) = drift("variables: {}\n", &code);
        assert!(found.is_empty(), "{config}: {found:?}");
        assert_eq!(notes, ["the names of this class's variables are computed"]);
    }
    let code = "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    model_config = dict(env_prefix='X_')\n    a: str\n";
    assert_no_drift("variables: {X_A: {}}\n", code);
}

#[test]
fn a_variable_that_the_manifest_itself_uses_is_no_drift() {
    for (name, rest) in [
        ("A", "wait_for: [{postgres: A}]\n"),
        ("A", "steps: [{name: s, command: [echo, '${A}']}]\n"),
        (
            "A",
            "steps: [{name: s, command: [x], announce: {start: 'the ${A}'}}]\n",
        ),
        (
            "A",
            "steps: [{name: s, command: [x], up_to_date: [test, '${A}']}]\n",
        ),
        (
            "A",
            "steps: [{name: s, command: [x], lock: {postgres: A}}]\n",
        ),
        ("A", "server: {command: [x, '--level', '${A:-info}']}\n"),
        ("A", "announce: 'the ${A}'\n"),
    ] {
        let manifest = format!("variables: {{{name}: {{}}}}\n{rest}");
        assert_no_drift(&manifest, "");
    }
    let manifest = "variables: {A: {one_of: [x, y]}, B: {required_when: {A: [x]}}}\n";
    assert_no_drift(manifest, "import os\nos.environ['B']\n");
    let unused = vec!["A unread".to_owned()];
    assert_eq!(drift("variables: {A: {}}\n", ""), (unused, vec![]));
}

#[test]
fn one_declared_name_of_several_for_a_field_is_enough() {
    let code = "from pydantic import AliasChoices, Field\nfrom pydantic_settings import BaseSettings\n\
                class S(BaseSettings):\n    key: str = Field(validation_alias=AliasChoices('ONE', 'TWO'))\n";
    assert_no_drift("variables: {ONE: {}}\n", code);
    assert_no_drift("variables: {TWO: {}}\n", code);
    assert_no_drift("variables: {two: {}}\n", code);
    let found = vec!["ONE undeclared".to_owned()];
    assert_eq!(drift("variables: {}\n", code), (found, vec![]));
}

#[test]
fn code_that_cannot_be_read_is_a_note_and_makes_unread_variables_notes() {
    let manifest = "variables: {A: {}, B: {}}\n";
    for code in [
        "import os\nos.environ['A']\nx = 'unterminated\nos.environ[name()]\n",
        "import os\nos.environ['A']\nos.getenv(f'X_{name}')\n",
        "import os\nprint(os.environ['A']\n",
        "import os\nx = ]\nos.environ['A']\n",
        "import os\né = os.environ['A'] ; ü = os.environ[é]\n",
        "import os\nos.environ['A']\nfrom kit import BaseSettings\nclass S(BaseSettings):\n    b: str\n",
    ] {
        let (found, notes) = drift(manifest, code);
        assert!(found.is_empty(), "{code}: {found:?}");
        assert!(notes.len() >= 2, "{code}: {notes:?}");
        assert!(notes[0].starts_with("no read of B was found"), "{notes:?}");
    }
    // The keys of any other mapping are not the environment's.
    let code =
        "import os\nos.environ['A']\nos.environ['B']\nd = {}\nd['C']; d.get('D'); 'E' in d\n";
    assert_no_drift(manifest, code);
}

#[test]
fn tests_virtual_environments_and_hidden_folders_are_not_scanned() {
    let guard = guard("variables: {}\n", "");
    for (folder, file) in [
        ("app/tests", "x.py"),
        ("app/.hidden", "x.py"),
        ("app/node_modules/x", "x.py"),
        ("app/my-env/lib", "x.py"),
        ("app/pkg", "test_x.py"),
        ("app/pkg", "conftest.py"),
        ("app/pkg", "x.txt"),
    ] {
        let folder = guard.folder.path().join(folder);
        fs::create_dir_all(&folder).expect("the folder can be made");
        fs::write(folder.join(file), "import os\nos.environ['X']\n").expect("it can be written");
    }
    guard.folder.file("app/my-env/pyvenv.cfg", "");
    std::os::unix::fs::symlink("..", guard.folder.path().join("app/loop"))
        .expect("a link can be made");
    guard
        .line("audit app")
        .run()
        .expect_code(0)
        .expect_stdout("the code and required-vars.yaml agree: 1 Python file read\n");
}

#[test]
fn a_wrong_path_or_manifest_has_its_own_exit_code() {
    let run = |line: &str, manifest: &str| guard(manifest, "").line(line).run();
    run("audit missing", "variables: {}\n")
        .expect_code(66)
        .expect_stderr("there is no missing; name the folder with the Python code");
    let empty = guard("variables: {}\n", "");
    fs::remove_file(empty.folder.path().join("app/main.py")).expect("it can be removed");
    empty
        .line("audit app")
        .run()
        .expect_code(66)
        .expect_stderr("there is no Python file in app");
    run("audit", "variables: {}\n").expect_code(64);
    for (audit, fault) in [
        ("{ignore: []}", "audit.ignore: has no names"),
        ("{}", "audit.ignore: has no names"),
        ("{ignore: [A*B]}", "audit.ignore: `A*B` is no name"),
        ("{ignore: ['*']}", "audit.ignore: `*` is no name"),
        (
            "{ignored: [A]}",
            "audit.ignored: unknown key `ignored`; did you mean `ignore`?",
        ),
        (
            "[A]",
            "audit: expected a mapping such as {ignore: [NAME, PREFIX_*]}",
        ),
    ] {
        let manifest = format!("variables: {{}}\naudit: {audit}\n");
        run("audit app", &manifest)
            .expect_code(65)
            .expect_stderr(fault);
    }
}

#[test]
fn no_text_of_the_code_but_names_is_shown() {
    let canary = "c4n4ry-s3cret";
    let code = format!(
        "import os\nA = os.getenv('A', '{canary}')\nB = os.environ[f'{canary}{{x}}']\nC = '{canary}\n\
         D = os.environ.get('D') or '{canary}'\n"
    );
    for format in ["text", "json", "github"] {
        let line = format!("audit app --format {format}");
        let ended = guard("variables: {Z: {default: c4n4ry-s3cret}}\n", &code)
            .line(&line)
            .run();
        let told = format!("{}{}", ended.stdout(), ended.stderr());
        assert!(told.contains("main.py") && !told.contains(canary), "{told}");
    }
}

#[test]
fn hostile_code_ends_in_time() {
    let nested = format!("import os\nx = {}", "os.getenv(".repeat(9_000));
    let subscripts = format!("import os\nx = [{}]", "'A' in os.environ, ".repeat(20_000));
    let chain = format!("import os\n{}", "os = os.x\n".repeat(20_000));
    let all = |count: u32, class: fn(u32) -> String| (0..count).map(class).collect::<String>();
    let classes = all(3000, |number| {
        format!("class K{number}(K{}, K{}): pass\n", number + 1, number + 2)
    });
    let models = all(300, |number| {
        let next = number + 1;
        format!("class M{number}(BaseModel):\n  a: M{next}\n  b: M{next}\n")
    });
    let models = format!(
        "from pydantic import BaseModel\nfrom pydantic_settings import BaseSettings\n{models}\
         class S(BaseSettings):\n  model_config = {{'env_nested_delimiter': '__'}}\n  m: M0\n"
    );
    let annotation = format!(
        "x: {}int{}\n",
        "Optional[".repeat(90_000),
        "]".repeat(90_000)
    );
    let wildcards = format!("{}os.environ[x]\n", "from app.main import *\n".repeat(2000));
    for code in [
        wildcards, nested, subscripts, chain, classes, models, annotation,
    ] {
        guard("variables: {}\n", &code)
            .line("audit app --format json")
            .run();
    }
}
