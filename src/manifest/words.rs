//! The words of other tools (compose, pydantic, varlock, JSON schema, GitHub Actions and others), each with the advice
//! that puts it right. This is the only place for them.

use super::template::is_name;

/// Words, separated by spaces, with the advice on all of them.
pub type Words = &'static [(&'static str, &'static str)];

#[rustfmt::skip]
pub const ROOT: Words = &[
    ("web worker beat procfile", "write `processes: {web: {command: [PROGRAM]}}`"),
    ("env environment environment_variables env_vars envvars envs vars properties", "declare each variable under `variables`, such as `DATABASE_URL: {}`"),
    ("required mandatory", "declare each variable under `variables`, such as `DATABASE_URL: {}`, which is required"),
    ("optional", "declare each variable under `variables`, such as `SENTRY_DSN: {level: optional}`"),
    ("secrets", "declare each variable under `variables`, such as `API_KEY: {secret: true}`"),
    ("services containers", "this file describes one service: write its command under `server`, and what it needs under `wait_for`"),
    ("name title app app_name service_name project", "write `service`"),
    ("command cmd entrypoint run start exec", "write `server: {command: [uvicorn, \"app:app\"]}`"),
    ("cwd working_dir working_directory workdir", "write the command as [env, -C, DIR, COMMAND]"),
    ("env_file", "name the file with `startup-guard run --env-file .env` or in STARTUP_GUARD_ENV_FILE"),
    ("description", "write it as a comment"),
    ("dependencies depends_on needs requires wait waits waitfor wait-for", "write each dependency under `wait_for`, such as `- tcp: \"db:5432\"`"),
    ("migrations migration migrate release pre_start prestart before init_containers jobs tasks", "write it under `steps`, such as `- {name: migrate, command: [alembic, upgrade, head]}`"),
    ("healthcheck health_check", "write it into the image: HEALTHCHECK CMD [\"startup-guard\", \"healthcheck\", \"URL\"]"),
    ("$schema", "write it as a comment in the first line: # yaml-language-server: $schema=URL"),
    ("include includes extends import imports", "a manifest cannot include another file"),
];

#[rustfmt::skip]
pub const VARIABLE: Words = &[
    ("required optional nullable mandatory", "a variable is required by default; write `level: optional` if it may be missing"),
    ("enum choices values options allowed allowed_values oneOf anyOf in const", "write `one_of: [a, b]` with the allowed values"),
    ("regex regexp matches match", "write `pattern`"),
    ("sensitive password writeOnly is_secret masked", "write `secret: true`"),
    ("minimum min_value ge gte", "write `min`"),
    ("maximum max_value le lte", "write `max`"),
    ("gt exclusiveMinimum", "write `min`, which admits the limit itself"),
    ("lt exclusiveMaximum", "write `max`, which admits the limit itself"),
    ("minLength min_len", "write `min_length`"),
    ("maxLength max_len", "write `max_length`"),
    ("length size len", "write `min_length` and `max_length`"),
    ("separator sep delimiter split items", "write `list: csv`, `list: json` or `list: space`; the other keys are the rule of each item"),
    ("desc help comment summary title", "write `description`"),
    ("doc documentation link", "write `docs`"),
    ("alias aliases validation_alias deprecated replaces", "write `renamed_from: [OLD_NAME]` for a former name"),
    ("name key env env_name env_var", "the name stands before the rule: `NAME: {type: url}`"),
    ("format kind datatype", "write `type`, such as `type: url`"),
    ("protocol protocols", "write `schemes`"),
    ("default_value defaultValue fallback", "write `default`"),
    ("sample", "write `example`"),
    ("if when required_if requiredIf required_unless depends_on dependsOn", "write `required_when: {NAME: [value]}`"),
];

/// Keys of a step and of the server.
#[rustfmt::skip]
pub const COMMAND: Words = &[
    ("run cmd commands entrypoint exec args argv script start", "write `command: [PROGRAM, ARGUMENT]`, a list of words"),
    ("cwd working_dir working_directory working-directory workdir directory dir", "write the command as [env, -C, DIR, COMMAND]"),
    ("environment env env_vars envs vars", "write the command as [env, NAME=value, COMMAND]"),
    ("shell", "no shell is involved; write the command as [sh, -c, '…'] if it needs one"),
    ("env_file", "name the file with `startup-guard run --env-file .env` or in STARTUP_GUARD_ENV_FILE"),
];

