//! Reads how a service is started: from its Procfile, its Dockerfile or a script.

use std::path::Path;

use super::sources::text;
use super::words::{commands, listed};
use crate::manifest::takes_text;
use crate::os::program::SHELLS;
use crate::platform::is_shell_name;

/// Scripts that start a service, if neither a Procfile nor a Dockerfile says how.
const SCRIPTS: [&str; 5] = [
    "start.sh",
    "entrypoint.sh",
    "docker-entrypoint.sh",
    "run.sh",
    "scripts/start.sh",
];

/// Scripts that run before the server.
const BEFORE: [&str; 2] = ["prestart.sh", "scripts/prestart.sh"];

/// Commands of a shell that change what the following commands see, separated by spaces.
const CHANGING: &str = "cd pushd popd export unset source . eval alias umask ulimit trap shift read declare local readonly";

/// Commands of a shell that change nothing for the following commands, separated by spaces.
const HARMLESS: &str = "set echo printf true : exit sleep";

/// Programs that run another one after the word `run`, separated by spaces.
const RUNNERS: &str = "uv poetry pipenv pdm hatch rye";

/// A doubt about a command that is in [`CHANGING`].
const CHANGES: &str = "changes what the following commands see";

/// How often a command can be a script in which another script is the last command.
const MAX_SCRIPTS: usize = 4;

/// The largest number of further processes that are read.
const MAX_OTHERS: usize = 40;

/// A command with the file and the line where it was found.
#[derive(Debug)]
pub struct Command {
    pub words: Vec<String>,
    pub place: String,
}

/// How a service is started.
#[derive(Debug, Default)]
pub struct Start {
    /// The commands that run before the server, in order.
    pub before: Vec<Command>,
    pub server: Option<Command>,
    /// The further processes of a Procfile by name. If a command cannot be read for certain, the reason is instead of it.
    pub others: Vec<(String, Result<Command, String>)>,
    /// Sentences about what cannot be read for certain.
    pub doubts: Vec<String>,
}

impl Command {
    /// Whether the command migrates the database.
    pub fn is_migration(&self) -> bool {
        let has = |word: &str| self.words.iter().any(|known| known == word);
        let django = self.words.iter().any(|word| word.ends_with("manage.py"));
        has("upgrade") && (has("alembic") || has("flask") || has("aerich"))
            || django && has("migrate")
    }

    /// The name of its step: `migrate`, or the script that it runs.
    pub fn step(&self) -> String {
        if self.is_migration() {
            return "migrate".to_owned();
        }
        let is_script = |word: &&String| is_script(word);
        let module = self.words.iter().skip_while(|word| *word != "-m").nth(1);
        let script = self.words.iter().find(is_script).or(module);
        let word = script.or(self.words.first()).map_or("", String::as_str);
        let name = word.rsplit('/').next().unwrap_or_default();
        let name = name.trim_end_matches(".py").trim_end_matches(".sh");
        let name = name.rsplit('.').next().unwrap_or_default();
        let name = name.replace(|other: char| !other.is_ascii_alphanumeric(), "_");
        if name.is_empty() {
            "prepare".to_owned()
        } else {
            name
        }
    }

    /// Whether it is no migration, and has words that may be anything: all but options, the program, and the script,
    /// the module or the subcommand of `manage.py` that it runs.
    fn has_arguments(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let words = match &*words {
            [runner, "run", rest @ ..] if is_in(RUNNERS, runner) => rest,
            all => all,
        };
        let known = match words {
            [python, "-m", ..] if python.starts_with("python") => 3,
            [python, script, ..] if python.starts_with("python") && is_script(script) => {
                2 + usize::from(script.ends_with("manage.py"))
            }
            [script, ..] if script.ends_with("manage.py") => 2,
            _ => 1,
        };
        let mut others = words.iter().skip(known);
        !self.is_migration() && others.any(|word| !word.starts_with('-'))
    }

    /// Whether it is alembic's upgrade.
    pub fn is_alembic(&self) -> bool {
        self.is_migration() && self.words.iter().any(|word| word == "alembic")
    }
}

