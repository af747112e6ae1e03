//! The part of the manifest that is checked.

use crate::manifest::{self, Manifest, Scope, Template};
use crate::rule::is_runner;

/// The steps and the server command that the manifest and the command line select.
#[derive(Default)]
pub struct Selection<'a> {
    /// Which of the variables and the waits count.
    pub scope: Scope<'a>,
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
    /// This part of the manifest.
    pub fn rehearsal(manifest: &'a Manifest, scope: Scope<'a>) -> Self {
        let server = manifest.server_of(scope);
        let steps = manifest.steps.iter();
        Self {
            scope,
            steps: steps
                .filter(|step| scope.includes(&step.processes))
                .collect(),
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
