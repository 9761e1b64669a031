//! Runs of the simulation, each with a runtime, a clock and a trace of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use cogzy_engine::clock::{Clock, SystemClock};

use crate::chance::{self, Without};
use crate::crashes::{self, Found};
use crate::cut::Cut;
use crate::oracle::Check;
use crate::trace::{Trace, add};
use crate::work::{Batch, Came, work};
use crate::worlds::{self, numbered};
use crate::{coverage, decade, drift, memories, shrink, stories};

/// The amount that a complete run tries.
struct Extent {
    seeds: u64,
    /// Worlds of each kind.
    worlds: u64,
    /// Stories whose crashes are followed.
    stories: fn() -> Vec<usize>,
    /// Names that must be reached.
    reached: &'static [&'static [&'static str]],
}

/// `cargo test`.
const QUICK: Extent =
    Extent { seeds: 300, worlds: worlds::MANY, stories: stories::telling, reached: &[coverage::OFTEN] };

/// The same with `COGZY_TEST_WHOLE=1`, and `--whole`.
const WHOLE: Extent = Extent {
    seeds: 2_000,
    worlds: 200,
    stories: stories::every,
    reached: &[coverage::OFTEN, coverage::SELDOM],
};

/// Crashes one after the other: that of a cycle, and that of the recovery from it.
const DEEP: usize = 2;

/// Seeds that failed once, by a mistake of the engine or of the simulation; and three, 325, 588 and
/// 1166, that end a process at a moment at which few seeds do: just before it begins a journal, or
/// tells what it reads. They are part of every run.
pub const REGRESSIONS: &[u64] = &[
    325, 344, 513, 588, 680, 783, 1_166, 1_733, 1_819, 1_847, 1_857, 1_954, 2_575, 3_625, 4_183, 21_568,
    22_719, 22_741, 23_330, 24_233, 27_547, 29_036, 30_691, 31_017, 35_072, 36_553, 38_986, 219_521, 223_118,
    365_124, 502_550, 528_758, 564_681, 722_107, 734_322, 900_102, 1_115_500, 1_131_996, 1_170_307,
    1_183_508, 1_190_051, 1_007_672, 1_008_956, 1_034_271, 1_041_108, 1_053_451, 2_031_711, 2_035_595,
    2_043_867, 2_169_468, 2_181_578, 2_548_576, 2_596_172, 2_596_384, 2_722_636, 2_731_201, 4_005_585,
    4_065_525, 4_071_093, 4_095_182, 4_226_476, 5_863_182, 5_865_661, 5_997_211, 6_129_633, 6_153_224,
    6_310_993, 6_311_609, 6_329_293, 6_330_639, 6_337_690,
];

/// Result of one run.
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

pub fn seed(seed: u64, without: &Without, aloud: bool) -> Ran {
    in_virtual_time(aloud, |trace| async move { chance::run(seed, without, trace).await })
}

/// Runs what the command line asks for.
pub fn main(args: &[String]) -> ExitCode {
    let value = |name: &str| args.get(args.iter().position(|arg| arg == name)? + 1);
    let number = |name: &str| value(name)?.parse::<u64>().ok();
    let asked = |name: &str| args.iter().any(|arg| arg == name);
    let code = |sound| if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let from = number("--from").unwrap_or(0);
    if cogzy_testkit::is_left_out("simulation", args) {
        return ExitCode::SUCCESS;
    }
    #[cfg(feature = "planted-bugs")]
    if asked("--planted") {
        return code(crate::planted::all(number("--planted").and_then(|only| usize::try_from(only).ok())));
    }
    if asked("--drift") {
        return code(alike());
    }
    if let Some(one) = number("--seed") {
        let without =
            value("--without").map(|list| list.split(',').filter_map(|at| at.parse().ok()).collect());
        return replay(|| seed(one, &without.unwrap_or_default(), true));
    }
    for worlds in worlds::ALL {
        if let Some(one) = number(&format!("--{}", worlds.one)) {
            return replay(|| (worlds.run)(one, true));
        }
    }
    if asked("--week") {
        let hours = number("--week").unwrap_or(memories::HOURS);
        return long(|trace| async move { memories::week(from, hours, trace).await });
    }
    if asked("--decade") {
        let saves = number("--decade").unwrap_or(decade::SAVES);
        return long(|trace| async move { decade::decade(from, saves, trace).await });
    }
    if let Some(Ok(at)) = value("--cut").map(|text| text.parse::<Cut>()) {
        return replay(|| crashes::cut(&at, true));
    }
    for worlds in worlds::ALL {
        if let Some(count) = number(&format!("--{}", worlds.many)) {
            let came = work(&[worlds.batch(from, count)]);
            return code(came.iter().all(|came| worlds.tell(from, count, came)));
        }
    }
    let deep = number("--deep").and_then(|deep| usize::try_from(deep).ok()).unwrap_or(DEEP);
    if asked("--seeds") || asked("--crashes") {
        let only = number("--crashes").and_then(|only| usize::try_from(only).ok());
        let stories = match only {
            Some(only) => vec![only],
            None if asked("--crashes") => stories::every(),
            None => Vec::new(),
        };
        return code(run(&Asked {
            from,
            seeds: number("--seeds").unwrap_or(0),
            stories,
            deep,
            extent: None,
        }));
    }
    let extent = if asked("--whole") || cogzy_testkit::whole() { &WHOLE } else { &QUICK };
    let asked = Asked { from, seeds: extent.seeds, stories: (extent.stories)(), deep, extent: Some(extent) };
    code(run(&asked))
}

/// Runs something aloud, with what the engine logs.
fn replay(run: impl FnOnce() -> Ran) -> ExitCode {
    tracing_subscriber::fmt().without_time().with_max_level(tracing::Level::DEBUG).init();
    let ran = run();
    println!("trace {}", ran.trace.hash());
    match ran.check {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs something that takes long, and tells only why it failed.
fn long<F: Future<Output = Check>>(work: impl FnOnce(Trace) -> F) -> ExitCode {
    match in_virtual_time(false, work).check {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// True if the fakes behave like the originals.
fn alike() -> bool {
    let looked = drift::look();
    match &looked {
        Ok(calls) => {
            println!("{calls} calls answered as by a real disk; the bucket keeps the contract of remotes");
        }
        Err(why) => println!("{why}"),
    }
    looked.is_ok()
}

/// Seeds and crashes to run, from seed `from` on.
struct Asked {
    from: u64,
    seeds: u64,
    stories: Vec<usize>,
    deep: usize,
    /// The amount of a complete run, which has worlds that prune, too, and checks what was reached.
    extent: Option<&'static Extent>,
}

/// Runs crashes and seeds and, in a complete run, worlds that prune. True where all is well.
fn run(asked: &Asked) -> bool {
    let mut sound = asked.extent.is_none() || alike();
    let found = Found::default();
    let mut batches =
        vec![crashes::batch(&asked.stories, asked.deep, &found), seeds(asked.from, asked.seeds)];
    let extent = asked.extent.into_iter();
    batches.extend(extent.flat_map(|extent| worlds::ALL.map(|worlds| worlds.batch(0, extent.worlds))));
    let clock = SystemClock::new();
    let mut came = work(&batches).into_iter();
    let (crashed, seeded) = (came.next().unwrap(), came.next().unwrap());
    if asked.seeds > 0 {
        sound &= tell_seeds(asked.from, asked.seeds, &seeded);
    }
    if !asked.stories.is_empty() {
        sound &= found.tell(&crashed);
    }
    let mut marks = seeded.marks;
    add(&mut marks, crashed.marks);
    for (name, times) in &marks {
        println!("{times:9}  {name}");
    }
    if let Some(extent) = asked.extent {
        for (worlds, came) in worlds::ALL.iter().zip(came) {
            sound &= worlds.tell(0, extent.worlds, &came);
        }
        let missing = coverage::missing(&marks, extent.reached);
        missing.iter().for_each(|name| println!("never reached: {name}"));
        sound &= missing.is_empty();
    }
    println!("all in {:.1} s", clock.monotonic().as_secs_f64());
    sound
}

/// Many seeds.
fn seeds(from: u64, count: u64) -> Batch<'static> {
    let first = if count > 0 { REGRESSIONS } else { &[] };
    numbered(first, from, count, |at| seed(at, &Without::new(), false))
}

/// Tells which seeds failed and why. True where none did.
fn tell_seeds(from: u64, count: u64, came: &Came) -> bool {
    for (seed, why) in came.failed.iter().take(20) {
        println!("seed {seed}: {why}\n    cargo test --test simulation -- --seed {seed}");
    }
    for (seed, why) in came.failed.iter().take(3) {
        let list: Vec<String> = shrink::shrink(*seed, why).iter().map(ToString::to_string).collect();
        println!(
            "the least of it: cargo test --test simulation -- --seed {seed} --without {}",
            list.join(",")
        );
    }
    let seconds = came.time.as_secs_f64();
    let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds;
    println!("{count} seeds from {from}: {} failed; {seconds:.1} s, {rate:.0} a second", came.failed.len());
    came.failed.is_empty()
}
