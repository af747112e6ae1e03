//! Connections that must not die unnoticed.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{
    KeepAlive, TcpKeepCount, TcpKeepIdle, TcpKeepInterval, TcpUserTimeout,
};

/// How often, and how long in vain, the other end of a connection is asked for.
#[derive(Clone, Copy, Debug)]
pub struct KeepAliveTimes {
    /// Of silence, before the first question.
    pub idle: Duration,
    pub interval: Duration,
    /// How many questions.
    pub count: u32,
    /// How long something that was sent may stay unacknowledged.
    pub unacknowledged: Duration,
}

/// Has the kernel ask whether a TCP connection's other end is still there.
///
/// # Errors
/// When it is no TCP connection.
pub fn keep_alive(socket: &impl AsFd, times: KeepAliveTimes) -> io::Result<()> {
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let milliseconds = u32::try_from(times.unacknowledged.as_millis()).unwrap_or(u32::MAX);
    setsockopt(socket, KeepAlive, &true)?;
    setsockopt(socket, TcpKeepIdle, &seconds(times.idle))?;
    setsockopt(socket, TcpKeepInterval, &seconds(times.interval))?;
    setsockopt(socket, TcpKeepCount, &times.count)?;
    setsockopt(socket, TcpUserTimeout, &milliseconds)?;
    Ok(())
}
