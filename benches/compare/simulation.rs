//! Simulates many replicas that wait for the lock while one migrates, in virtual time and with the guard's own pauses.
//!
//! The model: the database has a few processors, which all its sessions share equally, and a limited number of
//! connections. An attempt occupies a connection until it ends. If there is none, the server refuses the attempt, which
//! takes processor time as well. The model leaves out the time of the network, the queue of connections that the server
//! has not accepted yet, and the load of the migration itself.

#![expect(
    clippy::cast_precision_loss,
    reason = "the counts are far below the precision of f64"
)]

// Cargo also checks benchmarks as tests, and then the file's own tests are not run.
#[allow(unused, reason = "the tests of the file are the guard's")]
#[path = "../../src/startup/backoff.rs"]
mod backoff;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use self::backoff::Backoff;
use crate::report;

/// The processor time of the server for an attempt: a log-in with SCRAM and two queries. Measured with PostgreSQL 18 on
/// two virtual x86-64 processors, as are the next two.
const ATTEMPT: Duration = Duration::from_micros(3200);
/// The rest of the time during which an attempt occupies a connection, most of which is the processor time of the guard.
const CLIENT: Duration = Duration::from_micros(2800);
/// The processor time of the server for an attempt that it refuses because it has no free connection.
const REFUSAL: Duration = Duration::from_micros(700);

/// The number of the server's processors.
const PROCESSORS: u64 = 2;
/// The default limit of PostgreSQL, 100, without the three connections that it reserves for superusers.
const CONNECTIONS: usize = 97;

/// The pauses of a wait for the lock, as in `src/startup/lock.rs`.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(400));
/// The time within which all replicas start.
const START: Duration = Duration::from_secs(1);
/// The end of the migration.
const MIGRATED: Duration = Duration::from_secs(30);
/// The time after which the load is averaged, until the end of the migration.
const STEADY: Duration = Duration::from_secs(5);
/// The interval at which the migration opens a connection.
const HOLDER_INTERVAL: Duration = Duration::from_millis(100);

/// The numbers of replicas.
const COUNTS: [usize; 3] = [100, 1_000, 10_000];

/// Who makes an attempt: a waiting replica with its number, or the migration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    Waiter(usize),
    Holder,
}

/// What happens at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// An attempt begins.
    Begin(Client),
    /// An attempt that had a connection ends.
    End(Client, Duration),
}

/// The work of the server for an attempt.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Work {
    /// The value of `Model::progress` at which it is done.
    done_at: Duration,
    client: Client,
    begun: Duration,
    is_refusal: bool,
}

/// The state of the simulation.
struct Model {
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    work: BinaryHeap<Reverse<Work>>,
    /// The processor time that a session would have received if it had run from the beginning.
    progress: Duration,
    connections: usize,
    waiters: Vec<Backoff>,
    seen: Seen,
}

/// What is counted.
#[derive(Default)]
struct Seen {
    /// Attempts of replicas in the steady state, and those of them that were refused.
    attempts: u32,
    refused: u32,
    /// The processor time that the server used in the steady state.
    busy: Duration,
    /// Connections that the migration requested in the steady state.
    migration: Requests,
    /// When the last replica found the lock free, and how many have.
    last: Duration,
    left: usize,
}

/// Connections that the migration requested.
#[derive(Default)]
struct Requests {
    attempts: u32,
    refused: u32,
}

/// Simulates a hundred, a thousand and ten thousand replicas, and prints the results.
pub fn run() {
    report::headline("Simulation: replicas that wait for 30 s while one migrates");
    println!(
        "  a server with {PROCESSORS} processors and {CONNECTIONS} connections; an attempt takes {:.1} ms of its \
         processor time, a refused one {:.1} ms",
        ATTEMPT.as_secs_f64() * 1e3,
        REFUSAL.as_secs_f64() * 1e3
    );
    println!("  the averages leave out the first 5 s, in which the replicas start");
    println!(
        "| replicas | attempts per second | refused | the server's processors | refused connections of the migration | the last replica leaves after |\n\
         | --- | --- | --- | --- | --- | --- |"
    );
    for count in COUNTS {
        let seen = simulate(count);
        println!(
            "| {count} | {:.0} | {:.0} % | {:.0} % busy | {} of {} | {:.1} s |",
            f64::from(seen.attempts) / steady().as_secs_f64(),
            f64::from(seen.refused) / f64::from(seen.attempts) * 100.0,
            seen.load() * 100.0,
            seen.migration.refused,
            seen.migration.attempts,
            seen.delay().as_secs_f64(),
        );
    }
}

/// The time over which the load is averaged.
fn steady() -> Duration {
    MIGRATED.saturating_sub(STEADY)
}

