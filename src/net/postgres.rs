//! A client of PostgreSQL servers. tokio-postgres implements the protocol. This module chooses hosts, opens sockets,
//! sets up TLS and explains errors.

use std::error::Error as _;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};
use tokio_postgres::error::SqlState;

use super::ErrorKind::{self, Impossible, NoRoom, NotYet, Refused};
use super::wire::{Encryption, Wire};
use super::{Error, dial, first_of, tls};
use crate::os::keep_alive;
use crate::targets::postgres::{PostgresTarget, socket};

/// The ALPN protocol name, which is required if a connection begins with TLS (`sslnegotiation=direct`).
const ALPN: &[u8] = b"postgresql";

/// How long it may take to close a connection cleanly.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// The time without data after which the kernel probes a connection, and the interval of further probes.
const PROBE_AFTER: Duration = Duration::from_secs(4);
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// The time without an acknowledgement after which the kernel closes a connection.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(10);

/// A session that is logged in. Do not use it again after an error.
pub struct Session {
    client: tokio_postgres::Client,
    /// The task that reads and writes while the runtime runs. Its result is the reason why the connection has ended.
    connection: JoinHandle<Error>,
    /// A duplicate of the connection's socket, which keeps the connection open.
    pub socket: OwnedFd,
    runtime: Runtime,
}

/// Logs in to the first host that accepts the log-in and has the role that `target_session_attrs` requires.
/// `application` becomes the session's `application_name`.
///
/// # Errors
/// If there is no such host until `until`.
pub fn connect(
    database: &PostgresTarget,
    application: &str,
    until: Instant,
) -> Result<Session, Error> {
    let hosts: Vec<(&Host, u16)> = database.hosts().collect();
    first_of(&hosts, until, |&host, mut until| {
        if let Some(&limit) = database.config.get_connect_timeout() {
            until = until.min(Instant::now() + limit);
        }
        let attempt = Attempt {
            database,
            application,
            host,
            until,
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (client, connection, socket) = runtime.block_on(attempt.log_in())?;
        let mut session = Session {
            client,
            connection,
            socket,
            runtime,
        };
        let role = database.config.get_target_session_attrs();
        if role == TargetSessionAttrs::Any {
            return Ok(session);
        }
        let is_standby = session.ask_bool("SELECT pg_is_in_recovery()", until)?;
        let reason = match (role, is_standby) {
            (TargetSessionAttrs::ReadWrite, true) => "it is a standby, which accepts no writes",
            (TargetSessionAttrs::ReadOnly, false) => "it is not a standby",
            _ => return Ok(session),
        };
        session.close();
        Err(Error::not_yet(reason))
    })
}

/// An attempt to log in to one host.
struct Attempt<'a> {
    database: &'a PostgresTarget,
    application: &'a str,
    host: (&'a Host, u16),
    until: Instant,
}

type Parts = (tokio_postgres::Client, JoinHandle<Error>, OwnedFd);

impl Attempt<'_> {
    async fn log_in(&self) -> Result<Parts, Error> {
        let mode = match self.host.0 {
            // Unix sockets are never encrypted, as in libpq.
            Host::Unix(_) => SslMode::Disable,
            Host::Tcp(_) => self.database.config.get_ssl_mode(),
        };
        let encrypted = match self.log_in_with(mode).await? {
            Err(error) if mode == SslMode::Prefer && is_of_tls(&error) => explain(&error),
            Err(error) if mode == SslMode::Disable && wants_tls(&error) => {
                return Err(explained(
                    ErrorKind::Refused,
                    "it admits encrypted connections only, or none from this host",
                    error.code().map_or("", SqlState::code),
                    "remove sslmode=disable from the URL, or add a line for this host to the server's pg_hba.conf",
                ));
            }
            result => return result.map_err(|error| explain(&error)),
        };
        let plain = self.log_in_with(SslMode::Disable).await;
        let plain = plain.and_then(|result| result.map_err(|error| explain(&error)));
        // The first error is more helpful, unless the second one is that the server refuses the log-in itself.
        plain.map_err(|plain| match (encrypted.kind, plain.kind) {
            // It admits only encrypted connections.
            (Refused, Refused) if plain.reason.contains("pg_hba.conf") => encrypted,
            (_, Refused) => plain,
            // Without TLS the server may become ready.
            (Impossible, kind) => Error { kind, ..encrypted },
            _ => encrypted,
        })
    }

    /// Makes one attempt to log in. The inner error is that of tokio-postgres, not explained yet.
    async fn log_in_with(
        &self,
        mode: SslMode,
    ) -> Result<Result<Parts, tokio_postgres::Error>, Error> {
        let mut config = self.database.config.clone();
        config.application_name(self.application).ssl_mode(mode);
        let is_encrypted = mode != SslMode::Disable;
        let is_direct = is_encrypted && config.get_ssl_negotiation() == SslNegotiation::Direct;
        let (wire, socket) = self.open(is_direct).await?;
        let encryption = match self.host.0 {
            Host::Tcp(name) if is_encrypted => {
                let mut config = tls::config(&self.database.tls, &tls::DATABASE)?;
                if is_direct {
                    config.alpn_protocols = vec![ALPN.to_vec()];
                }
                Some((Arc::new(config), tls::server_name(name)?))
            }
            _ => None,
        };
        let started = config.connect_raw(wire, Encryption(encryption));
        let started = timeout_at(self.until.into(), started).await;
        let started =
            started.map_err(|_| Error::not_yet("it accepts the connection but does not answer"))?;
        Ok(started.map(|(client, connection)| {
            let connection = tokio::spawn(async {
                match connection.await {
                    Ok(()) => Error::not_yet(CLOSED),
                    Err(error) => explain(&error),
                }
            });
            (client, connection, socket)
        }))
    }

    /// Opens a socket. Returns the connection, and a duplicate of its file descriptor.
    async fn open(&self, is_direct: bool) -> Result<(Wire, OwnedFd), Error> {
        match self.host {
            (Host::Tcp(name), port) => {
                let stream = dial(name, port, self.until)?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                keep_alive(&stream, PROBE_AFTER, PROBE_INTERVAL, UNACKNOWLEDGED_LIMIT)?;
                let socket = stream.as_fd().try_clone_to_owned()?;
                let stream = TcpStream::from_std(stream)?;
                Ok((Wire::new(stream, is_direct), socket))
            }
            (Host::Unix(folder), port) => {
                // While the server's backlog is full, a blocking connect would wait forever. This one fails at once.
                let stream = UnixStream::connect(socket(folder, port)).await;
                let stream = stream.map_err(|error| match error.kind() {
                    io::ErrorKind::WouldBlock => Error::not_yet("its queue of connections is full"),
                    kind => kind.into(),
                })?;
                let socket = stream.as_fd().try_clone_to_owned()?;
                Ok((Wire::new(stream, false), socket))
            }
        }
    }
}

