//! Recognises the platform that runs this container by the variables that it injects. Only the values of these
//! variables are shown. Each platform has a file of its own.

mod cloud_run;
mod ecs;
mod fix;
mod fly;
mod heroku;
mod kubernetes;
mod railway;
mod render;

use regex_lite::{Captures, Regex};

use crate::environment::Environment;

pub use fix::{Bring, Content, Fix, Wanted, asking, command, is_shell_name, quoted};
pub use heroku::HEROKU;
pub use kubernetes::{KUBERNETES, in_pod_spec, is_service_link, service_of};
pub use railway::RAILWAY;

/// A platform that starts containers.
#[derive(Debug)]
pub struct Platform {
    /// The stable name in reports.
    pub code: &'static str,
    /// The name in messages.
    pub name: &'static str,
    /// Variables that only this platform injects, separated by spaces. Any of them identifies the platform.
    pub marks: &'static str,
    /// The parts of a deployment, each with the variable that holds its name (`service=K_SERVICE`), in the order in which
    /// the description lists them. Only the JSON report has those after the semicolon.
    pub parts: &'static str,
    /// The names of all variables that it injects, separated by spaces. A `*` at the end of a name matches any text.
    pub injected: &'static str,
    /// A sentence on where the declared variables may be set if none of them is set in this container.
    pub elsewhere: &'static str,
    /// The fixes that bring the values from there, without showing one.
    pub bring: &'static [Bring],
    /// Whether other containers can share the localhost of this one.
    pub shares_localhost: bool,
    /// Creates the commands, or the lines of the platform's configuration file, that set variables.
    pub fix: fn(&[Wanted], &Place) -> Fix,
}

/// Where this process runs.
#[derive(Clone, Debug)]
pub struct Place {
    pub platform: &'static Platform,
    /// The place in messages, such as `on Railway: project "x", service "y"`.
    pub description: String,
    /// The parts of the deployment (`service`, `replica`…), and their names.
    pub details: Vec<(&'static str, String)>,
}

impl Place {
    /// The name of a part, such as `service`. `None` if it contains control characters, because it becomes part of
    /// commands, which a line break would end.
    pub fn detail(&self, part: &str) -> Option<&str> {
        let (_, name) = self.details.iter().find(|(known, _)| *known == part)?;
        (!name.contains(char::is_control)).then_some(name)
    }

    /// The name of a part, or the gap `<part>` for the user to fill in.
    pub fn detail_or_gap(&self, part: &str) -> String {
        let name = self.detail(part).map(str::to_owned);
        name.unwrap_or_else(|| format!("<{part}>"))
    }

    /// The text with `{part}` replaced by the names of the parts of this deployment, as words of a shell command.
    pub fn filled(&self, text: &str) -> String {
        let part = Regex::new(r"\{([a-z]+)\}").expect("the pattern is well-formed");
        let name = |found: &Captures<'_>| match &found[1] {
            "workload" => kubernetes::workload(self),
            "secret" => kubernetes::secret(self),
            part => self.detail_or_gap(part),
        };
        let filled = part.replace_all(text, |found: &Captures<'_>| quoted(&name(found)));
        filled.into_owned()
    }

