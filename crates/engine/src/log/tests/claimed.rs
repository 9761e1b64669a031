//! Sizes and recipes that a stranger claims for contents which stand in the vault.

use super::chunks::{CHUNKS, content, part, reader, stored};
use super::faulty::Faulty;
use super::*;
use crate::model::{Entry, RecipeOf};

fn flat(chunks: &[&[u8]]) -> Recipe {
    Recipe { depth: 0, parts: chunks.iter().map(|chunk| part(chunk)).collect() }
}

fn shared(packs: &[PackInfo]) -> Vec<Arc<PackInfo>> {
    packs.iter().cloned().map(Arc::new).collect()
}

fn ids(chunks: &[&[u8]]) -> BTreeSet<Digest> {
    chunks.iter().map(|chunk| Digest::of(chunk)).collect()
}

/// An entry of the content of [`CHUNKS`] that claims this size.
fn sized(size: u64) -> Entry {
    Entry { digest: Digest::of(&CHUNKS.concat()), size, ..entry("") }
}

/// The same number of bytes as [`CHUNKS`], in two chunks.
const FORGED: [&[u8]; 2] = [b"as many", b"by name "];

async fn found(
    remote: &Faulty,
    contents: &Contents,
    packs: &[PackInfo],
) -> (BTreeSet<Digest>, BTreeSet<Digest>) {
    let places = reader(remote).places(contents, &shared(packs), &[], &[]).await.unwrap();
    (places.chunks.into_keys().collect(), places.lost)
}

#[tokio::test(start_paused = true)]
async fn another_recipe_takes_no_chunk_from_a_content() {
    assert_eq!(FORGED.concat().len(), CHUNKS.concat().len());
    let remote = Faulty::default();
    let packs = [stored(&remote.store, 1, &CHUNKS).await, stored(&remote.store, 2, &FORGED).await];
    let content = content(&CHUNKS.concat());
    for recipes in [[&CHUNKS[..], &FORGED[..]], [&FORGED, &CHUNKS]] {
        let mut contents = Contents::default();
        contents.add(&sized(content.size));
        for recipe in recipes {
            let mut more = Contents::default();
            more.add_recipe(content.digest, flat(recipe));
            contents.extend(more);
        }
        let (chunks, lost) = found(&remote, &contents, &packs).await;
        assert_eq!((chunks, lost), (ids(&[&CHUNKS[..], &FORGED].concat()), BTreeSet::new()));
        let (chunks, lost) = found(&remote, &contents, &packs[..1]).await;
        assert_eq!((chunks, lost), (ids(&CHUNKS), BTreeSet::new()), "one of them is complete");
        let (_, lost) = found(&remote, &contents, &[]).await;
        assert_eq!(lost, BTreeSet::from([content.digest]));
    }
}

#[tokio::test(start_paused = true)]
async fn another_size_takes_no_chunk_from_a_content() {
    let remote = Faulty::default();
    let packs = [stored(&remote.store, 1, &CHUNKS).await];
    let size = content(&CHUNKS.concat()).size;
    for sizes in [[size, size + 1], [size + 1, size], [size, 0], [0, size]] {
        let mut contents = Contents::default();
        contents.add_recipe(sized(0).digest, flat(&CHUNKS));
        sizes.iter().for_each(|size| contents.add(&sized(*size)));
        assert_eq!(found(&remote, &contents, &packs).await, (ids(&CHUNKS), BTreeSet::new()), "{sizes:?}");
    }
    // Even if nobody tells the right one.
    let mut contents = Contents::default();
    contents.add_recipe(sized(0).digest, flat(&CHUNKS));
    contents.add(&sized(size + 1));
    assert_eq!(found(&remote, &contents, &packs).await, (ids(&CHUNKS), [sized(0).digest].into()));
}

#[tokio::test(start_paused = true)]
async fn a_recipe_takes_nothing_from_a_content_of_one_chunk() {
    let remote = Faulty::default();
    let whole = CHUNKS.concat();
    let packs = [stored(&remote.store, 1, &[&whole]).await, stored(&remote.store, 2, &FORGED).await];
    let mut contents = Contents::default();
    contents.add(&sized(content(&whole).size));
    contents.add_recipe(Digest::of(&whole), flat(&FORGED));
    let expected = ids(&[&FORGED[..], &[&whole]].concat());
    assert_eq!(found(&remote, &contents, &packs).await, (expected, BTreeSet::new()));
    assert_eq!(found(&remote, &contents, &packs[..1]).await, (ids(&[&whole]), BTreeSet::new()));
    // A claim that it is empty does not hide that it is gone.
    contents.add(&sized(0));
    assert_eq!(found(&remote, &contents, &[]).await.1, BTreeSet::from([Digest::of(&whole)]));
}

#[tokio::test(start_paused = true)]
async fn what_any_of_many_recipes_names_is_needed() {
    let remote = Faulty::default();
    let mut packs = vec![stored(&remote.store, 1, &CHUNKS).await];
    let size = content(&CHUNKS.concat()).size;
    let forged: Vec<Vec<u8>> = (0..40).map(|byte| vec![byte; usize::try_from(size).unwrap()]).collect();
    let mut contents = Contents::default();
    contents.add(&sized(size));
    for chunk in &forged {
        contents.add_recipe(sized(size).digest, flat(&[chunk]));
        contents.add(&sized(size + u64::from(chunk[0])));
    }
    contents.add_recipe(sized(size).digest, flat(&CHUNKS));
    let chunks: Vec<&[u8]> = forged.iter().map(Vec::as_slice).collect();
    packs.push(stored(&remote.store, 2, &chunks).await);
    let expected = ids(&[&CHUNKS[..], &chunks].concat());
    assert_eq!(found(&remote, &contents, &packs).await, (expected, BTreeSet::new()));
}

#[tokio::test(start_paused = true)]
async fn the_history_tells_every_claim() {
    let remote = Faulty::over(&made().await);
    let mut log = remote.opened().await;
    let (chunks, other): ([&[u8]; 2], [&[u8]; 2]) = ([&[1; 300], &[2; 300]], [&[3; 280], &[4; 320]]);
    let whole = content(&chunks.concat());
    let packs = [stored(&remote.store, 1, &chunks).await, stored(&remote.store, 2, &other).await];
    let file = Entry { digest: whole.digest, size: whole.size, ..entry("") };
    let mut first = plain(None, 1, &[]);
    first.changes = vec![Change { path: path("f"), entry: Some(file) }];
    first.recipes = vec![RecipeOf { digest: whole.digest, recipe: flat(&chunks) }];
    first.packs = vec![packs[0].clone()];
    let first = publish(&mut log, &first).await;
    let mut forged = plain(Some(first), 7, &[]);
    forged.recipes = vec![RecipeOf { digest: whole.digest, recipe: flat(&other) }];
    forged.packs = vec![packs[1].clone()];
    let forged = publish(&mut log, &forged).await;
    let head = log.snapshot(Some(forged)).await.unwrap();
    assert_eq!(head.recipes.get(&whole.digest), Some(&flat(&chunks)), "the first one stays");
    for horizon in [0, 1, 2] {
        let retained = log.retained(&head, horizon).await.unwrap();
        let (found, lost) = found(&remote, &retained.sure, &packs).await;
        assert_eq!((found, lost), (ids(&[&chunks[..], &other].concat()), BTreeSet::new()), "from {horizon}");
    }
}
