//! Recipes that commits claim for a content, beside the one that the state has of it.
//!
//! The first recipe of a content stays in the state ([`super::Snapshot`]). Whoever can write to the
//! bucket may be the first: with one that gives as many other bytes, for a file that only another
//! device has. No replay can tell; who puts the file together can. So a device that finds a recipe
//! wrong looks for others in the newest commits ([`Log::claimed`]).

use std::collections::BTreeMap;

use futures_util::StreamExt;

use super::claims::note_claim;
use super::format::commit_key;
use super::{Log, LogError, ObjectCache};
use crate::model::{CommitKey, Digest, Recipe, RecipeOf};

/// Generations that are looked through, at most: whoever sends the content again is among them.
const SEARCHED: u64 = 1000;

/// Recipes that commits bring, by content, the newest first.
pub type ClaimedRecipes = BTreeMap<Digest, Vec<(CommitKey, Recipe)>>;

impl Log {
    /// Recipes in the newest commits of the past of `head`, without those in the past of `known`, as
    /// far as they are `wanted`. A commit that cannot be read claims nothing.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn claimed(
        &self,
        head: CommitKey,
        known: Option<CommitKey>,
        wanted: impl Fn(&RecipeOf) -> bool,
    ) -> Result<ClaimedRecipes, LogError> {
        let mut keys = match known {
            Some(known) => self.graph.only_in(head, known),
            None => self.graph.ancestry(head),
        };
        keys.retain(|key| key.seq.saturating_add(SEARCHED) > head.seq);
        let mut claimed = ClaimedRecipes::new();
        let mut reads = std::pin::pin!(self.reads(keys.into_iter().rev()));
        while let Some(read) = reads.next().await {
            let (key, commit) = match read {
                Ok(read) => read,
                Err(error) if error.is_of_a_place() => continue,
                Err(error) => return Err(error),
            };
            for of in commit.recipes.into_iter().filter(|of| wanted(of)) {
                claimed.entry(of.digest).or_default().push((key, of.recipe));
            }
        }
        Ok(claimed)
    }
}

/// Notes that a commit claims a recipe which gives other bytes than those of the content.
pub fn note_wrong_recipe(cache: &dyn ObjectCache, commit: CommitKey, content: &Digest) {
    let why = format!(
        "by its recipe, the content {} would be made of other bytes: other commits are asked for it",
        content.short()
    );
    note_claim(cache, &commit_key(commit), &why);
}
