//! Connections to other machines. The functions block, at most until their deadline, so only helper threads and
//! `healthcheck` call them. Messages contain nothing of a declared value except the host and the port.

pub mod http;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "postgres")]
mod tls;
#[cfg(feature = "postgres")]
mod wire;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::os::spawn_helper;

/// The minimum time for one of several attempts, so that a host with many addresses can still be reached.
const LEAST_SHARE: Duration = Duration::from_millis(100);

/// The prefix that the standard library adds to the resolver's message.
const LOOKUP: &str = "failed to lookup address information: ";

/// Why a server is not ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Error {
    pub kind: ErrorKind,
    /// The reason, to be shown after the server's name and a colon.
    pub reason: String,
}

/// Whether waiting can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The server may become ready later.
    NotYet,
    /// Like `NotYet`: the server has as many connections as it admits.
    NoRoom,
    /// Waiting cannot help: the server refuses the password or the role, the database does not exist, or the server's
    /// certificate is not trusted.
    Refused,
    /// Waiting cannot help: such a connection never works, for example because the server has no TLS.
    Impossible,
}

impl Error {
    pub fn not_yet(reason: impl Into<String>) -> Self {
        let (kind, reason) = (ErrorKind::NotYet, reason.into());
        Self { kind, reason }
    }

    pub fn impossible(reason: impl Into<String>) -> Self {
        let (kind, reason) = (ErrorKind::Impossible, reason.into());
        Self { kind, reason }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        error.kind().into()
    }
}

impl From<io::ErrorKind> for Error {
    fn from(kind: io::ErrorKind) -> Self {
        use io::ErrorKind as Kind;
        Error::not_yet(match kind {
            Kind::ConnectionRefused => "connection refused".to_owned(),
            // The system reports a read that times out as one that would block.
            Kind::TimedOut | Kind::WouldBlock => "no answer".to_owned(),
            Kind::UnexpectedEof | Kind::BrokenPipe => {
                "it closed the connection without an answer".to_owned()
            }
            Kind::ConnectionReset => "it reset the connection".to_owned(),
            Kind::NotFound => "there is no such socket".to_owned(),
            kind => kind.to_string(),
        })
    }
}

/// Makes one attempt per item until one succeeds. The attempts divide the time until `until` among them.
///
/// # Errors
/// The first error of the kind `Refused`, which ends the attempts, as in libpq. Otherwise the error of the first item
/// that may become ready, or else of the first item.
pub fn first_of<T, R>(
    items: &[T],
    until: Instant,
    mut attempt: impl FnMut(&T, Instant) -> Result<R, Error>,
) -> Result<R, Error> {
    use ErrorKind::{Impossible, Refused};
    let mut first: Option<Error> = None;
    for (index, item) in items.iter().enumerate() {
        match attempt(item, share(until, items.len() - index)) {
            Err(error) if error.kind == Refused => return Err(error),
            Err(error) if first.as_ref().is_none_or(|first| first.kind == Impossible) => {
                first = first.filter(|_| error.kind == Impossible).or(Some(error));
            }
            Err(_) => {}
            result => return result,
        }
    }
    Err(first.unwrap_or_else(|| Error::not_yet("no address")))
}

/// The deadline of the next of `attempts` remaining attempts that divide the time until `until` among them.
fn share(until: Instant, attempts: usize) -> Instant {
    let now = Instant::now();
    let left = until.saturating_duration_since(now);
    let share = left / u32::try_from(attempts.max(1)).unwrap_or(u32::MAX);
    now + share.max(LEAST_SHARE).min(left)
}

/// Connects to the first address of a host that accepts the connection. IPv6 and IPv4 addresses are tried in the
/// resolver's order.
///
/// # Errors
/// If no address accepts the connection, the error of the first one. Also if the name cannot be resolved.
pub fn dial(host: &str, port: u16, until: Instant) -> Result<TcpStream, Error> {
    connect(&resolve(host, port, until)?, until)
}

fn connect(addresses: &[SocketAddr], until: Instant) -> Result<TcpStream, Error> {
    first_of(addresses, until, |address, until| {
        Ok(TcpStream::connect_timeout(address, left(until)?)?)
    })
}

/// The time that is left until `until`.
///
/// # Errors
/// If the deadline has passed.
fn left(until: Instant) -> io::Result<Duration> {
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// Resolves a host name on another thread, because the resolver has no deadline. If the deadline passes first, the
/// thread ends later, with the resolver's answer or with the process.
fn resolve(host: &str, port: u16, until: Instant) -> Result<Vec<SocketAddr>, Error> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let unknown = |reason: &str| Error::not_yet(format!("its name cannot be resolved ({reason})"));
    let (sender, receiver) = channel();
    let name = (host.to_owned(), port);
    spawn_helper("resolve", move || {
        // Fails if the deadline has passed and the receiver was dropped.
        let _ = sender.send(name.to_socket_addrs().map(Vec::from_iter));
    })
    .map_err(|error| unknown(&Error::from(error).reason))?;
    let answer = receiver
        .recv_timeout(until.saturating_duration_since(Instant::now()))
        .map_err(|_| unknown("no answer"))?;
    let mut addresses: Vec<SocketAddr> = answer.map_err(|error| {
        let words = error.to_string();
        unknown(words.strip_prefix(LOOKUP).unwrap_or(&words))
    })?;
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
    fn no_address_is_tried_after_the_deadline() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address: SocketAddr = listener.local_addr().expect("it listens somewhere");
        let error = connect(&[address; 2], Instant::now()).expect_err("there is no time");
        assert_eq!(error.to_string(), "no answer");
        let later = Instant::now() + Duration::from_secs(20);
        connect(&[address], later).expect("it listens");
    }
}
