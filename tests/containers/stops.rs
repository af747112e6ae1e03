//! `docker stop`, in every phase.

use std::time::Duration;

use crate::Test;
use crate::engine::Container;
use crate::example::{Database, assert_no_secret, start};
use crate::images;

pub const TESTS: &[Test] = &[
    (
        "a_stop_during_the_migration_ends_it_and_never_starts_the_server",
        a_stop_during_the_migration_ends_it_and_never_starts_the_server,
    ),
    (
        "a_stop_while_serving_is_the_servers_own_graceful_stop",
        a_stop_while_serving_is_the_servers_own_graceful_stop,
    ),
];

/// With and without the engine's own init as PID 1.
const INITS: [&[&str]; 2] = [&[], &["--init"]];

/// A limit well below the engine's default of 10 s.
const SOON: Duration = Duration::from_secs(8);

fn a_stop_during_the_migration_ends_it_and_never_starts_the_server() {
    images::build();
    for init in INITS {
        let database = Database::start();
        hold_the_migration(&database);
        let example = start(&database, init, &[]);
        example.until_logged("Running upgrade  -> 0001");
        let (code, took) = example.stop();
        assert_eq!(code, 143, "{}", example.logs());
        assert!(took < SOON, "it took {took:?}");
        let logs = example.logs();
        assert!(!logs.contains("Démarrage du serveur"), "{logs}");
        assert_no_secret(&logs);
        assert_eq!(
            database.sql("select count(*) from pg_tables where tablename = 'offers'"),
            "0"
        );
    }
}

fn a_stop_while_serving_is_the_servers_own_graceful_stop() {
    images::build();
    for init in INITS {
        let database = Database::start();
        let example = start(&database, init, &[]);
        example.until_healthy();
        let (code, took) = example.stop();
        // uvicorn raises the signal again after its graceful stop, which the kernel ignores for PID 1.
        let expected = if init.is_empty() { 0 } else { 143 };
        assert_eq!(code, expected, "{}", example.logs());
        assert!(took < SOON, "it took {took:?}");
        assert!(
            example.logs().contains("Application shutdown complete."),
            "{}",
            example.logs()
        );
    }
}

/// Creates the first migration's table in an open transaction, so that the migration blocks.
fn hold_the_migration(database: &Database) {
    let Container(name) = &database.container;
    let hold = "BEGIN; CREATE TABLE offers (); SELECT pg_sleep(600)";
    crate::engine::docker(&[
        "exec", "-d", name, "psql", "-U", "app", "-d", "app", "-c", hold,
    ]);
    database.container.until("the table is made", |_| {
        let sleepers = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        database.sql(sleepers) == "1"
    });
}