impl Seen {
    /// The share of the server's processors that was in use.
    fn load(&self) -> f64 {
        self.busy.div_duration_f64(steady()) / PROCESSORS as f64
    }

    /// The time from the end of the migration until the last replica has left.
    fn delay(&self) -> Duration {
        self.last.saturating_sub(MIGRATED)
    }
}

/// Simulates `count` replicas until the last one has left.
fn simulate(count: usize) -> Seen {
    let starts = (0..count).map(|number| {
        let at = START.mul_f64(number as f64 / count as f64);
        Reverse((at, Event::Begin(Client::Waiter(number))))
    });
    let holder = Reverse((Duration::ZERO, Event::Begin(Client::Holder)));
    let waiters = (0..count).map(|_| Backoff::new(PAUSES));
    let mut model = Model {
        now: Duration::ZERO,
        events: starts.chain([holder]).collect(),
        work: BinaryHeap::new(),
        progress: Duration::ZERO,
        connections: 0,
        waiters: waiters.collect(),
        seen: Seen::default(),
    };
    while model.seen.left < count {
        model.step();
    }
    model.seen
}

impl Model {
    /// Advances to the next event or to the end of the next work, whichever is earlier.
    fn step(&mut self) {
        let event = self.events.peek().map(|Reverse((at, _))| *at);
        let work = self.work.peek().map(|Reverse(work)| {
            let left = work.done_at.saturating_sub(self.progress);
            self.now + left.mul_f64(self.slowness())
        });
        match (event, work) {
            (event, Some(at)) if event.is_none_or(|event| at < event) => {
                self.advance(at);
                if let Some(Reverse(work)) = self.work.pop() {
                    self.progress = work.done_at;
                    self.finish(&work);
                }
            }
            (Some(at), _) => {
                self.advance(at);
                match self.events.pop() {
                    Some(Reverse((_, Event::Begin(client)))) => self.begin(client),
                    Some(Reverse((_, Event::End(client, begun)))) => {
                        self.connections -= 1;
                        self.end(client, begun, false);
                    }
                    None => {}
                }
            }
            (None, _) => {}
        }
    }

    /// How many times as long the work takes as it would if it were alone.
    fn slowness(&self) -> f64 {
        (self.work.len() as f64 / PROCESSORS as f64).max(1.0)
    }

    fn is_steady(&self) -> bool {
        (STEADY..MIGRATED).contains(&self.now)
    }

    fn advance(&mut self, to: Duration) {
        let passed = to.saturating_sub(self.now);
        if self.is_steady() {
            let busy = (self.work.len() as u64).min(PROCESSORS) as f64;
            self.seen.busy += passed.mul_f64(busy);
        }
        self.progress += passed.div_f64(self.slowness());
        self.now = to;
    }

    fn begin(&mut self, client: Client) {
        let is_refusal = self.connections >= CONNECTIONS;
        let is_steady = self.is_steady();
        match client {
            Client::Waiter(_) if is_steady => {
                self.seen.attempts += 1;
                self.seen.refused += u32::from(is_refusal);
            }
            Client::Waiter(_) => {}
            Client::Holder => {
                if is_steady {
                    self.seen.migration.attempts += 1;
                    self.seen.migration.refused += u32::from(is_refusal);
                }
                if self.now + HOLDER_INTERVAL < MIGRATED {
                    self.schedule(HOLDER_INTERVAL, Event::Begin(client));
                }
            }
        }
        self.connections += usize::from(!is_refusal);
        self.work.push(Reverse(Work {
            done_at: self.progress + if is_refusal { REFUSAL } else { ATTEMPT },
            client,
            begun: self.now,
            is_refusal,
        }));
    }

    /// Ends the server's work for an attempt.
    fn finish(&mut self, work: &Work) {
        if work.is_refusal {
            self.end(work.client, work.begun, true);
        } else {
            self.schedule(CLIENT, Event::End(work.client, work.begun));
        }
    }

    /// Ends an attempt. A replica that has found the lock free leaves. Any other one pauses.
    fn end(&mut self, client: Client, begun: Duration, is_refused: bool) {
        let Client::Waiter(number) = client else {
            return;
        };
        let took = self.now.saturating_sub(begun);
        if !is_refused && begun >= MIGRATED {
            self.seen.last = self.now;
            self.seen.left += 1;
            return;
        }
        let pause = self.waiters[number].pause_after(took, is_refused);
        self.schedule(pause, Event::Begin(client));
    }

    fn schedule(&mut self, pause: Duration, event: Event) {
        self.events.push(Reverse((self.now + pause, event)));
    }
}
