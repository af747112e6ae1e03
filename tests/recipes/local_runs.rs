//! `run --env-file` takes the same value as docker-compose, python-dotenv and pydantic-settings, whatever the process and
//! two files set.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::Test;
use crate::postgres::venv;
use crate::support::{Folder, Guard};

pub const TESTS: &[Test] = &[(
    "a_local_run_takes_the_values_that_other_readers_take",
    &["docker-compose"],
    a_local_run_takes_the_values_that_other_readers_take,
)];

/// Prints what python-dotenv and pydantic-settings take, and what is in the configuration of compose on standard input.
const READERS: &str = "
import dotenv, json, os, pydantic, pydantic_settings, sys, yaml
names = sys.argv[1:]
class Settings(pydantic_settings.BaseSettings):
    model_config = {'env_file': ('a.env', 'b.env')}
fields = {name: (str | None, None) for name in names}
read = pydantic.create_model('Read', __base__=Settings, **fields)().model_dump()
# The first file that sets a name applies.
dotenv.load_dotenv('b.env')
dotenv.load_dotenv('a.env')
compose = yaml.safe_load(sys.stdin)['services']['a']['environment']
pick = lambda values: {name: values[name] for name in names if values.get(name) is not None}
print(json.dumps([pick(read), pick(os.environ), pick(compose)]))";

type Values = BTreeMap<String, String>;

/// Runs a program in a folder with these variables, and returns its standard output.
fn output(command: &mut Command, folder: &Path, own: &Values) -> String {
    let output = command.current_dir(folder).envs(own).output();
    let output = output.expect("the program starts");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

fn a_local_run_takes_the_values_that_other_readers_take() {
    let (mut own, mut first, mut second) = (Values::new(), Values::new(), Values::new());
    let mut names = Vec::new();
    let choices = [None, Some(""), Some("one"), Some("two")];
    for of_process in choices {
        for of_first in choices {
            for of_second in choices {
                let name = format!("N{}", names.len());
                let places = [
                    (&mut own, of_process),
                    (&mut first, of_first),
                    (&mut second, of_second),
                ];
                for (place, value) in places {
                    place.extend(value.map(|value| (name.clone(), value.to_owned())));
                }
                names.push(name);
            }
        }
    }
    let folder = Folder::new();
    for (file, values) in [("a.env", first), ("b.env", second)] {
        let lines = values
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"));
        folder.file(file, lines.collect::<String>());
    }
    let service =
        serde_json::json!({"image": "x", "env_file": ["a.env", "b.env"], "environment": own});
    let file = serde_json::json!({"version": "3", "services": {"a": service}});
    folder.file("docker-compose.yml", file.to_string());
    let none = Values::new();
    let mut compose = Command::new("docker-compose");
    let config = output(compose.arg("config"), folder.path(), &none);
    let config = std::fs::File::open(folder.file("config.yml", config)).expect("it was written");
    let mut readers = Command::new(venv("python"));
    readers.args(["-c", READERS]).args(&names).stdin(config);
    let readers = output(&mut readers, folder.path(), &own);
    let readers: [Values; 3] = serde_json::from_str(&readers).expect("the script prints JSON");

    let mut guard = Guard::new().in_folder(folder.path());
    for (name, value) in &own {
        guard = guard.env(name, value);
    }
    let line = "run --no-manifest --env-file a.env --env-file b.env -- env";
    let ended = guard.line(line).run().expect_code(0);
    let lines = ended.stdout();
    let pairs = lines.lines().filter_map(|line| line.split_once('='));
    let pairs = pairs.filter(|(name, _)| names.iter().any(|known| known == name));
    let taken: Values = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(taken.len(), names.len() - 1);
    for (reader, values) in ["pydantic-settings", "python-dotenv", "docker-compose"]
        .iter()
        .zip(readers)
    {
        assert_eq!(taken, values, "{reader}");
    }
}
