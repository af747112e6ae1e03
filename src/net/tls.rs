//! TLS with the verification modes of libpq's `sslmode`, and explanations of its errors.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    InconsistentKeys, OtherError, RootCertStore, SignatureScheme, StreamOwned,
};

use super::Error;
use super::ErrorKind::{Impossible, NotYet, Refused};
use crate::os::file;
use crate::targets::postgres::{Tls, Verify};

/// The files with the system's root certificates, on Debian, Alpine, Fedora, SUSE and the BSDs.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The maximum size of a certificate or key file, in bytes. A system's root certificates have about 200 KiB.
const MAX_FILE: usize = 4 * 1024 * 1024;

/// The parts of messages that depend on the kind of server.
pub struct Peer {
    /// The setting that names the file with root certificates.
    roots: &'static str,
    /// What to do if the server requires a client certificate.
    client_certificate: &'static str,
    /// What to do if the server does not use TLS.
    no_tls: &'static str,
}

pub const WEB_SERVER: Peer = Peer {
    roots: "the variable SSL_CERT_FILE",
    client_certificate: "startup-guard does not support client certificates for web servers",
    no_tls: "check the port, or begin the URL with http://",
};

pub const DATABASE: Peer = Peer {
    roots: "sslrootcert in the URL",
    client_certificate: "set sslcert and sslkey in the URL",
    no_tls: "check the port",
};

/// Encrypts a connection to a web server, and verifies its certificate and host name with the root certificates in the
/// file `roots`, or with the system's if that is `None`.
///
/// # Errors
/// If there are no root certificates, or the host is neither a DNS name nor an IP address.
pub fn wrap<S: Read + Write>(
    stream: S,
    host: &str,
    roots: Option<&str>,
) -> Result<StreamOwned<ClientConnection, S>, Error> {
    let tls = Tls {
        verify: Verify::Name,
        roots: roots.map(str::to_owned),
        certificate: None,
    };
    let config = config(&tls, &WEB_SERVER)?;
    let connection = ClientConnection::new(Arc::new(config), server_name(host)?);
    let connection = connection.map_err(|_| Error::impossible("TLS cannot be set up"))?;
    Ok(StreamOwned::new(connection, stream))
}

/// The server name to request and to verify.
///
/// # Errors
/// If the host is neither a DNS name nor an IP address.
pub fn server_name(host: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| Error::impossible("its host is neither a DNS name nor an IP address"))
}

/// Creates the TLS configuration for a server of the kind `peer`.
///
/// # Errors
/// If a file that `tls` names cannot be used, or if there are no root certificates.
pub fn config(tls: &Tls, peer: &Peer) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier {
        roots: match tls.verify {
            Verify::Nothing => None,
            Verify::Authority | Verify::Name => Some(load_roots(tls.roots.as_deref(), peer)?),
        },
        is_named: tls.verify == Verify::Name,
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::impossible("TLS cannot be set up"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some((certificate, key)) = &tls.certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let purpose = ("the client's certificate", "sslcert in the URL");
    let chain = certificates(certificate, purpose)?;
    let purpose = ("the client's key", "sslkey in the URL");
    let key = read(key, purpose, "unencrypted private key", |pem| {
        PrivateKeyDer::from_pem_slice(pem).ok()
    })?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        Error::impossible(match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                "the client's certificate and the client's key do not belong together"
            }
            _ => "the client's certificate or key is malformed, or of an unknown kind",
        })
    })
}

/// Reads the certificates in a file.
fn certificates(path: &str, purpose: Purpose) -> Result<Vec<CertificateDer<'static>>, Error> {
    read(path, purpose, "certificate", |pem| {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        found.ok().filter(|found| !found.is_empty())
    })
}

/// What a file contains, and the setting that names it.
type Purpose = (&'static str, &'static str);

