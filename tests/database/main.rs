//! Tests of waits and locks with the real binary and a real PostgreSQL server.

#[path = "../service/postgres.rs"]
#[allow(dead_code, reason = "each target needs a part of it")]
mod postgres;
#[path = "../guard/support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the guard alone")]
mod support;

mod alembic;
mod canaries;
mod certificates;
mod fleet;
mod hostile;
mod https;
mod inheritance;
mod lock;
mod loss;
mod once;
mod pool;
mod random;
mod release;
mod retries;

mod server;
mod tls;
mod waiting;
