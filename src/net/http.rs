//! Asks a server for one page, of which only the status matters. No HTTP library is used: bodies, redirects and
//! connection pools are not needed, and would be most of the program's size.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{Failure, dial, in_words};
use crate::target::HttpTarget;

/// How far the final status may stand into the answer, in bytes: interim answers come before it.
const MAX_HEAD: usize = 16 * 1024;

/// GETs the page, and gives the status of the answer.
///
/// # Errors
/// Why there is none until then.
pub fn status(page: &HttpTarget, until: Instant) -> Result<u16, Failure> {
    let address = &page.address;
    let stream = Timed {
        stream: dial(&address.host, address.port, until)?,
        until,
    };
    if page.is_encrypted {
        #[cfg(feature = "postgres")]
        return ask(&mut super::tls::wrap(stream, page)?, page);
    }
    ask(&mut { stream }, page)
}

fn ask(stream: &mut (impl Read + Write), page: &HttpTarget) -> Result<u16, Failure> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: startup-guard\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        page.path, page.host_header
    );
    stream
        .write_all(request.as_bytes())
        .map_err(|error| failure(&error))?;
    stream.flush().map_err(|error| failure(&error))?;
    let mut answer = Vec::new();
    let mut chunk = [0; 1024];
    while answer.len() < MAX_HEAD {
        let count = match stream.read(&mut chunk) {
            Ok(0) => return Err(failure(&io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failure(&error)),
        };
        answer.extend_from_slice(&chunk[..count]);
        if let Some(status) = final_status(&answer)? {
            return Ok(status);
        }
    }
    Err(Failure::not_yet(format!(
        "it sends more than {} KiB before the status of its answer",
        MAX_HEAD / 1024
    )))
}

const NO_HTTP: &str = "it answers with something that is not HTTP";

fn failure(error: &io::Error) -> Failure {
    #[cfg(feature = "postgres")]
    if let Some(failure) = super::tls::failure(error, super::tls::Peer::Page) {
        return failure;
    }
    Failure::not_yet(in_words(error))
}

/// The status of the first answer that is not an interim one; nothing while its line is not whole.
fn final_status(answer: &[u8]) -> Result<Option<u16>, Failure> {
    let mut rest = answer;
    loop {
        let Some(end) = memchr::memchr(b'\n', rest) else {
            // Whoever does not begin like HTTP will not become it.
            let beginning = &rest[..rest.len().min(5)];
            return if b"HTTP/".starts_with(beginning) {
                Ok(None)
            } else {
                Err(Failure::not_yet(NO_HTTP))
            };
        };
        let status = status_of(&rest[..end]).ok_or_else(|| Failure::not_yet(NO_HTTP))?;
        if !(100..200).contains(&status) {
            return Ok(Some(status));
        }
        match memchr::memmem::find(rest, b"\r\n\r\n") {
            Some(end) => rest = &rest[end + 4..],
            None => return Ok(None),
        }
    }
}

/// The status in a line such as `HTTP/1.1 200 OK`.
fn status_of(line: &[u8]) -> Option<u16> {
    let line = str::from_utf8(line).ok()?;
    let mut words = line.strip_prefix("HTTP/1.")?.split_ascii_whitespace();
    words.next()?;
    let status = words.next().filter(|status| status.len() == 3)?;
    status.parse().ok()
}

/// A stream that gives up at a moment, however little comes at a time.
pub struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left)
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::final_status;

    #[test]
    fn the_status_is_that_of_the_first_final_answer() {
        for (answer, status) in [
            ("HTTP/1.1 200 OK\r\n", Some(Some(200))),
            ("HTTP/1.0 503\n", Some(Some(503))),
            (
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n",
                Some(Some(204)),
            ),
            ("HTTP/1.1 103 Early Hints\r\n", Some(None)),
            ("HTT", Some(None)),
            ("", Some(None)),
            ("SSH-2.0-x", None),
            ("HTTP/1.1 20 OK\r\n", None),
            ("HTTP/2 200\r\n", None),
            ("\n", None),
        ] {
            assert_eq!(final_status(answer.as_bytes()).ok(), status, "{answer:?}");
        }
    }
}
