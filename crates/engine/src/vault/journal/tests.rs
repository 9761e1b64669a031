use super::*;
use crate::fs::RealFs;
use crate::model::Digest;

fn journal(path: &str, on_disk: Option<&str>) -> Journal {
    let path = VaultPath::new(path).unwrap();
    let content = Content { digest: Digest::of(b"x"), size: 1 };
    let keep = Keeping { id: ConflictId::from_bytes([3; 32]), record: "{}".into() };
    let step = Step {
        path: path.clone(),
        on_disk: on_disk.map(str::to_owned),
        home: None,
        old: Some(content),
        new: Some(Staged { slot: 7, content }),
    };
    let entry = Entry { item: Item::File(path), keep: Some(keep), steps: vec![step] };
    Journal::new(ApplyId::new(1, [0; 4]), Purpose::Repair, true, vec![entry])
}

#[test]
fn what_was_written_is_read_and_anything_else_refused() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    std::fs::create_dir(layout.sync()).unwrap();
    let read = || Journal::read(&RealFs, &layout.applying());
    // The end of an apply refuses the same.
    let outline = || Outline::read(&RealFs, &layout.applying());
    assert!(read().unwrap().is_none() && outline().unwrap().is_none());
    let mut good = journal("é/x", Some("e\u{301}/x"));
    for (home, old) in [(None, true), (Some("e\u{301}/.cogzy-vault"), false)] {
        let step = &mut good.items[0].steps[0];
        step.home = home.map(|home| home.replace(".cogzy-vault", &format!("{MOUNT_FOLDER}/1")));
        step.old = step.old.filter(|_| old);
        good.write(&RealFs, &layout).unwrap();
        assert_eq!(read().unwrap().as_ref(), Some(&good));
        let outlined = outline().unwrap().unwrap();
        assert_eq!((&outlined.id, &outlined.purpose), (&good.id, &good.purpose));
        assert_eq!(outlined.displaces(), old);
        assert_eq!(outlined.stages(&layout), good.stages(&layout));
    }

    for climbing in ["../x", "/etc/passwd", "é/y", ""] {
        journal("é/x", Some(climbing)).write(&RealFs, &layout).unwrap();
        assert!(matches!(read(), Err(JournalError::Damaged { .. })), "{climbing:?} was taken");
        assert!(matches!(outline(), Err(JournalError::Damaged { .. })), "{climbing:?} was taken");
    }
    std::fs::write(layout.applying(), r#"{"format":2}"#).unwrap();
    assert!(matches!(read(), Err(JournalError::OtherFormat { format: 2, .. })));
    assert!(matches!(outline(), Err(JournalError::OtherFormat { format: 2, .. })));
    for damaged in ["", "{}", r#"{"format":1}"#] {
        std::fs::write(layout.applying(), damaged).unwrap();
        assert!(matches!(read(), Err(JournalError::Damaged { .. })), "{damaged:?} was taken");
        assert!(matches!(outline(), Err(JournalError::Damaged { .. })), "{damaged:?} was taken");
    }
}
