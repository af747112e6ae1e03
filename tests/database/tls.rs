//! `sslmode`, as libpq means it. The server's packages are built without TLS, so something in front of it
//! speaks TLS for it, and can insist on it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::server::Database;
use crate::support::Guard;

/// A database behind TLS, whose certificate is for `localhost`.
struct Front {
    address: SocketAddr,
    /// The PEM of whoever signed it.
    root: String,
    database: Database,
}

#[derive(Clone, Copy, PartialEq)]
enum Plain {
    Admitted,
    /// As a server with nothing but `hostssl` lines.
    Refused,
}

impl Front {
    fn new(plain: Plain) -> Self {
        let authority = authority();
        let key = KeyPair::generate().expect("a key can be made");
        let parameters = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = parameters
            .signed_by(&key, &authority)
            .expect("it can be signed");
        Self::with(plain, &certificate.pem(), &key, authority.pem())
    }

    fn with(plain: Plain, certificate: &str, key: &KeyPair, root: String) -> Self {
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("PEM");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the versions are known")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the certificate fits its key");
        let database = Database::new();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens somewhere");
        let (config, server) = (Arc::new(config), database.address().to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (config, server) = (Arc::clone(&config), server.clone());
                std::thread::spawn(move || serve(client, config, &server, plain));
            }
        });
        Self {
            address,
            root,
            database,
        }
    }

    /// A guard that waits for it, by this name of the host.
    fn waiting(&self, host: &str, query: &str) -> Guard {
        let manifest = "version: 1
variables: {DATABASE_URL: {secret: true}}
wait_for: [{postgres: DATABASE_URL, timeout: 2s}]
server: {command: [echo, served]}
";
        let guard = Guard::with_manifest(manifest);
        let root = guard.folder.file("root.pem", &self.root);
        let query = query.replace("ROOT", &root.display().to_string());
        let url = format!(
            "postgresql://app:{}@{host}:{}/{}?{query}",
            self.database.password(),
            self.address.port(),
            self.database.name
        );
        guard.env("DATABASE_URL", url)
    }

    fn serves(&self, host: &str, query: &str) {
        let ended = self.waiting(host, query).run();
        assert_eq!(ended.code(), 0, "{host} {query}: {ended}");
    }

    fn fails(&self, host: &str, query: &str, told: &str) {
        let ended = self.waiting(host, query).run();
        assert_eq!(ended.code(), 69, "{host} {query}: {ended}");
        ended
            .expect_stderr(told)
            .expect_never(self.database.password());
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key can be made");
    CertifiedIssuer::self_signed(parameters, key).expect("it can be signed")
}

