//! Railway's command line: all open values in one command, each secret through standard input.

use super::{Content, Fix, Wanted, names, shell};
use crate::platform::Place;

pub fn fix(wanted: &[Wanted], place: &Place) -> Fix {
    let flags = flags(place);
    let open: Vec<String> = wanted
        .iter()
        .filter_map(|each| {
            Some(shell::quoted(&format!(
                "{}={}",
                each.name,
                each.open_value()?
            )))
        })
        .collect();
    let mut commands = Vec::new();
    if !open.is_empty() {
        let words = [words("railway variable set"), open, flags.clone()].concat();
        commands.push(shell::command(&words));
    }
    for each in wanted.iter().filter(|each| each.open_value().is_none()) {
        let before = match &each.content {
            Content::Generated(generator) => format!("{generator} | "),
            _ => String::new(),
        };
        let set = words(&format!(
            "{before}railway variable set {} --stdin",
            each.name
        ));
        commands.push(shell::command(&[set, flags.clone()].concat()));
    }
    Fix {
        title: title(wanted, place),
        variables: names(wanted),
        commands,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn flags(place: &Place) -> Vec<String> {
    let mut flags = Vec::new();
    for part in ["service", "environment"] {
        if let Some(name) = place.detail(part) {
            flags.push(format!("--{part} {}", shell::quoted(name)));
        }
    }
    flags
}

fn title(wanted: &[Wanted], place: &Place) -> String {
    let project = place.detail("project").map_or_else(
        || "the project".to_owned(),
        |name| format!("project \"{}\"", name.escape_debug()),
    );
    // No comment behind the command: not every shell takes one that is pasted.
    let asks = wanted
        .iter()
        .any(|each| matches!(each.content, Content::Asked));
    let how = if asks {
        "; --stdin alone waits for a value and Ctrl-D"
    } else {
        ""
    };
    format!("in a folder linked to {project} (railway link){how}")
}
