use super::*;

fn texts(folder: &Path) -> Vec<(String, String)> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut texts: Vec<_> = names
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    texts.sort();
    texts
}

fn disk(folder: &tempfile::TempDir) -> Arc<RootedFs> {
    Arc::new(RootedFs::open(folder.path(), folder.path().join("sync")))
}

#[test]
fn one_that_was_let_go_still_takes_lines_where_its_vault_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (root, away) = (folder.path().join("vault"), folder.path().join("away"));
    std::fs::create_dir(&root).unwrap();
    let disk = Arc::new(RootedFs::open(&root, root.join("sync")));
    let mut log = Rotated::with_length(Arc::clone(&disk), &root.join("logs/x.log"), 12).unwrap();
    log.write_all(b"one\n").unwrap();
    log.let_go();
    disk.let_go();
    log.write_all(b"two\n").unwrap();
    log.write_all(b"three, and full\n").unwrap();
    std::fs::rename(&root, &away).unwrap();
    std::fs::create_dir_all(root.join("logs")).unwrap();
    assert!(log.write_all(b"lost\n").is_err() && log.hold().is_err());
    assert_eq!(texts(&root.join("logs")), [], "a line went to another folder");
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::rename(&away, &root).unwrap();
    disk.hold().unwrap();
    log.hold().unwrap();
    let written = [("x.log", "three, and full\n"), ("x.log.1", "one\ntwo\n")];
    assert_eq!(texts(&root.join("logs")), written.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn the_newest_lines_are_kept_whole_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/x.log");
    for number in 0..20 {
        // Each round is like a restart.
        let mut log = Rotated::with_length(disk(&folder), &path, 30).unwrap();
        log.write_all(format!("line {number:02}, eleven\n").as_bytes()).unwrap();
    }
    let line = |number: u32| format!("line {number:02}, eleven\n");
    let kept = [("x.log", 19), ("x.log.1", 18), ("x.log.2", 17), ("x.log.3", 16)];
    let kept = kept.map(|(name, number)| (name.to_owned(), line(number)));
    assert_eq!(texts(&folder.path().join("logs")), kept);
}

#[test]
fn a_link_is_not_followed_and_others_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = (folder.path().join("x.log"), folder.path().join("target"));
    std::fs::write(&target, "mine").unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    assert!(Rotated::open(disk(&folder), &path).is_err());
    std::fs::remove_file(&path).unwrap();
    Rotated::open(disk(&folder), &path).unwrap().write_all(b"x\n").unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
}
