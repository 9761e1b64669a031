//! Versions of a group in a stage, and the files that a merge makes of them.
//!
//! Every content stands in the stage once, in a slot of its own. Nothing outside of the stage is
//! written but packs. A crash leaves what [`super::merge`] says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use super::Stand;
use super::sets::{Division, Files, Set, Versions};
use crate::fs::{At, ReadFile};
use crate::log::Snapshot;
use crate::merge::{
    Clash, File, Id, Names, Side, Unmerged, Version, append, essences, join_keys, merge, weave,
};
use crate::model::{ConflictId, Digest, Entry, Groups, LineMerge, VaultPath};
use crate::sync::cycle::{Known, Members, Old, Order, Run, Uploads, Wanted, kind, listed};
use crate::sync::session::{Context, Session};
use crate::sync::{Progress, Refusal, SyncError, blocking};
use crate::vault::validate::{Kind, check};
use crate::vault::{Stage, StageError, StageWriter};

/// Bytes that are written at once.
const BUFFER: usize = 256 << 10;

/// An open file, and its length.
type Opened = (Box<dyn ReadFile>, u64);

/// Files in a stage.
pub(super) struct Laid<'s> {
    stage: &'s Stage,
    /// Conflict whose versions are laid out now.
    pub(super) id: ConflictId,
    /// Slot of each content.
    slots: BTreeMap<Digest, u32>,
    /// Slots in use.
    next: u32,
    /// New entries of the group. None for a member that goes.
    pub(super) wanted: BTreeMap<VaultPath, Option<Entry>>,
    /// Contents that were made here.
    made: Vec<(Entry, u32)>,
    /// Entries that lost a clash, by the corpus and the version that they are of.
    pub(super) lost: Vec<(VaultPath, Version, Entry)>,
}

impl<'s> Laid<'s> {
    pub(super) const fn new(stage: &'s Stage, id: ConflictId) -> Self {
        Self {
            stage,
            id,
            slots: BTreeMap::new(),
            next: 0,
            wanted: BTreeMap::new(),
            made: Vec::new(),
            lost: Vec::new(),
        }
    }

    fn slot(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    fn open(&self, context: &Context, entry: &Entry) -> Result<Box<dyn ReadFile>, SyncError> {
        let slot = self.slots.get(&entry.digest).copied().unwrap_or(u32::MAX);
        let place = self.stage.path(slot);
        Ok(context.fs().open(&place).at("open", &place)?)
    }

    /// Writes a new file to the stage. Returns its slot and its entry, with the attributes of the
    /// `like` one.
    fn write(
        &mut self,
        context: &Context,
        like: &Entry,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), Unmerged>,
    ) -> Result<(u32, Entry), SyncError> {
        let slot = self.slot();
        let mut out = BufWriter::with_capacity(BUFFER, self.stage.writer(slot)?);
        fill(&mut out).map_err(|error| self.unmerged(error))?;
        let inner = out.into_inner().map_err(io::IntoInnerError::into_error);
        let writer: StageWriter = inner.map_err(|error| self.unmerged(error.into()))?;
        let content = writer.written();
        let mtime_ms = i64::try_from(context.ports.clock.now_ms()).unwrap_or(i64::MAX);
        writer.finish(content, like.mode, mtime_ms)?;
        let entry =
            Entry { digest: content.digest, size: content.size, mtime_ms, mode: like.mode, rows: None };
        Ok((slot, entry))
    }

    fn unmerged(&self, error: Unmerged) -> SyncError {
        match error {
            Unmerged::Io(source) => {
                let path = self.stage.path(self.next);
                StageError::Io(crate::fs::IoAt { operation: "merge", path, source }).into()
            }
            other => Refusal::NotMerged { id: self.id, why: other.to_string() }.into(),
        }
    }
}

