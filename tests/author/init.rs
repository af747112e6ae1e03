//! `init`: the manifest that it writes, from each source and all of them together.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;

use crate::support::{Ended, Folder, Guard};

/// Texts that no output may contain: a random one, and a password that is a word.
const CANARY: &str = "hush7canary9value";
const WORD: &str = "swordfish";

/// A folder with these files.
fn service(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::new();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder"))
            .expect("a folder is made");
        folder.file(name, content);
    }
    folder
}

fn init(folder: &Path, arguments: &str) -> Ended {
    Guard::new()
        .in_folder(folder)
        .args(["init"])
        .line(arguments)
        .run()
}

/// The manifest that is printed for these files. It is one that `check` reads.
#[track_caller]
fn manifest(files: &[(&str, &str)]) -> String {
    let folder = service(files);
    let ended = init(folder.path(), "").expect_code(0);
    folder.file("required-vars.yaml", &ended.stdout);
    let checked = Guard::new().in_folder(folder.path()).line("check").run();
    assert!([0, 78].contains(&checked.code()), "{ended}\n{checked}");
    ended.stdout()
}

/// The lines of a manifest from the one that begins with `start`, up to a blank line.
fn part(manifest: &str, start: &str) -> String {
    let lines = manifest.lines().skip_while(|line| !line.starts_with(start));
    let lines = lines.take_while(|line| !line.is_empty());
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The lines of a variable in a manifest.
fn variable(manifest: &str, name: &str) -> String {
    let start = format!("  {name}:");
    let mut lines = manifest
        .lines()
        .skip_while(|line| !line.starts_with(&start));
    let first = lines.next().unwrap_or_default();
    let rest = lines.take_while(|line| line.starts_with("    "));
    [first]
        .into_iter()
        .chain(rest)
        .flat_map(|line| [line.trim(), "\n"])
        .collect()
}

#[test]
fn a_whole_service_becomes_a_manifest_with_everything_that_is_certain() {
    let files = [
        (
            ".env.example",
            "# Application\n# -----------\n# Name in e-mails\nPROJECT_NAME=\"My project\"\n\n\
             # The database, as SQLAlchemy reads it\n\
             DATABASE_URL=postgresql+psycopg://app:changethis@localhost:5432/app\n\
             SECRET_KEY=changethis\nCORS_ORIGINS=http://localhost,http://localhost:5173\nUNUSED=\n",
        ),
        (
            "compose.yaml",
            "services:\n  db: {image: postgres, environment: {POSTGRES_PASSWORD: x}}\n  api:\n    build: .\n    environment:\n      \
             API_TOKEN_FILE: /run/secrets/token\n      SMTP_PORT: 587\n",
        ),
        (
            "app/main.py",
            "import os\n\nURL = os.environ[\"DATABASE_URL\"]\nKEY = os.environ[\"SECRET_KEY\"]\nNAME = os.environ.get(\"PROJECT_NAME\", \"x\")\n\
             HOME = os.environ.get(\"HOME\")\nORIGINS = os.environ.get(\"CORS_ORIGINS\", \"\").split(\",\")\n",
        ),
        (
            "Procfile",
            "release: alembic upgrade head\nweb: uvicorn app.main:app --host 0.0.0.0 --port $PORT\n",
        ),
    ];
    let expected = "\
# yaml-language-server: $schema=./required-vars.schema.json
# A first manifest by `startup-guard init`. Correct what the code does not tell: levels, rules and descriptions.
# Make the schema of the first line, with which editors check this file: startup-guard schema > required-vars.schema.json
version: 1

variables:
  # Required: the code does not work without them.
  DATABASE_URL:  # .env.example:7 and app/main.py:3
    type: url
    secret: true
    description: \"The database, as SQLAlchemy reads it\"
  SECRET_KEY:  # .env.example:8 and app/main.py:4
    secret: true
    generate: {bytes: 32, format: base64}
  # Optional: the code has a default, or works without them.
  PROJECT_NAME:  # .env.example:4 and app/main.py:5
    level: optional
    description: Name in e-mails
  CORS_ORIGINS:  # .env.example:9 and app/main.py:7
    level: optional
    type: origin
    list: csv
    example: \"http://localhost,http://localhost:5173\"
  # Optional: they are only listed, and no code that was read here reads them.
  UNUSED:  # .env.example:10
    level: optional
  API_TOKEN:  # compose.yaml:6
    level: optional
    secret: true
  SMTP_PORT:  # compose.yaml:7
    level: optional
    type: port
  # Left out, because a platform, an image or Python has them: HOME.

wait_for:
  - postgres: DATABASE_URL

steps:
  - name: migrate  # Procfile:1
    command: [alembic, upgrade, head]
    up_to_date: {alembic: DATABASE_URL}
    lock: {postgres: DATABASE_URL}

server:
  command: [uvicorn, app.main:app, --host, 0.0.0.0, --port, \"${PORT:-8000}\"]  # Procfile:2
";
    assert_eq!(manifest(&files), expected);
}

#[test]
fn no_value_that_could_be_a_secret_is_shown_wherever_it_is() {
    let code = format!(
        "import os\nA = os.environ.get(\"SECRET_KEY\", \"{CANARY}\")\nB = os.environ.get(\"GREETING\", \"{CANARY}\")\nW = os.environ.get(\"MOTTO\", \"{WORD}\")\n\
         C = os.environ.get(\"BROKER\", \"redis://:{CANARY}@redis:6379/0\")\nD = os.environ.get(\"ADMIN_PASS\") or \"{CANARY}\"  # {CANARY}\n"
    );
    let example = format!(
        "# {CANARY}\nAPI_KEY={CANARY}\n# The key is {CANARY}\nPLAIN={CANARY}\nPLAINER={WORD}\nPAGE=https://example.com/{WORD}\n# was: OLD={CANARY}\nURL=https://user:{CANARY}@example.com\n\
         HOOK=https://example.com/{CANARY}\nQUERY=https://example.com/?key={CANARY}\nADMIN_PIN=73194\n\
         PEM=\"-----BEGIN PRIVATE KEY-----\n{CANARY}=\n-----END PRIVATE KEY-----\"\n# OLDER={CANARY}\nNAME='{CANARY} {CANARY}'\n"
    );
    let real = format!(
        "# {CANARY}\nREAL={CANARY}\nPEM=-----BEGIN PRIVATE KEY-----\n{CANARY}=\n-----END PRIVATE KEY-----\n"
    );
    let compose = format!(
        "services:\n  api:\n    build: .\n    env_file: [.env]\n    environment:\n      TOKEN: {CANARY}\n      \
         MODE: {CANARY}\n      LOGIN: {WORD}\n      DSN: postgresql://app:{CANARY}@db/app\n    # {CANARY}\n"
    );
    let starts = [
        ("Procfile", format!("web: serve --api-key {CANARY}\n")),
        ("Procfile", format!("web: serve --password={CANARY}\n")),
        ("Procfile", format!("web: serve amqp://guest:{CANARY}@mq\n")),
        ("Procfile", format!("web: API_KEY={CANARY} serve\n")),
        (
            "Procfile",
            format!("release: login {CANARY}0123456789\nweb: serve\n"),
        ),
        (
            "Procfile",
            format!("release: python manage.py createsuperuser admin {WORD}\nweb: serve\n"),
        ),
        (
            "start.sh",
            format!("poetry run python -m app.seed --admin {WORD}\nexec serve\n"),
        ),
        (
            "Dockerfile",
            format!("FROM x\nCMD [\"serve\", \"--token\", \"{CANARY}\"]\n"),
        ),
        (
            "Dockerfile",
            format!("FROM x\nENV KEY={CANARY}\nCMD serve ${{API_KEY:-{CANARY}}}\n"),
        ),
        (
            "start.sh",
            format!("export API_KEY={CANARY}\nserve {CANARY}0123456789 # {CANARY}\n"),
        ),
    ];
    for (name, start) in starts {
        let folder = service(&[
            ("app/main.py", &code),
            (".env.example", &example),
            (".env", &real),
            ("compose.yaml", &compose),
            (name, &start),
        ]);
        let ended = init(folder.path(), "").expect_code(0);
        for name in [
            "SECRET_KEY",
            "BROKER",
            "PLAIN",
            "REAL",
            "PEM",
            "TOKEN",
            "DSN",
            "ADMIN_PIN",
        ] {
            assert!(
                !variable(&ended.stdout(), name).trim().is_empty(),
                "{name}\n{ended}"
            );
        }
        ended
            .expect_never(CANARY)
            .expect_never(WORD)
            .expect_never("73194");
        let ended = init(folder.path(), "--write")
            .expect_code(0)
            .expect_never(CANARY);
        let written = fs::read_to_string(folder.path().join("required-vars.yaml"));
        let written = written.expect("the manifest is written");
        assert!(!written.contains(CANARY), "{written}\n{ended}");
    }
}

#[test]
fn a_line_of_a_broken_env_file_is_not_shown() {
    let folder = service(&[
        (".env", &format!("A=1\nPEM=\"{CANARY}\n")),
        ("app/main.py", "import os\nos.environ[\"A\"]\n"),
    ]);
    init(folder.path(), "")
        .expect_code(0)
        .expect_never(CANARY)
        .expect_stderr(".env: line 2 opens a quote that is never closed, so it is left out");
}

/// The files of a service, and what is expected of them.
type Files = &'static [(&'static str, &'static str)];

const UVICORN: &str = "uvicorn a:b --port \"${PORT:-8000}\"";

/// The beginning of a script.
macro_rules! script {
    ($last:literal) => {
        concat!(
            "#!/bin/sh\nset -e\n# Start\nif [ -z \"$KEY\" ]; then\n  echo 'no KEY'\n  exit 1\nfi\necho \"at $(date)\"\n",
            "python manage.py migrate --noinput || exit 1\npython -m app.seed\n",
            $last
        )
    };
}

const SCRIPT: &str = script!("");
const STARTED: &str = script!("exec uvicorn a:b \\\n  --port ${PORT:-8000}\n");
const PASSED: &str = script!("exec \"$@\"\n");
const STEPS: &str =
    "steps: migrate: python manage.py migrate --noinput, seed: python \"-m\" app.seed";

/// The server and the steps that are read from files.
const STARTS: &[(Files, &str, &str)] = &[
    (
        &[("Procfile", "web: uvicorn a:b --port $PORT\n")],
        UVICORN,
        "",
    ),
    (
        &[(
            "Procfile",
            "web: python manage.py migrate && gunicorn a:b\n",
        )],
        "gunicorn a:b",
        "steps: migrate: python manage.py migrate",
    ),
    (
        &[(
            "Dockerfile",
            "FROM x\nCMD [\"uvicorn\", \"a:b\", \"--port\", \"${PORT:-8000}\"]\n",
        )],
        UVICORN,
        "",
    ),
    (
        &[("Dockerfile", "FROM x\ncmd uvicorn a:b --port ${PORT}\n")],
        UVICORN,
        "",
    ),
    (
        &[(
            "Dockerfile",
            "FROM x\nCMD exec uvicorn a:b \\\n  --port $PORT\n",
        )],
        UVICORN,
        "",
    ),
    (
        &[(
            "Dockerfile",
            "FROM x\nCMD [\"sh\", \"-c\", \"exec uvicorn a:b --port $PORT\"]\n",
        )],
        UVICORN,
        "",
    ),
    (
        &[(
            "Dockerfile",
            "FROM x AS base\nCMD [\"uvicorn\", \"a:b\"]\nFROM y\nFROM base\n",
        )],
        "uvicorn a:b",
        "",
    ),
    (
        &[(
            "Dockerfile",
            "FROM x AS base\nCMD [\"uvicorn\", \"a:b\"]\nFROM base\nENTRYPOINT [\"tini\", \"--\", \"serve\"]\n",
        )],
        "tini \"--\" serve",
        "",
    ),
    (
        &[(
            "Dockerfile",
            "FROM x\nRUN <<EOF\nCMD no\nEOF\nCMD [\"serve\"]\n",
        )],
        "serve",
        "",
    ),
    (
        &[(
            "Dockerfile",
            "FROM x\nCMD [\"a:b\"]\nENTRYPOINT [\"uvicorn\"]\n",
        )],
        "uvicorn a:b",
        "",
    ),
    (
        &[(
            "Dockerfile",
            "FROM x\nENTRYPOINT [\"startup-guard\", \"run\", \"--\"]\nCMD [\"serve\"]\n",
        )],
        "serve",
        "",
    ),
    (
        &[
            ("Dockerfile", "FROM x\nCMD [\"/app/start.sh\"]\n"),
            ("start.sh", STARTED),
        ],
        UVICORN,
        STEPS,
    ),
    (
        &[
            ("Dockerfile", "FROM x\nCMD bash scripts/start.sh\n"),
            ("scripts/start.sh", STARTED),
        ],
        UVICORN,
        STEPS,
    ),
    (
        &[
            (
                "Dockerfile",
                "FROM x\nENTRYPOINT [\"/entry.sh\"]\nCMD [\"uvicorn\", \"a:b\", \"--port\", \"$PORT\"]\n",
            ),
            ("entry.sh", PASSED),
        ],
        UVICORN,
        STEPS,
    ),
    (
        &[
            (
                "Dockerfile",
                "FROM x\nENTRYPOINT [\"/entry.sh\"]\nCMD uvicorn a:b --port $PORT\n",
            ),
            ("entry.sh", PASSED),
        ],
        UVICORN,
        STEPS,
    ),
    (&[("start.sh", STARTED)], UVICORN, STEPS),
    (
        &[("Procfile", "web: startup-guard run -- serve\n")],
        "serve",
        "",
    ),
    (&[("Procfile", "web: startup-guard run\n")], "", ""),
    (
        &[("prestart.sh", SCRIPT), ("Procfile", "web: serve\n")],
        "serve",
        STEPS,
    ),
    (
        &[("alembic.ini", ""), ("Procfile", "web: serve\n")],
        "serve",
        "steps: migrate: alembic upgrade head",
    ),
    (
        &[
            ("alembic.ini", ""),
            ("Procfile", "release: alembic upgrade heads\nweb: serve\n"),
        ],
        "serve",
        "steps: migrate: alembic upgrade heads",
    ),
];

#[test]
fn the_server_and_the_steps_are_read_where_no_shell_is_needed_to_know_them() {
    for (files, server, steps) in STARTS {
        let files = [&[(".env", "A=1\n")], *files].concat();
        let manifest = manifest(&files);
        let found = part(&manifest, "server:");
        let found = found.lines().nth(1).unwrap_or_default();
        let words = found
            .trim()
            .trim_start_matches("command: [")
            .split("]  #")
            .next();
        assert_eq!(
            words.unwrap_or_default().replace(", ", " "),
            *server,
            "{files:?}\n{manifest}"
        );
        assert_eq!(told_steps(&manifest), *steps, "{files:?}\n{manifest}");
    }
}

#[test]
fn all_processes_of_a_procfile_are_read_and_each_can_be_chosen() {
    let procfile = format!(
        "release: alembic upgrade head\nweb: uvicorn a:b --port $PORT\nworker: celery -A a worker\n\
         clock: python clock.py | tee log\nflower: celery flower --basic-auth={CANARY}\n# no: process\n"
    );
    let manifest = manifest(&[(".env", "A=1\n"), ("Procfile", &procfile)]);
    let expected = "processes:
  web:
    command: [uvicorn, a:b, --port, \"${PORT:-8000}\"]  # Procfile:2
  worker:
    command: [celery, \"-A\", a, worker]  # Procfile:3
  clock: {}  # Procfile:4 cannot be split into plain words; write its command
  flower: {}  # Procfile:5 cannot be split into plain words; write its command
";
    assert_eq!(part(&manifest, "processes:"), expected, "{manifest}");
    assert!(!manifest.contains("\nserver:"), "{manifest}");
    assert_eq!(
        told_steps(&manifest),
        "steps: migrate: alembic upgrade head"
    );
    for name in ["web", "worker", "clock", "flower"] {
        let guard = Guard::with_manifest(&manifest).env("A", "x");
        let line = format!("run --process {name} --skip migrate -- true");
        guard.line(&line).run().expect_code(0);
    }
}

/// The steps of a manifest: `steps: NAME: COMMAND, …`, or nothing.
fn told_steps(manifest: &str) -> String {
    let steps = part(manifest, "steps:");
    let value = |line: &str, key| {
        let value = line.trim().strip_prefix(key)?;
        Some(value.split("  #").next().unwrap_or_default().to_owned())
    };
    let names = steps.lines().filter_map(|line| value(line, "- name: "));
    let commands = steps.lines().filter_map(|line| value(line, "command: "));
    let told: Vec<String> = names
        .zip(commands)
        .map(|(name, command)| {
            format!(
                "{name}: {}",
                command.trim_matches(['[', ']']).replace(", ", " ")
            )
        })
        .collect();
    if told.is_empty() {
        String::new()
    } else {
        format!("steps: {}", told.join(", "))
    }
}

#[test]
fn a_start_that_needs_a_shell_is_only_a_comment() {
    let cases: &[(Files, &str)] = &[
        (
            &[("Procfile", "web: cd app && uvicorn a:b\n")],
            "# Procfile:1 changes what the following commands see.",
        ),
        (
            &[("Procfile", "web: uvicorn a:b | tee log\n")],
            "# Procfile:1 cannot be split into plain words.",
        ),
        (
            &[(
                "Dockerfile",
                "FROM x\nCMD uvicorn a:b --port $((PORT + 1))\n",
            )],
            "# Dockerfile:2 cannot be split into plain words.",
        ),
        (
            &[
                ("Dockerfile", "FROM x\nCMD [\"./a.sh\"]\n"),
                ("a.sh", "while true; do serve; done\n"),
            ],
            "# a.sh:1 is not the server.",
        ),
        (
            &[("start.sh", "export PORT=80\nexec serve\n")],
            "# start.sh:1 changes what the following commands see.",
        ),
        (
            &[("start.sh", "if true; then\n  PORT=80\nfi\nexec serve\n")],
            "# start.sh:2 changes what the following commands see.",
        ),
        (
            &[("start.sh", "[ -f x ] && . x\nexec serve\n")],
            "# start.sh:1 cannot be split into plain words.",
        ),
        (
            &[("start.sh", "exec \"$@\"\n")],
            "# start.sh:1 runs a command that is not known here.",
        ),
        (
            &[("start.sh", "# nothing\n")],
            "# start.sh has no commands.",
        ),
        (
            &[("start.sh", "./start.sh\n")],
            "# start.sh is one of many scripts that start each other.",
        ),
        (&[], "# The command of the server was not found."),
    ];
    for (files, line) in cases {
        let files = [&[(".env", "A=1\n")], *files].concat();
        let manifest = manifest(&files);
        assert!(manifest.contains(line), "{files:?}\n{manifest}");
        assert!(manifest.contains("# server:\n#   command: ["), "{manifest}");
        assert!(
            !manifest.contains("\nserver:") && !manifest.contains("\nsteps:"),
            "{manifest}"
        );
    }
}

#[test]
fn types_are_written_only_where_no_sound_value_can_break_them() {
    let example = "ONE_ORIGIN=https://a.example\nCORS_ORIGINS=https://a.example\nJSON_ORIGINS=[\"https://a.example\"]\n\
        CSV_ORIGINS=https://a.example,https://b.example\nADMIN_EMAIL=a@example.com\nADMIN_EMAILS=a@example.com,b@example.com\n\
        SMTP_PORT=587\nTIMEOUT=30\nDEBUG=true\nCACHE_URL=redis://cache:6379\nURLS=http://a,http://b\nLOG_LEVEL=info\nDATABASE_URL=\n";
    let manifest = manifest(&[(".env.example", example)]);
    let typed = |name: &str| {
        let lines = variable(&manifest, name);
        let keys = lines
            .lines()
            .filter(|line| line.starts_with("type:") || line.starts_with("list:"));
        keys.map(|line| line.split(": ").nth(1).unwrap_or_default())
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (name, expected) in [
        ("ONE_ORIGIN", "url"),
        ("CORS_ORIGINS", ""),
        ("JSON_ORIGINS", "origin json"),
        ("CSV_ORIGINS", "origin csv"),
        ("ADMIN_EMAIL", "email"),
        ("ADMIN_EMAILS", ""),
        ("SMTP_PORT", "port"),
        ("TIMEOUT", ""),
        ("DEBUG", ""),
        ("CACHE_URL", "url"),
        ("URLS", ""),
        ("LOG_LEVEL", ""),
        ("DATABASE_URL", ""),
    ] {
        assert_eq!(typed(name), expected, "{name}\n{manifest}");
    }
}

#[test]
fn secrets_are_told_by_their_names_and_only_own_keys_are_generated() {
    let own = ["SECRET_KEY", "JWT_SECRET", "SESSION_SECRET"];
    let others = [
        "NEXTAUTH_SECRET",
        "STRIPE_SECRET_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "RESEND_API_KEY",
        "DB_PASSWORD",
        "SMTP_PASS",
        "GITHUB_TOKEN",
        "DATABASE_URL",
        "CELERY_BROKER_URL",
        "SENTRY_DSN",
        "TOKEN_2",
        "PRIVATE_KEY",
    ];
    let public = [
        "STRIPE_PUBLISHABLE_KEY",
        "AWS_ACCESS_KEY_ID",
        "PUBLIC_KEY",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        "JWT_ALGORITHM",
        "PASSWORD_MIN_LENGTH",
        "KEYCLOAK_URL",
        "TOKENIZERS",
        "MONKEY",
        "PRIMARY_KEY",
        "LOG_LEVEL",
    ];
    let names = [&own[..], &others, &public].concat();
    let example: String = names.iter().flat_map(|name| [*name, "=\n"]).collect();
    let manifest = manifest(&[(".env.example", &example)]);
    for name in names {
        let lines = variable(&manifest, name);
        assert_eq!(
            lines.contains("secret: true"),
            !public.contains(&name),
            "{name}\n{manifest}"
        );
        assert_eq!(
            lines.contains("generate:"),
            own.contains(&name),
            "{name}\n{manifest}"
        );
    }
}

#[test]
fn the_database_is_waited_for_only_if_it_is_certainly_postgresql() {
    let code = ("app/main.py", "import os\nos.environ[\"DATABASE_URL\"]\n");
    let with = |name: &'static str, text: &'static str| manifest(&[code, (name, text)]);
    let waits = |manifest: &str| manifest.contains("wait_for:\n  - postgres: DATABASE_URL\n");
    for text in [
        "postgresql://x/app",
        "postgres://app:x@db/app",
        "postgresql+asyncpg://x/app",
    ] {
        let example = format!("DATABASE_URL={text}\n");
        assert!(
            waits(&manifest(&[code, (".env.example", &example)])),
            "{text}"
        );
    }
    assert!(waits(&with(
        "requirements.txt",
        "fastapi\npsycopg[binary]==3.2\n"
    )));
    assert!(waits(&with(
        "pyproject.toml",
        "[project]\ndependencies = [\"asyncpg>=0.29\"]\n"
    )));
    assert!(!waits(&with(
        "requirements.txt",
        "psycopg2-binary\naiosqlite\n"
    )));
    assert!(!waits(&with("requirements.txt", "fastapi\n")));
    assert!(!waits(&with(
        ".env.example",
        "DATABASE_URL=mysql://x/app\n"
    )));
    let sqlite = "import os\nos.environ.get(\"DATABASE_URL\", \"sqlite:///./app.db\")\n";
    assert!(!waits(&manifest(&[
        ("app/main.py", sqlite),
        ("requirements.txt", "psycopg\n")
    ])));
}

#[test]
fn the_url_of_the_database_is_composed_of_the_parts_that_the_code_reads() {
    const SETTINGS: &str = "from pydantic_settings import BaseSettings\n\nclass Settings(BaseSettings):\n    \
        POSTGRES_SERVER: str\n    POSTGRES_PORT: int = 5432\n    POSTGRES_USER: str\n    POSTGRES_PASSWORD: str = \"\"\n    \
        POSTGRES_DB: str = \"app_db\"\n";
    let of_code = |code: &str, requirements: &str| {
        manifest(&[
            ("app/config.py", code),
            ("requirements.txt", requirements),
            ("alembic.ini", "[alembic]\nscript_location = alembic\n"),
        ])
    };
    let composed = |manifest: &str| {
        let variable = variable(manifest, "DATABASE_URL");
        let value = variable
            .lines()
            .find_map(|line| line.strip_prefix("value: "));
        value.map(|value| value.trim_matches('"').to_owned())
    };
    let written = of_code(SETTINGS, "");
    let url = "postgresql://${POSTGRES_USER}:${POSTGRES_PASSWORD:-}@${POSTGRES_SERVER}:${POSTGRES_PORT:-5432}/${POSTGRES_DB:-app_db}";
    assert_eq!(composed(&written).as_deref(), Some(url), "{written}");
    assert!(
        written.contains("\nwait_for:\n  - postgres: DATABASE_URL\n"),
        "{written}"
    );
    assert!(
        written.contains("    up_to_date: {alembic: DATABASE_URL}\n"),
        "{written}"
    );
    assert!(
        written.contains("    lock: {postgres: DATABASE_URL}\n"),
        "{written}"
    );

    let read = |name: &str| format!("os.environ[\"{name}\"]\n");
    let all = ["DB_HOST", "DB_USERNAME", "DB_PASS", "DB_NAME"]
        .map(read)
        .concat();
    let all = format!("import os\n{all}");
    let url = "postgresql://${DB_USERNAME}:${DB_PASS}@${DB_HOST}/${DB_NAME}";
    assert_eq!(composed(&of_code(&all, "psycopg\n")).as_deref(), Some(url));
    // The database may be another one, a part is not read or has no known default, or the URL is there.
    for (code, requirements) in [
        (all.clone(), "mysqlclient\n"),
        (all.replace("os.environ[\"DB_PASS\"]\n", ""), "psycopg\n"),
        (
            all.replace("os.environ[\"DB_PASS\"]", "os.getenv(\"DB_PASS\")"),
            "psycopg\n",
        ),
        (
            SETTINGS.replace("\"\"", &format!("\"{WORD}\"")),
            "psycopg\n",
        ),
        (
            SETTINGS.to_owned() + "    DATABASE_URL: str = \"\"\n",
            "psycopg\n",
        ),
        (SETTINGS.to_owned() + "    POSTGRES_URL: str\n", "psycopg\n"),
    ] {
        let written = of_code(&code, requirements);
        assert_eq!(composed(&written), None, "{written}");
        assert!(!written.contains(WORD), "{written}");
    }
}

#[test]
fn the_code_tells_levels_types_and_secrets() {
    let code = "from pydantic import AliasChoices, Field, SecretStr\nfrom pydantic_settings import BaseSettings, SettingsConfigDict\n\n\n\
        class Settings(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix=\"APP_\")\n    \
        workers: int\n    debug: bool = False\n    phrase: SecretStr\n    smtp_port: int = 587\n    origins: list[str]\n    \
        cache: str = Field(validation_alias=AliasChoices(\"CACHE\", \"OLD_CACHE\"))\n";
    let manifest = manifest(&[("app/config.py", code), (".env.example", "app_phrase=\n")]);
    for (name, expected) in [
        (
            "APP_WORKERS",
            "APP_WORKERS:  # app/config.py:7\ntype: integer\n",
        ),
        (
            "APP_DEBUG",
            "APP_DEBUG:  # app/config.py:8\nlevel: optional\ntype: boolean\nexample: \"False\"\n",
        ),
        // The file shows how the variable is written here.
        (
            "app_phrase",
            "app_phrase:  # .env.example:1 and app/config.py:9\nsecret: true\n",
        ),
        (
            "APP_SMTP_PORT",
            "APP_SMTP_PORT:  # app/config.py:10\nlevel: optional\ntype: port\nexample: \"587\"\n",
        ),
        (
            "APP_ORIGINS",
            "APP_ORIGINS:  # app/config.py:11\nlist: json\n",
        ),
        // Either of them is enough.
        ("CACHE", "CACHE:  # app/config.py:12\nlevel: optional\n"),
        (
            "OLD_CACHE",
            "OLD_CACHE:  # app/config.py:12\nlevel: optional\n",
        ),
    ] {
        assert_eq!(variable(&manifest, name), expected, "{manifest}");
    }
}

#[test]
fn names_of_operating_systems_and_of_python_are_left_out() {
    let code = "import os\nA = os.environ['APPDATA'] + os.environ['SystemRoot']\nB = os.environ['PYTHONPATH'], os.environ['KEY']\n";
    let manifest = manifest(&[("app.py", code)]);
    assert_eq!(
        variable(&manifest, "KEY"),
        "KEY:  # app.py:3\nsecret: true\n"
    );
    let left_out = "# Left out, because a platform, an image or Python has them: APPDATA, SystemRoot, PYTHONPATH.\n";
    assert!(manifest.contains(left_out), "{manifest}");
    assert!(!manifest.contains("  APPDATA:"), "{manifest}");
}

#[test]
fn names_that_no_manifest_can_have_and_too_many_names_are_no_manifest() {
    let code = format!(
        "import os\nos.environ[\"A\"]\nos.environ[\"B C\"]\nos.environ[\"{}\"]\n",
        "X".repeat(201)
    );
    let manifest = manifest(&[("app/main.py", &code)]);
    assert!(
        manifest.contains("  A: {}") && !manifest.contains("B C") && !manifest.contains("XX"),
        "{manifest}"
    );

    let many: Vec<String> = (0..5001).map(|number| format!("A{number}=\n")).collect();
    let folder = service(&[(".env.example", &many.concat())]);
    init(folder.path(), "")
        .expect_code(65)
        .expect_stderr(". names variables in more than 5000 places; name a smaller folder");
}

#[test]
fn a_file_variable_that_the_code_reads_itself_stays_one() {
    let code = "import os\nos.environ[\"API_TOKEN\"]\nos.environ.get(\"API_TOKEN_FILE\")\n";
    let manifest = manifest(&[("app/main.py", code)]);
    assert_eq!(
        variable(&manifest, "API_TOKEN"),
        "API_TOKEN:  # app/main.py:2\nsecret: true\nfile: false\n"
    );
    assert!(manifest.contains("\n  API_TOKEN_FILE:"), "{manifest}");
}

#[test]
fn the_first_example_file_is_read_and_a_real_one_only_without_an_example() {
    let manifest_of = |files: &[(&str, &str)]| manifest(files);
    let both = manifest_of(&[
        (".env", "REAL=1\n"),
        (".env.sample", "SAMPLE=1\n"),
        ("example.env", "LAST=1\n"),
    ]);
    assert!(
        both.contains("SAMPLE:") && !both.contains("REAL") && !both.contains("LAST"),
        "{both}"
    );
    let real = manifest_of(&[(".env", "# A comment\nREAL=plain\n")]);
    assert_eq!(variable(&real, "REAL"), "REAL: {}  # .env:2\n");
    let with_value = manifest_of(&[(".env", "DATABASE_URL=postgresql://db/app\nA_PORT=80\n")]);
    let without = manifest_of(&[(".env", "DATABASE_URL=\nA_PORT=\n")]);
    assert_eq!(with_value, without, "only the names matter");
}

#[test]
fn of_a_compose_file_only_the_services_that_are_built_from_the_folder_are_read() {
    let compose = "x-shared: &shared {SHARED: a}\nservices:\n  db: {image: postgres, environment: {DB: x}}\n  \
        web: {build: ./web, environment: {WEB: x}}\n  api:\n    build: {context: .}\n    env_file: [{path: ./api.env}, missing.env]\n    \
        environment:\n      <<: *shared\n      COUNT: 3\n  worker: {build: ., environment: [QUEUE=x, BARE]}\n";
    let manifest = manifest(&[
        ("docker-compose.yml", compose),
        ("api.env", "FROM_FILE=1\n"),
    ]);
    let names = part(&manifest, "variables:");
    let names = names
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(':').next());
    let names: Vec<&str> = names.filter(|name| !name.starts_with([' ', '#'])).collect();
    assert_eq!(
        names,
        ["FROM_FILE", "COUNT", "SHARED", "QUEUE", "BARE"],
        "{manifest}"
    );
}

#[test]
fn the_file_is_created_with_the_usual_mode_and_never_overwritten() {
    let folder = service(&[(".env", "A=1\n")]);
    let place = folder.path().join("required-vars.yaml");
    init(folder.path(), "--write").expect_code(0).expect_stdout("").expect_stderr(
        "startup-guard: wrote required-vars.yaml with 1 variable; read it, then run: startup-guard check --env-file .env\n",
    );
    let written = fs::read(&place).expect("it is written");
    assert_eq!(
        fs::metadata(&place).expect("it exists").mode() & 0o133,
        0,
        "it is readable, and no program"
    );
    assert_eq!(
        init(folder.path(), "").expect_code(0).stdout,
        written,
        "the same is printed"
    );

    folder.file("required-vars.yaml", "mine");
    let text =
        "required-vars.yaml exists already and is not changed; name another file with --manifest";
    init(folder.path(), "--write")
        .expect_code(64)
        .expect_stderr(text);
    assert_eq!(fs::read_to_string(&place).expect("it exists"), "mine");

    fs::remove_file(&place).expect("it can be removed");
    symlink("elsewhere.yaml", &place).expect("a link can be made");
    init(folder.path(), "--write")
        .expect_code(64)
        .expect_stderr(text);
    assert!(
        !folder.path().join("elsewhere.yaml").exists(),
        "the link is not followed"
    );
}

#[test]
fn the_file_is_written_where_it_is_named_or_in_the_folder_of_the_service() {
    let folder = service(&[("api/.env", "A=1\n")]);
    let place = folder.path().join("api/required-vars.yaml");
    init(folder.path(), "api --write")
        .expect_code(0)
        .expect_stderr(
            "run: startup-guard check --manifest api/required-vars.yaml --env-file api/.env\n",
        );
    assert!(place.exists());
    init(folder.path(), "api --write --manifest required-vars.yaml").expect_code(0);
    assert!(folder.path().join("required-vars.yaml").exists());
    Guard::new()
        .in_folder(folder.path())
        .env("STARTUP_GUARD_MANIFEST", "named.yaml")
        .line("init api --write")
        .run()
        .expect_code(0);
    assert!(folder.path().join("named.yaml").exists());
    init(folder.path(), "api --write --manifest no/such/folder.yaml")
        .expect_code(71)
        .expect_stderr("no/such/folder.yaml cannot be written: ");
}

#[test]
fn a_folder_without_anything_to_read_is_an_error() {
    let folder = service(&[
        ("README.md", "A=1\n"),
        ("app/main.py", "print()\n"),
        ("Procfile", "web: serve\n"),
    ]);
    let text = ". has no env file, no compose file and no Python code that names a variable";
    init(folder.path(), "--write")
        .expect_code(66)
        .expect_stderr(text);
    assert!(!folder.path().join("required-vars.yaml").exists());
    for path in ["no-such-folder", "README.md"] {
        init(folder.path(), path)
            .expect_code(66)
            .expect_stderr("is not a folder");
    }
}

#[test]
fn files_that_cannot_be_read_are_noted_and_left_out() {
    let folder = service(&[
        ("compose.yaml", "services: [\n"),
        ("app/main.py", "import os\nos.environ[\"A\"]\n"),
    ]);
    symlink("/dev/zero", folder.path().join(".env.example")).expect("a link can be made");
    folder.file("Procfile", "x".repeat(1024 * 1024 + 1));
    let stopped = folder.file("Dockerfile", "");
    fs::set_permissions(stopped, fs::Permissions::from_mode(0o000)).expect("a mode can be set");
    init(folder.path(), "")
        .expect_code(0)
        .expect_stderr("compose.yaml is not valid YAML, so its variables are not in the manifest");
}

/// Names of variables in env files, compose files and code, among them those that YAML 1.1 takes
/// for a truth value or for null.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => "[A-Z][A-Z0-9_]{0,12}(_URL|_KEY|_PORT|_FILE|_ORIGINS|_EMAIL|)",
        1 => "(Y|N|YES|NO|ON|OFF|TRUE|FALSE|NULL)",
    ]
}

/// Values that may have a meaning for YAML, for a shell or for the rules.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9:/@.,#$%&*!?|>'\\[\\]{}~ -]{0,20}",
        "(postgresql|redis|http|sqlite)://[a-z:@./]{0,12}",
        "(true|null|~|no|1e3|0x1F|: |- |# )",
        "\\PC{0,8}",
    ]
}

