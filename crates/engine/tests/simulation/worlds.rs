//! Worlds of their own kinds, beside the seeds: each draws a whole run from one number.

use crate::run::{REGRESSIONS, Ran, in_virtual_time};
use crate::work::{Batch, Came};
use crate::{adversary, coverage, memories, prune};

/// So many worlds must reach all that their kind can.
pub const MANY: u64 = 50;

/// A kind of worlds.
pub struct Worlds {
    /// Name of one world, on the command line.
    pub one: &'static str,
    /// Name of many of them there.
    pub many: &'static str,
    told: &'static str,
    /// Start of the marks of this kind.
    marks: &'static str,
    /// Worlds that failed once.
    regressions: &'static [u64],
    /// Marks that must be reached.
    reached: &'static [&'static str],
    /// Runs one, aloud or not.
    pub run: fn(u64, bool) -> Ran,
}

/// Worlds in which old data is pruned.
pub static PRUNES: Worlds = Worlds {
    one: "prune",
    many: "prunes",
    told: "prunes",
    marks: "prune:",
    regressions: &[
        106, 195, 272, 103_675, 307_025, 403_242, 100_453, 104_008, 104_819, 106_698, 106_881, 107_463,
        109_356, 109_903,
    ],
    reached: coverage::PRUNES,
    run: |seed, aloud| in_virtual_time(aloud, |trace| async move { prune::run(seed, trace).await }),
};

/// Worlds with an adversary.
pub static ADVERSARIES: Worlds = Worlds {
    one: "adversary",
    many: "adversaries",
    told: "adversaries",
    marks: "adversary:",
    regressions: &[147, 463, 1_093, 1_375, 2_559, 20_143, 22_231],
    reached: coverage::ADVERSARIES,
    run: |seed, aloud| in_virtual_time(aloud, |trace| async move { adversary::run(seed, trace).await }),
};

/// Worlds in which memories are merged.
pub static MEMORIES: Worlds = Worlds {
    one: "memory",
    many: "memories",
    told: "worlds of memories",
    marks: "memories:",
    regressions: &[
        127, 1_258, 1_304, 1_596, 1_971, 1_989, 2_225, 2_441, 20_110, 20_595, 21_464, 21_650, 22_114, 23_509,
        23_704, 23_960, 22_670, 32_816, 80_697, 84_661, 85_787, 92_255, 92_283, 92_416, 113_884, 114_273,
        114_431, 130_991,
    ],
    reached: coverage::MEMORIES,
    run: |seed, aloud| in_virtual_time(aloud, |trace| async move { memories::run(seed, trace).await }),
};

/// All kinds.
pub static ALL: [&Worlds; 3] = [&PRUNES, &ADVERSARIES, &MEMORIES];

/// True if a world of any kind with this number has failed once.
pub fn failed_once(number: u64) -> bool {
    let kinds = ALL.iter().flat_map(|worlds| worlds.regressions);
    kinds.chain(REGRESSIONS).any(|known| *known == number)
}

impl Worlds {
    /// The ones that failed once, and `count` from `from` on.
    pub fn batch(&self, from: u64, count: u64) -> Batch<'_> {
        numbered(self.regressions, from, count, |at| (self.run)(at, false))
    }

    /// Tells which of these worlds failed, and what they reached. True where all is well.
    pub fn tell(&self, from: u64, count: u64, came: &Came) -> bool {
        let Self { one, told, .. } = self;
        for (seed, why) in came.failed.iter().take(20) {
            println!("{one} {seed}: {why}\n    cargo test --test simulation -- --{one} {seed}");
        }
        let seconds = came.time.as_secs_f64();
        println!("{count} {told} from {from}: {} failed; {seconds:.1} s", came.failed.len());
        for (name, times) in came.marks.iter().filter(|(name, _)| name.starts_with(self.marks)) {
            println!("{times:9}  {name}");
        }
        let missing: Vec<&&str> =
            self.reached.iter().filter(|name| !came.marks.contains_key(**name)).collect();
        missing.iter().for_each(|name| println!("never reached: {name}"));
        came.failed.is_empty() && (count < MANY || missing.is_empty())
    }
}

/// Runs with these numbers first, then with `count` from `from` on.
pub fn numbered<'a>(
    first: &'a [u64],
    from: u64,
    count: u64,
    run: impl Fn(u64) -> Ran + Sync + 'a,
) -> Batch<'a> {
    let kept = u64::try_from(first.len()).unwrap();
    let nth = move |at: u64| {
        let old = usize::try_from(at).ok().and_then(|at| first.get(at)).copied();
        old.unwrap_or_else(|| from + at - kept)
    };
    Batch { count: kept + count, run: Box::new(move |at| (nth(at), run(nth(at)))) }
}
