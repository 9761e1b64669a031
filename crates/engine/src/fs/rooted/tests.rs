use std::fs as disk;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::fs::Linked;

/// A vault with a file in a folder, and a folder outside with a file of the same name, to which
/// `vault/link` leads.
struct World {
    dir: tempfile::TempDir,
    fs: RootedFs,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["vault/real", "vault/sync", "outside/deep"] {
            disk::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for file in ["vault/real/x", "outside/x", "outside/deep/x", "vault/y"] {
            disk::write(dir.path().join(file), file).unwrap();
        }
        symlink("../outside", dir.path().join("vault/link")).unwrap();
        let fs = RootedFs::open(dir.path().join("vault"), dir.path().join("vault/sync"));
        Self { dir, fs }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        disk::read_to_string(self.at(name)).ok()
    }
}

/// True if a call was refused because of a link.
fn is_linked<T>(result: io::Result<T>) -> bool {
    result.err().is_some_and(|error| Linked::is(&error) && error.kind() == ErrorKind::NotADirectory)
}

#[test]
fn no_call_goes_through_a_link() {
    let world = World::new();
    let (fs, at) = (&world.fs, |name: &str| world.at(&format!("vault/{name}")));
    let (through, real) = (at("link/x"), at("real/x"));
    assert!(is_linked(fs.lstat(&through)));
    assert!(is_linked(fs.lstat(&at("link/none"))), "what is behind a link is not absent");
    assert!(is_linked(fs.lstat_each(&at("link"), &[OsStr::new("x")])));
    assert!(is_linked(fs.read_dir(&at("link"))));
    assert!(is_linked(fs.read_dir(&at("link/deep"))));
    assert!(is_linked(fs.open(&through)));
    assert!(is_linked(fs.open_file(&through)));
    assert!(is_linked(fs.open_lock(&at("link/lock"))));
    assert!(is_linked(fs.create(&at("link/new"))));
    assert!(is_linked(fs.create_dir_all(&at("link"))));
    assert!(is_linked(fs.create_dir_all(&at("link/new/folder"))));
    assert!(is_linked(fs.rename(&real, &through)) && is_linked(fs.rename(&through, &real)));
    assert!(
        is_linked(fs.rename_new(&real, &at("link/new"))) && is_linked(fs.rename_new(&through, &at("new")))
    );
    assert!(is_linked(fs.exchange(&real, &through)) && is_linked(fs.exchange(&through, &real)));
    assert!(is_linked(fs.hard_link(&real, &at("link/new"))) && is_linked(fs.hard_link(&through, &at("new"))));
    assert!(is_linked(fs.remove_file(&through)));
    assert!(is_linked(fs.remove_dir(&at("link/deep"))));
    assert!(is_linked(fs.sync_dir(&at("link"))));
    assert!(is_linked(fs.free_space(&at("link"))));
    for (name, holds) in [("outside/x", "outside/x"), ("vault/real/x", "vault/real/x")] {
        assert_eq!(world.text(name).as_deref(), Some(holds));
    }
    assert_eq!(disk::read_dir(world.at("outside")).unwrap().count(), 2);
    // The link itself can be looked at like any other name.
    assert_eq!(fs.lstat(&at("link")).unwrap().kind, FileKind::Symlink);
    fs.rename(&at("link"), &at("real/link")).unwrap();
    fs.remove_file(&at("real/link")).unwrap();
}

