//! Collects what becomes of the units, and tells it by item.

use std::collections::{BTreeMap, BTreeSet};

use super::ended::Ended;
use super::hand::{Halt, Hand};
use super::{Applied, ApplyError, Displaced, Journal, Unit};
use crate::fs::Linked;
use crate::model::Item;

/// Collects the results of the units.
pub(super) struct Outcome<'a> {
    journal: &'a Journal,
    /// One for each item: none until it is decided, then whether it is in place, or the cause.
    fates: Vec<Option<Result<(), String>>>,
    failed: BTreeSet<Item>,
    stranded: BTreeSet<Item>,
}

impl<'a> Outcome<'a> {
    pub fn new(journal: &'a Journal) -> Self {
        let fates = vec![None; journal.items.len()];
        Self { journal, fates, failed: BTreeSet::new(), stranded: BTreeSet::new() }
    }

    /// Brings a unit to rest. Fails while that takes a folder that was moved away.
    pub fn close(
        &mut self,
        hand: &mut Hand,
        unit: &Unit,
        outcome: Result<(), Halt>,
    ) -> Result<(), ApplyError> {
        // A link that has come in a folder's place is no failure of the disk: it is looked at again
        // as soon as anything is.
        let failed = matches!(&outcome, Err(Halt::Io(error)) if !Linked::is(&error.source));
        if let Err(halt) = &outcome {
            refuse_shut_out(hand, unit, !halt.undo())?;
        }
        let fate = match outcome {
            Err(halt) if halt.undo() => {
                // Else no file has to be looked at, which one that cannot be read would stop.
                if !hand.is_untouched(unit)? {
                    hand.back(unit)?;
                    // It may have been moved away meanwhile.
                    refuse_shut_out(hand, unit, false)?;
                }
                hand.tidy(unit, false)?;
                Err(halt.to_string())
            }
            rest => {
                hand.tidy(unit, rest.is_ok())?;
                hand.keep(unit)?;
                rest.map_err(|halt| halt.to_string())
            }
        };
        if fate.is_err() {
            self.stranded.extend(hand.stranded(unit)?.into_iter().cloned());
        }
        for &item in &unit.items {
            if let Some(slot) = self.fates.get_mut(item) {
                *slot = Some(fate.clone());
            }
            if let Some(entry) = self.journal.items.get(item).filter(|_| failed) {
                self.failed.insert(entry.item.clone());
            }
        }
        Ok(())
    }

    /// What was brought to rest before a crash.
    pub fn after(mut self, ended: Ended) -> Self {
        let mut left: BTreeMap<Item, String> = ended.retry.into_iter().collect();
        let fates = self.journal.items.iter().map(|entry| left.remove(&entry.item).map_or(Ok(()), Err));
        self.fates = fates.map(Some).collect();
        (self.failed, self.stranded) = (ended.failed, ended.stranded);
        self
    }

    /// Fails if a file is neither in place nor back.
    pub fn refuse_stranded(&self) -> Result<(), ApplyError> {
        self.stranded.first().map_or(Ok(()), |item| Err(ApplyError::Stranded(item.clone())))
    }

    /// Removes folders that deletes have left empty, makes everything durable, and returns the
    /// result for the items.
    pub fn finish(self, hand: &mut Hand) -> Result<Applied, ApplyError> {
        hand.sync()?;
        for (entry, fate) in self.journal.items.iter().zip(&self.fates) {
            let is_done = matches!(fate, Some(Ok(())));
            for step in entry.steps.iter().filter(|step| is_done && step.new.is_none()) {
                hand.remove_companions(step, hand.place_of(entry, step)?.as_deref())?;
                hand.remove_emptied(step, &|_| true)?;
            }
        }
        hand.sync()?;
        let mut left: Vec<_> = std::mem::take(&mut hand.left).into_iter().collect();
        left.dedup_by_key(|(what, _)| *what);
        let applied = Applied { left, ..self.tell(hand)? };
        Ended::note(hand.fs, hand.layout, self.journal, &applied)?;
        Ok(applied)
    }

    /// Result for the items. Only reads.
    pub fn tell(&self, hand: &Hand) -> Result<Applied, ApplyError> {
        let (failed, stranded) = (self.failed.clone(), self.stranded.clone());
        let mut applied = Applied { failed, stranded, ..Applied::default() };
        for (entry, fate) in self.journal.items.iter().zip(&self.fates) {
            match fate {
                Some(Ok(())) => {
                    for step in &entry.steps {
                        match step.new {
                            Some(_) => applied.placed += 1,
                            None => applied.removed += 1,
                        }
                        if let Some(place) = hand.place_of(entry, step)? {
                            applied.displaced.push(Displaced { path: step.path.clone(), place });
                        }
                    }
                    applied.done.push(entry.item.clone());
                }
                Some(Err(why)) => applied.retry.push((entry.item.clone(), why.clone())),
                // An item without steps has no unit, and nothing to do.
                None => applied.done.push(entry.item.clone()),
            }
        }
        Ok(applied)
    }
}

fn refuse_shut_out(hand: &Hand, unit: &Unit, stays: bool) -> Result<(), ApplyError> {
    hand.shut_out(unit, stays)?.map_or(Ok(()), |folder| Err(ApplyError::FolderAway(folder)))
}