impl Session<'_> {
    /// Stages files that are not staged yet. Returns one that nobody has any more.
    pub(super) async fn lay(
        &self,
        laid: &mut Laid<'_>,
        files: &Files,
        state: &Stand,
    ) -> Result<Option<VaultPath>, SyncError> {
        let layout = &self.context.layout;
        let (mut wanted, mut old) = (Vec::new(), Vec::new());
        for (path, entry) in files {
            if laid.slots.contains_key(&entry.digest) {
                continue;
            }
            let slot = laid.slot();
            laid.slots.insert(entry.digest, slot);
            wanted.push(Wanted { name: path.to_string(), slot, entry: *entry });
            old.extend([path.below(layout.root()), layout.conflict_file(laid.id, path)].map(Old::from));
        }
        self.context.check_room(&wanted, layout.root())?;
        let order = Order { log: self.log, remote: state, wanted: &wanted, old };
        let lost = self.context.fetch(order, laid.stage, Progress::default(), self.watcher).await?;
        laid.slots.retain(|_, slot| !lost.contains_key(slot));
        let missing = wanted.iter().find(|file| lost.contains_key(&file.slot));
        Ok(missing.and_then(|file| VaultPath::new(&file.name).ok()))
    }

    /// Uploads the contents that were made here. Returns the newest state with what names them.
    pub(super) async fn upload_laid(
        &self,
        laid: &Laid<'_>,
        head: &Stand,
    ) -> Result<Arc<Snapshot>, SyncError> {
        let context = self.context;
        let lasting = head.lasting();
        let mut index = context.indexed.take(&lasting);
        // None once the index is no longer what their tables say.
        let mut packs = Some(lasting);
        let mut from = head.as_ref().clone();
        loop {
            let mut known = Known::new(head, &index, Vec::new());
            let uploads = Uploads::new(context);
            let params = self.log.header()?.chunking;
            let mut run = Run::new(params, context.ports.entropy.as_ref(), &mut known, uploads.clone())?;
            for (entry, slot) in &laid.made {
                let place = laid.stage.path(*slot);
                let ingested = blocking(|| {
                    let mut file = context.fs().open(&place).at("open", &place)?;
                    Ok::<_, SyncError>(run.add(&mut file)?.at("read", &place)?)
                })?;
                if ingested.content != entry.content() {
                    return Err(SyncError::Upload(format!("{} changed while it was read", place.display())));
                }
                from.recipes.extend(ingested.recipe.map(|recipe| (entry.digest, recipe)));
                run.send().await?;
            }
            blocking(|| run.finish())?;
            uploads.wait_for(0).await?;
            let relied = known.relied().clone();
            for pack in uploads.done().await {
                from.packs.insert(pack.id, Arc::new(pack));
            }
            let missing = context.not_there(&index, relied).await?;
            if missing.is_empty() {
                if let Some(packs) = packs {
                    context.indexed.keep(packs, index);
                }
                return Ok(Arc::new(from));
            }
            // Packs do not hold what their tables say: it is sent again.
            packs = None;
            missing.iter().for_each(|id| index.forget(id));
        }
    }
}

impl Laid<'_> {
    /// Merges two versions of a single file into a new file of the stage. Returns its entry.
    pub(super) fn merge_lines(
        &mut self,
        context: &Context,
        how: LineMerge,
        base: Option<&Entry>,
        [here, there]: [&Entry; 2],
    ) -> Result<Entry, SyncError> {
        let open =
            |entry: &Entry| -> Result<Opened, SyncError> { Ok((self.open(context, entry)?, entry.size)) };
        let (base, here, opened) = (base.map(open).transpose()?, open(here)?, open(there)?);
        let (slot, entry) = self.write(context, there, |out| {
            let (base, here, there) = (base.as_ref().map(file), file(&here), file(&opened));
            match how {
                LineMerge::Append => append(base.as_ref(), &here, &there, out),
                LineMerge::Keys => join_keys(base.as_ref(), &here, &there, out),
                LineMerge::Weave => weave(base.as_ref(), &here, &there, out),
            }
        })?;
        if entry.content() == there.content() {
            return Ok(*there);
        }
        self.made.push((entry, slot));
        Ok(entry)
    }
}

impl Context {
    /// Merges what is laid out, into new files of the stage.
    pub(super) fn merge_laid(
        &self,
        laid: &mut Laid<'_>,
        versions: &Versions,
        groups: &Groups,
    ) -> Result<Vec<Clash>, SyncError> {
        let division = versions.divide(groups).map_err(|error| laid.unmerged(error))?;
        let Division { sets, taken, mut left_out } = division;
        laid.wanted = taken;
        let mut clashes = Vec::new();
        for set in &sets {
            clashes.extend(self.merge_set(laid, versions, set, &mut left_out)?);
        }
        versions.settle_derived(&mut laid.wanted, left_out, groups);
        let stays = |entry: &Entry| {
            laid.wanted.values().any(|wanted| *wanted == Some(*entry))
                || laid.lost.iter().any(|(_, _, lost)| lost == entry)
        };
        laid.made.retain(|(entry, _)| stays(entry));
        Ok(clashes)
    }

