use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;

/// Chunks by id.
type Store = HashMap<Digest, Vec<u8>>;

fn build(parts: &[Part]) -> (Recipe, Store) {
    let mut store = Store::new();
    let mut keep = |leaf: &[u8]| {
        store.insert(Digest::of(leaf), leaf.to_vec());
        Ok::<_, RecipeError>(Digest::of(leaf))
    };
    let mut builder = RecipeBuilder::default();
    for part in parts {
        builder.push(*part, &mut keep).unwrap();
    }
    let recipe = builder.finish(&mut keep).unwrap();
    (recipe, store)
}

fn follow(size: u64, recipe: &Recipe, store: &Store) -> Result<Vec<Placed>, ContentError> {
    let content = Content { digest: Digest::of(b"file"), size };
    let mut expansion = Expansion::new(content, Some(recipe))?;
    let mut parts = Vec::new();
    loop {
        match expansion.step()? {
            Next::Chunk(placed) => parts.push(placed),
            Next::List(list) => expansion.open(&list, &store[&list.id])?,
            Next::End => return Ok(parts),
        }
    }
}

/// Parts with ids like those of real chunks, each a few bytes long.
fn parts(seed: u64, count: usize) -> Vec<Part> {
    let id = |n: u64| Digest::of(format!("{seed} {n}").as_bytes());
    (0..).take(count).map(|n| Part { id: id(n), len: u32::try_from(n % 7 + 1).unwrap() }).collect()
}

fn total(parts: &[Part]) -> u64 {
    parts.iter().map(|part| u64::from(part.len)).sum()
}

fn row(part: Part) -> Vec<u8> {
    [&part.id.as_bytes()[..], &part.len.to_le_bytes()].concat()
}

/// Known leaves. Other leaves would be stored again, so these never change.
#[test]
fn leaves_never_change() {
    let (recipe, store) = build(&parts(0, 1500));
    let leaves: Vec<u32> = recipe.parts.iter().map(|leaf| leaf.len / 36).collect();
    assert_eq!(recipe.depth, 1);
    assert_eq!(leaves, GOLDEN_LEAVES);
    assert_eq!(recipe.parts[0].id.to_string(), GOLDEN_LEAF);
    assert_eq!(store[&recipe.parts[0].id][..36], row(parts(0, 1)[0]));
}

const GOLDEN_LEAVES: &[u32] = &[259, 48, 72, 145, 362, 232, 62, 148, 50, 122];
const GOLDEN_LEAF: &str = "1dfd4a01c87ad112ea0da212e4341fe632a7e5bb59eec2993bed6014d89cf62a";

#[test]
fn short_lists_are_stored_inline_and_longer_ones_are_cut() {
    for count in [0, 1, 2, INLINE] {
        let parts = parts(1, count);
        let (recipe, store) = build(&parts);
        assert_eq!((recipe, store.len()), (Recipe { depth: 0, parts }, 0));
    }
    assert_eq!(build(&parts(1, INLINE + 1)).0.depth, 1);
    let long = parts(1, 60_000);
    let (recipe, store) = build(&long);
    assert_eq!(recipe.depth, 2);
    assert!(follow(total(&long), &recipe, &store).unwrap().iter().map(|placed| placed.part).eq(long));
}

#[test]
fn equal_parts_make_leaves_of_maximum_or_minimum_length() {
    for (last, leaf) in [(0x01, LEAF_MAX), (0x80, LEAF_MIN)] {
        let (recipe, store) = build(&vec![Part { id: Digest::from_bytes([last; 32]), len: 1 }; 4 * LEAF_MAX]);
        assert_eq!(store.len(), 1);
        assert!(recipe.parts.iter().all(|part| part.len as usize == leaf * ROW));
    }
}

