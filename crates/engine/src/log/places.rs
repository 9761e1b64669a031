//! Contents, and the packs that hold their chunks.
//!
//! Whoever can write to the bucket can claim another size, or another recipe, for a content that
//! stands in the vault, and have all chunks there that this recipe names. Only who reads all of it
//! could tell which claim is right. So every claim counts: what any of them names is needed, and a
//! content is lost only if it is complete by none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::needs::{Found, LISTS_KEPT, Leaves, Level, first_level};
use super::{ChunkReader, LogError, Snapshot};
use crate::content::ChunkIndex;
use crate::model::{Content, Digest, Entry, PackId, PackInfo, Recipe, SharedMap};
use crate::planted::{Bug, planted};

/// Sizes and recipes of one content that are told apart, beside the first. Of further recipes only
/// the parts are known: these are needed, and speak for nothing else.
const MOST_CLAIMS: usize = 16;

/// Contents and their recipes.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Contents by digest.
    pub all: BTreeMap<Digest, Content>,
    /// Recipes of the contents that have one.
    pub recipes: SharedMap<Digest, Recipe>,
    /// Further claims for contents that somebody tells otherwise.
    others: BTreeMap<Digest, Claims>,
}

/// Further claims for a content, beside the first size and the first recipe.
#[derive(Debug, Clone, Default)]
struct Claims {
    sizes: BTreeSet<u64>,
    recipes: Vec<Recipe>,
    /// Parts of the recipes that are too many, by depth.
    parts: BTreeMap<u8, Level>,
}

impl Claims {
    fn add_size(&mut self, size: u64) {
        if self.sizes.len() < MOST_CLAIMS {
            self.sizes.insert(size);
        }
    }

    fn add_recipe(&mut self, recipe: Recipe) {
        if self.recipes.contains(&recipe) {
            return;
        }
        if self.recipes.len() < MOST_CLAIMS {
            self.recipes.push(recipe);
        } else {
            let parts = recipe.parts.into_iter().map(|part| (part, 1));
            self.parts.entry(recipe.depth).or_default().extend(parts);
        }
    }
}

impl Contents {
    /// Contents of a state's manifest and open conflicts.
    #[must_use]
    pub fn of(state: &Snapshot) -> Self {
        let mut contents = Self { recipes: state.recipes.clone(), ..Self::default() };
        state.contents().for_each(|entry| contents.add(entry));
        contents
    }

    /// Adds the contents of another set.
    pub fn extend(&mut self, more: Self) {
        more.all.into_values().for_each(|content| self.add_content(content));
        if self.recipes.is_empty() {
            self.recipes = more.recipes.clone();
        }
        let differs: Vec<(Digest, Recipe)> = self
            .recipes
            .diff(&more.recipes)
            .filter_map(|(digest, _, recipe)| Some((*digest, recipe?.clone())))
            .collect();
        differs.into_iter().for_each(|(digest, recipe)| self.add_recipe(digest, recipe));
        for (digest, Claims { sizes, recipes, parts }) in more.others {
            sizes.into_iter().for_each(|size| self.add_content(Content { digest, size }));
            recipes.into_iter().for_each(|recipe| self.add_recipe(digest, recipe));
            let known = &mut self.others.entry(digest).or_default().parts;
            parts.into_iter().for_each(|(depth, parts)| known.entry(depth).or_default().extend(parts));
        }
    }

    /// Adds the content of an entry.
    pub fn add(&mut self, entry: &Entry) {
        self.add_content(entry.content());
    }

    fn add_content(&mut self, content: Content) {
        let known = self.all.entry(content.digest).or_insert(content);
        if planted(Bug::LastClaim) {
            *known = content;
        } else if *known != content {
            self.others.entry(content.digest).or_default().add_size(content.size);
        }
    }

    /// Adds the recipe of a content.
    pub fn add_recipe(&mut self, digest: Digest, recipe: Recipe) {
        match self.recipes.get(&digest) {
            Some(known) if *known == recipe => {}
            Some(_) if !planted(Bug::LastClaim) => self.others.entry(digest).or_default().add_recipe(recipe),
            _ => drop(self.recipes.insert(digest, recipe)),
        }
    }
}

/// Places of the chunks of contents.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Contents that are not complete in the packs at hand.
    pub lost: BTreeSet<Digest>,
    /// The ones among them that lack no more than lists which are in these packs and cannot be read:
    /// one reader finds them lost, and another may have read them before.
    pub unread: BTreeSet<Digest>,
    /// Pack of each chunk that is still there and that a content needs: a lasting one if possible.
    /// The rest of a content that is not complete may be what puts it right.
    pub chunks: BTreeMap<Digest, PackId>,
}

