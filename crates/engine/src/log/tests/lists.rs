//! Lists of chunks that cannot be read: all else of their content is found.

use super::chunks::{CHUNKS, content, deep, list, part, reader, stored};
use super::faulty::Faulty;
use super::*;
use crate::content::ChunkIndex;
use crate::model::{Change, Entry, PackInfo, Recipe, RecipeOf};
use crate::remote::RemoteErrorKind;

/// Ways to lose what a pack holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Loss {
    Gone,
    Damaged,
}

/// Has the store lose a pack of one chunk.
fn lose(remote: &Faulty, pack: &PackInfo, loss: Loss) {
    let key = pack_key(pack.id);
    match loss {
        Loss::Gone => drop(remote.store.remove(&key)),
        Loss::Damaged => {
            let mut bytes = remote.store.dump()[&key].to_vec();
            bytes[pack.chunks[0].offset as usize] ^= 1;
            remote.store.damage(&key, bytes.into());
        }
    }
}

fn shared(packs: &[PackInfo]) -> Vec<Arc<PackInfo>> {
    packs.iter().cloned().map(Arc::new).collect()
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_content_is_found_where_one_of_its_lists_cannot_be_read() {
    for loss in [Loss::Gone, Loss::Damaged] {
        let remote = Faulty::default();
        let (content, recipe, [left, right, top]) = deep();
        let packs = [
            stored(&remote.store, 1, &CHUNKS).await,
            stored(&remote.store, 2, &[&left]).await,
            stored(&remote.store, 3, &[&right, &top]).await,
        ];
        let index: ChunkIndex = packs.iter().cloned().collect();
        lose(&remote, &packs[1], loss);
        let listed =
            reader(&remote).list_chunks(&index, &Leaves::new(), content, Some(&recipe)).await.unwrap();
        assert_eq!(listed.unread, BTreeSet::from([Digest::of(&left)]), "{loss:?}");
        assert_eq!((listed.missing, listed.lacks()), (None, Some(Digest::of(&left))));
        assert_eq!(listed.chunks, BTreeSet::from([CHUNKS[2], CHUNKS[3]].map(Digest::of)));

        let mut contents = Contents::default();
        contents.all.insert(content.digest, content);
        contents.recipes.insert(content.digest, recipe.clone());
        let places = reader(&remote).places(&contents, &shared(&packs), &[], &[]).await.unwrap();
        assert_eq!(places.lost, BTreeSet::from([content.digest]));
        assert_eq!(places.unread, places.lost);
        // The place of the list as well: a repair puts it back there.
        let needed = [(CHUNKS[2], 1), (CHUNKS[3], 1), (&left, 2), (&right, 3), (&top, 3)]
            .map(|(of, id)| (Digest::of(of), pack(id)));
        assert_eq!(places.chunks, needed.into(), "{loss:?}");

        // Where the store does not answer, nobody knows what is there.
        for kind in [RemoteErrorKind::Offline, RemoteErrorKind::Forbidden] {
            remote.fail("get packs/", kind);
            assert!(
                reader(&remote).list_chunks(&index, &Leaves::new(), content, Some(&recipe)).await.is_err()
            );
            assert!(reader(&remote).places(&contents, &shared(&packs), &[], &[]).await.is_err());
            remote.heal();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_none_hides_no_other() {
    let remote = Faulty::default();
    let (content, _, [left, ..]) = deep();
    let none = b"no list".to_vec();
    let recipe = Recipe { depth: 1, parts: vec![part(&left), Part { id: Digest::of(&none), len: 36 }] };
    let packs = [stored(&remote.store, 1, &CHUNKS).await, stored(&remote.store, 2, &[&left, &none]).await];
    let index: ChunkIndex = packs.iter().cloned().collect();
    let listed = reader(&remote).list_chunks(&index, &Leaves::new(), content, Some(&recipe)).await;
    assert!(listed.unwrap_err().is_damage());
    let mut contents = Contents::default();
    contents.all.insert(content.digest, content);
    contents.recipes.insert(content.digest, recipe);
    let places = reader(&remote).places(&contents, &shared(&packs), &[], &[]).await.unwrap();
    assert_eq!((places.lost.len(), places.unread.len()), (1, 0), "nobody can read it");
    assert!([CHUNKS[0], CHUNKS[1], &left].iter().all(|of| places.chunks.contains_key(&Digest::of(of))));
}

#[tokio::test(start_paused = true)]
async fn a_merge_takes_away_no_file_whose_list_cannot_be_read() {
    for loss in [Loss::Gone, Loss::Damaged] {
        let remote = Faulty::over(&made().await);
        let mut log = remote.opened().await;
        // No chunk but the last is shorter in a commit.
        let chunks: Vec<Vec<u8>> = (0..4).map(|byte| vec![byte; 300]).collect();
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let leaf = list(&chunks.iter().map(|chunk| part(chunk)).collect::<Vec<_>>());
        let long = content(&chunks.concat());
        let packs = vec![
            stored(&remote.store, 1, &chunks).await,
            stored(&remote.store, 2, &[&leaf]).await,
            stored(&remote.store, 3, &[b"of no file"]).await,
        ];
        let of_lists = packs[1].clone();
        let mut first = plain(None, 1, &[]);
        let file = Entry { digest: long.digest, size: long.size, ..entry("long") };
        first.changes = vec![Change { path: path("long"), entry: Some(file) }];
        first.recipes =
            vec![RecipeOf { digest: long.digest, recipe: Recipe { depth: 1, parts: vec![part(&leaf)] } }];
        first.packs = packs;
        let base = publish(&mut log, &first).await;
        // This device has seen all packs.
        assert_eq!(log.settle().await.unwrap(), Some(base));
        // A fork over a mark of something else.
        let mut marks = plain(Some(base), 1, &[("a", Some("a"))]);
        marks.prune.marked = vec![pack(3)];
        let one = publish(&mut log, &marks).await;
        let other = publish(&mut log, &plain(Some(base), 2, &[("b", Some("b"))])).await;
        lose(&remote, &of_lists, loss);
        let mut merged = log.settle().await.unwrap().expect("they merge");
        assert!(merged > one.max(other));
        let state = log.snapshot(Some(merged)).await.unwrap();
        assert_eq!(state.tree.get(&path("long")), Some(&file), "{loss:?}");
        assert_eq!((state.void.len(), state.tree.len()), (0, 3), "{loss:?}");
        // A pack that is swept is another thing: of that all devices know the same.
        let mut marks = plain(Some(merged), 1, &[]);
        marks.prune.marked = vec![pack(2)];
        let marked = publish(&mut log, &marks).await;
        let mut sweeps = plain(Some(marked), 1, &[("a", None)]);
        sweeps.prune.swept = vec![pack(2)];
        publish(&mut log, &sweeps).await;
        publish(&mut log, &plain(Some(marked), 2, &[("b", None)])).await;
        merged = log.settle().await.unwrap().expect("they merge");
        let state = log.snapshot(Some(merged)).await.unwrap();
        assert_eq!(state.tree.get(&path("long")), None, "{loss:?}");
    }
}
