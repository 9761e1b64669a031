//! Whether the oracle would notice: each mistake of [`cogzy_vault::planted`] is put in, and seeds run until one fails.

use cogzy_vault::planted::{Bug, plant};

use crate::chance::Without;
use crate::run::seed;

/// So many seeds must be enough.
const SEEDS: u64 = 2_000;

/// Prints the table of docs/TESTING.md. Whether all were found.
pub fn all() -> bool {
    let mut found_all = true;
    for bug in Bug::ALL {
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
