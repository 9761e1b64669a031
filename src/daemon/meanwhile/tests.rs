use super::*;
use crate::control::board::tests::board;
use cogzy_engine::clock::SystemClock;

#[tokio::test(start_paused = true)]
async fn a_save_beside_a_cycle_that_gets_no_answer_does_not_look_synced() {
    let clock = Arc::new(SystemClock::new());
    let (board, meter) = board(State::InSync, clock.clone());
    let (send, mut hints) = mpsc::channel(HINTS);
    let mut sleep = Sleep::new(clock.now_ms(), clock.monotonic());
    let mut meanwhile = Meanwhile { board: board.clone(), clock, renew: || {}, heard: Vec::new() };
    let mut pass = async |seconds| {
        let time = Duration::from_secs(seconds);
        let watched = tokio::time::timeout(time, meanwhile.watch(&mut hints, &mut sleep));
        watched.await.unwrap_err();
    };
    pass(3).await;
    assert_eq!(board.read().state, State::InSync);
    send.try_send(WatchEvent::Touched(None)).unwrap();
    pass(3).await;
    assert_eq!(board.read().state, State::Syncing);
    meter.note_silence(true);
    pass(3).await;
    assert_eq!(board.read().state, State::Offline);
    meter.note_silence(false);
    pass(3).await;
    assert_eq!(board.read().state, State::Syncing);
    assert_eq!(meanwhile.heard.len(), 1);
}
