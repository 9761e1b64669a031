//! A file that claims to be a database: its head becomes that of a settled one, once and for all;
//! and what the library makes of the file is a sound copy or an error.

#![no_main]

use std::io::Write;

use cogzy_engine::fs::{Databases, RootedFs};
use cogzy_engine::model::sqlite::{HEAD, holds_journal, is_companion, is_database, settle_head};
use libfuzzer_sys::fuzz_target;

const MAGIC: &[u8] = b"SQLite format 3\0";

fuzz_target!(|data: &[u8]| {
    let _told = (holds_journal(data), is_companion(data));
    let mut whole = MAGIC.to_vec();
    whole.extend_from_slice(data);
    let size = whole.len() as u64;
    let mut head = whole[..whole.len().min(HEAD)].to_vec();
    settle_head(&mut head, size);
    assert!(is_database(&head));
    let settled = head.clone();
    settle_head(&mut head, size);
    assert_eq!(head, settled);
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    std::fs::File::create(&from).unwrap().write_all(&whole).unwrap();
    std::fs::File::create(&to).unwrap();
    let fs = RootedFs::open(folder.path(), folder.path().to_owned());
    if fs.snapshot(&from, &to).is_ok() {
        let copy = std::fs::read(&to).unwrap();
        assert!(copy.is_empty() || is_database(&copy));
    }
});
