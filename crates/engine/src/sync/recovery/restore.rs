//! Brings all or part of the vault back to an earlier state, or takes one generation back.
//!
//! Decided here: the wanted entry of each path. Each makes a new generation; none rewrites the
//! past. A group goes back as a whole, indexes included, whichever of its files was named. A crash
//! leaves what [`super::rewrite`] says.

use std::collections::{BTreeMap, BTreeSet};

use super::{Generation, Point, Rewrite, Rewritten};
use crate::log::{Log, Past, Snapshot};
use crate::model::{CommitKey, CommitKind, Conflict, Entry, Item, Kept, Origin, VaultPath};
use crate::sync::session::Session;
use crate::sync::{Engine, Refusal, SyncError, Watcher};

type Wanted = BTreeMap<VaultPath, Option<Entry>>;

impl Engine {
    /// Puts `paths` (files or folders; everything if empty) back to their state at `point`.
    ///
    /// # Errors
    /// See [`SyncError`]; a [`Refusal`] if there is no such point or path, or if it looks like an
    /// accident and `yes` is not given.
    pub async fn restore(
        &mut self,
        point: &Point,
        paths: &[VaultPath],
        yes: bool,
        watcher: &dyn Watcher,
    ) -> Result<Rewritten, SyncError> {
        let make = async |log: &mut Log, head: &Snapshot| {
            let key = point.find(log, head.key).await?;
            let old = log.snapshot(Some(key)).await?;
            let items = chosen(head, &old, paths)?;
            let wanted =
                state_of(&old, head, &|item| items.as_ref().is_none_or(|items| items.contains(item)));
            let kind = CommitKind::Restore(key.seq);
            let put_back = wanted.keys().map(|path| head.groups.item(path)).collect();
            Ok((Rewrite { kind, wanted, from: Some(old), put_back, ..Rewrite::default() }, vec![]))
        };
        self.rewritten(make, yes, watcher).await
    }

    /// Takes back the changes of the generation at `point`. If later changes touch the same files,
    /// it is refused; with `force`, their versions are kept as a conflict. The newest one is that
    /// from before this call, for the call itself first sends what was saved here since.
    ///
    /// # Errors
    /// See [`Engine::restore`].
    pub async fn undo(
        &mut self,
        point: &Point,
        force: bool,
        yes: bool,
        watcher: &dyn Watcher,
    ) -> Result<Rewritten, SyncError> {
        let newest = match point {
            Point::Newest => Some(self.session(watcher).await?.newest_to_undo().await?),
            Point::Generation(_) | Point::Time(_) => None,
        };
        let make = async |log: &mut Log, head: &Snapshot| {
            let key = match newest {
                Some(newest) => newest,
                None => point.find(log, head.key).await?,
            };
            let parts = log.parts(key).await?;
            let (oldest, newest) = (parts.first().copied(), parts.last().copied());
            let before = log.snapshot(oldest.and_then(|oldest| log.graph().first_parent(oldest))).await?;
            let after = log.snapshot(newest).await?;
            let mut items: BTreeSet<Item> = BTreeSet::new();
            for part in parts {
                let changed = log.changed_by(part).await?;
                items.extend(changed.iter().map(|path| head.groups.item(path)));
            }
            if items.is_empty() {
                return Err(Refusal::ChangedNothing(key.seq).into());
            }
            let wanted = state_of(&before, head, &|item| items.contains(item));
            let built_upon = built_upon(head, &after, &wanted);
            if !built_upon.is_empty() && !force {
                return Err(Refusal::BuiltUpon { generation: key.seq, paths: built_upon }.into());
            }
            let overruled: BTreeSet<Item> = built_upon.iter().map(|path| head.groups.item(path)).collect();
            let kept = match head.key {
                Some(head_key) if !overruled.is_empty() => {
                    versions_kept(head, &overruled, &wanted, &log.past(head_key).await?)
                }
                _ => Vec::new(),
            };
            let kind = CommitKind::Undo(key.seq);
            let put_back = items;
            Ok((Rewrite { kind, wanted, from: Some(before), kept, put_back, ..Rewrite::default() }, vec![]))
        };
        self.rewritten(make, yes, watcher).await
    }
}

