//! Whether the groups that a rewrite sets fit together, asked before it is committed.
//!
//! A restore, an undo or a decision that would put back half of a pipeline's work would be held back by every device, this one
//! included: better that whoever asks for it hears so. What this device sent or fetched once it has looked into already; what it does
//! not know is fetched and looked into. A crash leaves a stage, which the next start clears away.

use std::collections::BTreeMap;

use super::fetch::{Order, Wanted};
use super::judge::{Members, kind, listed, looked_into, members};
use super::report::{Progress, Unwatched};
use super::{Engine, Refusal, SyncError, blocking};
use crate::clock::random;
use crate::log::{Log, Snapshot};
use crate::model::{Entry, Tree, VaultPath};
use crate::vault::validate::check;
use crate::vault::{ApplyId, Stage};

impl Engine {
    /// Refuses a change of `head` that would make `after` of it, where a group that is enforced and that `changed` touches would
    /// not fit together. `state` has the contents.
    pub(super) async fn must_fit(
        &self,
        log: &Log,
        state: &Snapshot,
        after: &Tree,
        changed: &BTreeMap<VaultPath, Option<Entry>>,
    ) -> Result<(), SyncError> {
        let groups = &state.groups;
        let touched = |item| changed.keys().any(|path| groups.item(path) == item);
        for looked in looked_into(groups).filter(|looked| looked.enforce && touched(looked.item.clone())) {
            let (mut found, mut unknown) = (Members::new(), Vec::new());
            for (path, entry) in members(groups, looked.name, after) {
                let Some(kind) = kind(groups, path) else { continue };
                match self.known_facts(&entry.digest, &kind) {
                    Some(facts) => drop(found.insert(path.clone(), facts)),
                    None => unknown.push((path, *entry, kind)),
                }
            }
            if !unknown.is_empty() {
                let slots = (0_u32..).zip(&unknown);
                let wanted: Vec<Wanted> = slots
                    .map(|(slot, (path, entry, _))| Wanted { name: path.to_string(), slot, entry: *entry })
                    .collect();
                self.check_room(&wanted, self.layout.root())?;
                let id = ApplyId::new(self.ports.clock.now_ms(), random(self.ports.entropy.as_ref()));
                let stage = Stage::create(self.ports.fs.clone(), &self.layout, &id)?;
                let old = unknown.iter().map(|(path, ..)| path.below(self.layout.root())).collect();
                let order = Order { params: log.header()?.chunking, remote: state, wanted: &wanted, old };
                let fetched = self.fetch(order, &stage, Progress::default(), &Unwatched).await;
                let looked_at = fetched.and_then(|()| {
                    for (slot, (path, entry, kind)) in (0_u32..).zip(&unknown) {
                        let facts = blocking(|| self.facts_in(&stage, slot, &entry.digest, kind))?;
                        found.extend(facts.map(|facts| ((*path).clone(), facts)));
                    }
                    Ok(())
                });
                let discarded = stage.discard();
                looked_at?;
                discarded?;
            }
            let faults = check(&found);
            if !faults.is_empty() {
                return Err(Refusal::Unfit { group: looked.name.to_owned(), faults: listed(&faults) }.into());
            }
        }
        Ok(())
    }
}
