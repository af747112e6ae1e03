//! The part of the manifest that is checked.

use crate::manifest::{self, Manifest, Template};
use crate::rule::is_runner;

/// The steps and the server command that the manifest and the command line select.
#[derive(Default)]
pub struct Selection<'a> {
    /// In the manifest's order.
    pub steps: Vec<&'a manifest::Step>,
    /// The server's command; `None` if no server is to be started.
    pub server: Option<Vec<Template>>,
    /// Whether this is a check before a deployment, not a start.
    pub is_rehearsal: bool,
    /// Whether a shell may stay the server's parent: an init forwards signals to all processes, or there is no manifest,
    /// so that only the hand-over is asked for.
    pub admits_shell: bool,
}

impl<'a> Selection<'a> {
    /// Everything in the manifest.
    pub fn whole(manifest: &'a Manifest) -> Self {
        let server = manifest.server.as_ref();
        Self {
            steps: manifest.steps.iter().collect(),
            server: server.map(|server| server.command.clone()),
            is_rehearsal: true,
            admits_shell: false,
        }
    }

    /// Whether the server's command replaces references to a secret store.
    pub fn has_runner(&self) -> bool {
        let mut words = self.server.iter().flatten();
        words.any(|word| word.source().to_str().is_some_and(is_runner))
    }

    pub fn has_step(&self, name: &str) -> bool {
        self.steps.iter().any(|step| step.name == name)
    }
}
