//! Platforms whose command line, or file, takes all of it at once.

use super::{Content, Fix, Wanted, names, shell};
use crate::platform::Place;

/// One command. Not `fly secrets import`: it takes quotes and comments out of the lines that it reads.
pub fn fly(wanted: &[Wanted], place: &Place) -> Fix {
    let app = place.detail("app").unwrap_or("<app>");
    let command = format!("fly secrets set --app {}", shell::quoted(app));
    fix("with flyctl", wanted, vec![one_command(command, wanted)])
}

/// One command; what a substitution prints is not in the shell's history.
pub fn heroku(wanted: &[Wanted], place: &Place) -> Fix {
    let app = place.detail("app").unwrap_or("<app>");
    let command = format!("heroku config:set --app {}", shell::quoted(app));
    fix(
        "with the Heroku CLI",
        wanted,
        vec![one_command(command, wanted)],
    )
}

fn one_command(command: String, wanted: &[Wanted]) -> String {
    let mut words = vec![command];
    words.extend(wanted.iter().map(Wanted::word));
    shell::with_ask(shell::command(&words), "")
}

/// Lines of its blueprint: its command line sets no variables.
pub fn render(wanted: &[Wanted], place: &Place) -> Fix {
    let service = place.detail("service").unwrap_or("<service>");
    let mut lines = vec!["envVars:".to_owned()];
    lines.extend(wanted.iter().map(|each| {
        let value = match &each.content {
            Content::Generated(_) => "generateValue: true".to_owned(),
            Content::Fixed(text) => format!("value: {}", json(text)),
            Content::Asked | Content::Gap(_) | Content::Reference(_) => "sync: false".to_owned(),
        };
        format!("  - {{key: {}, {value}}}", yaml_key(&each.name))
    }));
    let title = format!(
        "in the dashboard, service \"{}\", Environment; or in render.yaml under that service",
        service.escape_debug()
    );
    fix(&title, wanted, vec![lines.join("\n")])
}

/// Secrets go through the Secret Manager; one update sets all of it.
pub fn cloud_run(wanted: &[Wanted], place: &Place) -> Fix {
    let service = place.detail("service").unwrap_or("<service>");
    let (secrets, open): (Vec<&Wanted>, Vec<&Wanted>) =
        wanted.iter().partition(|each| each.is_secret);
    let mut commands: Vec<String> = secrets
        .iter()
        .map(|each| {
            let value = match &each.content {
                Content::Generated(generator) => generator.clone(),
                _ => format!("ask {}", each.name),
            };
            format!(
                "printf %s \"$({value})\" | gcloud secrets create {} --data-file=-",
                each.name
            )
        })
        .collect();
    let mut words = vec![format!(
        "gcloud run services update {}",
        shell::quoted(service)
    )];
    if !open.is_empty() {
        let set = open
            .iter()
            .map(|each| format!("{}={}", each.name, each.open_value().unwrap_or_default()));
        let set = delimited(&set.collect::<Vec<_>>());
        words.push(format!("--update-env-vars {}", shell::quoted(&set)));
    }
    if !secrets.is_empty() {
        let set = secrets
            .iter()
            .map(|each| format!("{0}={0}:latest", each.name));
        words.push(format!(
            "--update-secrets {}",
            set.collect::<Vec<_>>().join(",")
        ));
    }
    commands.push(shell::command(&words));
    // As one command: what is pasted behind a question would be its answer.
    let command = shell::with_ask(commands.join(" &&\n"), "");
    fix("with gcloud", wanted, vec![command])
}

/// A list for gcloud, which splits it at commas unless it begins with another delimiter, as `^;^`.
fn delimited(items: &[String]) -> String {
    let has = |delimiter: char| items.iter().any(|item| item.contains(delimiter));
    if !has(',') {
        return items.join(",");
    }
    let delimiter = [';', '|', '@', '#', '!', '~', '%', '&', '*', '+', ':', '?']
        .into_iter()
        .chain('\u{a1}'..=char::MAX)
        .find(|&delimiter| !has(delimiter))
        .expect("a manifest of 1 MiB does not have all characters in it");
    format!("^{delimiter}^{}", items.join(&delimiter.to_string()))
}

/// A name as a key, and not as one of YAML's own words.
fn yaml_key(name: &str) -> String {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    if WORDS.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        json(name)
    } else {
        name.to_owned()
    }
}

/// Lines of a task definition: there is no command for single variables.
pub fn ecs(wanted: &[Wanted]) -> Fix {
    let lines = wanted.iter().map(|each| {
        if each.is_secret {
            format!(
                "{{\"name\": {}, \"valueFrom\": \"<arn of the secret>\"}}",
                json(&each.name)
            )
        } else {
            let value = each.open_value().unwrap_or_default();
            format!(
                "{{\"name\": {}, \"value\": {}}}",
                json(&each.name),
                json(&value)
            )
        }
    });
    let lines: Vec<String> = lines.collect();
    let title = "in a new revision of the task definition, under \"environment\" (\"valueFrom\" under \"secrets\") of this container";
    fix(title, wanted, vec![lines.join(",\n")])
}

fn fix(title: &str, wanted: &[Wanted], commands: Vec<String>) -> Fix {
    Fix {
        title: title.to_owned(),
        variables: names(wanted),
        commands,
    }
}

/// A text in double quotes, for JSON and YAML alike.
fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always JSON")
}
