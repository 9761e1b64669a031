use super::*;

#[tokio::test]
async fn the_socket_is_private_and_nothing_but_a_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cogzy-vault/x.sock");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // The second round finds the socket that the first one left behind.
    for _ in 0..2 {
        drop(bind(&path).unwrap());
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "a file of somebody's").unwrap();
    assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).unwrap(), b"a file of somebody's");
    let theirs = folder.path().join("shared");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::set_permissions(&theirs, Permissions::from_mode(0o755)).unwrap();
    drop(bind(&theirs.join("x.sock")).unwrap());
    assert_eq!(mode(&theirs), 0o755, "a folder that is not ours was closed to others");
}

#[tokio::test]
async fn a_socket_whose_file_is_gone_is_bound_again_and_another_ones_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cogzy-vault/x.sock");
    let listener = bind(&path).unwrap();
    let mut door = Door::at(path.clone());
    assert!(door.anew().is_none(), "it stands there");
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let anew = door.anew().unwrap();
    drop(listener);
    UnixStream::connect(&path).await.unwrap();
    assert!(door.anew().is_none());
    // Of another daemon with the same place: the last one that started has it.
    let other = bind(&path).unwrap();
    assert!(door.anew().is_none());
    door.close();
    assert!(UnixStream::connect(&path).await.is_ok(), "it is not ours to remove");
    drop((anew, other));
    let again = door.clone().anew();
    assert!(again.is_some(), "nobody listens there any more");
    door.close();
    assert!(!path.exists(), "a clone has bound it");
    // The folder of a disk that is away.
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert!(door.anew().is_none() && !folder.path().exists());
}

#[tokio::test]
async fn a_place_that_takes_no_socket_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let [bad, good] = ["file/x.sock", "folder/x.sock"].map(|name| folder.path().join(name));
    std::fs::write(folder.path().join("file"), "no folder").unwrap();
    let (_listener, path) = bind_first(&[bad.clone(), good.clone()]).unwrap();
    assert_eq!(path, good);
    bind_first(&[bad]).unwrap_err();
}
