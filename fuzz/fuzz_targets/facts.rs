//! Files of groups: corpora, arrays, FAISS indexes and clusters. They are judged, whatever they
//! hold; of a corpus that is a list, as serde_json does.

#![no_main]

use std::io::Write;
use std::path::Path;

use cogzy_engine::fs::{Fs, RealFs};
use cogzy_engine::model::Facts;
use cogzy_engine::vault::validate::{Kind, Search, examine};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

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
    let facts = facts.ok().flatten().expect("the file has not changed");
    if let Kind::Corpus(_) = kind
        && bytes.trim_ascii_start().first() == Some(&b'[')
    {
        let text = std::str::from_utf8(bytes).ok();
        let parsed = text.and_then(|text| serde_json::from_str::<Vec<IgnoredAny>>(text).ok());
        let parsed = parsed.map(|list| list.len() as u64);
        let counted = if let Facts::Corpus { count } = facts { Some(count) } else { None };
        assert_eq!(counted, parsed);
    }
});
