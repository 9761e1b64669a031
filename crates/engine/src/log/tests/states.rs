//! Effects of one commit on a state, and of a merge on the loser's changes.

use super::*;
use crate::model::{Conflict, ConflictId, Item, Keep, Kept, Recipe, SharedMap};
use crate::plan::Ages;

fn packs<const N: usize>(ids: [u8; N]) -> SharedMap<PackId, Arc<PackInfo>> {
    ids.map(|id| (pack(id), Arc::new(info(id)))).into()
}

fn ids(packs: &[PackInfo]) -> Vec<PackId> {
    packs.iter().map(|pack| pack.id).collect()
}

fn state(files: &[(&str, &str)]) -> Snapshot {
    let mut state = Snapshot::empty(header(VAULT).groups).unwrap();
    state.tree = files.iter().map(|(name, content)| (path(name), entry(content))).collect();
    state
}

fn merged(base: &Snapshot, loser: &Snapshot, winner: &Snapshot) -> Commit {
    let side = |key, snapshot| Side { key, vault: VAULT, origin: None, snapshot };
    merge(base, side(key(2, 1), loser), side(key(2, 2), winner), &OldData::default())
}

#[tokio::test(start_paused = true)]
async fn removing_an_index_does_not_make_the_group_younger() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let steps: [&[(&str, Option<&str>)]; 4] = [
        &[("corpus/nodes.json", Some("1")), ("indexes/i", Some("1"))],
        &[("corpus/nodes.json", Some("2"))],
        &[("indexes/i", Some("3"))],
        &[("indexes/i", None)],
    ];
    let (mut head, mut ages) = (None, Vec::new());
    for changes in steps {
        let next = commit(head, 1, changes);
        log.publish(&next).await.unwrap();
        head = Some(next.key);
        let state = log.snapshot(head).await.unwrap();
        assert_eq!(state.seq(), next.key.seq);
        ages.push(state.ages["nodes"]);
    }
    let expected = [(1, 1), (2, 1), (2, 3), (2, 3)].map(|(primary, derived)| Ages { primary, derived });
    assert_eq!(ages, expected);
    assert_eq!(Snapshot::default().seq(), 0);
}

#[tokio::test(start_paused = true)]
async fn new_groups_are_in_force_from_their_commit_on() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let before = header(VAULT).groups;
    let mut after = before.clone();
    after[0].primary = vec!["notes/*".into()];
    let (mut head, mut items) = (None, Vec::new());
    for (groups, content) in [(Some(before), "1"), (Some(after), "2"), (None, "3")] {
        let next = Commit { groups, ..plain(head, 1, &[("notes/a", Some(content))]) };
        head = Some(publish(&mut log, &next).await);
        items.push(log.snapshot(head).await.unwrap().groups.item(&path("notes/a")).to_string());
    }
    assert_eq!(items, ["file:notes/a", "group:nodes", "group:nodes"]);
}

#[test]
fn packs_last_unless_they_are_marked() {
    let marked = [(pack(2), key(1, 1))].into();
    let state = Snapshot { packs: packs([1, 2]), marked, ..Snapshot::default() };
    assert_eq!(state.lasting().keys().copied().collect::<Vec<_>>(), [pack(1)]);
}

#[test]
fn a_merge_repeats_exactly_what_the_winner_lacks() {
    let base = state(&[]);
    let (mut loser, mut winner) =
        (state(&[("mine", "mine"), ("same", "same")]), state(&[("theirs", "theirs"), ("same", "same")]));
    let recipe = |part: u8| Recipe { depth: part, parts: vec![] };
    for (number, content) in (0..).zip(["mine", "same", "unnamed"]) {
        loser.recipes.insert(entry(content).digest, recipe(number));
    }
    winner.recipes.insert(entry("same").digest, recipe(1));
    loser.packs = packs([1, 2, 3]);
    winner.packs = packs([2]);
    Arc::make_mut(&mut winner.swept).insert(pack(3));
    for id in [1, 2] {
        loser.resolved.insert(ConflictId::from_bytes([id; 32]), Keep::Mine);
    }
    winner.resolved.insert(ConflictId::from_bytes([2; 32]), Keep::Mine);
    let merge = merged(&base, &loser, &winner);
    assert_eq!(merge.changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["mine"]);
    assert_eq!(merge.recipes.iter().map(|of| of.digest).collect::<Vec<_>>(), [entry("mine").digest]);
    assert_eq!(ids(&merge.packs), [pack(1)], "one is known, and one is swept");
    assert_eq!(merge.resolved.iter().map(|of| of.id).collect::<Vec<_>>(), [ConflictId::from_bytes([1; 32])]);
    assert_eq!((merge.seq, merge.parents, merge.groups), (3, vec![key(2, 2), key(2, 1)], None));
    // A recipe that the winner already has is not repeated, although the merge brings its content.
    winner.recipes.insert(entry("mine").digest, recipe(0));
    assert_eq!(merged(&base, &loser, &winner).recipes, []);
}

