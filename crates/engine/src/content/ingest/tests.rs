use std::collections::BTreeSet;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::content::test_data::{Dribble, json_nodes, noise, unit_rows};
use crate::content::{ChunkIndex, ContentError, Expansion, Next, ReadLimits, join_ranges, read_table};

const PARAMS: ChunkParams = ChunkParams { min: 256, avg: 1024, max: 4096 };

/// Entropy that counts up.
#[derive(Debug, Default)]
struct Counter(std::sync::atomic::AtomicU8);

impl Entropy for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    }
}

/// Packs of a bucket and their index.
#[derive(Debug, Default)]
struct Vault {
    packs: Vec<FinishedPack>,
    index: ChunkIndex,
    entropy: Counter,
}

impl Vault {
    fn add(&mut self, target: usize, files: &[&[u8]]) -> Vec<Ingested> {
        self.add_with(0, target, files)
    }

    fn add_with(&mut self, helpers: usize, target: usize, files: &[&[u8]]) -> Vec<Ingested> {
        let mut packs = Vec::new();
        let sink = |pack| {
            packs.push(pack);
            Ok::<_, Infallible>(())
        };
        let run = Ingest::new(PARAMS, &self.entropy, |id| self.index.contains(id), sink).unwrap();
        let mut run = run.with_helpers(helpers).with_pack_target(move || target);
        let added: Vec<Ingested> = files.iter().map(|file| run.add(*file).unwrap()).collect();
        run.finish().unwrap();
        packs.iter().for_each(|pack| self.index.insert(pack.info.clone()));
        self.packs.extend(packs);
        added
    }

    /// Stored bytes of all chunks.
    fn stored(&self) -> u64 {
        let all = self.packs.iter().flat_map(|pack| &pack.info.chunks);
        all.map(|slot| u64::from(slot.stored)).sum()
    }

    fn chunk(&self, id: &Digest) -> Result<Vec<u8>, ContentError> {
        Ok(self.read(&[*id])?.concat())
    }

    /// Reads chunks like a restore: look up places, join reads, open chunks.
    fn read(&self, ids: &[Digest]) -> Result<Vec<Vec<u8>>, ContentError> {
        let places: Vec<_> = ids.iter().map(|id| self.index.get(id).expect("a chunk is missing")).collect();
        let mut chunks = Vec::new();
        for read in join_ranges(&places, ReadLimits { gap: 100, stored: 10_000, ..ReadLimits::AT_ONCE }) {
            let pack = self.packs.iter().find(|pack| pack.info.id == read.pack).unwrap();
            let range = usize::try_from(read.range.start).unwrap()..usize::try_from(read.range.end).unwrap();
            for chunk in read.open(&pack.bytes[range]) {
                chunks.push(chunk?);
            }
        }
        Ok(chunks)
    }

    fn restore(&self, added: &Ingested) -> Vec<u8> {
        let mut expansion = Expansion::new(added.content, added.recipe.as_ref()).unwrap();
        let mut ids = Vec::new();
        loop {
            match expansion.step().unwrap() {
                Next::Chunk(placed) => ids.push(placed.part.id),
                Next::List(list) => expansion.open(&list, &self.chunk(&list.id).unwrap()).unwrap(),
                Next::End => break,
            }
        }
        self.read(&ids).unwrap().concat()
    }
}

#[test]
fn restored_files_equal_the_ingested_ones() {
    let (rows, json) = (unit_rows("in", 40, 1536), json_nodes("in", 500));
    let noise = noise("in", 400_000);
    let files: [&[u8]; 6] = [b"", b"x", &json, &rows, &noise, &rows];
    let mut vault = Vault::default();
    let added = vault.add(50_000, &files);
    for (file, added) in files.iter().zip(&added) {
        assert_eq!(added.content, Content { digest: Digest::of(file), size: file.len() as u64 });
        assert_eq!(vault.restore(added), *file);
    }
    assert_eq!(added[0].recipe, None, "an empty file has no chunk");
    assert_eq!(added[1].recipe, None, "a small file is one chunk");
    assert_eq!(
        added[3].recipe.as_ref().map(|recipe| recipe.depth),
        Some(1),
        "the list of a long file is cut"
    );
    assert_eq!(added[5], added[3], "the same file again is cut alike");
    let stored = vault.stored();
    assert_eq!((vault.add(50_000, &files), vault.stored()), (added, stored), "known files add nothing");
}

#[test]
fn packs_have_distinct_ids_and_the_requested_size() {
    let mut vault = Vault::default();
    vault.add(20_000, &[&noise("packs", 200_000)]);
    let names: BTreeSet<PackId> = vault.packs.iter().map(|pack| pack.info.id).collect();
    assert_eq!(names.len(), vault.packs.len());
    let (last, full) = vault.packs.split_last().unwrap();
    assert!(full.len() >= 7 && full.iter().all(|pack| (20_000..20_000 + 4200).contains(&pack.bytes.len())));
    assert!(last.bytes.len() < 20_000 + 4200);
    for pack in &vault.packs {
        assert_eq!(read_table(pack.info.id, &pack.bytes).unwrap(), pack.info.chunks);
    }
}

