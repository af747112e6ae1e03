//! The values of libpq's `sslmode`. The server's packages are built without TLS, so a proxy in front of it handles TLS,
//! and can require it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::{self, Authority, Certificate, authority, authority_named, encrypted};
use crate::fleet::Fleet;
use crate::server::Database;
use crate::support::{Ended, Folder, Guard};

/// A database behind a TLS proxy.
struct Front {
    address: SocketAddr,
    /// The root certificate in PEM format. Its file replaces `ROOT` in a query.
    root: String,
    database: Database,
}

#[derive(Clone, Copy, PartialEq)]
enum Plain {
    Admitted,
    /// Whether TLS is required, as by a server with only `hostssl` lines.
    Refused,
}

impl Front {
    /// A database whose certificate is for `localhost` and signed by its root.
    fn new(plain: Plain) -> Self {
        let authority = authority();
        let certificate = Certificate::new(&authority, |_| {});
        Self::with(plain, certificate.config(), authority.pem())
    }

    fn with(plain: Plain, config: Arc<ServerConfig>, root: String) -> Self {
        let database = Database::new();
        let server = database.address().to_owned();
        let address =
            certificates::serve(move |client| serve(client, Arc::clone(&config), &server, plain));
        Self {
            address,
            root,
            database,
        }
    }

    /// A database that presents this certificate, with this authority's certificate as its root.
    fn showing(certificate: &Certificate, authority: &Authority) -> Self {
        Self::with(Plain::Refused, certificate.config(), authority.pem())
    }

    /// A guard that waits for the database under this host name.
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

    /// Asserts that the wait times out, because the error can disappear by itself.
    #[track_caller]
    fn is_not_ready(&self, host: &str, query: &str, told: &str) {
        let what = format!("postgres DATABASE_URL ({host}:{})", self.address.port());
        let line = format!(
            "startup-guard: not ready in time: {what}: {told} (phase wait, exit code 69, a retry helps)"
        );
        self.fails(host, query, 69, &line);
    }

    /// Asserts that the connection can never work, and that the reason begins with `told`.
    #[track_caller]
    fn is_impossible(&self, host: &str, query: &str, told: &str) {
        let what = format!("postgres DATABASE_URL ({host}:{})", self.address.port());
        self.waiting(host, query)
            .run()
            .expect_code(78)
            .expect_stdout("")
            .expect_stderr(&format!("waiting cannot help: {what}: {told}"))
            .expect_stderr("(phase wait, exit code 78, a retry does not help)")
            .expect_never(self.database.password());
    }

    /// Asserts that the database is refused: it is not trusted, or does not trust the client.
    #[track_caller]
    fn is_refused(&self, host: &str, query: &str, told: &str) {
        let what = format!("postgres DATABASE_URL ({host}:{})", self.address.port());
        let line = format!(
            "startup-guard: waiting cannot help: {what}: {told} (phase wait, exit code 77, a retry does not help)"
        );
        self.fails(host, query, 77, &line);
    }

    #[track_caller]
    fn fails(&self, host: &str, query: &str, code: i32, last_line: &str) -> Ended {
        let ended = self.waiting(host, query).run();
        assert_eq!(ended.code(), code, "{host} {query}: {ended}");
        assert_eq!(ended.last_line(), last_line, "{host} {query}");
        ended
            .expect_stdout("")
            .expect_never(self.database.password())
    }
}

/// Answers the request for TLS, and forwards the decrypted data.
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
    pass_on(&mut encrypted(client, config)?, server)
}

