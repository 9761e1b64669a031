//! A recipe and its lists: the chunks that it gives follow each other and make up the content.

#![no_main]

use cogzy_engine::content::{Expansion, Next, check_recipe};
use cogzy_engine::model::{Content, Digest, Part, Recipe};
use libfuzzer_sys::fuzz_target;

/// Bytes of a part in a list.
const ROW: usize = 36;
/// Steps that are tried: a few lists may stand for billions of chunks.
const STEPS: usize = 10_000;

fn part(row: &[u8]) -> Part {
    let (id, len) = row.split_at(32);
    Part { id: Digest::from_bytes(id.try_into().unwrap()), len: u32::from_le_bytes(len.try_into().unwrap()) }
}

fuzz_target!(|data: &[u8]| {
    let Some((head, rest)) = data.split_first_chunk::<10>() else { return };
    let [depth, count, size @ ..] = *head;
    let content = Content { digest: Digest::of(b"content"), size: u64::from_le_bytes(size) };
    let rows = usize::from(count % 8) * ROW;
    let Some((own, lists)) = rest.split_at_checked(rows) else { return };
    let parts = own.chunks_exact(ROW).map(part).collect();
    let recipe = Recipe { depth: depth % 8, parts };
    let _verdict = check_recipe(content.digest, &recipe, Some(content.size));
    let Ok(mut expansion) = Expansion::new(content, Some(&recipe)) else { return };
    let (mut offset, mut ahead) = (0, lists);
    for _ in 0..STEPS {
        match expansion.step() {
            Ok(Next::Chunk(placed)) => {
                assert_eq!(placed.offset, offset);
                offset += u64::from(placed.part.len);
                assert!(placed.part.len > 0 && offset <= content.size);
            }
            Ok(Next::List(list)) => {
                let len = usize::try_from(list.len).unwrap().min(ahead.len());
                let (bytes, after) = ahead.split_at(len);
                // When all is used up, the lists begin again.
                ahead = if after.is_empty() { lists } else { after };
                if expansion.open(&list, bytes).is_err() {
                    return;
                }
                assert!(expansion.level() <= 5);
            }
            Ok(Next::End) => return assert_eq!(offset, content.size),
            Err(_) => return,
        }
    }
});