#[test]
fn the_winners_groups_count_unless_only_the_loser_changed_them() {
    let mut other = header(VAULT).groups;
    other[0].name = "other".into();
    let mut third = header(VAULT).groups;
    third[0].name = "third".into();
    let of = |groups: &[Group]| Snapshot::empty(groups.to_vec()).unwrap();
    let base = header(VAULT).groups;
    let said = |loser: &[Group], winner: &[Group]| merged(&of(&base), &of(loser), &of(winner)).groups;
    assert_eq!(said(&base, &base), None);
    assert_eq!(said(&other, &base), Some(other.clone()));
    assert_eq!(said(&base, &other), None, "the winner already has them");
    assert_eq!(said(&third, &other), None);
    let crossed = virtual_base(&of(&base), &of(&other), &of(&base));
    assert_eq!(crossed.groups.definitions(), other);
}

#[test]
fn the_base_of_crossed_merges_has_the_changes_of_both() {
    let (older, left, right) = (
        state(&[("a", "0"), ("b", "0")]),
        state(&[("a", "1"), ("b", "0")]),
        state(&[("b", "2"), ("c", "2")]),
    );
    let base = virtual_base(&older, &left, &Snapshot { key: Some(key(2, 2)), ..right });
    assert_eq!(base.key, None, "no commit stands for it");
    let files: Vec<_> = base.tree.iter().map(|(path, entry)| (path.as_str(), entry.digest)).collect();
    // `a` was deleted on one side and changed on the other.
    assert_eq!(files, [("b", entry("2").digest), ("c", entry("2").digest)]);
    let base = virtual_base(
        &older,
        &state(&[("a", "0"), ("b", "0"), ("d", "3")]),
        &state(&[("a", "0"), ("b", "2")]),
    );
    assert_eq!(base.tree, state(&[("a", "0"), ("b", "2"), ("d", "3")]).tree);
    let decided = |id: u8| BTreeMap::from([(ConflictId::from_bytes([id; 32]), Keep::Mine)]);
    let [left, right] = [1, 2].map(|id| Snapshot { resolved: decided(id), ..older.clone() });
    let both: Vec<_> = decided(1).into_iter().chain(decided(2)).collect();
    assert_eq!(virtual_base(&older, &left, &right).resolved.into_iter().collect::<Vec<_>>(), both);
}

#[test]
fn a_conflict_lost_on_both_sides_leaves_their_items_alone() {
    let mut side = state(&[("a", "a"), ("b", "b")]);
    let kept = vec![Kept { path: path("x"), entry: Some(entry("lost")) }];
    let conflict = Conflict::new(Item::File(path("x")), kept, None);
    side.conflicts.insert(conflict.id, conflict);
    let left = OldData::default().left(&side, &state(&[])).into_owned();
    assert_eq!((left.tree, left.conflicts.len()), (side.tree.clone(), 1), "nothing is lost");
}

#[test]
fn a_pack_keeps_the_table_of_the_commit_that_brought_it() {
    let empty = Snapshot::empty(header(VAULT).groups).unwrap();
    let follow = |state: &Snapshot, packs: Vec<PackInfo>| {
        let next = Prepared::new(Commit { packs, ..plain(state.key, 1, &[]) }).unwrap();
        let mut after = state.clone();
        after.apply(next.key, &next.commit, &BTreeSet::new()).unwrap();
        after
    };
    let first = follow(&empty, vec![info(1)]);
    let lie = PackInfo { id: pack(1), ..info(2) };
    let after = follow(&first, vec![lie, info(3)]);
    assert_eq!(*after.packs[&pack(1)], info(1));
    assert_eq!(*after.packs[&pack(3)], info(3));
    // The sum is that of a state in which nobody has said such a thing.
    assert_eq!(after.base(), follow(&first, vec![info(3)]).base());
    let same = follow(&first, vec![info(1), info(3)]);
    assert_eq!((after.base(), &after.packs), (same.base(), &same.packs), "the same again changes nothing");
}

/// A fork may list the decided loss once more. But both sides know of a decision in their base, so
/// the version was written again after it.
#[test]
fn a_version_that_loses_a_merge_after_its_conflict_was_decided_is_listed_again() {
    let [mut base, mut lost, won] = ["as it was", "dark", "light"].map(|content| state(&[("x", content)]));
    let files = vec![Kept { path: path("x"), entry: Some(entry("dark")) }];
    let decided = Conflict::new(Item::File(path("x")), files, None).id;
    let side = |id, snapshot| Side { key: key(2, id), vault: VAULT, origin: None, snapshot };
    lost.resolved.insert(decided, Keep::Remote);
    let concurrent = merge(&base, side(1, &lost), side(2, &won), &OldData::default());
    assert!(concurrent.kept.is_empty());
    base.resolved.insert(decided, Keep::Remote);
    let again = merge(&base, side(1, &lost), side(2, &won), &OldData::default());
    assert_eq!(again.kept.len(), 1);
    assert_ne!(again.kept[0].id, decided);
    assert_eq!(again.kept[0].told().files[0].entry, Some(entry("dark")));
}
