//! Looks at the places that a watcher has named, which take the rest of the vault as the last look
//! left it.
//!
//! A scan of the whole vault is the truth. It is made by each process once, whenever the caller
//! names no places, and after anything that is not plain: an error, a file that is gone, a link, a
//! mount, a database, a clash, a hold, an item that waits for more than its settle window. What a
//! place hides from such a look (a hint that was lost, came late or named another place) is found
//! by the next scan of all, and sent later.
//!
//! Groups are looked at whole each time, with whatever is bound to them, so that no lost hint tears
//! one. Files that have not settled, and those that a pull has written, are looked at again, too.
//! The state is kept in memory only; a crash leaves nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Local, Scope, Sides, Survey};
use crate::model::{Cached, FileStat, Group, SharedMap, Tree, VaultPath, beginning_with, start};
use crate::plan::Waiting;
use crate::planted::{Bug, planted};
use crate::sync::SyncError;
use crate::sync::session::Session;
use crate::vault::{Names, ScanOptions, Snapshots, Together, scan_places};

/// The vault's files as the last look found them, where all of it was plain.
#[derive(Debug)]
pub(crate) struct LastLook {
    tree: Tree,
    stats: SharedMap<VaultPath, FileStat>,
    unsettled: BTreeSet<VaultPath>,
}

impl LastLook {
    /// The state that a survey found. None where the next look has to be at all of it.
    pub(super) fn of(survey: &Survey) -> Option<Self> {
        let Survey { local, plan, hidden, .. } = survey;
        let unsettled = &local.unsettled;
        let settles = |path: &VaultPath| unsettled.contains(path);
        let waits = |waiting: &Waiting| waiting.blocked_by.as_ref().is_some_and(settles);
        let plain = local.plain
            && local.troubles.is_empty()
            && local.names == Names::default()
            && local.blocked.paths().all(settles)
            && plan.waiting.iter().all(waits)
            && plan.holds.is_empty()
            && hidden.is_empty();
        plain.then(|| Self {
            tree: local.tree.clone(),
            stats: local.stats.clone(),
            unsettled: unsettled.clone(),
        })
    }
}

impl Session<'_> {
    /// Looks at the places that were named, if that is enough. `last` is the last look.
    pub(super) fn look_at_hints(
        &mut self,
        last: Option<LastLook>,
        sides: &Sides,
        noted: &[Together],
        scope: Scope,
    ) -> Result<Option<Local>, SyncError> {
        let written = std::mem::take(&mut self.memory.written);
        let (Some(last), Some(mut places)) = (last, self.hints.take()) else { return Ok(None) };
        let groups = sides.remote.groups.definitions();
        let known = self.known_groups(&sides.agreed);
        if scope.rehash || scope.dry || known.is_some_and(|known| known != groups) {
            return Ok(None);
        }
        let Some(members) = places_of(groups) else { return Ok(None) };
        places.extend(written);
        if !planted(Bug::HalfAGroup) {
            places.extend(members);
        }
        places.extend(last.unsettled.iter().cloned());
        places.extend(noted.iter().flat_map(|note| note.files.keys().cloned()));
        self.look_at(last, &places)
    }

    fn look_at(&self, last: LastLook, places: &BTreeSet<VaultPath>) -> Result<Option<Local>, SyncError> {
        let (context, ports) = (self.context, &self.context.ports);
        let LastLook { mut tree, mut stats, mut unsettled } = last;
        let mut cache = cached(&tree, &stats, &unsettled, places);
        // Files that had not settled may have been hashed all the same, in a state that no later
        // write can repeat.
        cache.extend(ports.database.stats_of(&unsettled).unwrap_or_default());
        let snapshots = Snapshots::new(Arc::clone(&ports.fs), &context.layout);
        let options = ScanOptions {
            vault: self.marker.vault,
            filter: &context.settings.filter,
            cache: &cache,
            now_ns: ports.clock.now_ns(),
            settle: context.settings.settle,
            rehash_before: i64::MIN,
            threads: context.settings.threads,
            prefer: Some(&|_| true),
            snapshots: None,
            progress: &|_| {},
        };
        let Some(scan) = scan_places(context.fs(), &context.layout, &options, &tree, places)? else {
            return Ok(None);
        };
        if let Err(error) = ports.database.update_stats(&scan.news, &[]) {
            tracing::warn!(%error, "the stat cache could not be written; files are hashed again next time");
        }
        for (path, found) in scan.files {
            if found.settled {
                unsettled.remove(&path);
            } else {
                unsettled.insert(path.clone());
            }
            // An unchanged entry stays shared with other trees.
            if tree.get(&path) != Some(&found.entry) {
                tree.insert(path.clone(), found.entry);
            }
            if stats.get(&path) != Some(&found.stat) {
                stats.insert(path, found.stat);
            }
        }
        self.watcher.named(places.len());
        Ok(Some(Local::known(tree, stats, unsettled, snapshots)))
    }
}

/// The known contents of the files at and below these places: those that had settled.
fn cached(
    tree: &Tree,
    stats: &SharedMap<VaultPath, FileStat>,
    unsettled: &BTreeSet<VaultPath>,
    places: &BTreeSet<VaultPath>,
) -> HashMap<VaultPath, Cached> {
    let mut cache = HashMap::new();
    for place in places {
        let inside = format!("{place}/");
        let below = beginning_with(stats, &inside).map(|(path, stat)| (path, *stat));
        let own = stats.get_key_value(place).map(|(path, stat)| (path, *stat));
        for (path, stat) in own.into_iter().chain(below).filter(|(path, _)| !unsettled.contains(*path)) {
            if let Some(entry) = tree.get(path) {
                cache.insert(path.clone(), Cached { stat, digest: entry.digest, hashed_ns: 0 });
            }
        }
    }
    cache
}

/// Places at and below which all members of these groups stand. None where they may stand anywhere.
fn places_of(groups: &[Group]) -> Option<Vec<VaultPath>> {
    let patterns = groups.iter().flat_map(|group| group.primary.iter().chain(&group.derived));
    let place = |pattern: &String| {
        let fixed = start(pattern);
        let place = if fixed == pattern { fixed } else { fixed.rsplit_once('/')?.0 };
        VaultPath::new(place).ok()
    };
    patterns.map(place).collect()
}
