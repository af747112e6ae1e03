//! kubectl: a Secret for what is secret, and one command that sets all of it on the workload.

use super::{Fix, Wanted, names, shell};
use crate::platform::Place;

pub fn fix(wanted: &[Wanted], place: &Place) -> Fix {
    let workload = place
        .detail("pod")
        .map_or_else(|| "deployment/<name>".to_owned(), workload_of);
    let name = workload.rsplit('/').next().unwrap_or_default();
    let secret = format!("{name}-env");
    let (secrets, open): (Vec<&Wanted>, Vec<&Wanted>) =
        wanted.iter().partition(|each| each.is_secret);
    let mut commands = Vec::new();
    if !secrets.is_empty() {
        let mut words = vec![format!(
            "kubectl create secret generic {}",
            shell::quoted(&secret)
        )];
        words.extend(
            secrets
                .iter()
                .map(|each| format!("--from-literal={}", each.word())),
        );
        let from = shell::quoted(&format!("--from=secret/{secret}"));
        // As one command: what is pasted behind a question would be its answer.
        commands.push(shell::with_ask(
            format!(
                "{} &&\nkubectl set env {} {from}",
                shell::command(&words),
                shell::quoted(&workload)
            ),
            "",
        ));
    }
    if !open.is_empty() {
        let mut words = vec![format!("kubectl set env {}", shell::quoted(&workload))];
        words.extend(open.iter().map(|each| each.word()));
        commands.insert(0, shell::command(&words));
    }
    Fix {
        title: "with kubectl, in the namespace of the pod".to_owned(),
        variables: names(wanted),
        commands,
    }
}

/// The workload, by the name that it gives its pods: `NAME-HASH-SUFFIX` of a deployment, `NAME-NUMBER` of a
/// stateful set.
fn workload_of(pod: &str) -> String {
    let is_random = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if let Some((before, suffix)) = pod.rsplit_once('-') {
        if !suffix.is_empty()
            && suffix.bytes().all(|byte| byte.is_ascii_digit())
            && suffix.len() < 5
        {
            return format!("statefulset/{before}");
        }
        if let Some((name, hash)) = before.rsplit_once('-')
            && suffix.len() == 5
            && (8..=10).contains(&hash.len())
            && is_random(suffix)
            && is_random(hash)
        {
            return format!("deployment/{name}");
        }
    }
    "deployment/<name>".to_owned()
}

#[cfg(test)]
mod tests {
    use super::workload_of;

    #[test]
    fn the_workload_is_known_by_its_pods_name() {
        for (pod, workload) in [
            ("backend-7d9c5b6f48-x2x9z", "deployment/backend"),
            ("my-api-5f6d8c9b7-abcde", "deployment/my-api"),
            ("postgres-0", "statefulset/postgres"),
            ("standalone", "deployment/<name>"),
            ("a-b-c", "deployment/<name>"),
        ] {
            assert_eq!(workload_of(pod), workload, "{pod}");
        }
    }
}
