//! Which values are placeholders.

use super::super::{Placeholder, is_runner, placeholder};

#[track_caller]
fn all_are(expected: Option<Placeholder>, values: &[&str]) {
    for value in values {
        assert_eq!(placeholder(value), expected, "{value}");
    }
}

#[test]
fn references_and_gaps_that_nothing_has_filled_are_placeholders() {
    all_are(
        Some(Placeholder::Unfilled),
        &[
            "${{Postgres.DATABASE_URL}}",
            "postgresql://example/${{shared.X}}",
            "{{ secret }}",
            "{{resolve:secretsmanager:prod/db:SecretString:password}}",
            "${DATABASE_URL}",
            "\"${DATABASE_URL}\"",
            "$DATABASE_URL",
            "<your key>",
            "<no value>",
            "'<token>' ",
            "mongodb+srv://app:<db_password>@cluster0.example.net/db",
            "postgresql://app:${DB_PASSWORD}@db:5432/app",
            "postgresql://app:pw@${DB_HOST}:5432/app",
        ],
    );
}

#[test]
fn references_to_secret_stores_are_recognised() {
    all_are(
        Some(Placeholder::Stored),
        &[
            "op://prod/database/password",
            "vault:secret/data/app#DB_PASSWORD",
            "bao:secret/data/app#DB_PASSWORD",
            "ref+vault://secret/app#/password",
            "ref+awssecrets://app/db",
            "@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/db)",
            "gcp:secretmanager:projects/p/secrets/db/versions/1",
            "sm://project/db-password",
            "pass://Work/GitHub/password",
            "secretref:db-password",
            "ssm:/prod/db/password",
            "encrypted:BDqDBibm4wsYqMpCjTQ6BsDHmMadg9K3dAt+Z9HPMfLEIRVz50hmLXPXRuDBXaJi",
            "ENC[AES256_GCM,data:p673w==,iv:YY=,aad:UQ=,tag:A=,type:str]",
            "$ANSIBLE_VAULT;1.1;AES256",
        ],
    );
    all_are(
        Some(Placeholder::Named),
        &[
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
            "projects/1234/secrets/db/versions/latest",
            "/run/secrets/db_password",
        ],
    );
    all_are(
        None,
        &["vault:8200", "optional://x", "vaulted", "project/secrets"],
    );
}

#[test]
fn the_words_of_examples_are_placeholders() {
    all_are(
        Some(Placeholder::Example),
        &[
            "changeme",
            "Change-Me",
            "!ChangeMe!",
            "CHANGE_ME_please_1234567890",
            "please change me",
            "my-changeme-x",
            "changeme123!",
            "changethis",
            "placeholder-key",
            "a-string-secret-at-least-256-bits-long",
            "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
            "ThisTokenIsNotSoSecretChangeIt",
            "django-insecure-4s!x$0k^fake",
            "replace-me",
            "replace_this_with_a_real_key",
            "TODO",
            "placeholder",
            "your-api-key",
            "your-api-key-here",
            "YOUR SECRET goes here",
            "your-256-bit-secret",
            "sk-your-openai-api-key",
            "your-super-secret-jwt-token-with-at-least-32-characters-long",
            "put your unique phrase here",
            "your-secret-key-change-in-production",
            "replace-with-your-own-value-1",
            "INSERT_API_KEY_HERE",
            "api_key_here",
            "example-secret-key",
            "[YOUR-PASSWORD]",
            "postgresql://postgres:[YOUR-PASSWORD]@db.example.com:5432/postgres",
            "redis://:changeme@cache:6379",
            "AKIAXXXXXXXXXXXXXXXX",
            "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
            "sk-1234********",
            "sk-ant-...",
            "keyboard cat",
            "xxxxxxxx",
            "re_xxxxxxxxxxxx",
            "00000000000000",
            "\"changeme\"",
        ],
    );
    all_are(
        Some(Placeholder::Comment),
        &["# required to seed the admin"],
    );
}

#[test]
fn what_templates_leave_in_place_of_a_value_is_recognised() {
    all_are(
        Some(Placeholder::Unrendered),
        &[
            "[object Object]",
            "$(openssl rand -hex 32)",
            "`openssl rand -base64 32`",
            "%!s(<nil>)",
            "postgresql://undefined:undefined@undefined:5432/app",
            "postgresql://app:$(DB_PASSWORD)@db/app",
            "{API_KEY}",
            "N/A",
            "undefined",
            "null",
            "None",
            "nil",
            "__DB_PASSWORD__",
            "#{DbPassword}#",
            "#{DbPassword}",
            "%DB_PASSWORD%",
            "$(DB_PASSWORD)",
            "@@DB_PASSWORD@@",
            "((db-password))",
        ],
    );
}

#[test]
fn values_that_only_resemble_placeholders_are_values() {
    all_are(
        None,
        &[
            "",
            "exchange-memory",
            "exchangeme",
            "stodok",
            "todo-list-app-4711",
            "wish-you-were-here",
            "my secret here",
            "postgresql://todo:todo-4711@todo/todo",
            "https://example.com/{{version}}/{id}",
            "https://example.com/null",
            "[::1]:8000",
            "http://[::1]:8000",
            "Xxxxxxx",
            "replacement-key",
            "my-secret-password",
            "nothing can change me now",
            "your love is the key",
            "yourself",
            "there are yours",
            "<noreply@example.com>",
            "INTOWORK <noreply@example.com>",
            "xxxxxxx",
            "${A}${B}",
            "a ${X} b",
            "{{a}}{{b}}",
            "$PORT",
            "$ecret_word",
            "#tag",
            "100%",
            "%41%42",
            "none",
            "EMPTY",
            "dummy",
            "sk-no-key-required",
            "hunter2",
            "p@$$w0rd",
            "((((",
            "__",
            "correct-horse-battery-staple",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzz",
            "base64:fakefakefakefakefakefakefakefakefakefakefak=",
        ],
    );
}

#[test]
fn the_tools_of_secret_stores_are_recognised_in_a_command() {
    for word in [
        "op",
        "/usr/local/bin/doppler",
        "exec op run -- uvicorn",
        "vault-env",
    ] {
        assert!(is_runner(word), "{word}");
    }
    for word in ["uvicorn", "run", "opus", "/srv/op/server", "--op"] {
        assert!(!is_runner(word), "{word}");
    }
}
