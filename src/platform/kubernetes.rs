//! Kubernetes (<https://kubernetes.io/docs/tasks/inject-data-application/>).

use std::sync::LazyLock;

use regex_lite::Regex;

use super::fix::{Bring, Fix, Wanted, filled, json};
use super::{Place, Platform};
use crate::environment::Environment;

pub static KUBERNETES: Platform = Platform {
    code: "kubernetes",
    name: "Kubernetes",
    marks: "KUBERNETES_SERVICE_HOST",
    parts: "pod=HOSTNAME",
    injected: "KUBERNETES_*",
    elsewhere: "They are probably set on another container or workload, or in a ConfigMap or Secret that neither `env` nor `envFrom` of this container refers to.",
    bring: &[Bring {
        title: "bring the values that exist: find the Secret that has them (a ConfigMap is used likewise), and refer to it",
        look: "kubectl describe secrets | grep -E '^(Name|[A-Z][A-Z0-9_]*):'",
        set: "kubectl set env {workload} --from='secret/<secret>' --keys {}",
        item: "NAME,",
    }],
    shares_localhost: true,
    fix,
};

/// The names that Kubernetes or a Docker link sets for a service, such as `REDIS_SERVICE_HOST`, `REDIS_PORT` or
/// `REDIS_PORT_6379_TCP_ADDR`.
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = "^(.+?)_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_.+)?)?)$";
    Regex::new(pattern).expect("the pattern is well-formed")
});

/// Whether Kubernetes or a Docker link sets such a name. `REDIS_PORT` is not counted, because an application can have a
/// variable with that name.
pub fn is_service_link(name: &str) -> bool {
    let service = LINK.captures(name).and_then(|found| found.get(1));
    service.is_some_and(|service| &name[service.end()..] != "_PORT")
}

/// The service for which Kubernetes or a Docker link sets this variable, such as `my-redis` for `MY_REDIS_PORT`. `None`
/// if `MY_REDIS_PORT` has no value such as `tcp://10.0.0.1:6379`, which is always set with the others.
pub fn service_of(name: &str, environment: &Environment) -> Option<String> {
    let is_linked = |service: &&str| {
        let address = environment.text(&format!("{service}_PORT"));
        let scheme = address.and_then(|text| text.split_once("://"));
        scheme.is_some_and(|(scheme, _)| ["tcp", "udp", "sctp"].contains(&scheme))
    };
    let found = LINK.captures(name).and_then(|found| found.get(1));
    let found = found.map(|found| found.as_str());
    // The name of the service can end with `_SERVICE` itself.
    let services = [name.strip_suffix("_PORT"), found];
    let service = services.into_iter().flatten().find(is_linked)?;
    Some(service.to_ascii_lowercase().replace('_', "-"))
}

/// One command that sets the open values on the workload, and one that creates a Secret and adds it to the workload. The
/// latter is one command, because if several lines are pasted, a prompt for a secret reads the next line as its answer.
fn fix(wanted: &[Wanted], place: &Place) -> Fix {
    const SET: &str = "kubectl set env {workload} {}";
    const CREATE: &str = "kubectl create secret generic {secret} {} &&
kubectl set env {workload} --from=secret/{secret}";
    let (secrets, open): (Vec<&Wanted>, Vec<&Wanted>) =
        wanted.iter().partition(|each| each.is_secret);
    let literal = |each: &&Wanted| format!("--from-literal={}", each.word());
    let words = open.iter().map(|each| each.word()).collect();
    let literals = secrets.iter().map(literal).collect();
    let set = filled(SET, words, Some(place)).into_iter();
    let commands = set.chain(filled(CREATE, literals, Some(place)));
    let title = "with kubectl, in the namespace of the pod";
    Fix::new(title, wanted, commands.collect())
}

/// Lines of the container's specification, for variables whose names kubectl does not take from a Secret as they are.
pub fn in_pod_spec(wanted: &[Wanted]) -> Fix {
    let line = |each: &Wanted| {
        let name = json(&each.name);
        let value = match each.open_value().filter(|_| !each.is_secret) {
            Some(value) => format!("value: {}", json(value)),
            None => format!("valueFrom: {{secretKeyRef: {{name: <secret>, key: {name}}}}}"),
        };
        format!("\n  - {{name: {name}, {value}}}")
    };
    let lines: String = wanted.iter().map(line).collect();
    let title = "in the container's specification, because shells do not take such names";
    Fix::new(title, wanted, vec![format!("env:{lines}")])
}

/// The workload that runs this process, such as `deployment/backend`.
pub fn workload(place: &Place) -> String {
    let workload = place.detail("pod").and_then(workload_of);
    workload.unwrap_or_else(|| "deployment/<name>".to_owned())
}

/// The Secret that a fix creates for that workload.
pub fn secret(place: &Place) -> String {
    let workload = workload(place);
    let (_, name) = workload.split_once('/').unwrap_or_default();
    format!("{name}-env")
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
    use super::{Environment, is_service_link, service_of, workload_of};

    #[test]
    fn a_variable_belongs_to_a_link_only_if_the_address_of_the_service_is_set() {
        let linked = [
            ("MY_REDIS_PORT", "tcp://10.0.0.1:6379"),
            ("DNS_PORT", "udp://10.0.0.2:53"),
            ("AUTH_SERVICE_PORT", "tcp://10.0.0.3:80"),
            ("OWN_PORT", "8080"),
            ("WEB_PORT", "http://web:80"),
        ];
        let entries = linked.map(|(name, value)| (name.into(), value.into()));
        let environment = Environment::from_entries(entries.to_vec());
        for (name, service) in [
            ("MY_REDIS_PORT", Some("my-redis")),
            ("MY_REDIS_SERVICE_HOST", Some("my-redis")),
            ("MY_REDIS_SERVICE_PORT", Some("my-redis")),
            ("MY_REDIS_SERVICE_PORT_HTTP", Some("my-redis")),
            ("MY_REDIS_PORT_6379_TCP", Some("my-redis")),
            ("MY_REDIS_PORT_6379_TCP_PORT", Some("my-redis")),
            ("DNS_PORT_53_UDP_ADDR", Some("dns")),
            ("AUTH_SERVICE_PORT", Some("auth-service")),
            ("AUTH_SERVICE_SERVICE_HOST", Some("auth-service")),
            ("OWN_PORT", None),
            ("OWN_SERVICE_HOST", None),
            ("WEB_PORT", None),
            ("MY_REDIS_PORTS", None),
            ("MY_REDIS_URL", None),
        ] {
            assert_eq!(service_of(name, &environment).as_deref(), service, "{name}");
        }
        for name in [
            "A_SERVICE_HOST",
            "A_SERVICE_PORT",
            "A_SERVICE_PORT_HTTP",
            "A_PORT_80_TCP_PORT",
        ] {
            assert!(is_service_link(name), "{name}");
        }
        for name in ["A_PORT", "SERVICE_HOST", "A_PORT_OF_TCP", "A_SERVICE_HOSTS"] {
            assert!(!is_service_link(name), "{name}");
        }
    }

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
