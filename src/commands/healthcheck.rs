//! `startup-guard healthcheck URL`, for images that have neither a shell nor curl.

use std::time::{Duration, Instant};

use crate::cli::{self, UsageError};
use crate::environment::Environment;
use crate::error::Error;
use crate::manifest::{Template, unbraced};
use crate::net::http;
use crate::startup::deadline;
use crate::targets::{HttpTarget, Protocol, Target, http_status};

/// The default time limit for the answer. Docker's own limit for a health check is 30 seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Requests the URL once.
///
/// # Errors
/// If the arguments are wrong, or if no answer with an expected status arrives in time. No error contains the URL,
/// because it can contain a password, unless it is only a host and a port.
pub fn run(arguments: &cli::Healthcheck, environment: &Environment) -> Result<(), Error> {
    let timeout = arguments.timeout.unwrap_or(TIMEOUT);
    let until = deadline(Instant::now(), timeout);
    let page = page(arguments, environment).map_err(UsageError)?;
    http::check(&page, until).map_err(|error| Error::Unhealthy(error.reason))
}

/// The page to request.
///
/// # Errors
/// What is wrong with the arguments.
fn page(arguments: &cli::Healthcheck, environment: &Environment) -> Result<HttpTarget, String> {
    let url = Template::parse(&arguments.url).expand(|name| environment.get(name));
    let url = url.map_err(|unset| format!("the URL: {unset}"))?;
    let url = url.into_string().map_err(|_| "the URL is not UTF-8")?;
    let mut page = HttpTarget::parse(&url, environment.text("SSL_CERT_FILE")).map_err(|found| {
        let (address, path) = url.split_at(url.find('/').unwrap_or(url.len()));
        let is_address = Target::parse(Protocol::Tcp, address, |_| None).is_ok();
        let is_known = |name: &str| name == "PORT" || environment.get(name).is_some();
        let fix = if let Some((_, name)) = unbraced(&[&arguments.url], is_known).first() {
            format!(
                "no shell expands ${name}; write ${{{name}}}, or ${{{name}:-text}} with a default"
            )
        } else if is_address && !arguments.url.contains(['@', '?']) {
            let slash = if path.is_empty() { "/" } else { "" };
            format!("write http://{}{slash}", arguments.url)
        } else {
            found.fix
        };
        format!("the URL {}; {fix}", found.problem)
    })?;
    for word in arguments.statuses.iter().flat_map(|list| list.split(',')) {
        let status = http_status(word.trim()).ok_or_else(|| {
            format!(
                "`--status` must be statuses from 200 to 599, separated by commas, not `{word}`"
            )
        })?;
        page.statuses.push(status);
    }
    Ok(page)
}