/// Reads the start from the files of a folder.
pub fn read(folder: &Path) -> Start {
    let mut reader = Reader {
        folder,
        start: Start::default(),
        scripts: 0,
    };
    let read = |name: &str| text(&folder.join(name)).ok();
    let procfile = read("Procfile").unwrap_or_default();
    if let Some((line, web)) = process(&procfile, "web") {
        if let Some((line, release)) = process(&procfile, "release") {
            reader.line(release, &format!("Procfile:{line}"));
            reader.move_before();
        }
        reader.line(web, &format!("Procfile:{line}"));
        reader.start.others = others(folder, &procfile);
    } else if let Some(text) = read("Dockerfile") {
        reader.image(&image(&text));
    }
    let start = &reader.start;
    if start.server.is_none() && start.doubts.is_empty() {
        reader.first_of(&SCRIPTS);
    }
    if reader.scripts == 0 && reader.start.before.is_empty() {
        let server = reader.start.server.take();
        reader.first_of(&BEFORE);
        reader.move_before();
        reader.start.server = server;
    }
    reader.start
}

/// The line and the command of a process of a Procfile.
fn process<'t>(text: &'t str, name: &str) -> Option<(usize, &'t str)> {
    let mut lines = text.lines().zip(1..);
    lines.find_map(|(line, number)| {
        let command = line.strip_prefix(name)?.trim_start().strip_prefix(':')?;
        Some((number, command.trim()))
    })
}

/// The processes of a Procfile, but `web` and `release`.
fn others(folder: &Path, procfile: &str) -> Vec<(String, Result<Command, String>)> {
    let mut others: Vec<(String, Result<Command, String>)> = Vec::new();
    for (line, number) in procfile.lines().zip(1..) {
        let is_part = |other: char| other.is_ascii_alphanumeric() || "_-".contains(other);
        let Some((name, command)) = line.split_once(':') else {
            continue;
        };
        let is_known = name == "web" || name == "release";
        let is_again = others.iter().any(|(other, _)| other == name);
        let is_name = !name.is_empty() && name.len() <= 64 && name.chars().all(is_part);
        if is_known || is_again || !is_name || others.len() == MAX_OTHERS {
            continue;
        }
        let mut reader = Reader {
            folder,
            start: Start::default(),
            scripts: 0,
        };
        let place = format!("Procfile:{number}");
        reader.line(command.trim(), &place);
        let is_alone = reader.start.before.is_empty() && reader.start.doubts.is_empty();
        let found = reader.start.server.filter(|_| is_alone);
        let doubt = || format!("{place} has more than one plain command");
        let doubt = reader.start.doubts.into_iter().next().unwrap_or_else(doubt);
        others.push((name.to_owned(), found.ok_or(doubt)));
    }
    others
}

struct Reader<'a> {
    folder: &'a Path,
    start: Start,
    /// The number of scripts that were read.
    scripts: usize,
}