impl Session {
    /// Runs statements, and returns the first column of the first row. NULL becomes an empty text.
    ///
    /// # Errors
    /// If the server reports an error, the connection is lost, or there is no answer until `until`.
    pub fn ask(&mut self, question: &str, until: Instant) -> Result<String, Error> {
        self.ask_if_accepted(question, until)?
            .map_err(|code| by_code(&code, ""))
    }

    /// Like `ask`. The inner error is the SQLSTATE of an error that the server reports.
    ///
    /// # Errors
    /// If the connection is lost, or there is no answer until `until`.
    pub fn ask_if_accepted(
        &mut self,
        question: &str,
        until: Instant,
    ) -> Result<Result<String, String>, Error> {
        let asked = async {
            match self.client.simple_query(question).await {
                Err(error) if error.is_closed() => Err(end_of(&mut self.connection).await),
                Err(error) => match error.code() {
                    Some(code) => Ok(Err(code.code().to_owned())),
                    None => Err(explain(&error)),
                },
                Ok(answers) => Ok(Ok(answers)),
            }
        };
        let answers = self
            .runtime
            .block_on(async { timeout_at(until.into(), asked).await })
            .map_err(|_| Error::not_yet("it does not answer"))??;
        let answers = match answers {
            Ok(answers) => answers,
            Err(code) => return Ok(Err(code)),
        };
        let value = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        });
        let value = value.ok_or_else(|| Error::not_yet("it returned no row"))?;
        Ok(Ok(value))
    }

    /// Like `ask`, for a statement that returns a boolean.
    pub fn ask_bool(&mut self, question: &str, until: Instant) -> Result<bool, Error> {
        Ok(self.ask(question, until)? == "t")
    }

    /// Waits until the future is ready, but no longer than `limit`. Returns whether it is ready.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn wait_for(
        &mut self,
        future: impl Future + Unpin,
        limit: Duration,
    ) -> Result<bool, Error> {
        self.runtime.block_on(async {
            tokio::select! {
                error = end_of(&mut self.connection) => Err(error),
                _ = future => Ok(true),
                () = sleep(limit) => Ok(false),
            }
        })
    }

    /// Ends the session and closes the connection.
    pub fn close(mut self) {
        drop(self.client);
        if !self.connection.is_finished() {
            let closed = async { timeout(CLOSE_LIMIT, &mut self.connection).await };
            let _ = self.runtime.block_on(closed);
        }
    }
}

