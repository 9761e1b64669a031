//! Files of the syncer's that are gone.

use cogzy_engine::clock::Clock;

use super::Device;

impl Device {
    /// The syncer's own record of what was agreed is gone.
    pub fn lose_record(&mut self) {
        if self.lose("last_sync.json", "record") {
            self.disk.site().ledger.excused = true;
        }
    }

    /// The record of what was lost lately is gone.
    pub fn lose_reference(&mut self) {
        if self.lose("reference.json", "reference") {
            self.disk.site().ledger.taken.clear();
        }
    }

    /// A file of the syncer's is gone. True if there was one.
    fn lose(&mut self, file: &str, what: &str) -> bool {
        let mut site = self.disk.site();
        let path = format!("{}/sync/{file}", crate::disk::ROOT);
        let slot = site.state.slot(path.as_ref()).ok().filter(|slot| site.state.at(slot).is_some());
        let there = slot.is_some();
        if let Some(slot) = slot {
            let now = self.disk.clock.now_ns();
            site.state.change(vec![(slot, None)], true, now);
            self.trace.note(format_args!("{} the {what} is lost", self.name));
            self.trace.mark(format!("{what} lost"));
        }
        drop(site);
        self.engine = None;
        there
    }
}
