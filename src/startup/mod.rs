//! What happens after the check: the steps, then the hand-over to the server. Everything here asks for the
//! effective environment, which only a passed check makes.

pub mod init;
mod mask;
mod relay;
pub mod serve;
pub mod step;
mod supervise;
pub mod user;

pub use relay::Form;
