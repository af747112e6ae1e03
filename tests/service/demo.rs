//! Tests of `make demo` and `make demo-broken`.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::environment::{free_port, get, until_healthy};
use crate::postgres::venv;
use crate::support::until;

fn demo(arguments: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo.py");
    let mut command = Command::new(venv("python"));
    command
        .arg(script)
        .args(["--guard", env!("CARGO_BIN_EXE_startup-guard")])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn the_demo_serves_until_ctrl_c_and_leaves_nothing_behind() {
    let port = free_port();
    let mut running = Ending(
        demo(&["--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the demo starts"),
    );
    until_healthy(port);
    let pid = Pid::from_raw(i32::try_from(running.0.id()).expect("a pid fits"));
    kill(pid, Signal::SIGINT).expect("the demo runs");
    let status = running.0.wait().expect("the demo ends");
    assert!(status.success(), "{status}");
    until("nobody serves any more", || get(port, "/health").is_none());
}

#[test]
fn a_port_in_use_is_reported_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = taken.local_addr().expect("it has an address").port();
    let ended = demo(&["--port", &port.to_string()])
        .output()
        .expect("the demo runs");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("port {port} is taken")), "{told}");
}

#[test]
fn the_broken_demo_ends_with_78_and_says_where_it_is() {
    let ended = demo(&["--broken"]).output().expect("the demo runs");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{told}");
    assert!(told.contains("❌ NEXTAUTH_SECRET is not set"), "{told}");
    assert!(told.contains("exit code 78"), "{told}");
    assert!(told.contains("project \"intowork\""), "{told}");
}

/// A demo that is stopped on drop.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap_or(i32::MAX));
            let _ = kill(pid, Signal::SIGTERM);
            let _ = self.0.wait();
        }
    }
}
