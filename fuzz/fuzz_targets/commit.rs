//! A commit: what is read is written again in the same bytes, or refused.

#![no_main]

use cogzy_engine::log::Prepared;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok((read, mut commit)) = Prepared::from_bytes(data.to_vec()) {
        let format = commit.format;
        let written = Prepared::new(&mut commit);
        assert!(commit.format != format || written.is_ok_and(|written| written.key == read.key));
    }
});
