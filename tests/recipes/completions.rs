//! The completions, as the shells themselves use them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::libc;
use nix::pty::openpty;

use crate::Test;
use crate::support::{Folder, Guard, until};

pub const TESTS: &[Test] = &[
    (
        "bash_completes_each_prefix_with_exactly_what_the_parser_knows",
        &["bash"],
        bash_knows,
    ),
    (
        "zsh_completes_each_prefix_with_exactly_what_the_parser_knows",
        &["zsh"],
        zsh_knows,
    ),
    (
        "fish_completes_each_prefix_with_exactly_what_the_parser_knows",
        &["fish"],
        fish_knows,
    ),
    (
        "bash_completes_files_folders_and_commands_on_a_terminal",
        &["bash"],
        || paths("bash"),
    ),
    (
        "zsh_completes_files_folders_and_commands_on_a_terminal",
        &["zsh"],
        || paths("zsh"),
    ),
    (
        "fish_completes_files_folders_and_commands_on_a_terminal",
        &["fish"],
        || paths("fish"),
    ),
];

/// The words of a column that begins each line of a part of a help text.
fn column(help: &str, before: &str) -> Vec<String> {
    let rows = help.lines().filter_map(|line| line.strip_prefix(before));
    let rows = rows.filter(|row| !row.starts_with(' '));
    rows.map(str::to_owned).collect()
}

