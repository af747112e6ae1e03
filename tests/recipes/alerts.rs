//! What docs/runbook.md says to alert on: its table of exit codes, and the example's rules for Prometheus.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::Test;
use crate::runbook::{lines, root, rows};
use crate::support::{Folder, Guard};

pub const TESTS: &[Test] = &[
    (
        "each_exit_code_has_the_alert_of_the_runbooks_table",
        &["promtool"],
        alerts_for_exit_codes,
    ),
    (
        "the_rules_for_prometheus_fire_in_time_and_end_with_the_error",
        &["promtool"],
        times_of_alerts,
    ),
    (
        "a_start_that_was_stopped_has_no_line_to_alert_on",
        &[],
        stopped_start,
    ),
    (
        "the_runbook_reads_the_guards_last_line_from_a_pods_status",
        &["kubectl"],
        status_of_a_pod,
    ),
];

/// Runs promtool in a folder with the example's rules.
#[track_caller]
fn promtool(folder: &Path, words: &[&str]) {
    let output = Command::new("promtool")
        .args(words)
        .current_dir(folder)
        .output()
        .expect("promtool starts");
    let shown = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&shown)
    );
}

fn times_of_alerts() {
    promtool(
        root(),
        &["check", "rules", "examples/prometheus-rules.yaml"],
    );
    let folder = root().join("tests/recipes");
    promtool(&folder, &["test", "rules", "prometheus-rules.test.yaml"]);
}

/// The metrics of a container for each code, for the unit tests of promtool. The pod has the code as its name.
fn metrics(codes: &[&str], is_ready: u8) -> Vec<Value> {
    let of_code = |code: &&str| {
        let labels = format!("{{namespace=\"n\", pod=\"{code}\", container=\"c\"}}");
        [
            ("last_terminated_exitcode", format!("{code}x20")),
            ("ready", format!("{is_ready}x20")),
            ("restarts_total", "0+1x20".to_owned()),
        ]
        .map(|(metric, values)| {
            json!({"series": format!("kube_pod_container_status_{metric}{labels}"), "values": values})
        })
    };
    codes.iter().flat_map(of_code).collect()
}

fn alerts_for_exit_codes() {
    let table = rows("## What to alert on");
    let each = table
        .iter()
        .flat_map(|row| row[0].split(", ").map(|code| (code, row[1])));
    let alerts: BTreeMap<&str, &str> = each.collect();
    expect_every_exit_code(&alerts);

    let codes: Vec<&str> = alerts.keys().copied().collect();
    let fired = alerts.iter().filter(|(_, alert)| **alert != "nothing");
    let expected: Vec<Value> = fired
        .map(|(code, alert)| {
            json!({"labels": format!("{{pod=\"{code}\", severity=\"{alert}\"}}"), "value": 1})
        })
        .collect();
    assert!(expected.len() > 10, "{expected:?}");
    let test = |is_ready: u8, expected: Vec<Value>| {
        json!({
            "interval": "1m",
            "input_series": metrics(&codes, is_ready),
            "promql_expr_test": [{
                "expr": "count by (pod, severity) (ALERTS{alertstate=\"firing\"})",
                "eval_time": "10m",
                "exp_samples": expected,
            }],
        })
    };
    let tests = json!({
        "rule_files": [root().join("examples/prometheus-rules.yaml")],
        "evaluation_interval": "1m",
        "tests": [test(0, expected), test(1, Vec::new())],
    });
    let folder = Folder::new();
    folder.file("test.yaml", tests.to_string());
    promtool(folder.path(), &["test", "rules", "test.yaml"]);
}

/// Asserts that the table has every exit code of the guard, and an alert that agrees with whether a retry helps.
fn expect_every_exit_code(alerts: &BTreeMap<&str, &str>) {
    let table = Guard::new().line("exit-codes --format json").run();
    let table: Vec<Value> =
        serde_json::from_str(&table.expect_code(0).stdout()).expect("the table is JSON");
    assert!(table.len() > 10);
    for entry in table {
        let code = entry["code"].as_str().expect("a code is a text");
        // Stops are in the table as the two signals that platforms send.
        let stops = ["130", "143"];
        let codes = if code == "128+n" {
            &stops[..]
        } else {
            &[code][..]
        };
        let expected = match entry["retry"].as_str() {
            Some("no") => "page",
            Some("yes") => "ticket",
            Some(_) if code != "1" => "page",
            _ => "nothing",
        };
        for code in codes {
            assert_eq!(alerts.get(code), Some(&expected), "{entry}");
        }
    }
}

fn stopped_start() {
    let manifest =
        "version: 1\nsteps: [{name: migrate, command: [sh, -c, 'echo begun; sleep 100']}]\n";
    let guard = Guard::with_manifest(manifest).line("run --no-server");
    let running = guard.env("STARTUP_GUARD_LOG", "json").start();
    running.wait_for("begun");
    running.signal(Signal::SIGTERM);
    let lines = running.end().expect_code(143).json_lines();
    let last = lines.last().expect("the stop is logged");
    assert_eq!(last["exit_code"], 143, "{last}");
    assert!(lines.iter().all(|line| line.get("retry").is_none()));
}

fn status_of_a_pod() {
    let [get, _] = lines("## Kubernetes")[..] else {
        panic!("two commands show a pod");
    };
    let (_, options) = get.split_once(" -o ").expect("the command has a format");
    let state = json!({"terminated": {"exitCode": 78, "message": "the environment is invalid"}});
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "backend-1"},
        "spec": {"containers": [{"name": "backend", "image": "backend"}]},
        "status": {"containerStatuses": [{"name": "backend", "lastState": state}]},
    });
    let folder = Folder::new();
    folder.file("pod.json", pod.to_string());
    // Without a cluster: `label --local` prints the object of a file in the same formats as `get`.
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("kubectl label --local -f pod.json a=b -o {options}"),
        ])
        .current_dir(folder.path())
        .output()
        .expect("a shell starts");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "backend: 78 the environment is invalid\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