impl Reader<'_> {
    fn doubt(&mut self, place: &str, what: &str) {
        self.start.doubts.push(format!("{place} {what}"));
    }

    /// Makes what was read as the server a command that runs before it.
    fn move_before(&mut self) {
        match self.start.server.take() {
            Some(command) if command.has_arguments() => {
                self.doubt(
                    &command.place,
                    "has arguments, one of which may be a secret",
                );
            }
            command => self.start.before.extend(command),
        }
    }

    /// Reads the first script that exists.
    fn first_of(&mut self, scripts: &[&str]) {
        let mut scripts = scripts.iter();
        if let Some(script) = scripts.find(|script| self.folder.join(script).is_file()) {
            self.script(script, &[]);
        }
    }

    /// Reads a line of a shell whose last command becomes the server.
    fn line(&mut self, line: &str, place: &str) {
        self.statement(line, place, Some(&[]));
    }

    /// Reads a line of a shell. The last command becomes the server if the arguments of the script are given, which
    /// replace its `"$@"`.
    fn statement(&mut self, line: &str, place: &str, last: Option<&[String]>) {
        if matches!(line, "exec \"$@\"" | "\"$@\"") {
            return match last {
                Some(arguments) if !arguments.is_empty() => {
                    self.last(arguments.to_vec(), place, &[]);
                }
                _ => self.doubt(place, "runs a command that is not known here"),
            };
        }
        // The next step does not run after a step that has failed, either.
        let plain = line.strip_suffix("|| exit 1").unwrap_or(line);
        let Some(mut all) = commands(plain) else {
            let is_harmless = last.is_none() && is_in(HARMLESS, first_word(line));
            if !is_harmless || changes(line) {
                self.doubt(place, "cannot be split into plain words");
            }
            return;
        };
        let server = last.and_then(|_| all.pop());
        for words in all {
            self.before(words, place);
        }
        if let (Some(server), Some(arguments)) = (server, last) {
            self.last(server, place, arguments);
        }
    }

    /// Reads a command before the server.
    fn before(&mut self, words: Vec<String>, place: &str) {
        let first = words.first().map_or("", String::as_str);
        if is_in(CHANGING, first) {
            self.doubt(place, CHANGES);
        } else if !is_in(HARMLESS, first) {
            let server = self.start.server.take();
            self.last(words, place, &[]);
            self.move_before();
            self.start.server = server;
        }
    }

    /// Reads the last command, which becomes the server. `arguments` are those of the script that has it.
    fn last(&mut self, mut words: Vec<String>, place: &str, arguments: &[String]) {
        if words.first().is_some_and(|first| first == "exec") {
            words.remove(0);
        }
        words = without_guard(words);
        if words.is_empty() {
            return;
        }
        let first = words.first().map_or("", String::as_str);
        let script = match &*words {
            [shell, option, line] if is_shell(shell) && takes_text(option) => {
                return self.line(line, place);
            }
            [shell, script, ..] if is_shell(shell) => self.find(script).map(|file| (file, 2)),
            [script, ..] if is_script(script) => self.find(script).map(|file| (file, 1)),
            _ => None,
        };
        if let Some((file, start)) = script {
            let arguments = [&words[start..], arguments].concat();
            return self.script(&file, &arguments);
        }
        if is_in(HARMLESS, first) || is_in(CHANGING, first) {
            return self.doubt(place, "does not end with a server");
        }
        self.start.server = Some(Command {
            words,
            place: place.to_owned(),
        });
    }

    /// The path of a script below the folder, from its path in an image.
    fn find(&self, script: &str) -> Option<String> {
        let parts = script.split('/');
        let parts = parts.filter(|part| !matches!(*part, "" | "." | ".."));
        let parts: Vec<&str> = parts.collect();
        let mut paths = (0..parts.len()).map(|start| parts[start..].join("/"));
        paths.find(|path| self.folder.join(path).is_file())
    }

    /// Reads a script, whose last command becomes the server.
    fn script(&mut self, file: &str, arguments: &[String]) {
        self.scripts += 1;
        let content = match text(&self.folder.join(file)) {
            Ok(content) if self.scripts <= MAX_SCRIPTS => content,
            Ok(_) => return self.doubt(file, "is one of many scripts that start each other"),
            Err(reason) => return self.doubt(file, &reason),
        };
        let lines = statements(&content);
        let mut depth = 0_usize;
        for (index, (number, line)) in lines.iter().enumerate() {
            let place = format!("{file}:{number}");
            let last = (index + 1 == lines.len()).then_some(arguments);
            let (starts, ends) = block(line);
            if depth == 0 && !starts {
                self.statement(line, &place, last);
            } else if changes(line) {
                self.doubt(&place, CHANGES);
            } else if last.is_some() {
                self.doubt(&place, "is not the server");
            }
            depth = (depth + usize::from(starts)).saturating_sub(usize::from(ends));
        }
        if lines.is_empty() {
            self.doubt(file, "has no commands");
        }
    }

    /// Reads the command of an image: ENTRYPOINT followed by CMD.
    fn image(&mut self, image: &Image) {
        let mut place = String::new();
        let mut words = Vec::new();
        if let Some(Part {
            line,
            words: list,
            text,
        }) = &image.entrypoint
        {
            place = format!("Dockerfile:{line}");
            match list {
                Some(list) => words.clone_from(list),
                // In this form, Docker ignores CMD.
                None => return self.line(text, &place),
            }
        }
        if let Some(Part {
            line,
            words: list,
            text,
        }) = &image.command
        {
            place = format!("Dockerfile:{line}");
            match list {
                Some(list) => words.extend_from_slice(list),
                None if words.is_empty() => return self.line(text, &place),
                None => words.extend(["/bin/sh", "-c", text].map(str::to_owned)),
            }
        }
        words = without_guard(words);
        if matches!(&*words, [shell, option, _] if is_shell(shell) && takes_text(option)) {
            self.last(words, &place, &[]);
        } else if let Some(words) = listed(&words) {
            self.last(words, &place, &[]);
        } else if !words.is_empty() {
            self.doubt(&place, "cannot be split into plain words");
        }
    }
}

/// The command that follows the guard, or the whole command if the guard is not in it.
fn without_guard(mut words: Vec<String>) -> Vec<String> {
    let is_guard = |word: &String| word.rsplit('/').next() == Some("startup-guard");
    if words.first().is_some_and(is_guard) {
        let end = words.iter().position(|word| word == "--");
        words.drain(..end.map_or(words.len(), |end| end + 1));
    }
    words
}

