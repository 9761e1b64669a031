use std::os::unix::fs::MetadataExt;

use super::*;
use crate::fs::RealFs;

#[test]
fn what_is_staged_is_what_was_announced() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let id = ApplyId::new(1, [0; 4]);
    let stage = Stage::create(Arc::new(RealFs), &layout, &id).unwrap();
    let content = |text: &str| Content { digest: Digest::of(text.as_bytes()), size: text.len() as u64 };
    let write = |slot, text: &str, expected| {
        let mut writer = stage.writer(slot).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        writer.finish(expected, 0o104_044, -1_500)
    };
    write(0, "new", content("new")).unwrap();
    let meta = std::fs::metadata(layout.staging_of(&id).join("0")).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec()), (0o644, -2, 500_000_000));
    for (slot, text) in [(1, "nee"), (2, "ne"), (3, "newer"), (4, "")] {
        let error = write(slot, text, content("new")).unwrap_err();
        assert!(matches!(error, StageError::Mismatch { .. }), "{text:?} was taken");
    }
    assert!(stage.writer(0).is_err(), "a slot was written twice");
    stage.discard().unwrap();
    assert!(!layout.staging_of(&id).exists());
}
