//! Causes that are about where variables are set: on another service, in a build, or in another environment.

use regex_lite::Regex;

use super::{Facts, Grounds, about};
use crate::manifest::Variable;
use crate::platform::RAILWAY;
use crate::rule::Type;
use crate::text::names;

/// None of the declared variables is set.
pub fn set_elsewhere<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    // A single missing variable may just be forgotten.
    const MIN_MISSING: usize = 2;
    let is_explained = !facts.other_names.is_empty()
        || set_database(facts).is_some_and(|(database, set, _)| database.is_own(&set));
    if facts.missing.len() < MIN_MISSING || facts.is_any_set() || is_explained {
        return None;
    }
    let elsewhere = match facts.circumstances.place {
        Some(place) => place.platform.elsewhere,
        None if facts.circumstances.only_file.is_some() => {
            "This is probably the file of another service."
        }
        None => {
            "They are probably in a file or a shell whose variables are not passed to this container: use `env_file` or `environment` in compose, or `--env-file` with docker run."
        }
    };
    let declared = facts.manifest.variables.len();
    let text = format!("none of the {declared} declared variables is set. {elsewhere}");
    Some((facts.missing_where(|_| true), text))
}

/// A kind of database, and the variables that its own service has but the service of an application does not.
pub struct Database {
    name: &'static str,
    /// Prefixes of the schemes of its URLs.
    schemes: &'static [&'static str],
    /// The variables that configure its server image, separated by spaces.
    of_server: &'static str,
    /// The variables that its clients use, separated by spaces.
    of_client: &'static str,
    /// The name of the service in Railway's template, and its variable with the URL.
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
    /// The database whose URL a variable holds, according to its `schemes` in the manifest.
    pub fn of(variable: &Variable) -> Option<&'static Self> {
        DATABASES.iter().find(|database| database.is_url(variable))
    }

    fn is_url(&self, variable: &Variable) -> bool {
        let is_known = |scheme: &String| self.schemes.iter().any(|known| scheme.starts_with(known));
        variable.rule.value_type == Type::Url && variable.rule.schemes.iter().any(is_known)
    }

    /// Whether any of these variables configures the database's server.
    fn is_own(&self, set: &[&str]) -> bool {
        self.of_server.split(' ').any(|name| set.contains(&name))
    }
}

/// A database, those of its variables that are set, and the missing variables that should hold its URL.
type SetDatabase<'a> = (&'static Database, Vec<&'static str>, Vec<&'a str>);

fn set_database<'a>(facts: &Facts<'a>) -> Option<SetDatabase<'a>> {
    // A declared variable belongs to the application.
    let is_set = |name: &&'static str| {
        facts.environment.text(name).is_some() && !facts.declared.contains_key(name)
    };
    DATABASES.iter().find_map(|database| {
        let names = [database.of_server, database.of_client];
        let names = names.into_iter().flat_map(|list| list.split(' '));
        let set: Vec<&str> = names.filter(is_set).collect();
        let urls = facts.missing_where(|variable| database.is_url(variable));
        (!set.is_empty() && !urls.is_empty()).then_some((database, set, urls))
    })
}

/// Variables of a database are set, but not the URL that the application needs.
pub fn database_service<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let (database, set, urls) = set_database(facts)?;
    let are_set = about(&set, "{} {is|are} set here");
    let text = if database.is_own(&set) && !facts.is_any_set() {
        format!(
            "{are_set}, and none of the declared variables is: this is probably the service of {} itself, not of the application. Deploy the application as a separate service, and set its variables there.",
            database.name
        )
    } else {
        let missing = names(&urls);
        format!(
            "{are_set}, but not {missing}, which is not derived from them. Set it to the database's URL."
        )
    };
    Some((urls, text))
}

/// On Railway, only secrets are missing, probably because sealed variables are left out.
pub fn sealed_or_staged<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let missing = facts.unexplained();
    let place = facts.circumstances.place.filter(|_| !missing.is_empty())?;
    let is_unset_secret =
        |name: &&str| facts.declared[name].secret && facts.environment.get(name).is_none();
    // If another declared variable is set, this is the right service.
    if !place.is_on(&RAILWAY) || !facts.is_any_set() || !missing.iter().all(is_unset_secret) {
        return None;
    }
    let reason = if facts.circumstances.only_file.is_some() {
        "`railway variables` does not print sealed variables, so they may be set on the service."
    } else if place.detail("environment").is_some_and(is_preview) {
        "Railway does not copy sealed variables into pull-request and duplicated environments: set them in this one as well."
    } else {
        return None;
    };
    let text = format!("only secrets are missing: {}. {reason}", names(&missing));
    Some((missing, text))
}

/// Whether Railway created the environment for a pull request, such as `pr-12` or `backend-pr-12`.
fn is_preview(environment: &str) -> bool {
    let pattern = Regex::new("(?i)(^|[-_ ])pr-[0-9]+$").expect("the pattern is well-formed");
    pattern.is_match(environment)
}

/// A variable is set under a name that only the build of a front end reads.
pub fn set_at_build<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    const PREFIXES: &str = "NEXT_PUBLIC_ NUXT_PUBLIC_ REACT_APP_ VITE_ PUBLIC_";
    let (mut variables, mut told) = (Vec::new(), Vec::new());
    for name in facts.unexplained() {
        let mut prefixed = PREFIXES.split(' ').map(|prefix| format!("{prefix}{name}"));
        let set = prefixed.find(|other| facts.environment.text(other).is_some());
        if let Some(set) = set.filter(|other| !facts.declared.contains_key(other.as_str())) {
            variables.push(name);
            told.push(format!("{set} is set, and {name} is not"));
        }
    }
    let text = format!(
        "{}. Names with such a prefix are read by the build of a front end; a server reads the name without the prefix. Set that name as well.",
        names(&told)
    );
    (!variables.is_empty()).then_some((variables, text))
}
