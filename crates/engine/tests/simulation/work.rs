//! Work for all cores: batches of runs, those with long ones first, so that in the end no core
//! waits for another.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use indicatif::ProgressBar;

use crate::run::Ran;
use crate::trace::{Marks, add};

/// Runs of one kind. Each is given its place among them, and tells its name.
pub struct Batch<'a> {
    pub count: u64,
    pub run: Box<dyn Fn(u64) -> (u64, Ran) + Sync + 'a>,
}

/// Result of a batch.
#[derive(Default)]
pub struct Came {
    /// Runs that failed, and why.
    pub failed: BTreeMap<u64, String>,
    /// Names that were reached.
    pub marks: Marks,
    /// Time that it took, shared among all cores.
    pub time: Duration,
}

impl Came {
    fn add(&mut self, name: u64, ran: Ran, time: Duration) {
        add(&mut self.marks, ran.trace.take_marks());
        if let Err(why) = ran.check {
            self.failed.insert(name, why);
        }
        self.time += time;
    }
}

/// Runs all of it, in this order, and gives the result of each batch.
pub fn work(batches: &[Batch<'_>]) -> Vec<Came> {
    let next = AtomicU64::new(0);
    let came: Vec<Mutex<Came>> = batches.iter().map(|_| Mutex::default()).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let bar = ProgressBar::new(batches.iter().map(|batch| batch.count).sum());
    let clock = SystemClock::new();
    let one = |mut at: u64| {
        for (batch, came) in batches.iter().zip(&came) {
            if at < batch.count {
                let start = clock.monotonic();
                let (name, ran) = (batch.run)(at);
                let time = (clock.monotonic() - start) / u32::try_from(cores).unwrap_or(1);
                came.lock().unwrap().add(name, ran, time);
                bar.inc(1);
                return true;
            }
            at -= batch.count;
        }
        false
    };
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| while one(next.fetch_add(1, Ordering::Relaxed)) {});
        }
    });
    bar.finish_and_clear();
    came.into_iter().map(|came| came.into_inner().unwrap()).collect()
}
