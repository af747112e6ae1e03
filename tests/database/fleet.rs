//! Runs many guards concurrently, which share a folder.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::support::{Ended, Folder, Guard, Running};

/// The time limit of a whole fleet on a loaded machine.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// Whether the tests run with their full number of cases.
#[expect(
    clippy::disallowed_methods,
    reason = "the rule is for the guard: this is another program"
)]
pub fn is_soak() -> bool {
    std::env::var_os("STARTUP_GUARD_SOAK").is_some_and(|value| value == "1")
}

/// Held by tests that start so many processes that other tests could not meet their deadlines meanwhile.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Guards of one service.
pub struct Fleet {
    /// `$SHARED` in the manifest's commands.
    pub shared: Folder,
    manifest: String,
    url: String,
}

impl Fleet {
    /// Guards with these steps and a server that prints `served`.
    pub fn new(url: &str, steps: &str) -> Self {
        Self::with_server(url, steps, "echo served")
    }

    pub fn with_server(url: &str, steps: &str, server: &str) -> Self {
        let manifest = format!(
            "version: 1
service: fleet
variables:
  DATABASE_URL: {{level: critical, secret: true}}
steps:
{steps}
server: {{command: [sh, -c, '{server}']}}
"
        );
        Self {
            shared: Folder::new(),
            manifest,
            url: url.to_owned(),
        }
    }

    pub fn guard(&self) -> Guard {
        Guard::with_manifest(&self.manifest)
            .env("DATABASE_URL", &self.url)
            .env("SHARED", self.shared.path())
    }

    pub fn start(&self, count: usize) -> Vec<Running> {
        (0..count).map(|_| self.guard().start()).collect()
    }

    /// Starts `count` guards, and waits until all have ended.
    pub fn run(&self, count: usize) -> Vec<Ended> {
        let running = self.start(count);
        running
            .into_iter()
            .map(|guard| guard.end_within(PATIENCE))
            .collect()
    }

    /// The content of a file that the steps have written, or an empty text.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    pub fn path(&self) -> &Path {
        self.shared.path()
    }
}
