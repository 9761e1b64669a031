//! Uses of recipes: who replays the commits and who reads a stored state count the same.

use proptest::prelude::*;

use super::*;
use crate::log::line::Past;
use crate::model::{Conflict, Item, Keep, Kept, RecipeOf, Resolution};

/// The state as a device has it that has read its lines.
fn read_again(state: &Snapshot) -> Snapshot {
    let (past, mut read) = (Past::new(), Past::new());
    let mut loaded = Snapshot { key: state.key, sum: state.sum.clone(), ..Snapshot::default() };
    for line in state.lines(&past) {
        loaded.take_in(line, &mut read).unwrap();
    }
    loaded.count_uses();
    loaded.names_base = state.names_base;
    loaded
}

/// Entry of a content that may have the [`recipe`].
fn long(content: &str) -> Entry {
    Entry { size: 2, ..entry(content) }
}

fn apply(state: &Snapshot, commit: &Commit) -> Snapshot {
    let mut commit = commit.clone();
    commit.changes.iter_mut().flat_map(|change| &mut change.entry).for_each(|entry| entry.size = 2);
    let prepared = Prepared::new(commit).unwrap();
    let mut next = state.clone();
    next.apply(prepared.key, &prepared.commit, &BTreeSet::new()).unwrap();
    next
}

/// Adds recipes of these contents.
fn with_recipes(mut commit: Commit, contents: &[&str]) -> Commit {
    commit.recipes =
        contents.iter().map(|content| RecipeOf { digest: entry(content).digest, recipe: recipe() }).collect();
    commit.recipes.sort_by_key(|of| of.digest);
    commit
}

/// Number of files and open conflicts that use each recipe.
fn counted(state: &Snapshot) -> Vec<(Digest, usize)> {
    let of = |digest: &Digest| state.contents().filter(|entry| entry.digest == *digest).count();
    state.recipes.keys().map(|digest| (*digest, of(digest))).collect()
}

fn uses(state: &Snapshot) -> Vec<(Digest, usize)> {
    state.uses.iter().map(|(digest, uses)| (*digest, *uses)).collect()
}

#[test]
fn a_recipe_that_comes_late_counts_for_all_who_use_its_content() {
    let empty = Snapshot::empty(header(VAULT).groups).unwrap();
    let first = apply(&empty, &plain(None, 1, &[("f", Some("D"))]));
    let late = apply(&first, &with_recipes(plain(first.key, 9, &[("g", Some("D"))]), &["D"]));
    let edit = plain(late.key, 1, &[("f", Some("edited"))]);
    let [replayed, loaded] = [&late, &read_again(&late)].map(|state| apply(state, &edit));
    assert!(replayed.recipes.contains_key(&entry("D").digest), "g needs it");
    assert_eq!(replayed.recipes, loaded.recipes);
    assert_eq!(replayed.base(), loaded.base());
}

#[test]
fn contents_that_are_gone_are_forgotten_after_a_while() {
    let mut state = Snapshot::empty(header(VAULT).groups).unwrap();
    for round in 0..6 {
        let names: Vec<String> = (0..2000).map(|file| format!("{round} {file}")).collect();
        let paths: Vec<String> = (0..2000).map(|file| format!("f{file:04}")).collect();
        let changes: Vec<(&str, Option<&str>)> =
            paths.iter().zip(&names).map(|(path, name)| (path.as_str(), Some(name.as_str()))).collect();
        state = apply(&state, &plain(state.key, 1, &changes));
    }
    assert!((2000..9000).contains(&state.bare.len()), "{}", state.bare.len());
}

/// One change of a random history: a file gets a content, or is deleted; the commit brings a recipe
/// or not; and a conflict over it is opened or decided.
#[derive(Debug, Clone)]
struct Turn {
    file: usize,
    content: Option<usize>,
    recipes: Vec<usize>,
    keep: Option<usize>,
    decide: bool,
}

const FILES: [&str; 4] = ["a", "b", "c", "d"];
const CONTENTS: [&str; 4] = ["D", "E", "F", "G"];

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let content = || prop::option::weighted(0.8, 0..CONTENTS.len());
    let recipes = prop::collection::btree_set(0..CONTENTS.len(), 0..3);
    let turn =
        (0..FILES.len(), content(), recipes, prop::option::weighted(0.2, 0..CONTENTS.len()), any::<bool>());
    let turn = turn.prop_map(|(file, content, recipes, keep, decide)| Turn {
        file,
        content,
        recipes: recipes.into_iter().collect(),
        keep,
        decide,
    });
    prop::collection::vec(turn, 1..24)
}

