//! The example service's environment, and requests to it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::postgres::{Postgres, venv};
use crate::support::{Guard, until};

/// Clearly fake secrets, for which all output is searched.
pub const CANARIES: [(&str, &str); 3] = [
    ("NEXTAUTH_SECRET", "canary-nextauth-0123456789abcdefghij"),
    ("JWT_SECRET", "canary-jwt-0123456789abcdefghijklmnop"),
    ("RESEND_API_KEY", "re_canary_0123456789"),
];

/// The folder of the example service.
pub fn service() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/intowork-backend")
}

/// A guard in the service's folder with the top-level manifest and a sound environment.
pub fn guard(postgres: &Postgres, port: u16) -> Guard {
    in_service(Guard::new(), postgres, port)
}

/// The same for another program instead of the guard.
pub fn in_service(guard: Guard, postgres: &Postgres, port: u16) -> Guard {
    let mut guard = guard
        .in_folder(&service())
        .env("PATH", search_path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("STARTUP_GUARD_MANIFEST", "../../required-vars.yaml")
        .env("DATABASE_URL", &postgres.url)
        .env("PORT", port.to_string())
        .env("JWT_ALGORITHM", "HS256")
        .env("FROM_EMAIL", "INTOWORK <noreply@example.com>")
        .env("FRONTEND_URL", "http://localhost:3000")
        .env("ALLOWED_ORIGINS", "http://localhost:3000");
    for (name, value) in CANARIES {
        guard = guard.env(name, value);
    }
    guard
}

/// A PATH with the service's programs before the system's.
pub fn search_path() -> String {
    let bin = venv("").display().to_string();
    format!("{}:/usr/bin:/bin", bin.trim_end_matches('/'))
}

/// A port on which nothing listens.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it has an address").port()
}

/// The service's response, or `None` if there is none.
pub fn get(port: u16, path: &str) -> Option<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .build()
        .into();
    let mut answer = agent
        .get(format!("http://127.0.0.1:{port}{path}"))
        .call()
        .ok()?;
    answer.body_mut().read_to_string().ok()
}

/// Adds an offer, and returns the status of the response.
pub fn add_offer(port: u16, title: &str) -> u16 {
    ureq::post(format!("http://127.0.0.1:{port}/api/offers"))
        .header("content-type", "application/json")
        .send(format!("{{\"title\": \"{title}\"}}"))
        .expect("the service answers")
        .status()
        .as_u16()
}

/// Waits until the service reports that it is healthy.
#[track_caller]
pub fn until_healthy(port: u16) {
    until("the service is healthy", || {
        get(port, "/health").as_deref()
            == Some(r#"{"status":"healthy","service":"intowork-backend"}"#)
    });
}
