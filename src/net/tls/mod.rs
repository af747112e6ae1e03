//! TLS, as libpq's `sslmode` means it.

mod files;
mod words;

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, OtherError,
    RootCertStore, SignatureScheme, StreamOwned,
};

use super::Failure;
use super::http::Timed;
use crate::target::HttpTarget;
use crate::target::postgres::{Tls, TlsMode};

use files::{certificates, private_key};
use words::unusable;
pub use words::{Peer, failure};

/// Where systems keep their root certificates: Debian and Alpine, Fedora, SUSE, the BSDs.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The protocol that a direct TLS connection to PostgreSQL must name.
const ALPN: &[u8] = b"postgresql";

/// Encrypts a connection to a web server, which is verified by the system's roots.
///
/// # Errors
/// When there are no roots, or the host is no name that a certificate could have.
pub fn wrap(
    stream: Timed,
    page: &HttpTarget,
) -> Result<StreamOwned<ClientConnection, Timed>, Failure> {
    let verifier = Verifier {
        trust: Some(Trust::load(page.roots.as_deref(), Peer::Page)?),
        is_named: true,
        provider: Arc::new(ring::default_provider()),
    };
    let config = verifier.config(None)?;
    let name = server_name(&page.address.host)?;
    let connection = ClientConnection::new(Arc::new(config), name)
        .map_err(|_| Failure::not_yet("TLS cannot be set up"))?;
    Ok(StreamOwned::new(connection, stream))
}

/// What a database's URL asks for.
///
/// # Errors
/// When a file that it names cannot be used, or there are no roots to verify with.
pub fn config(tls: &Tls) -> Result<ClientConfig, Failure> {
    let is_verified = match tls.mode {
        TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => false,
        TlsMode::VerifyCa | TlsMode::VerifyFull => true,
    };
    let trust = if is_verified {
        Some(Trust::load(tls.roots.as_deref(), Peer::Database)?)
    } else {
        None
    };
    let verifier = Verifier {
        trust,
        is_named: tls.mode == TlsMode::VerifyFull,
        provider: Arc::new(ring::default_provider()),
    };
    let mut config = verifier.config(tls.certificate.as_ref())?;
    if tls.is_direct {
        config.alpn_protocols = vec![ALPN.to_vec()];
    }
    Ok(config)
}

/// The name to verify, and to ask for.
///
/// # Errors
/// When it is neither a DNS name nor an address.
pub fn server_name(host: &str) -> Result<ServerName<'static>, Failure> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::not_yet("its host is no name that a certificate could have"))
}

/// Root certificates.
struct Trust {
    verifier: Arc<WebPkiServerVerifier>,
    /// The same, to be compared with a server's own certificate.
    roots: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// The roots of a file, or the system's.
    fn load(file: Option<&str>, peer: Peer) -> Result<Self, Failure> {
        const PURPOSE: &str = "the root certificates";
        let roots = match file {
            Some(file) => certificates(file, PURPOSE)?,
            None => SYSTEM_ROOTS
                .iter()
                .find_map(|file| certificates(file, PURPOSE).ok())
                .ok_or_else(|| {
                    Failure::not_yet(format!(
                        "its certificate cannot be verified: this system has no root certificates; name them with {}",
                        peer.roots()
                    ))
                })?,
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
            .build()
            .map_err(|_| Failure::not_yet("none of the root certificates can be used"))?;
        Ok(Self { verifier, roots })
    }
}

/// Verifies as much as was asked for.
struct Verifier {
    /// None: any certificate will do.
    trust: Option<Trust>,
    /// Whether the certificate must be for the host that we asked for.
    is_named: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn config(self, own: Option<&(String, String)>) -> Result<ClientConfig, Failure> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| Failure::not_yet("TLS cannot be set up"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self));
        let Some((certificate, key)) = own else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(certificate, "the client's certificate")?;
        let key = private_key(key, "the client's key")?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| unusable(&error))
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Verifier")
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trust) = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        // Looks at the chain first, and at the name when all else is right.
        match trust
            .verifier
            .verify_server_cert(certificate, others, name, ocsp, now)
        {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.is_named => {}
            // libpq and curl trust a self-signed authority's certificate (`openssl req -x509` makes such ones) that
            // is a root itself. Its dates have been verified before this error.
            Err(error) if is_authority(&error) && trust.roots.contains(certificate) => {
                if self.is_named {
                    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                }
            }
            result => return result,
        }
        Ok(ServerCertVerified::assertion())
    }

    // Verified in every mode: a server that need not have the key of the certificate that it shows could take part
    // in a log-in that is bound to that certificate (SCRAM-SHA-256-PLUS).
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Whether the verifier refuses a certificate because it is a certificate authority's.
fn is_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error
    else {
        return false;
    };
    matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}
