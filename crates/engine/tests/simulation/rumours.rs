//! The hints of a watcher, of which some are lost, some come late, some name the folder instead of
//! the file, and some name a place where nothing happened.

use std::collections::BTreeSet;

use cogzy_engine::model::VaultPath;
use cogzy_testkit::rng::Rng;

/// Places that a wrong hint names.
const ANYWHERE: [&str; 6] =
    ["traces/a.json", "traces", "notes", "corpus/nodes.json", "indexes", "nothing/is/here"];

/// A watcher that cannot be relied on.
#[derive(Clone)]
pub struct Rumours {
    /// True where cycles look at the places that it names.
    pub heeded: bool,
    rng: Rng,
    late: BTreeSet<String>,
}

impl Rumours {
    pub const fn new(rng: Rng) -> Self {
        Self { heeded: false, rng, late: BTreeSet::new() }
    }

    /// The places that it names of those that were touched. None if it does not know where.
    pub fn hear(&mut self, touched: BTreeSet<String>) -> Option<BTreeSet<VaultPath>> {
        let mut named: BTreeSet<String> = std::mem::take(&mut self.late);
        if !self.heeded || self.rng.chance(15) {
            return None;
        }
        for place in touched {
            match self.rng.below(10) {
                0 => {}
                1 => drop(self.late.insert(place)),
                2 => named.extend(place.rsplit_once('/').map(|(folder, _)| folder.to_owned())),
                _ => drop(named.insert(place)),
            }
        }
        if self.rng.chance(20) {
            named.insert((*self.rng.pick(&ANYWHERE)).to_owned());
        }
        Some(named.iter().filter_map(|place| VaultPath::new(place).ok()).collect())
    }
}
