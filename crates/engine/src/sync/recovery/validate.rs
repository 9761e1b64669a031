//! Checks that the groups set by a rewrite fit together, before it is committed.
//!
//! Every device, this one included, would hold back a restore, an undo or a decision that puts back
//! half of a pipeline's work. So the caller hears of it first. Contents that this device has sent
//! or fetched are looked into already; unknown ones are fetched and looked into. A crash leaves a
//! stage, which the next start clears away.

use std::collections::BTreeMap;

use crate::clock::random;
use crate::log::Snapshot;
use crate::model::{Entry, Tree, VaultPath};
use crate::sync::cycle::{Members, Order, Wanted, kind, listed, looked_into};
use crate::sync::session::{Context, Session};
use crate::sync::{Progress, Refusal, SyncError, Unwatched, blocking};
use crate::vault::validate::{Kind, check};
use crate::vault::{ApplyId, Stage};

impl Session<'_> {
    /// Refuses a change that would make `after` of the newest state, if an enforced group in
    /// `changed` would not fit together. `state` has the contents.
    pub(crate) async fn must_fit(
        &self,
        state: &Snapshot,
        after: &Tree,
        changed: &BTreeMap<VaultPath, Option<Entry>>,
    ) -> Result<(), SyncError> {
        let groups = &state.groups;
        let touched = |item| changed.keys().any(|path| groups.item(path) == item);
        for looked in looked_into(groups).filter(|looked| looked.enforce && touched(looked.item.clone())) {
            let (mut found, mut unknown) = (Members::new(), Vec::new());
            for (path, entry) in groups.members(looked.name, after) {
                let Some(kind) = kind(groups, path) else { continue };
                match self.context.known_facts(&entry.digest, &kind) {
                    Some(facts) => drop(found.insert(path.clone(), facts)),
                    None => unknown.push((path.clone(), *entry, kind)),
                }
            }
            found.extend(self.look_into_all(state, &unknown).await?);
            let faults = check(&found);
            if !faults.is_empty() {
                return Err(Refusal::Unfit { group: looked.name.to_owned(), faults: listed(&faults) }.into());
            }
        }
        Ok(())
    }

    /// Fetches contents that were never looked into, and looks into them.
    async fn look_into_all(
        &self,
        state: &Snapshot,
        unknown: &[(VaultPath, Entry, Kind)],
    ) -> Result<Members, SyncError> {
        let Context { layout, ports, .. } = self.context;
        let mut found = Members::new();
        if unknown.is_empty() {
            return Ok(found);
        }
        let slots = (0_u32..).zip(unknown);
        let wanted: Vec<Wanted> = slots
            .map(|(slot, (path, entry, _))| Wanted { name: path.to_string(), slot, entry: *entry })
            .collect();
        self.context.check_room(&wanted, layout.root())?;
        let id = ApplyId::new(ports.clock.now_ms(), random(ports.entropy.as_ref()));
        let stage = Stage::create(ports.fs.clone(), layout, &id)?;
        let old = unknown.iter().map(|(path, ..)| path.below(layout.root()).into()).collect();
        let order = Order { log: self.log, remote: state, wanted: &wanted, old };
        let fetched = self.context.fetch(order, &stage, Progress::default(), &Unwatched).await;
        let looked_at = fetched.and_then(|lost| {
            if let Some(error) = lost.into_values().next() {
                return Err(error);
            }
            for (slot, (path, entry, kind)) in (0_u32..).zip(unknown) {
                let facts = blocking(|| self.context.facts_in(&stage, slot, &entry.digest, kind))?;
                found.extend(facts.map(|facts| (path.clone(), facts)));
            }
            Ok(())
        });
        let discarded = stage.discard();
        looked_at?;
        discarded?;
        Ok(found)
    }
}
