//! Names, keys and definitions: what is taken is written again as it was taken.

#![no_main]

use cogzy_engine::log::{parse_commit_key, parse_pack_key};
use cogzy_engine::model::{Announcement, Group, Groups, Hlc, VaultPath};
use cogzy_engine::remote::RemoteUrl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(path) = VaultPath::new(text) {
        // In its composed form, which is one path however it is spelled.
        let path = path.as_str();
        assert_eq!(VaultPath::new(path).unwrap().as_str(), path);
        assert!(!path.starts_with('/') && path.split('/').all(|name| !["", ".", ".."].contains(&name)));
    }
    if let Some(key) = parse_commit_key(text) {
        assert_eq!(format!("commits/{key}"), text);
    }
    let _pack = parse_pack_key(text);
    let _url = text.parse::<RemoteUrl>();
    let _time = text.parse::<Hlc>();
    let _said = Announcement::parse(text);
    if let Ok(groups) = serde_json::from_str::<Vec<Group>>(text) {
        let _groups = Groups::new(groups);
    }
});
