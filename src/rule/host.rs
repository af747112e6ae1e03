//! Checks a host: a name or an IP address, without a port.

use std::net::Ipv4Addr;

use super::{Checked, ensure, warn_unless};
use crate::url::{host_and_port, is_ipv6, port};

/// The largest length of a name, and of one of its labels, in the DNS.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Checks a host. An item of a list may also be a pattern of hosts, such as `*` and `.example.com`.
///
/// # Errors
/// The first finding: an error if no program can look the host up, and a warning if some programs can use the value.
pub fn check_host(value: &str, is_item: bool) -> Checked {
    let inside = value.strip_prefix('[');
    let inside = inside.and_then(|rest| rest.strip_suffix(']'));
    if is_ipv6(inside.unwrap_or(value)) {
        return Ok(());
    }
    if value.starts_with(['/', '@']) {
        let fix = "keep it only if the program takes the path of a socket for a host";
        return warn_unless(false, "is the path of a socket, not a host", fix);
    }
    let fix = "write the host alone, without a scheme and a path: db.example.com";
    ensure(!value.contains("://"), "is a URL, not a host", fix)?;
    let several: Vec<&str> = value.split(',').map(str::trim).collect();
    if !is_item && several.len() > 1 && several.iter().all(|one| check_host(one, false).is_ok()) {
        let fix = "write one host, or declare `list: csv`";
        return warn_unless(false, "is a list of hosts only for some programs", fix);
    }
    if let Some((host, number)) = value.rsplit_once(':') {
        let is_bracketed = host.starts_with('[') && host_and_port(host).is_some();
        let is_host = is_bracketed || !host.contains(':') && check_host(host, is_item).is_ok();
        let has_port = is_host && port(number).is_some();
        let fix = "write the host alone, and the port in a variable of its own";
        ensure(!has_port, "contains a port", fix)?;
    }
    let fix = "write the host alone: db.example.com";
    ensure(!value.contains('/'), "contains a path", fix)?;
    ensure(!value.contains('@'), "contains a user", fix)?;
    let pattern = value.strip_prefix("*.").or(value.strip_prefix('.'));
    let is_pattern = pattern.is_some() || value == "*";
    let name = pattern.unwrap_or(value);
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_gap = |other: char| "{}<>".contains(other);
    // Container networks have names with `_`, and programs encode the letters of other alphabets.
    let is_part = |other: char| other.is_alphanumeric() || "-._".contains(other) || is_gap(other);
    let is_name = !name.is_empty() && !name.contains("..") && name.chars().all(is_part);
    let fix = "write one host name or IP address, such as db.example.com or 10.0.0.5";
    let is_host = is_name || value == "*";
    ensure(is_host, "is not a host name or an IP address", fix)?;
    let fix = "write the whole host name";
    warn_unless(!name.contains(is_gap), "has a gap to fill in", fix)?;
    let problem = "is a pattern of hosts only for some programs";
    let fix = "write one host, or `0.0.0.0` to listen everywhere";
    warn_unless(is_item || !is_pattern, problem, fix)?;
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = name.split('.').collect();
    let is_address = parts.len() == 4 && parts.iter().all(|part| is_number(part));
    let is_right = !is_address || name.parse::<Ipv4Addr>().is_ok();
    let fix = "write four numbers from 0 to 255, without zeros before them";
    warn_unless(is_right, "looks like an IP address, but is none", fix)?;
    let is_short = name.len() <= MAX_NAME && parts.iter().all(|part| part.len() <= MAX_LABEL);
    let fix = "write at most 253 characters, and 63 between two dots";
    warn_unless(is_short, "is longer than a name of the DNS can be", fix)
}
