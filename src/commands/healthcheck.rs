//! `startup-guard healthcheck URL`: for images that have neither a shell nor curl.

use crate::environment::Environment;
use crate::error::Error;
use crate::manifest::Template;

/// How long the service may take to answer, in seconds. Docker's own limit is 30.
const TIMEOUT: u64 = 5;

/// Asks once.
///
/// # Errors
/// When the answer is no 2xx, or there is none in time. The URL is not shown: it can hold a password.
pub fn run(url: &str, environment: &Environment) -> Result<(), Error> {
    let unhealthy = |reason: String| Error::Unhealthy(reason);
    let url = Template::parse(url)
        .expand(|name| environment.get(name))
        .map_err(|unset| unhealthy(unset.to_string()))?;
    let url = url
        .into_string()
        .map_err(|_| unhealthy("the URL is not UTF-8".to_owned()))?;
    if !url.starts_with("http://") {
        return Err(unhealthy("the URL does not begin with http://".to_owned()));
    }
    // A redirect is an answer, but not a 2xx.
    let request = minreq::get(url)
        .with_timeout(TIMEOUT)
        .with_follow_redirects(false);
    let answer = request
        .send()
        .map_err(|error| unhealthy(error.to_string()))?;
    match answer.status_code {
        200..=299 => Ok(()),
        code => Err(unhealthy(format!("it answered with {code}"))),
    }
}
