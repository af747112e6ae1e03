//! The bytes to and from a server, plain or encrypted.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

/// What a PostgreSQL server's first byte can be: its answer to the question for TLS, an error, a request to
/// authenticate, or word of the protocol's version.
const FIRST_BYTES: &[u8] = b"SNERv";

/// How much a server may send at first, in bytes: its certificates, the log-in, and notices about either. The
/// client keeps what it has not understood yet, and for ever what the server says of its parameters.
const ALLOWANCE: usize = 256 * 1024;

/// How much more it may send for each thing that it is told or asked, in bytes: an answer here has one short row.
const ANSWER: usize = 256;

/// Why a server's bytes are not read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it speaks another protocol than PostgreSQL's")]
    OtherProtocol,
    #[error("it sends more than {} KiB where a short answer is due", ALLOWANCE / 1024)]
    TooMuch,
}

impl From<Unreadable> for io::Error {
    fn from(reason: Unreadable) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }
}

/// How many bytes a server may still send: `ALLOWANCE` at most.
#[derive(Debug)]
struct Allowance(usize);

impl Allowance {
    fn new() -> Self {
        Self(ALLOWANCE)
    }

    /// Counts bytes that the server sent.
    fn spend(&mut self, count: usize) -> io::Result<()> {
        self.0 = self.0.checked_sub(count).ok_or(Unreadable::TooMuch)?;
        Ok(())
    }

    /// Counts a message of ours, which the server may answer.
    fn renew(&mut self) {
        self.0 = (self.0 + ANSWER).min(ALLOWANCE);
    }
}

/// A socket of either kind.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// A connection whose first byte must be one that a PostgreSQL server sends, and on which no more may come than
/// is due: the client above it buffers whatever length a message claims to have, up to gigabytes. What TLS above
/// it adds is counted as well. (TLS answers nothing that comes after its handshake until we write ourselves.)
pub struct Wire {
    socket: Box<dyn Socket>,
    has_begun: bool,
    allowance: Allowance,
}

impl Wire {
    pub fn new(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self {
            socket: Box::new(socket),
            has_begun: false,
            allowance: Allowance::new(),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        let received = &buffer.filled()[before..];
        if let Some(first) = received.first().filter(|_| !self.has_begun) {
            self.has_begun = true;
            if !FIRST_BYTES.contains(first) {
                return Poll::Ready(Err(Unreadable::OtherProtocol.into()));
            }
        }
        Poll::Ready(self.allowance.spend(received.len()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(context, bytes))?;
        self.allowance.renew();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// Turns a plain connection into an encrypted one.
pub struct Encryption {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Encryption {
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Self {
        Self { config, name }
    }
}

impl TlsConnect<Wire> for Encryption {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, wire: Wire) -> Self::Future {
        let handshake = TlsConnector::from(self.config).connect(self.name, wire);
        Box::pin(async { Ok(Encrypted(handshake.await?)) })
    }
}

/// An encrypted connection.
pub struct Encrypted(tokio_rustls::client::TlsStream<Wire>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        certificate
            .and_then(|certificate| end_point(certificate))
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// The hash of a certificate that a log-in is bound to (RFC 5929): by the hash function of its signature,
/// or SHA-256 in place of one that is broken. None where the signature has none.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    match signature_algorithm(certificate)? {
        // sha384WithRSAEncryption, ecdsa-with-SHA384
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c" | b"\x2a\x86\x48\xce\x3d\x04\x03\x03" => {
            Some(Sha384::digest(certificate).to_vec())
        }
        // sha512WithRSAEncryption, ecdsa-with-SHA512
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d" | b"\x2a\x86\x48\xce\x3d\x04\x03\x04" => {
            Some(Sha512::digest(certificate).to_vec())
        }
        // md5-, sha1- and sha256WithRSAEncryption, ecdsa-with-SHA1 and -SHA256
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"
        | b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"
        | b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
        | b"\x2a\x86\x48\xce\x3d\x04\x01"
        | b"\x2a\x86\x48\xce\x3d\x04\x03\x02" => Some(Sha256::digest(certificate).to_vec()),
        _ => None,
    }
}

/// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, … }, … }`
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (body, _) = element(certificate, SEQUENCE)?;
    let (_, after_signed_part) = element(body, SEQUENCE)?;
    let (algorithm, _) = element(after_signed_part, SEQUENCE)?;
    element(algorithm, OBJECT_IDENTIFIER).map(|(identifier, _)| identifier)
}

/// The content of a DER element of this kind, and what follows it.
fn element(text: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = text.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let digits = digits.iter().filter(|_| digits.len() <= 4);
        let length = digits.fold(0, |length, &digit| length << 8 | usize::from(digit));
        (length, rest)
    };
    rest.split_at_checked(length).filter(|_| found == kind)
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::{ALLOWANCE, ANSWER, Allowance, Unreadable};

    #[test]
    fn a_server_that_answers_every_question_shortly_is_never_cut_off() {
        let mut allowance = Allowance::new();
        // More than a day of one question every 3 seconds, each answered in a TLS record of its own.
        for _ in 0..50_000 {
            allowance.renew();
            allowance.spend(100).expect("a short answer is due");
        }
        assert_eq!(allowance.0, ALLOWANCE - 100);
    }

    #[test]
    fn a_server_that_sends_more_than_is_due_is_cut_off_however_slowly_it_does() {
        let mut allowance = Allowance::new();
        let mut received = 0;
        let error = loop {
            allowance.renew();
            match allowance.spend(2 * ANSWER) {
                Ok(()) => received += 2 * ANSWER,
                Err(error) => break error,
            }
        };
        assert!(received <= 2 * ALLOWANCE, "{received}");
        assert_eq!(error.to_string(), Unreadable::TooMuch.to_string());
    }
}
