//! Everything after the check: waits for dependencies, runs the steps, and hands over to the server. Takes a plan,
//! which only a passed check creates.

mod backoff;
pub mod init;
pub mod launch;
#[cfg(feature = "postgres")]
pub mod lock;
mod mask;
pub mod progress;
#[cfg(feature = "postgres")]
mod question;
mod relay;
pub mod serve;
pub mod step;
mod supervise;
pub mod user;
pub mod wait;
