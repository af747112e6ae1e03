//! Causes that lie in where variables are set: on another service, for a build, or where nobody copies them.

use std::collections::HashSet;

use super::near::Near;
use super::{Cause, CauseCode, Facts};
use crate::manifest::Variable;
use crate::platform::Platform;
use crate::rule::Type;
use crate::text::{are, names};

/// Nothing that a person would set is set: with so many missing that it is no oversight.
const MIN_MISSING: usize = 2;

/// No declared variable is set at all.
pub fn set_elsewhere(facts: &Facts<'_>, near: &Near<'_>) -> Option<Cause> {
    let is_database = database(facts).is_some_and(|database| database.is_its_own_service);
    if facts.missing.len() < MIN_MISSING || facts.is_any_set || !near.is_empty() || is_database {
        return None;
    }
    let declared = facts.manifest.variables.len();
    let text = format!(
        "none of the {declared} declared variables is set. {}",
        where_else(facts)
    );
    Some(Cause {
        code: CauseCode::SetElsewhere,
        is_certain: false,
        variables: names_of(facts.missing()),
        text,
    })
}

fn where_else(facts: &Facts<'_>) -> String {
    if facts.circumstances.only_file.is_some() && facts.circumstances.place.is_none() {
        return "This is probably the file of another service.".to_owned();
    }
    let platform = facts.circumstances.place.map(|place| place.platform);
    let told = match platform {
        Some(Platform::Railway) => {
            "On Railway each belongs to one service: probably set on another (the database's?), another project or environment, or only staged."
        }
        Some(Platform::Kubernetes) => {
            "They are probably set on another container or workload, or in a ConfigMap or Secret that neither `env` nor `envFrom` of this container names."
        }
        Some(Platform::Fly) => {
            "On Fly secrets belong to one app: these were probably set on another app, or are staged and not deployed yet."
        }
        Some(Platform::Render) => {
            "On Render variables belong to one service, and an environment group must be linked to it: these were probably set on another service, or their group is not linked."
        }
        Some(Platform::Heroku) => {
            "On Heroku config vars belong to one app: these were probably set on another one."
        }
        Some(Platform::CloudRun) => {
            "On Cloud Run variables belong to one service and its next revision: these were probably set on another service or in another region."
        }
        Some(Platform::Ecs) => {
            "On ECS variables belong to one container of one task definition: these are probably in another one, or in an older revision."
        }
        None => {
            "They are probably in a file or a shell that this process does not get: compose needs `env_file` or `environment` for it, docker run `--env-file`."
        }
    };
    told.to_owned()
}

/// The variables of a kind of database that its own service has, and an application's service has not.
struct Kind {
    name: &'static str,
    /// Schemes of its URLs begin so.
    schemes: &'static [&'static str],
    /// Set by the database's image for itself.
    of_server: &'static [&'static str],
    /// Given to whoever connects, in parts or whole.
    of_client: &'static [&'static str],
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "PostgreSQL",
        schemes: &["postgres"],
        of_server: &["PGDATA", "POSTGRES_PASSWORD"],
        of_client: &[
            "PGHOST",
            "PGUSER",
            "PGPASSWORD",
            "PGDATABASE",
            "POSTGRES_HOST",
            "POSTGRES_URL",
            "POSTGRESQL_URL",
            "DATABASE_PUBLIC_URL",
            "DATABASE_PRIVATE_URL",
        ],
    },
    Kind {
        name: "MySQL",
        schemes: &["mysql", "mariadb"],
        of_server: &["MYSQL_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD"],
        of_client: &[
            "MYSQLHOST",
            "MYSQLUSER",
            "MYSQLPASSWORD",
            "MYSQL_HOST",
            "MYSQL_URL",
        ],
    },
    Kind {
        name: "Redis",
        schemes: &["redis"],
        of_server: &["REDIS_PASSWORD"],
        of_client: &[
            "REDISHOST",
            "REDISUSER",
            "REDISPASSWORD",
            "REDIS_HOST",
            "REDIS_PRIVATE_URL",
        ],
    },
    Kind {
        name: "MongoDB",
        schemes: &["mongodb"],
        of_server: &["MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD"],
        of_client: &[
            "MONGOHOST",
            "MONGOUSER",
            "MONGOPASSWORD",
            "MONGO_HOST",
            "MONGO_URL",
        ],
    },
];

struct Database<'a> {
    kind: &'static Kind,
    /// The missing variables that would hold its URL.
    urls: Vec<&'a Variable>,
    /// Which of its own are set.
    set: Vec<&'static str>,
    is_its_own_service: bool,
}

/// The database whose own variables are set while the application's URL is missing.
fn database<'a>(facts: &Facts<'a>) -> Option<Database<'a>> {
    KINDS.iter().find_map(|kind| {
        // What the manifest declares is the application's.
        let is_set = |name: &&&str| {
            facts.environment.text(name).is_some() && !facts.declared.contains_key(**name)
        };
        let of_server: Vec<&str> = kind.of_server.iter().filter(is_set).copied().collect();
        let of_client = kind.of_client.iter().filter(is_set).copied();
        let is_its_own_service = !of_server.is_empty() && !facts.is_any_set;
        let set: Vec<&str> = of_server.into_iter().chain(of_client).collect();
        let urls: Vec<&Variable> = facts
            .missing()
            .filter(|variable| holds_url_of(variable, kind))
            .collect();
        (!set.is_empty() && !urls.is_empty()).then_some(Database {
            kind,
            urls,
            set,
            is_its_own_service,
        })
    })
}

