//! End to end: the guard, a real alembic, a real uvicorn and a real PostgreSQL.

#[path = "../guard/support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the guard alone")]
mod support;

mod adopt;
mod demo;
mod environment;
mod fastapi_template;
#[allow(dead_code, reason = "each target needs a part of it")]
mod postgres;
mod start;
mod stop;
