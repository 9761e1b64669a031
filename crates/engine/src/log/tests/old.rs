//! Merges of two branches with marks, sweeps and lost contents.
//!
//! Each case is one history: a base with the files `a` to `d` in packs 1 to 4, and two branches
//! from there.

use super::chunks::stored;
use super::faulty::Faulty;
use super::*;
use crate::model::{Conflict, ConflictId, Item, Kept};

/// Entry of one chunk that has bytes and so needs a pack.
fn long(content: &str) -> Entry {
    Entry { size: content.len() as u64, ..entry(content) }
}

fn conflict(name: &str, content: &str) -> Conflict {
    Conflict::new(Item::File(path(name)), vec![Kept { path: path(name), entry: Some(long(content)) }], None)
}

#[derive(Default)]
struct Branch {
    changes: Vec<(&'static str, Option<&'static str>)>,
    kept: Vec<Conflict>,
    packs: Vec<PackInfo>,
    prune: Prune,
}

fn on(parent: Option<CommitKey>, device: u8, branch: Branch) -> Commit {
    let mut found = plain(parent, device, &branch.changes);
    for change in &mut found.changes {
        let content = branch.changes.iter().find(|(name, _)| *name == change.path.as_str()).unwrap().1;
        change.entry = content.map(long);
    }
    (found.packs, found.prune, found.kept) = (branch.packs, branch.prune, branch.kept);
    found
}

struct World {
    log: Log,
    remote: Faulty,
    base: CommitKey,
}

impl World {
    /// Creates the base; `prune` is its part about old data.
    async fn new(prune: Prune) -> Self {
        let remote = Faulty::over(&made().await);
        let mut log = remote.opened().await;
        let names = ["a", "b", "c", "d"];
        let mut packs = Vec::new();
        for (id, name) in (1..).zip(names) {
            packs.push(stored(&remote.store, id, &[name.as_bytes()]).await);
        }
        let changes = names.map(|name| (name, Some(name))).into();
        let first = publish(&mut log, &on(None, 1, Branch { changes, packs, ..Branch::default() })).await;
        let base = publish(&mut log, &on(Some(first), 1, Branch { prune, ..Branch::default() })).await;
        Self { log, remote, base }
    }

    /// Adds a commit to the base.
    async fn branch(&mut self, device: u8, branch: Branch) -> CommitKey {
        publish(&mut self.log, &on(Some(self.base), device, branch)).await
    }

    async fn state(&mut self, key: CommitKey) -> Snapshot {
        self.log.snapshot(Some(key)).await.unwrap().as_ref().clone()
    }

    /// Merges `loser` into `winner`, whichever has the higher rank.
    async fn merge(&mut self, loser: CommitKey, winner: CommitKey) -> Merged {
        let (base, ours, theirs) =
            (self.state(self.base).await, self.state(loser).await, self.state(winner).await);
        let reader = ChunkReader::new(Arc::new(self.remote.clone()));
        let old = OldData::compare(&reader, self.log.graph(), &base, [&ours, &theirs]).await.unwrap();
        let side = |key, snapshot| Side { key, vault: VAULT, origin: None, snapshot };
        let commit = merge(&base, side(loser, &ours), side(winner, &theirs), &old);
        let mut tree = theirs.tree;
        for change in &commit.changes {
            crate::model::set_entry(&mut tree, change.path.clone(), change.entry);
        }
        let files = tree.into_iter().map(|(path, entry)| (path.to_string(), entry.digest)).collect();
        Merged { commit, files }
    }
}

struct Merged {
    commit: Commit,
    files: BTreeMap<String, Digest>,
}

impl Merged {
    fn holds(&self, files: &[(&str, &str)]) {
        let expected: BTreeMap<String, Digest> =
            files.iter().map(|(name, content)| ((*name).to_owned(), entry(content).digest)).collect();
        assert_eq!(self.files, expected);
        let paths: Vec<&VaultPath> = self.commit.changes.iter().map(|change| &change.path).collect();
        assert!(paths.is_sorted_by(|one, other| one < other), "paths must be unique and sorted: {paths:?}");
    }
}

