//! Google Cloud Run (<https://cloud.google.com/run/docs/container-contract>).

use super::fix::{Bring, Fix, Wanted, command, quoted};
use super::{Place, Platform};

pub static CLOUD_RUN: Platform = Platform {
    code: "cloud_run",
    name: "Cloud Run",
    marks: "K_SERVICE",
    parts: &[("service", "K_SERVICE"), ("revision", "K_REVISION")],
    more_parts: &[],
    injected: "K_CONFIGURATION K_REVISION K_SERVICE CLOUD_RUN_JOB",
    elsewhere: "On Cloud Run variables belong to a revision of one service: these are probably set on another service or in another region.",
    bring: &[Bring {
        title: "bring the values that exist: find their secrets (the names differ perhaps), and refer to them",
        look: "gcloud secrets list --format='value(name.basename())'",
        set: "gcloud run services update {service} --update-secrets {}",
        item: "NAME=NAME:latest,",
    }],
    shares_localhost: true,
    fix,
};

/// Creates each secret in the Secret Manager, then sets all variables with one update of the service.
fn fix(wanted: &[Wanted], place: &Place) -> Fix {
    let (secrets, open): (Vec<&Wanted>, Vec<&Wanted>) =
        wanted.iter().partition(|each| each.is_secret);
    let create = |each: &&Wanted| {
        let (source, name) = (each.source(), &each.name);
        format!("printf %s \"$({source})\" | gcloud secrets create {name} --data-file=-")
    };
    let mut commands: Vec<String> = secrets.iter().map(create).collect();
    let mut words = Vec::new();
    if !open.is_empty() {
        let set = open
            .iter()
            .map(|each| format!("{}={}", each.name, each.open_value().unwrap_or_default()));
        let set = delimited(&set.collect::<Vec<_>>());
        words.push(format!("--update-env-vars {}", quoted(&set)));
    }
    if !secrets.is_empty() {
        let latest = |each: &&Wanted| format!("{0}={0}:latest", each.name);
        let set: Vec<String> = secrets.iter().map(latest).collect();
        words.push(format!("--update-secrets {}", set.join(",")));
    }
    let service = quoted(&place.detail_or_gap("service"));
    let update = format!("gcloud run services update {service}");
    commands.push(command(&update, words));
    // All of it is one command: if several lines are pasted, a prompt for a secret would read the next line as its
    // answer.
    Fix::new("with gcloud", wanted, vec![commands.join(" &&\n")])
}

/// Joins the items with a delimiter that none of them contains: a comma, or another character that gcloud accepts
/// between two `^` at the beginning.
fn delimited(items: &[String]) -> String {
    let is_free = |delimiter: &char| items.iter().all(|item| !item.contains(*delimiter));
    let known = ",;|@#!~%&*+:?".chars();
    let delimiter = known.chain('\u{a1}'..=char::MAX).find(is_free);
    let delimiter = delimiter.expect("a manifest of 1 MiB cannot contain every Unicode character");
    let joined = items.join(&delimiter.to_string());
    match delimiter {
        ',' => joined,
        _ => format!("^{delimiter}^{joined}"),
    }
}
