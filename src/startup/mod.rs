//! What happens after the check: the waiting, the steps, then the hand-over to the server. Everything here takes the
//! plan, which only a passed check makes.

#[cfg(feature = "postgres")]
pub mod lock;
mod mask;
pub mod progress;
mod relay;
pub mod serve;
pub mod step;
mod supervise;
pub mod user;
pub mod wait;
