//! From a name to a connection.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::{Failure, in_words};
use crate::os::helper::spawn;

/// The least time for one address, in case a name has very many.
const LEAST_SHARE: Duration = Duration::from_millis(100);

/// What the standard library puts before the resolver's own words.
const LOOKUP: &str = "failed to lookup address information: ";

/// The end of the first of so many attempts that have to share the time until then.
pub fn share(until: Instant, attempts: usize) -> Instant {
    let now = Instant::now();
    let left = until.saturating_duration_since(now);
    now + left / u32::try_from(attempts.max(1)).unwrap_or(u32::MAX)
}

/// Connects to the first of a name's addresses that accepts, IPv6 and IPv4 in the resolver's order. All of
/// them share the time.
///
/// # Errors
/// Why the first address did not accept, or why there is none.
pub fn dial(host: &str, port: u16, until: Instant) -> Result<TcpStream, Failure> {
    connect(&resolve(host, port, until)?, until)
}

fn connect(addresses: &[SocketAddr], until: Instant) -> Result<TcpStream, Failure> {
    let mut failure = None;
    for (index, address) in addresses.iter().enumerate() {
        let end = share(until, addresses.len() - index).max(Instant::now() + LEAST_SHARE);
        let time = end.min(until).saturating_duration_since(Instant::now());
        if time.is_zero() {
            failure.get_or_insert(io::ErrorKind::TimedOut.into());
            break;
        }
        match TcpStream::connect_timeout(address, time) {
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

/// The resolver has no deadline of its own, so it runs on another thread. One that is given up ends when the
/// resolver does, or with the process.
fn resolve(host: &str, port: u16, until: Instant) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let unknown =
        |reason: &str| Failure::not_yet(format!("its name cannot be resolved ({reason})"));
    let (sender, receiver) = channel();
    let place = (host.to_owned(), port);
    spawn("resolve", move || {
        // Nobody receives it any more once the time is over.
        let _ = sender.send(place.to_socket_addrs().map(Vec::from_iter));
    })
    .map_err(|error| unknown(&in_words(&error)))?;
    let time = until.saturating_duration_since(Instant::now());
    let mut addresses: Vec<SocketAddr> = match receiver.recv_timeout(time) {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(error)) => {
            let words = error.to_string();
            return Err(unknown(words.strip_prefix(LOOKUP).unwrap_or(&words)));
        }
        Err(_) => return Err(unknown("no answer")),
    };
    let mut seen = HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
    use std::time::{Duration, Instant};

    use super::{connect, share};

    #[test]
    fn attempts_share_the_time_that_is_left() {
        let start = Instant::now();
        let until = start + Duration::from_mins(1);
        let first = share(until, 3) - start;
        assert!(
            (Duration::from_secs(20)..Duration::from_secs(21)).contains(&first),
            "{first:?}"
        );
        assert!(share(until, 1) <= until + Duration::from_millis(1));
        assert!(share(start, 3) <= Instant::now());
    }

    #[test]
    fn no_address_is_tried_once_the_time_is_over() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address: SocketAddr = listener.local_addr().expect("it listens somewhere");
        let error = connect(&[address; 2], Instant::now()).expect_err("there is no time");
        assert_eq!(error.to_string(), "no answer");
        let later = Instant::now() + Duration::from_secs(20);
        connect(&[address], later).expect("it listens");
    }
}
