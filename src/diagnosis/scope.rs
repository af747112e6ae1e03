//! Causes that lie in where variables are set: on another service, for a build, or where nobody copies them.

use super::facts::{Facts, Grounds, about, names_of};
use crate::manifest::Variable;
use crate::platform::RAILWAY;
use crate::rule::Type;
use crate::text::names;

/// None of the declared variables is set.
pub fn set_elsewhere<'a>(facts: &Facts<'a>) -> Option<Grounds<'a>> {
    // One missing variable may be an oversight.
    const MIN_MISSING: usize = 2;
    let is_explained = !facts.other_names.is_empty()
        || set_database(facts).is_some_and(|database| database.is_own_service);
    if facts.missing.len() < MIN_MISSING || facts.is_any_set || is_explained {
        return None;
    }
    let elsewhere = match facts.circumstances.place {
        Some(place) => place.platform.elsewhere,
        None if facts.circumstances.only_file.is_some() => {
            "This is probably the file of another service."
        }
        None => {
            "They are probably in a file or a shell that this process does not get: compose needs `env_file` or `environment` for it, docker run `--env-file`."
        }
    };
    let declared = facts.manifest.variables.len();
    let text = format!("none of the {declared} declared variables is set. {elsewhere}");
    Grounds::of(names_of(facts.missing.iter().copied()), text)
}

/// A kind of database, and the variables that its own service has and an application's service has not.
pub struct Database {
    name: &'static str,
    /// The beginnings of its URLs' schemes.
    schemes: &'static [&'static str],
    /// The variables that its image needs, separated by spaces.
    of_server: &'static str,
    /// The variables that its clients get, separated by spaces.
    of_client: &'static str,
    /// The service that Railway's template makes, and its variable with the URL.
    pub on_railway: (&'static str, &'static str),
}

const DATABASES: [Database; 4] = [
    Database {
        name: "PostgreSQL",
        schemes: &["postgres"],
        of_server: "PGDATA POSTGRES_PASSWORD",
        of_client: "PGHOST PGUSER PGPASSWORD PGDATABASE POSTGRES_HOST POSTGRES_URL POSTGRESQL_URL DATABASE_PUBLIC_URL DATABASE_PRIVATE_URL",
        on_railway: ("Postgres", "DATABASE_URL"),
    },
    Database {
        name: "MySQL",
        schemes: &["mysql", "mariadb"],
        of_server: "MYSQL_ROOT_PASSWORD MARIADB_ROOT_PASSWORD",
        of_client: "MYSQLHOST MYSQLUSER MYSQLPASSWORD MYSQL_HOST MYSQL_URL",
        on_railway: ("MySQL", "MYSQL_URL"),
    },
    Database {
        name: "Redis",
        schemes: &["redis"],
        of_server: "REDIS_PASSWORD",
        of_client: "REDISHOST REDISUSER REDISPASSWORD REDIS_HOST REDIS_PRIVATE_URL",
        on_railway: ("Redis", "REDIS_URL"),
    },
    Database {
        name: "MongoDB",
        schemes: &["mongodb"],
        of_server: "MONGO_INITDB_ROOT_USERNAME MONGO_INITDB_ROOT_PASSWORD",
        of_client: "MONGOHOST MONGOUSER MONGOPASSWORD MONGO_HOST MONGO_URL",
        on_railway: ("MongoDB", "MONGO_URL"),
    },
];

impl Database {
    /// The database whose URL a variable holds, by the schemes that the manifest admits.
    pub fn of(variable: &Variable) -> Option<&'static Self> {
        DATABASES.iter().find(|database| database.is_url(variable))
    }

    fn is_url(&self, variable: &Variable) -> bool {
        let is_known = |scheme: &String| self.schemes.iter().any(|known| scheme.starts_with(known));
        variable.rule.value_type == Type::Url && variable.rule.schemes.iter().any(is_known)
    }
}

