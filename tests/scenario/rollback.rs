//! The bucket is rolled back, replaced or emptied, and the vault's folder is gone, too: it is
//! noticed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cogzy_testkit::fresh_folder;

use crate::support::process::Machine;

/// All objects of the bucket.
fn objects(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(folder: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, all);
            } else {
                all.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    let mut all = BTreeMap::new();
    collect(&folder.join("bucket"), &mut all);
    all
}

/// Gives the bucket these objects and no others.
fn roll_back(folder: &Path, to: &BTreeMap<PathBuf, Vec<u8>>) {
    for path in objects(folder).keys().filter(|path| !to.contains_key(*path)) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, bytes) in to {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_bucket_that_went_back_is_noticed_although_the_vaults_folder_is_gone() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    let empty = objects(folder.path());
    machine.write("traces/a.json", "1");
    machine.sync().await;
    let old = objects(folder.path());
    machine.write("traces/a.json", "2");
    machine.sync().await;
    let new = objects(folder.path());
    std::fs::remove_dir_all(&machine.root).unwrap();
    machine.good(&["init"]).await;
    machine.sync().await;
    assert_eq!(
        machine.read("traces/a.json").as_deref(),
        Some(&b"2"[..]),
        "a bucket in order is joined again"
    );

    let emptied =
        BTreeMap::from_iter(empty.into_iter().filter(|(path, _)| !path.to_str().unwrap().contains("vault-")));
    for (state, words) in [(&old, "init --join"), (&emptied, "init --join")] {
        roll_back(folder.path(), state);
        std::fs::remove_dir_all(&machine.root).unwrap();
        let before = objects(folder.path());
        machine.run(&["init"]).await.expect(4, &[words]);
        assert_eq!(objects(folder.path()), before, "nothing is put there unasked");
    }
    roll_back(folder.path(), &old);
    let told = machine.good(&["init", "--join", "--json"]).await.json();
    assert_eq!(told["rolled_back"], true, "{told}");
    machine.sync().await;
    assert_eq!(machine.read("traces/a.json").as_deref(), Some(&b"1"[..]), "somebody wanted it");
    // From now on that is what was seen.
    std::fs::remove_dir_all(&machine.root).unwrap();
    machine.good(&["init"]).await;
    roll_back(folder.path(), &new);
    machine.sync().await;
    assert_eq!(machine.read("traces/a.json").as_deref(), Some(&b"2"[..]));
}
