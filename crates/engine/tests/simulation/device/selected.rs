//! Files that a device syncs.

use cogzy_engine::vault::Filter;
use cogzy_testkit::rng::Rng;

use super::Device;
use crate::worlds;

/// Folders of all users and programs.
const FOLDERS: [&str; 9] =
    ["attic", "corpus", "indexes", "loft", "memory", "notes", "private", "traces", "vectors"];

pub fn filter(include: &[String], exclude: &[String]) -> Filter {
    Filter::new(include, exclude).unwrap()
}

/// Every fourth device names the folders that it syncs, and so none of them as a file. Worlds that
/// failed before there was that stay as they were.
pub fn include(rng: &mut Rng, seed: u64) -> Vec<String> {
    let names = rng.one_in(4) && !worlds::failed_once(seed);
    if names { FOLDERS.map(|folder| format!("{folder}/**")).into() } else { Vec::new() }
}

impl Device {
    /// Changes the settings; they are read when the process starts.
    pub fn set_exclude(&mut self, exclude: Vec<String>) {
        self.filter = filter(&self.include, &exclude);
        let before = std::mem::replace(&mut self.exclude, exclude);
        for folder in before.iter().filter(|glob| !self.exclude.contains(glob)) {
            let (mut site, folder) = (self.disk.site(), folder.trim_end_matches("**"));
            let here = site.files_below(folder.trim_end_matches('/'));
            let here = here.into_iter().map(|(path, ino)| (path, site.digest(ino))).collect();
            site.ledger.synced_again(folder, here);
        }
        self.engine = None;
    }
}
