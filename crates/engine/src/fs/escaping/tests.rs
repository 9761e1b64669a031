use std::fs as disk;
use std::io::ErrorKind;

use super::*;
use crate::fs::RealFs;

/// A vault on a disk whose names are written so, with another disk mounted at `plain`.
fn vault(how: Spelling) -> (tempfile::TempDir, Escaping<RealFs>) {
    let dir = tempfile::tempdir().unwrap();
    let fs = Escaping::new(Arc::new(RealFs), dir.path());
    fs.spell("", how);
    fs.spell("plain", Spelling::Plain);
    (dir, fs)
}

fn put(fs: &dyn Fs, path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| fs.create_dir_all(folder))?;
    fs.create(path)?.finish(0o600, None)
}

/// Names in a folder, sorted.
fn listed(fs: &dyn Fs, folder: &Path) -> Vec<String> {
    let names = fs.read_dir(folder).unwrap().into_iter();
    let mut names: Vec<String> = names.map(|(name, _)| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn names_are_written_in_the_escape_and_read_as_they_are_meant() {
    let (dir, fs) = vault(Spelling::Escaped);
    let at = |name: &str| dir.path().join(name);
    for name in ["t: 1/16:51.json", "t: 1/a.", "t: 1/literal：.md", "plain/16：51.json"] {
        put(&fs, &at(name)).unwrap();
    }
    assert_eq!(listed(&RealFs, &at("t： 1")), ["16：51.json", "a．", "literal‛：.md"]);
    assert_eq!(listed(&fs, &at("t: 1")), ["16:51.json", "a.", "literal：.md"]);
    assert_eq!(listed(&fs, &at("plain")), ["16：51.json"], "another disk's names were read as escaped");
    let each = fs.lstat_each(&at("t: 1"), &[OsStr::new("a."), OsStr::new("a")]).unwrap();
    assert!(each[0].is_ok() && each[1].as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound));
    assert_eq!(fs.meant(&at("t： 1/16：51.json")), at("t: 1/16:51.json"));
    assert_eq!(fs.meant(&at("plain/16：51.json")), at("plain/16：51.json"));
    fs.rename_new(&at("t: 1/a."), &at("b?")).unwrap();
    fs.exchange(&at("b?"), &at("t: 1/16:51.json")).unwrap();
    fs.hard_link(&at("b?"), &at("c|")).unwrap();
    fs.remove_file(&at("b?")).unwrap();
    fs.sync_dir(&at("t: 1")).unwrap();
    assert!(disk::metadata(at("c｜")).is_ok() && fs.open(&at("c|")).is_ok());
    assert_eq!(fs.place(Path::new("/elsewhere/a:b")).unwrap(), Path::new("/elsewhere/a:b"));
}

#[test]
fn a_name_that_another_program_gave_a_dot_or_a_space_at_its_end_is_found() {
    let (dir, fs) = vault(Spelling::Escaped);
    let at = |name: &str| dir.path().join(name);
    disk::write(at("theirs "), "").unwrap();
    put(&fs, &at("ours ")).unwrap();
    assert_eq!(listed(&RealFs, dir.path()), ["ours␠", "theirs "]);
    assert_eq!(listed(&fs, dir.path()), ["ours ", "theirs "]);
    assert!(fs.lstat(&at("theirs ")).is_ok() && fs.lstat(&at("ours ")).is_ok());
    assert_eq!(put(&fs, &at("theirs ")).map_err(|error| error.kind()), Err(ErrorKind::AlreadyExists));
    assert!(fs.lstat(&at("none/x ")).is_err_and(|error| error.kind() == ErrorKind::NotFound));
}

#[test]
fn a_name_that_is_too_long_in_the_escape_is_told() {
    let (dir, fs) = vault(Spelling::Escaped);
    fs.may_name(&dir.path().join("16:51.json")).unwrap();
    let error = fs.may_name(&dir.path().join(":".repeat(100))).unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
}

#[test]
fn a_disk_that_holds_every_name_after_all_still_reads_the_escape() {
    let (dir, fs) = vault(Spelling::Mixed);
    let at = |name: &str| dir.path().join(name);
    for name in ["old：.json", "both：", "both:", "it‛：s"] {
        disk::write(at(name), name).unwrap();
    }
    put(&fs, &at("new:.json")).unwrap();
    put(&fs, &at("literal：")).unwrap();
    let text = |name: &str| {
        let mut text = String::new();
        fs.open(&at(name)).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(
        (text("old:.json"), text("both:"), text("it：s")),
        ("old：.json".into(), "both:".into(), "it‛：s".into())
    );
    assert_eq!(listed(&fs, dir.path()), ["both:", "both:", "it：s", "literal：", "new:.json", "old:.json"]);
    assert!(disk::metadata(at("new:.json")).is_ok() && disk::metadata(at("literal‛：")).is_ok());
}

#[test]
fn a_name_that_is_not_held_is_refused_before_the_disk_cuts_it() {
    let (dir, fs) = vault(Spelling::Refused);
    let at = |name: &str| dir.path().join(name);
    for name in ["a:b", "a.", "a "] {
        for error in [put(&fs, &at(name)), fs.may_name(&at(name)), fs.lstat(&at(name)).map(drop)] {
            assert_eq!(error.map_err(|error| error.kind()), Err(ErrorKind::InvalidFilename), "{name}");
        }
    }
    put(&fs, &at("a：b")).unwrap();
    assert_eq!(listed(&fs, dir.path()), ["a：b"]);
}
