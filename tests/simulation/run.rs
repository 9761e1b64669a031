//! Running seeds: on all cores, each with a runtime, a clock and a trace of its own.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use cogzy_vault::clock::{Clock, SystemClock};

use crate::chance;
use crate::oracle::Check;
use crate::trace::Trace;

/// What `cargo test` runs.
const DEFAULT_SEEDS: u64 = 500;

/// What came of one run.
pub struct Ran {
    pub check: Check,
    pub trace: Trace,
}

/// Runs something in virtual time.
pub fn in_virtual_time<F: Future<Output = Check>>(aloud: bool, work: impl FnOnce(Trace) -> F) -> Ran {
    let trace = Trace::new(aloud);
    let inner = trace.clone();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let check = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async { work(inner).await })));
    let check = check.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!("panic: {}", text.unwrap_or_else(|| "of another kind".into())))
    });
    Ran { check, trace }
}

fn seed(seed: u64, aloud: bool) -> Ran {
    in_virtual_time(aloud, |trace| chance::run(seed, trace))
}

pub fn main(args: Vec<String>) -> ExitCode {
    let number = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(one) = number("--seed") {
        return replay(one);
    }
    let (from, count) = (number("--from").unwrap_or(0), number("--seeds").unwrap_or(DEFAULT_SEEDS));
    if seeds(from, count) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One seed, aloud, with what the engine logs.
fn replay(one: u64) -> ExitCode {
    tracing_subscriber::fmt().without_time().with_max_level(tracing::Level::DEBUG).init();
    let ran = seed(one, true);
    println!("trace {}", ran.trace.hash());
    match ran.check {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("seed {one}: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Many seeds. Whether all passed.
fn seeds(from: u64, count: u64) -> bool {
    let clock = SystemClock::new();
    let next = AtomicU64::new(from);
    let failed: Mutex<BTreeMap<u64, String>> = Mutex::default();
    let marks: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let one = next.fetch_add(1, Ordering::Relaxed);
                    if one >= from + count {
                        return;
                    }
                    let ran = seed(one, false);
                    for (name, times) in ran.trace.marks() {
                        *marks.lock().unwrap().entry(name).or_default() += times;
                    }
                    if let Err(why) = ran.check {
                        failed.lock().unwrap().insert(one, why);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    for (name, times) in marks.into_inner().unwrap() {
        println!("{times:9}  {name}");
    }
    for (seed, why) in failed.iter().take(40) {
        println!("seed {seed}: {why}\n    cargo test --test simulation -- --seed {seed}");
    }
    let seconds = clock.monotonic().as_secs_f64();
    let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds;
    println!("{count} seeds from {from}: {} failed; {seconds:.1} s, {rate:.0} a second", failed.len());
    failed.is_empty()
}