#[test]
fn below_the_root_it_answers_as_the_system_does() {
    let world = World::new();
    let (fs, at) = (&world.fs, |name: &str| world.at(&format!("vault/{name}")));
    let kind = |error: io::Error| error.kind();
    assert_eq!(fs.lstat(&at("real/x")).unwrap(), RealFs.lstat(&at("real/x")).unwrap());
    for name in ["none", "none/x", "y/x", "y/x/z"] {
        assert_eq!(fs.lstat(&at(name)).map_err(kind), Err(ErrorKind::NotFound), "{name}");
        assert_eq!(fs.open(&at(name)).map(drop).map_err(kind), Err(ErrorKind::NotFound), "{name}");
    }
    let each = fs.lstat_each(&at("real"), &[OsStr::new("x"), OsStr::new("none")]).unwrap();
    assert_eq!(each[0].as_ref().unwrap(), &fs.lstat(&at("real/x")).unwrap());
    assert_eq!(each[1].as_ref().map_err(io::Error::kind), Err(ErrorKind::NotFound));
    let mut names = fs.read_dir(&at("")).unwrap();
    names.sort_by(|(a, _), (b, _)| a.cmp(b));
    let names: Vec<_> = names.iter().map(|(name, kind)| (name.to_str().unwrap(), *kind)).collect();
    let (folder, link) = (FileKind::Folder, FileKind::Symlink);
    assert_eq!(names, [("link", link), ("real", folder), ("sync", folder), ("y", FileKind::File)]);
    fs.create_dir_all(&at("real/a/b")).unwrap();
    fs.create_dir_all(&at("real/a/b")).unwrap();
    assert_eq!(fs.create_dir_all(&at("y/a")).map_err(kind), Err(ErrorKind::NotADirectory));
    let mut file = fs.create(&at("real/a/new")).unwrap();
    file.write_all(b"new").unwrap();
    file.finish(0o640, Some(1_000)).unwrap();
    assert_eq!(fs.create(&at("real/a/new")).map(drop).map_err(kind), Err(ErrorKind::AlreadyExists));
    fs.exchange(&at("real/a/new"), &at("real/x")).unwrap();
    assert_eq!(world.text("vault/real/x").as_deref(), Some("new"));
    fs.rename_new(&at("real/x"), &at("x")).unwrap();
    fs.hard_link(&at("x"), &at("real/second")).unwrap();
    fs.rename(&at("x"), &at("y")).unwrap();
    assert_eq!(world.text("vault/y").as_deref(), Some("new"));
    fs.remove_file(&at("real/a/new")).unwrap();
    fs.remove_dir(&at("real/a/b")).unwrap();
    assert_eq!(fs.remove_dir(&at("real")).map_err(kind), Err(ErrorKind::DirectoryNotEmpty));
    fs.sync_dir(&at("real")).unwrap();
    fs.sync_dir(&at("")).unwrap();
    assert!(fs.free_space(&at("")).unwrap() > 0);
    let outside = world.at("outside/x");
    assert_eq!(fs.lstat(&outside).unwrap(), RealFs.lstat(&outside).unwrap());
    fs.create_dir_all(&world.at("elsewhere/a")).unwrap();
    assert_eq!(fs.lstat(&at("../outside/x")).map_err(kind), Err(ErrorKind::InvalidInput));
}

#[test]
fn what_is_ours_is_made_for_its_owner_only() {
    let world = World::new();
    let mode = |name: &str| disk::metadata(world.at(name)).unwrap().permissions().mode() & 0o777;
    world.fs.create_dir_all(&world.at("vault/sync/staging/1")).unwrap();
    world.fs.create_dir_all(&world.at("vault/traces/2026")).unwrap();
    assert_eq!([mode("vault/sync/staging"), mode("vault/sync/staging/1")], [0o700; 2]);
    assert_eq!(mode("vault/traces/2026") & 0o700, 0o700);
    drop(world.fs.open_lock(&world.at("vault/sync/lock")).unwrap());
    assert_eq!(mode("vault/sync/lock"), 0o600);
}

#[test]
fn a_root_that_is_moved_stays_the_one_that_was_opened() {
    let world = World::new();
    let root = world.at("vault");
    assert_eq!(world.fs.lstat(&root).unwrap().kind, FileKind::Folder);
    disk::rename(&root, world.at("moved")).unwrap();
    let missing = world.fs.lstat(&root).map_err(|error| error.kind());
    assert_eq!(missing, Err(ErrorKind::NotFound), "a missing root is said to be missing");
    disk::create_dir_all(root.join("real")).unwrap();
    disk::write(root.join("real/x"), "of a copy").unwrap();
    assert!(Replaced::is(&world.fs.lstat(&root).unwrap_err()));
    // Meanwhile reads and writes go to the folder that was opened.
    let mut file = world.fs.create(&root.join("real/late")).unwrap();
    file.write_all(b"late").unwrap();
    assert!(world.text("moved/real/late").is_some() && world.text("vault/real/late").is_none());
    let mut text = String::new();
    world.fs.open(&root.join("real/x")).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "vault/real/x");
    // The first folder comes back.
    disk::rename(&root, world.at("copy")).unwrap();
    disk::rename(world.at("moved"), &root).unwrap();
    assert!(world.fs.lstat(&root).is_ok());
}

