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
