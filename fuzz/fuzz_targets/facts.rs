//! Files of groups: corpora, arrays, FAISS indexes and clusters. They are judged, whatever they hold.

#![no_main]

use std::io::Write;
use std::path::Path;

use cogzy_engine::fs::{Fs, RealFs};
use cogzy_engine::vault::validate::{Kind, Search, examine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    let kind = match kind % 4 {
        0 => Kind::Corpus("nodes".to_owned()),
        1 => Kind::Matrix,
        2 => Kind::Index,
        _ => Kind::Clusters,
    };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let path: &Path = file.path();
    let seen = RealFs.lstat(path).unwrap();
    let (root, name) = (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap());
    let facts = examine(&RealFs, root, name, &seen, &kind, Search::Full);
    assert!(facts.is_ok_and(|facts| facts.is_some()), "the file has not changed");
});
