//! The end of a cycle: the trash, leftovers of transactions, the manifest for people, and now and
//! then a checkpoint.
//!
//! Nothing here can lose anything: the trash is looked at again before any of it goes, and the
//! manifest is only for other programs to read. A crash leaves work for the next cycle.

use std::collections::BTreeMap;
use std::io::{BufWriter, Read, Write};

use serde::{Serialize, Serializer};

use super::Survey;
use crate::fs::{self, At};
use crate::log::Snapshot;
use crate::model::{CommitKey, Digest, Entry, Item, Tree, VaultId};
use crate::state::LastSync;
use crate::sync::conflicts::Decided;
use crate::sync::report::{About, Noted, Trouble, Weight};
use crate::sync::session::{Context, Memory, Session};
use crate::sync::{Engine, Report, SyncError, Unwatched, blocking};
use crate::vault::trash;

/// Format of the manifest.
const FORMAT: u32 = 1;
/// Most files of a manifest that is written with each cycle that moves something. A longer one
/// costs more than a small save: it is left to [`Engine::write_manifest`].
const AT_ONCE: usize = 1000;
/// Time between two looks at leftovers of transactions. There may be thousands.
const LEFTOVERS_EVERY_MS: u64 = 3600 * 1000;
/// Bytes of a manifest that are written at once.
const PIECE: usize = 1 << 20;

/// Findings of [`Context::clear_trash`].
pub(crate) struct Cleared {
    /// Files that were written to after they were displaced; they are kept.
    kept: usize,
    /// Trashes old enough to go that have not yet stood still for the settle window.
    waiting: usize,
}

/// `sync/manifest.json`: the state agreed last, the same on every device that has agreed on that
/// commit.
#[derive(Debug, Serialize)]
struct Manifest<'a> {
    format: u32,
    vault: VaultId,
    generation: u64,
    commit: Option<CommitKey>,
    #[serde(serialize_with = "files")]
    files: &'a Tree,
}

/// A map from path to file.
fn files<S: Serializer>(tree: &Tree, serializer: S) -> Result<S::Ok, S::Error> {
    let file = |entry: &Entry| File { size: entry.size, blake3: entry.digest, mtime_ms: entry.mtime_ms };
    serializer.collect_map(tree.iter().map(|(path, entry)| (path, file(entry))))
}

#[derive(Debug, Serialize)]
struct File {
    size: u64,
    blake3: Digest,
    mtime_ms: i64,
}

impl Session<'_> {
    /// Tidies up after a cycle that has come to its end.
    pub(crate) async fn tidy(&mut self, record: &LastSync) -> Result<(), SyncError> {
        let snapshot = self.log.snapshot(record.commit).await?;
        let (context, age_ms, discarded) = (self.context, self.age_ms(), || self.apply_id());
        let due = self.memory.tidied_ms.is_none_or(|at| age_ms.abs_diff(at) >= LEFTOVERS_EVERY_MS);
        let cleared = blocking(|| {
            // Comes first: a trash that the next call moves away would not be looked at again.
            let cleared = context.clear_trash(age_ms, &snapshot.resolved)?;
            if due {
                context.tidy_transactions(age_ms)?;
            }
            context.clear_resolved(&snapshot, &discarded)?;
            Ok::<_, SyncError>(cleared)
        })?;
        if due {
            self.memory.tidied_ms = Some(age_ms);
        }
        if snapshot.tree.len() <= AT_ONCE {
            blocking(|| self.memory.write_manifest(context, record, &snapshot))?;
        }
        if self.report.pulled + self.report.deleted_local > 0 {
            self.limit_trash();
        }
        if cleared.kept > 0 {
            self.report.displaced_later(cleared.kept);
        }
        if cleared.waiting > 0 {
            self.report.trash_waits();
        }
        self.memory.agreed = Some(record.commit);
        self.note_time();
        self.note_seen(record);
        let sent = self.report.pushed + self.report.deleted_remote > 0;
        if let Some(head) = record.commit.filter(|_| sent && !self.log.is_doubtful()) {
            self.checkpoint(head).await;
        }
        if let Some(head) = record.commit
            && let Err(error) = self.log.keep_state_if_due(head).await
        {
            tracing::warn!(%error, "no state could be kept; the next start replays more");
        }
        Ok(())
    }

    /// Writes a checkpoint if one is due. A failure only makes the next one larger.
    async fn checkpoint(&mut self, head: CommitKey) {
        match self.log.checkpoint_if_due(head, self.context.ports.entropy.as_ref()).await {
            Ok(false) => {}
            Ok(true) => tracing::info!(commit = %head, "checkpoint written"),
            Err(error) => {
                tracing::warn!(%error, "no checkpoint could be written; the next commit tries again");
            }
        }
    }
}

