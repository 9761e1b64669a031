//! Looks at named places, beside scans of all.

use super::*;
use crate::model::{Entry, Tree};
use crate::vault::apply::tests::disk::{Disk, MAC};

fn known(scan: &Scan) -> Tree {
    scan.files.iter().map(|(path, found)| (path.clone(), found.entry)).collect()
}

impl Vault {
    /// Looks at these places, as one who knows the files of `before`.
    fn look(&self, before: &Scan, places: &[&str]) -> Option<Vec<(String, Entry)>> {
        let places = places.iter().map(|place| path(place)).collect();
        let known = known(before);
        let scan = scan_places(&RealFs, &self.layout(), &self.options(), &known, &places).unwrap()?;
        Some(scan.files.into_iter().map(|(path, found)| (path.to_string(), found.entry)).collect())
    }

    fn names(&self, before: &Scan, places: &[&str]) -> Option<Vec<String>> {
        Some(self.look(before, places)?.into_iter().map(|(name, _)| name).collect())
    }
}

fn some(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn what_is_new_and_what_has_changed_is_found_at_its_place_and_nothing_elsewhere() {
    let vault = Vault::new();
    vault.put("traces/a", "1");
    vault.put("traces/b", "1");
    let before = vault.scan();
    vault.put("traces/a", "2");
    vault.put("traces/b", "2");
    vault.put("traces/new", "1");
    vault.put("deep/er/new", "1");
    vault.put("cache/new", "1");
    assert_eq!(vault.names(&before, &["traces/a", "traces/new"]), some(&["traces/a", "traces/new"]));
    assert_eq!(vault.names(&before, &["traces/a", "nothing", "cache/new"]), some(&["traces/a"]));
    let all = ["deep/er/new", "traces/a", "traces/b", "traces/new"];
    assert_eq!(vault.names(&before, &["deep", "traces", "traces/b"]), some(&all));
    let found = vault.look(&before, &["deep", "traces"]).unwrap();
    let after = known(&vault.scan());
    assert!(found.iter().all(|(name, entry)| after[&path(name)] == *entry));
}

/// A disk that ignores letter case has a file under its old name, too.
#[test]
fn a_name_that_is_spelled_in_another_way_by_now_is_found_by_a_scan_of_all() {
    let vault = Vault::new();
    vault.put("traces/a", "1");
    vault.put("traces/b", "1");
    let before = vault.scan();
    let root = vault.dir.path();
    let look = |name: &str| {
        let disk = Disk::sound(MAC, root);
        let places = [path(name)].into();
        scan_places(&disk, &vault.layout(), &vault.options(), &known(&before), &places).unwrap()
    };
    disk::rename(root.join("traces/a"), root.join("traces/A")).unwrap();
    assert!(look("traces/a").is_none());
    assert!(look("traces/b").is_some());
    disk::rename(root.join("traces"), root.join("Traces")).unwrap();
    assert!(look("traces/b").is_none());
}

#[test]
fn nothing_counts_as_gone_and_nothing_odd_is_judged() {
    let vault = Vault::new();
    for file in ["traces/a", "traces/b", "folder/in/side", "Notes/x", "file"] {
        vault.put(file, "1");
    }
    let before = vault.scan();
    let root = vault.dir.path();
    let only_by_a_scan_of_all =
        |places: &[&str]| assert_eq!(vault.names(&before, places), None, "{places:?}");
    disk::remove_file(root.join("traces/a")).unwrap();
    only_by_a_scan_of_all(&["traces/a"]);
    only_by_a_scan_of_all(&["traces"]);
    disk::remove_dir_all(root.join("folder")).unwrap();
    only_by_a_scan_of_all(&["folder"]);
    vault.put("folder", "a file now");
    only_by_a_scan_of_all(&["folder"]);
    disk::remove_file(root.join("file")).unwrap();
    vault.put("file/inside", "1");
    only_by_a_scan_of_all(&["file"]);
    only_by_a_scan_of_all(&["file/inside"]);
    std::os::unix::fs::symlink("/", root.join("link")).unwrap();
    only_by_a_scan_of_all(&["link"]);
    for clash in ["TRACES/B", "notes", "Notes/X", "Traces/b/c", "notes/x/y"] {
        let new = root.join(clash);
        disk::create_dir_all(new.parent().unwrap()).unwrap();
        disk::write(&new, "1").unwrap();
        only_by_a_scan_of_all(&[clash]);
        disk::remove_file(&new).unwrap();
        new.ancestors().skip(1).take_while(|folder| disk::remove_dir(folder).is_ok()).for_each(drop);
    }
    for (file, beside) in [("base.db", "base.db-wal"), ("new.db", "new.db-journal")] {
        vault.put(file, "1");
        vault.put(beside, "1");
        only_by_a_scan_of_all(&[file]);
        only_by_a_scan_of_all(&[beside]);
    }
    vault.put("e\u{301}", "in another form");
    only_by_a_scan_of_all(&["é"]);
    assert_eq!(vault.names(&before, &["traces/b"]), some(&["traces/b"]), "what is plain is looked at");
}
