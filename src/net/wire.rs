//! The byte stream to and from a PostgreSQL server, plain or encrypted.

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

use super::Error;

/// The possible first bytes from a PostgreSQL server: the answer to a request for TLS, an error, an authentication
/// request, or the negotiation of the protocol version.
const FIRST_BYTES: &[u8] = b"SNERv";

/// How many bytes a server may send initially, in certificates, log-in messages and notices. A limit is necessary,
/// because the client buffers a message until it is complete, and keeps the server's parameters in memory.
const ALLOWANCE: usize = 256 * 1024;

/// How many more bytes the server may send for each message from the client. Every query here returns one short row.
const ANSWER: usize = 256;

/// The error after which nothing more is read from a server.
fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Error::not_yet(reason))
}

/// How many bytes a server may still send, at most `ALLOWANCE`.
struct Allowance(usize);

impl Allowance {
    /// Subtracts bytes that the server has sent.
    ///
    /// # Errors
    /// If the server has sent more than allowed.
    fn spend(&mut self, count: usize) -> io::Result<()> {
        self.0 = self.0.checked_sub(count).ok_or_else(|| {
            let limit = ALLOWANCE / 1024;
            invalid(format!(
                "it sends more than {limit} KiB instead of a short answer"
            ))
        })?;
        Ok(())
    }

    /// Adds the allowance for the answer to a message from the client.
    fn renew(&mut self) {
        self.0 = (self.0 + ANSWER).min(ALLOWANCE);
    }
}

/// A socket, or the TLS connection over one.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// A connection that checks the first byte from the server, and limits how much the server may send. Without the limit,
/// the client would buffer as many bytes as a message header announces, up to gigabytes. An encrypted connection is a
/// `Wire` over TLS over a `Wire`, so that the TLS records are limited as well.
pub struct Wire {
    socket: Box<dyn Socket>,
    is_first_byte_due: bool,
    allowance: Allowance,
    /// The certificate hash for channel binding.
    binding: Option<Vec<u8>>,
}

impl Wire {
    /// Wraps a socket. The first byte is checked unless the connection begins with TLS.
    pub fn new(socket: impl Socket + 'static, begins_with_tls: bool) -> Self {
        Self {
            socket: Box::new(socket),
            is_first_byte_due: !begins_with_tls,
            allowance: Allowance(ALLOWANCE),
            binding: None,
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
        if let Some(first) = received.first().filter(|_| self.is_first_byte_due) {
            self.is_first_byte_due = false;
            if !FIRST_BYTES.contains(first) {
                let reason = "it does not use the PostgreSQL protocol";
                return Poll::Ready(Err(invalid(reason)));
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

impl TlsStream for Wire {
    fn channel_binding(&self) -> ChannelBinding {
        let binding = self.binding.clone();
        binding.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// Encrypts a connection with TLS. `None` for `SslMode::Disable`, with which `connect` is never called.
pub struct Encryption(pub Option<(Arc<ClientConfig>, ServerName<'static>)>);

impl TlsConnect<Wire> for Encryption {
    type Stream = Wire;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Wire>> + Send>>;

    fn connect(self, wire: Wire) -> Self::Future {
        Box::pin(async {
            let (config, name) = self.0.ok_or(io::ErrorKind::Unsupported)?;
            let encrypted = TlsConnector::from(config).connect(name, wire).await?;
            let certificates = encrypted.get_ref().1.peer_certificates();
            let certificate = certificates.and_then(<[_]>::first);
            let binding = certificate.and_then(|certificate| end_point(certificate));
            let wire = Wire::new(encrypted, false);
            Ok(Wire { binding, ..wire })
        })
    }
}

/// The hash of a certificate for channel binding (`tls-server-end-point` of RFC 5929). The hash function is that of the
/// certificate's signature, or SHA-256 instead of MD5 and SHA-1. `None` for signature algorithms without one.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01";
    const ECDSA_WITH_SHA1: &[u8] = b"\x2a\x86\x48\xce\x3d\x04";
    const ECDSA_WITH_SHA2: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03";
    let (&last, family) = signature_algorithm(certificate)?.split_last()?;
    match (family, last) {
        // MD5, SHA-1, SHA-256; SHA-1; SHA-256
        (RSA, 4 | 5 | 11) | (ECDSA_WITH_SHA1, 1) | (ECDSA_WITH_SHA2, 2) => {
            Some(Sha256::digest(certificate).to_vec())
        }
        (RSA, 12) | (ECDSA_WITH_SHA2, 3) => Some(Sha384::digest(certificate).to_vec()),
        (RSA, 13) | (ECDSA_WITH_SHA2, 4) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// The object identifier of a certificate's signature algorithm: `Certificate ::= SEQUENCE { tbsCertificate,
/// signatureAlgorithm SEQUENCE { OID, … }, … }`
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (body, _) = element(certificate, SEQUENCE)?;
    let (_, after_signed_part) = element(body, SEQUENCE)?;
    let (algorithm, _) = element(after_signed_part, SEQUENCE)?;
    element(algorithm, OBJECT_IDENTIFIER).map(|(identifier, _)| identifier)
}

/// The content of a DER element with the tag `kind`, and the bytes after it.
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

#[cfg(test)]
mod tests {
    use super::{ALLOWANCE, ANSWER, Allowance};

    #[test]
    fn a_server_with_short_answers_is_never_disconnected() {
        let mut allowance = Allowance(ALLOWANCE);
        // More than a day of one query every 3 seconds, each answered in its own TLS record.
        for _ in 0..50_000 {
            allowance.renew();
            allowance.spend(100).expect("a short answer is due");
        }
        assert_eq!(allowance.0, ALLOWANCE - 100);
    }

    #[test]
    fn a_server_that_sends_more_than_allowed_is_disconnected_however_slow_it_is() {
        let mut allowance = Allowance(ALLOWANCE);
        let mut received = 0;
        let error = loop {
            allowance.renew();
            match allowance.spend(2 * ANSWER) {
                Ok(()) => received += 2 * ANSWER,
                Err(error) => break error,
            }
        };
        assert!(received <= 2 * ALLOWANCE, "{received}");
        assert_eq!(
            error.to_string(),
            "it sends more than 256 KiB instead of a short answer"
        );
    }
}
