//! Where are we: which platform runs this container, by the variables that it injects. These are the only
//! values of the environment that are shown.

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

/// How a platform is recognised, and which of its variables tell where on it we are.
struct Signature {
    platform: Platform,
    name: &'static str,
    /// One of these is set.
    marks: &'static [&'static str],
    /// What a variable is called in a sentence, and the variable.
    places: &'static [(&'static str, &'static str)],
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
    },
    Signature {
        platform: Platform::Render,
        name: "Render",
        marks: &["RENDER"],
        places: &[("service", "RENDER_SERVICE_NAME")],
    },
    Signature {
        platform: Platform::Heroku,
        name: "Heroku",
        marks: &["DYNO"],
        places: &[("dyno", "DYNO")],
    },
    Signature {
        platform: Platform::CloudRun,
        name: "Cloud Run",
        marks: &["K_SERVICE"],
        places: &[("service", "K_SERVICE"), ("revision", "K_REVISION")],
    },
    Signature {
        platform: Platform::Ecs,
        name: "ECS",
        marks: &["ECS_CONTAINER_METADATA_URI_V4"],
        places: &[],
    },
    // Last: other platforms run on it.
    Signature {
        platform: Platform::Kubernetes,
        name: "Kubernetes",
        marks: &["KUBERNETES_SERVICE_HOST"],
        places: &[("pod", "HOSTNAME")],
    },
];

/// Where this process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub platform: Platform,
    /// As people read it: `on Railway: project "x", service "y"`.
    pub description: String,
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
    let told = signature.places.iter().filter_map(|(what, name)| {
        let value = environment.text(name)?;
        Some(format!("{what} \"{}\"", value.escape_debug()))
    });
    let told: Vec<String> = told.collect();
    let colon = if told.is_empty() { "" } else { ": " };
    let description = format!("on {}{colon}{}", signature.name, told.join(", "));
    Some(Place {
        platform: signature.platform,
        description,
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
