//! The number under which a step's lock is kept.

use sha2::{Digest, Sha256};

/// The first 8 bytes of SHA-256("startup-guard\0" service "\0" step), as PostgreSQL's `bigint`. The database is
/// part of the key by itself: every one has advisory locks of its own.
pub fn key(service: &str, step: &str) -> i64 {
    let mut hash = Sha256::new();
    for part in ["startup-guard\0", service, "\0", step] {
        hash.update(part);
    }
    let hash = hash.finalize();
    hash.iter()
        .take(8)
        .fold(0, |key, &byte| key << 8 | i64::from(byte))
}

/// The query that shows who holds the lock. PostgreSQL shows a key in two halves, and the locks of all its
/// databases.
pub fn holder_query(key: i64) -> String {
    let halves = key.cast_unsigned();
    format!(
        "SELECT a.pid, a.client_addr, a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a \
         USING (pid) WHERE l.locktype = 'advisory' AND l.classid = {} AND l.objid = {} AND l.objsubid = 1 AND l.granted \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        halves >> 32,
        halves & 0xffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::{holder_query, key};

    /// printf 'startup-guard\0intowork-backend\0migrate' | sha256sum | cut -c-16
    #[test]
    fn the_key_is_the_beginning_of_a_hash() {
        assert_eq!(key("intowork-backend", "migrate"), KEY);
        assert_ne!(key("intowork-backend", "migrat"), KEY);
        assert_ne!(key("intowork-backendm", "igrate"), KEY);
    }

    #[test]
    fn a_negative_key_is_shown_in_two_halves_that_are_not() {
        let query = holder_query(-2);
        assert!(
            query.contains("l.classid = 4294967295 AND l.objid = 4294967294"),
            "{query}"
        );
    }

    const KEY: i64 = 0x7ee5_1cc7_cefa_89b7;
}
