//! Retention over random histories and buckets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::{Bucket, Fate, InBucket, Window, fate, horizon};
use crate::log::{Graph, Node, Snapshot};
use crate::model::{CommitId, CommitKey, Digest, PackId, PackInfo, VaultId};

fn key(seq: u64, id: u8) -> CommitKey {
    CommitKey { seq, id: CommitId::from_bytes([id; 32]) }
}

fn insert(graph: &mut Graph, key: CommitKey, parents: Vec<CommitKey>) {
    graph.insert(key, Node { parents, vault: VaultId::from_bytes([0; 16]) });
}

/// Creates a history of forks and merges that ends in one head.
fn history(moves: &[(u8, bool)]) -> (Graph, CommitKey) {
    let mut graph = Graph::default();
    insert(&mut graph, key(1, 0), vec![]);
    for (number, (which, merge)) in (1..).zip(moves) {
        let heads = graph.heads();
        if let (true, [winner, loser, ..]) = (*merge, heads.as_slice()) {
            let (winner, loser) = (*winner, *loser);
            insert(&mut graph, key(winner.seq + 1, number), vec![winner, loser]);
        } else {
            let known: Vec<CommitKey> = graph.iter().map(|(key, _)| key).collect();
            let parent = known[usize::from(*which) % known.len()];
            insert(&mut graph, key(parent.seq + 1, number), vec![parent]);
        }
    }
    for number in (0..=u8::MAX).rev() {
        let [winner, loser] = match graph.heads().as_slice() {
            [head] => return (graph, *head),
            [winner, loser, ..] => [*winner, *loser],
            [] => unreachable!("there is a first commit"),
        };
        insert(&mut graph, key(winner.seq + 1, number), vec![winner, loser]);
    }
    unreachable!("each merge leaves one head less")
}

fn pack(id: u8) -> PackId {
    PackId::from_bytes([id; PackId::LEN])
}

proptest! {
    #[test]
    fn the_window_is_kept_and_builds_on_kept_commits(
        moves in prop::collection::vec((any::<u8>(), any::<bool>()), 0..40),
        ages in prop::collection::vec((prop::option::of(0_i64..100), prop::bool::weighted(0.2)), 80),
        generations in 0_u64..12,
        since_ms in 0_i64..100,
    ) {
        let (graph, head) = history(&moves);
        let times: BTreeMap<CommitKey, i64> =
            graph.iter().zip(&ages).filter_map(|((key, _), (time, _))| Some((key, (*time)?))).collect();
        let prunes: BTreeSet<CommitKey> =
            graph.iter().zip(&ages).filter(|(_, (_, prune))| *prune).map(|((key, _), _)| key).collect();
        let window = Window { generations, since_ms };
        let oldest = horizon(&graph, head, &times, &prunes, window);
        prop_assert!(oldest <= head.seq);
        let line = || std::iter::successors(Some(head), |key| graph.get(*key)?.parents.first().copied());
        let kept = line().filter(|key| key.seq >= oldest && !prunes.contains(key)).count();
        let all = line().filter(|key| !prunes.contains(key)).count();
        prop_assert!(kept as u64 >= generations.min(all as u64), "{kept} generations are kept of {all}");
        for key in graph.ancestry(head) {
            let young = times.get(&key).is_none_or(|time| *time >= since_ms);
            prop_assert!(!young || key.seq >= oldest, "{key} is gone, kept from {oldest}");
            if key.seq > oldest && oldest > 0 {
                let roots = graph.ancestry(key).into_iter().filter(|key| key.seq == oldest).count();
                prop_assert_eq!(roots, 1, "{} does not build on the one commit of {}", key, oldest);
            }
        }
        // The state in force at the start of the window is kept.
        let mut at = Some(head);
        while let Some(key) = at.filter(|key| times.get(key).is_none_or(|time| *time >= since_ms)) {
            at = graph.get(key).and_then(|node| node.parents.first().copied());
        }
        prop_assert!(at.map_or(oldest == 0, |key| oldest <= key.seq));
        // A larger window never keeps less.
        let more = Window { generations: generations + 1, since_ms: since_ms - 1 };
        prop_assert!(horizon(&graph, head, &times, &prunes, more) <= oldest);
    }

    #[test]
    fn a_line_keeps_exactly_the_requested_number_of_generations(length in 1_u64..40, generations in 1_u64..50) {
        let mut graph = Graph::default();
        for seq in 1..=length {
            insert(&mut graph, key(seq, 0), if seq > 1 { vec![key(seq - 1, 0)] } else { vec![] });
        }
        let times = (1..=length).map(|seq| (key(seq, 0), 0)).collect();
        let oldest = horizon(&graph, key(length, 0), &times, &BTreeSet::new(), Window { generations, since_ms: 1 });
        prop_assert_eq!(length - oldest.max(1) + 1, generations.min(length));
    }

    #[test]
    fn needed_young_and_unknown_packs_stay(
        packs in prop::collection::vec(
            (any::<[bool; 5]>(), prop::option::of(0_i64..100), prop::option::of(0_i64..100)), 0..30),
        checkpoints_known in any::<bool>(),
        grace_ms in 0_i64..50,
    ) {
        let (mut state, mut times) = (Snapshot::default(), BTreeMap::new());
        let (mut listed, mut live, mut checkpoints) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for (number, ([named, needed, of_checkpoint, marked, swept], put, marked_at)) in (0..).zip(&packs) {
            let id = pack(number);
            if *named && !swept {
                let info = PackInfo { id, digest: Digest::of(b""), size: 1, chunks: vec![] };
                state.packs.insert(id, Arc::new(info));
            }
            if *needed && *named && !swept { live.insert(id); }
            if *of_checkpoint { checkpoints.insert(id); }
            if *swept { Arc::make_mut(&mut state.swept).insert(id); } else if *marked {
                state.marked.insert(id, key(u64::from(number), number));
                times.extend(marked_at.map(|at| (key(u64::from(number), number), at)));
            }
            listed.extend(put.map(|modified_ms| (id, InBucket { size: 1, modified_ms, is_object: true })));
        }
        let known = checkpoints_known.then_some(&checkpoints);
        let bucket = Bucket {
            state: &state, listed: &listed, live: &live, checkpoints: known, times: &times, now_ms: 100, grace_ms,
        };
        let Fate { mark, unmark, sweep, waiting, delete } = fate(&bucket);
        for id in mark.iter().chain(&sweep) {
            prop_assert!(!live.contains(id), "{id} is needed");
            prop_assert!(!known.is_some_and(|packs| packs.contains(id)), "{id} belongs to a checkpoint");
            prop_assert!(checkpoints_known || state.packs.contains_key(id), "{id} may belong to a checkpoint");
        }
        for id in &mark {
            prop_assert!(!state.marked.contains_key(id));
            prop_assert!(listed[id].modified_ms + grace_ms <= 100, "{id} is too young");
        }
        for id in &sweep {
            prop_assert!(times[&state.marked[id]] + grace_ms <= 100, "{id} was marked too recently");
        }
        prop_assert!(unmark.iter().all(|id| state.marked.contains_key(id)));
        prop_assert!(waiting.iter().all(|id| state.marked.contains_key(id) && !sweep.contains(id)));
        prop_assert!(delete.iter().all(|id| state.swept.contains(id) && !state.packs.contains_key(id)));
        let all: Vec<&PackId> = [&mark, &unmark, &sweep, &waiting, &delete].into_iter().flatten().collect();
        prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "each pack has one fate");
    }
}

