//! Composes the URL of a `PostgreSQL` database of the variables that hold its parts.

use super::draft::{Draft, Group};

/// The name of the variable that is composed.
pub const NAME: &str = "DATABASE_URL";

/// How the names of the parts begin, and whether the database is certainly `PostgreSQL`.
const PREFIXES: [(&str, bool); 5] = [
    ("POSTGRES_", true),
    ("POSTGRESQL_", true),
    ("PG", true),
    ("DB_", false),
    ("DATABASE_", false),
];

/// How the names of the parts end, separated by spaces.
const USER: &str = "USER USERNAME";
const PASSWORD: &str = "PASSWORD PASS";
const HOST: &str = "HOST SERVER HOSTNAME";
const PORT: &str = "PORT";
const DATABASE: &str = "DB DATABASE NAME DBNAME";

/// The template of the URL. `None` unless the code reads every part but the port, and has a known default for the parts
/// that it does not require.
pub fn url(variables: &[Draft], only_postgres: bool) -> Option<String> {
    let is_known = |draft: &Draft| draft.is_postgres || draft.name == NAME;
    if !cfg!(feature = "postgres") || variables.iter().any(is_known) {
        return None;
    }
    let prefixes = PREFIXES.iter();
    let mut prefixes = prefixes.filter(|(_, is_certain)| *is_certain || only_postgres);
    prefixes.find_map(|(prefix, _)| {
        let find = |ends: &str| {
            let mut ends = ends.split(' ');
            ends.find_map(|end| {
                let mut variables = variables.iter();
                variables.find(|draft| draft.name.strip_prefix(prefix) == Some(end))
            })
        };
        let part = |ends| find(ends).and_then(reference);
        let port = find(PORT).map(|port| {
            let known = reference(port);
            known.unwrap_or_else(|| format!("${{{}:-5432}}", port.name))
        });
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let (user, password) = (part(USER)?, part(PASSWORD)?);
        let (host, database) = (part(HOST)?, part(DATABASE)?);
        Some(format!(
            "postgresql://{user}:{password}@{host}{port}/{database}"
        ))
    })
}

fn reference(draft: &Draft) -> Option<String> {
    let name = &draft.name;
    match (draft.group, &draft.fallback) {
        (Group::Required, _) => Some(format!("${{{name}}}")),
        (Group::Optional, Some(fallback)) => Some(format!("${{{name}:-{fallback}}}")),
        _ => None,
    }
}
