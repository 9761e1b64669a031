//! Sends contents again that the newest state names and no pack holds any more, from the files of
//! this device.
//!
//! A pack that a commit names is put back under its own name ([`super::repair`]). Here are the
//! contents that no pack names, or only one that never held them: a member may have marked and
//! swept the true one. And those whose recipe is wrong ([`super::recipes`]): the commit brings
//! another one, which readers try in its place. They go into new packs, and a commit without changes names these. A file is
//! sent only if its bytes are those of the version that is lost.
//!
//! A crash before the commit leaves packs that belong to nothing, and a later prune takes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::Fault;
use super::lost::sound_part;
use super::recipes::OfRecipe;
use crate::content::ChunkIndex;
use crate::log::{ChunkReader, Snapshot};
use crate::model::{CommitKind, Content, Digest, Entry, PackInfo, Recipe, VaultPath};
use crate::sync::cycle::{Known, Run, Uploads, list_chunks};
use crate::sync::recovery::Rewrite;
use crate::sync::session::{Context, Session};
use crate::sync::{SyncError, blocking};

/// A content that no pack holds, and the files that may have it.
struct Unheld {
    content: Content,
    recipe: Option<Recipe>,
    files: Vec<PathBuf>,
    /// Path of a content whose recipe may be wrong: what its file is cut to now counts.
    doubted: Option<VaultPath>,
}

impl Session<'_> {
    /// Sends what is lost of the newest state and stands on this disk. Returns the new packs, and the
    /// paths of files whose recipes were wrong.
    pub(super) async fn send_again(
        &mut self,
        faults: &[Fault],
    ) -> Result<(Vec<PackInfo>, Vec<String>), SyncError> {
        let head = self.stand().await?;
        let bad: BTreeSet<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        let reader = ChunkReader::new(Arc::clone(&self.context.ports.remote));
        let (mut all, mut lasting) = (ChunkIndex::default(), ChunkIndex::default());
        for pack in head.packs.values() {
            let Some(sound) = sound_part(&reader, pack, &bad).await? else { continue };
            if !head.marked.contains_key(&pack.id) {
                lasting.insert(Arc::clone(&sound));
            }
            all.insert(sound);
        }
        let mut unheld = self.context.unheld(&reader, &all, &head).await?;
        // The bucket may hold all that the recipe of such a file names, and that may be the fault.
        for path in bad.iter().filter_map(|path| VaultPath::new(path).ok()) {
            let Some(content) = head.tree.get(&path).map(Entry::content) else { continue };
            if head.recipes.contains_key(&content.digest) {
                let doubted = Unheld { content, recipe: None, files: Vec::new(), doubted: Some(path) };
                unheld.entry(content.digest).or_insert(doubted);
            }
        }
        if unheld.is_empty() {
            return Ok(Default::default());
        }
        self.find_in_vault(&head, &mut unheld)?;
        self.leave_out_sound(&head, &mut unheld).await?;
        let of_doubted = |unheld: &Unheld| Some((unheld.content.digest, unheld.doubted.clone()?));
        let doubted: BTreeMap<Digest, VaultPath> = unheld.values().filter_map(of_doubted).collect();
        let (packs, recipes) = self.send_files(&head, &lasting, unheld.into_values()).await?;
        blocking(|| self.context.note_right_recipes(&recipes))?;
        let claimed = recipes.keys().filter_map(|content| Some(doubted.get(content)?.to_string())).collect();
        let kind = CommitKind::Prune;
        self.rewrite(&head, Rewrite { kind, packs: packs.clone(), recipes, ..Rewrite::default() }, true)
            .await?;
        Ok((packs, claimed))
    }

    /// Adds the synced files that have one of these contents, under whichever name.
    fn find_in_vault(&self, head: &Snapshot, unheld: &mut BTreeMap<Digest, Unheld>) -> Result<(), SyncError> {
        let scan = blocking(|| self.context.fresh_scan(self.marker.vault, head))?;
        // The file of a database in use is not what was sent of it.
        for (path, found) in scan.files.iter().filter(|(path, _)| !scan.in_parts.contains(*path)) {
            if let Some(unheld) = unheld.get_mut(&found.entry.digest) {
                unheld.files.push(scan.names.locate(self.context.layout.root(), path));
            }
        }
        Ok(())
    }

    /// Leaves out doubted contents that the bucket makes of the right bytes.
    async fn leave_out_sound(
        &self,
        head: &Snapshot,
        unheld: &mut BTreeMap<Digest, Unheld>,
    ) -> Result<(), SyncError> {
        let here = unheld.values().filter_map(|Unheld { content, files, doubted, .. }| {
            let (path, file) = (doubted.clone()?, files.first()?.clone());
            Some(OfRecipe { path, file, content: *content })
        });
        let wrong = self.context.made_of_others(head, here.collect()).await?;
        let wrong: BTreeSet<Digest> = wrong.into_iter().map(|of| of.content.digest).collect();
        unheld.retain(|content, unheld| unheld.doubted.is_none() || wrong.contains(content));
        Ok(())
    }

    /// Returns the new packs, and the recipes of what was doubted.
    async fn send_files(
        &self,
        head: &Snapshot,
        lasting: &ChunkIndex,
        unheld: impl Iterator<Item = Unheld>,
    ) -> Result<(Vec<PackInfo>, BTreeMap<Digest, Recipe>), SyncError> {
        let context = self.context;
        let mut known = Known::new(head, lasting, Vec::new());
        let uploads = Uploads::new(context);
        let params = self.log.header()?.chunking;
        let mut run = Run::new(params, context.ports.entropy.as_ref(), &mut known, uploads.clone())?;
        let mut recipes = BTreeMap::new();
        for Unheld { content, recipe, files, doubted } in unheld {
            let Some(path) = blocking(|| files.into_iter().find(|path| context.holds(path, content))) else {
                continue;
            };
            let Ok(mut file) = context.fs().open(&path) else { continue };
            match blocking(|| run.add(&mut file))? {
                Ok(sent) if sent.content == content && doubted.is_some() => {
                    recipes.extend(sent.recipe.map(|recipe| (content.digest, recipe)));
                }
                Ok(sent) if sent.content == content && sent.recipe == recipe => {}
                Ok(_) => tracing::warn!(path = %path.display(), "it changed while it was sent again"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "it could not be sent again"),
            }
            run.send().await?;
        }
        blocking(|| run.finish())?;
        uploads.wait_for(0).await?;
        Ok((uploads.done().await, recipes))
    }
}

