//! A commit: what is read is written again and says the same, or is refused. Its bytes may be
//! others, for JSON has more than one form.

#![no_main]

use cogzy_engine::log::Prepared;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok((_, read)) = Prepared::from_bytes(data.to_vec()) {
        let mut commit = read.clone();
        let written = Prepared::new(&mut commit);
        if commit.format == read.format {
            let (key, again) = Prepared::from_bytes(written.unwrap().bytes.to_vec()).unwrap();
            assert!(again == read, "{key:?}: {again:?}");
        }
    }
});
