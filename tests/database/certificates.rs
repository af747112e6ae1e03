//! Creates certificates, and TLS servers that present them.

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
    /// The certificate in PEM format.
    pub key: String,
}

/// A certificate authority with a unique name.
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
    /// A certificate for `localhost`, with the changes that `change` makes.
    pub fn new(signer: &Authority, change: impl Fn(&mut CertificateParams)) -> Self {
        let (parameters, key) = parameters(change);
        let certificate = parameters.signed_by(&key, signer);
        let pem = certificate.expect("it can be signed").pem();
        let key = key.serialize_pem();
        Self { pem, key }
    }

    /// A self-signed certificate for `localhost`, with the changes that `change` makes.
    pub fn self_signed(change: impl Fn(&mut CertificateParams)) -> Self {
        let (parameters, key) = parameters(change);
        let pem = parameters
            .self_signed(&key)
            .expect("it can be signed")
            .pem();
        let key = key.serialize_pem();
        Self { pem, key }
    }

    /// A self-signed certificate of an authority, such as `openssl req -x509` creates.
    pub fn self_signed_authority() -> Self {
        Self::self_signed(|parameters| {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        })
    }

    /// The configuration of a server that presents this certificate.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.build(None)
    }

    /// The configuration of a server that presents this certificate, and requires one that this authority has signed.
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

/// Listens, and serves every client on its own thread.
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

/// Accepts a TLS connection. `None` if the handshake failed, after the client could read the reason.
pub fn encrypted(
    mut client: TcpStream,
    config: Arc<ServerConfig>,
) -> Option<StreamOwned<ServerConnection, TcpStream>> {
    let mut connection = ServerConnection::new(config).ok()?;
    while connection.is_handshaking() {
        if connection.complete_io(&mut client).is_err() {
            // Closing the socket with unread data would reset the connection before the client has read the alert.
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