/// The reason why the connection ended.
async fn end_of(connection: &mut JoinHandle<Error>) -> Error {
    let end = connection.await;
    end.unwrap_or_else(|_| Error::not_yet(CLOSED))
}

/// Whether the error is about TLS, so that the same log-in may succeed without it.
fn is_of_tls(error: &tokio_postgres::Error) -> bool {
    // `pg_hba.conf` can reject encrypted connections.
    let is_unwanted = error.code().is_some_and(|code| code.code() == "28000");
    is_unwanted || tls_error(error).is_some()
}

fn tls_error(error: &tokio_postgres::Error) -> Option<Error> {
    tls::explain(system_error(error)?, &tls::DATABASE)
}

/// The first I/O error among the causes of an error.
fn system_error(error: &tokio_postgres::Error) -> Option<&io::Error> {
    std::iter::successors(error.source(), |&cause| cause.source())
        .find_map(|cause| cause.downcast_ref())
}

const CLOSED: &str = "the connection is closed";
const NOT_POSTGRES: &str = "its answer is not in the PostgreSQL protocol";

/// Whether a server or a pool refuses the connection because it is not encrypted.
fn wants_tls(error: &tokio_postgres::Error) -> bool {
    const PARTS: &str =
        "no encryption|SSL off|SSL required|SSL connection is required|requires TLS|is insecure";
    let message = error.as_db_error().map_or("", |error| error.message());
    PARTS.split('|').any(|part| message.contains(part))
}

/// Explains an error. The text of an error from the server is never shown: it can contain the names of roles and
/// databases, which are parts of a declared value.
fn explain(error: &tokio_postgres::Error) -> Error {
    if let Some(error) = error.as_db_error() {
        return by_code(error.code().code(), error.message());
    }
    if let Some(error) = tls_error(error) {
        return error;
    }
    if let Some(cause) = system_error(error) {
        use io::ErrorKind as Kind;
        let own: Option<&Error> = cause.get_ref().and_then(|cause| cause.downcast_ref());
        return match (own, cause.kind()) {
            (Some(own), _) => own.clone(),
            (None, Kind::InvalidData | Kind::InvalidInput | Kind::Other) => {
                Error::not_yet(NOT_POSTGRES)
            }
            (None, kind) => kind.into(),
        };
    }
    // These texts are from the client itself, and contain nothing of the URL.
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    let known = by_row(CLIENT, &format!("{error}: {cause}"));
    known.unwrap_or_else(|| Error::not_yet(NOT_POSTGRES))
}

/// Stands for the SQLSTATE of the client's own errors.
const CLIENT: &str = "client";