impl Session<'_> {
    /// The newest generation that changed any file, as people know it here: refused if another
    /// device has made a newer one that this device has not brought yet.
    async fn newest_to_undo(&mut self) -> Result<CommitKey, SyncError> {
        self.finish_unfinished().await?;
        let head = self.stand().await?.key.ok_or(Refusal::Empty)?;
        let line = self.log.line(head);
        if let Some(agreed) = self.context.agreed()? {
            // This device's own are known: a restore may have been cut short before it was brought.
            let newer = self.log.past_from(head, agreed.seq + 1).await?;
            let is_own = |past: &Past| past.device.as_ref().is_some_and(|made| made.id == self.marker.device);
            if !line.contains(&agreed) || !newer.iter().all(is_own) {
                let known = if line.contains(&agreed) {
                    agreed.seq.to_string()
                } else {
                    Generation::of(agreed).to_string()
                };
                return Err(Refusal::NotNewest { known, newest: head.seq }.into());
            }
        }
        for key in &line {
            if !self.log.changed_by(*key).await?.is_empty() {
                return Ok(*key);
            }
        }
        Ok(head)
    }
}

/// Items that `paths` (files or folders) name. None if everything is meant.
pub(crate) fn chosen(
    head: &Snapshot,
    old: &Snapshot,
    paths: &[VaultPath],
) -> Result<Option<BTreeSet<Item>>, SyncError> {
    if paths.is_empty() {
        return Ok(None);
    }
    let mut items = BTreeSet::new();
    for path in paths {
        let named = |other: &&VaultPath| other.is_at_or_below(path);
        let mut found = old.tree.keys().chain(head.tree.keys()).filter(named).peekable();
        if found.peek().is_none() {
            return Err(Refusal::NoPath { path: path.clone(), generation: old.seq() }.into());
        }
        items.extend(found.map(|path| head.groups.item(path)));
    }
    Ok(Some(items))
}

/// Entries of `old` at every path of the items that `wanted` accepts, in either state.
fn state_of(old: &Snapshot, head: &Snapshot, wanted: &dyn Fn(&Item) -> bool) -> Wanted {
    let paths = old.tree.keys().chain(head.tree.keys()).filter(|path| wanted(&head.groups.item(path)));
    paths.map(|path| (path.clone(), old.tree.get(path).copied())).collect()
}

/// Paths at which the newest state is no longer as `after` left it. A rebuilt index is no user's
/// work.
fn built_upon(head: &Snapshot, after: &Snapshot, wanted: &Wanted) -> Vec<VaultPath> {
    let moved = |path: &&VaultPath| head.tree.get(*path) != after.tree.get(*path);
    wanted.keys().filter(moved).filter(|path| !head.groups.is_derived(path)).cloned().collect()
}

/// Present versions of `items`, as conflicts: a forced undo takes them away.
fn versions_kept(head: &Snapshot, items: &BTreeSet<Item>, wanted: &Wanted, past: &[Past]) -> Vec<Conflict> {
    let kept = items.iter().filter_map(|item| {
        let standing = wanted.keys().filter(|path| head.groups.item(path) == *item);
        let files: Vec<Kept> = standing
            .filter_map(|path| {
                head.tree.get(path).map(|entry| Kept { path: path.clone(), entry: Some(*entry) })
            })
            .collect();
        let touched = |past: &&Past| {
            past.changes.iter().any(|change| files.iter().any(|file| file.path == change.path))
        };
        let origin = past
            .iter()
            .find(touched)
            .and_then(|past| Some(Origin { device: past.device.as_ref()?.name.clone(), txn: past.txn? }));
        (!files.is_empty()).then(|| Conflict::new(item.clone(), files, origin).undecided(&head.resolved))
    });
    kept.filter(|conflict| !head.conflicts.contains_key(&conflict.id)).collect()
}
