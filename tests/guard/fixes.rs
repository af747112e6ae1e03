//! Runs the commands of a report in a shell, and checks which programs are called with which arguments and input.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Ended, Folder, Guard};

const MANIFEST: &str = "version: 1
variables:
  SIGNING_KEY: {secret: true, min_length: 32, generate: {bytes: 32, format: base64}}
  DATABASE_URL: {type: url, schemes: [postgresql], secret: true}
  ALGORITHM: {one_of: [\"it's $HS256 `x`\"]}
";

/// Writes its arguments and its standard input to a file.
const STUB: &str = "#!/bin/sh
{ printf '%s' \"${0##*/}\"; for word; do printf ' [%s]' \"$word\"; done
  case \"$*\" in *--stdin*|*import*|*--data-file=-*) printf ' <%s>' \"$(cat)\";; esac
  echo; } >>calls
";

/// The shells in which fixes are run: one that implements POSIX, and the most common one.
const SHELLS: [&str; 2] = ["sh", "bash"];

/// Runs a report's fix in a shell, and types the input for which it asks.
struct Paste {
    folder: Folder,
    shell: &'static str,
}

impl Paste {
    /// Runs the check, then its fix.
    fn of(guard: Guard, line: &str, shell: &'static str, typed: &str) -> Self {
        let ended = guard
            .line(&format!("{line} --format json"))
            .run()
            .expect_code(78);
        let fix = new_values(&ended)["commands"].take();
        let paste = Self {
            folder: ended.folder,
            shell,
        };
        for name in ["railway", "kubectl", "fly", "heroku", "gcloud"] {
            paste.folder.script(name, STUB);
        }
        paste
            .folder
            .script("openssl", "#!/bin/sh\necho generated-$1-$2-$3\n");
        for command in fix.as_array().expect("there is a fix") {
            paste.run(command.as_str().expect("a command is a text"), typed);
        }
        paste
    }

    fn run(&self, command: &str, typed: &str) {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        let mut shell = Command::new(self.shell)
            .args(["-c", command])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut terminal = shell.stdin.take().expect("it is piped");
        // A program that does not ask for input reads nothing.
        let _ = terminal.write_all(format!("{typed}\n").as_bytes());
        drop(terminal);
        let output = shell.wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{told}");
        // Only the prompts of the fix, and no error of the shell.
        let is_question = |line: &str| line.ends_with(": ") || line.is_empty();
        assert!(told.split('\n').all(is_question), "{command}\n{told}");
    }

    /// The calls, each as `[word]…`, followed by its standard input if it reads that.
    fn calls(&self) -> String {
        fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default()
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).expect("it was written")
    }
}

fn summary(ended: &Ended) -> serde_json::Value {
    let stdout = ended.stdout();
    serde_json::from_str(stdout.lines().last().unwrap_or_default()).expect("it is JSON")
}

/// The fix with new values, which is the last one.
fn new_values(ended: &Ended) -> serde_json::Value {
    let fixes = summary(ended)["fixes"].take();
    fixes
        .as_array()
        .and_then(|fixes| fixes.last())
        .cloned()
        .unwrap_or_default()
}

/// Runs the fix for a platform in each shell, and compares the calls.
fn expect_calls(platform: &[(&str, &str)], expected: &str) {
    for shell in SHELLS {
        let mut guard = Guard::with_manifest(MANIFEST);
        for (name, value) in platform {
            guard = guard.env(name, value);
        }
        let paste = Paste::of(guard, "check", shell, "typed secret");
        assert_eq!(paste.calls(), expected, "{shell}");
    }
}

#[test]
fn railways_command_line_gets_every_name_whole_and_secrets_on_standard_input() {
    expect_calls(
        &[
            ("RAILWAY_SERVICE_NAME", "my api's"),
            ("RAILWAY_ENVIRONMENT_NAME", "prod"),
        ],
        "railway [variable] [set] [DATABASE_URL=${{Postgres.DATABASE_URL}}] [ALGORITHM=it's $HS256 `x`] [--service] [my api's] [--environment] [prod]
railway [variable] [set] [SIGNING_KEY] [--stdin] [--service] [my api's] [--environment] [prod] <generated-rand--base64-32>
",
    );
}

#[test]
fn kubectl_gets_a_secret_and_the_workload() {
    expect_calls(
        &[
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("HOSTNAME", "api-7d9c5b6f48-x2x9z"),
        ],
        "kubectl [set] [env] [deployment/api] [ALGORITHM=it's $HS256 `x`]
kubectl [create] [secret] [generic] [api-env] [--from-literal=SIGNING_KEY=generated-rand--base64-32] [--from-literal=DATABASE_URL=typed secret]
kubectl [set] [env] [deployment/api] [--from=secret/api-env]
",
    );
}

#[test]
fn flyctl_and_heroku_get_all_of_it_in_one_command() {
    expect_calls(
        &[("FLY_APP_NAME", "api")],
        "fly [secrets] [set] [--app] [api] [SIGNING_KEY=generated-rand--base64-32] [DATABASE_URL=typed secret] [ALGORITHM=it's $HS256 `x`]
",
    );
    expect_calls(
        &[("DYNO", "web.1"), ("HEROKU_APP_NAME", "api")],
        "heroku [config:set] [--app] [api] [SIGNING_KEY=generated-rand--base64-32] [DATABASE_URL=typed secret] [ALGORITHM=it's $HS256 `x`]
",
    );
}

#[test]
fn gcloud_gets_secrets_and_one_update() {
    expect_calls(
        &[("K_SERVICE", "api")],
        "gcloud [secrets] [create] [SIGNING_KEY] [--data-file=-] <generated-rand--base64-32>
gcloud [secrets] [create] [DATABASE_URL] [--data-file=-] <typed secret>
gcloud [run] [services] [update] [api] [--update-env-vars] [ALGORITHM=it's $HS256 `x`] [--update-secrets] [SIGNING_KEY=SIGNING_KEY:latest,DATABASE_URL=DATABASE_URL:latest]
",
    );
}

#[test]
fn elsewhere_the_fix_writes_an_env_file() {
    for shell in SHELLS {
        let paste = Paste::of(
            Guard::with_manifest(MANIFEST),
            "check",
            shell,
            "typed 's $secret",
        );
        let expected = "\nSIGNING_KEY=generated-rand--base64-32\nDATABASE_URL=\"typed 's \\$secret\"\nALGORITHM=\"it's \\$HS256 `x`\"\n";
        assert_eq!(paste.file(".env"), expected, "{shell}");
    }
}

#[test]
fn the_title_promises_only_the_readers_that_take_the_lines_as_they_are() {
    for (variables, promised) in [
        (
            "{A: {secret: true, generate: {}}, B: {one_of: ['a b,c']}, C: {type: url}}",
            true,
        ),
        ("{A: {secret: true}}", false),
        ("{A: {one_of: ['a # b']}}", false),
        ("{A: {one_of: [\"it's\"]}}", false),
    ] {
        let manifest = format!("version: 1\nvariables: {variables}\n");
        let ended = Guard::with_manifest(&manifest)
            .line("check --format json")
            .run()
            .expect_code(78);
        let fix = new_values(&ended);
        let title = fix["title"].as_str().expect("a fix has a title");
        assert_eq!(
            title.contains("of run, check or docker run"),
            promised,
            "{title}"
        );
        assert!(title.contains("env_file in compose"), "{title}");
    }
}

/// Texts with characters that are special in shells, env files or the command lines of platforms.
fn hostile() -> impl Strategy<Value = String> {
    const PIECES: [&str; 40] = [
        "'", "\"", "$", "`", "\\", "#", " #", ",", "EOF", " ", "=", "!", "!!", "*", "~", "&", ";",
        "|", ">", "(", ")", "$(id)", "`id`", "${A}", "$A", "${", "}", "$$", "\\n", "\\\"", "\\'",
        "%s", "-", "^", "é", "日本", "\"\"\"", "export ", "A=B", ":",
    ];
    let pieces = proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..8);
    let text = (pieces.clone(), pieces).prop_map(|(before, after)| {
        // So that the text is neither empty nor only white space.
        format!("{}k9{}", before.concat(), after.concat())
    });
    // A text that is a reference as a whole is a placeholder, and is not compared.
    text.prop_filter("no placeholder", |text| {
        let bare = text.trim().trim_matches(['"', '\'']).trim();
        !(bare.starts_with("${") && bare.ends_with('}'))
    })
}

/// Such texts that the check accepts as the only admitted value.
fn hostile_value() -> impl Strategy<Value = String> {
    let is_quoted = |text: &String| text.starts_with(['"', '\'']) && text.ends_with(['"', '\'']);
    let text = hostile().prop_map(|text| text.trim().to_owned());
    text.prop_filter("no quotes around it", move |text| !is_quoted(text))
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always JSON")
}

/// Declares a secret for which the fix asks, and a variable with a single admitted value.
fn manifest_of(only: &str) -> String {
    format!(
        "version: 1\nvariables:\n  SECRET: {{secret: true}}\n  FIXED: {{one_of: [{0}]}}\n  CHOICE: {{one_of: [{0}, b]}}\n",
        json(only)
    )
}

fn cases(count: u32) -> TestRunner {
    TestRunner::new(Config {
        cases: count,
        failure_persistence: None,
        ..Config::default()
    })
}

#[test]
fn typed_and_fixed_values_are_unchanged_in_the_env_file() {
    let texts = (hostile(), hostile_value(), any::<bool>());
    let result = cases(30).run(&texts, |(typed, only, is_first)| {
        let shell = SHELLS[usize::from(is_first)];
        for dialect in ["", "compose", "docker", "python-dotenv", "kv"] {
            let guard = Guard::with_manifest(&manifest_of(&only));
            // The last line has no line break.
            guard.folder.file("a.env", "OTHER=1");
            let (file, options) = if dialect.is_empty() {
                (".env", String::new())
            } else {
                ("a.env", format!("--only-file --env-file a.env --dialect {dialect}"))
            };
            let paste = Paste::of(guard, &format!("check {options}"), shell, &typed);
            // A variable `SAME_…` is reported as missing exactly if the other one has the expected value.
            let judge = format!(
                "version: 1\nvariables:\n  SECRET: {{level: optional}}\n  FIXED: {{level: optional}}\n  OTHER: {{one_of: ['1']}}\n  SAME_SECRET: {{required_when: {{SECRET: [{}]}}}}\n  SAME_FIXED: {{required_when: {{FIXED: [{}]}}}}\n",
                json(&typed),
                json(&only)
            );
            let guard = Guard::with_manifest(&judge).env("OTHER", "1");
            let written = paste.file(file);
            guard.folder.file("a.env", &written);
            let options = if dialect.is_empty() {
                "--env-file a.env".to_owned()
            } else {
                options
            };
            let ended = guard.line(&format!("check {options} --format json")).run();
            prop_assert_eq!(ended.code(), 78, "{}\n{}\n{}", dialect, &written, &ended);
            let findings = summary(&ended)["findings"].clone();
            let findings = findings.as_array().expect("there are findings");
            let missing: Vec<_> = findings
                .iter()
                .filter(|finding| finding["finding"] == "missing")
                .map(|finding| finding["variable"].clone())
                .collect();
            prop_assert_eq!(missing, ["SAME_SECRET", "SAME_FIXED"], "{} {}\n{}", shell, dialect, &written);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn typed_and_fixed_values_reach_a_platforms_command_unchanged() {
    let texts = (hostile(), hostile_value(), hostile(), any::<bool>());
    let result = cases(30).run(&texts, |(typed, only, service, is_first)| {
        let shell = SHELLS[usize::from(is_first)];
        let pasted = |platform: &[(&str, &str)]| {
            let mut guard = Guard::with_manifest(&manifest_of(&only));
            for (name, value) in platform {
                guard = guard.env(name, value);
            }
            Paste::of(guard, "check", shell, &typed).calls()
        };
        let calls = pasted(&[
            ("RAILWAY_SERVICE_NAME", &service),
            ("RAILWAY_ENVIRONMENT_NAME", "production"),
        ]);
        let expected = format!("[FIXED={only}] [CHOICE=<");
        prop_assert!(calls.contains(&expected), "{}", calls);
        prop_assert!(
            calls.contains(&format!(
                "[--service] [{service}] [--environment] [production] <{typed}"
            )),
            "{}",
            calls
        );
        for platform in [
            vec![("FLY_APP_NAME", service.as_str())],
            vec![("DYNO", "web.1"), ("HEROKU_APP_NAME", &service)],
        ] {
            let calls = pasted(&platform);
            let expected = format!("[--app] [{service}] [SECRET={typed}] [FIXED={only}] [CHOICE=<");
            prop_assert!(calls.contains(&expected), "{}", calls);
        }
        let calls = pasted(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]);
        prop_assert!(
            calls.contains(&format!("[FIXED={only}] [CHOICE=<")),
            "{}",
            calls
        );
        prop_assert!(
            calls.contains(&format!("[--from-literal=SECRET={typed}]\n")),
            "{}",
            calls
        );
        let calls = pasted(&[("K_SERVICE", &service)]);
        prop_assert!(
            calls.contains(&format!("[--data-file=-] <{typed}>\n")),
            "{}",
            calls
        );
        prop_assert!(
            calls.contains(&format!("[update] [{service}] [--update-env-vars] [")),
            "{}",
            calls
        );
        let (_, set) = calls
            .split_once("[--update-env-vars] [")
            .expect("it is there");
        let (set, _) = set
            .split_once("] [--update-secrets] [SECRET=SECRET:latest]")
            .expect("it is there");
        // Split like gcloud does.
        let (delimiter, set) = match set.strip_prefix('^').and_then(|set| set.split_once('^')) {
            Some((delimiter, set)) => (delimiter, set),
            None => (",", set),
        };
        let items: Vec<&str> = set.split(delimiter).collect();
        prop_assert_eq!(items.len(), 2, "{}", calls);
        prop_assert_eq!(items[0], format!("FIXED={only}"));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn values_that_cannot_be_pasted_are_in_no_command() {
    let platforms: [&[(&str, &str)]; 8] = [
        &[],
        &[("RAILWAY_SERVICE_NAME", "api")],
        &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")],
        &[("FLY_APP_NAME", "api")],
        &[("DYNO", "web.1")],
        &[("RENDER", "true")],
        &[("K_SERVICE", "api")],
        &[("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4")],
    ];
    for control in ['\n', '\r', '\t', '\u{1b}', '\u{7}', '\u{85}', '\u{2028}'] {
        // Unescaped, some of them would be spaces for YAML.
        let control = format!("\\u{:04x}", u32::from(control));
        let text = format!("\"a{control}EOF{control}touch broken\"");
        let hint = format!("\"as ${{{{a{control}b.URL}}}}\"");
        let manifest = format!(
            "version: 1\nvariables:\n  URL: {{type: url, secret: true, hint: {hint}}}\n  FIXED: {{one_of: [{text}]}}\n  CHOICE: {{one_of: [{text}, b]}}\n"
        );
        for platform in platforms {
            let mut guard = Guard::with_manifest(&manifest);
            for (name, value) in platform {
                guard = guard.env(name, value);
            }
            let ended = guard.line("check --format json").run().expect_code(78);
            let fix = new_values(&ended);
            assert_eq!(fix["variables"], serde_json::json!(["URL", "CHOICE"]));
            for command in fix["commands"].as_array().expect("there is a fix") {
                let command = command.as_str().expect("a command is a text");
                let is_key = |other: char| other.is_control() && other != '\n';
                assert!(
                    !command.contains("broken") && !command.contains(is_key),
                    "{command:?}"
                );
            }
        }
        for shell in SHELLS {
            let paste = Paste::of(Guard::with_manifest(&manifest), "check", shell, "x");
            assert_eq!(paste.file(".env"), "\nURL=\"x\"\nCHOICE=<value>\n");
        }
    }
}

#[test]
fn a_long_generated_key_is_one_line() {
    let manifest = "version: 1\nvariables: {A: {secret: true, generate: {bytes: 96}}}\n";
    for shell in SHELLS {
        let ended = Guard::with_manifest(manifest)
            .line("check --format json")
            .run()
            .expect_code(78);
        let fix = new_values(&ended);
        let paste = Paste {
            folder: ended.folder,
            shell,
        };
        // openssl breaks base64 of more than 48 bytes into lines.
        paste
            .folder
            .script("openssl", "#!/bin/sh\necho abc\necho def\n");
        paste.run(fix["commands"][0].as_str().expect("a text"), "");
        assert_eq!(paste.file(".env"), "\nA=abcdef\n");
    }
}

/// The lines of the fix for a platform that has no command.
fn lines_of(manifest: &str, platform: (&str, &str)) -> String {
    let guard = Guard::with_manifest(manifest).env(platform.0, platform.1);
    let ended = guard.line("check --format json").run().expect_code(78);
    let fix = new_values(&ended);
    let lines = fix["commands"][0].as_str().expect("there are lines");
    lines.to_owned()
}

#[test]
fn renders_lines_are_yaml() {
    let lines = lines_of(MANIFEST, ("RENDER", "true"));
    let lines: serde_json::Value = serde_yaml::from_str(&lines).expect("they are YAML");
    let expected = serde_json::json!({"envVars": [
        {"key": "SIGNING_KEY", "generateValue": true},
        {"key": "DATABASE_URL", "sync": false},
        {"key": "ALGORITHM", "value": "it's $HS256 `x`"},
    ]});
    assert_eq!(lines, expected);
    // Words with a meaning in YAML are quoted.
    let lines = lines_of(
        "version: 1\nvariables: {\"NO\": {one_of: [\"no\"]}}\n",
        ("RENDER", "true"),
    );
    assert_eq!(lines, "envVars:\n  - {key: \"NO\", value: \"no\"}");
}

#[test]
fn fixed_values_are_unchanged_in_the_lines_for_render_and_ecs() {
    let result = cases(30).run(&hostile_value(), |only| {
        let manifest = manifest_of(&only);
        let lines = lines_of(&manifest, ("RENDER", "true"));
        let read: serde_json::Value = serde_yaml::from_str(&lines).expect("they are YAML");
        let fixed = serde_json::json!({"key": "FIXED", "value": only});
        prop_assert_eq!(&read["envVars"][1], &fixed, "{}", lines);
        let uri = ("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4");
        let lines = lines_of(&manifest, uri);
        let read: serde_json::Value =
            serde_json::from_str(&format!("[{lines}]")).expect("they are JSON");
        let fixed = serde_json::json!({"name": "FIXED", "value": only});
        prop_assert_eq!(&read[1], &fixed, "{}", lines);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
