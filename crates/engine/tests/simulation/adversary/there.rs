//! What must be in the bucket, whatever the adversary did.

use cogzy_engine::content::{open_chunk, stored_in};

use super::*;
use crate::replayed::Within;

/// No commit builds on one that unpacks to too much.
pub(super) fn nobody_took_a_bomb(world: &World, adversary: &Adversary) -> Check {
    let is_bomb = |key: &&CommitKey| adversary.bombs.contains(key);
    for (key, commit) in commits(world) {
        let own = adversary.made.contains(&format!("commits/{key}"));
        if let Some(bomb) = commit.parents.iter().find(is_bomb).filter(|_| !own) {
            return Err(format!("commit {key} builds on {bomb}, which unpacks to more than is allowed"));
        }
    }
    Ok(())
}

/// Every version that a commit names can be put together from what is in the bucket, if the commit
/// is young enough or all is kept.
pub(super) fn everything_is_there(world: &World, adversary: &Adversary, retention: Retention) -> Check {
    let commits = commits(world);
    let bucket = world.store.lock();
    let mut places: BTreeMap<Digest, Vec<(PackId, ChunkSlot)>> = BTreeMap::new();
    let mut within = Within::default();
    for (pack, chunks) in commits.iter().flat_map(|(key, commit)| within.take(*key, commit)) {
        chunks.iter().for_each(|slot| places.entry(slot.id).or_default().push((pack, *slot)));
    }
    // A merge repeats the claims of what it merges.
    let said = commits.values().flat_map(|commit| &commit.recipes);
    let said = said.filter(|of| !adversary.recipes.contains(&of.recipe));
    let recipes: BTreeMap<Digest, &Recipe> = said.map(|of| (of.digest, &of.recipe)).collect();
    let gives = |(pack, slot): &(PackId, ChunkSlot)| {
        let whole = within.bytes(*pack, &bucket.objects).map(|body| stored_in(slot, body));
        whole.is_some_and(|stored| open_chunk(*pack, slot, stored).is_ok())
    };
    let age_ms = i64::try_from(retention.age.as_millis()).unwrap();
    let since_ms = bucket.now_ms() - age_ms;
    let is_kept = |key: &CommitKey| {
        retention.generations == ALL.generations || bucket.put_at(*key).is_some_and(|at| at > since_ms)
    };
    let is_deleted =
        |places: &Vec<(PackId, ChunkSlot)>| places.iter().any(|(pack, _)| adversary.deleted.contains(pack));
    for (key, commit) in commits.iter().filter(|(key, _)| is_kept(key)) {
        let kept = commit.kept.iter().flat_map(|conflict| &conflict.files).filter_map(|file| file.entry);
        let entries = commit.changes.iter().filter_map(|change| change.entry).chain(kept);
        for entry in entries.filter(|entry| !adversary.awaits(&entry.digest)) {
            let whole = vec![entry.digest];
            let parts = recipes.get(&entry.digest).map(|of| of.parts.iter().map(|part| part.id).collect());
            let chunks: Vec<Digest> = parts.unwrap_or(whole);
            let lost = chunks
                .iter()
                .find(|id| !places.get(*id).is_some_and(|all| all.iter().any(gives) || is_deleted(all)));
            if let Some(chunk) = lost.filter(|_| entry.size > 0) {
                return Err(format!("chunk {chunk} of {} of commit {key} is lost", entry.digest));
            }
        }
    }
    Ok(())
}