#[test]
fn small_files_share_a_pack_and_known_files_make_none() {
    let files: Vec<Vec<u8>> = (0..500).map(|n| format!("trace {n}").into_bytes()).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let mut vault = Vault::default();
    vault.add(1 << 20, &files);
    assert_eq!(vault.packs.len(), 1);
    vault.add(1 << 20, &files);
    assert_eq!(vault.packs.len(), 1);
}

#[test]
fn one_changed_row_adds_a_few_chunks() {
    let mut rows = unit_rows("row", 200, 384);
    let mut vault = Vault::default();
    vault.add(1 << 20, &[&rows]);
    let whole = vault.stored();
    let row = 100 * 384 * 4;
    rows[row..row + 384 * 4].copy_from_slice(&unit_rows("another", 1, 384));
    let added = vault.add(1 << 20, &[&rows]);
    let new = vault.stored() - whole;
    assert!(new * 10 < whole, "{new} of {whole} bytes are new");
    assert_eq!(vault.restore(&added[0]), rows);
}

/// Whoever puts a file together reads its lists first: with one read, if they are neighbours.
#[test]
fn the_lists_of_a_file_stand_beside_each_other() {
    let mut vault = Vault::default();
    let file = noise("lists", 8_000_000);
    let added = vault.add(usize::MAX, &[&file]);
    let recipe = added[0].recipe.as_ref().unwrap();
    assert!(recipe.depth > 0 && recipe.parts.len() > 2, "{} parts", recipe.parts.len());
    let pack = &vault.packs[0].info.chunks;
    let place = |part: &Part| pack.iter().position(|slot| slot.id == part.id).unwrap();
    let places: Vec<usize> = recipe.parts.iter().map(place).collect();
    assert_eq!(places, (places[0]..pack.len()).collect::<Vec<_>>());
}

#[test]
fn a_failing_source_does_not_affect_other_files() {
    let (data, entropy) = (noise("fails", 30_000), Counter::default());
    let mut packs = Vec::new();
    let sink = |pack| {
        packs.push(pack);
        Ok::<_, Infallible>(())
    };
    let mut run = Ingest::new(PARAMS, &entropy, |_: &Digest| false, sink).unwrap();
    let failing = data[..20_000].chain(Dribble::failing());
    assert!(
        matches!(run.add(failing), Err(IngestError::Read(error)) if error.kind() == io::ErrorKind::TimedOut)
    );
    let added = run.add(data.as_slice()).unwrap();
    run.finish().unwrap();
    let vault = Vault { index: packs.iter().map(|pack| pack.info.clone()).collect(), packs, entropy };
    assert_eq!(vault.restore(&added), data);
}

#[test]
fn a_lost_pack_ends_the_run() {
    for helpers in [0, 2] {
        let (data, entropy) = (noise("lost", 3_000_000), Counter::default());
        let sink = |_: FinishedPack| Err("the disk is full");
        let run = Ingest::new(PARAMS, &entropy, |_: &Digest| false, sink).unwrap();
        let mut run = run.with_helpers(helpers).with_pack_target(|| 10_000);
        assert!(matches!(run.add(data.as_slice()), Err(IngestError::Sink("the disk is full"))));
        // All chunks of the lost pack would count as packed.
        assert!(matches!(run.add(&data[..100]), Err(IngestError::Over)));
        assert!(matches!(run.finish(), Err(IngestError::Over)));
    }
}

#[test]
fn the_packs_are_the_same_whatever_number_of_helpers() {
    let (rows, json, noise) = (unit_rows("by", 200, 1536), json_nodes("by", 5_000), noise("by", 900_000));
    let small: Vec<Vec<u8>> = (0..2_000).map(|n| format!("trace {n}").into_bytes()).collect();
    let files = [&json, &rows, &noise, &rows].into_iter().chain(&small);
    let files: Vec<&[u8]> = files.map(Vec::as_slice).collect();
    let by = |helpers| {
        let mut vault = Vault::default();
        let added = vault.add_with(helpers, 300_000, &files);
        (added, vault.packs)
    };
    let alone = by(0);
    assert!(alone.1.len() > 3, "{}", alone.1.len());
    for helpers in 1..4 {
        assert!(by(helpers) == alone, "{helpers} helpers pack otherwise");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_files_are_restored_from_packs_of_any_size(
        files in prop::collection::vec(("[ab]", 0_usize..20_000), 1..8),
        target in 0_usize..30_000,
        helpers in 0_usize..4,
    ) {
        let files: Vec<Vec<u8>> = files.iter().map(|(seed, length)| noise(seed, *length)).collect();
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let mut vault = Vault::default();
        let added = vault.add_with(helpers, target, &files);
        for (file, added) in files.iter().zip(&added) {
            prop_assert_eq!(&vault.restore(added), file);
        }
        let all = vault.packs.iter().flat_map(|pack| &pack.info.chunks);
        let ids: BTreeSet<Digest> = all.clone().map(|slot| slot.id).collect();
        prop_assert_eq!(ids.len(), all.count(), "a chunk was stored twice");
    }
}