/// Forwards the decrypted data.
fn pass_on(client: &mut StreamOwned<ServerConnection, TcpStream>, server: &str) -> Option<()> {
    let mut server = TcpStream::connect(server).ok()?;
    let turn = Some(Duration::from_millis(2));
    client.sock.set_read_timeout(turn).ok()?;
    server.set_read_timeout(turn).ok()?;
    // Alternates between the directions, because two threads cannot share a TLS stream.
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

const UNKNOWN: &str = "its certificate is not signed by any of the root certificates; name the right ones with sslrootcert in the URL";
const OTHER_NAME: &str =
    "its certificate is not valid for this host name; use a name for which it is valid";

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
fn a_server_that_requires_tls_gets_it() {
    let front = Front::new(Plain::Refused);
    for query in ["", "sslmode=allow", "sslmode=prefer", "sslmode=require"] {
        front.serves("127.0.0.1", query);
    }
    front
        .waiting("127.0.0.1", "sslmode=disable")
        .run()
        .expect_code(77)
        .expect_stderr("it admits encrypted connections only, or none from this host (28000); remove sslmode=disable from the URL");
}

#[test]
fn a_server_without_tls_is_refused_if_tls_is_required() {
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
            .expect_code(78)
            .expect_stderr("it does not support TLS, which sslmode requires; remove sslmode from the URL, or enable TLS on the server")
            .expect_stderr("(phase wait, exit code 78, a retry does not help)");
    }
    let manifest = "version: 1
variables: {DATABASE_URL: {secret: true}}
steps: [{name: s, command: [echo, ran], lock: {postgres: DATABASE_URL, timeout: 500ms}}]
";
    Guard::with_manifest(manifest)
        .line("run --no-server")
        .env("DATABASE_URL", format!("{}?sslmode=require", database.url))
        .run()
        .expect_code(78)
        .expect_stdout("")
        .expect_stderr("(phase lock, exit code 78, a retry does not help)");
    // Another host may become ready.
    let address = database.address();
    let both = database.url_with(address, &format!("{address},127.0.0.1:1"));
    let manifest = "version: 1
variables: {DATABASE_URL: {secret: true}}
wait_for: [{postgres: DATABASE_URL, timeout: 500ms}]
";
    Guard::with_manifest(manifest)
        .line("run --no-server")
        .env("DATABASE_URL", format!("{both}?sslmode=require"))
        .run()
        .expect_code(69)
        .expect_stderr("connection refused");
}

