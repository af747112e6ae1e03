//! TLS, as libpq's `sslmode` means it.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme, StreamOwned,
};

use super::Failure;
use super::http::Timed;
use crate::rule::database::{Tls, TlsMode};
use crate::rule::endpoint::Page;

/// Where systems keep their root certificates: Debian and Alpine, Fedora, SUSE, the BSDs.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What a direct TLS connection to PostgreSQL must say that it wants.
const ALPN: &[u8] = b"postgresql";

/// Encrypts a connection to a web server, which is verified by the system's roots.
///
/// # Errors
/// When there are no roots, or the host is no name that a certificate could have.
pub fn wrap(stream: Timed, page: &Page) -> Result<StreamOwned<ClientConnection, Timed>, Failure> {
    let verifier = Verifier {
        trust: Some(Trust::load(page.roots.as_deref())?),
        is_named: true,
        provider: Arc::new(ring::default_provider()),
    };
    let config = verifier.config(None)?;
    let name = server_name(&page.address.host)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(unusable)?;
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
        Some(Trust::load(tls.roots.as_deref())?)
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

/// What went wrong with TLS, if it was TLS.
pub fn reason(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid at this time; check it, and this machine's clock".to_owned()
            }
            // A root of the same name with another key is another root.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is signed by none of the root certificates; name the right ones with sslrootcert"
                    .to_owned()
            }
            CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name than this host".to_owned()
            }
            other => format!("its certificate cannot be verified ({other:?})"),
        },
        rustls::Error::AlertReceived(alert) => {
            format!("it refuses the TLS connection ({alert:?})")
        }
        _ => "it does not speak TLS as it should".to_owned(),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn unusable(error: rustls::Error) -> Failure {
    Failure::not_yet(format!("TLS cannot be set up: {error}"))
}

/// Root certificates.
struct Trust {
    verifier: Arc<WebPkiServerVerifier>,
    roots: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// The roots of a file, or the system's.
    fn load(file: Option<&str>) -> Result<Self, Failure> {
        let roots = match file {
            Some(file) => certificates(file, "the root certificates")?,
            None => SYSTEM_ROOTS
                .iter()
                .find_map(|file| certificates(file, "").ok())
                .ok_or_else(|| {
                    Failure::not_yet(
                        "its certificate cannot be verified: there are no root certificates here; name them with sslrootcert or SSL_CERT_FILE",
                    )
                })?,
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
            .build()
            .map_err(|_| Failure::not_yet("none of the root certificates can be used"))?;
        // Only few roots can be a server's own certificate; a system's are not worth the memory.
        let roots = if file.is_some() { roots } else { Vec::new() };
        Ok(Self { verifier, roots })
    }
}

fn certificates(file: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let unreadable = |_| Failure::not_yet(format!("{what} cannot be read from their file"));
    let found = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(unreadable)?;
    if found.is_empty() {
        return Err(Failure::not_yet(format!("{what} are not in their file")));
    }
    Ok(found)
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
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self));
        let Some((certificate, key)) = own else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(certificate, "the client's certificate")?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|_| {
            Failure::not_yet("the client's key cannot be read from its file, or is encrypted")
        })?;
        builder.with_client_auth_cert(chain, key).map_err(unusable)
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
            // A self-signed certificate that we were told to trust. Its dates were looked at before this.
            Err(error) if is_own_root(&error) && trust.roots.contains(certificate) => {
                if self.is_named {
                    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                }
            }
            result => return result,
        }
        Ok(ServerCertVerified::assertion())
    }

    // Also where nothing is verified: whoever shows a certificate must have its key, or a log-in that is
    // bound to the certificate would be bound to nothing.
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

/// The one complaint of the verifier about a server's certificate that is a root itself. It has no type of
/// its own there.
fn is_own_root(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if format!("{other:?}").contains("CaUsedAsEndEntity")
    )
}