fn first_word(text: &str) -> String {
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The names that an argument admits, from the error about another one; empty if it admits anything.
fn admitted(line: &str) -> Vec<String> {
    let ended = Guard::new().line(line).run();
    let told = ended.stderr();
    let names = told.split_once("` must be ").map(|(_, names)| names);
    let names = names.and_then(|names| names.split_once(", not `?`"));
    let names = names.map(|(names, _)| names.replace(" or ", ", "));
    names.map_or_else(Vec::new, |names| {
        names.split(", ").map(str::to_owned).collect()
    })
}

/// The beginning of a line, and the words with which its last word can be completed.
type Case = (String, BTreeSet<String>);

/// Each prefix of the names after the beginning of a line, with the names that it can become.
fn prefixes(before: &str, names: &[String], shortest: usize) -> Vec<Case> {
    let prefixes: BTreeSet<&str> = names
        .iter()
        .flat_map(|name| (shortest..=name.len()).map(move |end| &name[..end]))
        .collect();
    let case = |prefix: &str| {
        let names = names.iter().filter(|name| name.starts_with(prefix));
        (format!("{before}{prefix}"), names.cloned().collect())
    };
    prefixes.into_iter().map(case).collect()
}

/// What the parser knows, by its help texts and its errors: each line with all that can complete it.
fn cases() -> Vec<Case> {
    let help = |line: &str| Guard::new().line(line).run().expect_code(0).stdout();
    let usage = column(&help("--help"), "  startup-guard ");
    let words = usage
        .iter()
        .map(|row| first_word(row).trim_matches(['[', ']']).to_owned());
    let mut subcommands: Vec<String> = words.filter(|word| !word.contains("--")).collect();
    subcommands.retain(|word| word != "SUBCOMMAND");
    assert!(subcommands.len() >= 11, "{subcommands:?}");
    let mut cases = prefixes("help ", &subcommands, 1);
    for name in &subcommands {
        let rows = column(&help(&format!("{name} --help")), "  --");
        let mut options = Vec::new();
        for row in rows {
            let label = row.split("  ").next().unwrap_or_default();
            let option = format!("--{}", first_word(label));
            if label.contains(' ') {
                let values = admitted(&format!("{name} {option} ?"));
                cases.extend(prefixes(&format!("{name} {option} "), &values, 0));
                cases.extend(prefixes(&format!("{name} {option}="), &values, 0));
            }
            options.push(option);
        }
        let operands = admitted(&format!("{name} ?"));
        cases.extend(prefixes(
            &format!("{name} "),
            &operands,
            usize::from(operands.is_empty()),
        ));
        options.extend(["--help", "--version"].map(str::to_owned));
        cases.extend(prefixes(&format!("{name} "), &options, 2));
        if name == "run" {
            cases.extend(prefixes("", &options, 2));
            cases.push((format!("{name} --skip "), BTreeSet::new()));
        }
    }
    subcommands.push("help".to_owned());
    cases.extend(prefixes("", &subcommands, 0));
    cases.push((
        "check --format json --only".to_owned(),
        ["--only-file".to_owned()].into(),
    ));
    cases.push((
        "check --format=json --only".to_owned(),
        ["--only-file".to_owned()].into(),
    ));
    cases.push(("healthcheck h".to_owned(), BTreeSet::new()));
    cases.push(("generate N".to_owned(), BTreeSet::new()));
    assert!(cases.len() > 300, "there are only {} cases", cases.len());
    cases
}

/// Writes the script of a shell to a folder.
fn script(folder: &Folder, shell: &str) {
    let ended = Guard::new()
        .args(["completions", shell])
        .run()
        .expect_code(0);
    folder.file("completions", ended.stdout());
    let mut syntax = Command::new(shell);
    let syntax = syntax.arg("-n").arg(folder.path().join("completions"));
    assert!(syntax.status().expect("the shell can be run").success());
}

#[track_caller]
fn assert_completed(cases: &[Case], completed: &str) {
    let mut answers = completed.split("END\n");
    for (line, expected) in cases {
        let answer = answers.next().unwrap_or_default();
        // A shell may give the option with the value, and end the name of an option with `=`.
        let option = line
            .rsplit(' ')
            .next()
            .and_then(|last| last.split_once('='));
        let before = option.map_or_else(String::new, |(name, _)| format!("{name}="));
        let words = answer
            .lines()
            .map(|word| word.split('\t').next().unwrap_or(word));
        let words = words.map(|word| word.strip_prefix(&before).unwrap_or(word));
        let words: BTreeSet<String> = words
            .map(|word| word.trim_end_matches('=').to_owned())
            .collect();
        assert_eq!(&words, expected, "{line:?}");
    }
}

fn run(folder: &Folder, shell: &str, arguments: &[&str], input: &str) -> String {
    folder.file("input", input);
    let input = File::open(folder.path().join("input")).expect("the file is there");
    let mut command = Command::new(shell);
    let command = command
        .args(arguments)
        .current_dir(folder.path())
        .env("HOME", folder.path());
    let output = command.stdin(input).output().expect("the shell can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout).expect("it is UTF-8")
}

/// Calls the completion as bash does, with `=` as a word of its own and without.
const BASH: &str = r#"
set -eu
source ./completions
compopt() { :; }
while IFS= read -r line; do
    [[ $1 == split ]] && line=${line//=/ = }
    IFS=' ' read -r -a COMP_WORDS <<<"startup-guard $line"
    [[ $line == '' || $line == *' ' && $line != *' = ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    current=${COMP_WORDS[COMP_CWORD]}
    if [[ $current == = ]]; then current=''; fi
    _startup_guard startup-guard "$current" "${COMP_WORDS[COMP_CWORD - 1]}"
    if ((${#COMPREPLY[@]} > 0)); then printf '%s\n' "${COMPREPLY[@]}"; fi
    echo END
done
"#;

fn lines(cases: &[Case]) -> String {
    let lines: Vec<&str> = cases.iter().map(|(line, _)| line.as_str()).collect();
    lines.join("\n") + "\n"
}

fn bash_knows() {
    let (folder, cases) = (Folder::new(), cases());
    script(&folder, "bash");
    folder.file("driver", BASH);
    for mode in ["split", "whole"] {
        let arguments = ["--norc", "./driver", mode];
        assert_completed(&cases, &run(&folder, "bash", &arguments, &lines(&cases)));
    }
}

fn fish_knows() {
    let (folder, cases) = (Folder::new(), cases());
    script(&folder, "fish");
    let driver = "source completions; while read -l line; complete -C \"startup-guard $line\"; echo END; end";
    let arguments = ["--no-config", "-c", driver];
    assert_completed(&cases, &run(&folder, "fish", &arguments, &lines(&cases)));
}

/// Makes zsh append the words with which it completes to a file, and `END` after each completion.
const ZSH: &str = r#"
autoload -U compinit && compinit -D -u && source ./completions
unsetopt auto_list auto_menu beep
bindkey -e
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return
    fi
    local -a words
    builtin compadd -A words "$@"
    (( $#words )) && print -rl -- $words >> told
    builtin compadd "$@"
}
told() { zle complete-word; print END >> told }
zle -N told
bindkey '^I' told
print -n > told
"#;

fn zsh_knows() {
    let (folder, cases) = (Folder::new(), cases());
    script(&folder, "zsh");
    folder.file("driver", ZSH);
    let mut terminal = Terminal::open(&folder, "zsh");
    terminal.type_in("source ./driver\r");
    let told = || fs::read_to_string(folder.path().join("told")).unwrap_or_default();
    until("zsh is ready", || folder.path().join("told").exists());
    for (index, (line, _)) in cases.iter().enumerate() {
        terminal.type_in(&format!("startup-guard {line}\t"));
        until(line, || told().matches("END\n").count() == index + 1);
        terminal.type_in("\x15");
    }
    terminal.end();
    assert_completed(&cases, &told());
}

/// An interactive shell on a terminal.
struct Terminal {
    keyboard: File,
    shell: Child,
}

impl Terminal {
    fn open(folder: &Folder, shell: &str) -> Self {
        let terminal = openpty(None, None).expect("a terminal can be made");
        let copy = || {
            terminal
                .slave
                .try_clone()
                .expect("a descriptor can be copied")
        };
        let plain: &[&str] = match shell {
            "bash" => &["--norc", "--noprofile", "-i"],
            "zsh" => &["-f", "-i"],
            _ => &["--no-config", "-i"],
        };
        let programs = format!("{}:/usr/bin:/bin", folder.path().join("programs").display());
        let mut command = Command::new(shell);
        let command = command
            .args(plain)
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("PATH", programs)
            .env("TERM", "dumb")
            .stdin(copy())
            .stdout(copy())
            .stderr(copy());
        // SAFETY: creates a session, with the terminal as descriptor 0.
        let command = unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            })
        };
        let shell = command.spawn().expect("the shell starts");
        let keyboard = File::from(terminal.master);
        let mut screen = keyboard.try_clone().expect("a descriptor can be copied");
        // Reads what is shown, so that the shell can go on writing.
        std::thread::spawn(move || while let Ok(1..) = screen.read(&mut [0; 1024]) {});
        Self { keyboard, shell }
    }

    fn type_in(&mut self, keys: &str) {
        let typed = self.keyboard.write_all(keys.as_bytes());
        typed.expect("the terminal takes keys");
    }

    fn end(mut self) {
        self.type_in("exit\r");
        let shell = std::cell::RefCell::new(self.shell);
        until("the shell has ended", || {
            let ended = shell.borrow_mut().try_wait();
            ended.expect("the shell can be waited for").is_some()
        });
    }
}

/// Types the beginnings of paths and of a command, and has a function with the guard's name tell its arguments.
fn paths(shell: &str) {
    let folder = Folder::new();
    script(&folder, shell);
    for name in ["with space.env", "alpha.txt"] {
        folder.file(name, "");
    }
    for name in ["a folder", "programs"] {
        fs::create_dir(folder.path().join(name)).expect("a folder can be made");
    }
    folder.script("programs/tool-of-the-test", "#!/bin/sh\n");
    // zsh also finds the file by its name in a folder of `fpath`.
    fs::rename(
        folder.path().join("completions"),
        folder.path().join("_startup-guard"),
    )
    .expect("the file can be renamed");
    let setup = match shell {
        "bash" => {
            "source ./_startup-guard; startup-guard() { printf '%s|' \"$@\" $'\\n' >> told; }"
        }
        "zsh" => {
            "fpath=($PWD $fpath); autoload -U compinit && compinit -D -u; \
             startup-guard() { printf '%s|' \"$@\" $'\\n' >> told; }"
        }
        _ => "source ./_startup-guard; function startup-guard; printf '%s|' $argv \\n >> told; end",
    };
    let mut terminal = Terminal::open(&folder, shell);
    terminal.type_in(&format!("{setup}\r"));
    let mut lines = vec![
        ("check --env-file wi", "check|--env-file|with space.env|"),
        ("check --env-file=wi", "check|--env-file=with space.env|"),
        ("init a", "init|a folder|"),
        ("run -- tool-of", "run|--|tool-of-the-test|"),
        ("-- cat wi", "--|cat|with space.env|"),
    ];
    // These shells know what the command after `--` expects: `cd` expects a folder.
    if shell != "bash" {
        lines.push(("run -- cd a", "run|--|cd|a folder|"));
    }
    let told = || fs::read_to_string(folder.path().join("told")).unwrap_or_default();
    for (index, (line, _)) in lines.iter().enumerate() {
        terminal.type_in(&format!("startup-guard {line}\t\r"));
        until(line, || told().matches('\n').count() == index + 1);
    }
    terminal.end();
    // zsh removes the slash of a folder at the end of a line.
    let told = told().replace("|\n|", "|\n").replace("/|", "|");
    let expected: Vec<&str> = lines.iter().map(|(_, told)| *told).collect();
    assert_eq!(told, expected.join("\n") + "\n");
}
