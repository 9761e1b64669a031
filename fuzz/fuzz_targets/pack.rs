//! A pack: its table accounts for every byte, and each chunk is what its id says, or it is refused.

#![no_main]

use cogzy_engine::content::{open_chunk, read_table, stored_in};
use cogzy_engine::model::{Digest, PackId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let pack = PackId::from_bytes([7; PackId::LEN]);
    let Ok(table) = read_table(pack, data) else { return };
    for slot in table {
        if let Ok(chunk) = open_chunk(pack, &slot, stored_in(&slot, data)) {
            assert_eq!(Digest::of(&chunk), slot.id);
        }
    }
});
