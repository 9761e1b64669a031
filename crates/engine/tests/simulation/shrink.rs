//! Shrinks a failing seed: leaves out the steps that it does not need.

use crate::chance::{Without, steps};
use crate::run::seed;

/// The most steps that can be left out such that it still fails in the same way.
pub fn shrink(one: u64, why: &str) -> Without {
    let kind = kind_of(why);
    let fails = |without: &Without| seed(one, without, false).check.is_err_and(|why| kind_of(&why) == kind);
    let mut without = Without::new();
    let mut size = steps(one).div_ceil(2);
    loop {
        let left: Vec<usize> = (0..steps(one)).filter(|number| !without.contains(number)).collect();
        for part in left.chunks(size.max(1)) {
            let tried: Without = without.iter().chain(part).copied().collect();
            if fails(&tried) {
                without = tried;
            }
        }
        if size <= 1 {
            return without;
        }
        size = size.div_ceil(2);
        if size == 1 && left.len() > 40 {
            continue;
        }
    }
}

/// The message without the parts that differ from run to run: digests, names of commits, numbers.
fn kind_of(why: &str) -> String {
    why.split_whitespace()
        .filter(|word| !word.chars().any(|letter| letter.is_ascii_digit()))
        .collect::<Vec<_>>()
        .join(" ")
}