/// Whether a word is the path of a script for a shell or Python.
fn is_script(word: &str) -> bool {
    let extension = word.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("sh" | "py"))
}

fn is_shell(word: &str) -> bool {
    SHELLS.contains(&word.rsplit('/').next().unwrap_or_default())
}

fn first_word(line: &str) -> &str {
    line.split([' ', '\t', ';']).next().unwrap_or_default()
}

/// Whether a line of a script may change what the following commands see.
fn changes(line: &str) -> bool {
    let mut words = line.split([' ', '\t', ';']);
    let is_text = is_in(HARMLESS, first_word(line)) && !line.contains([';', '&', '|']);
    let is_assignment = |word: &str| {
        let name = word.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| !name.is_empty() && is_shell_name(name))
    };
    !is_text && words.any(|word| is_in(CHANGING, word) || is_assignment(word))
}

/// Whether a line begins a block of a script, and whether it ends one.
fn block(line: &str) -> (bool, bool) {
    let is_end = |word: &str| matches!(word, "fi" | "done" | "esac" | "}");
    let starts = matches!(first_word(line), "if" | "for" | "while" | "until" | "case");
    let last = line.rsplit([' ', '\t', ';']).next().unwrap_or_default();
    (
        starts || line.ends_with('{'),
        is_end(last) || is_end(first_word(line)),
    )
}

fn is_in(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

/// The lines of a script with their numbers, without blank lines and comments. A backslash at the end of a line joins
/// it to the next one.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut is_open = false;
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part.trim_end(), true),
            None => (line, false),
        };
        match found.last_mut().filter(|_| is_open) {
            Some((_, statement)) => {
                *statement += " ";
                *statement += part;
            }
            None if line.is_empty() || line.starts_with('#') => continue,
            None => found.push((number, part.to_owned())),
        }
        is_open = goes_on;
    }
    found
}

/// ENTRYPOINT or CMD of a Dockerfile.
#[derive(Clone, Debug)]
struct Part {
    line: usize,
    /// The words, if it is a JSON list.
    words: Option<Vec<String>>,
    text: String,
}

/// What a stage of a Dockerfile runs.
#[derive(Clone, Debug, Default)]
struct Image {
    entrypoint: Option<Part>,
    command: Option<Part>,
}

/// Reads the last stage of a Dockerfile, with what it inherits from earlier ones.
fn image(text: &str) -> Image {
    let mut stages: Vec<(String, Image)> = Vec::new();
    let mut current = Image::default();
    let mut name = None;
    // Whether the stage itself has a CMD: an ENTRYPOINT discards that of the base.
    let mut has_command = false;
    // The last line of a here-document.
    let mut document_end = None;
    for (line, statement) in statements(text) {
        if document_end.is_some() {
            document_end = document_end.filter(|end| *end != statement);
            continue;
        }
        let (instruction, rest) = statement
            .split_once([' ', '\t'])
            .unwrap_or((&statement, ""));
        let rest = rest.trim();
        let part = || Part {
            line,
            words: serde_json::from_str(rest).ok(),
            text: rest.to_owned(),
        };
        match &*instruction.to_ascii_uppercase() {
            "FROM" => {
                let words: Vec<&str> = rest
                    .split_whitespace()
                    .filter(|word| !word.starts_with("--"))
                    .collect();
                if let Some(name) = name.take() {
                    stages.push((name, current));
                }
                let base = words
                    .first()
                    .map(|base| base.to_lowercase())
                    .unwrap_or_default();
                let stage = stages.iter().rev().find(|(name, _)| *name == base);
                current = stage.map_or_else(Image::default, |(_, image)| image.clone());
                has_command = false;
                name = words.get(2).map(|name| name.to_lowercase());
            }
            "ENTRYPOINT" => {
                current.entrypoint = Some(part());
                current.command = current.command.filter(|_| has_command);
            }
            "CMD" => {
                current.command = Some(part());
                has_command = true;
            }
            "RUN" | "COPY" | "ADD" => {
                let end = rest
                    .split_once("<<")
                    .map(|(_, end)| end.trim_start_matches('-'));
                let end = end.and_then(|end| end.split_whitespace().next());
                document_end = end.map(|end| end.trim_matches(['"', '\'']).to_owned());
            }
            _ => {}
        }
    }
    current
}
