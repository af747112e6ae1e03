//! A client that logs in to a PostgreSQL server. tokio-postgres speaks the protocol; this module chooses hosts,
//! opens sockets, sets up TLS and explains failures.

mod failure;
mod wire;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout_at;
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::{Failure, FailureKind, dial, in_words, share, tls};
use crate::os::socket::{KeepAliveTimes, keep_alive};
use crate::target::postgres::{Binding, Host, PostgresTarget, Role, TlsMode};

use failure::{Trouble, failure, trouble};
use wire::{Encryption, Wire};

/// How long it may take to close a connection in good order.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Logs in to one database, as often as needed.
pub struct Client {
    database: PostgresTarget,
    /// The `application_name` of its sessions.
    application: String,
    keep_alive: Option<KeepAliveTimes>,
    /// What the URL says of TLS; none until its files have been read.
    tls: Option<Arc<ClientConfig>>,
}

/// A connection that is logged in.
pub struct Session {
    client: tokio_postgres::Client,
    driver: Driver,
    socket: OwnedFd,
}

/// The task that reads and writes for a session. It is aborted when this is dropped: by itself it would keep the
/// connection for as long as an answer is missing.
struct Driver {
    task: AbortHandle,
    /// How the connection came to its end.
    end: watch::Receiver<Option<Failure>>,
}

impl Driver {
    fn spawn(
        connection: impl Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
    ) -> Self {
        let (sender, end) = watch::channel(None);
        let task = tokio::spawn(async move {
            let failure = end_of(connection.await);
            // Nobody receives it any more once the session is dropped.
            let _ = sender.send(Some(failure));
        });
        Self {
            task: task.abort_handle(),
            end,
        }
    }