#[rustfmt::skip]
pub const STEP: Words = &[
    ("retry attempts max_attempts tries backoff", "write `retries: 10` and `retry_delay: 5s`"),
    ("id title label", "write `name`"),
    ("uses", "write `command`; a step runs a program of the image"),
    ("depends_on needs after requires", "steps run in their order; write what must be ready under `wait_for`"),
    ("if when condition unless only_if creates", "write `up_to_date: [test, -e, FILE]`, a command that exits with 0 if there is nothing to do"),
    ("continue_on_error continue-on-error ignore_errors ignore_failure may_fail optional", "write `allow_failure: true`"),
    ("timeout_seconds timeout-minutes timeout_minutes time_limit deadline", "write `timeout` with a unit, such as `timeout: 10m`"),
    ("stop_grace_period grace grace_period kill_after", "write `stop_grace`"),
    ("signal kill_signal", "write `stop_signal`"),
    ("user", "write `user` at the top of the manifest, for all steps and the server"),
];

#[rustfmt::skip]
pub const SERVER: Words = &[
    ("user", "write `user` at the top of the manifest, for the steps and the server"),
    ("healthcheck health_check", "write it into the image: HEALTHCHECK CMD [\"startup-guard\", \"healthcheck\", \"URL\"]"),
    ("restart replicas deploy", "the platform decides this, not the guard"),
    ("depends_on needs requires", "write what must be ready under `wait_for`"),
    ("port ports expose host bind", "write it into the command, such as \"${PORT:-8000}\""),
    ("tini dumb_init", "write `init: true`"),
];

