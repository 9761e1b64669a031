use super::*;

#[test]
fn each_vault_has_its_own_socket_and_remote() {
    let paths = Paths::in_home(Path::new("/home/me"), Some(Path::new("/run/user/1")));
    let (one, other) = (paths.socket(Path::new("/a")), paths.socket(Path::new("/b")));
    assert_ne!(one, other);
    assert_eq!(one.parent(), Some(Path::new("/run/user/1/cogzy-vault")));
    // The longest path that every platform takes for a socket is 103 bytes.
    assert!(one.as_os_str().len() < 103);
    let cron = Paths::in_home(Path::new("/home/me"), None);
    assert_eq!(cron.socket(Path::new("/a")), Path::new("/a/sync/control/daemon.sock"));
    let deep = Path::new("/a").join("x".repeat(LONGEST_SOCKET));
    assert!(cron.socket(&deep).starts_with("/home/me/.local/state/cogzy-vault"));
    assert!(paths.socket(&deep).starts_with("/run/user/1/cogzy-vault"));
    let all = paths.sockets(Path::new("/a"));
    let last = cron.sockets(&deep);
    assert_eq!(all[..2], [one, "/a/sync/control/daemon.sock".into()]);
    assert!(all[2].starts_with("/home/me/.local/state/cogzy-vault"), "{all:?}");
    assert_eq!(last, [cron.socket(&deep)]);
    assert_eq!(embedded_remote(&paths.vault()), Path::new("/home/me/.local/share/cogzy-remote"));
    assert_eq!(embedded_remote(Path::new("/a/")), Path::new("/a-remote"));
}

#[test]
fn a_folder_for_sockets_that_is_another_users_is_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!is_anothers(folder.path()) && !is_anothers(&folder.path().join("not made yet")));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder.path(), Some(65534), None).unwrap();
        assert!(is_anothers(folder.path()));
    } else {
        assert!(is_anothers(Path::new("/")));
    }
}

#[test]
fn a_machine_is_known_by_its_id_and_else_by_its_name() {
    let id = |files: &[&str], name| machine_id_of(files.iter().map(|&text| text.to_owned()), name);
    let real = "0123456789abcdef0123456789abcdef\n";
    assert_eq!(id(&[real], "a"), id(&["uninitialized\n", real.trim()], "b"));
    assert_ne!(id(&["", "uninitialized"], "a"), id(&[], "b"));
    assert_eq!(id(&[], "a"), id(&[""], "a"));
    assert_eq!(id(&[], "a.local"), id(&[], "a.fritz.box"), "it is in another network");
    assert_eq!(id(&[real], "a").len(), 16);
    assert!(!real.contains(&id(&[real], "a")), "the id must not be found again");
}

#[test]
fn the_program_is_named_by_the_link_that_an_upgrade_renews() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let (cellar, bin) = (root.join("Cellar/cogzy-vault/1.0/bin"), root.join("bin"));
    std::fs::create_dir_all(&cellar).unwrap();
    std::fs::create_dir(&bin).unwrap();
    let own = cellar.join("cogzy-vault");
    std::fs::write(&own, "the program").unwrap();
    std::fs::write(root.join("cogzy-vault"), "another one of the name").unwrap();
    std::os::unix::fs::symlink(&own, bin.join("cogzy-vault")).unwrap();
    let folders = [PathBuf::from("relative"), root.join("none"), root.clone(), bin.clone()];
    assert_eq!(lasting(&own, folders.into_iter()), bin.join("cogzy-vault"));
    assert_eq!(lasting(&own, [root].into_iter()), own);
}

#[test]
fn any_host_name_fits() {
    assert_eq!(fit("lap\u{1b}top\n"), "laptop");
    assert_eq!(fit(" "), "unnamed");
    assert_eq!(fit(&"ä".repeat(100)).chars().count(), 64);
}
