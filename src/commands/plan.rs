//! What the manifest and the command line together ask for.

use crate::check::{Need, Use};
use crate::cli;
use crate::environment::Environment;
use crate::error::Error;
use crate::manifest::{Manifest, Step, Template, Wait};
use crate::startup::init::Init;
use crate::target::Protocol;
use crate::text::did_you_mean;

use super::{init, settings};

/// What is going to be done after the check.
pub struct Plan<'a> {
    /// The whole service's, logged first.
    announce: Option<&'a Template>,
    pub waits: &'a [Wait],
    pub steps: Vec<&'a Step>,
    /// None with `--no-server`.
    pub server: Option<ServerPlan<'a>>,
}

/// The server to become.
pub struct ServerPlan<'a> {
    pub announce: Option<&'a Template>,
    pub command: Vec<Template>,
    /// None: it takes our place.
    pub init: Option<Init>,
}

impl<'a> Plan<'a> {
    /// The plan of a run.
    ///
    /// # Errors
    /// When what is to be skipped is unknown or no text, or there is no command to run.
    pub fn new(
        arguments: &cli::Run,
        manifest: &'a Manifest,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let (skipped, place) = settings::skipped(&arguments.skip, environment)?;
        if let Some(unknown) = skipped
            .iter()
            .find(|name| manifest.steps.iter().all(|step| step.name != **name))
        {
            let hint = did_you_mean(
                unknown,
                manifest.steps.iter().map(|step| step.name.as_str()),
            );
            return Err(Error::UnknownStep {
                place,
                name: unknown.clone(),
                hint,
            });
        }
        let steps = manifest
            .steps
            .iter()
            .filter(|step| !skipped.contains(&step.name))
            .collect();
        let server = if arguments.no_server {
            None
        } else {
            Some(ServerPlan::new(arguments, manifest, environment)?)
        };
        Ok(Self {
            announce: manifest.announce.as_ref(),
            waits: &manifest.waits,
            steps,
            server,
        })
    }

    /// Everything that the manifest could ever ask for, whatever a command line may leave out.
    pub fn whole(manifest: &'a Manifest) -> Self {
        Self {
            announce: manifest.announce.as_ref(),
            waits: &manifest.waits,
            steps: manifest.steps.iter().collect(),
            server: manifest.server.as_ref().map(|server| ServerPlan {
                announce: server.announce.as_ref(),
                command: server.command.clone(),
                init: None,
            }),
        }
    }

    /// Everything that will be expanded, in the manifest's order.
    pub fn uses(&self) -> Vec<Use<'_>> {
        let mut uses = Vec::new();
        uses.extend(announced("the service", self.announce));
        for step in &self.steps {
            let place = format!("the step {}", step.name);
            uses.extend(announced(&place, step.announce_start.as_ref()));
            uses.extend(announced(&place, step.announce_done.as_ref()));
            uses.extend(arguments(&place, &step.command));
            let question = step.up_to_date.as_deref().unwrap_or_default();
            uses.extend(arguments(&format!("{place}, up_to_date"), question));
        }
        if let Some(server) = &self.server {
            uses.extend(announced("the server", server.announce));
            uses.extend(arguments("the server", &server.command));
        }
        uses
    }

    /// Everything that will be waited for or locked, in the manifest's order.
    pub fn needs(&self) -> Vec<Need<'_>> {
        let waits = self.waits.iter().map(|wait| Need {
            what: format!("the wait for {}", wait.protocol.name()),
            protocol: wait.protocol,
            place: &wait.place,
            may_be_absent: true,
        });
        let locks = self.steps.iter().filter_map(|step| {
            Some(Need {
                what: format!("the lock of the step {}", step.name),
                protocol: Protocol::Postgres,
                place: &step.lock.as_ref()?.place,
                may_be_absent: false,
            })
        });
        waits.chain(locks).collect()
    }
}

impl<'a> ServerPlan<'a> {
    fn new(
        arguments: &cli::Run,
        manifest: &'a Manifest,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let server = manifest.server.as_ref();
        let command = match &arguments.command {
            // Without a manifest the guard is transparent.
            Some(words) if arguments.manifest == cli::ManifestChoice::None => {
                words.iter().map(|word| Template::literal(word)).collect()
            }
            Some(words) => words
                .iter()
                .map(|word| Template::parse_argument(word))
                .collect(),
            None => server
                .map(|server| server.command.clone())
                .unwrap_or_default(),
        };
        if command.first().is_none_or(Template::is_empty) {
            return Err(Error::NoCommand);
        }
        Ok(Self {
            announce: server.and_then(|server| server.announce.as_ref()),
            command,
            init: init::asked_for(
                arguments,
                server.is_some_and(|server| server.init),
                environment,
            )?,
        })
    }
}

fn announced<'a>(place: &str, template: Option<&'a Template>) -> Option<Use<'a>> {
    let place = format!("the announcement of {place}");
    template.map(|template| Use {
        place,
        template,
        is_argument: false,
    })
}

fn arguments<'a>(place: &str, command: &'a [Template]) -> impl Iterator<Item = Use<'a>> {
    let place = format!("the command of {place}");
    command.iter().map(move |template| Use {
        place: place.clone(),
        template,
        is_argument: true,
    })
}
