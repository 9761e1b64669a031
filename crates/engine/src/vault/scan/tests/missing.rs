//! Files that a scan did not find, looked at once more.

use super::*;
use crate::fs::RootedFs;
use crate::vault::apply::tests::disk::{Disk, MAC};

impl Vault {
    fn rooted(&self) -> RootedFs {
        RootedFs::open(self.dir.path(), self.layout().sync())
    }

    fn missing(&self, fs: &dyn Fs, paths: &[&str]) -> Vec<Problem> {
        look_again(fs, &self.layout(), &Names::default(), paths.iter().map(|text| path(text)))
    }
}

#[test]
fn what_stands_there_is_not_gone_and_a_folder_or_nothing_is() {
    let vault = Vault::new();
    vault.put("notes/saved", "came while the scan looked elsewhere");
    vault.put("notes/folder/new", "a folder took the file's place");
    vault.put("file", "a file took the folder's place");
    std::os::unix::fs::symlink("/", vault.dir.path().join("notes/link")).unwrap();
    cogzy_testkit::make_pipe(&vault.dir.path().join("pipe"));
    let paths =
        ["gone/a", "gone/b/c", "file/x", "notes/a", "notes/folder", "notes/link", "notes/saved", "pipe"];
    let expected = [
        problem("notes/link", ProblemKind::Symlink),
        problem("notes/saved", ProblemKind::Busy),
        problem("pipe", ProblemKind::Special),
    ];
    assert_eq!(vault.missing(&vault.rooted(), &paths), expected);
}

#[test]
fn a_link_in_the_place_of_a_folder_hides_all_below_it() {
    let vault = Vault::new();
    vault.put("big/deep/a", "x");
    std::os::unix::fs::symlink("big", vault.dir.path().join("traces")).unwrap();
    let paths = ["traces/a", "traces/deep/a", "traces/deep/b"];
    assert_eq!(vault.missing(&vault.rooted(), &paths), [problem("traces", ProblemKind::Symlink)]);
}

#[test]
fn a_file_that_a_disk_finds_under_its_old_name_is_gone() {
    let vault = Vault::new();
    vault.put("notes.md", "was Notes.md");
    vault.put("dir/a", "was Dir/a");
    vault.put("Same.md", "x");
    let disk = Disk::sound(MAC, vault.dir.path());
    let paths = ["Dir/a", "Notes.md", "Same.md"];
    assert_eq!(vault.missing(&disk, &paths), [problem("Same.md", ProblemKind::Busy)]);
}

#[test]
fn a_file_in_another_unicode_form_is_not_gone() {
    let vault = Vault::new();
    vault.put("u\u{308}.json", "x");
    let expected = [problem("ü.json", ProblemKind::Busy)];
    assert_eq!(vault.missing(&vault.rooted(), &["ü.json", "ö.json"]), expected);
}

#[test]
fn where_nobody_can_tell_nothing_is_gone() {
    let vault = Vault::new();
    let trap = Trap { at: vault.dir.path().join("notes"), on_open: &|| {}, list_fails: true };
    let problems = vault.missing(&trap, &["a", "notes/a", "notes/é"]);
    let unreadable = |problem: &Problem| matches!(problem.kind, ProblemKind::Unreadable(_));
    assert!(problems.iter().all(unreadable), "{problems:?}");
    let places: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(places, ["notes/a", "notes/é"]);
}
