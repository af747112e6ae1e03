//! The pieces of which the cases of the property tests are composed.

/// Values with a canary (`@C@`) in each part that a value can have.
pub const VALUES: [&str; 48] = [
    "@C@",
    "\"@C@\"",
    "'@C@",
    " @C@\t",
    "@C@\r",
    "@C@\nB=@C@\n@C@",
    "@C@://@C@:@C@@@C@:@C@/@C@?@C@#@C@",
    "postgresql://@C@:@C@@@C@:5432/@C@?sslmode=@C@#@C@",
    "postgres://u:@C@@localhost/db",
    "postgresql://u:@C@/@C@@h/db",
    "postgresql://u:@C@#@C@@h/db",
    "postgresql://u:@C@%zz@h/db",
    "postgresql://:@:/@C@",
    "postgresql://:@@C@/",
    "redis://:@C@@127.0.0.1:6379/0",
    "redis://:@C@/@C@@h:6379/0",
    "redis+@C@:///0",
    "postgresql+@C@:///@C@/@C@",
    "postgresql+asyncpg://u:@C@@h/d?sslmode=@C@&@C@=1&ssl=@C@",
    "postgresql://u:@C@@fd00::1:5432/@C@",
    "psql 'postgresql://u:@C@@h/d'",
    "@C@=postgresql://u:@C@@h/d",
    "jdbc:@C@:@C@@h",
    "https://@C@/",
    "https://@C@:99999",
    "https://a.example.com/@C@",
    "[\"@C@\", \"@C@\"]",
    "[@C@",
    "{\"@C@\": @C@}",
    "@C@,,@C@",
    "@C@@",
    "N <@C@@@C@.example>",
    "${{Postgres.@C@}}",
    "${{@C@:@C@.DATABASE_URL}}",
    "postgresql://u:@C@@h/${{Postgres.DATABASE_URL}}",
    "${{ secrets.@C@ }}",
    "${@C@}",
    "{{ @C@ }}",
    "<@C@>",
    "changeme-@C@",
    "your-@C@-here",
    "-----BEGIN KEY-----\\n@C@\\n-----END KEY-----",
    "-----BEGIN KEY-----\n@C@==\n-----END KEY-----",
    "1@C@",
    "-1e@C@",
    "~/@C@",
    "p$@C@ss",
    "${A:-@C@}",
];

/// Lines of an env file around a key that is broken over several lines. `@N@` is the canary in upper case.
pub const LINES: [&str; 14] = [
    "@N@",
    "@N@=",
    "@N@==",
    "@N@======",
    "@N@=x",
    "@N@='x' # c",
    "@N@=\"$JWT_SECRET\"",
    "export @N@=x",
    "  @N@",
    "@N@ # c",
    "_@N@_@N@=x",
    "AB1@N@=",
    "'@N@'=x",
    "@N@: x",
];

pub const TYPES: [&str; 12] = [
    "string", "integer", "number", "boolean", "port", "url", "origin", "email", "json", "path",
    "duration", "host",
];

/// Further keys of a variable, whose name stands for `@NAME@`.
pub const RULES: [&str; 13] = [
    "",
    ", min_length: 90",
    ", max_length: 2",
    ", one_of: [a, b]",
    ", pattern: ^x",
    ", list: csv",
    ", list: json",
    ", level: optional",
    ", list: space",
    ", file: @NAME@_PATH",
    ", file: true",
    ", required_with: [X]",
    ", required_without: [X]",
];

pub const NAMES: [&str; 8] = [
    "DATABASE_URL",
    "NEXTAUTH_SECRET",
    "JWT_SECRET",
    "ALLOWED_ORIGINS",
    "API_BASE_URL",
    "RESEND_API_KEY",
    "REDIS_URL",
    "MODE_OF_WORK",
];

/// Undeclared names that the diagnosis considers.
pub const OTHERS: [&str; 12] = [
    "DATABSE_URL",
    "NEXT_AUTH_SECRET",
    "jwt_secret",
    "OLD_NAME",
    "PGHOST",
    "PGPASSWORD",
    "POSTGRES_PASSWORD",
    "REDISHOST",
    "NEXT_PUBLIC_API_BASE_URL",
    "SOMETHING_ELSE",
    "with space",
    "DATABASE_URL_FILE",
];

pub const PLATFORMS: [&[(&str, &str)]; 6] = [
    &[],
    &[
        ("RAILWAY_SERVICE_NAME", "backend"),
        ("RAILWAY_ENVIRONMENT_NAME", "pr-1"),
    ],
    &[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("HOSTNAME", "pod")],
    &[("FLY_APP_NAME", "app")],
    &[("DYNO", "web.1")],
    &[("RENDER", "true")],
];