    fn merge_set(
        &self,
        laid: &mut Laid<'_>,
        versions: &Versions,
        set: &Set,
        left_out: &mut BTreeSet<VaultPath>,
    ) -> Result<Vec<Clash>, SyncError> {
        let open = |files: &Files| -> Result<Vec<Opened>, SyncError> {
            let entries = set.files_in(files).into_iter();
            entries.map(|entry| Ok((laid.open(self, entry)?, entry.size))).collect()
        };
        let (here, there) = (open(&versions.here)?, open(&versions.there)?);
        let base = versions.base.as_ref().map(open).transpose()?;
        let mut names = Names {
            key: set.key.clone(),
            rows: set.rows.iter().map(|(kind, path)| (kind.clone(), path.to_string())).collect(),
            rules: self.settings.rules.clone(),
            seen: BTreeMap::new(),
        };
        names.seen = self.known_to_both(laid, versions, &set.corpus, &names)?;
        let sides = [side(&here), side(&there)];
        let [Some(here), Some(there)] = &sides else { return Ok(Vec::new()) };
        let base = base.as_deref().and_then(side);
        let merged = merge(&names, base.as_ref(), here, there).map_err(|error| laid.unmerged(error))?;
        let corpus = (Kind::Corpus(set.key.clone()), set.corpus.clone());
        for (at, (kind, path)) in std::iter::once(&corpus).chain(&set.rows).enumerate() {
            let Some(like) = versions.there.get(path) else { continue };
            if at.checked_sub(1).is_some_and(|at| merged.leaves_out(at)) {
                left_out.insert(path.clone());
                continue;
            }
            let (slot, mut entry) = laid.write(self, like, |out| match at.checked_sub(1) {
                None => merged.write_corpus(out),
                Some(at) => Ok(merged.write_rows(at, out)?),
            })?;
            entry.rows = self.facts_in(laid.stage, slot, &entry.digest, kind)?.and_then(|facts| facts.rows());
            // The newest state has the contents of both sides, but not that of the base.
            let mut both = versions.here.values().chain(versions.there.values());
            if !both.any(|known| *known == entry) {
                laid.made.push((entry, slot));
            }
            laid.slots.insert(entry.digest, slot);
            laid.wanted.insert(path.clone(), Some(entry));
        }
        for (version, files) in [(Version::Here, &versions.here), (Version::There, &versions.there)] {
            let Some(like) = files.get(&set.corpus).filter(|_| merged.loses(version)) else { continue };
            let (slot, entry) = laid.write(self, like, |out| merged.write_lost(version, out))?;
            laid.made.push((entry, slot));
            laid.lost.push((set.corpus.clone(), version, entry));
        }
        Ok(merged.clashes().to_vec())
    }

    /// Memories as both sides have known them although the base does not have them so.
    fn known_to_both(
        &self,
        laid: &Laid<'_>,
        versions: &Versions,
        corpus: &VaultPath,
        names: &Names,
    ) -> Result<BTreeMap<Id, BTreeSet<Digest>>, SyncError> {
        let mut tables: Vec<BTreeMap<Id, Digest>> = versions.gone.get(corpus).cloned().into_iter().collect();
        for entry in versions.seen.iter().filter_map(|files| files.get(corpus)) {
            let file = laid.open(self, entry)?;
            // A version that cannot be read as memories tells nothing.
            tables.extend(essences(names, File { file: file.as_ref(), len: entry.size }));
        }
        let mut seen: BTreeMap<Id, BTreeSet<Digest>> = BTreeMap::new();
        for (id, essence) in tables.into_iter().flatten() {
            seen.entry(id).or_default().insert(essence);
        }
        Ok(seen)
    }

    /// Refuses a result whose files do not fit together, whatever the group's definition says.
    pub(super) fn must_fit_together(
        &self,
        laid: &Laid<'_>,
        there: &Files,
        groups: &Groups,
        name: &str,
    ) -> Result<(), SyncError> {
        let mut after = there.clone();
        for (path, entry) in &laid.wanted {
            match entry {
                Some(entry) => drop(after.insert(path.clone(), *entry)),
                None => drop(after.remove(path)),
            }
        }
        let mut found = Members::new();
        for (path, entry) in &after {
            let Some(kind) = kind(groups, path) else { continue };
            let facts = match (self.known_facts(&entry.digest, &kind), laid.slots.get(&entry.digest)) {
                (None, Some(slot)) => self.facts_in(laid.stage, *slot, &entry.digest, &kind)?,
                (known, _) => known,
            };
            found.extend(facts.map(|facts| (path.clone(), facts)));
        }
        let faults = check(&found);
        if faults.is_empty() {
            return Ok(());
        }
        Err(Refusal::Unfit { group: name.to_owned(), faults: listed(&faults) }.into())
    }
}

/// One version of a set, from its open files: the corpus first.
fn side(files: &[Opened]) -> Option<Side<'_>> {
    let (corpus, rows) = files.split_first()?;
    Some(Side { corpus: file(corpus), rows: rows.iter().map(file).collect() })
}

fn file((file, len): &Opened) -> File<'_> {
    File { file: file.as_ref(), len: *len }
}
