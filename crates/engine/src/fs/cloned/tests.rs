use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::fs::{Fs, RealFs};

/// Counts that a file was finished once.
struct Finished<'a>(&'a AtomicUsize);

impl Write for Finished<'_> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for Finished<'_> {
    fn finish(&mut self, _: u32, _: Option<i64>) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Writes `new` over a file that holds `held`, in parts of this length.
fn written(held: &[u8], new: &[u8], part: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new");
    std::fs::write(&path, held).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let finished = AtomicUsize::new(0);
    let whole = Finished(&finished);
    let mut cloned = Cloned { whole, file, held: held.len() as u64, at: 0, buffer: Vec::new() };
    new.chunks(part).for_each(|part| cloned.write_all(part).unwrap());
    cloned.finish(0o600, None).unwrap();
    assert_eq!(finished.into_inner(), 1);
    std::fs::read(path).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stood there, and however it is written: the file holds what was written, and
    /// nothing after it.
    #[test]
    fn the_file_holds_what_was_written(
        held in 0..30_000_usize,
        new in 0..30_000_usize,
        changes in prop::collection::vec((0..30_000_usize, any::<u8>()), 0..5),
        part in 1..20_000_usize,
    ) {
        let byte = |at: usize| u8::try_from(at * 7 % 251).unwrap();
        let held: Vec<u8> = (0..held).map(byte).collect();
        let mut new: Vec<u8> = (0..new).map(byte).collect();
        for (at, value) in changes {
            if let Some(byte) = new.get_mut(at) {
                *byte = value;
            }
        }
        prop_assert!(written(&held, &new, part) == new);
    }
}

/// On a file system that shares blocks, and on one that does not.
#[test]
fn a_file_like_another_one_leaves_that_one_alone_and_is_wholly_new() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&old, &bytes).unwrap();
    let mut changed = bytes.clone();
    changed[200_000] ^= 1;
    changed.truncate(300_000);
    let mut file = RealFs.create_like(&new, &old).unwrap();
    file.write_all(&changed).unwrap();
    file.finish(0o644, Some(1_000)).unwrap();
    assert!(std::fs::read(&new).unwrap() == changed && std::fs::read(&old).unwrap() == bytes);
    assert_eq!(RealFs.lstat(&new).unwrap().mtime_ms(), 1_000);
    assert!(RealFs.create_like(&new, &old).is_err(), "the name is taken");
    // Like one that is not there, or is no file: simply new.
    for (count, like) in ["/nowhere/at/all", "/"].into_iter().enumerate() {
        let name = folder.path().join(format!("{count}"));
        let mut file = RealFs.create_like(&name, Path::new(like)).unwrap();
        file.write_all(b"new").unwrap();
        file.finish(0o644, None).unwrap();
        assert_eq!(std::fs::read(&name).unwrap(), b"new");
    }
}
