//! Causes that are about where variables are set: on another service, in a build, or in another environment.

use std::collections::HashSet;
use std::iter::once;

use regex_lite::Regex;

use super::{Facts, Grounds, about, grounds};
use crate::manifest::{Scope, Variable};
use crate::platform::{KUBERNETES, RAILWAY, service_of};
use crate::report::{Code, Finding};
use crate::rule::Type;
use crate::text::names;

/// How many variables must be missing for the cause that they are set elsewhere. A single one may just be forgotten.
const MIN_MISSING: usize = 2;

/// Missing variables are in a `.env` in the working directory.
pub fn dotenv_not_read<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let missing = facts.missing_where(|each| facts.beside(&each.name).is_some());
    let is_all = missing.len() == facts.missing.len() && missing.len() > 1;
    let whose = if is_all { "all of them" } else { "{}" };
    let text = format!(
        "`.env` in the working directory sets {whose}, but this process does not have {{it|them}}: a program only reads that file if it is told to, and compose uses it for the references in its own file."
    );
    grounds(missing, &text)
}

/// None of the declared variables is set.
pub fn set_elsewhere<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let missing = facts.missing_where(|_| true);
    let is_explained = missing.len() < facts.missing.len() || set_database(facts).is_some();
    if missing.len() < MIN_MISSING || facts.is_any_set() || is_explained {
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
    let declared = facts.checked().count();
    let whose = match facts.circumstances.scope {
        Scope::Process(process) => format!("variables of the process {process}"),
        _ => "declared variables".to_owned(),
    };
    let text = format!("none of the {declared} {whose} is set. {elsewhere}");
    Some((missing, text))
}

/// Only variables of other processes are set.
pub fn other_process<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let Scope::Process(process) = facts.circumstances.scope else {
        return None;
    };
    let is_own = |each: &&Variable| !each.processes.is_empty() && facts.counts(each);
    let missing = facts.missing_where(|each| is_own(&each));
    let others = facts.manifest.variables.iter();
    let others = others.filter(|each| !facts.counts(each) && facts.is_set_by_hand(once(*each)));
    let set: Vec<&str> = others.clone().map(|each| each.name.as_str()).collect();
    let mut whose: Vec<&String> = others.flat_map(|each| &each.processes).collect();
    whose.sort();
    whose.dedup();
    let is_one_set = facts.is_set_by_hand(facts.checked().filter(is_own));
    if missing.len() < MIN_MISSING || set.is_empty() || is_one_set {
        return None;
    }
    let text = format!(
        "nothing is set that only the process {process} has, but {}: these are probably the variables for {}. Choose the process with `--process` or STARTUP_GUARD_PROCESS.",
        about(&set, "{} {is|are}"),
        names(&whose)
    );
    Some((missing, text))
}

/// A kind of database, and the variables that its own service has but the service of an application does not.
pub struct Database {
    name: &'static str,
    /// Prefixes of the schemes of its URLs.
    schemes: &'static [&'static str],
    /// The variables that configure its server image and, after the semicolon, those that its clients use.
    variables: &'static str,
    /// The name of the service in Railway's template, and its variable with the URL.
    pub on_railway: (&'static str, &'static str),
    /// A value of that variable, made up.
    pub sample: &'static str,
    /// References to its parts, with `S` for the service, if other schemes than that of the URL reach the same server.
    pub parts: &'static str,
}

