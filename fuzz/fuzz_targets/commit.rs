//! A commit: what is read is written again and says the same, or is refused. Its bytes may be
//! others, for JSON has more than one form; and whoever writes says what it reads itself.

#![no_main]

use cogzy_engine::log::Prepared;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = Prepared::from_bytes(data.to_vec()) else { return };
    let read = read.commit.as_ref().clone();
    let mut settled = read.clone();
    settled.settle_format();
    if settled.format == read.format {
        let written = Prepared::new(read.clone()).unwrap();
        assert!(*written.commit == settled, "{written:?}");
        settled.device.clone_from(&read.device);
        assert!(settled == read, "{settled:?}");
    }
});
