use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;
use std::time::Duration;

use notify::event::{AccessKind, CreateKind, Flag, ModifyKind, RenameMode};

use super::*;
use crate::fs::RealFs;

fn filter() -> Filter {
    Filter::new(&[], &["cache/**".into(), "logs/**".into()]).unwrap()
}

#[test]
fn only_paths_that_may_be_synced_cause_events() {
    let told = |kind, path: &str| {
        let event = notify::Event::new(kind).add_path(Path::new("/v").join(path));
        meaning(Path::new("/v"), &filter(), Ok(event))
    };
    let create = EventKind::Create(CreateKind::File);
    let touched = |path: &str| vec![WatchEvent::Touched(VaultPath::new(path).ok())];
    assert_eq!(told(create, "corpus/nodes.json"), touched("corpus/nodes.json"));
    assert_eq!(told(create, "new"), touched("new"));
    assert_eq!(told(create, "odd\u{7}"), vec![WatchEvent::Touched(None)]);
    assert_eq!(told(EventKind::Access(AccessKind::Read), "corpus/nodes.json"), vec![]);
    for ignored in ["sync/x", "sync", "cache", "cache/x", "logs/x", "config.json", "corpus/x.tmp"] {
        assert_eq!(told(create, ignored), vec![], "{ignored}");
    }
    let overflow = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
    assert_eq!(meaning(Path::new("/v"), &filter(), Ok(overflow)), vec![WatchEvent::Overflow]);
    let limit = notify::Error::new(ErrorKind::MaxFilesWatch);
    let told = meaning(Path::new("/v"), &filter(), Err(limit));
    let [WatchEvent::Failed(text)] = told.as_slice() else { panic!("{told:?}") };
    let both = notify::Event::new(EventKind::Modify(ModifyKind::Name(RenameMode::Both)));
    let both = both.add_path("/v/old.json".into()).add_path("/v/new.json".into());
    let told = meaning(Path::new("/v"), &filter(), Ok(both));
    assert_eq!(told, [touched("old.json"), touched("new.json")].concat(), "a rename names two");
    assert!(text.contains("fs.inotify.max_user_watches"));
}

#[test]
fn a_folder_that_cannot_be_watched_costs_its_neighbours_nothing() {
    if rustix::process::geteuid().is_root() {
        // Permissions do not bind root: tests/scenario/process_watch.rs does it for another
        // user.
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("vault");
    let secret = root.join("traces/secret");
    std::fs::create_dir_all(&secret).unwrap();
    std::fs::create_dir_all(root.join("traces/open")).unwrap();
    let mode = |mode| std::fs::set_permissions(&secret, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o000);
    let (tell, told) = mpsc::channel();
    let mut watch =
        Watch::start(&RealFs, &Layout::new(&root), &filter(), move |event| tell.send(event).unwrap())
            .unwrap();
    assert_eq!(watch.blind().keys().collect::<Vec<_>>(), [&secret]);
    std::fs::write(root.join("traces/open/a"), "x").unwrap();
    assert!(told.recv_timeout(Duration::from_secs(20)).is_ok(), "its neighbour is not watched");
    mode(0o700);
    assert!(watch.refresh(&RealFs).unwrap(), "it is not tried again");
    assert!(watch.blind().is_empty());
}

#[test]
fn writes_are_noticed_in_old_and_new_folders() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("vault");
    std::fs::create_dir_all(root.join("traces/deep")).unwrap();
    std::fs::create_dir(root.join("sync")).unwrap();
    let (tell, told) = mpsc::channel();
    let layout = Layout::new(&root);
    let mut watch =
        Watch::start(&RealFs, &layout, &filter(), move |event| tell.send(event).unwrap()).unwrap();
    let touched = |path: &str| {
        std::fs::write(root.join(path), "x").unwrap();
        let event = told.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(matches!(event, WatchEvent::Touched(_)), "{path}: {event:?}");
        while told.recv_timeout(Duration::from_millis(50)).is_ok() {}
    };
    touched("traces/deep/a");
    touched("b");
    std::fs::create_dir(root.join("corpus")).unwrap();
    let event = told.recv_timeout(Duration::from_secs(20));
    assert_eq!(event, Ok(WatchEvent::Touched(VaultPath::new("corpus").ok())));
    watch.refresh(&RealFs).unwrap();
    touched("corpus/c");
    // Another folder in the root's place, as a disk that is mounted anew.
    std::fs::rename(&root, dir.path().join("moved")).unwrap();
    std::fs::create_dir_all(root.join("corpus")).unwrap();
    std::fs::create_dir(root.join("sync")).unwrap();
    assert!(watch.refresh(&RealFs).unwrap(), "it was not seen");
    while told.recv_timeout(Duration::from_millis(50)).is_ok() {}
    touched("corpus/d");
    touched("b");
    // Late events of the writes above, and of the last one, are fewer than one per write of
    // ours.
    (0..500).for_each(|n| std::fs::write(root.join(format!("sync/{n}")), "x").unwrap());
    std::fs::write(root.join("b"), "y").unwrap();
    let noise = std::iter::successors(Some(20_000), |_| Some(100))
        .map(Duration::from_millis)
        .map_while(|patience| told.recv_timeout(patience).ok());
    assert!(noise.count() < 500, "our own writes cause events");
}
