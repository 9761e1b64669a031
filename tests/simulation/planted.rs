//! Whether the oracle would notice: each mistake of [`cogzy_vault::planted`] is put in, and seeds run until one fails.

use cogzy_vault::planted::{Bug, plant};

use crate::chance::Without;
use crate::run::seed;

/// So many seeds must be enough.
const SEEDS: u64 = 2_000;

/// Prints the table of docs/TESTING.md, or one line of it. Whether all were found.
pub fn all(only: Option<usize>) -> bool {
    let mut found_all = true;
    let wanted = |at: &usize| only.is_none_or(|only| only == *at);
    for bug in (0..).zip(Bug::ALL).filter(|(at, _)| wanted(at)).map(|(_, bug)| bug) {
        plant(Some(bug));
        let found = (0..SEEDS).find_map(|at| Some((at, seed(at, &Without::new(), false).check.err()?)));
        plant(None);
        found_all &= found.is_some();
        match found {
            Some((at, why)) => println!("| {bug:?} | {} | {why} |", at + 1),
            None => println!("| {bug:?} | not within {SEEDS} | |"),
        }
    }
    found_all
}
