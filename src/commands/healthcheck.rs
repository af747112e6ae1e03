//! `startup-guard healthcheck URL`: for images that have neither a shell nor curl.

use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::error::Error;
use crate::manifest::Template;
use crate::net::http;
use crate::targets::HttpTarget;

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
    let page = HttpTarget::parse(&url, None).map_err(|finding| {
        Error::Unhealthy(format!("the URL {}; {}", finding.problem, finding.fix))
    })?;
    http::check(&page, Instant::now() + TIMEOUT).map_err(|error| Error::Unhealthy(error.reason))
}
