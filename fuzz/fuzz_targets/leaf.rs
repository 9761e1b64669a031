//! A list of the chunks of a long file.

#![no_main]

use cogzy_engine::content::read_leaf;
use cogzy_engine::model::{Content, Digest, Part};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let content = Content { digest: Digest::of(b"content"), size: 1 << 40 };
    let part = Part { id: Digest::of(data), len: u32::try_from(data.len()).unwrap_or(u32::MAX) };
    if let Ok(parts) = read_leaf(content, &part, data) {
        assert_eq!(parts.len() * 36, data.len());
    }
});
