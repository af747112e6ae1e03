//! Starts services and whole fleets of replicas, measures until they are ready, and leaves none of them running.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The interval at which a service is asked whether it is healthy.
const ASKED: Duration = Duration::from_millis(5);
/// How long a service may take until it is healthy.
const HEALTHY_LIMIT: Duration = Duration::from_mins(1);
/// The interval at which the end of a replica is looked for.
const LOOKED: Duration = Duration::from_millis(1);
/// How long a process may take to end after SIGTERM. The guard itself gives its step 8 seconds.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A process in its own group, which is stopped on drop.
pub struct Running(Child);

/// How a fleet has ended.
pub struct Ended {
    /// From the first start until the last replica has ended.
    pub time: Duration,
    /// The number of replicas that ended with an error.
    pub failed: usize,
    /// The number of replicas that had not ended at the limit.
    pub hung: usize,
}

impl Running {
    pub fn start(mut command: Command) -> io::Result<Self> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).process_group(0).spawn();
        child.map(Self)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    fn signal(&self, signal: Signal) {
        // It may have ended already.
        let _ = killpg(Pid::from_raw(self.id().cast_signed()), signal);
    }

    fn end_before(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            let status = self.0.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            sleep(LOOKED);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        // The guard stops its step as well.
        self.signal(Signal::SIGTERM);
        let _ = self.end_before(Instant::now() + STOP_LIMIT);
        self.signal(Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// Starts replicas at once, and waits until all have ended, at most for the time `limit`.
pub fn together(commands: Vec<Command>, limit: Duration) -> io::Result<Ended> {
    let started = Instant::now();
    let running: Vec<Running> = commands
        .into_iter()
        .map(Running::start)
        .collect::<io::Result<_>>()?;
    let (mut failed, mut hung) = (0, Vec::new());
    // The order does not matter, because the last one counts.
    for mut replica in running {
        match replica.end_before(started + limit)? {
            Some(status) => failed += usize::from(!status.success()),
            None => hung.push(replica),
        }
    }
    let time = started.elapsed();
    // All at once, because each may wait for another one.
    for replica in &hung {
        replica.signal(Signal::SIGTERM);
    }
    let hung = hung.len();
    Ok(Ended { time, failed, hung })
}

/// A port on which no process listens.
pub fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Starts a service, and stops it after its first answer with the status 200 to a request of `/health`. Returns the
/// time from the start until that answer.
pub fn until_healthy(command: Command, port: u16) -> io::Result<Duration> {
    let started = Instant::now();
    let mut service = Running::start(command)?;
    while !is_healthy(port) {
        if let Some(status) = service.0.try_wait()? {
            return Err(io::Error::other(format!("the service ended: {status}")));
        }
        if started.elapsed() > HEALTHY_LIMIT {
            return Err(io::Error::other("the service did not become healthy"));
        }
        sleep(ASKED);
    }
    Ok(started.elapsed())
}

/// Whether a service answers with the status 200. A connection that is refused is an answer, too.
fn is_healthy(port: u16) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(HEALTHY_LIMIT))?;
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        io::Result::Ok(start)
    };
    ask().is_ok_and(|start| start == *b"HTTP/1.1 200")
}
