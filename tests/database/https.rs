//! Waits for a page over TLS, with a web server in the test.

use std::io::{Read, Write};
use std::net::SocketAddr;

use crate::certificates::{self, Certificate, authority, page};
use crate::support::{Ended, Guard};

/// A guard that waits for a page, with these root certificates in `SSL_CERT_FILE`.
fn waiting(host: &str, address: SocketAddr, roots: &str) -> Guard {
    let manifest = format!(
        "version: 1
wait_for: [{{http: 'https://{host}:{}/', timeout: 2s}}]
server: {{command: [echo, served]}}
",
        address.port()
    );
    let guard = Guard::with_manifest(&manifest);
    let file = guard.folder.file("roots.pem", roots);
    guard.env("SSL_CERT_FILE", file)
}

fn serves(address: SocketAddr, roots: &str) {
    waiting("localhost", address, roots)
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
}

#[track_caller]
fn is_refused(host: &str, address: SocketAddr, roots: &str, told: &str) {
    let ended = waiting(host, address, roots).run().expect_code(77);
    let line = format!(
        "startup-guard: waiting cannot help: http {host}:{}: {told} (phase wait, exit code 77, a retry does not help)",
        address.port()
    );
    assert_eq!(ended.last_line(), line);
}

#[track_caller]
fn is_not_ready(guard: Guard, address: SocketAddr, told: &str) -> Ended {
    let ended = guard.run().expect_code(69);
    let line = format!(
        "startup-guard: not ready in time: http localhost:{}: {told} (phase wait, exit code 69, a retry helps)",
        address.port()
    );
    assert_eq!(ended.last_line(), line);
    ended
}

#[track_caller]
fn is_impossible(guard: Guard, address: SocketAddr, told: &str) {
    guard
        .run()
        .expect_code(78)
        .expect_stderr(&format!(
            "waiting cannot help: http localhost:{}: {told}",
            address.port()
        ))
        .expect_stderr("(phase wait, exit code 78, a retry does not help)");
}

#[test]
fn a_page_whose_certificate_a_root_has_signed_is_ready() {
    let authority = authority();
    let address = page(Certificate::new(&authority, |_| {}).config());
    serves(address, &authority.pem());
    is_refused(
        "localhost",
        address,
        &certificates::authority().pem(),
        "its certificate is not signed by any of the root certificates; name the right ones with the variable SSL_CERT_FILE",
    );
    is_refused(
        "127.0.0.1",
        address,
        &authority.pem(),
        "its certificate is not valid for this host name; use a name for which it is valid",
    );
}

#[test]
fn a_health_check_verifies_the_certificate() {
    let authority = authority();
    let address = page(Certificate::new(&authority, |_| {}).config());
    let url = format!("https://localhost:{}/", address.port());
    for (roots, code) in [(authority.pem(), 0), (certificates::authority().pem(), 1)] {
        let guard = Guard::new();
        let file = guard.folder.file("roots.pem", roots);
        let guard = guard.env("SSL_CERT_FILE", file);
        guard.args(["healthcheck", &url]).run().expect_code(code);
    }
}

#[test]
fn a_self_signed_certificate_is_trusted_when_it_is_a_root() {
    let certificate = Certificate::self_signed_authority();
    let address = page(certificate.config());
    serves(address, &certificate.pem);
    // In a bundle with other certificates, like a system's.
    let bundle = format!("{}{}", authority().pem(), certificate.pem);
    serves(address, &bundle);
    is_refused(
        "localhost",
        address,
        &authority().pem(),
        "its certificate belongs to a certificate authority (CA:TRUE) and is not one of the root certificates; name it with the variable SSL_CERT_FILE",
    );
}

#[test]
fn an_expired_certificate_is_waited_for() {
    let authority = authority();
    let certificate = Certificate::new(&authority, |parameters| {
        parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let address = page(certificate.config());
    is_not_ready(
        waiting("localhost", address, &authority.pem()),
        address,
        "its certificate has expired; renew it, or check this machine's clock",
    );
}

#[test]
fn a_server_that_requires_a_client_certificate_is_reported() {
    let authority = authority();
    let certificate = Certificate::new(&authority, |_| {});
    let address = page(certificate.config_asking_for_clients_of(&authority));
    is_refused(
        "localhost",
        address,
        &authority.pem(),
        "it requires a client certificate; startup-guard does not support client certificates for web servers",
    );
}

#[test]
fn a_server_without_tls_is_reported() {
    let address = certificates::serve(|mut client| {
        let _ = client.read(&mut [0; 1024]).ok()?;
        client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok()
    });
    is_impossible(
        waiting("localhost", address, &authority().pem()),
        address,
        "it does not use TLS; check the port, or begin the URL with http://",
    );
}

#[test]
fn an_unusable_file_of_root_certificates_is_reported() {
    let authority = authority();
    let address = page(Certificate::new(&authority, |_| {}).config());
    is_impossible(
        waiting("localhost", address, "no certificate"),
        address,
        "the file with the root certificates contains no certificate in PEM format",
    );
    is_impossible(
        waiting("localhost", address, "").env("SSL_CERT_FILE", "/no/such/file"),
        address,
        "the file with the root certificates does not exist",
    );
}

#[test]
fn an_endless_handshake_ends_with_the_time_out() {
    // The header of a long handshake record, and then its bytes one by one.
    let address = certificates::serve(|mut client| {
        client
            .write_all(b"\x16\x03\x03\x40\x00\x02\x00\xff\xff")
            .ok()?;
        loop {
            client.write_all(b"x").ok()?;
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    });
    is_not_ready(
        waiting("localhost", address, &authority().pem()),
        address,
        "no answer yet",
    );
}
