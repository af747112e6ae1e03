//! `startup-guard healthcheck URL`: for images that have neither a shell nor curl.

use std::time::Duration;

use crate::environment::Environment;
use crate::error::Error;
use crate::manifest::Template;

/// How long the service may take to answer. Docker's own limit is 30 seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

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
    match agent()
        .get(url)
        .call()
        .map_err(|error| unhealthy(error.to_string()))?
        .status()
        .as_u16()
    {
        200..=299 => Ok(()),
        code => Err(unhealthy(format!("it answered with {code}"))),
    }
}

fn agent() -> ureq::Agent {
    let settings = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        // A redirect is an answer, but no 2xx.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        // The service is asked, and not what HTTP_PROXY names.
        .proxy(None);
    settings.build().into()
}
