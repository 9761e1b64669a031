//! Our own files in a vault: the marker, the records in `sync/`, and the journal, which a recovery
//! follows. Each is read or refused, and nothing is touched outside the vault.

#![no_main]

use std::path::Path;

use cogzy_engine::fs::{Fs, RootedFs, escape, unescape};
use cogzy_engine::model::{DeviceId, VaultId};
use cogzy_engine::state::{LastSync, Marked, Paused, Pending, Reference, Seen};
use cogzy_engine::vault::{Layout, MARKER_FORMAT, Marker, Mounts, Spellings, recover, settle_transaction, together};
use libfuzzer_sys::fuzz_target;

const VAULT: VaultId = VaultId::from_bytes([1; 16]);

/// Reads the file that was put at `path`, and writes what was read again: it reads the same.
fn loads(kind: u8, fs: &dyn Fs, layout: &Layout, path: &Path) {
    match kind {
        0 => drop(LastSync::load(fs, path).map(|record| record.map(|record| record.save(fs, path).unwrap()))),
        1 => drop(Marked::load(fs, path, VAULT).map(|marked| marked.save(fs, path).unwrap())),
        2 => drop(Pending::load(fs, path).map(|pending| pending.map(|pending| pending.save(fs, path).unwrap()))),
        3 => drop(Seen::load(fs, path, "file:///x").map(|seen| seen.map(|seen| seen.save(fs, path).unwrap()))),
        4 => drop(Reference::load(fs, path, VAULT).map(|known| known.map(|known| known.save(fs, path).unwrap()))),
        5 => drop(Paused::load(fs, path).map(|paused| paused.map(|paused| paused.save(fs, path).unwrap()))),
        6 => drop(Marker::read(fs, layout)),
        7 => drop(Mounts::load(fs, layout)),
        8 => drop(Spellings::load(fs, layout)),
        9 => drop(together(fs, layout)),
        _ => {
            if let Ok(Some(recovered)) = recover(fs, layout, None) {
                drop(settle_transaction(fs, layout, &recovered));
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    let kind = kind % 11;
    let folder = tempfile::tempdir().unwrap();
    let around = folder.path();
    std::fs::write(around.join("outside"), "outside").unwrap();
    let layout = Layout::new(around.join("vault"));
    for folder in [layout.root().to_owned(), layout.sync(), layout.root().join("traces"), layout.together()] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(layout.root().join("traces/a.json"), "a").unwrap();
    let fs = RootedFs::open(layout.root(), layout.sync());
    let marker = Marker { format: MARKER_FORMAT, vault: VAULT, device: DeviceId::from_bytes([2; 8]), machine: String::new() };
    marker.write(&fs, &layout).unwrap();
    let path = match kind {
        0 => layout.last_sync(),
        1 => layout.marked(),
        6 => layout.marker(),
        7 => layout.sync().join("mounts.json"),
        8 => layout.sync().join("names.json"),
        9 => layout.together().join("x"),
        10 => layout.applying(),
        _ => layout.sync().join("record.json"),
    };
    std::fs::write(&path, bytes).unwrap();
    loads(kind, &fs, &layout, &path);
    let mut names: Vec<_> = around.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["outside", "vault"]);
    assert_eq!(std::fs::read(around.join("outside")).unwrap(), b"outside");
    if let Ok(name) = std::str::from_utf8(bytes) {
        assert_eq!(unescape(&escape(name)), name);
    }
});
