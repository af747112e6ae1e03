//! Requests one page from a web server and checks its status. An HTTP library is not used: it would add bodies and
//! connection pools, which are not needed here, and make up most of the program's size.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

#[cfg(feature = "postgres")]
use super::tls;
use super::{Error, dial, left};
use crate::targets::{HttpTarget, Redirect};

/// The maximum number of bytes that are read of the heads of an answer: the final one may follow interim ones.
const MAX_HEAD: usize = 16 * 1024;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// So many equal characters of the host of a redirect and of the request are not by chance.
const COMMON: usize = 4;

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// The value of the header `Location` of a redirect.
    location: Option<String>,
}

/// Sends a GET request, and expects one of the page's statuses. Follows redirects to the same host, but not from
/// https to http.
///
/// # Errors
/// If the status is another one, or if there is no answer until `until`.
pub fn check(page: &HttpTarget, until: Instant) -> Result<(), Error> {
    let mut target = Cow::Borrowed(page);
    for _ in 0..=MAX_REDIRECTS {
        let answer = request(&target, until);
        let answer = answer.map_err(|error| {
            let (kind, mut reason) = (error.kind, error.reason);
            // Where the error is from: probably only the redirect leads to a wrong port.
            if let Cow::Owned(target) = &target {
                reason = format!("it redirects to port {}: {reason}", target.address.port);
            }
            Error { kind, reason }
        })?;
        let status = answer.status;
        let is_ready = match &*page.statuses {
            [] => (200..=299).contains(&status),
            statuses => statuses.contains(&status),
        };
        if is_ready {
            return Ok(());
        }
        target = match answer.location.map(|location| target.redirected(&location)) {
            Some(Redirect::Followed(next)) => Cow::Owned(*next),
            Some(Redirect::Elsewhere(host)) => {
                let host = Some(host).filter(|host| is_unrelated(host, page));
                let host = host.map_or_else(String::new, |host| format!(", {host}"));
                let text = format!("it redirects ({status}) to another host{host}");
                return Err(Error::not_yet(text));
            }
            Some(Redirect::Invalid) => {
                let text = format!("it redirects ({status}) to an address that is not valid");
                return Err(Error::not_yet(text));
            }
            Some(Redirect::Downgraded) => {
                let text = format!("it redirects ({status}) from https to http");
                return Err(Error::not_yet(text));
            }
            None => return Err(Error::not_yet(format!("it answers with {status}"))),
        };
    }
    let text = format!("it redirects more than {MAX_REDIRECTS} times");
    Err(Error::not_yet(text))
}

/// Whether a host has nothing in common with the request's path and query, so that no secret of them comes back in the
/// answer. Few characters in common are by chance.
fn is_unrelated(host: &str, page: &HttpTarget) -> bool {
    let [host, path] = [host, &page.path].map(str::to_ascii_lowercase);
    let mut pieces = host.as_bytes().windows(COMMON.min(host.len()));
    pieces.all(|piece| memchr::memmem::find(path.as_bytes(), piece).is_none())
}

fn request(page: &HttpTarget, until: Instant) -> Result<Answer, Error> {
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

fn ask(stream: &mut (impl Read + Write), page: &HttpTarget) -> Result<Answer, Error> {
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
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(explain(error)),
        };
        answer.extend_from_slice(&chunk[..count]);
        match final_answer(&answer, count == 0)? {
            Some(answer) => return Ok(answer),
            None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    }
    Err(Error::not_yet(format!(
        "it sends more than {} KiB before the end of its answer's head",
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

/// The first response that is not an interim one. `None` while its status line is incomplete, or, of a redirect, its
/// head, unless that is all of the answer.
fn final_answer(answer: &[u8], is_all: bool) -> Result<Option<Answer>, Error> {
    // The alert of a TLS server.
    if answer.starts_with(b"\x15\x03") {
        let problem = "it uses TLS; begin the URL with https://";
        return Err(Error::impossible(problem));
    }
    let no_http = || Error::not_yet("its answer is not in the HTTP protocol");
    let Some(end) = memchr::memchr(b'\n', answer) else {
        // A server with another protocol may never send a complete line.
        let is_http = b"HTTP/".starts_with(&answer[..answer.len().min(5)]);
        return if is_http { Ok(None) } else { Err(no_http()) };
    };
    let status = status_of(&answer[..end]).ok_or_else(no_http)?;
    let blank = memchr::memmem::find(answer, b"\r\n\r\n");
    let is_redirect = matches!(status, 301 | 302 | 303 | 307 | 308);
    match (status, blank) {
        (100..200, Some(blank)) => final_answer(&answer[blank + 4..], is_all),
        (100..200, None) => Ok(None),
        (_, None) if is_redirect && !is_all => Ok(None),
        _ => {
            let head = &answer[end + 1..blank.unwrap_or(answer.len()).max(end + 1)];
            let location = location(head).filter(|_| is_redirect);
            Ok(Some(Answer { status, location }))
        }
    }
}

/// The value of the first header `Location`. `None` if there is none, or if it is not UTF-8.
fn location(head: &[u8]) -> Option<String> {
    let mut lines = head.split(|&byte| byte == b'\n').filter_map(|line| {
        let (name, value) = str::from_utf8(line).ok()?.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim())
    });
    lines.next().map(str::to_owned)
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
    use super::final_answer;

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
            ("HTTP/1.1 301 Moved\r\nLoc", Some(None)),
            ("HTT", Some(None)),
            ("", Some(None)),
            ("SSH-2.0-x", None),
            ("HTTP/1.1 20 OK\r\n", None),
            ("HTTP/2 200\r\n", None),
            ("\n", None),
        ] {
            let read = final_answer(answer.as_bytes(), false).ok();
            let read = read.map(|answer| answer.map(|answer| answer.status));
            assert_eq!(read, status, "{answer:?}");
        }
    }

    #[test]
    fn a_redirect_has_its_location_wherever_its_head_ends() {
        for (head, location) in [
            (
                "Server: x\r\nLOCATION:/a b\t\r\nLocation: /c\r\n\r\nLocation: /d",
                Some("/a b"),
            ),
            ("location: http://h:1/x\n", Some("http://h:1/x")),
            ("Server: x\r\n\r\nLocation: /d", None),
            ("\r\nLocation: /d", None),
            ("", None),
        ] {
            let answer = format!("HTTP/1.1 302 Found\r\n{head}");
            let read = final_answer(answer.as_bytes(), true).expect("an answer");
            let read = read.expect("a complete one").location;
            assert_eq!(read.as_deref(), location, "{head:?}");
        }
    }
}