#[test]
fn a_changed_part_makes_one_or_two_new_leaves_per_level() {
    let old = parts(2, 60_000);
    let mut new = old.clone();
    new[30_000].id = Digest::of(b"changed");
    let ((_, old), (recipe, new)) = (build(&old), build(&new));
    let fresh = new.keys().filter(|id| !old.contains_key(id)).count();
    assert!(
        (usize::from(recipe.depth)..=2 * usize::from(recipe.depth)).contains(&fresh),
        "{fresh} new leaves"
    );
}

#[test]
fn lists_that_are_too_deep_are_refused() {
    let too_deep = Recipe { depth: MAX_DEPTH + 1, parts: parts(0, 1) };
    assert_eq!(follow(1, &too_deep, &Store::new()), Err(RecipeError::TooDeep.into()));
    let mut store = |_: &[u8]| Ok::<_, RecipeError>(Digest::of(b"leaf"));
    let part = parts(0, 1)[0];
    // The same list with only the topmost level left.
    let mut levels = [Level::default()];
    for _ in 0..INLINE {
        add(&mut levels, part, &mut store).unwrap();
    }
    let result = (0..LEAF_MAX).try_for_each(|_| add(&mut levels, part, &mut store));
    assert_eq!(result, Err(RecipeError::TooDeep));
}

#[test]
fn contents_without_recipe_are_empty_or_one_chunk() {
    let content = |size| Content { digest: Digest::of(b"content"), size };
    let first = |size| Expansion::new(content(size), None).and_then(|mut expansion| expansion.step());
    assert_eq!(first(0), Ok(Next::End));
    let part = Part { id: Digest::of(b"content"), len: MAX_CHUNK };
    assert_eq!(first(MAX_CHUNK.into()), Ok(Next::Chunk(Placed { part, offset: 0 })));
    for size in [u64::from(MAX_CHUNK) + 1, u64::MAX] {
        assert!(matches!(first(size), Err(RecipeError::Part { .. })), "{size}");
    }
}

#[test]
fn a_recipe_that_no_writer_makes_is_refused_without_its_lists() {
    let check = |depth, parts: Vec<Part>, size| {
        check_recipe(Digest::of(b"file"), &Recipe { depth, parts }, size).map_err(|error| error.to_string())
    };
    let of = |count: usize, len: usize| {
        vec![Part { id: Digest::of(b"x"), len: u32::try_from(len).unwrap() }; count]
    };
    let refused = |depth, parts, size, why: &str| {
        let said = check(depth, parts, size).expect_err(why);
        assert!(said.contains(why), "{said}, expected: {why}");
    };
    assert_eq!(check(0, of(128, 7), Some(128 * 7)), Ok(()));
    refused(0, of(129, 7), None, "it has 129 parts");
    refused(0, of(0, 7), None, "it has 0 parts");
    refused(0, of(2, 7), Some(15), "add up to 14 bytes");
    refused(0, of(2, 0), None, "has 0 bytes");
    refused(0, of(2, (4 << 20) + 1), None, "has 4194305 bytes");
    refused(5, of(2, 36), None, "more than 4 levels");
    for (rows, fits) in [(1, true), (512, true), (513, false)] {
        assert_eq!(check(1, of(2, rows * ROW), None).is_ok(), fits, "{rows} rows");
    }
    refused(1, of(2, ROW + 1), None, "has 37 bytes");
    // Two lists of 512 chunks: all but the last chunk have 256 bytes, and none more than 4 MiB.
    assert_eq!(check(1, of(2, 512 * ROW), Some(1023 * 256 + 1)), Ok(()));
    refused(1, of(2, 512 * ROW), Some(1023 * 256), "add up to 261889 bytes");
    assert_eq!(check(1, of(2, 512 * ROW), Some(1024 * (4 << 20))), Ok(()));
    refused(1, of(2, 512 * ROW), Some(1024 * (4 << 20) + 1), "add up to 4294967296 bytes");
    assert_eq!(check(4, of(128, 512 * ROW), Some(1 << 40)), Ok(()));
}

