//! Random faults. Whatever breaks, there are never two migrations at once, no server starts on a database that is not
//! migrated, and every guard ends.

use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fleet::{Fleet, alone, is_soak};
use crate::postgres::Postgres;
use crate::server::Sql;
use crate::support::Running;

/// The time limit from a fault to the guard's end: for the step, a restart of the server, and the time-outs.
const END: Duration = Duration::from_mins(1);

/// The codes that a guard may end with after these faults: served, lock lost, step failed, stopped, killed.
const CODES: [i32; 5] = [0, 70, 75, 137, 143];

/// The step reports if another one runs at the same time, which it detects with a file lock. The server reports if the
/// database is not migrated.
const STEPS: &str = "  - name: migrate
    command: [sh, -c, 'exec 9>$SHARED/busy; flock -n 9 || echo overlap >> $SHARED/broken; echo $$ > $SHARED/pid; sleep 0.6; touch $SHARED/done']
    up_to_date: [sh, -c, 'test -e $SHARED/done']
    lock: {postgres: DATABASE_URL, timeout: 30s}";
const SERVER: &str = "test -e $SHARED/done || echo unmigrated >> $SHARED/broken";

/// A reproducible generator of random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn no_fault_leads_to_two_migrations_or_to_a_server_without_one() {
    let _alone = alone();
    let count = if is_soak() { 200 } else { 20 };
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = time.expect("the clock is right").subsec_nanos();
    let mut random = Random(u64::from(seed) | 1);
    let mut postgres = Postgres::start();
    let mut served = 0;
    for round in 0..count {
        let fleet = Fleet::with_server(&postgres.url, STEPS, SERVER);
        let guards = fleet.start(4);
        std::thread::sleep(Duration::from_millis(random.below(1000)));
        let fault = random.below(6);
        let what = format!("round {round} of seed {seed}, fault {fault}");
        let victim = usize::try_from(random.below(4)).expect("it is small");
        break_something(fault, &guards[victim], &fleet, &mut postgres);
        for guard in guards {
            let started = Instant::now();
            let ended = guard.end_within(END);
            assert!(CODES.contains(&ended.code()), "{what}: {ended}");
            assert!(started.elapsed() < END, "{what}");
            served += usize::from(ended.code() == 0);
        }
        // The next guard completes what this one has left unfinished.
        let last = fleet.guard().start().end_within(END);
        assert_eq!(last.code(), 0, "{what}: {last}");
        assert_eq!(fleet.file("broken"), "", "{what}");
    }
    assert!(
        served > count,
        "of 4 guards most serve: {served} in {count} rounds"
    );
}

fn break_something(fault: u64, victim: &Running, fleet: &Fleet, postgres: &mut Postgres) {
    match fault {
        0 => signal(victim.pid(), Signal::SIGKILL),
        1 => signal(victim.pid(), Signal::SIGTERM),
        2 => {
            Sql::on(&postgres.url).terminate_guards();
        }
        3 => {
            postgres.stop();
            postgres.start_again();
        }
        4 => {
            // The guard is stopped for a while, and continued.
            signal(victim.pid(), Signal::SIGSTOP);
            std::thread::sleep(Duration::from_millis(300));
            signal(victim.pid(), Signal::SIGCONT);
        }
        _ => {
            if let Ok(step) = fleet.file("pid").trim().parse() {
                signal(step, Signal::SIGKILL);
            }
        }
    }
}

/// Sends a signal. The process may have ended already.
fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}
