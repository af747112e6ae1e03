//! Asking once whether something is ready. On a helper thread: it blocks.

use std::io;
use std::time::{Duration, Instant};

use crate::net::{Failure, dial, http, share};
use crate::target::{HttpTarget, Target};

#[cfg(feature = "postgres")]
use crate::net::postgres::Client;

/// How long one attempt may take. A database that was put to sleep takes seconds to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks one endpoint, again and again.
pub enum Probe {
    #[cfg(feature = "postgres")]
    Postgres(Box<Client>, tokio::runtime::Runtime),
    Tcp(Target),
    Http(HttpTarget),
}

impl Probe {
    /// # Errors
    /// When the system does not give what it needs.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unnecessary_wraps, reason = "only a database needs something")
    )]
    pub fn new(endpoint: Target) -> io::Result<Self> {
        Ok(match endpoint {
            #[cfg(feature = "postgres")]
            Target::Postgres(database) => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                let client = Client::new(*database, "startup-guard".to_owned());
                Probe::Postgres(Box::new(client), runtime)
            }
            Target::Http(page) => Probe::Http(page),
            endpoint @ Target::Tcp(_) => Probe::Tcp(endpoint),
        })
    }

    /// Asks once.
    ///
    /// # Errors
    /// Why it is not ready.
    pub fn ask(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + LIMIT;
        match self {
            #[cfg(feature = "postgres")]
            Probe::Postgres(client, runtime) => runtime.block_on(async {
                let session = client.connect(until).await?;
                // A pool may let us in before its database does.
                let answer = session.ask("SELECT 1", until).await;
                session.close().await;
                answer.map(drop)
            }),
            Probe::Http(page) => match http::status(page, until)? {
                200..=299 => Ok(()),
                status => Err(Failure::not_yet(format!("it answers with {status}"))),
            },
            Probe::Tcp(endpoint) => connect(endpoint, until),
        }
    }
}

/// Connects to any of the addresses, which share the time.
fn connect(endpoint: &Target, until: Instant) -> Result<(), Failure> {
    let Target::Tcp(addresses) = endpoint else {
        return Ok(());
    };
    let mut failure = None;
    for (index, address) in addresses.iter().enumerate() {
        let until = share(until, addresses.len() - index);
        match dial(&address.host, address.port, until) {
            Ok(_) => return Ok(()),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| Failure::not_yet("it has no address")))
}