fn holds_url_of(variable: &Variable, kind: &Kind) -> bool {
    let begins = |scheme: &String| kind.schemes.iter().any(|known| scheme.starts_with(known));
    variable.rule.value_type == Type::Url && variable.rule.schemes.iter().any(begins)
}

/// The database's own variables are here, and the application's are not.
pub fn database_service(facts: &Facts<'_>) -> Option<Cause> {
    let database = database(facts)?;
    let (kind, set) = (database.kind.name, names(&database.set));
    let urls: Vec<&str> = database
        .urls
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    let text = if database.is_its_own_service {
        format!(
            "{set} {} set here, and none of the declared variables is: this looks like the service of {kind} itself, not of the application. Deploy the application as a service of its own, and set its variables there.",
            are(database.set.len())
        )
    } else {
        let refer = match facts.circumstances.place.map(|place| place.platform) {
            Some(Platform::Railway) => "On this service, refer to the database's URL",
            _ => "Set it to the database's URL",
        };
        format!(
            "{set} {} set here, but not {}, which nobody makes from them. {refer}.",
            are(database.set.len()),
            names(&urls)
        )
    };
    Some(Cause {
        code: CauseCode::DatabaseService,
        is_certain: false,
        variables: urls.into_iter().map(str::to_owned).collect(),
        text,
    })
}

/// Secrets alone are missing where sealed ones do not come along.
pub fn sealed_or_staged(facts: &Facts<'_>, causes: &[Cause]) -> Option<Cause> {
    let place = facts
        .circumstances
        .place
        .filter(|place| place.platform == Platform::Railway)?;
    let unexplained = unexplained(facts, causes);
    // What is set proves that this is the right service; what is missing must be what can be sealed.
    let is_ground = !unexplained.is_empty()
        && facts.is_any_set
        && unexplained.iter().all(|variable| variable.secret)
        && unexplained
            .iter()
            .all(|variable| facts.environment.get(&variable.name).is_none());
    if !is_ground {
        return None;
    }
    let missing = names_of(unexplained.iter().copied());
    let text = if facts.circumstances.only_file.is_some() {
        format!(
            "only secrets are missing: {}. Sealed variables are not in what `railway variables` prints, so they may well be set on the service.",
            names(&missing)
        )
    } else if place.detail("environment").is_some_and(is_preview) {
        format!(
            "only secrets are missing: {}. Railway does not copy sealed variables into pull-request and duplicated environments: set them here, too.",
            names(&missing)
        )
    } else {
        return None;
    };
    Some(Cause {
        code: CauseCode::SealedOrStaged,
        is_certain: false,
        variables: missing,
        text,
    })
}

/// `pr-12`, `backend-pr-12`: what Railway calls the environment of a pull request.
fn is_preview(environment: &str) -> bool {
    let name = environment.to_ascii_lowercase();
    let Some((before, number)) = name.rsplit_once("pr-") else {
        return false;
    };
    (before.is_empty() || before.ends_with(['-', '_', ' ']))
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Prefixes that a front end's build replaces in its code; at run time nobody reads them.
const BUILD_PREFIXES: [&str; 5] = [
    "NEXT_PUBLIC_",
    "NUXT_PUBLIC_",
    "REACT_APP_",
    "VITE_",
    "PUBLIC_",
];

/// A variable that was set for a build.
pub fn set_at_build(facts: &Facts<'_>, causes: &[Cause]) -> Option<Cause> {
    let pairs: Vec<(&str, String)> = unexplained(facts, causes)
        .into_iter()
        .filter_map(|variable| {
            let name = variable.name.as_str();
            let under_prefix = BUILD_PREFIXES
                .iter()
                .map(|prefix| format!("{prefix}{name}"));
            let set = under_prefix
                .into_iter()
                .find(|other| facts.environment.text(other).is_some())?;
            Some((name, set))
        })
        .filter(|(_, other)| !facts.declared.contains_key(other.as_str()))
        .collect();
    if pairs.is_empty() {
        return None;
    }
    let told: Vec<String> = pairs
        .iter()
        .map(|(name, set)| format!("{set} is set, and {name} is not"))
        .collect();
    Some(Cause {
        code: CauseCode::SetAtBuild,
        is_certain: false,
        variables: pairs.iter().map(|(name, _)| (*name).to_owned()).collect(),
        text: format!(
            "{}. Names with such a prefix are for the build of a front end; a server reads the name without it. Set it, too.",
            names(&told)
        ),
    })
}

/// The missing variables that no cause explains yet.
fn unexplained<'a>(facts: &Facts<'a>, causes: &[Cause]) -> Vec<&'a Variable> {
    let variables = causes.iter().flat_map(|cause| &cause.variables);
    let explained: HashSet<&str> = variables.map(String::as_str).collect();
    facts
        .missing()
        .filter(|variable| !explained.contains(variable.name.as_str()))
        .collect()
}

fn names_of<'a>(variables: impl Iterator<Item = &'a Variable>) -> Vec<String> {
    variables.map(|variable| variable.name.clone()).collect()
}
