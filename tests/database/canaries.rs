//! Only the host and port of a URL are shown, whatever a real server answers.

use crate::server::Database;
use crate::support::{Ended, Guard};

/// Values of which no part occurs in messages of the guard or the server.
const CANARIES: [&str; 6] = [
    "bcdfghjk23",
    "kmnpqrst45",
    "vwxzbcdf67",
    "ghjkmnpq89",
    "rstvwxzb24",
    "cdfghjkm68",
];

/// Asserts that no six consecutive characters of a canary occur in the output.
fn expect_no_canary(ended: &Ended) {
    let shown = format!("{}{}", ended.stdout(), ended.stderr());
    for canary in CANARIES {
        for part in 0..=canary.len() - 6 {
            let part = &canary[part..part + 6];
            assert!(!shown.contains(part), "{part} is shown\n{ended}");
        }
    }
}

fn guard(url: &str, sections: &str, log: &str) -> Guard {
    let manifest = format!(
        "version: 1
variables: {{DATABASE_URL: {{secret: true}}, TOKEN: {{secret: true}}}}
{sections}
server: {{command: [echo, served]}}
"
    );
    Guard::with_manifest(&manifest)
        .env("DATABASE_URL", url)
        .env("TOKEN", CANARIES[0])
        .env("STARTUP_GUARD_LOG", log)
}

#[test]
fn no_part_of_a_url_is_shown_when_a_server_refuses_it() {
    let database = Database::new();
    let [_, user, password, name, application, file] = CANARIES;
    let (address, right) = (database.address(), database.password());
    let wait = "wait_for: [{postgres: DATABASE_URL, timeout: 500ms}]";
    let lock =
        "steps: [{name: s, command: ['true'], lock: {postgres: DATABASE_URL, timeout: 500ms}}]";
    let mut running = Vec::new();
    for (url, codes) in [
        (
            format!("postgresql://{user}:{password}@{address}/{name}"),
            [77, 77],
        ),
        (
            format!("postgresql://app:{right}@{address}/{name}?application_name={application}"),
            [77, 77],
        ),
        (
            format!("postgresql://app:{right}@{address}/{name}?options=-c%20{application}%3D1"),
            [77, 77],
        ),
        (
            format!("postgresql://app:{right}@{address}/{name}?sslmode=require"),
            [78, 78],
        ),
        (
            format!(
                "postgresql://app:{right}@{address}/{name}?sslmode=verify-full&sslrootcert=/{file}"
            ),
            [78, 78],
        ),
    ] {
        for (section, code) in [wait, lock].into_iter().zip(codes) {
            for log in ["text", "json"] {
                // Refusals are tolerated for five seconds, unless the time-out is shorter.
                let section = section.replace("500ms", if code >= 77 { "20s" } else { "500ms" });
                running.push((guard(&url, &section, log).start(), code));
            }
        }
    }
    for (guard, code) in running {
        let ended = guard
            .end()
            .expect_code(code)
            .expect_stdout("")
            .expect_never(right);
        expect_no_canary(&ended);
    }
}

#[test]
fn no_part_of_a_value_is_shown_when_the_lock_is_lost() {
    let database = Database::new();
    let [_, _, _, _, application, _] = CANARIES;
    let url = format!("{}?application_name={application}", database.url);
    let section = "steps:
  - name: s
    command: [sh, -c, 'echo $TOKEN $DATABASE_URL; echo started; while :; do sleep 0.05; done', '${TOKEN}']
    lock: {postgres: DATABASE_URL}";
    for log in ["text", "json"] {
        let running = guard(&url, section, log).start();
        running.wait_for("started");
        assert_eq!(database.sql().terminate_guards(), 1);
        let ended = running
            .end()
            .expect_code(75)
            .expect_never(database.password());
        expect_no_canary(&ended);
    }
}