#[test]
fn a_branch_that_came_late_takes_the_horizon_back_until_its_merge_is_the_oldest() {
    let mut graph = Graph::default();
    let late = key(4, 1);
    for seq in 1..=13 {
        let before = if seq > 1 { vec![key(seq - 1, 0)] } else { vec![] };
        let merged = if seq == 11 { vec![late] } else { vec![] };
        insert(&mut graph, key(seq, 0), [before, merged].concat());
    }
    insert(&mut graph, late, vec![key(3, 0)]);
    let times = graph.iter().map(|(key, _)| (key, 0)).collect();
    let kept_from =
        |seq| horizon(&graph, key(seq, 0), &times, &BTreeSet::new(), Window { generations: 3, since_ms: 1 });
    assert_eq!([10, 11, 12, 13].map(kept_from), [8, 3, 3, 11]);
}

/// Fate of one pack that was put at `put` and marked, if at all, at `marked`. Now is 100 and the
/// grace period 10.
fn fate_of(named: bool, needed: bool, put: Option<i64>, marked: Option<i64>, known: bool) -> &'static str {
    let (id, by) = (pack(1), key(1, 1));
    let mut state = Snapshot::default();
    if named {
        state.packs.insert(id, Arc::new(PackInfo { id, digest: Digest::of(b""), size: 1, chunks: vec![] }));
    }
    state.marked.extend(marked.map(|_| (id, by)));
    let listed =
        put.map(|modified_ms| (id, InBucket { size: 1, modified_ms, is_object: true })).into_iter().collect();
    let (live, none) = (needed.then_some(id).into_iter().collect(), BTreeSet::new());
    let (times, checkpoints) = (marked.map(|at| (by, at)).into_iter().collect(), known.then_some(&none));
    let bucket = Bucket {
        state: &state,
        listed: &listed,
        live: &live,
        checkpoints,
        times: &times,
        now_ms: 100,
        grace_ms: 10,
    };
    let Fate { mark, unmark, sweep, waiting, delete } = fate(&bucket);
    let fates = [(mark, "mark"), (unmark, "unmark"), (sweep, "sweep"), (waiting, "wait"), (delete, "delete")];
    fates.iter().find(|(packs, _)| packs == &[id]).map_or("stay", |(_, name)| *name)
}

#[test]
fn unneeded_packs_are_marked_and_then_swept_each_after_the_grace_period() {
    for (put, expected) in [(Some(90), "mark"), (Some(91), "stay"), (None, "stay")] {
        assert_eq!(fate_of(true, false, put, None, true), expected, "put at {put:?}");
        assert_eq!(fate_of(true, true, put, None, true), "stay");
    }
    for (marked, expected) in [(90, "sweep"), (91, "wait")] {
        assert_eq!(fate_of(true, false, Some(0), Some(marked), true), expected, "marked at {marked}");
        assert_eq!(fate_of(true, true, Some(0), Some(marked), true), "unmark");
    }
    // A pack that no commit names may belong to a checkpoint that could not be read.
    assert_eq!(
        (fate_of(false, false, Some(0), None, true), fate_of(false, false, Some(0), None, false)),
        ("mark", "stay")
    );
    assert_eq!(fate_of(true, false, Some(0), None, false), "mark");
}
