//! Where are we: which platform runs this container, by the variables that it injects. These are the only
//! values of the environment that are shown.

mod names;

pub use names::is_injected;

use crate::environment::Environment;

/// A platform that starts containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    Railway,
    Kubernetes,
    Fly,
    Render,
    Heroku,
    CloudRun,
    Ecs,
}

impl Platform {
    /// The stable name, as it stands in reports.
    pub const fn code(self) -> &'static str {
        match self {
            Platform::Railway => "railway",
            Platform::Kubernetes => "kubernetes",
            Platform::Fly => "fly",
            Platform::Render => "render",
            Platform::Heroku => "heroku",
            Platform::CloudRun => "cloud_run",
            Platform::Ecs => "ecs",
        }
    }
}

/// How a platform is recognised, and which of its variables tell where on it we are.
struct Signature {
    platform: Platform,
    name: &'static str,
    /// One of these is set.
    marks: &'static [&'static str],
    /// What tells where we are, in a sentence in this order.
    places: &'static [(&'static str, &'static str)],
    /// What tells it to machines only.
    more: &'static [(&'static str, &'static str)],
}

const SIGNATURES: [Signature; 7] = [
    Signature {
        platform: Platform::Railway,
        name: "Railway",
        marks: &[
            "RAILWAY_SERVICE_NAME",
            "RAILWAY_SERVICE_ID",
            "RAILWAY_PROJECT_ID",
            "RAILWAY_ENVIRONMENT_NAME",
        ],
        places: &[
            ("project", "RAILWAY_PROJECT_NAME"),
            ("service", "RAILWAY_SERVICE_NAME"),
            ("environment", "RAILWAY_ENVIRONMENT_NAME"),
        ],
        more: &[
            ("replica", "RAILWAY_REPLICA_ID"),
            ("region", "RAILWAY_REPLICA_REGION"),
        ],
    },
    Signature {
        platform: Platform::Fly,
        name: "Fly",
        marks: &["FLY_APP_NAME"],
        places: &[
            ("app", "FLY_APP_NAME"),
            ("region", "FLY_REGION"),
            ("process group", "FLY_PROCESS_GROUP"),
        ],
        more: &[("replica", "FLY_MACHINE_ID")],
    },
    Signature {
        platform: Platform::Render,
        name: "Render",
        marks: &["RENDER"],
        places: &[("service", "RENDER_SERVICE_NAME")],
        more: &[("replica", "RENDER_INSTANCE_ID")],
    },
    Signature {
        platform: Platform::Heroku,
        name: "Heroku",
        marks: &["DYNO"],
        places: &[("app", "HEROKU_APP_NAME"), ("dyno", "DYNO")],
        more: &[],
    },
    Signature {
        platform: Platform::CloudRun,
        name: "Cloud Run",
        marks: &["K_SERVICE"],
        places: &[("service", "K_SERVICE"), ("revision", "K_REVISION")],
        more: &[],
    },
    Signature {
        platform: Platform::Ecs,
        name: "ECS",
        marks: &["ECS_CONTAINER_METADATA_URI_V4"],
        places: &[],
        more: &[],
    },
    // Last: other platforms run on it.
    Signature {
        platform: Platform::Kubernetes,
        name: "Kubernetes",
        marks: &["KUBERNETES_SERVICE_HOST"],
        places: &[("pod", "HOSTNAME")],
        more: &[],
    },
];

/// Where this process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub platform: Platform,
    /// As people read it: `on Railway: project "x", service "y"`.
    pub description: String,
    /// What the platform calls its parts, and their names here: `service`, `environment`, `replica`…
    pub details: Vec<(&'static str, String)>,
}

impl Place {
    /// The name of a part, such as `service`.
    pub fn detail(&self, what: &str) -> Option<&str> {
        let (_, name) = self.details.iter().find(|(part, _)| *part == what)?;
        // It goes into commands: no line break may end one there.
        (!name.contains(char::is_control)).then_some(name)
    }
}

/// The platform that runs us; none for a plain container or a person's machine.
pub fn detect(environment: &Environment) -> Option<Place> {
    let is_here = |signature: &&Signature| {
        signature
            .marks
            .iter()
            .any(|mark| environment.text(mark).is_some())
    };
    let signature = SIGNATURES.iter().find(is_here)?;
    let named = |parts: &[(&'static str, &str)]| {
        let named = parts
            .iter()
            .filter_map(|(what, name)| Some((*what, environment.text(name)?.to_owned())));
        named.collect::<Vec<_>>()
    };
    let mut details = named(signature.places);
    let told: Vec<String> = details
        .iter()
        .map(|(what, name)| format!("{what} \"{}\"", name.escape_debug()))
        .collect();
    let colon = if told.is_empty() { "" } else { ": " };
    let description = format!("on {}{colon}{}", signature.name, told.join(", "));
    details.extend(named(signature.more));
    Some(Place {
        platform: signature.platform,
        description,
        details,
    })
}

#[cfg(test)]
mod tests {
    use super::{Environment, Platform, detect};

    fn place(entries: &[(&str, &str)]) -> Option<(Platform, String)> {
        let entries = entries
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        detect(&Environment::from_entries(entries)).map(|place| (place.platform, place.description))
    }

    #[test]
    fn a_platform_is_known_by_what_it_injects() {
        let railway = [
            ("RAILWAY_PROJECT_NAME", "intowork"),
            ("RAILWAY_SERVICE_NAME", "Postgres-aBcD"),
            ("RAILWAY_ENVIRONMENT_NAME", "production"),
        ];
        let told = "on Railway: project \"intowork\", service \"Postgres-aBcD\", environment \"production\"";
        assert_eq!(place(&railway), Some((Platform::Railway, told.to_owned())));
        assert_eq!(
            place(&[("DYNO", "web.1")]),
            Some((Platform::Heroku, "on Heroku: dyno \"web.1\"".to_owned()))
        );
        let fly_on_kubernetes = [
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("FLY_APP_NAME", "api"),
        ];
        assert_eq!(
            place(&fly_on_kubernetes),
            Some((Platform::Fly, "on Fly: app \"api\"".to_owned()))
        );
        assert_eq!(place(&[("PORT", "8000")]), None);
        assert_eq!(place(&[("RENDER", "")]), None);
    }
}
