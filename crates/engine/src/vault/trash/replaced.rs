//! Files that programs have replaced by transactions: they go as soon as they have settled.
//!
//! Whoever writes transactions, or looks at the vault while nothing can be sent, takes them away:
//! an app that saves a large matrix every minute would fill the disk before a cycle comes to its
//! end. Without a cycle there is nothing to make a conflict copy, so a trash with a late write in
//! it is left to [`recheck`](super::recheck), and so is every trash of a pull.
//!
//! A crash leaves the journal, which goes last; the next call does the rest.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{TrashError, UNCHECKED, changes, in_turn, list, remove};
use crate::fs::{At, Fs, found};
use crate::vault::Layout;
use crate::vault::journal::{Journal, Purpose};

/// Longest journal that is read here, in bytes: that of a large generation is not read again with
/// every small save. A cycle reads them all.
const LONGEST: u64 = 1 << 20;

/// Removes the trashes of transactions in which nothing has changed, and nothing has moved for the
/// settle window. Needs neither a remote nor a cycle. Gives the number that went; none while
/// another program looks at the trash.
///
/// # Errors
/// See [`recheck`](super::recheck).
pub fn clear_replaced(
    fs: &dyn Fs,
    layout: &Layout,
    now_ns: i64,
    settle: Duration,
    threads: NonZeroUsize,
) -> Result<usize, TrashError> {
    let settled_ns =
        i128::from(now_ns).saturating_sub(i128::try_from(settle.as_nanos()).unwrap_or(i128::MAX));
    // A look at the names alone tells where nothing is to be done: many programs save often.
    let mut old = list(fs, layout)?;
    old.retain(|id| i128::from(id.ms()) * 1_000_000 <= settled_ns);
    if old.is_empty() {
        return Ok(0);
    }
    let cleared = in_turn(fs, layout, || {
        let mut gone = 0;
        for id in &old {
            let path = layout.trash_of(id).join(UNCHECKED);
            let stat = found(fs.lstat(&path)).at("look at", &path)?;
            if stat.is_none_or(|stat| stat.size > LONGEST) {
                continue;
            }
            let Some(journal) = Journal::read(fs, &path)? else { continue };
            if !matches!(journal.purpose, Purpose::Transaction(_)) {
                continue;
            }
            let changed = changes(fs, layout, &journal, (now_ns, settle), threads)?;
            if changed.is_some_and(|changed| changed.is_empty()) {
                remove(fs, layout, id)?;
                gone += 1;
            }
        }
        Ok::<_, TrashError>(gone)
    })?;
    Ok(cleared.unwrap_or_default())
}