#[test]
fn whatever_the_files_contain_the_manifest_is_valid_and_has_each_name_once() {
    let entry = || (name(), value());
    let files = (
        proptest::collection::vec(entry(), 0..6),
        proptest::collection::vec(entry(), 0..4),
        proptest::collection::vec((name(), any::<bool>()), 1..6),
        value(),
        value(),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let tested = runner.run(&files, |(example, composed, reads, comment, web)| {
        let quote = |text: &str| serde_json::to_string(text).expect("a text can be written");
        let lines: Vec<String> = example
            .iter()
            .map(|(name, value)| {
                format!(
                    "# {comment}\n{name}='{}'\n",
                    value.replace(['\'', '\\'], "")
                )
            })
            .collect();
        let pairs: Vec<String> = composed
            .iter()
            .map(|(name, value)| format!("      - {}\n", quote(&format!("{name}={value}"))))
            .collect();
        let code: Vec<String> = reads
            .iter()
            .map(|(name, is_required)| {
                if *is_required {
                    format!("os.environ[\"{name}\"]\n")
                } else {
                    format!("os.environ.get(\"{name}\")\n")
                }
            })
            .collect();
        let folder = service(&[
            (".env.example", &lines.concat()),
            (
                "compose.yaml",
                &format!(
                    "services:\n  api:\n    build: .\n    environment:\n{}",
                    pairs.concat()
                ),
            ),
            ("app/main.py", &format!("import os\n{}", code.concat())),
            ("Procfile", &format!("web: serve {web}\n")),
        ]);
        let ended = init(folder.path(), "--write").expect_code(0);
        let checked = Guard::new().in_folder(folder.path()).line("check").run();
        prop_assert!([0, 78].contains(&checked.code()), "{ended}\n{checked}");
        let manifest =
            fs::read_to_string(folder.path().join("required-vars.yaml")).expect("it is written");
        // A mapping with the same key twice is refused here.
        let read: serde_yaml::Value = serde_yaml::from_str(&manifest).expect("it is YAML");
        let none = serde_yaml::Mapping::new();
        let declared = read["variables"].as_mapping().unwrap_or(&none);
        let left_out = manifest
            .lines()
            .find(|line| line.starts_with("  # Left out"))
            .unwrap_or_default();
        let left_out = left_out
            .trim_end_matches('.')
            .rsplit(": ")
            .next()
            .unwrap_or_default();
        let names = example.iter().chain(&composed).map(|(name, _)| name);
        for name in names.chain(reads.iter().map(|(name, _)| name)) {
            let is_declared = declared.contains_key(name.as_str());
            let is_left_out = left_out.split(", ").any(|other| other == name);
            let base = name
                .strip_suffix("_FILE")
                .is_some_and(|base| declared.contains_key(base));
            prop_assert!(
                if is_declared {
                    !is_left_out
                } else {
                    is_left_out || base
                },
                "{name}\n{manifest}"
            );
        }
        Ok(())
    });
    tested.unwrap_or_else(|error| panic!("{error}"));
}
