//! Platforms whose command line, or file, takes all of it at once.

use super::{Content, Fix, Wanted, env_file, names, shell};
use crate::platform::Place;

/// One import, which reads its lines from standard input.
pub fn fly(wanted: &[Wanted], place: &Place) -> Fix {
    let app = place.detail("app").unwrap_or("<app>");
    let mut lines = vec![format!(
        "fly secrets import --app {} <<EOF",
        shell::quoted(app)
    )];
    lines.extend(wanted.iter().map(env_file::line));
    lines.push("EOF".to_owned());
    fix("with flyctl", wanted, vec![lines.join("\n")])
}

/// One command; what a substitution prints is not in the shell's history.
pub fn heroku(wanted: &[Wanted], place: &Place) -> Fix {
    let app = place.detail("app").unwrap_or("<app>");
    let mut words = vec![format!("heroku config:set --app {}", shell::quoted(app))];
    words.extend(wanted.iter().map(|each| match &each.content {
        Content::Generated(generator) => format!("{}=\"$({generator})\"", each.name),
        Content::Asked => format!("{}=\"{}\"", each.name, shell::asked(&each.name)),
        _ => shell::quoted(&format!(
            "{}={}",
            each.name,
            each.open_value().unwrap_or_default()
        )),
    }));
    fix("with the Heroku CLI", wanted, vec![shell::command(&words)])
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
        format!("  - {{key: {}, {value}}}", each.name)
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
                Content::Generated(generator) => format!("{generator} | tr -d '\\n'"),
                _ => format!("printf %s \"{}\"", shell::asked(&each.name)),
            };
            format!(
                "{value} | gcloud secrets create {} --data-file=-",
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
        words.push(format!(
            "--update-env-vars {}",
            shell::quoted(&set.collect::<Vec<_>>().join(","))
        ));
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
    fix("with gcloud", wanted, commands)
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