    async fn end(&self) -> Failure {
        let mut end = self.end.clone();
        let failure = end.wait_for(Option::is_some).await;
        failure
            .ok()
            .and_then(|failure| failure.clone())
            .unwrap_or_else(|| end_of(Ok(())))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    pub fn new(database: PostgresTarget, application: String) -> Self {
        Self {
            database,
            application,
            keep_alive: None,
            tls: None,
        }
    }

    /// The same client, whose connections the kernel closes when the other side is gone.
    pub fn kept_alive(self, times: KeepAliveTimes) -> Self {
        Self {
            keep_alive: Some(times),
            ..self
        }
    }

    /// Logs in to the first host that is there, and is what it has to be. All of them share the time. Blocks its
    /// thread while a connection is made.
    ///
    /// # Errors
    /// Why there is none until then.
    pub async fn connect(&mut self, until: Instant) -> Result<Session, Failure> {
        let mut failure = None;
        let hosts = self.database.hosts.clone();
        for (index, host) in hosts.iter().enumerate() {
            let until = share(until, hosts.len() - index);
            match self.connect_to(host, until).await {
                Ok(session) => return Ok(session),
                // Like libpq, which does not try the next host after a refusal.
                Err(refusal) if refusal.kind == FailureKind::Refused => return Err(refusal),
                Err(other) => failure = failure.or(Some(other)),
            }
        }
        Err(failure.unwrap_or_else(|| Failure::not_yet("it has no host")))
    }

    async fn connect_to(&mut self, host: &Host, until: Instant) -> Result<Session, Failure> {
        let until = match self.database.connect_timeout {
            Some(limit) => until.min(Instant::now() + limit),
            None => until,
        };
        let session = match self.log_in(host, self.database.tls.mode, until).await {
            Ok(session) => session,
            Err(Trouble::WithTls(trouble)) if self.database.tls.mode == TlsMode::Prefer => {
                let plain = self.log_in(host, TlsMode::Disable, until).await;
                // The first failure explains more, unless the second is a refusal of the log-in itself.
                plain.map_err(|other| match other.into_failure() {
                    refusal if refusal.kind == FailureKind::Refused => refusal,
                    _ => trouble,
                })?
            }
            Err(trouble) => return Err(trouble.into_failure()),
        };
        self.check_role(session, until).await
    }

    async fn log_in(
        &mut self,
        host: &Host,
        mode: TlsMode,
        until: Instant,
    ) -> Result<Session, Trouble> {
        let (wire, socket) = self.open(host, until).await?;
        let mut config = self.settings();
        let tls = match (host, mode) {
            // Like libpq, which never encrypts a Unix socket.
            (Host::Socket { .. }, _) | (_, TlsMode::Disable) => None,
            (Host::Network { name, .. }, _) => {
                let name = tls::server_name(name)?;
                Some(Encryption::new(self.tls_config()?, name))
            }
        };
        config.ssl_mode(match (&tls, mode) {
            (None, _) => SslMode::Disable,
            (_, TlsMode::Prefer) => SslMode::Prefer,
            _ => SslMode::Require,
        });
        let is_encrypted = tls.is_some();
        let started = async {
            if let Some(tls) = tls {
                let (client, connection) = config.connect_raw(wire, tls).await?;
                Ok((client, Driver::spawn(connection)))
            } else {
                let (client, connection) = config.connect_raw(wire, NoTls).await?;
                Ok((client, Driver::spawn(connection)))
            }
        };
        match timeout_at(until.into(), started).await {
            Ok(Ok((client, driver))) => Ok(Session {
                client,
                driver,
                socket,
            }),
            Ok(Err(error)) => Err(trouble(&error, is_encrypted)),
            Err(_) => {
                Err(Failure::not_yet("it accepts the connection, and does not answer").into())
            }
        }
    }

    /// Opens a socket. The descriptor is a duplicate of it, for `Session::socket`.
    async fn open(&self, host: &Host, until: Instant) -> Result<(Wire, OwnedFd), Failure> {
        let told = |error: io::Error| Failure::not_yet(in_words(&error));
        match host {
            Host::Network { name, port } => {
                let stream = dial(name, *port, until)?;
                stream.set_nodelay(true).map_err(told)?;
                stream.set_nonblocking(true).map_err(told)?;
                if let Some(times) = self.keep_alive {
                    keep_alive(&stream, times).map_err(told)?;
                }
                let same = stream.as_fd().try_clone_to_owned().map_err(told)?;
                let stream = tokio::net::TcpStream::from_std(stream).map_err(told)?;
                Ok((Wire::new(stream), same))
            }
            Host::Socket { folder, port } => {
                let path = PathBuf::from(folder).join(format!(".s.PGSQL.{port}"));
                // Fails at once where too many others wait to be accepted; a blocking one would wait for ever.
                let stream = UnixStream::connect(path).await.map_err(|error| {
                    if error.kind() == io::ErrorKind::WouldBlock {
                        return Failure::not_yet("too many others wait to be accepted");
                    }
                    told(error)
                })?;
                let same = stream.as_fd().try_clone_to_owned().map_err(told)?;
                Ok((Wire::new(stream), same))
            }
        }
    }

    fn settings(&self) -> tokio_postgres::Config {
        let database = &self.database;
        let mut config = tokio_postgres::Config::new();
        config
            .application_name(&self.application)
            .channel_binding(match database.tls.binding {
                Binding::Disable => ChannelBinding::Disable,
                Binding::Prefer => ChannelBinding::Prefer,
                Binding::Require => ChannelBinding::Require,
            });
        if let Some(user) = &database.user {
            config.user(user);
        }
        if let Some(password) = &database.password {
            config.password(password);
        }
        if let Some(name) = &database.name {
            config.dbname(name);
        }
        if let Some(options) = &database.options {
            config.options(options);
        }
        if database.tls.is_direct {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        config
    }

    /// The files are read once, and not for every attempt: there can be hundreds of root certificates.
    fn tls_config(&mut self) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(config) = &self.tls {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(tls::config(&self.database.tls)?);
        self.tls = Some(Arc::clone(&config));
        Ok(config)
    }

    async fn check_role(&self, session: Session, until: Instant) -> Result<Session, Failure> {
        if self.database.role == Role::Any {
            return Ok(session);
        }
        let row = session.ask("SELECT pg_is_in_recovery()", until).await?;
        let is_standby = row.first().is_some_and(|answer| answer == "t");
        match (self.database.role, is_standby) {
            (Role::Primary, true) => {
                session.close().await;
                Err(Failure::not_yet("it is a standby, which takes no writes"))
            }
            (Role::Standby, false) => {
                session.close().await;
                Err(Failure::not_yet("it is no standby"))
            }
            _ => Ok(session),
        }
    }
}

/// How a connection came to its end.
fn end_of(result: Result<(), tokio_postgres::Error>) -> Failure {
    match result {
        Ok(()) => Failure::not_yet("the connection is closed"),
        Err(error) => failure(&error),
    }
}

impl Session {
    /// Runs one statement, and returns the columns of its first row, with an empty text for NULL.
    ///
    /// # Errors
    /// When the server refuses, the connection is lost, or there is no answer until then.
    pub async fn ask(&self, question: &str, until: Instant) -> Result<Vec<String>, Failure> {
        let asked = async {
            match self.client.simple_query(question).await {
                Ok(answers) => Ok(answers),
                // Only the task of the connection knows why it is closed.
                Err(error) if error.is_closed() => Err(self.driver.end().await),
                Err(error) => Err(failure(&error)),
            }
        };
        let answers = timeout_at(until.into(), asked)
            .await
            .map_err(|_| Failure::not_yet("it does not answer"))??;
        let row = answers.into_iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.ok_or_else(|| Failure::not_yet("it answered with nothing"))?;
        let columns = 0..row.len();
        Ok(columns
            .map(|column| row.get(column).unwrap_or_default().to_owned())
            .collect())
    }

    /// Waits until the connection is lost, and returns why.
    pub async fn lost(&self) -> Failure {
        self.driver.end().await
    }

    /// A duplicate of the connection's socket, which keeps the connection open.
    ///
    /// # Errors
    /// When the system gives no descriptor.
    pub fn socket(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    /// Tells the server that the connection ends, and closes it.
    pub async fn close(self) {
        drop(self.client);
        let _ = tokio::time::timeout(CLOSE_LIMIT, self.driver.end()).await;
    }
}
