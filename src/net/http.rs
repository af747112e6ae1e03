//! Requests one page from a web server and returns its status. An HTTP library is not used: it would add bodies,
//! redirects and connection pools, which are not needed here, and make up most of the program's size.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

#[cfg(feature = "postgres")]
use super::tls;
use super::{Error, dial, left};
use crate::targets::HttpTarget;

/// The maximum number of bytes that are read to find the final status, which may follow interim responses.
const MAX_HEAD: usize = 16 * 1024;

/// Sends a GET request, and expects a status from 200 to 299. Does not follow redirects.
///
/// # Errors
/// If the status is another one, or if there is no answer until `until`.
pub fn check(page: &HttpTarget, until: Instant) -> Result<(), Error> {
    match status(page, until)? {
        200..=299 => Ok(()),
        status => Err(Error::not_yet(format!("it answers with {status}"))),
    }
}

fn status(page: &HttpTarget, until: Instant) -> Result<u16, Error> {
    let address = &page.address;
    let stream = Timed {
        stream: dial(&address.host, address.port, until)?,
        until,
    };
    if page.is_encrypted {
        #[cfg(feature = "postgres")]
        return ask(
            &mut tls::wrap(stream, &address.host, page.roots.as_deref())?,
            page,
        );
    }
    ask(&mut { stream }, page)
}

fn ask(stream: &mut (impl Read + Write), page: &HttpTarget) -> Result<u16, Error> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: startup-guard\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        page.path, page.host_header
    );
    stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.flush())
        .map_err(explain)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 1024];
    while answer.len() < MAX_HEAD {
        let count = match stream.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(explain(error)),
        };
        answer.extend_from_slice(&chunk[..count]);
        if let Some(status) = final_status(&answer)? {
            return Ok(status);
        }
    }
    Err(Error::not_yet(format!(
        "it sends more than {} KiB before the status of its answer",
        MAX_HEAD / 1024
    )))
}

fn explain(error: io::Error) -> Error {
    #[cfg(feature = "postgres")]
    if let Some(error) = tls::explain(&error, &tls::WEB_SERVER) {
        return error;
    }
    error.into()
}

/// The status of the first response that is not an interim one. `None` while its status line is incomplete.
fn final_status(answer: &[u8]) -> Result<Option<u16>, Error> {
    // The alert of a TLS server.
    if answer.starts_with(b"\x15\x03") {
        return Err(Error::impossible(
            "it uses TLS; begin the URL with https://",
        ));
    }
    let no_http = || Error::not_yet("its answer is not in the HTTP protocol");
    let Some(end) = memchr::memchr(b'\n', answer) else {
        // A server with another protocol may never send a complete line.
        let is_http = b"HTTP/".starts_with(&answer[..answer.len().min(5)]);
        return if is_http { Ok(None) } else { Err(no_http()) };
    };
    match status_of(&answer[..end]).ok_or_else(no_http)? {
        100..200 => match memchr::memmem::find(answer, b"\r\n\r\n") {
            Some(end) => final_status(&answer[end + 4..]),
            None => Ok(None),
        },
        status => Ok(Some(status)),
    }
}

/// Parses a status line such as `HTTP/1.1 200 OK`.
fn status_of(line: &[u8]) -> Option<u16> {
    let line = str::from_utf8(line).ok()?;
    let mut words = line.strip_prefix("HTTP/1.")?.split_ascii_whitespace();
    words.next()?;
    let status = words.next().filter(|status| status.len() == 3)?;
    status.parse().ok()
}

/// A stream with a common deadline for all reads and writes.
struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.until)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.until)?))?;
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
    fn the_first_final_response_has_the_status() {
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
