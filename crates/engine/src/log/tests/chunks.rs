//! Places of chunks, and reads of them.

use super::faulty::Faulty;
use super::*;
use crate::content::{ChunkIndex, FinishedPack, PackBuilder, PackRead};
use crate::model::{Codec, Conflict, Content, Item, Kept, Part, Recipe};
use crate::remote::RemoteErrorKind;

/// A pack with these chunks.
pub(super) fn built(id: u8, chunks: &[&[u8]]) -> FinishedPack {
    let mut built = PackBuilder::new(pack(id));
    for chunk in chunks {
        built.push(Digest::of(chunk), chunk.len(), Codec::Raw, chunk).unwrap();
    }
    built.finish().expect("it has chunks")
}

/// Puts a pack with these chunks into the store.
pub(super) async fn stored(remote: &MemoryRemote, id: u8, chunks: &[&[u8]]) -> PackInfo {
    let pack = built(id, chunks);
    remote.put(&pack_key(pack.info.id), pack.bytes).await.unwrap();
    pack.info
}

pub(super) fn reader(remote: &Faulty) -> ChunkReader {
    ChunkReader::new(Arc::new(remote.clone()))
}

pub(super) fn content(bytes: &[u8]) -> Content {
    Content { digest: Digest::of(bytes), size: bytes.len() as u64 }
}

pub(super) fn part(chunk: &[u8]) -> Part {
    Part { id: Digest::of(chunk), len: u32::try_from(chunk.len()).unwrap() }
}

pub(super) fn list(parts: &[Part]) -> Vec<u8> {
    parts.iter().flat_map(|part| [part.id.as_bytes().as_slice(), &part.len.to_le_bytes()].concat()).collect()
}

