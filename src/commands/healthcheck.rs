//! `startup-guard healthcheck URL`, for images that have neither a shell nor curl.

use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::error::Error;
use crate::manifest::Template;
use crate::net::http;
use crate::targets::HttpTarget;

/// The time limit for the answer. Docker's own limit for a health check is 30 seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Requests the URL once.
///
/// # Errors
/// If the URL is invalid, or if no answer with a 2xx status arrives in time. No error contains the URL, because it can
/// contain a password.
pub fn run(url: &str, environment: &Environment) -> Result<(), Error> {
    let request = || {
        let url = Template::parse(url).expand(|name| environment.get(name));
        let url = url.map_err(|unset| unset.to_string())?.into_string();
        let url = url.map_err(|_| "the URL is not UTF-8")?;
        let page = HttpTarget::parse(&url, environment.text("SSL_CERT_FILE"));
        let page =
            page.map_err(|finding| format!("the URL {}; {}", finding.problem, finding.fix))?;
        http::check(&page, Instant::now() + TIMEOUT).map_err(|error| error.reason)
    };
    request().map_err(Error::Unhealthy)
}
