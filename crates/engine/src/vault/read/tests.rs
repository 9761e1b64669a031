use std::fs;

use super::*;
use crate::fs::{RealFs, RootedFs};

fn stat(path: &Path) -> FileStat {
    RealFs.lstat(path).unwrap()
}

#[test]
fn a_time_in_the_future_does_not_hide_a_change_of_this_moment() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "x").unwrap();
    let (settle, hour) = (Duration::from_secs(2), 3_600_000_000_000);
    let of = |mtime_ns, ctime_ns| FileStat { mtime_ns, ctime_ns, ..stat(&dir.path().join("a")) };
    let now = 100 * hour;
    assert!(quiet(&of(now - hour, now - hour), now, settle));
    assert!(quiet(&of(now + hour, now - hour), now, settle), "a time set to the future proves nothing");
    assert!(!quiet(&of(now + hour, now - 1), now, settle), "its metadata changed just now");
    assert!(!quiet(&of(now - 1, now - hour), now, settle));
}

#[test]
fn a_stable_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for bytes in [vec![], vec![7; 3], vec![9; BUFFER * 2 + 1]] {
        let path = dir.path().join("x");
        fs::write(&path, &bytes).unwrap();
        let content = hash_stable(&RealFs, dir.path(), "x", &stat(&path)).unwrap();
        assert_eq!(content, Some(Content { digest: Digest::of(&bytes), size: bytes.len() as u64 }));
    }
}

#[test]
fn a_file_that_changes_during_the_read_is_refused() {
    type Edit = fn(&Path);
    let edits: [Edit; 5] = [
        |path| fs::write(path, "longer than before").unwrap(),
        |path| fs::write(path, "tiny").unwrap(),
        |path| fs::remove_file(path).unwrap(),
        |path| {
            // The same bytes and times, but another file.
            let copy = path.with_extension("new");
            fs::copy(path, &copy).unwrap();
            fs::rename(copy, path).unwrap();
        },
        |path| {
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("/etc/hostname", path).unwrap();
        },
    ];
    for (case, edit) in edits.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, "before").unwrap();
        let seen = stat(&path);
        let mut reader = open_stable(&RealFs, dir.path(), "x", &seen).unwrap();
        let mut first = [0; 2];
        reader.read_exact(&mut first).unwrap();
        edit(&path);
        let rest = hash(&mut reader, seen.size);
        assert!(rest.is_err() || reader.finish().is_err(), "edit {case} was not noticed while reading");
        let later = hash_stable(&RealFs, dir.path(), "x", &seen);
        assert!(!matches!(later, Ok(Some(_))), "edit {case} was not noticed at the start");
    }
}

/// However much is asked for at once, a file is read as it is, and a small one by few calls.
#[test]
fn files_of_every_length_are_read_whole_by_reads_of_every_length() {
    let dir = tempfile::tempdir().unwrap();
    for size in [0_usize, 1, 99, 100, 101, 255, 5_000] {
        let content: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let path = dir.path().join("x");
        fs::write(&path, &content).unwrap();
        for length in [1, 7, 99, 100, 101, 6_000] {
            let mut reader = open_stable(&RealFs, dir.path(), "x", &stat(&path)).unwrap();
            let (mut found, mut buffer) = (Vec::new(), vec![0; length]);
            loop {
                match reader.read(&mut buffer).unwrap() {
                    0 => break,
                    read => found.extend_from_slice(&buffer[..read]),
                }
            }
            assert_eq!(found, content, "{size} bytes, {length} at once");
            reader.finish().unwrap();
        }
        let hashed = hash_stable(&RealFs, dir.path(), "x", &stat(&path)).unwrap().unwrap();
        assert_eq!((hashed.digest, hashed.size), (Digest::of(&content), size as u64));
    }
}

#[test]
fn a_file_not_read_to_its_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    fs::write(&path, "content").unwrap();
    let reader = open_stable(&RealFs, dir.path(), "x", &stat(&path)).unwrap();
    assert!(FileChanged::is(&reader.finish().unwrap_err()));
}

#[test]
fn folders_that_are_links_are_not_entered() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    fs::write(dir.path().join("real/x"), "content").unwrap();
    std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
    let seen = stat(&dir.path().join("real/x"));
    let fs = RootedFs::open(dir.path(), dir.path().join("sync"));
    assert!(hash_stable(&fs, dir.path(), "real/x", &seen).unwrap().is_some());
    assert_eq!(hash_stable(&fs, dir.path(), "link/x", &seen).unwrap(), None);
    assert_eq!(check_folders(&RealFs, dir.path(), "none/x").unwrap(), Folders::Missing);
    let file = Folders::Blocked("real/x".into(), FileKind::File);
    assert_eq!(check_folders(&RealFs, dir.path(), "real/x/y").unwrap(), file);
}