#[test]
fn channel_binding_that_cannot_be_had_never_works() {
    let database = Database::new();
    Guard::with_manifest("version: 1
variables: {DATABASE_URL: {secret: true}}
wait_for: [{postgres: DATABASE_URL, timeout: 500ms}]
")
        .line("run --no-server")
        .env("DATABASE_URL", format!("{}?channel_binding=require", database.url))
        .run()
        .expect_code(78)
        .expect_stderr("it does not support channel binding, which the URL requires; remove channel_binding from the URL");
}

#[test]
fn verify_full_requires_the_signature_and_the_name_and_verify_ca_the_signature() {
    let front = Front::new(Plain::Refused);
    front.serves("localhost", "sslmode=verify-full&sslrootcert=ROOT");
    front.serves("localhost", "sslmode=verify-ca&sslrootcert=ROOT");
    front.serves("127.0.0.1", "sslmode=verify-ca&sslrootcert=ROOT");
    front.is_refused(
        "127.0.0.1",
        "sslmode=verify-full&sslrootcert=ROOT",
        OTHER_NAME,
    );
    // Like libpq, which uses root certificates if they are specified.
    front.serves("127.0.0.1", "sslmode=require&sslrootcert=ROOT");
}

#[test]
fn roots_that_have_not_signed_the_certificate_are_refused() {
    let signer = authority_named("the same name");
    let certificate = Certificate::new(&signer, |_| {});
    for other in [authority(), authority_named("the same name")] {
        let front = Front::showing(&certificate, &other);
        for mode in ["require", "verify-ca", "verify-full"] {
            front.is_refused(
                "localhost",
                &format!("sslmode={mode}&sslrootcert=ROOT"),
                UNKNOWN,
            );
        }
    }
}

#[test]
fn an_untrusted_certificate_is_tolerated_as_long_as_a_refusal() {
    let front = Front::new(Plain::Refused);
    let other = authority().pem();
    let guard = front.waiting("localhost", "sslmode=verify-full&sslrootcert=ROOT");
    guard.folder.file("root.pem", &other);
    let manifest = std::fs::read_to_string(guard.folder.path().join("required-vars.yaml"));
    let manifest = manifest.expect("it was written").replace("2s", "1m");
    guard.folder.file("required-vars.yaml", manifest);
    let ended = guard.run().expect_code(77).expect_stderr(UNKNOWN);
    let took = ended.took.as_secs();
    assert!((4..18).contains(&took), "{:?}", ended.took);
}

#[test]
fn a_lock_on_an_untrusted_server_cannot_be_requested() {
    let front = Front::new(Plain::Refused);
    let folder = Folder::new();
    let other = folder.file("other.pem", authority().pem());
    let url = format!(
        "postgresql://app:{}@localhost:{}/{}?sslmode=verify-full&sslrootcert={}",
        front.database.password(),
        front.address.port(),
        front.database.name,
        other.display()
    );
    let steps = "  - name: migrate
    command: [echo, ran]
    lock: {postgres: DATABASE_URL, timeout: 1m}";
    let ended = Fleet::new(&url, steps).run(1).remove(0).expect_code(77);
    assert!(ended.took < Duration::from_secs(18), "{:?}", ended.took);
    let port = front.address.port();
    ended.expect_stdout("").expect_stderr(&format!(
        "step migrate: the lock on localhost:{port} cannot be requested: {UNKNOWN} (phase lock, exit code 77, a retry does not help)"
    ));
}

#[test]
fn an_unusable_file_of_root_certificates_is_reported() {
    let front = Front::new(Plain::Refused);
    let folder = Folder::new();
    let huge = folder.file("huge.pem", vec![b'-'; 4 * 1024 * 1024 + 1]);
    let text = folder.file("text.pem", "no certificate");
    let key = folder.file(
        "key.pem",
        rcgen::KeyPair::generate().expect("a key").serialize_pem(),
    );
    let path = |path: &std::path::Path| path.display().to_string();
    for (file, problem) in [
        ("/no/such/file".to_owned(), "does not exist"),
        (path(folder.path()), "cannot be read: it is a directory"),
        (path(&huge), "is larger than 4 MiB"),
        (path(&text), "contains no certificate in PEM format"),
        (path(&key), "contains no certificate in PEM format"),
    ] {
        front.is_impossible(
            "localhost",
            &format!("sslmode=verify-full&sslrootcert={file}"),
            &format!("the file with the root certificates {problem}"),
        );
    }
}

#[test]
fn a_pipe_or_a_device_instead_of_a_file_does_not_block() {
    let front = Front::new(Plain::Refused);
    let folder = Folder::new();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe can be made");
    for (file, kind) in [
        (pipe.as_path(), "named pipe"),
        (std::path::Path::new("/dev/zero"), "character device"),
    ] {
        for (query, what) in [
            (
                format!("sslmode=verify-full&sslrootcert={}", file.display()),
                "the root certificates",
            ),
            (
                format!("sslmode=require&sslcert={0}&sslkey={0}", file.display()),
                "the client's certificate",
            ),
        ] {
            let told =
                format!("the file with {what} cannot be read: not a regular file but a {kind}");
            front.is_impossible("localhost", &query, &told);
        }
    }
}

#[test]
fn an_unusable_client_certificate_or_key_is_reported() {
    let (front, authority) = (Front::new(Plain::Refused), authority());
    let folder = Folder::new();
    let certificate = Certificate::new(&authority, |_| {});
    let other = Certificate::new(&authority, |_| {});
    let file = |name: &str, text: &str| folder.file(name, text).display().to_string();
    let pem = file("client.pem", &certificate.pem);
    let key = file("other.key", &other.key);
    for (pem, key, told) in [
        (
            "/no/such/file",
            key.as_str(),
            "the file with the client's certificate does not exist",
        ),
        (
            &pem,
            &pem,
            "the file with the client's key contains no unencrypted private key in PEM format",
        ),
        (
            &pem,
            &key,
            "the client's certificate and the client's key do not belong together",
        ),
    ] {
        let query = format!("sslmode=require&sslcert={pem}&sslkey={key}");
        front.is_impossible("localhost", &query, told);
    }
}

#[test]
fn a_server_that_requires_a_client_certificate_gets_the_one_of_the_url() {
    let (ours, theirs) = (authority(), authority());
    let certificate = Certificate::new(&theirs, |_| {});
    let config = certificate.config_asking_for_clients_of(&ours);
    let front = Front::with(Plain::Refused, config, theirs.pem());
    front.is_refused(
        "localhost",
        "sslmode=require",
        "it requires a client certificate; set sslcert and sslkey in the URL",
    );
    let folder = Folder::new();
    let query = |name: &str, signer: &Authority| {
        let client = Certificate::new(signer, |_| {});
        let pem = folder.file(&format!("{name}.pem"), &client.pem);
        let key = folder.file(&format!("{name}.key"), client.key);
        format!(
            "sslmode=require&sslcert={}&sslkey={}",
            pem.display(),
            key.display()
        )
    };
    front.serves("localhost", &query("ours", &ours));
    front.is_refused(
        "localhost",
        &query("theirs", &theirs),
        "it refuses the client certificate, or requires one; set sslcert and sslkey in the URL",
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
        .expect_code(77)
        .expect_stderr(UNKNOWN);
}

#[test]
fn a_self_signed_certificate_is_its_own_root() {
    for certificate in [
        Certificate::self_signed_authority(),
        Certificate::self_signed(|parameters| parameters.is_ca = IsCa::ExplicitNoCa),
        Certificate::self_signed(|parameters| parameters.is_ca = IsCa::NoCa),
    ] {
        let front = Front::with(
            Plain::Refused,
            certificate.config(),
            certificate.pem.clone(),
        );
        front.serves("localhost", "sslmode=verify-full&sslrootcert=ROOT");
        front.serves("127.0.0.1", "sslmode=verify-ca&sslrootcert=ROOT");
        front.is_refused(
            "127.0.0.1",
            "sslmode=verify-full&sslrootcert=ROOT",
            OTHER_NAME,
        );
    }
}

#[test]
fn a_self_signed_authority_that_is_not_a_root_is_not_trusted() {
    let front = Front::showing(&Certificate::self_signed_authority(), &authority());
    for mode in ["verify-ca", "verify-full"] {
        front.is_refused(
            "localhost",
            &format!("sslmode={mode}&sslrootcert=ROOT"),
            "its certificate belongs to a certificate authority (CA:TRUE) and is not one of the root certificates; name it with sslrootcert in the URL",
        );
    }
    front.serves("localhost", "sslmode=require");
}

#[test]
fn a_certificate_error_is_reported_with_advice() {
    let authority = authority();
    let query = "sslmode=verify-full&sslrootcert=ROOT";
    for (change, told) in [
        (
            (|parameters| {
                parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }) as fn(&mut rcgen::CertificateParams),
            "its certificate is not valid for servers; create one with the extended key usage serverAuth",
        ),
        (
            |parameters| parameters.subject_alt_names.clear(),
            "its certificate contains no host name; create one with a subjectAltName",
        ),
        (
            |parameters| parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            "its certificate belongs to a certificate authority (CA:TRUE) and is not one of the root certificates; name it with sslrootcert in the URL",
        ),
    ] {
        let front = Front::showing(&Certificate::new(&authority, change), &authority);
        front.is_refused("localhost", query, told);
    }
}

#[test]
fn an_expired_or_future_certificate_is_reported_and_waited_for() {
    let authority = authority();
    for (from, to, told) in [
        (
            2000,
            2001,
            "its certificate has expired; renew it, or check this machine's clock",
        ),
        (
            4000,
            4001,
            "its certificate is not valid yet; check its dates, and this machine's clock",
        ),
    ] {
        let certificate = Certificate::new(&authority, |parameters| {
            parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
        });
        let front = Front::showing(&certificate, &authority);
        front.is_not_ready("localhost", "sslmode=verify-full&sslrootcert=ROOT", told);
        front.serves("localhost", "sslmode=require");
    }
}

#[test]
fn a_server_that_promises_tls_but_does_not_use_it_is_reported() {
    let address = certificates::serve(|mut client| {
        client.read_exact(&mut [0; 8]).ok()?;
        client.write_all(b"S").ok()?;
        let _ = client.read(&mut [0; 1024]).ok()?;
        client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok()
    });
    let front = Front {
        address,
        ..Front::new(Plain::Refused)
    };
    front.is_impossible(
        "localhost",
        "sslmode=require",
        "it does not use TLS; check the port",
    );
}

#[test]
fn a_direct_tls_connection_is_encrypted_from_the_first_byte_on() {
    let authority = authority();
    let certificate = Certificate::new(&authority, |_| {});
    let mut config = ServerConfig::clone(&certificate.config());
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    let (config, database) = (Arc::new(config), Database::new());
    let server = database.address().to_owned();
    let address = certificates::serve(move |client| {
        pass_on(&mut encrypted(client, Arc::clone(&config))?, &server)
    });
    let front = Front {
        address,
        root: authority.pem(),
        database,
    };
    let query = "sslmode=verify-full&sslrootcert=ROOT&sslnegotiation=direct";
    front.serves("localhost", query);
}

#[test]
fn the_error_of_the_encrypted_log_in_is_told_if_only_encrypted_ones_are_admitted() {
    let front = Front::new(Plain::Refused);
    let (database, port) = (&front.database, front.address.port());
    let role = format!("sleeper_tls_{}", database.name);
    let sql = format!("CREATE ROLE {role} NOLOGIN PASSWORD 'x'");
    database.sql().run(&sql);
    let url = format!("postgresql://{role}:x@127.0.0.1:{port}/{}", database.name);
    front
        .waiting("127.0.0.1", "")
        .env("DATABASE_URL", url)
        .run()
        .expect_code(77)
        .expect_stderr("the role may not log in (28000)");
}
