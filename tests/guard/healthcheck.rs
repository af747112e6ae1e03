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
            "it redirects to port 1: connection refused",
        ),
        (
            "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.2/\r\n\r\n",
            "it redirects (301) to another host, 127.0.0.2",
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
        .expect_code(64)
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
        .expect_code(64)
        .expect_stderr("the URL: ${PORT} refers to a variable that is not set");
}

#[test]
fn what_is_no_url_is_wrong_usage() {
    for (line, told) in [
        (
            "localhost:8000",
            "the URL is not an http URL; write http://localhost:8000/ (",
        ),
        ("[::1]:80/health", "; write http://[::1]:80/health ("),
        ("localhost", "; write it as http://host:port/path ("),
        (
            "http://localhost:$PORT/",
            "; no shell expands $PORT; write ${PORT}, or ${PORT:-text} with a default (",
        ),
        (
            "localhost:8000/?canary",
            "; write it as http://host:port/path (",
        ),
        (
            "u:canary@localhost:8000",
            "; write it as http://host:port/path (",
        ),
        (
            "--timeout 5 http://h/",
            "`--timeout` must be a duration with its unit, such as 90s or 10m, not `5` (",
        ),
        ("--timeout 0s http://h/", "not `0s` ("),
        (
            "--status 200,2xx http://h/",
            "`--status` must be statuses from 200 to 599, separated by commas, not `2xx` (",
        ),
    ] {
        Guard::new()
            .line(&format!("healthcheck {line}"))
            .run()
            .expect_code(64)
            .expect_stderr(told)
            .expect_never("canary");
    }
}

#[test]
fn the_statuses_of_a_healthy_service_can_be_named() {
    const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    for (answer, statuses, code) in [
        (UNAUTHORIZED, "200,401", 0),
        (UNAUTHORIZED, "200, 403", 1),
        (HEALTHY, "401", 1),
        ("HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "301", 0),
    ] {
        let address = server((Ipv4Addr::LOCALHOST, 0), answer);
        let url = format!("http://{address}/");
        let guard = Guard::new().args(["healthcheck", "--status", statuses, &url]);
        guard.run().expect_code(code);
    }
}

#[test]
fn the_time_limit_can_be_set() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it listens somewhere");
    let url = format!("http://{address}/");
    let guard = Guard::new().args(["healthcheck", "--timeout=200ms", &url]);
    let ended = guard.run().expect_code(1).expect_stderr("no answer");
    assert!(ended.took.as_secs() < 4, "it took {:?}", ended.took);
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