#[test]
fn recipes_of_another_content_are_refused() {
    let [one, two] = parts(0, 2)[..] else { panic!("expected two parts") };
    let flat = |parts: &[Part]| Recipe { depth: 0, parts: parts.to_vec() };
    let with_leaf = |leaf: Vec<u8>, len: usize| {
        let part = Part { id: Digest::of(&leaf), len: u32::try_from(len).unwrap() };
        (Recipe { depth: 1, parts: vec![part] }, Store::from([(part.id, leaf)]))
    };
    let rows = [row(one), row(two)].concat();
    let (good, store) = with_leaf(rows.clone(), rows.len());
    assert!(follow(3, &good, &store).is_ok());
    assert!(follow(3, &flat(&[one, two]), &Store::new()).is_ok());

    for size in [0, 1, 2, 4, u64::MAX] {
        for recipe in [&good, &flat(&[one, two])] {
            let error = follow(size, recipe, &store);
            assert!(
                matches!(error, Err(ContentError::Recipe(RecipeError::Size { .. }))),
                "{size}: {error:?}"
            );
        }
    }
    for len in [0, MAX_CHUNK + 1] {
        let error = follow(len.into(), &flat(&[Part { len, ..one }]), &Store::new());
        assert!(matches!(error, Err(ContentError::Recipe(RecipeError::Part { .. }))), "{error:?}");
    }
    let damaged: BTreeMap<&str, (Recipe, Store)> = [
        ("another length than the list says", with_leaf(rows.clone(), rows.len() - ROW)),
        ("half a row", with_leaf(rows[..50].to_vec(), 50)),
        ("too many rows", with_leaf(row(one).repeat(LEAF_MAX + 1), (LEAF_MAX + 1) * ROW)),
    ]
    .into();
    for (why, (recipe, store)) in damaged {
        let error = follow(3, &recipe, &store);
        assert!(matches!(error, Err(ContentError::Recipe(RecipeError::Leaf { .. }))), "{why}: {error:?}");
    }
}

/// 512 lists of 512 lists … of the same byte: four fetches must not become billions of parts.
#[test]
fn a_list_that_names_itself_many_times_ends_with_the_size() {
    let mut store = Store::new();
    let mut part = Part { id: Digest::of(b"x"), len: 1 };
    for _ in 0..MAX_DEPTH {
        let leaf = row(part).repeat(LEAF_MAX);
        part = Part { id: Digest::of(&leaf), len: u32::try_from(leaf.len()).unwrap() };
        store.insert(part.id, leaf);
    }
    let recipe = Recipe { depth: MAX_DEPTH, parts: vec![part; INLINE] };
    let error = follow(1000, &recipe, &store);
    let size = RecipeError::Size { content: Digest::of(b"file"), expected: 1000, found: 1001 };
    assert_eq!(error, Err(size.into()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn expanding_a_recipe_gives_its_parts(seed in any::<u64>(), count in 0_usize..3000) {
        let parts = parts(seed, count);
        let (recipe, store) = build(&parts);
        prop_assert!(recipe.parts.len() <= INLINE);
        prop_assert!(store.values().all(|leaf| leaf.len() <= LEAF_MAX * ROW));
        let mut offset = 0;
        let placed = follow(total(&parts), &recipe, &store).unwrap();
        prop_assert_eq!(placed.len(), parts.len());
        for (placed, part) in placed.iter().zip(parts) {
            prop_assert_eq!(*placed, Placed { part, offset });
            offset += u64::from(part.len);
        }
    }

    #[test]
    fn random_leaves_give_an_error_or_the_stated_size(leaf in prop::collection::vec(any::<u8>(), 0..200), size in any::<u64>()) {
        let part = Part { id: Digest::of(&leaf), len: u32::try_from(leaf.len()).unwrap() };
        let store = Store::from([(part.id, leaf)]);
        if let Ok(parts) = follow(size, &Recipe { depth: 1, parts: vec![part] }, &store) {
            prop_assert_eq!(parts.iter().map(|placed| u64::from(placed.part.len)).sum::<u64>(), size);
        }
    }
}
