//! Everything after the check: waits for dependencies, runs the steps, and hands over to the server. Takes a plan,
//! which only a passed check creates.

mod backoff;
pub mod failure;
pub mod init;
mod launch;
#[cfg(feature = "postgres")]
mod lock;
mod mask;
mod progress;
#[cfg(feature = "postgres")]
mod question;
mod relay;
pub mod serve;
pub mod step;
mod supervise;
pub mod user;
pub mod wait;
