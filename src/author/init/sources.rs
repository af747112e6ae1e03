//! Reads the names of variables from env files and compose files, with what may be known about their values.

use std::io::ErrorKind;
use std::path::Path;

use crate::dotenv::{self, Entry, Fault};
use crate::manifest::{Node, Value};
use crate::os::file;
use crate::platform::is_shell_name;

/// Env files that are examples, so that their values are no secrets of a deployment. The first one that exists is read.
const EXAMPLES: [&str; 5] = [
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
    "example.env",
];

/// The env file with the values of this machine. It is read only if there is no example, and only for its names.
const REAL: &str = ".env";

const COMPOSE_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// The largest file that is read, in bytes.
const MAX_FILE: usize = 1024 * 1024;

/// How often an env file is read, each time without the lines that could not be read.
const MAX_ATTEMPTS: usize = 20;

/// The longest name that is taken from an env file, in bytes.
const MAX_NAME: usize = 64;

/// The longest comment above a line that is taken, in bytes.
const MAX_COMMENT: usize = 200;

/// A variable that a file lists.
#[derive(Debug)]
pub struct Listed {
    pub name: String,
    /// The file and the line, such as `.env.example:3`.
    pub place: String,
    /// The value if the file is committed with the code, else empty.
    pub value: String,
    /// Whether the value is one of an example file.
    pub is_example: bool,
    /// The comment above the line in an example file.
    pub comment: Option<String>,
}

/// What the files list.
#[derive(Debug, Default)]
pub struct Sources {
    /// In the order of the files and their lines.
    pub listed: Vec<Listed>,
    /// Sentences about files that cannot be read.
    pub notes: Vec<String>,
}

/// Reads the env files and the compose file of a folder. A file that cannot be read becomes a note.
pub fn read(folder: &Path) -> Sources {
    let mut sources = Sources::default();
    let exists = |name: &str| folder.join(name).is_file();
    let example = EXAMPLES.iter().find(|name| exists(name));
    let mut env_files: Vec<String> = example.map(|name| (*name).to_owned()).into_iter().collect();
    if env_files.is_empty() && exists(REAL) {
        env_files.push(REAL.to_owned());
    }
    if let Some(name) = COMPOSE_FILES.iter().find(|name| exists(name)) {
        match text(&folder.join(name)) {
            Ok(text) => sources.read_compose(name, &text, &mut env_files),
            Err(reason) => sources.notes.push(format!("{name} {reason}")),
        }
    }
    for name in env_files.iter().rev() {
        sources.read_env_file(folder, name);
    }
    sources
}

/// Reads a file of text, at most [`MAX_FILE`].
///
/// # Errors
/// The predicate of a sentence whose subject is the file.
pub fn text(path: &Path) -> Result<String, String> {
    let content = file::read(path, MAX_FILE).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be read: {error}"),
    })?;
    if content.len() > MAX_FILE {
        return Err("is larger than 1 MiB".to_owned());
    }
    String::from_utf8(content).map_err(|_| "is not UTF-8".to_owned())
}

impl Sources {
    /// Reads an env file, whose variables come before those that are listed already.
    fn read_env_file(&mut self, folder: &Path, name: &str) {
        let content = match text(&folder.join(name)) {
            Ok(content) => content,
            // Compose reports a missing file itself.
            Err(reason) if reason == "does not exist" => return,
            Err(reason) => return self.notes.push(format!("{name} {reason}")),
        };
        let Some(entries) = self.entries(name, &content) else {
            return;
        };
        let lines: Vec<&str> = content.lines().collect();
        let keys = lines_of_keys(&lines);
        let is_example = EXAMPLES.contains(&name);
        let entries = entries.into_iter();
        let entries =
            entries.filter(|entry| !keys.contains(&entry.line) && is_name(&entry.name, is_example));
        let listed = entries.map(|entry| Listed {
            place: format!("{name}:{}", entry.line),
            value: if is_example {
                entry.value
            } else {
                String::new()
            },
            is_example,
            comment: comment_above(&lines[..entry.line - 1]).filter(|_| is_example),
            name: entry.name,
        });
        self.listed = listed.chain(self.listed.drain(..)).collect();
    }

    /// The entries of an env file. Lines that cannot be read are left out.
    fn entries(&mut self, name: &str, content: &str) -> Option<Vec<Entry>> {
        let mut lines: Vec<&str> = content.lines().collect();
        for _ in 0..MAX_ATTEMPTS {
            let text = lines.join("\n");
            let has_entry =
                |line: &str| !matches!(line.trim_start().chars().next(), None | Some('#'));
            if !text.lines().any(has_entry) {
                return None;
            }
            let file = dotenv::load(name, None, &|_| None, |_| Ok(text.into_bytes()));
            let fault = match file {
                Ok(file) => return Some(file.entries),
                Err(error) => error.fault,
            };
            let Fault::Lines(faults) = fault else {
                self.notes.push(format!("{name} is left out: {fault}"));
                return None;
            };
            for fault in faults {
                lines[fault.line - 1] = "";
                self.notes
                    .push(format!("{name}: {fault}, so it is left out"));
            }
        }
        None
    }