impl Memory {
    /// Writes the manifest of the agreed commit, unless this process has.
    fn write_manifest(
        &mut self,
        context: &Context,
        record: &LastSync,
        agreed: &Snapshot,
    ) -> Result<(), SyncError> {
        if self.manifest_of != Some(record.commit) {
            context.write_manifest(record.vault, agreed)?;
            self.manifest_of = Some(record.commit);
        }
        Ok(())
    }
}

impl Engine {
    /// True if `sync/manifest.json` is of another commit than the one that was agreed last.
    #[must_use]
    pub fn is_manifest_due(&self) -> bool {
        self.memory.agreed.is_some() && self.memory.manifest_of != self.memory.agreed
    }

    /// Brings `sync/manifest.json` up to date, if it is not. To be called now and then by who runs
    /// cycles: those of large vaults leave it as it is.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn write_manifest(&mut self) -> Result<(), SyncError> {
        if !self.is_manifest_due() {
            return Ok(());
        }
        let session = self.session(&Unwatched).await?;
        let Some(record) = session.context.record()? else { return Ok(()) };
        let agreed = session.log.snapshot(record.commit).await?;
        blocking(|| session.memory.write_manifest(session.context, &record, &agreed))
    }
}

impl Context {
    /// Looks at the trash again, and removes trashes that are old enough at `age_ms`. `decided` are
    /// the conflicts that are decided.
    pub(crate) fn clear_trash(&self, age_ms: u64, decided: &Decided) -> Result<Cleared, SyncError> {
        let kept = self.recheck_trash(decided)?;
        let keep = u64::try_from(self.settings.trash.as_millis()).unwrap_or(u64::MAX);
        let expired = trash::expire(self.fs(), &self.layout, age_ms.saturating_sub(keep))?;
        Ok(Cleared { kept, waiting: expired.waiting.len() })
    }

    /// Writes the manifest of a snapshot, unless the disk has it already.
    fn write_manifest(&self, vault: VaultId, snapshot: &Snapshot) -> Result<(), SyncError> {
        let path = self.layout.manifest();
        let (generation, commit) = (snapshot.seq(), snapshot.key);
        let manifest = Manifest { format: FORMAT, vault, generation, commit, files: &snapshot.tree };
        if self.has_manifest(&manifest).unwrap_or_default() {
            return Ok(());
        }
        let written = fs::replace_with(self.fs(), &path, 0o600, |file| {
            let mut file = BufWriter::with_capacity(PIECE, file);
            serde_json::to_writer_pretty(&mut file, &manifest)?;
            file.flush()
        });
        Ok(written.at("write", &path)?)
    }

    /// True if the disk has this manifest. It is put there whole, so in a large vault its head
    /// tells.
    fn has_manifest(&self, manifest: &Manifest<'_>) -> std::io::Result<bool> {
        let mut file = self.fs().open(&self.layout.manifest())?;
        let is_large = manifest.files.len() > AT_ONCE;
        let shown = if is_large { &Manifest { files: &Tree::new(), ..*manifest } } else { manifest };
        let bytes = serde_json::to_vec_pretty(shown)?;
        // Without the end of the empty map.
        let expected = bytes.strip_suffix(b"}\n}").filter(|_| is_large).unwrap_or(&bytes);
        let mut found = vec![0; expected.len()];
        file.read_exact(&mut found)?;
        Ok(found == expected && (is_large || file.read(&mut [0])? == 0))
    }
}

/// Adds everything that the survey could not deal with to the report.
pub(crate) fn note(survey: &Survey, report: &mut Report) {
    report.holds.clone_from(&survey.plan.holds);
    (report.problems, report.noted) = (survey.local.troubles.clone(), Noted::default());
    report.holdings = Some(survey.holdings.clone());
    // Of several troubles with the same thing the first one counts.
    let mut weights: BTreeMap<About, Weight> = BTreeMap::new();
    for trouble in &report.problems {
        weights.entry(trouble.about.clone()).or_insert(trouble.weight);
    }
    for waiting in &survey.plan.waiting {
        let of_item = |item: &Item| {
            let path = match item {
                Item::File(path) => weights.get(&About::Path(path.clone())),
                Item::Group(_) => None,
            };
            weights.get(&About::Item(item.clone())).or(path).copied()
        };
        // An item that waits for another one has the same weight as that one.
        let weight = match survey.plan.bound.get(&waiting.item) {
            Some(cause) => of_item(cause).unwrap_or(Weight::Lasting),
            None => {
                let is_known = |about: About| weights.contains_key(&about);
                let blocked = waiting.blocked_by.clone().map(About::Path);
                if is_known(About::Item(waiting.item.clone())) || blocked.is_some_and(is_known) {
                    continue;
                }
                if waiting.lasts { Weight::Lasting } else { Weight::Passing }
            }
        };
        weights.entry(About::Item(waiting.item.clone())).or_insert(weight);
        report.problems.push(Trouble::of(&waiting.item, waiting.why.clone(), weight));
    }
}
