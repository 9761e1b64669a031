//! A person's decisions, as the syncer's record has them.

use cogzy_engine::state::LastSync;

use super::Site;

impl Site {
    /// Notes if everything that a person has rejected is carried out: the record has forgotten it.
    pub fn note_carried_out(&mut self) {
        let Some(ino) = self.file("sync/last_sync.json") else { return };
        let record: LastSync = serde_json::from_slice(&self.state.node(ino).bytes).unwrap();
        if record.decisions.rejected.is_empty() {
            self.ledger.carried_out();
        }
    }
}