/// `{NAME}` stands for the entry's own value, if that is a name.
#[rustfmt::skip]
pub const WAIT: Words = &[
    ("name title description", "write it as a comment"),
    ("deadline max_wait timeout_seconds wait_timeout", "write `timeout` with a unit, such as `timeout: 60s`"),
    ("condition depends_on", "write what must be ready, such as `tcp: \"db:5432\"`; the guard waits until it answers"),
    ("step steps", "write `up_to_date` with the name of the step"),
    ("redis valkey", r#"write `tcp: {NAME}` for an open port, or `command: [redis-cli, -u, "${{NAME}}", ping]`"#),
    ("mysql mariadb", r#"write `tcp: {NAME}` for an open port, or `command: [mysqladmin, ping, -h, "${MYSQL_HOST}", --silent]`"#),
    ("amqp rabbitmq", r#"write `tcp: {NAME}` for an open port, or `command: [python, -c, 'import os, kombu; kombu.Connection(os.environ["{NAME}"]).connect()']`"#),
    ("mongodb mongo", r#"write `tcp: {NAME}` for an open port, or `command: [mongosh, "${{NAME}}", --quiet, --eval, "db.runCommand({ping: 1})"]`"#),
    ("kafka", r#"write `tcp: {NAME}` for an open port, or `command: [kcat, -b, "${{NAME}}", -L]`"#),
    ("elasticsearch opensearch", r#"write `tcp: {NAME}` for an open port, `http: {NAME}` for an answer, or `command: [curl, -fsS, "${{NAME}}"]`"#),
    ("memcached memcache", r#"write `tcp: {NAME}` for an open port, or `command: [memcping, "--servers=${{NAME}}"]`"#),
    ("grpc", r#"write `tcp: {NAME}` for an open port, or `command: [grpc_health_probe, "-addr=${{NAME}}"]`"#),
    ("nats smtp ldap mssql sqlserver clickhouse cassandra", r#"write `tcp: {NAME}` for an open port, or `command: [PROGRAM, "${{NAME}}"]` for a program that exits with 0 when it is ready"#),
    ("host hostname port service container server address", "write `tcp: HOST:PORT` for an open port, or `command: [PROGRAM, ARGUMENT]` for a program that exits with 0 when it is ready"),
    ("url https", "write `http: {NAME}` for an answer, or `tcp: {NAME}` for an open port"),
    ("file path", "write `command: [test, -e, FILE]`"),
    ("postgresql pg db database", "write `postgres: {NAME}`"),
    ("cmd exec shell script", "write `command: [PROGRAM, ARGUMENT]`; no shell splits a text"),
];

/// Values of `type`.
#[rustfmt::skip]
pub const TYPES: Words = &[
    ("int long int32 int64", "write `type: integer`"),
    ("float double decimal", "write `type: number`"),
    ("bool flag", "write `type: boolean`"),
    ("str text any varchar", "write `type: string`, or leave it out"),
    ("list array set tuple csv", "write `list: csv`, `list: json` or `list: space`; `type` is the type of each item"),
    ("enum choice literal", "write `one_of: [a, b]` in the place of `type`"),
    ("secret password token sensitive", "write `secret: true` in the place of `type`"),
    ("hostname fqdn", "write `type: host`"),
    ("uri dsn link http https", "write `type: url`"),
    ("object dict map", "write `type: json`"),
    ("uuid date datetime ip regex", "write a `pattern` in the place of `type`"),
    ("file dir directory folder", "write `type: path`"),
    ("timedelta seconds", "write `type: duration`"),
    ("certificate cert", "write `type: pem`"),
];

/// Values of `list`.
pub const LISTS: Words = &[("true comma array yes , ;", "write `list: csv`")];

/// Values of `level`.
#[rustfmt::skip]
pub const LEVELS: Words = &[
    ("mandatory true error", "write `level: required`"),
    ("false warning warn info recommended", "write `level: optional`"),
];

/// Messages of the YAML parser, each with a text that must be at its place (or is empty), and with what they mean.
#[rustfmt::skip]
const SYNTAX: [(&str, &str, &str); 15] = [
    ("cannot start any token", "\t", "YAML indents with spaces, not with tabs"),
    ("cannot start any token", "", "a text that begins with @, ` or % must be in quotes"),
    ("alphabetic or numeric character", "", "a text that begins with * or & must be in quotes"),
    ("unknown anchor", "", "a text that begins with * must be in quotes, unless it is an alias of an anchor before it"),
    ("unknown escape character", "", "a backslash in double quotes begins an escape; write the text in single quotes, such as '^\\d+$'"),
    ("invalid type: map", "{{", "a text with {{ }} must be in quotes, and a template must be rendered first"),
    ("expected ',' or", "${", "a text with ${NAME} must be in quotes between brackets, such as [\"${PORT}\"]"),
    ("expected ',' or", "", "a bracket is not closed, a comma is missing, or a text with brackets is not in quotes"),
    ("expected node content", "", "a value is missing, a bracket is not closed, or a text that begins with # is not in quotes"),
    ("mapping values are not allowed", "", "a text with a colon and a space must be in quotes, and a key must have a space behind its colon and its own line"),
    ("expected ':'", "", "the line above needs a key with a colon and a space, such as `version: 1`"),
    ("expected key", "", "the keys of a mapping must begin in the same column"),
    ("expected '-' indicator", "", "the items of a list must begin in the same column, and the keys of an item, too"),
    ("unexpected end of stream", "", "a quote is not closed"),
    ("more than one document", "", "it has several documents; remove the line `---` between them"),
];

/// The advice on a word.
pub fn advice_on(word: &str, tables: &[Words]) -> Option<&'static str> {
    let mut rows = tables.iter().copied().flatten();
    let is_row = |words: &str| words.split(' ').any(|each| each.eq_ignore_ascii_case(word));
    let row = rows.find(|(words, _)| is_row(words));
    row.map(|(_, advice)| *advice)
}

/// What a message of the YAML parser means. `place` is the line and the column in the text, counted from 1.
pub fn meaning<'m>(message: &'m str, text: &str, (line, column): (usize, usize)) -> &'m str {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    // The parser reports the second character of a pair.
    let here = line.chars().skip(column.saturating_sub(2));
    let here: String = here.take(2).collect();
    let mut rows = SYNTAX.iter();
    let row = rows.find(|(part, mark, _)| message.contains(part) && here.contains(mark));
    row.map_or(message, |(.., meaning)| meaning)
}

/// What a text is that is not a manifest, with the number of the line that tells, counted from 1.
pub fn other_file(text: &str) -> Option<(usize, &'static str)> {
    let mut lines = text.lines().enumerate();
    let conflict = |(_, line): &(usize, &str)| line.starts_with("<<<<<<< ");
    if let Some((index, _)) = lines.clone().find(conflict) {
        return Some((index + 1, "the file has an unresolved merge conflict"));
    }
    let (index, line) = lines.find(|(_, line)| !line.is_empty() && !line.starts_with('#'))?;
    let assignment = line.strip_prefix("export ").unwrap_or(line);
    let (name, _) = assignment.split_once('=')?;
    let message =
        "this is an env file, not a manifest; `startup-guard init` writes a manifest from it";
    let is_upper = !name.contains(|each: char| each.is_ascii_lowercase());
    (is_name(name) && is_upper).then_some((index + 1, message))
}
