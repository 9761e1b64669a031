//! A test of the oracle: each mistake of [`cogzy_engine::planted`] is put in, and seeds run until
//! one fails.

use cogzy_engine::planted::{Bug, plant};

use crate::chance::Without;
use crate::run::{Ran, seed};
use crate::worlds::{ADVERSARIES, MEMORIES, PRUNES};

/// Seeds that must be enough.
const SEEDS: u64 = 2_000;

/// Prints the table of docs/TESTING.md, or one line of it. True where all were found.
pub fn all(only: Option<usize>) -> bool {
    let synced = Bug::SYNC.map(|bug| (bug, (|at| seed(at, &Without::new(), false)) as fn(u64) -> Ran));
    let pruned = Bug::PRUNE.map(|bug| (bug, (|at| (PRUNES.run)(at, false)) as fn(u64) -> Ran));
    let attacked = Bug::BUCKET.map(|bug| (bug, (|at| (ADVERSARIES.run)(at, false)) as fn(u64) -> Ran));
    let merged = Bug::MERGE.map(|bug| (bug, (|at| (MEMORIES.run)(at, false)) as fn(u64) -> Ran));
    let mut found_all = true;
    let wanted = |at: &usize| only.is_none_or(|only| only == *at);
    for (_, (bug, run)) in synced
        .into_iter()
        .chain(pruned)
        .chain(attacked)
        .chain(merged)
        .enumerate()
        .filter(|(at, _)| wanted(at))
    {
        plant(Some(bug));
        let found = (0..SEEDS).find_map(|at| Some((at, run(at).check.err()?)));
        plant(None);
        found_all &= found.is_some();
        match found {
            Some((at, why)) => println!("| {bug:?} | {} | {why} |", at + 1),
            None => println!("| {bug:?} | not within {SEEDS} | |"),
        }
    }
    found_all
}