/// Reads and parses a PEM file. Messages name the file by its purpose, because its path is part of a declared value.
fn read<T>(
    path: &str,
    (purpose, setting): Purpose,
    content: &str,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<T, Error> {
    let unusable = |problem: String| {
        Error::impossible(format!(
            "the file with {purpose} {problem}; mount the right one, or correct {setting}"
        ))
    };
    let pem = file::read(Path::new(path), MAX_FILE).map_err(|error| {
        unusable(match error.kind() {
            io::ErrorKind::NotFound => "does not exist".to_owned(),
            io::ErrorKind::IsADirectory => "cannot be read: it is a directory".to_owned(),
            // An error without an errno is from `file::read` itself, and its text contains nothing of a declared value.
            _ if error.raw_os_error().is_none() => format!("cannot be read: {error}"),
            kind => format!("cannot be read: {kind}"),
        })
    })?;
    if pem.len() > MAX_FILE {
        let limit = MAX_FILE / (1024 * 1024);
        return Err(unusable(format!("is larger than {limit} MiB")));
    }
    parse(&pem).ok_or_else(|| unusable(format!("contains no {content} in PEM format")))
}

/// A verifier for root certificates, and these certificates, to compare them with a server's certificate.
type Roots = (Arc<WebPkiServerVerifier>, Vec<CertificateDer<'static>>);

/// Loads the root certificates in a file, or the system's if that is `None`.
fn load_roots(file: Option<&str>, peer: &Peer) -> Result<Roots, Error> {
    let purpose = ("the root certificates", peer.roots);
    let certificates = match file {
        Some(file) => certificates(file, purpose)?,
        None => SYSTEM_ROOTS
            .iter()
            .find_map(|file| certificates(file, purpose).ok())
            .ok_or_else(|| {
                Error::impossible(format!(
                    "its certificate cannot be verified: this system has no root certificates; name them with {}",
                    peer.roots
                ))
            })?,
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates.iter().cloned());
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .map_err(|_| Error::impossible("none of the root certificates can be used"))?;
    Ok((verifier, certificates))
}

/// Verifies a server's certificate to the extent that `Verify` specifies.
#[derive(Debug)]
struct Verifier {
    /// `None` if any certificate is accepted.
    roots: Option<Roots>,
    /// Whether the certificate must be valid for the host name.
    is_named: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError as Bad;
        let Some((verifier, roots)) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        // The verifier checks the name last, so an error of the name means that everything else is valid.
        match verifier.verify_server_cert(certificate, chain, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                Bad::NotValidForName | Bad::NotValidForNameContext { .. },
            )) if !self.is_named => {}
            // Like libpq and curl, accepts a certificate of an authority (CA:TRUE) that is itself one of the root
            // certificates, such as `openssl req -x509` creates. Its dates were verified before this error was
            // returned.
            Err(rustls::Error::InvalidCertificate(error))
                if is_authority(&error) && roots.contains(certificate) =>
            {
                if self.is_named {
                    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                }
            }
            result => return result,
        }
        Ok(ServerCertVerified::assertion())
    }

    // Signatures are verified in every mode. Otherwise a server could present a certificate without having its key, and
    // take part in a log-in with channel binding to that certificate (SCRAM-SHA-256-PLUS).
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

const EXPIRED: &str = "its certificate has expired; renew it, or check this machine's clock";
const NOT_VALID_YET: &str =
    "its certificate is not valid yet; check its dates, and this machine's clock";
const NO_CERTIFICATE: &str = "it requires a client certificate; {client_certificate}";
const REFUSED_CERTIFICATE: &str =
    "it refuses the client certificate, or requires one; {client_certificate}";
const NO_CIPHER: &str = "it ends the TLS handshake: it supports no cipher suite that startup-guard supports, or requires a \
                         client certificate; {client_certificate}";
const NOTHING_IN_COMMON: &str =
    "it supports no TLS version or cipher suite that startup-guard supports (TLS 1.2 and 1.3)";

/// Explains a TLS error, with advice. `None` if the error is not about TLS.
///
/// A certificate with wrong dates may become valid, because certificates are renewed and clocks are set, so waiting can
/// help. It cannot help with any other error of a certificate.
pub fn explain(error: &io::Error, peer: &Peer) -> Option<Error> {
    use AlertDescription as Alert;
    use CertificateError as Bad;
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage, PeerIncompatible};
    let (kind, text) = match error.get_ref()?.downcast_ref()? {
        InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => (NotYet, EXPIRED),
        InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
            (NotYet, NOT_VALID_YET)
        }
        InvalidCertificate(error) => (Refused, certificate_words(error)),
        AlertReceived(Alert::CertificateRequired | Alert::NoCertificate) => {
            (Refused, NO_CERTIFICATE)
        }
        AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied,
        ) => (Refused, REFUSED_CERTIFICATE),
        AlertReceived(Alert::HandshakeFailure) => (NotYet, NO_CIPHER),
        AlertReceived(Alert::ProtocolVersion | Alert::InsufficientSecurity)
        | PeerIncompatible(_) => (Impossible, NOTHING_IN_COMMON),
        AlertReceived(_) => (NotYet, "it ends the TLS connection with an error"),
        InvalidMessage(_) => (Impossible, "it does not use TLS; {no_tls}"),
        _ => (NotYet, "it violates the TLS protocol"),
    };
    let reason = text
        .replace("{roots}", peer.roots)
        .replace("{client_certificate}", peer.client_certificate)
        .replace("{no_tls}", peer.no_tls);
    Some(Error { kind, reason })
}

/// Explains a certificate error, except one of the dates.
fn certificate_words(error: &CertificateError) -> &'static str {
    use CertificateError as Bad;
    match error {
        // A bad signature means that another root certificate has the same name but another key.
        Bad::UnknownIssuer | Bad::BadSignature => {
            "its certificate is not signed by any of the root certificates; name the right ones with {roots}"
        }
        Bad::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "its certificate contains no host name; create one with a subjectAltName"
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            "its certificate is not valid for this host name; use a name for which it is valid"
        }
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => {
            "its certificate is not valid for servers; create one with the extended key usage serverAuth"
        }
        error if is_authority(error) => {
            "its certificate belongs to a certificate authority (CA:TRUE) and is not one of the root certificates; name it with {roots}"
        }
        _ => {
            "its certificate, or one that signed it, is malformed, or has an unsupported version, algorithm or extension"
        }
    }
}

/// Whether the error is that a server's certificate is that of a certificate authority (CA:TRUE).
fn is_authority(error: &CertificateError) -> bool {
    let CertificateError::Other(OtherError(other)) = error else {
        return false;
    };
    matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}
