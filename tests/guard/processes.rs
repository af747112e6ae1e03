//! Several processes in one manifest and one image: which one is chosen, and what counts for it.

use std::fs;

use serde_json::Value;

use crate::support::Guard;

const KEY: &str = "canary-of-the-key";
const WEB_TOKEN: &str = "canary-of-the-web-token";
const BROKER: &str = "redis://:canary-of-the-broker@redis:6379/0";

const MANIFEST: &str = r#"
version: 1
service: shop
processes:
  web:
    announce: "web on ${PORT:-8000}"
    command: [sh, -c, 'echo "web $$ $WEB_MODE"']
  worker:
    command: [sh, -c, 'echo "worker $QUEUE $WEB_TOKEN $WEB_MODE"']
    init: true
  beat: {command: [echo, beat]}
variables:
  SECRET_KEY: {secret: true}
  WEB_TOKEN: {secret: true, min_length: 10, processes: [web]}
  WEB_MODE: {default: fast, processes: web}
  BROKER_URL: {type: url, secret: true, processes: [worker, beat]}
  QUEUE: {default: jobs, processes: [worker]}
wait_for:
  - {up_to_date: migrate, timeout: 20s, processes: [worker]}
steps:
  - name: migrate
    command: [sh, -c, 'echo "$BROKER_URL $WEB_TOKEN"; touch migrated']
    up_to_date: [test, -e, migrated]
    processes: [web]
  - {name: collect, command: [touch, collected]}
"#;

fn guard() -> Guard {
    Guard::with_manifest(MANIFEST).env("SECRET_KEY", KEY)
}

#[test]
fn a_process_gets_its_own_steps_and_values_and_becomes_its_own_command() {
    let guard = guard()
        .env("WEB_TOKEN", WEB_TOKEN)
        .env("BROKER_URL", BROKER);
    let running = guard.line("run --process web").start();
    let pid = running.pid();
    let ended = running.end().expect_code(0);
    // The value of a variable that is only for another process is passed on, and masked.
    ended
        .expect_stderr("web on 8000")
        .expect_stdout(&format!("*** ***\nweb {pid} fast\n"));
}

#[test]
fn a_value_that_is_only_for_another_process_is_passed_on_without_a_check_or_a_default() {
    let guard = guard().env("WEB_TOKEN", "short").env("BROKER_URL", BROKER);
    guard.folder.file("migrated", "");
    let ended = guard.line("run --process=worker").run().expect_code(0);
    ended
        .expect_stdout("worker jobs short \n")
        .expect_never(KEY);
}

#[test]
fn the_file_of_a_secret_that_is_only_for_another_process_is_not_read() {
    let guard = guard()
        .env("WEB_TOKEN_FILE", "token")
        .env("BROKER_URL", BROKER);
    guard.folder.file("token", WEB_TOKEN);
    let guard = guard
        .line("run --process beat -- sh -c")
        .args(["echo \"$WEB_TOKEN in $WEB_TOKEN_FILE\""]);
    let ended = guard.run().expect_code(0).expect_never(WEB_TOKEN);
    ended.expect_stdout(" in token\n");
}

#[test]
fn a_worker_waits_for_the_step_of_the_web_process_and_does_not_run_it() {
    let guard = guard().env("BROKER_URL", BROKER);
    let running = guard.line("run --process worker").start();
    running.wait_for("the step migrate: it has something to do");
    assert!(!running.folder.path().join("migrated").exists());
    running.folder.file("migrated", "");
    let ended = running.end().expect_code(0);
    assert!(ended.folder.path().join("collected").exists(), "{ended}");
}

#[test]
fn the_process_comes_from_the_option_or_else_from_the_variable() {
    let of = |line: &str, variable: &str| {
        let guard = guard()
            .env("BROKER_URL", BROKER)
            .env("WEB_TOKEN", WEB_TOKEN);
        let guard = guard.env("STARTUP_GUARD_PROCESS", variable);
        guard.line(line).run().expect_code(0).stdout()
    };
    assert_eq!(of("run", "beat"), "beat\n");
    assert_eq!(of("run --process beat", "web"), "beat\n");
    assert_eq!(of("run --process beat", "nothing"), "beat\n");
    assert_eq!(of("--process beat -- echo instead", ""), "instead\n");
    // Without a manifest there is nothing to choose.
    assert_eq!(
        of("run --no-manifest -- echo instead", "nothing"),
        "instead\n"
    );
}

#[test]
fn the_only_process_needs_no_choice() {
    let manifest = "version: 1\nprocesses: {web: {command: [echo, web]}}\nvariables: {A: {default: x, processes: [web]}}\n";
    let ended = Guard::with_manifest(manifest).line("run").run();
    ended.expect_code(0).expect_stdout("web\n");
}

#[test]
fn without_a_choice_a_start_is_refused_with_the_names() {
    let ended = guard().line("run").run().expect_code(64);
    ended.expect_stderr(
        "the manifest has several processes: choose web, worker or beat with --process or STARTUP_GUARD_PROCESS",
    );
}