fn conflict(file: usize, content: usize) -> Conflict {
    let kept = Kept { path: path(FILES[file]), entry: Some(long(CONTENTS[content])) };
    Conflict::new(Item::File(path(FILES[file])), vec![kept], None)
}

/// The commit of a turn. An honest one brings the recipes of just those contents that have one (the
/// first half) and that come with it.
fn commit_of(state: &Snapshot, turn: &Turn, honest: bool) -> Commit {
    let content = turn.content.map(|content| CONTENTS[content]);
    let mut next = plain(state.key, 1, &[(FILES[turn.file], content)]);
    next.kept = turn.keep.map(|content| conflict(turn.file, content)).into_iter().collect();
    if let Some(open) = state.conflicts.keys().next().filter(|_| turn.decide) {
        next.resolved = vec![Resolution { id: *open, keep: Keep::Remote }];
    }
    let named = turn.content.into_iter().chain(turn.keep);
    let brought: BTreeSet<usize> = match honest {
        true => named.filter(|content| *content < CONTENTS.len() / 2).collect(),
        false => turn.recipes.iter().copied().collect(),
    };
    let is_new = |content: &&str| !state.recipes.contains_key(&entry(content).digest);
    let recipes: Vec<&str> = brought.into_iter().map(|content| CONTENTS[content]).filter(is_new).collect();
    with_recipes(next, &recipes)
}

/// Uses as the first versions count them: those of an entry that comes when its recipe is known.
#[derive(Debug, Default)]
struct FirstCount(BTreeMap<Digest, usize>);

impl FirstCount {
    fn follow(&mut self, before: &Snapshot, commit: &Commit, after: &Snapshot) {
        let brought: BTreeSet<Digest> = commit.recipes.iter().map(|of| of.digest).collect();
        let known = |digest: &Digest| brought.contains(digest) || before.recipes.contains_key(digest);
        let opened = after.conflicts.iter().filter(|(id, _)| !before.conflicts.contains_key(id));
        let closed = before.conflicts.iter().filter(|(id, _)| !after.conflicts.contains_key(id));
        let files = |conflict: &Conflict| -> Vec<Digest> {
            conflict.files.iter().filter_map(|file| file.entry).map(|entry| entry.digest).collect()
        };
        let begun = commit.changes.iter().filter_map(|change| change.entry).map(|entry| entry.digest);
        for digest in begun.chain(opened.flat_map(|(_, conflict)| files(conflict))) {
            if known(&digest) {
                *self.0.entry(digest).or_default() += 1;
            }
        }
        let ended = commit.changes.iter().filter_map(|change| before.tree.get(&change.path));
        let ended = ended.map(|entry| entry.digest);
        for digest in ended.chain(closed.flat_map(|(_, conflict)| files(conflict))) {
            if let Some(uses) = self.0.get_mut(&digest) {
                *uses -= 1;
            }
        }
        self.0.retain(|_, uses| *uses > 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is committed, the counts are those of the state, and so all come to the same sums.
    #[test]
    fn a_state_that_was_read_goes_on_like_one_that_was_replayed(turns in turns(), from in 0_usize..24) {
        let mut replayed = Snapshot::empty(header(VAULT).groups).unwrap();
        let mut loaded = None;
        for (number, turn) in turns.iter().enumerate() {
            if number == from {
                loaded = Some(read_again(&replayed));
            }
            let next = commit_of(&replayed, turn, false);
            replayed = apply(&replayed, &next);
            prop_assert_eq!(uses(&replayed), counted(&replayed));
            if let Some(state) = loaded.take() {
                let state = apply(&state, &next);
                prop_assert_eq!(state.base(), replayed.base());
                loaded = Some(state);
            }
        }
    }

    /// The commits of honest devices count as they always did.
    #[test]
    fn an_honest_history_has_the_counts_and_sums_that_it_always_had(turns in turns()) {
        let mut state = Snapshot::empty(header(VAULT).groups).unwrap();
        let mut first = FirstCount::default();
        for turn in &turns {
            let next = commit_of(&state, turn, true);
            let after = apply(&state, &next);
            first.follow(&state, &next, &after);
            prop_assert_eq!(uses(&after), first.0.iter().map(|(id, uses)| (*id, *uses)).collect::<Vec<_>>());
            prop_assert!(after.recipes.keys().eq(first.0.keys()), "the state has the recipes in use");
            state = after;
        }
    }
}
