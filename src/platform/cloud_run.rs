//! Google Cloud Run (<https://cloud.google.com/run/docs/container-contract>).

use super::fix::{Bring, Fix, Wanted, filled, quoted};
use super::{Place, Platform};

pub static CLOUD_RUN: Platform = Platform {
    code: "cloud_run",
    name: "Cloud Run",
    marks: "K_SERVICE",
    parts: "service=K_SERVICE, revision=K_REVISION",
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

/// Creates each secret in the Secret Manager, then sets all variables with one update of the service. All of it is one
/// command: if several lines are pasted, a prompt for a secret would read the next line as its answer.
fn fix(wanted: &[Wanted], place: &Place) -> Fix {
    let (secrets, open): (Vec<&Wanted>, Vec<&Wanted>) =
        wanted.iter().partition(|each| each.is_secret);
    let create = |each: &&Wanted| {
        let (source, name) = (each.source(), &each.name);
        format!("printf %s \"$({source})\" | gcloud secrets create {name} --data-file=- &&\n")
    };
    let create: String = secrets.iter().map(create).collect();
    let value = |each: &&Wanted| format!("{}={}", each.name, each.open_value().unwrap_or_default());
    let latest = |each: &&Wanted| format!("{0}={0}:latest", each.name);
    let values: Vec<String> = open.iter().map(value).collect();
    let latest = secrets.iter().map(latest).collect();
    let flags = [("--update-env-vars", values), ("--update-secrets", latest)];
    let flags = flags.iter().filter(|(_, items)| !items.is_empty());
    let flags = flags.map(|(flag, items)| format!("{flag} {}", quoted(&delimited(items))));
    let update = "gcloud run services update {service} {}";
    let update = filled(update, flags.collect(), Some(place)).unwrap_or_default();
    Fix::new("with gcloud", wanted, vec![create + &update])
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
