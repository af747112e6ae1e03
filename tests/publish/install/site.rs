//! A web server that serves a release as GitHub does, and logs what it is asked for.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use sha2::{Digest, Sha256};

use super::certificates::{encrypted, serve};
use crate::support::until;

/// What the server answers to a request for a file.
#[derive(Clone)]
pub enum Answer {
    Content(Vec<u8>),
    /// The first half of a content, whose length is announced in full.
    CutOff(Vec<u8>),
    /// A content, but at the first request the status 503.
    SecondTime(Vec<u8>),
    /// A redirect to a URL.
    Redirect(String),
    /// A part of an answer, and then nothing until the client closes the connection.
    Silence,
    /// A content that never ends.
    Endless,
}

type Files = BTreeMap<String, Answer>;

/// The paths that were asked for, and how many connections of `Silence` the client has closed.
#[derive(Default)]
struct Log {
    paths: Vec<String>,
    closed: usize,
}

/// A running server.
pub struct Site {
    pub url: String,
    log: Arc<Mutex<Log>>,
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl Site {
    /// Serves these files. A path that is not among them gets a 404.
    pub fn start(files: Files) -> Self {
        Self::start_with(files, None)
    }

    /// Serves these files with TLS, as `localhost`.
    pub fn start_tls(files: Files, config: Arc<ServerConfig>) -> Self {
        Self::start_with(files, Some(config))
    }

    fn start_with(files: Files, config: Option<Arc<ServerConfig>>) -> Self {
        let log = Arc::new(Mutex::new(Log::default()));
        let shared = Arc::clone(&log);
        let is_tls = config.is_some();
        let address = serve(move |client| {
            let mut stream: Box<dyn Stream> = match &config {
                Some(config) => Box::new(encrypted(client, Arc::clone(config))?),
                None => Box::new(client),
            };
            answer(&files, &shared, &mut *stream)
        });
        let url = if is_tls {
            format!("https://localhost:{}", address.port())
        } else {
            format!("http://{address}")
        };
        Self { url, log }
    }

    /// The paths that were asked for so far.
    pub fn asked(&self) -> Vec<String> {
        self.log.lock().expect("no server panics").paths.clone()
    }

    /// Waits until the client has closed the connections of so many answers `Silence`.
    pub fn wait_until_closed(&self, count: usize) {
        until("the client closes the connection", || {
            self.log.lock().expect("no server panics").closed >= count
        });
    }
}

/// Answers one request.
fn answer(files: &Files, log: &Mutex<Log>, stream: &mut dyn Stream) -> Option<()> {
    let mut lines = BufReader::new(&mut *stream).lines();
    let request = lines.next()?.ok()?;
    // The client sends nothing after the empty line.
    let _ = lines.find(|line| line.as_ref().is_ok_and(String::is_empty))?;
    let path = request.split(' ').nth(1)?.to_owned();
    let found = files.get(path.trim_start_matches('/')).cloned();
    let is_first = {
        let paths = &mut log.lock().expect("no server panics").paths;
        paths.push(path.clone());
        paths.iter().filter(|earlier| **earlier == path).count() == 1
    };
    let head = |status: &str, field: &str| {
        format!("HTTP/1.1 {status}\r\nConnection: close\r\n{field}\r\n\r\n").into_bytes()
    };
    let content = |body: &[u8]| head("200 OK", &format!("Content-Length: {}", body.len()));
    match found {
        None => stream.write_all(&head("404 Not Found", "Content-Length: 0")),
        Some(Answer::Redirect(to)) => stream.write_all(&head(
            "302 Found",
            &format!("Content-Length: 0\r\nLocation: {to}"),
        )),
        Some(Answer::SecondTime(_)) if is_first => {
            stream.write_all(&head("503 Service Unavailable", "Content-Length: 0"))
        }
        Some(Answer::Content(body) | Answer::SecondTime(body)) => {
            stream.write_all(&[content(&body), body].concat())
        }
        Some(Answer::CutOff(body)) => {
            stream.write_all(&[&content(&body), &body[..body.len() / 2]].concat())
        }
        Some(Answer::Silence) => {
            // The client may close the connection before it has read this.
            let _ = stream.write_all(&[&content(&[0; 1000]), &b"something"[..]].concat());
            let _ = stream.flush();
            let _ = stream.read(&mut [0]);
            log.lock().expect("no server panics").closed += 1;
            Ok(())
        }
        Some(Answer::Endless) => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                .ok()?;
            while stream.write_all(&[0; 1 << 14]).is_ok() {}
            return None;
        }
    }
    .ok()?;
    stream.flush().ok()
}

/// The line of a file in `SHA256SUMS`.
pub fn sum_line(name: &str, content: &[u8]) -> String {
    use std::fmt::Write;
    let mut line = String::new();
    for byte in Sha256::digest(content) {
        write!(line, "{byte:02x}").expect("a text can be extended");
    }
    format!("{line}  {name}\n")
}
