//! Kubernetes (<https://kubernetes.io/docs/tasks/inject-data-application/>).

use regex_lite::Regex;

use super::fix::{Fix, Wanted, command, quoted};
use super::{Place, Platform};

pub static KUBERNETES: Platform = Platform {
    code: "kubernetes",
    name: "Kubernetes",
    marks: "KUBERNETES_SERVICE_HOST",
    parts: &[("pod", "HOSTNAME")],
    more_parts: &[],
    injected: "KUBERNETES_*",
    elsewhere: "They are probably set on another container or workload, or in a ConfigMap or Secret that neither `env` nor `envFrom` of this container refers to.",
    shares_localhost: true,
    fix,
};

/// Whether Kubernetes or a Docker link sets the name for another service, such as `REDIS_SERVICE_HOST` or
/// `REDIS_PORT_6379_TCP_ADDR`.
pub fn is_service_link(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_") && (name.contains("_TCP") || name.contains("_UDP"))
}

/// One command that sets the open values on the workload, and one that creates a Secret and adds it to the workload.
fn fix(wanted: &[Wanted], place: &Place) -> Fix {
    let workload = place.detail("pod").and_then(workload_of);
    let workload = workload.unwrap_or_else(|| "deployment/<name>".to_owned());
    let (_, name) = workload.split_once('/').unwrap_or_default();
    let secret = format!("{name}-env");
    let set_on_workload = format!("kubectl set env {}", quoted(&workload));
    let (secrets, open): (Vec<&Wanted>, Vec<&Wanted>) =
        wanted.iter().partition(|each| each.is_secret);
    let mut commands = Vec::new();
    if !open.is_empty() {
        let words = open.iter().map(|each| each.word());
        commands.push(command(&set_on_workload, words));
    }
    if !secrets.is_empty() {
        let words = secrets
            .iter()
            .map(|each| format!("--from-literal={}", each.word()));
        let create = format!("kubectl create secret generic {}", quoted(&secret));
        let create = command(&create, words);
        let from = quoted(&format!("--from=secret/{secret}"));
        // This is one command: if several lines are pasted, a prompt for a secret would read the next line as its
        // answer.
        commands.push(format!("{create} &&\n{set_on_workload} {from}"));
    }
    let title = "with kubectl, in the namespace of the pod";
    Fix::new(title, wanted, commands)
}

/// The workload that a pod belongs to, according to the pod's name: `NAME-HASH-SUFFIX` for a Deployment, `NAME-NUMBER`
/// for a `StatefulSet`.
fn workload_of(pod: &str) -> Option<String> {
    let kinds = [
        ("statefulset", "^(.+)-[0-9]{1,4}$"),
        ("deployment", "^(.+)-[a-z0-9]{8,10}-[a-z0-9]{5}$"),
    ];
    kinds.into_iter().find_map(|(kind, pattern)| {
        let pattern = Regex::new(pattern).expect("the pattern is well-formed");
        Some(format!("{kind}/{}", &pattern.captures(pod)?[1]))
    })
}

#[cfg(test)]
mod tests {
    use super::workload_of;

    #[test]
    fn the_workload_is_derived_from_the_name_of_the_pod() {
        for (pod, workload) in [
            ("backend-7d9c5b6f48-x2x9z", Some("deployment/backend")),
            ("my-api-5f6d8c9b7-abcde", Some("deployment/my-api")),
            ("postgres-0", Some("statefulset/postgres")),
            ("standalone", None),
            ("a-b-c", None),
        ] {
            assert_eq!(workload_of(pod).as_deref(), workload, "{pod}");
        }
    }
}
