//! Decides conflicts over single files by merging their two versions, line by line or key by key.
//!
//! The files are named by pattern, in the settings of the device that merges: logs that only grow,
//! JSON objects, and texts. Staged, uploaded and committed as a group is ([`super::merge`]), but
//! all in one commit: a program may have changed hundreds of texts on both sides, and history keeps
//! generations. Where both sides changed the same lines or keys a file is not merged, and its
//! conflict waits for a person.

use std::collections::BTreeSet;

use super::laid::Laid;
use super::merge::{Clashes, STANDS, decided};
use super::resolve::must_be_whole;
use super::sets::Files;
use super::{Rewrite, Stand};
use crate::model::{CommitKind, Conflict, ConflictId, Entry, Item, Kept, LineMerge, VaultPath};
use crate::sync::bases::Common;
use crate::sync::session::Session;
use crate::sync::{Refusal, SyncError, blocking};
use crate::vault::Stage;

/// Conflicts over files that are merged, each over another file, as they are to be committed.
#[derive(Default)]
pub(crate) struct MergedFiles {
    pub(crate) rewrite: Rewrite,
    pub(crate) merged: Vec<Conflict>,
    /// Conflicts that are not merged, each with the cause.
    pub(crate) refused: Vec<(Conflict, Refusal)>,
}

impl Session<'_> {
    /// Merges both versions of each of these files, and uploads the results.
    pub(crate) async fn merge_files(
        &mut self,
        conflicts: Vec<Conflict>,
        head: &Stand,
        losing: Clashes,
    ) -> Result<MergedFiles, SyncError> {
        self.in_stage(async |session, stage| session.merge_in_stage(stage, conflicts, head, losing).await)
            .await
    }

    async fn merge_in_stage(
        &mut self,
        stage: &Stage,
        conflicts: Vec<Conflict>,
        head: &Stand,
        losing: Clashes,
    ) -> Result<MergedFiles, SyncError> {
        let mut files = MergedFiles::default();
        let Some(first) = conflicts.first() else { return Ok(files) };
        let mut laid = Laid::new(stage, first.id);
        for conflict in conflicts {
            let Item::File(path) = &conflict.item else { continue };
            laid.id = conflict.id;
            match self.merge_file(&mut laid, &conflict, path, head, losing).await {
                Ok(continued) => {
                    files.rewrite.resolved.extend(decided(conflict.id, continued));
                    files.merged.push(conflict);
                }
                Err(SyncError::Refused(refusal)) => files.refused.push((conflict, refusal)),
                Err(error) => return Err(error),
            }
        }
        if !files.merged.is_empty() {
            files.rewrite.from = Some(self.upload_laid(&laid, head).await?);
        }
        (files.rewrite.kind, files.rewrite.wanted) = (CommitKind::Resolve, laid.wanted);
        Ok(files)
    }

    /// Merges both versions of a file. Returns the other conflicts that this decides.
    async fn merge_file(
        &mut self,
        laid: &mut Laid<'_>,
        conflict: &Conflict,
        path: &VaultPath,
        head: &Stand,
        losing: Clashes,
    ) -> Result<BTreeSet<ConflictId>, SyncError> {
        must_be_whole(conflict, head)?;
        let id = conflict.id;
        let unmerged = |why: String| SyncError::from(Refusal::NotMerged { id, why });
        let Some(how) = self.context.settings.texts.of(path) else {
            return Err(unmerged(format!(
                "{path} is a single file, and none of `conflict.lines`, `json` and `text` names it"
            )));
        };
        let of_path = |entry: Option<&Entry>| -> Files {
            entry.map(|entry| (path.clone(), *entry)).into_iter().collect()
        };
        let among = |files: &[Kept]| files.iter().find(|file| file.path == *path).and_then(|file| file.entry);
        let here = among(&conflict.files);
        let (Some(here), Some(there)) = (here, head.tree.get(path).copied()) else {
            return Err(unmerged("one side deleted it".to_owned()));
        };
        if losing == Clashes::Kept && here.content() == there.content() {
            return Err(unmerged(STANDS.to_owned()));
        }
        let Common { bases, continued, unrelated, .. } = self.common_version(conflict, head).await?;
        let begun_by_both = how == LineMerge::Append && (losing == Clashes::Decided || unrelated);
        let base = match bases.into_iter().next() {
            Some((state, files)) => Some((of_path(among(&files).as_ref()), state)),
            // Then all that is here comes after all that is there.
            None if begun_by_both => None,
            None => return Err(unmerged("it is not known which version both came from".to_owned())),
        };
        for files in [&here, &there].map(|entry| of_path(Some(entry))) {
            if let Some(path) = self.lay(laid, &files, head).await? {
                return Err(Refusal::Gone { path }.into());
            }
        }
        let mut from = None;
        if let Some((files, state)) = &base {
            if self.lay(laid, files, state).await?.is_some() {
                return Err(unmerged("the version that both came from was pruned".to_owned()));
            }
            from = files.get(path);
        }
        let merged = blocking(|| laid.merge_lines(self.context, how, from, [&here, &there]))?;
        laid.wanted.insert(path.clone(), Some(merged));
        Ok(continued)
    }
}
