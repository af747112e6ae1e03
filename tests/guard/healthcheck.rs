//! `healthcheck`: the exit code 0 or 1, and the reason.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::support::Guard;

/// Starts a server that sends `answer` once. Returns its address.
fn server(address: impl Into<SocketAddr>, answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(address.into()).expect("a port is free");
    let address = listener.local_addr().expect("it listens somewhere");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(answer.as_bytes());
    });
    address
}

const HEALTHY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

#[test]
fn a_2xx_is_healthy() {
    for answer in [HEALTHY, "HTTP/1.1 204 No Content\r\n\r\n"] {
        let address = server((Ipv4Addr::LOCALHOST, 0), answer);
        let ended = Guard::new()
            .args(["healthcheck", &format!("http://{address}/health")])
            .run();
        ended.expect_code(0).expect_stdout("").expect_stderr("");
    }
    let address = server((Ipv6Addr::LOCALHOST, 0), HEALTHY);
    Guard::new()
        .args(["healthcheck", &format!("http://{address}/health")])
        .run()
        .expect_code(0);
}

#[test]
fn anything_else_is_not() {
    for (answer, told) in [
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            "it answers with 503",
        ),
        (
            "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "it answers with 301",
        ),
        ("this is no HTTP\r\n\r\n", "the service is not healthy"),
        ("", "the service is not healthy"),
    ] {
        let address = server((Ipv4Addr::LOCALHOST, 0), answer);
        let ended = Guard::new()
            .args(["healthcheck", &format!("http://{address}/")])
            .run();
        ended
            .expect_code(1)
            .expect_stderr(told)
            .expect_stderr("exit code 1");
    }
}

#[test]
fn a_closed_port_is_unhealthy_and_the_url_is_not_shown() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it listens somewhere");
    drop(listener);
    let url = format!("http://user:canary@{address}/canary");
    Guard::new()
        .args(["healthcheck", &url])
        .run()
        .expect_code(1)
        .expect_never("canary");
    Guard::new()
        .line("healthcheck ftp://127.0.0.1/")
        .run()
        .expect_code(1)
        .expect_stderr("begin with http://");
}

#[test]
fn references_in_the_url_are_expanded_for_images_without_a_shell() {
    let address = server((Ipv4Addr::LOCALHOST, 0), HEALTHY);
    let url = "http://127.0.0.1:${PORT:-8000}/health";
    Guard::new()
        .env("PORT", address.port().to_string())
        .args(["healthcheck", url])
        .run()
        .expect_code(0);
    Guard::new()
        .args(["healthcheck", "http://127.0.0.1:${PORT}/"])
        .run()
        .expect_code(1)
        .expect_stderr("${PORT}");
}

#[test]
fn a_service_that_never_answers_is_unhealthy_in_bounded_time() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it listens somewhere");
    let ended = Guard::new()
        .args(["healthcheck", &format!("http://{address}/")])
        .run()
        .expect_code(1);
    assert!(ended.took.as_secs() < 10, "it took {:?}", ended.took);
    drop(listener);
}
