//! Names that come from somewhere else than the people who deploy a service.

/// Prefixes of the variables that platforms inject. A name of its own ends with no underscore.
const PREFIXES: [&str; 11] = [
    "RAILWAY_",
    "NIXPACKS_",
    "RAILPACK_",
    "KUBERNETES_",
    "FLY_",
    "RENDER_",
    "HEROKU_",
    "ECS_",
    "AWS_EXECUTION_",
    "AWS_CONTAINER_",
    "STARTUP_GUARD_",
];

/// Whole names that platforms, images, shells and runtimes set.
const NAMES: [&str; 47] = [
    "_",
    "CI",
    "CLOUD_RUN_JOB",
    "COLORTERM",
    "CONTAINER",
    "container",
    "DEBIAN_FRONTEND",
    "DYNO",
    "EDITOR",
    "GPG_KEY",
    "HOME",
    "HOSTNAME",
    "INVOCATION_ID",
    "IS_PULL_REQUEST",
    "JOURNAL_STREAM",
    "K_CONFIGURATION",
    "K_REVISION",
    "K_SERVICE",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "MAIL",
    "NODE_VERSION",
    "NO_COLOR",
    "OLDPWD",
    "PATH",
    "PORT",
    "PRIMARY_REGION",
    "PWD",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "PYTHON_PIP_VERSION",
    "PYTHON_SETUPTOOLS_VERSION",
    "PYTHON_SHA256",
    "PYTHON_VERSION",
    "RELEASE_COMMAND",
    "RENDER",
    "SHELL",
    "SHLVL",
    "SOURCE_VERSION",
    "STACK",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "WEB_CONCURRENCY",
    "YARN_VERSION",
];

/// Whether a platform, an image, a shell or a runtime sets this name by itself: that it is set tells nothing
/// about what a person has set.
pub fn is_injected(name: &str) -> bool {
    NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name.starts_with("LC_")
        || is_service_link(name)
}

/// What Kubernetes and Docker's old links set for each service in the network: `REDIS_SERVICE_HOST`,
/// `REDIS_PORT_6379_TCP_ADDR`.
fn is_service_link(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_") && (name.contains("_TCP") || name.contains("_UDP"))
}

#[cfg(test)]
mod tests {
    use super::is_injected;

    #[test]
    fn names_that_nobody_sets_by_hand_are_known() {
        for name in [
            "PORT",
            "RAILWAY_SERVICE_NAME",
            "REDIS_PORT_6379_TCP_ADDR",
            "DB_SERVICE_HOST",
            "LC_ALL",
        ] {
            assert!(is_injected(name), "{name}");
        }
        for name in ["DATABASE_URL", "PGHOST", "PORTS", "RENDERER", "SMTP_PORT"] {
            assert!(!is_injected(name), "{name}");
        }
    }
}