/// Packs at hand, in the order in which their chunks are preferred, and lists that were read.
struct AtHand {
    lasting: ChunkIndex,
    leaving: ChunkIndex,
    all: ChunkIndex,
    known: Leaves,
}

impl AtHand {
    fn place(&self, id: &Digest) -> Option<PackId> {
        let place = self.lasting.get(id).or_else(|| self.leaving.get(id)).or_else(|| self.all.get(id));
        place.map(|(pack, _)| pack)
    }

    /// Notes the places of what was found. True if each has one.
    fn note(&mut self, found: &mut Found, chunks: &mut BTreeMap<Digest, PackId>) -> bool {
        let room = LISTS_KEPT.saturating_sub(self.known.len());
        self.known.extend(std::mem::take(&mut found.listed.read).into_iter().take(room));
        let mut all = true;
        for id in found.listed.lists.iter().chain(&found.listed.chunks) {
            match self.place(id) {
                Some(pack) => drop(chunks.insert(*id, pack)),
                None => all = false,
            }
        }
        all
    }
}

/// State of a content in the packs at hand.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Lost,
    Unread,
    Complete,
}

impl ChunkReader {
    /// Finds the chunks of `contents`: first in the `lasting` packs, then in those that are
    /// `leaving`, then in those that no state names but that still exist (`there`).
    ///
    /// # Errors
    /// Errors of the remote while reading a long list.
    pub async fn places(
        &self,
        contents: &Contents,
        lasting: impl IntoIterator<Item = &Arc<PackInfo>>,
        leaving: impl IntoIterator<Item = &Arc<PackInfo>>,
        there: &[Arc<PackInfo>],
    ) -> Result<Places, LogError> {
        let lasting: ChunkIndex = lasting.into_iter().cloned().collect();
        let (mut on_leave, mut all) = (ChunkIndex::default(), lasting.clone());
        for pack in leaving {
            on_leave.insert(Arc::clone(pack));
            all.insert(Arc::clone(pack));
        }
        there.iter().for_each(|pack| all.insert(Arc::clone(pack)));
        let mut at_hand = AtHand { lasting, leaving: on_leave, all, known: Leaves::new() };
        let mut places = Places::default();
        for content in contents.all.values() {
            let standing = self.place(contents, *content, &mut at_hand, &mut places.chunks).await?;
            if standing != Standing::Complete {
                places.lost.insert(content.digest);
            }
            if standing == Standing::Unread {
                places.unread.insert(content.digest);
            }
        }
        Ok(places)
    }

    /// Finds the chunks of a content, by every claim.
    async fn place(
        &self,
        contents: &Contents,
        content: Content,
        at_hand: &mut AtHand,
        chunks: &mut BTreeMap<Digest, PackId>,
    ) -> Result<Standing, LogError> {
        let digest = content.digest;
        let none = Claims::default();
        let others = contents.others.get(&digest).unwrap_or(&none);
        let sizes: BTreeSet<u64> = others.sizes.iter().copied().chain([content.size]).collect();
        let mut standing = Standing::Lost;
        let first = contents.recipes.get(&digest);
        for recipe in first.into_iter().chain(&others.recipes) {
            let Ok(level) = first_level(content, Some(recipe)) else { continue };
            let mut found = self.find(&at_hand.all, &at_hand.known, content, level).await?;
            let has_all = at_hand.note(&mut found, chunks);
            let fits = |size| found.check(&at_hand.all, Content { digest, size }).is_ok();
            if has_all && found.listed.missing.is_none() && sizes.iter().copied().any(fits) {
                let is_read = found.listed.unread.is_empty();
                standing = standing.max(if is_read { Standing::Complete } else { Standing::Unread });
            }
        }
        for (depth, parts) in &others.parts {
            let mut found = self.find(&at_hand.all, &at_hand.known, content, (*depth, parts.clone())).await?;
            at_hand.note(&mut found, chunks);
        }
        // It may be one chunk, whatever a recipe says.
        chunks.extend(at_hand.place(&digest).map(|pack| (digest, pack)));
        let is_empty = first.is_none() && content.size == 0 && others.sizes.is_empty();
        let is_chunk = || at_hand.all.places(&digest).any(|(_, slot)| sizes.contains(&slot.len.into()));
        Ok(if is_empty || is_chunk() { Standing::Complete } else { standing })
    }
}