const DATABASES: [Database; 4] = [
    Database {
        name: "PostgreSQL",
        schemes: &["postgres"],
        variables: "PGDATA POSTGRES_PASSWORD; PGHOST PGUSER PGPASSWORD PGDATABASE POSTGRES_HOST POSTGRES_URL POSTGRESQL_URL DATABASE_PUBLIC_URL DATABASE_PRIVATE_URL",
        on_railway: ("Postgres", "DATABASE_URL"),
        sample: "postgresql://postgres:Tq4xk2Wd9mZ7@postgres.railway.internal:5432/railway",
        parts: "${{S.PGUSER}}:${{S.PGPASSWORD}}@${{S.PGHOST}}:${{S.PGPORT}}/${{S.PGDATABASE}}",
    },
    Database {
        name: "MySQL",
        schemes: &["mysql", "mariadb"],
        variables: "MYSQL_ROOT_PASSWORD MARIADB_ROOT_PASSWORD; MYSQLHOST MYSQLUSER MYSQLPASSWORD MYSQL_HOST MYSQL_URL",
        on_railway: ("MySQL", "MYSQL_URL"),
        sample: "mysql://root:Tq4xk2Wd9mZ7@mysql.railway.internal:3306/railway",
        parts: "${{S.MYSQLUSER}}:${{S.MYSQLPASSWORD}}@${{S.MYSQLHOST}}:${{S.MYSQLPORT}}/${{S.MYSQLDATABASE}}",
    },
    Database {
        name: "Redis",
        schemes: &["redis"],
        variables: "REDIS_PASSWORD; REDISHOST REDISUSER REDISPASSWORD REDIS_HOST REDIS_PRIVATE_URL",
        on_railway: ("Redis", "REDIS_URL"),
        sample: "redis://default:Tq4xk2Wd9mZ7@redis.railway.internal:6379",
        parts: "",
    },
    Database {
        name: "MongoDB",
        schemes: &["mongodb"],
        variables: "MONGO_INITDB_ROOT_USERNAME MONGO_INITDB_ROOT_PASSWORD; MONGOHOST MONGOUSER MONGOPASSWORD MONGO_HOST MONGO_URL",
        on_railway: ("MongoDB", "MONGO_URL"),
        sample: "mongodb://mongo:Tq4xk2Wd9mZ7@mongodb.railway.internal:27017",
        parts: "",
    },
];

impl Database {
    /// The database whose URL a variable holds, according to its `schemes` in the manifest.
    pub fn of(variable: &Variable) -> Option<&'static Self> {
        DATABASES.iter().find(|database| database.is_url(variable))
    }

    /// The value that a variable must have to get the URL of this service on Railway: a reference to the URL, or one to
    /// each of its parts. `None` if the check would reject the result.
    pub fn referred(&self, service: &str, variable: &Variable) -> Option<String> {
        let (own, rest) = self.sample.split_once("://")?;
        let is_admitted = |scheme: &str| variable.admits(&format!("{scheme}://{rest}"));
        if is_admitted(own) {
            let (_, url) = self.on_railway;
            return Some(format!("${{{{{service}.{url}}}}}"));
        }
        let is_same = |scheme: &str| scheme.starts_with(self.schemes[0]) && !self.parts.is_empty();
        let mut schemes = variable.rule.schemes.iter();
        let scheme = schemes.find(|scheme| is_same(scheme) && is_admitted(scheme))?;
        let parts = self.parts.replace("{{S.", &format!("{{{{{service}."));
        Some(format!("{scheme}://{parts}"))
    }

    fn is_url(&self, variable: &Variable) -> bool {
        let is_known = |scheme: &String| self.schemes.iter().any(|known| scheme.starts_with(known));
        variable.rule.value_type == Type::Url && variable.rule.schemes.iter().any(is_known)
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
        let names = database.variables.split([';', ' ']);
        let set: Vec<&str> = names.filter(is_set).collect();
        let missing = facts.missing.iter();
        let urls = missing.filter(|variable| database.is_url(variable));
        let urls: Vec<&str> = urls.map(|variable| variable.name.as_str()).collect();
        (!set.is_empty() && !urls.is_empty()).then_some((database, set, urls))
    })
}