#[test]
fn without_a_choice_a_command_or_no_server_has_only_what_is_for_all() {
    for line in ["run --no-server", "run -- true"] {
        let ended = guard().line(line).run().expect_code(0);
        assert!(ended.folder.path().join("collected").exists(), "{ended}");
        assert!(!ended.folder.path().join("migrated").exists(), "{ended}");
        Guard::with_manifest(MANIFEST)
            .line(line)
            .run()
            .expect_code(78)
            .expect_stderr("SECRET_KEY is not set [missing, required]\n")
            .expect_never("WEB_TOKEN is not set");
    }
}

#[test]
fn a_process_that_is_not_there_is_refused_with_the_nearest_name() {
    let cases = [
        (MANIFEST, "wroker", "; did you mean `worker`?"),
        (MANIFEST, "release", "; it has web, worker and beat"),
        (
            "version: 1\nserver: {command: [x]}\n",
            "web",
            "; it has no `processes`",
        ),
    ];
    for (manifest, name, hint) in cases {
        let told = format!("names the process `{name}`, which is not in the manifest{hint} (phase");
        for subcommand in ["run", "check"] {
            let guard = || Guard::with_manifest(manifest);
            let ended = guard().args([subcommand, "--process", name]).run();
            ended
                .expect_code(64)
                .expect_stderr(&format!("--process {told}"));
            let ended = guard()
                .line(subcommand)
                .env("STARTUP_GUARD_PROCESS", name)
                .run();
            ended
                .expect_code(64)
                .expect_stderr(&format!("STARTUP_GUARD_PROCESS {told}"));
        }
    }
}

#[test]
fn a_process_without_a_command_needs_one_on_the_command_line() {
    let manifest = "version: 1\nprocesses: {web: {}, worker: }\n";
    for name in ["web", "worker"] {
        let guard = || Guard::with_manifest(manifest).env("STARTUP_GUARD_PROCESS", name);
        let told =
            format!("there is no command to run: set processes.{name}.command in the manifest");
        guard()
            .line("run")
            .run()
            .expect_code(64)
            .expect_stderr(&told);
        guard().line("run -- true").run().expect_code(0);
    }
}

#[test]
fn an_init_is_that_of_the_chosen_process() {
    let guard = guard().env("BROKER_URL", BROKER);
    guard.folder.file("migrated", "");
    let told = "--forward, --rewrite, --remap-exit and --stop-grace need an init";
    let guard = guard.line("run --process worker --rewrite TERM:INT");
    guard.run().expect_code(0).expect_never(told);
    let guard = self::guard().env("BROKER_URL", BROKER);
    let ended = guard.line("run --process beat --rewrite TERM:INT").run();
    let told = [
        told,
        ": add --init, or set processes.beat.init: true in the manifest",
    ]
    .concat();
    ended.expect_code(64).expect_stderr(&told);
}

#[test]
fn a_step_of_another_process_can_be_skipped_without_an_effect() {
    let guard = guard().env("BROKER_URL", BROKER);
    let ended = guard.line("run --process beat --skip migrate").run();
    ended.expect_code(0).expect_stdout("beat\n");
}

#[test]
fn a_check_of_everything_tells_for_which_processes_each_finding_counts() {
    let text = guard().line("check").run().expect_code(78);
    let text = text.stdout();
    assert!(
        text.contains("WEB_TOKEN is not set [missing, required, only web]\n"),
        "{text}"
    );
    let told = "BROKER_URL is not set [missing, required, only worker and beat]\n";
    assert!(text.contains(told), "{text}");
    let github = guard().line("check --format github").run().expect_code(78);
    assert!(
        github
            .stdout()
            .contains("::WEB_TOKEN is not set (only web): set"),
        "{github}"
    );
    let json = guard().line("check --format json").run().expect_code(78);
    let first = json
        .stdout()
        .lines()
        .next()
        .map(serde_json::from_str::<Value>);
    let first = first.expect("it has a line").expect("it is JSON");
    assert_eq!(first["processes"], serde_json::json!(["web"]));
    let of_one = guard().line("check --process web").run().expect_code(78);
    let told = "WEB_TOKEN is not set [missing, required]\n";
    assert!(of_one.stdout().contains(told), "{of_one}");
    of_one.expect_never("BROKER_URL");
}

#[test]
fn a_check_takes_the_process_from_the_environment_that_it_checks() {
    let guard = Guard::with_manifest(MANIFEST).env("STARTUP_GUARD_PROCESS", "web");
    let variables = format!("STARTUP_GUARD_PROCESS=beat\nSECRET_KEY={KEY}\nBROKER_URL={BROKER}\n");
    fs::write(guard.folder.path().join("variables"), variables).expect("it can be written");
    let ended = guard.line("check --env-file variables --only-file").run();
    ended.expect_code(0).expect_never("canary");
}
