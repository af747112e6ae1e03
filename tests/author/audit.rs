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
