//! Measures what users feel: the time until the example service is healthy, and until the last of several replicas
//! hands over, with a real uvicorn, alembic and PostgreSQL.

use std::fs;
use std::io;
use std::process::Command;
use std::time::Duration;

use crate::database::{self, CONNECTIONS, Postgres, search_path};
use crate::fleet::{Ended, free_port, together, until_healthy};
use crate::report;
use crate::statistics::{paired_ratio, summary};
use crate::workshop::{self, GUARD};

/// The number of rounds until one service is healthy, and of rounds of a whole fleet.
const ROUNDS: usize = 9;
const FLEET_ROUNDS: usize = 3;
/// The number of rounds with nothing to do, which are short.
const SHORT_ROUNDS: usize = 25;
/// The numbers of replicas in a fleet.
const FLEETS: [usize; 3] = [1, 4, 16];
/// The port of a server that does not listen.
const PORT: u16 = 8000;
/// How long a fleet may take.
const LIMIT: Duration = Duration::from_mins(3);
/// How long a fleet with the lock by hand may take, which can wait forever.
const LIMIT_BY_HAND: Duration = Duration::from_secs(20);

const BUILT_IN: &str = "guard, built-in question";
const PYTHON: &str = "guard, question in Python";
const SCRIPT: &str = "script";
const UVICORN: &str = "uvicorn alone";
const ALEMBIC: &str = "plain alembic";
const BY_HAND: &str = "pg_advisory_lock by hand";

/// A name of the guard with a question whether there are migrations to run, and that question in the manifest.
type Question = (&'static str, &'static str);

const QUESTIONS: [Question; 2] = [
    (BUILT_IN, "{alembic: DATABASE_URL}"),
    (PYTHON, "[alembic, current, --check-heads]"),
];

const UVICORN_COMMAND: &str = "exec uvicorn app.main:app --host 127.0.0.1 --port \"$PORT\"";
const SCRIPT_COMMAND: &str =
    "alembic upgrade head && exec uvicorn app.main:app --host 127.0.0.1 --port \"$PORT\"";
const ALEMBIC_COMMAND: &str = "exec alembic upgrade head";
/// One session takes the lock and keeps it while it runs alembic. An error of alembic becomes an error of the session.
const BY_HAND_COMMAND: &str = "psql -X -q -v ON_ERROR_STOP=1 \"$DATABASE_URL\" <<'.'
SELECT pg_advisory_lock(42);
\\! alembic upgrade head
\\if :SHELL_ERROR
DO $$ BEGIN RAISE 'alembic failed'; END $$;
\\endif
.";

const HEALTHY_SERVER: &str =
    "[uvicorn, 'app.main:app', --host, 127.0.0.1, --port, \"${PORT:-8000}\"]";
const TRIVIAL_SERVER: &str = "['true']";

/// A way to start the service or to migrate, with its results.
struct Way {
    name: &'static str,
    words: Vec<String>,
    seconds: Vec<f64>,
    /// The number of replicas that were started, that failed, and that did not end.
    started: usize,
    failed: usize,
    hung: usize,
}

impl Way {
    fn new<W: Into<String>>(name: &'static str, words: impl IntoIterator<Item = W>) -> Self {
        Self {
            name,
            words: words.into_iter().map(Into::into).collect(),
            seconds: Vec::new(),
            started: 0,
            failed: 0,
            hung: 0,
        }
    }

    fn shell(name: &'static str, script: &str) -> Self {
        Self::new(name, ["sh", "-c", script])
    }

    fn command(&self, url: &str, port: u16) -> io::Result<Command> {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).env_clear();
        command.envs(workshop::sound_environment());
        let variables = [
            ("PATH", search_path()?),
            ("DATABASE_URL", url.to_owned()),
            ("PORT", port.to_string()),
        ];
        command.envs(variables);
        Ok(command)
    }

    /// Starts the service and records the time until it is healthy.
    fn serve(&mut self, url: &str) -> io::Result<()> {
        let port = free_port()?;
        let time = until_healthy(self.command(url, port)?, port);
        let time = time.map_err(|error| io::Error::other(format!("{}: {error}", self.name)))?;
        self.seconds.push(time.as_secs_f64());
        Ok(())
    }

    /// Starts replicas and records the time until the last one has ended.
    fn migrate(&mut self, count: usize, url: &str) -> io::Result<()> {
        let limit = if self.name == BY_HAND {
            LIMIT_BY_HAND
        } else {
            LIMIT
        };
        let commands = (0..count).map(|_| self.command(url, PORT));
        let commands = commands.collect::<io::Result<Vec<_>>>()?;
        let Ended { time, failed, hung } = together(commands, limit)?;
        self.seconds.push(time.as_secs_f64());
        self.started += count;
        self.failed += failed;
        self.hung += hung;
        Ok(())
    }
}

