//! `startup-guard completions`: the completions for a shell, made from the definition of the command line.

use super::arguments::{self, Shell};
use crate::cli::{self, Argument, Subcommand, Takes};

/// The script that a shell reads to complete the guard's command line.
pub fn script(shell: Shell) -> String {
    match shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh(),
        Shell::Fish => fish(),
    }
}

fn subcommands() -> impl Iterator<Item = &'static Subcommand> {
    cli::SUBCOMMANDS.iter().chain(&arguments::SUBCOMMANDS)
}

fn options(subcommand: &Subcommand) -> impl Iterator<Item = &'static Argument> {
    let arguments = subcommand.arguments.iter();
    arguments.filter(|argument| argument.is_option())
}

fn bash() -> String {
    let mut script = include_str!("completions/bash.sh").to_owned();
    // An option that has a value comes before what the subcommand admits, because the value may look like anything.
    script += "_startup_guard_choices() {\n    case \"$subcommand $option\" in\n";
    for subcommand in subcommands() {
        for option in options(subcommand).filter(|option| option.takes != Takes::Nothing) {
            let kind = bash_kind(&option.takes);
            script += &format!(
                "    '{} {}') {kind}; return ;;\n",
                subcommand.name, option.name
            );
        }
    }
    let names: Vec<&str> = subcommands().map(|known| known.name).collect();
    script += "    esac\n    case $subcommand in\n";
    for subcommand in subcommands() {
        let mut words: Vec<&str> = options(subcommand).map(|option| option.name).collect();
        words.extend(["--help", "--version"]);
        let kind = subcommand
            .operand()
            .map(|operand| bash_kind(&operand.takes));
        let kind = kind.map_or_else(String::new, |kind| format!("; {kind}"));
        script += &format!(
            "    {}) options='{}'{kind} ;;\n",
            subcommand.name,
            words.join(" ")
        );
    }
    let names = names.join(" ");
    script += &format!("    help) kind=names; names='{names}' ;;\n    esac\n");
    script +=
        &format!("    if ((COMP_CWORD == 1)); then kind=names; names='{names} help'; fi\n}}\n\n");
    script + "complete -F _startup_guard startup-guard\n"
}

fn bash_kind(takes: &Takes) -> String {
    match takes {
        Takes::OneOf(names) => format!("kind=names; names='{}'", names.join(" ")),
        Takes::File => "kind=files".to_owned(),
        Takes::Path => "kind=folders".to_owned(),
        Takes::Nothing | Takes::Text | Takes::Command => "kind=text".to_owned(),
    }
}

fn zsh() -> String {
    let mut script = include_str!("completions/zsh.sh").to_owned();
    script += "_startup-guard_subcommands() {\n    local -a subcommands=(\n";
    for subcommand in subcommands() {
        let text = format!("{}:{}", subcommand.name, subcommand.summary);
        script += &format!("        {}\n", quoted(&text));
    }
    script += "    )\n    [[ $subcommand == help ]] || subcommands+=('help:print a help text')\n";
    script += "    _describe -t commands subcommand subcommands\n}\n\n";
    script += "_startup-guard_arguments() {\n    case $subcommand in\n";
    for subcommand in subcommands() {
        script += &format!("    {})\n        _arguments", subcommand.name);
        for argument in subcommand.arguments {
            script += &zsh_argument(argument);
        }
        script += " \\\n            '(- *)'{-h,--help}'[print the help text]'";
        script += " \\\n            '(- *)'{-V,--version}'[print the version]'\n        ;;\n";
    }
    script += "    help) _startup-guard_subcommands ;;\n    esac\n}\n\n";
    // The file may be read by `source`, or be the definition of the function in a folder of `fpath`.
    script += "if [[ $funcstack[1] == _startup-guard ]]; then\n    _startup-guard \"$@\"\nelse\n";
    script + "    compdef _startup-guard startup-guard\nfi\n"
}

/// One line of the arguments of `_arguments`.
fn zsh_argument(argument: &Argument) -> String {
    let action = match argument.takes {
        Takes::Command => return String::new(),
        Takes::Nothing => String::new(),
        Takes::Text => " ".to_owned(),
        Takes::File => "_files".to_owned(),
        Takes::Path => "_files -/".to_owned(),
        Takes::OneOf(names) => format!("({})", names.join(" ")),
    };
    let (name, help) = (argument.name, argument.help.replace('\\', "\\\\"));
    let help = help.replace('[', "\\[").replace(']', "\\]");
    let text = match argument.takes {
        Takes::Nothing => format!("*{name}[{help}]"),
        _ if argument.is_option() => format!(
            "*{name}=[{help}]:{}:{action}",
            argument.value.replace(':', "\\:")
        ),
        _ if name.ends_with('…') => format!("*:{name}:{action}"),
        _ => format!(":{name}:{action}"),
    };
    format!(" \\\n            {}", quoted(&text))
}

fn fish() -> String {
    let mut script = include_str!("completions/fish.sh").to_owned();
    let complete = "complete -c startup-guard -n";
    for subcommand in subcommands() {
        let (name, summary) = (subcommand.name, quoted(subcommand.summary));
        let when = "'__startup_guard_is_first; or __startup_guard_has help'";
        script += &format!("{complete} {when} -a {name} -d {summary}\n");
        for argument in subcommand.arguments {
            let words = match argument.takes {
                Takes::Nothing | Takes::Text | Takes::Command => String::new(),
                Takes::File => " -F".to_owned(),
                Takes::Path => " -a '(__fish_complete_directories (commandline -ct))'".to_owned(),
                Takes::OneOf(names) => format!(" -a '{}'", names.join(" ")),
            };
            let option = argument.name.strip_prefix("--").map(|option| {
                let value = match argument.takes {
                    Takes::Nothing => "",
                    Takes::File => " -r",
                    _ => " -x",
                };
                format!(" -l {option}{value} -d {}", quoted(argument.help))
            });
            if option.is_some() || !words.is_empty() {
                let option = option.unwrap_or_default();
                script += &format!("{complete} '__startup_guard_has {name}'{option}{words}\n");
            }
        }
    }
    script
}

/// A word in single quotes, as all three shells read it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
