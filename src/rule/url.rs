//! The rules for URLs and origins.

use super::{Checked, Rule, ensure};
use crate::report::{Code, ValueFinding, wrong_type};
use crate::url::{Url, host_and_port, is_percent_encoded};

impl Rule {
    /// Checks a URL: its credentials, its hosts, and its scheme.
    pub(super) fn check_url(&self, value: &str) -> Checked {
        let example = self.schemes.first().map_or("https", String::as_str);
        let shape = format!("write it as {example}://host…");
        let url = Url::cut(value).ok_or_else(|| wrong_type("is not a URL", shape.as_str()))?;
        // Checked first, because an unescaped character makes all later parts wrong.
        if url.has_cut_credentials() || has_raw_character(&url) {
            return Err(ValueFinding::unescaped_credentials());
        }
        let is_space = |other: char| other.is_whitespace() || other.is_control();
        let fix = "remove it, or percent-encode it as %20";
        ensure(!value.contains(is_space), "contains white space", fix)?;
        ensure(!url.lacks_host(), "has no host", &shape)?;
        if !url.authority.is_empty() && url.hosts().is_none() {
            return Err(ValueFinding::invalid_host());
        }
        self.check_scheme(&url)
    }

    /// Checks an origin: scheme, host and port, as a browser sends it.
    pub(super) fn check_origin(&self, value: &str) -> Checked {
        let shape =
            "write scheme://host[:port] and nothing after it, such as https://app.example.com";
        let url = Url::cut(value).ok_or_else(|| wrong_type("is not an origin", shape))?;
        let problem = "ends with a slash, which no browser sends";
        ensure(url.rest != "/", problem, "remove the slash at its end")?;
        let problem = "has a path after its host, which no browser sends";
        ensure(url.rest.is_empty(), problem, shape)?;
        let host = url.authority.strip_prefix("*.");
        let is_host = host_and_port(host.unwrap_or(url.authority)).is_some();
        ensure(url.user.is_none() && is_host, "is not an origin", shape)?;
        self.check_scheme(&url)?;
        let problem = "has a wildcard, which Django takes, but Starlette's allow_origins matches with no origin";
        let fix = "list each origin, or use a regular expression (allow_origin_regex)";
        host.map_or(Ok(()), |_| Err(wrong_type(problem, fix).into_warning()))
    }

    fn check_scheme(&self, url: &Url<'_>) -> Checked {
        let scheme = url.scheme.to_ascii_lowercase();
        // `https` also admits `http` on localhost, where there is usually no certificate.
        let is_admitted = |admitted: &String| {
            *admitted == scheme || admitted == "https" && scheme == "http" && url.is_local()
        };
        if self.schemes.is_empty() || self.schemes.iter().any(is_admitted) {
            return Ok(());
        }
        let admitted = format!("{}://", self.schemes.join(":// or "));
        let problem = format!("does not begin with {admitted}");
        let fix = format!("write it with {admitted}");
        Err(ValueFinding::new(Code::WrongScheme, problem, fix))
    }
}

/// Whether the user or the password contains a character that must be percent-encoded.
fn has_raw_character(url: &Url<'_>) -> bool {
    let is_raw = |other: char| other.is_whitespace() || "@\"<>\\^`{|}".contains(other);
    let mut parts = [url.user, url.password].into_iter().flatten();
    parts.any(|text| text.contains(is_raw) || !is_percent_encoded(text))
}