/// A database some of whose variables are set, while the application's URL of it is missing.
struct SetDatabase<'a> {
    name: &'static str,
    set: Vec<&'static str>,
    /// The missing variables.
    urls: Vec<&'a str>,
    /// Whether this is the service of the database itself.
    is_own_service: bool,
}

fn set_database<'a>(facts: &Facts<'a>) -> Option<SetDatabase<'a>> {
    DATABASES.iter().find_map(|database| {
        // A declared variable is the application's own.
        let is_set = |name: &&'static str| {
            facts.environment.text(name).is_some() && !facts.declared.contains_key(name)
        };
        let mut set: Vec<&str> = database.of_server.split(' ').filter(is_set).collect();
        let is_own_service = !set.is_empty() && !facts.is_any_set;
        set.extend(database.of_client.split(' ').filter(is_set));
        let missing = facts.missing.iter().copied();
        let urls = names_of(missing.filter(|variable| database.is_url(variable)));
        (!set.is_empty() && !urls.is_empty()).then_some(SetDatabase {
            name: database.name,
            set,
            urls,
            is_own_service,
        })
    })
}

/// The variables of a database are set, and the URL that the application needs is not.
pub fn database_service<'a>(facts: &Facts<'a>) -> Option<Grounds<'a>> {
    let database = set_database(facts)?;
    let set = about(&database.set, "{} {is|are} set here");
    let text = if database.is_own_service {
        format!(
            "{set}, and none of the declared variables is: this looks like the service of {} itself, not of the application. Deploy the application as a service of its own, and set its variables there.",
            database.name
        )
    } else {
        let urls = names(&database.urls);
        format!(
            "{set}, but not {urls}, which nobody makes from them. Set it to the database's URL."
        )
    };
    Grounds::of(database.urls, text)
}

/// On Railway only secrets are missing, and sealed variables may be left out here.
pub fn sealed_or_staged<'a>(facts: &Facts<'a>) -> Option<Grounds<'a>> {
    let place = facts
        .circumstances
        .place
        .filter(|place| place.is_on(&RAILWAY))?;
    let is_unset_secret =
        |variable: &Variable| variable.secret && facts.environment.get(&variable.name).is_none();
    // Another variable that is set proves that this is the right service.
    if !facts.is_any_set || !facts.unexplained().all(is_unset_secret) {
        return None;
    }
    let reason = if facts.circumstances.only_file.is_some() {
        "Sealed variables are not in what `railway variables` prints, so they may well be set on the service."
    } else if place.detail("environment").is_some_and(is_preview) {
        "Railway does not copy sealed variables into pull-request and duplicated environments: set them here, too."
    } else {
        return None;
    };
    let missing = names_of(facts.unexplained());
    let text = format!("only secrets are missing: {}. {reason}", names(&missing));
    Grounds::of(missing, text)
}

/// Whether Railway made the environment for a pull request: `pr-12`, `backend-pr-12`.
fn is_preview(environment: &str) -> bool {
    let name = environment.to_ascii_lowercase();
    let (before, number) = name.rsplit_once("pr-").unwrap_or_default();
    (before.is_empty() || before.ends_with(['-', '_', ' ']))
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// A variable is set under the name that only the build of a front end reads.
pub fn set_at_build<'a>(facts: &Facts<'a>) -> Option<Grounds<'a>> {
    const PREFIXES: &str = "NEXT_PUBLIC_ NUXT_PUBLIC_ REACT_APP_ VITE_ PUBLIC_";
    let (mut variables, mut told) = (Vec::new(), Vec::new());
    for name in names_of(facts.unexplained()) {
        let mut prefixed = PREFIXES.split(' ').map(|prefix| format!("{prefix}{name}"));
        let set = prefixed.find(|other| facts.environment.text(other).is_some());
        if let Some(set) = set.filter(|other| !facts.declared.contains_key(other.as_str())) {
            variables.push(name);
            told.push(format!("{set} is set, and {name} is not"));
        }
    }
    let text = format!(
        "{}. Names with such a prefix are for the build of a front end; a server reads the name without it. Set it, too.",
        names(&told)
    );
    Grounds::of(variables, text)
}