/// Makes all measurements of the service, and prints the results.
pub fn run() -> io::Result<()> {
    report::headline("The example service, with alembic, uvicorn and PostgreSQL");
    if !database::is_installed() {
        report::left_out("service", "there is no target/venv; run `make venv`");
        return Ok(());
    }
    let folder = workshop::enter_scratch("service")?;
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/intowork-backend/.");
    Command::new("cp").args(["-r", example, "."]).status()?;
    let mut postgres = Postgres::start(CONNECTIONS)?;

    let migrated = postgres.create_database()?;
    let mut upgrade = Way::shell(ALEMBIC, ALEMBIC_COMMAND);
    upgrade.migrate(1, &migrated)?;
    if upgrade.failed > 0 {
        let reason = format!("alembic failed in {}", folder.display());
        report::left_out("service", &reason);
        return Ok(());
    }
    let questions = known_questions(&migrated)?;
    let mut ways = guards(&questions, HEALTHY_SERVER)?;
    ways.push(Way::shell(SCRIPT, SCRIPT_COMMAND));
    ways.push(Way::shell(UVICORN, UVICORN_COMMAND));
    in_turn(&mut ways, ROUNDS, |way| way.serve(&migrated))?;
    print("nothing to migrate, until /health answers 200", &ways);
    ratios(&ways, &[(SCRIPT, Some(0.6)), (UVICORN, Some(1.1))]);

    let mut ways = guards(&questions, HEALTHY_SERVER)?;
    ways.push(Way::shell(SCRIPT, SCRIPT_COMMAND));
    in_turn(&mut ways, ROUNDS, |way| {
        way.serve(&postgres.create_database()?)
    })?;
    print("all migrations pending, until /health answers 200", &ways);
    ratios(&ways, &[(SCRIPT, Some(1.05))]);

    nothing_to_do(&questions, &migrated)?;
    for count in FLEETS {
        pending(&questions, &mut postgres, count)?;
    }
    Ok(())
}

/// Measures the guard alone with migrations already done, and as many guards as there are processors.
fn nothing_to_do(questions: &[Question], migrated: &str) -> io::Result<()> {
    let count = std::thread::available_parallelism()?.get();
    for mut one in guards(questions, TRIVIAL_SERVER)? {
        // In the same rounds.
        let mut many = Way::new(one.name, one.words.clone());
        for _ in 0..SHORT_ROUNDS {
            one.migrate(1, migrated)?;
            many.migrate(count, migrated)?;
        }
        let what = format!("{}: {count} together ÷ 1", one.name);
        let is_built_in = one.name == BUILT_IN;
        let ratio = paired_ratio(&many.seconds, &one.seconds);
        print(
            &format!("nothing to migrate, until the last of 1 and of {count} hands over"),
            &[one, many],
        );
        ratio_line(&what, ratio, is_built_in.then_some(1.3));
    }
    Ok(())
}

/// Measures `count` replicas on an empty database.
fn pending(questions: &[Question], postgres: &mut Postgres, count: usize) -> io::Result<()> {
    let mut ways = guards(questions, TRIVIAL_SERVER)?;
    ways.push(Way::shell(ALEMBIC, ALEMBIC_COMMAND));
    ways.push(Way::shell(BY_HAND, BY_HAND_COMMAND));
    in_turn(&mut ways, FLEET_ROUNDS, |way| {
        // After it has waited for itself once, it would do so again.
        if way.hung > 0 {
            return Ok(());
        }
        way.migrate(count, &postgres.create_database()?)
    })?;
    let what = format!("all migrations pending, {count} replicas, until the last one hands over");
    print(&what, &ways);
    // Only the largest fleet has a goal.
    let goal = (count == FLEETS[2]).then_some(0.5);
    ratios(&ways, &[(ALEMBIC, goal), (BY_HAND, None)]);
    Ok(())
}

