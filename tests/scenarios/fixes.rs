//! Applies each fix of a scenario's report, and checks again: the variables of the fix must have no error any more.
//!
//! Commands run in a shell, with `platform.sh` in the place of the platforms' command lines, and generators really run.
//! What a fix asks for is made up: typed secrets, gaps such as `<url>`, the values of other services, and what Railway
//! puts in the place of a reference.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use regex_lite::{Captures, Regex};
use serde_json::Value;

use crate::{Folder, Scenario, texts};

/// The variables of a Railway project's databases.
const RAILWAY: [(&str, &str); 14] = [
    (
        "DATABASE_URL",
        "postgresql://postgres:Tq4xk2Wd9mZ7@postgres.railway.internal:5432/railway",
    ),
    ("PGUSER", "postgres"),
    ("PGPASSWORD", "Tq4xk2Wd9mZ7"),
    ("PGHOST", "postgres.railway.internal"),
    ("PGPORT", "5432"),
    ("PGDATABASE", "railway"),
    (
        "MYSQL_URL",
        "mysql://root:Tq4xk2Wd9mZ7@mysql.railway.internal:3306/railway",
    ),
    (
        "REDIS_URL",
        "redis://default:Tq4xk2Wd9mZ7@redis.railway.internal:6379",
    ),
    (
        "MONGO_URL",
        "mongodb://mongo:Tq4xk2Wd9mZ7@mongodb.railway.internal:27017",
    ),
    ("MYSQLUSER", "root"),
    ("MYSQLPASSWORD", "Tq4xk2Wd9mZ7"),
    ("MYSQLHOST", "mysql.railway.internal"),
    ("MYSQLPORT", "3306"),
    ("MYSQLDATABASE", "railway"),
];

/// What is wrong with the fixes in a summary.
pub fn wrong(name: &str, scenario: &Scenario, summary: &Value) -> Vec<String> {
    let fixes = summary["fixes"].as_array().into_iter().flatten();
    let all = fixes.enumerate().flat_map(|(index, fix)| {
        let names = texts_of(&fix["variables"]);
        let applied = Applied::new(&format!("{name}-fix-{index}"), scenario);
        let (told, is_other_file) = applied.apply(fix);
        let left = if is_other_file {
            Vec::new()
        } else {
            applied.check_again(&told)
        };
        let left = left
            .into_iter()
            .filter(move |(name, _)| names.contains(name));
        let left: Vec<_> = left.collect();
        let title = fix["title"].to_string();
        left.into_iter().map(move |(name, problem)| {
            format!("the fix {title} does not help: {name} {problem}\n{told:?}")
        })
    });
    all.collect()
}

fn texts_of(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A scenario in which a fix is applied.
struct Applied<'a> {
    scenario: &'a Scenario,
    folder: Folder,
}

