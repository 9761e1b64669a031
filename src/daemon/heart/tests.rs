use super::*;

#[derive(Debug, Default)]
struct Hands(Mutex<Duration>);

impl Clock for Hands {
    fn now_ns(&self) -> i64 {
        0
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

#[test]
fn a_loop_that_hangs_and_a_cycle_without_progress_are_noticed() {
    let hands = Arc::new(Hands::default());
    let heart = Heart::new(Notifier::default(), hands.clone());
    let pass = |time: Duration| *hands.0.lock().unwrap() += time;
    let silence = || {
        let silence = heart.pulse().silence();
        (silence.length, silence.is_too_long)
    };
    let second = Duration::from_secs(1);
    pass(WAITING);
    assert_eq!(silence(), (WAITING, false));
    pass(second);
    assert_eq!(silence(), (WAITING + second, true));
    heart.waits();
    assert_eq!(silence(), (Duration::ZERO, false));
    heart.works();
    pass(WORKING);
    assert!(!silence().1, "one slow request is no death");
    heart.beats();
    pass(WORKING);
    assert!(!silence().1, "it came further");
    pass(second);
    assert!(silence().1);
    heart.waits();
    pass(WAITING + second);
    assert!(silence().1, "the patience for a cycle is over with the cycle");
}
