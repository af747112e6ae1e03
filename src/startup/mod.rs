//! What happens after the check: the steps, then the hand-over to the server. Everything here asks for the
//! effective environment, which only a passed check makes.

mod mask;
mod relay;
pub mod serve;
pub mod step;
mod supervise;

pub use relay::Form;