/// Answers the question for TLS, and passes on what is inside.
fn serve(
    mut client: TcpStream,
    config: Arc<ServerConfig>,
    server: &str,
    plain: Plain,
) -> Option<()> {
    let mut first = [0; 8];
    client.read_exact(&mut first).ok()?;
    if first != *b"\0\0\0\x08\x04\xd2\x16\x2f" {
        if plain == Plain::Refused {
            let fields = b"SFATAL\0C28000\0Mno entry for this host, no encryption\0\0";
            let length = u32::try_from(fields.len() + 4).ok()?;
            client.write_all(b"E").ok()?;
            client.write_all(&length.to_be_bytes()).ok()?;
            client.write_all(fields).ok()?;
            return None;
        }
        let mut server = TcpStream::connect(server).ok()?;
        server.write_all(&first).ok()?;
        let (mut from_server, mut to_client) = (server.try_clone().ok()?, client.try_clone().ok()?);
        std::thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
        std::io::copy(&mut client, &mut server).ok()?;
        return server.shutdown(std::net::Shutdown::Both).ok();
    }
    client.write_all(b"S").ok()?;
    let mut server = TcpStream::connect(server).ok()?;
    let connection = ServerConnection::new(config).ok()?;
    client
        .set_read_timeout(Some(Duration::from_millis(2)))
        .ok()?;
    server
        .set_read_timeout(Some(Duration::from_millis(2)))
        .ok()?;
    let mut client = StreamOwned::new(connection, client);
    // In turns: a TLS stream cannot be shared by two threads.
    let mut buffer = [0; 4096];
    loop {
        for is_from_client in [true, false] {
            let read = if is_from_client {
                client.read(&mut buffer)
            } else {
                server.read(&mut buffer)
            };
            match read {
                Ok(0) => return None,
                Ok(count) if is_from_client => server.write_all(&buffer[..count]).ok()?,
                Ok(count) => {
                    client.write_all(&buffer[..count]).ok()?;
                    client.flush().ok()?;
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => return None,
            }
        }
    }
}

const UNKNOWN: &str = "its certificate is signed by none of the root certificates; name the right ones with sslrootcert";

#[test]
fn every_sslmode_connects_to_a_server_that_admits_both() {
    let front = Front::new(Plain::Admitted);
    for mode in ["disable", "allow", "prefer", "require"] {
        front.serves("localhost", &format!("sslmode={mode}"));
        front.serves("127.0.0.1", &format!("sslmode={mode}"));
    }
    front.serves("localhost", "");
    front.serves("localhost", "ssl=require");
}

#[test]
fn a_server_that_insists_on_tls_gets_it() {
    let front = Front::new(Plain::Refused);
    for query in ["", "sslmode=allow", "sslmode=prefer", "sslmode=require"] {
        front.serves("127.0.0.1", query);
    }
    front
        .waiting("127.0.0.1", "sslmode=disable")
        .run()
        .expect_code(77)
        .expect_stderr("it refuses the role, or connections from here (28000)");
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let database = Database::new();
    let manifest = "version: 1
variables: {DATABASE_URL: {secret: true}}
wait_for: [{postgres: DATABASE_URL, timeout: 500ms}]
server: {command: [echo, served]}
";
    for mode in [
        "require",
        "verify-ca&sslrootcert=/etc/ssl/certs/ca-certificates.crt",
    ] {
        Guard::with_manifest(manifest)
            .env("DATABASE_URL", format!("{}?sslmode={mode}", database.url))
            .run()
            .expect_code(69)
            .expect_stderr("it offers no TLS, which sslmode asks for");
    }
}

#[test]
fn verify_full_asks_for_the_signature_and_the_name_and_verify_ca_for_the_signature() {
    let front = Front::new(Plain::Refused);
    front.serves("localhost", "sslmode=verify-full&sslrootcert=ROOT");
    front.serves("localhost", "sslmode=verify-ca&sslrootcert=ROOT");
    front.serves("127.0.0.1", "sslmode=verify-ca&sslrootcert=ROOT");
    front.fails(
        "127.0.0.1",
        "sslmode=verify-full&sslrootcert=ROOT",
        "its certificate is for another name than this host",
    );
    // As libpq does: whoever names roots wants them to be used.
    front.serves("127.0.0.1", "sslmode=require&sslrootcert=ROOT");
}

#[test]
fn roots_that_did_not_sign_it_do_not_do() {
    let front = Front {
        root: authority().pem(),
        ..Front::new(Plain::Refused)
    };
    for mode in ["require", "verify-ca", "verify-full"] {
        front.fails(
            "localhost",
            &format!("sslmode={mode}&sslrootcert=ROOT"),
            UNKNOWN,
        );
    }
    front.fails(
        "localhost",
        "sslmode=verify-full&sslrootcert=/no/such/file",
        "the root certificates cannot be read from their file",
    );
}

#[test]
fn the_systems_roots_can_be_named_by_their_usual_variable() {
    let front = Front::new(Plain::Refused);
    let guard = front.waiting("localhost", "sslmode=verify-full");
    let file = guard.folder.path().join("root.pem");
    guard.env("SSL_CERT_FILE", file).run().expect_code(0);
    let other = Front::new(Plain::Refused);
    let guard = other.waiting("localhost", "sslrootcert=system");
    let file = guard.folder.file("other.pem", authority().pem());
    guard
        .env("SSL_CERT_FILE", file)
        .run()
        .expect_code(69)
        .expect_stderr(UNKNOWN);
}

#[test]
fn a_self_signed_certificate_is_its_own_root() {
    let key = KeyPair::generate().expect("a key can be made");
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    // What `openssl req -x509` makes.
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = parameters
        .self_signed(&key)
        .expect("it can be signed")
        .pem();
    let front = Front::with(Plain::Refused, &certificate, &key, certificate.clone());
    front.serves("localhost", "sslmode=verify-full&sslrootcert=ROOT");
    front.serves("127.0.0.1", "sslmode=verify-ca&sslrootcert=ROOT");
    front.fails(
        "127.0.0.1",
        "sslmode=verify-full&sslrootcert=ROOT",
        "its certificate is for another name than this host",
    );
}

#[test]
fn a_wrong_clock_or_an_old_certificate_is_told() {
    let authority = authority();
    for (from, to) in [(2000, 2001), (4000, 4001)] {
        let key = KeyPair::generate().expect("a key can be made");
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
        let certificate = parameters
            .signed_by(&key, &authority)
            .expect("it can be signed");
        let front = Front::with(Plain::Refused, &certificate.pem(), &key, authority.pem());
        front.fails(
            "localhost",
            "sslmode=verify-full&sslrootcert=ROOT",
            "its certificate is not valid at this time; check it, and this machine's clock",
        );
        front.serves("localhost", "sslmode=require");
    }
}