    /// Reads the services that are built from the code, and adds the files of their `env_file` to `env_files`.
    fn read_compose(&mut self, name: &str, text: &str, env_files: &mut Vec<String>) {
        let tree = Node::parse(text).and_then(|tree| tree.spelled(text));
        let Ok(mut tree) = tree else {
            return self.notes.push(format!(
                "{name} is not valid YAML, so its variables are not in the manifest"
            ));
        };
        tree.locate(text);
        let services = get(&tree, "services").map_or(&[][..], |node| node.value.entries());
        let built = services.iter().map(|(_, service)| service);
        let built = built.filter(|service| get(service, "build").is_some());
        let (own, others): (Vec<_>, Vec<_>) = built.partition(|service| is_built_here(service));
        for service in if own.is_empty() { others } else { own } {
            for (variable, value, line) in
                get(service, "environment").map(pairs).unwrap_or_default()
            {
                self.add_of_compose(name, variable, value, line);
            }
            for path in get(service, "env_file").map(paths).unwrap_or_default() {
                let path = path.trim_start_matches("./").to_owned();
                if !env_files.contains(&path) {
                    env_files.push(path);
                }
            }
        }
    }

    fn add_of_compose(&mut self, file: &str, name: String, value: String, line: usize) {
        // Compose resolves `${NAME}` from the environment of the machine.
        let value = if value.contains('$') {
            String::new()
        } else {
            value
        };
        if is_name(&name, true) {
            self.listed.push(Listed {
                name,
                place: format!("{file}:{line}"),
                value,
                is_example: false,
                comment: None,
            });
        }
    }
}

/// Whether a text from an env file is the name of a variable. In a file with real values it may also be a part of a
/// secret that continues on the next line, whose letters are of both cases.
fn is_name(name: &str, is_committed: bool) -> bool {
    let has_one_case = name == name.to_uppercase() || name == name.to_lowercase();
    !name.is_empty()
        && name.len() <= MAX_NAME
        && is_shell_name(name)
        && (is_committed || has_one_case)
}

/// The numbers of the lines inside keys in PEM format, counted from 1.
fn lines_of_keys(lines: &[&str]) -> Vec<usize> {
    let mut is_inside = false;
    let is_of_key = |(line, number): (&&str, usize)| {
        let was_inside = is_inside;
        is_inside = line.contains("-----BEGIN ") || is_inside && !line.contains("-----END ");
        was_inside.then_some(number)
    };
    lines.iter().zip(1..).filter_map(is_of_key).collect()
}

/// The comment that ends right before an entry, as one line. `None` if it has an assignment, which may be a value.
fn comment_above(lines: &[&str]) -> Option<String> {
    let comments = lines.iter().rev();
    let comments = comments.map_while(|line| line.trim().strip_prefix('#'));
    // A line of dashes or the like ends a heading.
    let comments = comments.map(|line| line.trim_matches(['#', ' ', '-', '=', '*', '\t']));
    let mut comments: Vec<&str> = comments.take_while(|line| !line.is_empty()).collect();
    comments.reverse();
    let text = comments.join(" ");
    let is_usable = !text.is_empty() && text.len() <= MAX_COMMENT && !text.contains('=');
    is_usable.then_some(text)
}

/// The value of a key in a mapping of a compose file, also from the mappings that `<<` merges into it.
fn get<'n, 't>(node: &'n Node<'t>, key: &str) -> Option<&'n Node<'t>> {
    let mut entries = node.merged(&mut |_, _| {}).into_iter();
    let found = entries.find(|(name, _)| name == key);
    found.map(|(_, node)| node)
}

/// Whether a service is built from the folder of the compose file itself.
fn is_built_here(service: &Node<'_>) -> bool {
    let context = get(service, "build").map(|build| get(build, "context").unwrap_or(build));
    let context = context.and_then(|node| node.text.as_deref());
    context.is_some_and(|path| matches!(path, "." | "./"))
}

/// The names, values and lines of `environment`, which is a mapping or a list.
fn pairs(node: &Node<'_>) -> Vec<(String, String, usize)> {
    let line = |node: &Node<'_>| node.line.unwrap_or_default();
    let value = |node: &Node<'_>| node.text.as_deref().unwrap_or_default().to_owned();
    if let Value::List(items) = &node.value {
        let pair = |item: &Node<'_>| {
            let text = value(item);
            let (name, value) = text.split_once('=').unwrap_or((&text, ""));
            (name.to_owned(), value.to_owned(), line(item))
        };
        return items.iter().map(pair).collect();
    }
    let entries = node.merged(&mut |_, _| {}).into_iter();
    entries
        .map(|(name, node)| (name.clone().into_owned(), value(node), line(node)))
        .collect()
}

/// The paths of `env_file`: a text, or a list of texts and of mappings with `path`.
fn paths(node: &Node<'_>) -> Vec<String> {
    let one = std::slice::from_ref(node);
    let items = if let Value::List(items) = &node.value {
        items
    } else {
        one
    };
    let text = |item: &Node<'_>| {
        get(item, "path")
            .unwrap_or(item)
            .text
            .as_deref()
            .map(str::to_owned)
    };
    items.iter().filter_map(text).collect()
}
