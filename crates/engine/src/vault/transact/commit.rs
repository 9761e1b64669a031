//! The part of a transaction during which no other program may change files, and its record.

use std::collections::BTreeMap;

use super::copies::Prepared;
use super::places::Places;
use super::{Making, TransactError, answered, look};
use crate::fs::{Fs, IoAt, remove_tree};
use crate::model::{Item, VaultPath};
use crate::vault::journal::Purpose;
use crate::vault::names::spelling;
use crate::vault::record::{Answer, Record, Written};
use crate::vault::together::{forget_together, note_together};
use crate::vault::{
    Applied, ApplyItem, ApplyPlan, ApplyStep, FileLock, Layout, Recovered, Seen, apply, conclude,
};

/// The part during which no other program may change files.
pub(super) fn commit(
    fs: &dyn Fs,
    layout: &Layout,
    making: &Making<'_>,
    places: &Places,
    prepared: &[Prepared],
    lock: Option<&FileLock>,
) -> Result<Vec<Answer>, TransactError> {
    let request = making.transaction;
    if let Some(answers) = already(fs, layout, making)? {
        return Ok(answers);
    }
    let mut there: BTreeMap<VaultPath, Option<Seen>> = BTreeMap::new();
    for path in making.expected().map(|(path, _)| path).chain(making.changed()) {
        if !there.contains_key(path) {
            there.insert(path.clone(), look(fs, layout, path)?);
        }
    }
    let digest = |path: &VaultPath| there.get(path).copied().flatten().map(|seen| seen.content.digest);
    for (path, expected) in making.expected() {
        let current = digest(path);
        if current != *expected {
            return Err(TransactError::Conflict { path: path.clone(), current });
        }
    }
    let old = |path: &VaultPath| there.get(path).copied().flatten();
    let writes = prepared.iter().map(|new| (new.path.clone(), Some(new.staged)));
    let deletes = request.deletes.iter().map(|path| (path.clone(), None));
    let steps: Vec<ApplyStep> = writes
        .chain(deletes)
        .map(|(path, new)| {
            let on_disk = spelling(fs, layout.root(), &path)?;
            Ok(ApplyStep { old: old(&path), on_disk, new, path })
        })
        .filter(|step| step.as_ref().map_or(true, |step| step.old.is_some() || step.new.is_some()))
        .collect::<Result<_, IoAt>>()?;
    let files: Written =
        steps.iter().map(|step| (step.path.clone(), step.new.map(|new| new.content.digest))).collect();
    let mut begun = record(making, files);
    begun.write(fs, layout)?;
    places.stage(fs)?;
    let Some(first) = steps.first().map(|step| step.path.clone()) else {
        begun.close(fs, layout)?;
        places.all.iter().try_for_each(|place| remove_tree(fs, &place.stage))?;
        return Ok(begun.answers());
    };
    if steps.len() > 1 {
        note_together(fs, layout, &begun.name())?;
    }
    // One item, so that it is put in place as a whole, whatever groups its files are in.
    let items = vec![ApplyItem { item: Item::File(first), keep: None, steps }];
    let purpose = Purpose::Transaction(begun.name());
    let plan = ApplyPlan { id: places.id.clone(), purpose, finish: true, items };
    let applied = apply(fs, layout, plan, lock, &mut |_| {})?;
    let retry = applied.retry.first().map(|(_, why)| why.clone());
    let answers = close(fs, layout, begun, &applied)?;
    conclude(fs, layout)?;
    match retry {
        None => Ok(answers),
        Some(why) => Err(TransactError::Busy(why)),
    }
}

/// The record of a transaction, or of several that are put in place as one.
fn record(making: &Making<'_>, files: Written) -> Record {
    let together = making.together.iter().map(|share| {
        let own = files.iter().filter(|(path, _)| share.paths.contains(*path));
        let files = own.map(|(path, digest)| (path.clone(), *digest)).collect();
        Answer { transaction_id: share.id.clone(), files }
    });
    let together = together.collect();
    let answer = Answer { transaction_id: making.transaction.id.clone(), files };
    Record { done: false, answer, together }
}

/// The answer to a transaction that was carried out before.
pub(super) fn already(
    fs: &dyn Fs,
    layout: &Layout,
    making: &Making<'_>,
) -> Result<Option<Vec<Answer>>, TransactError> {
    for id in making.ids() {
        match answered(fs, layout, id)? {
            Some(answer) if making.together.is_empty() => return Ok(Some(vec![answer])),
            // The others must not wait for ever, nor be written with this one a second time.
            Some(_) => return Err(TransactError::Busy(format!("{id:?} was carried out meanwhile"))),
            None => {}
        }
    }
    Ok(None)
}

/// Records the outcome. Gives the answers, if it is in place.
fn close(fs: &dyn Fs, layout: &Layout, mut record: Record, applied: &Applied) -> Result<Vec<Answer>, IoAt> {
    if applied.retry.is_empty() {
        record.close(fs, layout)?;
        return Ok(record.answers());
    }
    forget_together(fs, layout, &record.name())?;
    record.remove(fs, layout)?;
    Ok(Vec::new())
}

/// Records the outcome of a transaction whose apply [`crate::vault::recover`] has finished; to be
/// called before [`conclude`].
///
/// # Errors
/// Errors of the system.
pub fn settle_transaction(fs: &dyn Fs, layout: &Layout, recovered: &Recovered) -> Result<(), IoAt> {
    let Purpose::Transaction(name) = &recovered.purpose else { return Ok(()) };
    let Ok(Some(record)) = Record::read(fs, layout, name) else { return Ok(()) };
    close(fs, layout, record, &recovered.applied).map(drop)
}
