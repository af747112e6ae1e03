//! A panic for the tests, which have no bug of ours to provoke. Builds with assertions only: a release has none
//! of this.

use crate::check::Effective;
use crate::error::Error;
use crate::os::helper;

/// Where to panic, and with the value of which variable: `main:NAME` or `helper:NAME`.
const REQUEST: &str = "STARTUP_GUARD_TEST_PANIC";

/// Panics with a variable's value in the message, if that is asked for.
///
/// # Errors
/// When the system gives no thread.
pub fn provoke(effective: &Effective) -> Result<(), Error> {
    let environment = effective.environment();
    let request = environment.text(REQUEST).unwrap_or_default();
    let Some((thread, name)) = request.split_once(':') else {
        return Ok(());
    };
    let value = environment.text(name).unwrap_or_default().to_owned();
    let work = move || panic!("the value is {value}");
    if thread == "main" {
        work();
    }
    let (outbox, news) = helper::mailbox::<()>();
    helper::spawn("panic", move || {
        let _outbox = outbox;
        work()
    })
    .map_err(|cause| Error::System {
        what: "start a thread",
        cause,
    })?;
    // Its end would let the start go on.
    let _ = news.recv();
    Ok(())
}