/// The questions that this guard knows. Prints those that it does not.
fn known_questions(url: &str) -> io::Result<Vec<Question>> {
    let mut known = Vec::new();
    for question in QUESTIONS {
        let file = manifest(question, TRIVIAL_SERVER)?;
        let check = Way::new(question.0, [GUARD, "check", "--manifest", &file]);
        let checked = check.command(url, PORT)?.output()?;
        if checked.status.success() {
            known.push(question);
        } else {
            let reason = format!("its check ended with {}", checked.status);
            report::left_out(question.0, &reason);
        }
    }
    Ok(known)
}

/// The guard with each question and this server.
fn guards(questions: &[Question], server: &str) -> io::Result<Vec<Way>> {
    let guard = |&question: &Question| {
        let file = manifest(question, server)?;
        Ok(Way::new(question.0, [GUARD, "run", "--manifest", &file]))
    };
    questions.iter().map(guard).collect()
}

/// Writes the example's manifest with this question and this server, and returns its name.
fn manifest((name, question): Question, server: &str) -> io::Result<String> {
    let manifest = format!(
        "{}wait_for: [{{postgres: DATABASE_URL}}]
steps:
  - name: migrate
    command: [alembic, upgrade, head]
    timeout: 10m
    stop_signal: INT
    up_to_date: {question}
    lock: {{postgres: DATABASE_URL}}
server: {{command: {server}}}
",
        workshop::example_variables()?
    );
    let file = format!("{name}.yaml");
    fs::write(&file, manifest)?;
    Ok(file)
}

/// Measures all ways one after the other in each round, every other round in the reverse order.
fn in_turn(
    ways: &mut [Way],
    rounds: usize,
    mut measure: impl FnMut(&mut Way) -> io::Result<()>,
) -> io::Result<()> {
    for round in 0..rounds {
        if round.is_multiple_of(2) {
            ways.iter_mut().try_for_each(&mut measure)?;
        } else {
            ways.iter_mut().rev().try_for_each(&mut measure)?;
        }
    }
    Ok(())
}

fn print(what: &str, ways: &[Way]) {
    println!("  {what}");
    for way in ways {
        let of = way.started;
        if way.hung > 0 {
            let (name, hung, limit) = (way.name, way.hung, LIMIT_BY_HAND);
            println!(
                "    {name:26} HUNG: {hung} of {of} had not ended after {limit:?} and were stopped"
            );
            continue;
        }
        let seen = summary(&way.seconds);
        let failed = match way.failed {
            0 => String::new(),
            failed => format!("; {failed} of {of} FAILED"),
        };
        println!(
            "    {:26} {:>7.3} s (the median of {}, from {:.3} to {:.3}){failed}",
            way.name,
            seen.median,
            way.seconds.len(),
            seen.minimum,
            seen.maximum,
        );
    }
}

/// Prints the ratios of the guard's times to those of the other ways, by round. The goals are those of the built-in
/// question.
fn ratios(ways: &[Way], bases: &[(&str, Option<f64>)]) {
    for guard in ways {
        let is_built_in = guard.name == BUILT_IN;
        if !is_built_in && guard.name != PYTHON {
            continue;
        }
        for (name, goal) in bases {
            for base in ways.iter().filter(|way| way.name == *name && way.hung == 0) {
                let ratio = paired_ratio(&guard.seconds, &base.seconds);
                let what = format!("{} ÷ {name}", guard.name);
                ratio_line(&what, ratio, goal.filter(|_| is_built_in));
            }
        }
        if guard.started > 0 {
            let failed = guard.failed + guard.hung;
            let what = format!("{}: replicas that failed", guard.name);
            let seen = format_args!("{failed} of {}", guard.started);
            report::line(failed == 0, &what, seen);
        }
    }
}

/// Prints a ratio, and whether it meets its goal if it has one.
fn ratio_line(what: &str, ratio: f64, goal: Option<f64>) {
    match goal {
        Some(goal) => report::goal(what, ratio, goal),
        None => println!("           {what}: {ratio:.3}"),
    }
}