/// Whether this is probably the service of a database itself, so that no variable of the application belongs here.
pub fn is_service_of_database(facts: &Facts<'_>) -> bool {
    let is_own = set_database(facts).is_some_and(|(database, set, _)| {
        let (of_server, _) = database.variables.split_once("; ").unwrap_or_default();
        of_server.split(' ').any(|name| set.contains(&name))
    });
    // Elsewhere a container can get the variables of both from one env file.
    is_own && facts.circumstances.place.is_some() && !facts.is_any_set()
}

/// Variables of a database are set, but not the URL that the application needs.
pub fn database_service<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let (database, set, mut urls) = set_database(facts)?;
    urls.retain(|name| !facts.explained.contains_key(name));
    let are_set = about(&set, "{} {is|are} set here");
    let text = if is_service_of_database(facts) {
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
    (!urls.is_empty()).then_some((urls, text))
}

/// Kubernetes or a Docker link has set a variable that the application uses for its own port.
pub fn service_link<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let service = |name: &str| service_of(name, facts.environment);
    let wrong: HashSet<&str> = facts.errors().filter_map(Finding::variable).collect();
    let variables = facts
        .set_where(|_, each| wrong.contains(each.name.as_str()) && service(&each.name).is_some());
    let services = variables.iter().filter_map(|name| service(name));
    let mut services: Vec<String> = services.map(|name| format!("`{name}`")).collect();
    services.dedup();
    let (services, set) = (names(&services), about(&variables, "{it|them}"));
    let reason = if facts.is_on(&KUBERNETES) {
        format!(
            "Kubernetes sets {set} in each pod for the Service {services}. Write `enableServiceLinks: false` in the pod's `spec`, or set {set} for the container, which takes precedence."
        )
    } else {
        format!(
            "a link to the container {services} sets {set}. Set {set} for this container as well, which takes precedence, or rename the link."
        )
    };
    let sentence = format!("{{}} {{holds|hold}} the address of another service: {reason}");
    grounds(variables, &sentence)
}

/// On Kubernetes a value ends with a line break.
pub fn encoded_line_break<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let is_on = facts.is_on(&KUBERNETES);
    let ends = facts.found_where(Code::WhiteSpace, |value, _| is_on && value.ends_with('\n'));
    let sentence = "{} {ends|end} with a line break, probably because the Secret was created with `echo … | base64`. Encode the value with `echo -n`, or use `stringData` or `kubectl create secret --from-literal`, which encode it.";
    grounds(ends, sentence)
}

/// On Railway, only secrets are missing, probably because sealed variables are left out.
pub fn sealed_or_staged<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let missing = facts.missing_where(|_| true);
    let place = facts.circumstances.place.filter(|_| !missing.is_empty())?;
    let is_unset_secret =
        |name: &&str| facts.declared[name].secret && facts.environment.get(name).is_none();
    // If another declared variable is set, this is the right service.
    if !place.is_on(&RAILWAY) || !facts.is_any_set() || !missing.iter().all(is_unset_secret) {
        return None;
    }
    // Railway creates the environment of a pull request, such as `pr-12` or `backend-pr-12`.
    let preview = Regex::new("(?i)(^|[-_ ])pr-[0-9]+$").expect("the pattern is well-formed");
    let environment = place.detail("environment").unwrap_or_default();
    let reason = if facts.circumstances.only_file.is_some() {
        "`railway variables` does not print sealed variables, so they may be set on the service."
    } else if preview.is_match(environment) {
        "Railway does not copy sealed variables into pull-request and duplicated environments: set them in this one as well."
    } else {
        return None;
    };
    let text = format!("only secrets are missing: {}. {reason}", names(&missing));
    Some((missing, text))
}

/// A variable is set under a name that only the build of a front end reads.
pub fn set_at_build<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    const PREFIXES: &str = "NEXT_PUBLIC_ NUXT_PUBLIC_ REACT_APP_ VITE_ PUBLIC_";
    let (mut variables, mut told) = (Vec::new(), Vec::new());
    for name in facts.missing_where(|_| true) {
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