impl Context {
    /// Contents of the newest state and its open conflicts that cannot be put together.
    async fn unheld(
        &self,
        reader: &ChunkReader,
        index: &ChunkIndex,
        head: &Snapshot,
    ) -> Result<BTreeMap<Digest, Unheld>, SyncError> {
        let kept = head.conflicts.values().flat_map(|conflict| {
            conflict.files.iter().filter_map(|file| {
                let place = self.layout.conflict_file(conflict.id, &file.path);
                file.entry.map(|entry| (&file.path, entry, Some(place)))
            })
        });
        let all = head.tree.iter().map(|(path, entry)| (path, *entry, None)).chain(kept);
        let recipes = blocking(|| self.recipes_of(&head.recipes))?;
        let (mut whole, mut unheld) = (BTreeSet::new(), BTreeMap::<Digest, Unheld>::new());
        for (path, entry, place) in all {
            let content = entry.content();
            if whole.contains(&content.digest) {
                continue;
            }
            if let Some(known) = unheld.get_mut(&content.digest) {
                known.files.extend(place);
                continue;
            }
            let recipe = recipes.get(&content.digest);
            match list_chunks(reader, index, path.as_str(), content, recipe).await {
                Ok(_) => drop(whole.insert(content.digest)),
                Err(error) if error.is_damage() => {
                    let files = place.into_iter().collect();
                    let recipe = recipe.cloned();
                    unheld.insert(content.digest, Unheld { content, recipe, files, doubted: None });
                }
                Err(other) => return Err(other),
            }
        }
        Ok(unheld)
    }
}
