//! Decides a conflict over a single file by merging its two versions, line by line.
//!
//! The files are named by pattern, in the settings of the device that merges: logs that only grow,
//! and texts. Staged, uploaded and committed as a group is ([`super::merge`]). Where both sides
//! changed the same lines nothing is merged, and the conflict waits for a person.

use std::collections::BTreeMap;

use super::laid::Laid;
use super::merge::Clashes;
use super::sets::Files;
use super::{Rewrite, Stand};
use crate::model::{CommitKind, Conflict, Entry, Keep, LineMerge, Resolution, VaultPath};
use crate::sync::bases::Common;
use crate::sync::session::Session;
use crate::sync::{Refusal, SyncError, blocking};
use crate::vault::Stage;

impl Session<'_> {
    /// Merges both versions of a file, and uploads the result. What is to be committed.
    pub(super) async fn merge_file(
        &mut self,
        stage: &Stage,
        conflict: &Conflict,
        path: &VaultPath,
        head: &Stand,
        losing: Clashes,
    ) -> Result<Rewrite, SyncError> {
        let unmerged = |why: String| SyncError::from(Refusal::NotMerged { id: conflict.id, why });
        let Some(how) = self.context.settings.texts.of(path) else {
            return Err(unmerged(format!(
                "{path} is a single file, and neither `conflict.lines` nor `conflict.text` names it"
            )));
        };
        let of_path = |entry: Option<&Entry>| -> Files {
            entry.map(|entry| (path.clone(), *entry)).into_iter().collect()
        };
        let here = conflict.files.iter().find(|file| file.path == *path).and_then(|file| file.entry);
        let (Some(here), Some(there)) = (here, head.tree.get(path).copied()) else {
            return Err(unmerged("one side deleted it".to_owned()));
        };
        let Common { base, continued, .. } = self.common_version(conflict, head).await?;
        let begun_by_both = how == LineMerge::Append && losing == Clashes::Decided;
        let base = match base {
            Some(state) => Some((of_path(state.tree.get(path)), state)),
            // A person has asked: then all that is here comes after all that is there.
            None if begun_by_both => None,
            None => return Err(unmerged("it is not known which version both came from".to_owned())),
        };
        let mut laid = Laid::new(stage, conflict.id);
        let sides = [&here, &there].map(|entry| of_path(Some(entry)));
        for files in &sides {
            if let Some(path) = self.lay(&mut laid, files, head).await? {
                return Err(Refusal::Gone { path }.into());
            }
        }
        let mut from = None;
        if let Some((files, state)) = &base {
            if self.lay(&mut laid, files, state).await?.is_some() {
                return Err(unmerged("the version that both came from was pruned".to_owned()));
            }
            from = files.get(path);
        }
        let merged = blocking(|| laid.merge_lines(self.context, how, from, [&here, &there]))?;
        laid.wanted = BTreeMap::from([(path.clone(), Some(merged))]);
        let from = Some(self.upload_laid(&laid, head).await?);
        let decided = std::iter::once(conflict.id).chain(continued);
        // Older devices know no other word for it: something of both versions stands.
        let resolved = decided.map(|id| Resolution { id, keep: Keep::Both }).collect();
        Ok(Rewrite { kind: CommitKind::Resolve, wanted: laid.wanted, from, resolved, ..Rewrite::default() })
    }
}