#[test]
fn the_key_of_a_pack_has_a_folder_of_its_first_digits() {
    let pack = pack(0xab);
    let key = pack_key(pack);
    assert!(key.starts_with("packs/ab/abab"), "{key}");
    assert_eq!(parse_pack_key(&key), Some(pack));
    for other in [key.replacen("packs/ab", "packs/ac", 1), key.replacen("packs/", "", 1), format!("{key}0")] {
        assert_eq!(parse_pack_key(&other), None, "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_are_read_and_checked_against_their_ids() {
    let remote = Faulty::default();
    let info = stored(&remote.store, 1, &[b"one", b"two"]).await;
    let slots: Vec<_> = info.chunks.iter().map(|slot| (info.id, *slot)).collect();
    let chunks = reader(&remote).collect(&slots).await.unwrap();
    let expected = [b"one".as_slice(), b"two"].map(|chunk| (Digest::of(chunk), chunk.to_vec()));
    assert_eq!(chunks, expected.into());
    assert_eq!(remote.asked().len(), 1, "neighbouring chunks share a read");
    let whole = remote.store.dump()[&pack_key(info.id)].clone();
    let mut flipped = whole.to_vec();
    flipped[info.chunks[1].offset as usize] ^= 1;
    remote.store.damage(&pack_key(info.id), flipped.into());
    let error = reader(&remote).collect(&slots).await.unwrap_err();
    assert!(matches!(error, LogError::Content(_)) && error.is_damage(), "{error}");
    remote.store.remove(&pack_key(info.id));
    let error = reader(&remote).collect(&slots).await.unwrap_err();
    assert!(!error.is_damage());
    assert!(matches!(error, LogError::Remote(error) if error.kind == RemoteErrorKind::NotFound));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_taken_apart_gives_the_chunks_of_the_whole() {
    let remote = Faulty::default();
    let chunks: Vec<Vec<u8>> = (0..9_u8).map(|n| vec![n; 300 << 10]).collect();
    let info = stored(&remote.store, 1, &chunks.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
    let reader = reader(&remote);
    let range = 8..8 + 9 * (300 << 10);
    let read = PackRead { pack: info.id, range, chunks: info.chunks.clone() };
    let body = reader.fetch(&read).await.unwrap();
    let parts = ChunkReader::parts(read.clone(), &body);
    assert_eq!(parts.len(), 3, "three chunks of 300 KiB are a part");
    let opened = parts.iter().flat_map(|(part, bytes)| reader.open(part, bytes).unwrap());
    assert!(opened.map(|(_, chunk)| chunk).eq(chunks));
    assert_eq!(reader.take_sound()[&info.id].len(), 9);
    for wrong in [body.slice(1..), body.slice(..body.len() - 1)] {
        let [(part, bytes)] = &ChunkReader::parts(read.clone(), &wrong)[..] else {
            panic!("it was taken apart")
        };
        assert!(reader.open(part, bytes).unwrap_err().is_damage());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pack_shorter_than_committed_is_damaged_but_a_bad_answer_is_not() {
    let remote = Faulty::default();
    let info = stored(&remote.store, 1, &[b"one", b"two"]).await;
    let key = pack_key(info.id);
    let end = u64::from(info.chunks[1].offset + info.chunks[1].stored);
    let read = || PackRead { pack: info.id, range: 0..end, chunks: info.chunks.clone() };
    let whole = remote.store.dump()[&key].clone();
    let to = |length: u64| whole.slice(..usize::try_from(length).unwrap());
    // The pack has the right length or more, so the store gave a bad answer and may give a better
    // one.
    remote.fail("get packs/", RemoteErrorKind::Malformed);
    for length in [end, whole.len() as u64] {
        remote.store.damage(&key, to(length));
        let error = reader(&remote).read(read()).await.unwrap_err();
        assert!(
            matches!(error, LogError::Remote(error) if error.kind == RemoteErrorKind::Malformed),
            "{length}"
        );
    }
    remote.heal();
    remote.store.damage(&key, to(end - 1));
    let error = reader(&remote).read(read()).await.unwrap_err();
    assert!(error.is_damage(), "{error}");
    assert_eq!(
        error.to_string(),
        format!("{key} is damaged: it has only {} bytes, and {end} are named", end - 1)
    );
    // Any other error is returned without a further request.
    remote.fail("get packs/", RemoteErrorKind::Server);
    remote.asked();
    let error = reader(&remote).read(read()).await.unwrap_err();
    assert!(matches!(error, LogError::Remote(error) if error.kind == RemoteErrorKind::Server));
    assert_eq!(remote.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_whole_pack_exists_or_is_missing_or_the_store_fails() {
    let remote = Faulty::default();
    let info = stored(&remote.store, 1, &[b"one"]).await;
    let whole = remote.store.dump()[&pack_key(info.id)].clone();
    assert_eq!(reader(&remote).whole(info.id).await.unwrap(), Some(whole));
    assert_eq!(reader(&remote).whole(pack(9)).await.unwrap(), None);
    remote.fail("get packs/", RemoteErrorKind::Forbidden);
    assert!(reader(&remote).whole(info.id).await.is_err());
}

pub(super) const CHUNKS: [&[u8]; 4] = [b"one", b"two", b"three", b"four"];

/// Content whose recipe is a list of lists of lists: `(content, recipe, the two lists, the list of
/// these)`.
pub(super) fn deep() -> (Content, Recipe, [Vec<u8>; 3]) {
    let parts = CHUNKS.map(part);
    let (left, right) = (list(&parts[..2]), list(&parts[2..]));
    let top = list(&[part(&left), part(&right)]);
    (content(&CHUNKS.concat()), Recipe { depth: 2, parts: vec![part(&top)] }, [left, right, top])
}

#[tokio::test(start_paused = true)]
async fn lists_of_lists_are_read_level_by_level_except_known_ones() {
    let remote = Faulty::default();
    let (content, recipe, [left, right, top]) = deep();
    let [of_chunks, of_lists] =
        [stored(&remote.store, 1, &CHUNKS).await, stored(&remote.store, 2, &[&left, &right, &top]).await];
    let index: ChunkIndex = [of_chunks.clone(), of_lists].into_iter().collect();
    let listed = reader(&remote).list_chunks(&index, &Leaves::new(), content, Some(&recipe)).await.unwrap();
    assert_eq!(listed.chunks, CHUNKS.map(Digest::of).into());
    let ids = |lists: &[&Vec<u8>]| lists.iter().map(|list| Digest::of(list)).collect::<BTreeSet<_>>();
    assert_eq!(listed.lists, ids(&[&top, &left, &right]));
    assert_eq!(listed.read.len(), 3);
    assert_eq!(remote.asked().len(), 2, "one read per level");
    let mut known = listed.read;
    let again = reader(&remote).list_chunks(&index, &known, content, Some(&recipe)).await.unwrap();
    assert_eq!((again.chunks, again.lists, again.read.len()), (listed.chunks, listed.lists, 0));
    assert_eq!(remote.asked().len(), 0);
    // One list is not known, and no pack has it.
    known.remove(&Digest::of(&right));
    let without: ChunkIndex = [of_chunks].into_iter().collect();
    let missing = reader(&remote).list_chunks(&without, &known, content, Some(&recipe)).await.unwrap();
    assert_eq!(missing.missing, Some(Digest::of(&right)));
    known.insert(Digest::of(&right), left);
    assert!(
        reader(&remote).list_chunks(&index, &known, content, Some(&recipe)).await.is_err(),
        "a list of another content"
    );
    let flat = Recipe { depth: 0, parts: CHUNKS.map(part).into() };
    let listed = reader(&remote).list_chunks(&index, &Leaves::new(), content, Some(&flat)).await.unwrap();
    assert_eq!((listed.chunks.len(), listed.lists.len()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_chunk_is_found_in_a_lasting_pack_or_else_where_it_still_exists() {
    let remote = Faulty::default();
    let (long, recipe, [left, right, top]) = deep();
    let lists: [&[u8]; 3] = [&left, &right, &top];
    let lasting = [stored(&remote.store, 1, &[&CHUNKS[..2], &lists].concat()).await];
    let leaving = [stored(&remote.store, 2, &CHUNKS[1..3]).await];
    let there = [stored(&remote.store, 3, &CHUNKS[2..]).await];
    let shared = |packs: &[PackInfo]| packs.iter().cloned().map(Arc::new).collect::<Vec<_>>();
    let mut contents = Contents::default();
    contents.all.insert(long.digest, long);
    contents.recipes.insert(long.digest, recipe);
    for lost in [b"gone".as_slice(), b"gone too"] {
        contents.all.insert(Digest::of(lost), content(lost));
    }
    let places = reader(&remote)
        .places(&contents, &shared(&lasting), &shared(&leaving), &shared(&there))
        .await
        .unwrap();
    assert_eq!(places.lost, BTreeSet::from([Digest::of(b"gone"), Digest::of(b"gone too")]));
    let packs =
        [(CHUNKS[0], 1), (CHUNKS[1], 1), (CHUNKS[2], 2), (CHUNKS[3], 3), (&left, 1), (&right, 1), (&top, 1)];
    let expected = packs.map(|(chunk, id)| (Digest::of(chunk), pack(id)));
    assert_eq!(places.chunks, expected.into());
    let places = reader(&remote).places(&contents, &shared(&lasting), &shared(&leaving), &[]).await.unwrap();
    assert!(places.lost.contains(&long.digest), "its last chunk is in no pack");
    assert!(!places.chunks.contains_key(&Digest::of(CHUNKS[3])));
    assert_eq!(places.chunks.len(), 6, "what is left of it may be what puts it right");
}

#[test]
fn a_state_needs_the_contents_of_its_manifest_and_open_conflicts() {
    let mut state = Snapshot::empty(vec![]).unwrap();
    state.tree.insert(path("a"), entry("a"));
    let files =
        vec![Kept { path: path("b"), entry: Some(entry("lost")) }, Kept { path: path("c"), entry: None }];
    let conflict = Conflict::new(Item::File(path("b")), files, None);
    state.conflicts.insert(conflict.id, conflict);
    state.recipes.insert(entry("a").digest, Recipe { depth: 0, parts: vec![] });
    let mut contents = Contents::of(&state);
    let digests = |contents: &Contents| contents.all.keys().copied().collect::<BTreeSet<_>>();
    assert_eq!(digests(&contents), BTreeSet::from([entry("a").digest, entry("lost").digest]));
    let mut more = Contents::default();
    more.add(&entry("more"));
    more.recipes.insert(entry("more").digest, Recipe { depth: 0, parts: vec![] });
    contents.extend(more);
    assert_eq!((contents.all.len(), contents.recipes.len()), (3, 2));
}
