//! The server that most tests share, and the tests' own sessions on it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::postgres::Postgres;

/// A test's own database on the shared server.
pub struct Database {
    pub name: String,
    /// The URL, with the password.
    pub url: String,
}

impl Database {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Sql::on(shared()).run(&format!("CREATE DATABASE {name}"));
        let url = of_database(shared(), &name);
        Self { name, url }
    }

    pub fn sql(&self) -> Sql {
        Sql::on(&self.url)
    }

    pub fn password(&self) -> &str {
        let user = self.url.split('@').next().unwrap_or_default();
        user.rsplit(':').next().expect("the URL has a password")
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> &str {
        let after = self.url.rsplit('@').next().unwrap_or_default();
        after.split('/').next().expect("the URL has a host")
    }

    /// The URL with another user, host, database or query.
    pub fn url_with(&self, from: &str, to: &str) -> String {
        assert!(self.url.contains(from), "{from}");
        self.url.replacen(from, to, 1)
    }
}

/// The URL of the shared server, which runs as long as this process.
pub fn shared() -> &'static str {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    &SERVER
        .get_or_init(|| Postgres::start_with(&["max_connections=300"]))
        .url
}

/// The URL of another database.
pub fn of_database(url: &str, name: &str) -> String {
    let (server, _) = url.rsplit_once('/').expect("the URL has a database");
    format!("{server}/{name}")
}

/// A test's own session.
pub struct Sql {
    runtime: Runtime,
    client: Client,
}

impl Sql {
    pub fn on(url: &str) -> Self {
        Self::try_on(url).expect("the test can log in")
    }

    pub fn try_on(url: &str) -> Result<Self, String> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let config: Config = url.parse().expect("the URL is sound");
        let tokio_postgres::config::Host::Tcp(host) = &config.get_hosts()[0] else {
            panic!("the URL has a network's host")
        };
        let address = (host.clone(), config.get_ports()[0]);
        let client = runtime.block_on(async {
            let stream = TcpStream::connect(address)
                .await
                .map_err(|error| error.to_string())?;
            let (client, connection) = config
                .connect_raw(stream, NoTls)
                .await
                .map_err(|error| error.to_string())?;
            tokio::spawn(connection);
            Ok::<_, String>(client)
        })?;
        Ok(Self { runtime, client })
    }

    /// Runs statements, and returns the first column of every row.
    pub fn run(&self, statements: &str) -> Vec<String> {
        let answers = self
            .runtime
            .block_on(self.client.simple_query(statements))
            .unwrap_or_else(|error| panic!("{statements}: {error:?}"));
        let rows = answers.into_iter().filter_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        });
        rows.collect()
    }

    /// The `application_name` of each guard's session in this database.
    pub fn guards(&self) -> Vec<String> {
        self.run(
            "SELECT application_name FROM pg_stat_activity
             WHERE application_name LIKE 'startup-guard%' AND datname = current_database()",
        )
    }

    /// Terminates the sessions of guards.
    pub fn terminate_guards(&self) -> usize {
        let ended = self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name LIKE 'startup-guard%' AND datname = current_database()",
        );
        ended.len()
    }
}
