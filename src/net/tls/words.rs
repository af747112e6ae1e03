//! What an error of TLS means, and what a person can do about it.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InconsistentKeys, OtherError};

use crate::net::Failure;

/// What kind of server is spoken to. It decides where a person sets what TLS needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Page,
    Database,
}

impl Peer {
    /// What names the root certificates.
    pub fn roots(self) -> &'static str {
        match self {
            Peer::Page => "the variable SSL_CERT_FILE",
            Peer::Database => "sslrootcert in the URL",
        }
    }

    /// What to do where a client certificate is asked for.
    fn client_certificate(self) -> &'static str {
        match self {
            Peer::Page => "startup-guard cannot give one to a web server",
            Peer::Database => "name one with sslcert and sslkey in the URL",
        }
    }

    fn without_tls(self) -> &'static str {
        match self {
            Peer::Page => "it does not speak TLS; check the port, or begin the URL with http://",
            Peer::Database => "it does not speak TLS; check the port",
        }
    }
}

/// What went wrong with TLS, if it was TLS.
pub fn failure(error: &io::Error, peer: Peer) -> Option<Failure> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(problem) => certificate(problem, peer),
        Error::AlertReceived(alert) => of_alert(*alert, peer),
        Error::InvalidMessage(_) => Failure::not_yet(peer.without_tls()),
        Error::PeerIncompatible(_) => Failure::not_yet(NOTHING_IN_COMMON),
        Error::NoCertificatesPresented => Failure::not_yet("it shows no certificate"),
        _ => Failure::not_yet("it does not speak TLS as it should"),
    })
}

/// Why what a URL asks for cannot be set up.
pub fn unusable(error: &Error) -> Failure {
    Failure::not_yet(match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the client's certificate and the client's key do not belong together"
        }
        Error::InvalidCertificate(_) => "the client's certificate cannot be used: it is malformed",
        _ => "the client's key cannot be used: it is malformed, or of an unknown kind",
    })
}

const NOTHING_IN_COMMON: &str =
    "it has no version or cipher of TLS in common with us, who speak TLS 1.2 and 1.3";

/// A certificate that is not valid now may be so later: clocks are set, and certificates are renewed. All other
/// problems last until somebody changes something.
fn certificate(problem: &CertificateError, peer: Peer) -> Failure {
    let roots = peer.roots();
    Failure::refused(match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            return Failure::not_yet(
                "its certificate has expired; renew it, or check this machine's clock",
            );
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            return Failure::not_yet(
                "its certificate is not valid yet; check its dates, and this machine's clock",
            );
        }
        // A root of the same name with another key is another root.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "its certificate is signed by none of the root certificates; name the right ones with {roots}"
        ),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "its certificate names no host; make one with a subjectAltName".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name than this host; use a name that it is for"
                .to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not one for servers; make one with the extended key usage serverAuth"
                .to_owned()
        }
        CertificateError::Revoked => "its certificate has been revoked; replace it".to_owned(),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its certificate is signed with an unsupported algorithm; make one that is signed with SHA-256"
                .to_owned()
        }
        CertificateError::Other(OtherError(other)) => match other.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => format!(
                "its certificate is a certificate authority's (CA:TRUE) and none of the root certificates; name it with {roots}"
            ),
            Some(webpki::Error::EndEntityUsedAsCa) => {
                "its certificate is signed by a certificate that is no authority's (CA:FALSE)"
                    .to_owned()
            }
            Some(webpki::Error::UnsupportedCertVersion) => {
                "its certificate is not one of X.509 version 3; make one with a subjectAltName"
                    .to_owned()
            }
            Some(webpki::Error::NameConstraintViolation) => {
                "its certificate is for a name that its authority may not sign".to_owned()
            }
            _ => UNVERIFIABLE.to_owned(),
        },
        _ => UNVERIFIABLE.to_owned(),
    })
}

const UNVERIFIABLE: &str =
    "its certificate, or one that signed it, is malformed or uses an unsupported extension";

/// What a server says before it ends a connection.
fn of_alert(alert: AlertDescription, peer: Peer) -> Failure {
    use AlertDescription as Alert;
    let certificate = peer.client_certificate();
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => {
            Failure::refused(format!("it asks for a client certificate; {certificate}"))
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => Failure::refused(format!(
            "it refuses our client certificate, or that there is none; {certificate}"
        )),
        Alert::CertificateExpired => Failure::not_yet(
            "it says that our client certificate has expired; renew it, or check the clocks",
        ),
        Alert::ProtocolVersion | Alert::InsufficientSecurity => Failure::not_yet(NOTHING_IN_COMMON),
        Alert::HandshakeFailure => Failure::not_yet(format!(
            "it ends the TLS handshake: it has no cipher in common with us, or asks for a client certificate; {certificate}"
        )),
        Alert::UnrecognisedName => Failure::not_yet("it has no certificate for this host's name"),
        Alert::NoApplicationProtocol => {
            Failure::not_yet("it speaks TLS, but not for this protocol (ALPN)")
        }
        _ => Failure::not_yet("it ends the TLS connection with an error"),
    }
}
