//! `startup-guard healthcheck URL`: for images that have neither a shell nor curl.

use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::error::Error;
use crate::manifest::Template;
use crate::net::{self, http};
use crate::target::HttpTarget;

/// How long the service may take to answer. Docker's own limit is 30 seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks once.
///
/// # Errors
/// If the answer is not a 2xx, or does not come in time. No error shows the URL: it can hold a password.
pub fn run(url: &str, environment: &Environment) -> Result<(), Error> {
    let url = Template::parse(url)
        .expand(|name| environment.get(name))
        .map_err(|unset| Error::Unhealthy(unset.to_string()))?;
    let url = url
        .into_string()
        .map_err(|_| Error::Unhealthy("the URL is not UTF-8".to_owned()))?;
    if !url.starts_with("http://") {
        return Err(Error::Unhealthy(
            "the URL does not begin with http://".to_owned(),
        ));
    }
    let page = HttpTarget::parse(&url).map_err(|finding| {
        Error::Unhealthy(format!("the URL {}; {}", finding.problem, finding.fix))
    })?;
    match ask(page)? {
        // A redirect is an answer, but no 2xx.
        Some(Ok(200..=299)) => Ok(()),
        Some(Ok(code)) => Err(Error::Unhealthy(format!("it answered with {code}"))),
        Some(Err(error)) => Err(Error::Unhealthy(error.reason)),
        None => Err(Error::Unhealthy("no answer".to_owned())),
    }
}

/// The answer, if it comes in time. The request is made on a thread of its own, because a name server that does
/// not answer would block it for longer. The thread ends with the process.
fn ask(page: HttpTarget) -> Result<Option<Result<u16, net::Error>>, Error> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let work = move || {
        // The receiver is gone once the time is up.
        let _ = sender.send(http::status(&page, Instant::now() + TIMEOUT));
    };
    std::thread::Builder::new()
        .spawn(work)
        .map_err(Error::system("start a thread"))?;
    Ok(receiver.recv_timeout(TIMEOUT).ok())
}