/// Errors of servers and pools, and of the client: the SQLSTATE (empty: any), a part of the message, the first letter of the kind, the
/// problem, and the remedy. The first row that matches counts. A server may write its messages in another language.
const REASONS: &str = "\
28P01||R|it refuses the password|set the password that the role has: a data volume keeps the one that it was created with, whatever POSTGRES_PASSWORD is later
28000|client certificate|R|it requires a client certificate|set sslcert and sslkey in the URL
28000|pg_hba.conf|R|its pg_hba.conf admits no such connection from this host|add a line for this host, role and database
28000|does not exist|R|there is no such role|create it, or correct the user in the URL; POSTGRES_USER has no effect on a data volume that exists
28000|log in|R|the role may not log in|change it with ALTER ROLE … LOGIN
28000||R|it refuses the role, or connections from this host|check the role, and the server's pg_hba.conf
3D000||R|there is no such database|create it, or correct its name, in which upper case counts; POSTGRES_DB has no effect on a data volume that exists
42501||R|the role may not connect to the database|permit it with GRANT CONNECT ON DATABASE
53300||-|it has too many clients already|
57P03||N|it is starting up, or shutting down|
57P01||N|it ended the connection|
57P02||N|it ended the connection|
57P05||N|it ended the connection|
42704|configuration parameter|I|it rejects a parameter in `options` of the URL|remove it
22023|for parameter|I|it rejects a parameter in `options` of the URL|correct it
0A000|option|I|it rejects a parameter of the URL, such as `options`|remove it, or use the direct URL instead of a pool's
|nsupported startup parameter|I|it rejects a parameter of the URL, such as `options`|remove it, or use the direct URL instead of a pool's
08P01|no such user|R|the pool has no such user|add it to the pool's auth_file, or correct the user in the URL
08P01|no such database|R|the pool has no such database|add it to the pool's [databases], or correct its name in the URL
08P01|auth|R|the pool refuses the log-in|set the password that the pool has for the role
08P01|max_client_conn|-|the pool has too many clients already|
XX000|enant|R|the pool has no such tenant or user|copy the URL from the provider again: its user contains the project, such as postgres.PROJECT
|ndpoint ID is not specified|I|it needs the endpoint's own host name|copy the URL from the provider again
|ndpoint has been disabled|I|its endpoint is disabled|enable it with the provider
client|password missing|R|it requires a password, and the URL has none|
client|server does not support TLS|I|it does not support TLS, which sslmode requires|remove sslmode from the URL, or enable TLS on the server (ssl = on)
client|channel binding|I|it does not support channel binding, which the URL requires|remove channel_binding from the URL
client|closed|N|it closed the connection|
client|authentication|R|it requires an authentication method that startup-guard does not support|";

/// Explains an error from the server by its SQLSTATE, and by its message if that is known.
fn by_code(code: &str, message: &str) -> Error {
    // A SQLSTATE has five alphanumeric characters. Anything else could be any text from the server.
    if code.len() != 5 || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Error::not_yet(NOT_POSTGRES);
    }
    by_row(code, message)
        .unwrap_or_else(|| Error::not_yet(format!("it answers with the error {code}")))
}

/// Explains an error by the first row that matches.
fn by_row(code: &str, message: &str) -> Option<Error> {
    REASONS.lines().find_map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let [sqlstate, part, kind, problem, remedy] = *cells else {
            return None;
        };
        let kind = match kind {
            "R" => Refused,
            "I" => Impossible,
            "N" => NotYet,
            _ => NoRoom,
        };
        let is_code = sqlstate.is_empty() || sqlstate == code;
        (is_code && message.contains(part)).then(|| explained(kind, problem, code, remedy))
    })
}

fn explained(kind: ErrorKind, problem: &str, code: &str, remedy: &str) -> Error {
    let mut reason = problem.to_owned();
    if code != CLIENT {
        reason += &format!(" ({code})");
    }
    if !remedy.is_empty() {
        reason += &format!("; {remedy}");
    }
    Error { kind, reason }
}

#[cfg(test)]
mod tests {
    use super::{CLIENT, ErrorKind, REASONS, by_code};

    #[test]
    fn every_row_of_the_reasons_is_complete() {
        for row in REASONS.lines() {
            let cells: Vec<&str> = row.split('|').collect();
            assert_eq!(cells.len(), 5, "{row}");
            assert!(["R", "I", "N", "-"].contains(&cells[2]), "{row}");
            let is_final = matches!(cells[2], "R" | "I");
            let is_of_client = cells[0] == CLIENT;
            assert!(is_of_client || cells[4].is_empty() != is_final, "{row}");
        }
        assert_eq!(by_code("53300", "").kind, ErrorKind::NoRoom);
        assert_eq!(
            by_code("53300", "").reason,
            "it has too many clients already (53300)"
        );
    }
}