    /// Whether the platform is this one.
    pub fn is_on(&self, platform: &Platform) -> bool {
        self.platform.code == platform.code
    }
}

/// All platforms. Kubernetes comes last, because other platforms run on it.
const PLATFORMS: [&Platform; 7] = [
    &RAILWAY,
    &fly::FLY,
    &render::RENDER,
    &HEROKU,
    &cloud_run::CLOUD_RUN,
    &ecs::ECS,
    &kubernetes::KUBERNETES,
];

/// Names that images, shells, runtimes and several platforms set. A `*` at the end of a name matches any text.
const INJECTED: &str = "_ ALL_PROXY all_proxy CI COLORTERM CONTAINER container DEBIAN_FRONTEND EDITOR GPG_KEY HOME \
    HOSTNAME HTTPS_PROXY HTTP_PROXY http_proxy https_proxy INVOCATION_ID JOURNAL_STREAM LANG LANGUAGE LC_* LOGNAME \
    MAIL NODE_VERSION NO_COLOR NO_PROXY no_proxy OLDPWD PATH PORT PWD PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED \
    PYTHON_PIP_VERSION PYTHON_SETUPTOOLS_VERSION PYTHON_SHA256 PYTHON_VERSION SHELL SHLVL STARTUP_GUARD_* TERM \
    TMPDIR TZ USER WEB_CONCURRENCY YARN_VERSION";

/// Whether a platform, an image, a shell or a runtime sets this name. If only such names are set, nobody has configured
/// the service.
pub fn is_injected(name: &str) -> bool {
    let is_known = |known: &str| match known.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == known,
    };
    let lists = PLATFORMS.iter().map(|platform| platform.injected);
    let mut names = lists.chain([INJECTED]).flat_map(|list| list.split(' '));
    names.any(is_known) || is_service_link(name)
}

/// The place where this process runs; `None` if no platform is recognised.
pub fn detect(environment: &Environment) -> Option<Place> {
    let is_set = |name: &str| environment.text(name).is_some();
    let mut platforms = PLATFORMS.into_iter();
    let platform = platforms.find(|platform| platform.marks.split(' ').any(is_set))?;
    let named = |pair: &'static str| {
        let (part, name) = pair.split_once('=')?;
        Some((part, environment.text(name)?.to_owned()))
    };
    let mut lists = platform.parts.split("; ").map(|list| list.split(", "));
    let mut details: Vec<_> = lists.next()?.filter_map(named).collect();
    let shown = details.iter();
    let shown = shown.map(|(part, name)| format!("{part} \"{}\"", name.escape_debug()));
    let shown: Vec<String> = shown.collect();
    let colon = if shown.is_empty() { "" } else { ": " };
    let description = format!("on {}{colon}{}", platform.name, shown.join(", "));
    details.extend(lists.flatten().filter_map(named));
    Some(Place {
        platform,
        description,
        details,
    })
}

#[cfg(test)]
mod tests {
    use super::{Environment, detect, is_injected};

    fn place(entries: &[(&str, &str)]) -> Option<(&'static str, String)> {
        let entries = entries
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        detect(&Environment::from_entries(entries))
            .map(|place| (place.platform.code, place.description))
    }

    #[test]
    fn a_platform_is_recognised_by_the_variables_that_it_injects() {
        let railway = [
            ("RAILWAY_PROJECT_NAME", "intowork"),
            ("RAILWAY_SERVICE_NAME", "Postgres-aBcD"),
            ("RAILWAY_ENVIRONMENT_NAME", "production"),
        ];
        let told = "on Railway: project \"intowork\", service \"Postgres-aBcD\", environment \"production\"";
        assert_eq!(place(&railway), Some(("railway", told.to_owned())));
        assert_eq!(
            place(&[("DYNO", "web.1")]),
            Some(("heroku", "on Heroku: dyno \"web.1\"".to_owned()))
        );
        let fly_on_kubernetes = [
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("FLY_APP_NAME", "api"),
        ];
        assert_eq!(
            place(&fly_on_kubernetes),
            Some(("fly", "on Fly: app \"api\"".to_owned()))
        );
        assert_eq!(place(&[("PORT", "8000")]), None);
        assert_eq!(place(&[("RENDER", "")]), None);
    }

    #[test]
    fn injected_names_are_recognised() {
        for name in [
            "PORT",
            "RAILWAY_SERVICE_NAME",
            "REDIS_PORT_6379_TCP_ADDR",
            "DB_SERVICE_HOST",
            "LC_ALL",
            "_",
            "K_SERVICE",
            "AWS_EXECUTION_ENV",
        ] {
            assert!(is_injected(name), "{name}");
        }
        for name in [
            "DATABASE_URL",
            "PGHOST",
            "PORTS",
            "RENDERER",
            "SMTP_PORT",
            "_X",
            "*",
            "",
        ] {
            assert!(!is_injected(name), "{name}");
        }
    }
}