const WHOLE: [(&str, &str); 4] = [("a", "a"), ("b", "b"), ("c", "c"), ("d", "d")];

fn marks(packs: &[u8]) -> Prune {
    Prune { marked: packs.iter().map(|id| pack(*id)).collect(), ..Prune::default() }
}

fn sweeps(packs: &[u8]) -> Prune {
    Prune { swept: packs.iter().map(|id| pack(*id)).collect(), ..Prune::default() }
}

fn without_d(prune: Prune) -> Branch {
    Branch { changes: vec![("d", None)], prune, ..Branch::default() }
}

fn with(name: &'static str, content: &'static str) -> Branch {
    Branch { changes: vec![(name, Some(content))], ..Branch::default() }
}

#[tokio::test(start_paused = true)]
async fn branches_without_prunes_merge_without_a_prune() {
    let mut world = World::new(Prune { horizon: Some(1), ..marks(&[4]) }).await;
    let (one, other) = (world.branch(1, with("x", "a")).await, world.branch(2, with("y", "b")).await);
    world.remote.asked();
    let merged = world.merge(one, other).await;
    assert_eq!(merged.commit.prune, Prune::default());
    assert_eq!(world.remote.asked(), Vec::<String>::new(), "the merge must read nothing");
}

#[tokio::test(start_paused = true)]
async fn a_mark_stays_unless_the_other_branch_relies_on_the_pack() {
    let mut world = World::new(Prune::default()).await;
    let marker = world.branch(1, without_d(marks(&[4]))).await;
    let bystander = world.branch(2, without_d(Prune::default())).await;
    let relying = world.branch(3, with("x", "d")).await;
    assert_eq!(world.merge(marker, bystander).await.commit.prune, marks(&[4]));
    assert_eq!(
        world.merge(bystander, marker).await.commit.prune,
        Prune::default(),
        "the winner already has the mark"
    );
    let merged = world.merge(marker, relying).await;
    assert_eq!(merged.commit.prune, Prune::default());
    merged.holds(&[("a", "a"), ("b", "b"), ("c", "c"), ("x", "d")]);
    let merged = world.merge(relying, marker).await;
    assert_eq!(merged.commit.prune, Prune { unmarked: vec![pack(4)], ..Prune::default() });
    merged.holds(&[("a", "a"), ("b", "b"), ("c", "c"), ("x", "d")]);
    // Both branches have marked it.
    let second = world.branch(4, without_d(marks(&[4]))).await;
    assert_eq!(world.merge(second, marker).await.commit.prune, Prune::default());
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_one_branch_removed_is_removed() {
    let mut world = World::new(marks(&[4])).await;
    let unmarked = || Prune { unmarked: vec![pack(4)], ..Prune::default() };
    let back = world.branch(1, Branch { prune: unmarked(), ..with("x", "d") }).await;
    let bystander = world.branch(2, with("y", "a")).await;
    assert_eq!(world.merge(back, bystander).await.commit.prune, unmarked());
    assert_eq!(
        world.merge(bystander, back).await.commit.prune,
        Prune::default(),
        "it must not be marked again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sweep_stays_and_ends_all_marks_of_the_pack() {
    let mut world = World::new(marks(&[4])).await;
    let sweeper = world.branch(1, without_d(sweeps(&[4]))).await;
    let bystander = world.branch(2, without_d(marks(&[3]))).await;
    let merged = world.merge(sweeper, bystander).await;
    assert_eq!((merged.commit.prune.swept, merged.commit.prune.void), (vec![pack(4)], vec![]));
    let merged = world.merge(bystander, sweeper).await;
    assert_eq!(merged.commit.prune, Prune::default(), "c needs pack 3, which the loser has marked");
    // One branch marked it and the other swept it. Whichever wins, it is neither marked again nor
    // unmarked.
    let mut world = World::new(marks(&[4])).await;
    let sweeper = world.branch(1, without_d(sweeps(&[4]))).await;
    let marker = world.branch(2, without_d(marks(&[4]))).await;
    assert_eq!(world.merge(marker, sweeper).await.commit.prune, Prune::default());
    assert_eq!(world.merge(sweeper, marker).await.commit.prune, sweeps(&[4]));
}

#[tokio::test(start_paused = true)]
async fn changes_that_relied_on_a_swept_pack_do_not_count() {
    let mut world = World::new(marks(&[4])).await;
    let sweeper = world.branch(1, without_d(sweeps(&[4]))).await;
    let mut late = with("x", "d");
    late.changes.push(("y", Some("a")));
    let late = world.branch(2, late).await;
    let expected = [("a", "a"), ("b", "b"), ("c", "c"), ("y", "a")];
    let merged = world.merge(late, sweeper).await;
    merged.holds(&expected);
    assert_eq!(merged.commit.prune, Prune { void: vec![late], ..Prune::default() });
    assert_eq!(merged.commit.kept, [], "there is nothing to bring back");
    // The same if the void branch has the higher rank: then the merge removes its file again.
    let merged = world.merge(sweeper, late).await;
    merged.holds(&expected);
    assert_eq!(merged.commit.prune, Prune { void: vec![late], ..sweeps(&[4]) });
}

#[tokio::test(start_paused = true)]
async fn a_content_lost_on_both_sides_is_dropped_and_voids_no_commit() {
    let mut world = World::new(marks(&[4])).await;
    // A sweep of a pack that its own manifest needs should not happen. If it does, no lost content
    // may be named.
    let sweeper = world.branch(1, Branch { prune: sweeps(&[4]), ..with("x", "a") }).await;
    let other = world.branch(2, with("y", "b")).await;
    for (loser, winner) in [(sweeper, other), (other, sweeper)] {
        let merged = world.merge(loser, winner).await;
        merged.holds(&[("a", "a"), ("b", "b"), ("c", "c"), ("x", "a"), ("y", "b")]);
        assert_eq!(merged.commit.prune.void, []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_with_a_lost_file_is_taken_whole_from_the_other_branch() {
    let mut world = World::new(marks(&[4])).await;
    let group =
        |corpus, vectors| vec![("corpus/nodes.json", Some(corpus)), ("vectors/nodes.npy", Some(vectors))];
    let mut sweeper = without_d(sweeps(&[4]));
    sweeper.changes.extend(group("a", "b"));
    sweeper.changes.sort_unstable();
    let mut late = Branch { changes: group("c", "d"), ..Branch::default() };
    late.changes.push(("y", Some("b")));
    let (sweeper, late) = (world.branch(1, sweeper).await, world.branch(2, late).await);
    for (loser, winner) in [(sweeper, late), (late, sweeper)] {
        let merged = world.merge(loser, winner).await;
        let group = [("corpus/nodes.json", "a"), ("vectors/nodes.npy", "b")];
        merged.holds(&[WHOLE[0], WHOLE[1], WHOLE[2], group[0], group[1], ("y", "b")]);
        assert_eq!(merged.commit.prune.void, [late]);
    }
}

#[tokio::test(start_paused = true)]
async fn conflicts_with_a_lost_version_are_dropped_and_others_kept() {
    let mut world = World::new(marks(&[4])).await;
    let sweeper = world.branch(1, without_d(sweeps(&[4]))).await;
    let (gone, whole) = (conflict("x", "d"), conflict("y", "a"));
    let mut kept = vec![gone.clone(), whole.clone()];
    kept.sort_by_key(|conflict| conflict.id);
    let changes = vec![("d", None), ("z", Some("b"))];
    let late = world.branch(2, Branch { kept, changes, ..Branch::default() }).await;
    let ids = |commit: &Commit| commit.kept.iter().map(|conflict| conflict.id).collect::<Vec<ConflictId>>();
    let merged = world.merge(late, sweeper).await;
    assert_eq!((ids(&merged.commit), &merged.commit.prune.unkept), (vec![whole.id], &vec![]));
    assert_eq!(merged.commit.prune.void, [late]);
    let merged = world.merge(sweeper, late).await;
    assert_eq!((ids(&merged.commit), &merged.commit.prune.unkept), (vec![], &vec![gone.id]));
    merged.holds(&[WHOLE[0], WHOLE[1], WHOLE[2], ("z", "b")]);
}

#[tokio::test(start_paused = true)]
async fn a_content_in_another_pack_is_not_lost() {
    let mut world = World::new(marks(&[4])).await;
    let again = stored(&world.remote.store, 5, &[b"d"]).await;
    let sweeper =
        world.branch(1, Branch { packs: vec![again], prune: sweeps(&[4]), ..Branch::default() }).await;
    let late = world.branch(2, with("x", "d")).await;
    for (loser, winner) in [(sweeper, late), (late, sweeper)] {
        let merged = world.merge(loser, winner).await;
        merged.holds(&[WHOLE[0], WHOLE[1], WHOLE[2], WHOLE[3], ("x", "d")]);
        assert_eq!(merged.commit.prune.void, []);
    }
}

#[tokio::test(start_paused = true)]
async fn the_horizon_never_goes_back_and_a_void_commit_stays_void() {
    let mut world = World::new(Prune::default()).await;
    let [low, high] = [1, 2].map(|horizon| Prune { horizon: Some(horizon), ..Prune::default() });
    let low = world.branch(1, Branch { prune: low, ..Branch::default() }).await;
    let high = world.branch(2, Branch { prune: high, ..Branch::default() }).await;
    assert_eq!(world.merge(high, low).await.commit.prune.horizon, Some(2));
    assert_eq!(world.merge(low, high).await.commit.prune.horizon, None);
    assert_eq!(world.merge(high, high).await.commit.prune.horizon, None, "it is already that high");
    let (base, void) = (world.state(world.base).await, low);
    let mut knowing = world.state(high).await;
    knowing.void.insert(void);
    let plain = world.state(low).await;
    let says = |loser: &Snapshot, winner: &Snapshot| OldData::default().prune(&base, loser, winner).void;
    assert_eq!(says(&knowing, &plain), [void]);
    assert_eq!(says(&plain, &knowing), []);
    assert_eq!(says(&knowing, &knowing), []);
}

#[tokio::test(start_paused = true)]
async fn what_a_branch_gives_up_is_given_up_by_the_merge_until_it_is_brought_again() {
    let mut world = World::new(Prune::default()).await;
    let gone = Prune { given_up: vec![entry("d").digest], ..marks(&[4]) };
    let gives_up = world.branch(1, without_d(gone)).await;
    let packs = vec![stored(&world.remote.store, 9, &[b"new"]).await];
    let edits = world.branch(2, Branch { packs, ..with("a", "new") }).await;
    for (loser, winner) in [(gives_up, edits), (edits, gives_up)] {
        let merged = world.merge(loser, winner).await;
        merged.holds(&[("a", "new"), ("b", "b"), ("c", "c")]);
        let known = if winner == gives_up { vec![] } else { vec![entry("d").digest] };
        assert_eq!(merged.commit.prune.given_up, known, "a difference to the winner");
        // Whichever of the two has the higher key.
        let mut settled = merged.commit.clone();
        settled.settle_format();
        let needs = settled.needs.contains(&crate::model::Feature::GivenUp.need());
        assert_eq!(needs, winner != gives_up, "the winner's past says it already");
    }
    let state = world.state(gives_up).await;
    assert_eq!(state.gone_for_good(), BTreeSet::from([entry("d").digest]));
    let again = Branch { changes: vec![("e", Some("d"))], ..Branch::default() };
    let again = publish(&mut world.log, &on(Some(gives_up), 1, again)).await;
    assert!(world.state(again).await.given_up.is_empty(), "who still had it has sent it again");
}