#[test]
fn a_root_that_is_missing_is_not_made_and_has_nothing_in_it() {
    let world = World::new();
    let root = world.at("none");
    let fs = RootedFs::open(&root, root.join("sync"));
    let absent = Err(ErrorKind::NotFound);
    for made in [fs.create_dir_all(&root), fs.create_dir_all(&root.join("sync/incoming"))] {
        assert_eq!(made.map_err(|error| error.kind()), absent);
    }
    assert_eq!(fs.lstat(&root.join("x")).map(drop).map_err(|error| error.kind()), absent);
    assert!(!root.exists());
    disk::write(&root, "a file").unwrap();
    let fs = RootedFs::open(&root, root.join("sync"));
    assert_eq!(fs.lstat(&root).unwrap().kind, FileKind::File);
}

#[test]
fn a_root_that_was_let_go_is_opened_for_each_call_and_only_if_it_is_the_same() {
    let world = World::new();
    let (fs, root) = (&world.fs, world.at("vault"));
    fs.let_go();
    assert!(fs.lstat(&root.join("real/x")).is_ok() && fs.lstat(&root).is_ok());
    disk::rename(&root, world.at("moved")).unwrap();
    let missing = |result: io::Result<()>| result.map_err(|error| error.kind()) == Err(ErrorKind::NotFound);
    assert!(missing(fs.lstat(&root.join("real/x")).map(drop)) && missing(fs.hold()));
    disk::create_dir_all(root.join("real")).unwrap();
    disk::write(root.join("real/x"), "of another").unwrap();
    assert!(Replaced::is(&fs.lstat(&root.join("real/x")).unwrap_err()));
    assert!(Replaced::is(&fs.create(&root.join("real/new")).map(drop).unwrap_err()));
    assert!(Replaced::is(&fs.hold().unwrap_err()));
    disk::remove_dir_all(&root).unwrap();
    disk::rename(world.at("moved"), &root).unwrap();
    fs.hold().unwrap();
    disk::rename(&root, world.at("moved")).unwrap();
    assert!(fs.lstat(&root.join("real/x")).is_ok(), "it is held again");
}

#[test]
fn what_was_open_to_others_is_closed_to_them() {
    let world = World::new();
    let at = |name: &str| world.at(&format!("vault/{name}"));
    let mode = |name: &str| disk::metadata(at(name)).unwrap().permissions().mode() & 0o777;
    for (name, before, after) in [("sync", 0o755, 0o700), ("real/x", 0o664, 0o600), ("y", 0o400, 0o400)] {
        disk::set_permissions(at(name), disk::Permissions::from_mode(before)).unwrap();
        world.fs.close_to_others(&at(name)).unwrap();
        assert_eq!(mode(name), after, "{name}");
    }
    world.fs.close_to_others(&at("none")).unwrap();
    disk::set_permissions(world.at("outside"), disk::Permissions::from_mode(0o755)).unwrap();
    world.fs.close_to_others(&at("link")).unwrap();
    assert_eq!(disk::metadata(world.at("outside")).unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn a_file_may_be_placed_where_another_file_must_first_become_a_folder_but_never_behind_a_link() {
    let world = World::new();
    let may = |name: &str| world.fs.may_place(&world.at(&format!("vault/{name}")));
    for name in ["new", "none/a/x", "y/x", "y/a/x", "real/x", "real/x/a"] {
        may(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(is_linked(may("link/x")) && is_linked(may("link/none/x")));
}
