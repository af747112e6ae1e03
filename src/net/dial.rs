//! From a name to a connection.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::{Failure, in_words};

/// No single address is given less time than this.
const LEAST_SHARE: Duration = Duration::from_millis(100);

/// What the standard library puts before the resolver's own words.
const LOOKUP: &str = "failed to lookup address information: ";

/// Connects to the first of a name's addresses that accepts, IPv6 and IPv4 in the resolver's order. Those
/// that do not answer share the time.
///
/// # Errors
/// Why the last address did not accept, or why there is none.
pub fn dial(host: &str, port: u16, until: Instant) -> Result<TcpStream, Failure> {
    let addresses = resolve(host, port)?;
    let mut failure = None;
    for (index, address) in addresses.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = (left / others).max(LEAST_SHARE);
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => return Ok(stream),
            // The first that refuses tells more than a later one that cannot be reached at all.
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    let reason = failure.map_or_else(|| "no address".to_owned(), |error| in_words(&error));
    Err(Failure::not_yet(reason))
}

/// Blocks as long as the resolver does, and hears no signal.
fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let unknown = |error: io::Error| {
        let words = error.to_string();
        let words = words.strip_prefix(LOOKUP).unwrap_or(&words);
        Failure::not_yet(format!("its name cannot be resolved ({words})"))
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in (host, port).to_socket_addrs().map_err(unknown)? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}
