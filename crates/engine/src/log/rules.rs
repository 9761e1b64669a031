//! Rules that a commit must satisfy on its own, whatever its parents are.
//!
//! A commit that breaks one is damaged, for its writer would not have written it. Nothing that
//! follows from a commit (reads, sums of sizes, the order of a replay) needs to doubt what is
//! checked here.

use std::collections::BTreeMap;

use crate::content::{FinishedPack, check_recipe, check_table};
use crate::model::{
    Commit, CommitKind, Conflict, Digest, FIRST_FORMAT, Feature, Groups, Need, PackId, limits,
};

/// Checks the rules of a commit.
pub(super) fn check_commit(commit: &Commit) -> Result<(), String> {
    check_format(commit)?;
    check_ancestry(commit)?;
    check_order(commit)?;
    check_old_data(commit)?;
    check_conflicts(commit)?;
    check_contents(commit)?;
    match commit.groups.clone().map(Groups::new) {
        Some(Err(error)) => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn check_format(commit: &Commit) -> Result<(), String> {
    if commit.format == FIRST_FORMAT && commit.uses_format_2() {
        return Err("it holds what its format has no room for".into());
    }
    let used: Vec<Need> = Feature::of(commit).into_iter().map(Feature::need).collect();
    if used.iter().any(|need| !commit.needs.contains(need)) {
        return Err("it uses a feature that it does not name".into());
    }
    Ok(())
}

fn check_ancestry(commit: &Commit) -> Result<(), String> {
    let highest = commit.parents.iter().map(|parent| parent.seq).max().unwrap_or(0);
    let ordinary = commit.parents.len() < 2;
    let why = match () {
        () if commit.parents.len() > 2 => "it has more than two parents",
        () if highest.checked_add(1) != Some(commit.seq) => "its generation does not follow its parents'",
        () if commit.seq > limits::GENERATION => "its generation is higher than any may be",
        () if !ordinary && commit.parents.first() <= commit.parents.last() => "its parents are out of order",
        () if ordinary != commit.txn.is_some() || ordinary != commit.device.is_some() => {
            "an ordinary commit has a transaction and a device, a merge has neither"
        }
        () if !ordinary && commit.kind != CommitKind::Sync => "a merge has no kind",
        () if !ordinary && commit.enclosed.is_some() => "a merge holds no pack",
        () => return Ok(()),
    };
    Err(why.into())
}

fn check_order(commit: &Commit) -> Result<(), String> {
    let why = match () {
        () if !ascends(commit.needs.iter()) => "the features it needs are not sorted",
        () if !ascends(commit.changes.iter().map(|change| &change.path)) => "its changes are not sorted",
        () if !ascends(commit.recipes.iter().map(|of| of.digest)) => "its recipes are not sorted",
        () if !ascends(commit.packs.iter().map(|pack| pack.id)) => "its packs are not sorted",
        () if !ascends(commit.kept.iter().map(|conflict| conflict.id)) => "its conflicts are not sorted",
        () if !ascends(commit.resolved.iter().map(|resolved| resolved.id)) => {
            "its resolutions are not sorted"
        }
        () => return Ok(()),
    };
    Err(why.into())
}

fn check_old_data(commit: &Commit) -> Result<(), String> {
    let prune = &commit.prune;
    let sorted = ascends(prune.marked.iter())
        && ascends(prune.unmarked.iter())
        && ascends(prune.swept.iter())
        && ascends(prune.void.iter())
        && ascends(prune.unkept.iter())
        && ascends(prune.given_up.iter());
    if !sorted {
        return Err("what it says of old data is not sorted".into());
    }
    if prune.horizon.is_some_and(|horizon| horizon >= commit.seq) {
        return Err("it keeps no generation before its own".into());
    }
    let gives_up = commit.kind == CommitKind::GiveUp;
    if commit.parents.len() < 2 && !(prune.void.is_empty() && (prune.unkept.is_empty() || gives_up)) {
        return Err("only a merge finds that a commit is void".into());
    }
    Ok(())
}

fn check_conflicts(commit: &Commit) -> Result<(), String> {
    if commit.kept.iter().any(|kept| kept.id != Conflict::id_of(&kept.item, &kept.files)) {
        return Err("a conflict's id is not the digest of what it keeps".into());
    }
    let files: usize = commit.kept.iter().map(|conflict| conflict.files.len()).sum();
    if files > limits::CHANGES {
        return Err(format!("its conflicts have {files} files: expected at most {}", limits::CHANGES));
    }
    Ok(())
}

/// Checks tables and recipes against the format, and against each other.
fn check_contents(commit: &Commit) -> Result<(), String> {
    for pack in &commit.packs {
        check_table(pack).map_err(|error| error.to_string())?;
    }
    if let Some(enclosed) = &commit.enclosed {
        let id = PackId::from_bytes([0; PackId::LEN]);
        FinishedPack::of_enclosed(id, enclosed).map_err(|error| error.to_string())?;
    }
    let kept = commit.kept.iter().flat_map(|conflict| &conflict.files).filter_map(|file| file.entry);
    let entries = commit.changes.iter().filter_map(|change| change.entry).chain(kept);
    let sizes: BTreeMap<Digest, u64> = match commit.recipes.is_empty() {
        true => BTreeMap::new(),
        false => entries.map(|entry| (entry.digest, entry.size)).collect(),
    };
    for of in &commit.recipes {
        let size = sizes.get(&of.digest).copied();
        check_recipe(of.digest, &of.recipe, size).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// True if each key is higher than the one before it.
fn ascends<T: Ord>(mut keys: impl Iterator<Item = T>) -> bool {
    let Some(mut last) = keys.next() else { return true };
    keys.all(|key| {
        let grows = last < key;
        last = key;
        grows
    })
}
