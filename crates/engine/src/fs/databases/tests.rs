use super::*;

#[test]
fn a_library_waits_for_readers_and_readers_wait_for_it() {
    let id = (u64::MAX, 1);
    let reading = [Turn::to_read(id), Turn::to_read(id)];
    assert!(Turn::alone(id, Duration::from_millis(1)).is_none(), "it is open");
    drop(reading);
    let alone = Turn::alone(id, Duration::ZERO).unwrap();
    assert!(Turn::alone(id, Duration::from_millis(1)).is_none(), "it has one user");
    let (read, when) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let turn = Turn::to_read(id);
            read.send(()).unwrap();
            drop(turn);
        });
        assert!(when.recv_timeout(Duration::from_millis(20)).is_err(), "it was read meanwhile");
        drop(alone);
        when.recv().unwrap();
    });
    assert!(Turn::alone(id, Duration::from_secs(5)).is_some());
}
