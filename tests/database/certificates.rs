//! Certificates that a test makes, and what a TLS server needs to show them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// A server's certificate.
pub struct Certificate {
    pub pem: String,
    /// In PEM.
    pub key: String,
}

/// An authority that no other is named like.
pub fn authority() -> Authority {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    authority_named(&format!(
        "authority {}",
        COUNT.fetch_add(1, Ordering::Relaxed)
    ))
}

pub fn authority_named(name: &str) -> Authority {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
        .distinguished_name
        .push(DnType::CommonName, name.to_owned());
    let key = KeyPair::generate().expect("a key can be made");
    CertifiedIssuer::self_signed(parameters, key).expect("it can be signed")
}

impl Certificate {
    /// One for `localhost`, but for what is changed.
    pub fn new(signer: &Authority, change: impl Fn(&mut CertificateParams)) -> Self {
        let (parameters, key) = parameters(change);
        let certificate = parameters.signed_by(&key, signer);
        let pem = certificate.expect("it can be signed").pem();
        let key = key.serialize_pem();
        Self { pem, key }
    }

    /// One for `localhost` that is signed with its own key, but for what is changed.
    pub fn self_signed(change: impl Fn(&mut CertificateParams)) -> Self {
        let (parameters, key) = parameters(change);
        let pem = parameters
            .self_signed(&key)
            .expect("it can be signed")
            .pem();
        let key = key.serialize_pem();
        Self { pem, key }
    }

    /// What `openssl req -x509` makes: a self-signed certificate of an authority.
    pub fn self_signed_authority() -> Self {
        Self::self_signed(|parameters| {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        })
    }

    /// A server that shows it.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.build(None)
    }

    /// A server that shows it, and asks for a certificate that this authority has signed.
    pub fn config_asking_for_clients_of(&self, authority: &Authority) -> Arc<ServerConfig> {
        self.build(Some(authority))
    }

    fn build(&self, clients: Option<&Authority>) -> Arc<ServerConfig> {
        let chain = vec![CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("PEM");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the versions are known");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der().clone()).expect("a root");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let config = builder.with_single_cert(chain, key);
        Arc::new(config.expect("the certificate fits its key"))
    }
}

fn parameters(change: impl Fn(&mut CertificateParams)) -> (CertificateParams, KeyPair) {
    let names = vec!["localhost".to_owned()];
    let mut parameters = CertificateParams::new(names).expect("a name");
    change(&mut parameters);
    (parameters, KeyPair::generate().expect("a key can be made"))
}

/// Listens, and serves every client on a thread of its own.
pub fn serve(action: impl Fn(TcpStream) -> Option<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens somewhere");
    let action = Arc::new(action);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let action = Arc::clone(&action);
            std::thread::spawn(move || action(client));
        }
    });
    address
}

/// A connection on which TLS is spoken. None: the handshake failed, and the client could read why.
pub fn encrypted(
    mut client: TcpStream,
    config: Arc<ServerConfig>,
) -> Option<StreamOwned<ServerConnection, TcpStream>> {
    let mut connection = ServerConnection::new(config).ok()?;
    while connection.is_handshaking() {
        if connection.complete_io(&mut client).is_err() {
            // An end with unread data would reset the connection before the alert is read.
            let _ = client.shutdown(Shutdown::Write);
            let _ = client.read_to_end(&mut Vec::new());
            return None;
        }
    }
    Some(StreamOwned::new(connection, client))
}

/// A web server that answers every request with 200.
pub fn page(config: Arc<ServerConfig>) -> SocketAddr {
    serve(move |client| {
        let mut stream = encrypted(client, Arc::clone(&config))?;
        let _ = stream.read(&mut [0; 1024]).ok()?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .ok()?;
        stream.conn.send_close_notify();
        stream.flush().ok()
    })
}