impl<'a> Applied<'a> {
    fn new(name: &str, scenario: &'a Scenario) -> Self {
        let folder = Folder::new(name, scenario);
        let path = &folder.0;
        let stub = path.join("bin/platform.sh");
        for folder in ["bin", "other", "store"] {
            fs::create_dir_all(path.join(folder)).expect("the folder can be made");
        }
        fs::write(&stub, include_str!("platform.sh")).expect("the script can be written");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&stub, mode).expect("the script can be made executable");
        for program in ["railway", "fly", "heroku", "kubectl", "gcloud", "aws"] {
            symlink(&stub, path.join("bin").join(program)).expect("it can be linked");
        }
        if !Path::new("/usr/bin/openssl").exists() {
            symlink(&stub, path.join("bin/openssl")).expect("it can be linked");
        }
        let guard = env!("CARGO_BIN_EXE_startup-guard");
        symlink(guard, path.join("bin/startup-guard")).expect("it can be linked");
        let applied = Self { scenario, folder };
        let mut lines = String::new();
        let declared = scenario.manifest["variables"].as_mapping();
        for name in declared
            .into_iter()
            .flatten()
            .filter_map(|(name, _)| name.as_str())
        {
            let value = applied.made_up(name);
            applied.write(&format!("other/{name}"), &value);
            lines += &format!("{name}={value}\n");
        }
        applied.write("other.env", &lines);
        applied
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.0.join(file), text).expect("the file can be written");
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.0.join(file)).unwrap_or_default()
    }

    /// Applies the fix. Returns the values that it sets on a platform, and whether it checks another file instead, which
    /// is sound.
    fn apply(&self, fix: &Value) -> (BTreeMap<String, String>, bool) {
        let commands = texts_of(&fix["commands"]);
        let mut set = BTreeMap::new();
        let mut is_other_file = false;
        for command in &commands {
            if let Some(lines) = command.strip_prefix("envVars:") {
                set.extend(Self::of_render(lines));
            } else if command.starts_with("{\"name\"") {
                set.extend(Self::of_ecs(command));
            } else if command != "startup-guard check --env-file .env" {
                let is_check = command.starts_with("startup-guard check");
                is_other_file |= self.run(command) && is_check;
            }
        }
        let store = fs::read_dir(self.folder.0.join("store")).expect("the folder is there");
        for file in store {
            let name = file.expect("the entry can be read").file_name();
            let name = name.to_string_lossy().into_owned();
            set.insert(name.clone(), self.read(&format!("store/{name}")));
        }
        for (name, value) in &mut set {
            *value = self.completed(name, value);
        }
        (set, is_other_file)
    }

    /// Runs a command, and types what it asks for. Returns whether it succeeds.
    fn run(&self, command: &str) -> bool {
        let command = command
            .replace("<other file>", "other.env")
            .replace("<directory>", ".");
        let asks = Regex::new(r"\$\(ask ([^)]+)\)|^railway variable set (\S+) --stdin")
            .expect("it is well-formed");
        let names = asks
            .captures_iter(&command)
            .filter_map(|found| found.get(1).or(found.get(2)));
        let typed: String = names
            .map(|name| self.made_up(name.as_str()) + "\n")
            .collect();
        let mut shell = Command::new("sh")
            .args(["-c", &command])
            .current_dir(&self.folder.0)
            .env(
                "PATH",
                format!("{}/bin:/usr/bin:/bin", self.folder.0.display()),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let mut terminal = shell.stdin.take().expect("it is piped");
        // A program that does not ask for input reads nothing.
        let _ = terminal.write_all(typed.as_bytes());
        drop(terminal);
        shell.wait().expect("it ends").success()
    }

    /// The values of lines for Render.
    fn of_render(lines: &str) -> Vec<(String, String)> {
        let entries: Vec<Value> = serde_yaml::from_str(lines).expect("the lines are YAML");
        let value = |entry: &Value| match (&entry["value"], &entry["generateValue"]) {
            (Value::String(text), _) => text.clone(),
            (_, Value::Bool(true)) => "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=".to_owned(),
            _ => "<entered in the dashboard>".to_owned(),
        };
        let pairs = entries.iter();
        pairs
            .map(|entry| {
                (
                    entry["key"].as_str().unwrap_or_default().to_owned(),
                    value(entry),
                )
            })
            .collect()
    }

    /// The values of lines for ECS.
    fn of_ecs(lines: &str) -> Vec<(String, String)> {
        let entries: Vec<Value> =
            serde_json::from_str(&format!("[{lines}]")).expect("the lines are JSON");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let pairs = entries.iter().filter_map(|entry| {
            let value = text(&entry["value"]).or_else(|| text(&entry["valueFrom"]));
            Some((text(&entry["name"])?, value?))
        });
        pairs.collect()
    }

    /// A value with its gap filled in, and its references replaced.
    fn completed(&self, name: &str, value: &str) -> String {
        if value.starts_with('<') && value.ends_with('>') {
            return self.made_up(name);
        }
        let reference =
            Regex::new(r"\$\{\{(?:([^{}.]*)\.)?([^{}]*)\}\}").expect("it is well-formed");
        let replaced = reference.replace_all(value, |found: &Captures<'_>| {
            let name = &found[2];
            let of_database = RAILWAY.iter().find(|(known, _)| *known == name);
            match (found.get(1).map(|service| service.as_str()), of_database) {
                (None, _) => self.scenario.environment[name].clone(),
                (Some("<other service>"), _) | (_, None) => self.made_up(name),
                (_, Some((_, value))) => (*value).to_owned(),
            }
        });
        replaced.into_owned()
    }

    /// Checks again with these values. Returns the variables with an error, and what is wrong with them.
    fn check_again(&self, set: &BTreeMap<String, String>) -> Vec<(String, String)> {
        let mut arguments: Vec<&str> = self.scenario.arguments.iter().map(String::as_str).collect();
        let of_file = arguments.iter().position(|word| *word == "--env-file");
        let file = of_file.map(|at| arguments[at + 1]);
        if file.is_none() && self.folder.0.join(".env").exists() {
            arguments.extend(["--env-file", ".env"]);
        }
        let file = file.unwrap_or(".env");
        let mut lines = String::new();
        for line in self.read(file).lines() {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            let gap = value.trim_matches('"');
            let is_gap = gap.starts_with('<') && gap.ends_with('>');
            let filled = is_gap.then(|| format!("{name}={}", self.made_up(name)));
            lines += &filled.unwrap_or_else(|| line.to_owned());
            lines += "\n";
        }
        if of_file.is_some() {
            // A file's value takes precedence.
            lines.extend(set.iter().map(|(name, value)| format!("{name}={value}\n")));
        }
        if !lines.is_empty() {
            self.write(file, &lines);
        }
        let mut command = self.folder.command(self.scenario);
        command
            .arg("check")
            .args(arguments)
            .args(["--format", "json"]);
        if of_file.is_none() {
            command.envs(set);
        }
        let output = command.output().expect("the guard runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let summary: Value = text
            .lines()
            .last()
            .and_then(|line| serde_json::from_str(line).ok())
            .unwrap_or_default();
        let findings = summary["findings"]
            .as_array()
            .expect("there is a report")
            .iter();
        let errors = findings.filter(|finding| finding["severity"] == "error");
        let pairs = errors.filter_map(|finding| {
            let name = finding["variable"].as_str()?;
            Some((name.to_owned(), finding["problem"].to_string()))
        });
        pairs.collect()
    }

    /// A value that the manifest admits for this variable, without characters that are special anywhere.
    fn made_up(&self, name: &str) -> String {
        if let Some(value) = self.scenario.made_up.get(name) {
            return value.clone();
        }
        let rule = serde_json::to_value(&self.scenario.manifest["variables"][name]);
        let rule = rule.unwrap_or_default();
        let of = |key: &str| rule[key].as_str().map(str::to_owned);
        let schemes = texts(
            &serde_json::json!([{"scheme": rule["schemes"][0]}]),
            "scheme",
        )
        .concat();
        let scheme = if schemes.is_empty() {
            "https"
        } else {
            &schemes
        };
        let pattern = of("pattern").unwrap_or_default();
        let is_literal = |other: &char| other.is_ascii_alphanumeric() || "_-".contains(*other);
        let prefix: String = pattern
            .trim_start_matches('^')
            .chars()
            .take_while(is_literal)
            .collect();
        let limit = |key: &str| {
            rule[key]
                .as_u64()
                .and_then(|limit| usize::try_from(limit).ok())
        };
        let of_type = of("type").unwrap_or_default();
        let item = match (of_type.as_str(), &rule["one_of"][0]) {
            (_, Value::String(only)) => only.clone(),
            ("integer" | "number", _) => rule["min"].as_u64().unwrap_or(7).to_string(),
            ("boolean", _) => "true".to_owned(),
            ("port", _) => "8080".to_owned(),
            ("url", _) => format!("{scheme}://app:Tq4xk2Wd9mZ7@made-up.example.net:5432/app"),
            ("origin", _) => "https://made-up.example.net".to_owned(),
            ("email", _) => "ops@example.net".to_owned(),
            ("json", _) => "{}".to_owned(),
            ("path", _) => "/srv/data".to_owned(),
            ("duration", _) => "30s".to_owned(),
            ("host", _) => "made-up.example.net".to_owned(),
            _ => {
                let text = format!("{prefix}{}Tq4xk2Wd9mZ7", name.to_lowercase());
                let length = limit("min_length").unwrap_or(0).max(24);
                let text = text.chars().chain("Rb6Lp0Vc3".chars().cycle());
                text.take(length.min(limit("max_length").unwrap_or(length)))
                    .collect()
            }
        };
        match of("list").as_deref() {
            Some("json") if ["integer", "number", "port", "boolean"].contains(&&*of_type) => {
                format!("[{item}]")
            }
            Some("json") => format!("[\"{item}\"]"),
            _ => item,
        }
    }
}
