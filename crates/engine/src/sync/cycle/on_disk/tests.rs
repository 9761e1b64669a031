use super::*;
use crate::fs::RealFs;
use crate::model::Content;

const SMALL: ChunkParams = ChunkParams { min: 1 << 10, avg: 4 << 10, max: 16 << 10 };

/// A file of many chunks, what it holds by its bytes, and its recipe.
fn cut(folder: &Path) -> (PathBuf, OnDisk, Told) {
    let path = folder.join("file");
    let mut noise = blake3::Hasher::new().update(b"seed").finalize_xof();
    let mut bytes = vec![0; 3 << 20];
    noise.fill(&mut bytes);
    std::fs::write(&path, &bytes).unwrap();
    let mut by_bytes = OnDisk::default();
    by_bytes.add_files(&RealFs, std::slice::from_ref(&path), SMALL, NonZeroUsize::MIN);
    let mut parts: Vec<(u64, Part)> =
        by_bytes.places.iter().map(|(id, place)| (place.offset, Part { id: *id, len: place.len })).collect();
    parts.sort_by_key(|(offset, _)| *offset);
    let mut recipe = RecipeBuilder::default();
    let mut id = |leaf: &[u8]| Ok::<_, RecipeError>(Digest::of(leaf));
    for (_, part) in parts {
        recipe.push(part, &mut id).unwrap();
    }
    let content = Content { digest: Digest::of(&bytes), size: bytes.len() as u64 };
    let recipe = Some(recipe.finish(&mut id).unwrap());
    (path, by_bytes, Told { content, recipe })
}

#[test]
fn what_is_told_of_a_file_is_what_its_bytes_say_unless_a_list_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, by_bytes, told) = cut(folder.path());
    assert!(told.recipe.as_ref().is_some_and(|recipe| recipe.depth > 0), "it has lists");
    let mut by_recipe = OnDisk::unchecked();
    assert!(by_recipe.add_told(&path, &told, &|id| by_bytes.leaves.get(id).cloned()));
    let places = |on_disk: &OnDisk| {
        let mut all: Vec<_> =
            on_disk.places.iter().map(|(id, place)| (place.offset, place.len, *id)).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(places(&by_recipe), places(&by_bytes));
    assert_eq!(by_recipe.leaves, by_bytes.leaves);
    let mut empty = OnDisk::unchecked();
    let is_known = |id: &Digest| told.recipe.iter().any(|recipe| recipe.parts[0].id == *id);
    assert!(!empty.add_told(&path, &told, &|id| by_bytes.leaves.get(id).filter(|_| is_known(id)).cloned()));
    assert!(empty.places.is_empty() && empty.leaves.is_empty());
}

#[test]
fn neighbours_are_copied_at_once_and_a_file_that_is_too_short_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, by_bytes, told) = cut(folder.path());
    let mut on_disk = OnDisk::unchecked();
    assert!(on_disk.add_told(&path, &told, &|id| by_bytes.leaves.get(id).cloned()));
    let mut chunks: Vec<Placed> = by_bytes
        .places
        .iter()
        .map(|(id, place)| Placed { part: Part { id: *id, len: place.len }, offset: place.offset })
        .collect();
    chunks.sort_by_key(|placed| placed.offset);
    assert!(on_disk.is_mostly(&chunks, &path));
    assert!(by_bytes.run(&chunks).is_none(), "each is compared with its name there");
    let run = on_disk.run(&chunks[3..40]).unwrap();
    assert_eq!(run.count, 37);
    let bytes = std::fs::read(&path).unwrap();
    let (from, mut written) = (usize::try_from(chunks[3].offset).unwrap(), Vec::new());
    on_disk.copy(&RealFs, &run, 77, &mut written).unwrap().unwrap();
    assert_eq!(written, bytes[from..from + usize::try_from(run.len).unwrap()]);
    let broken: Vec<Placed> = [&chunks[3..5], &chunks[9..12]].concat();
    assert_eq!(on_disk.run(&broken).unwrap().count, 2);
    std::fs::write(&path, &bytes[..from + 10]).unwrap();
    assert!(on_disk.copy(&RealFs, &run, 0, &mut Vec::new()).unwrap().is_err());
}
