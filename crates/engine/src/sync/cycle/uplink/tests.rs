use super::*;

#[test]
fn packs_are_what_the_line_carries_in_five_seconds_within_bounds() {
    let second = Duration::from_secs(1);
    let after = |bytes: u64, seconds: u32| {
        let uplink = Uplink::default();
        uplink.begins(second);
        uplink.ended(second * (1 + seconds), bytes, true);
        uplink.pack_target() as u64
    };
    assert_eq!(Uplink::default().pack_target() as u64, FIRST);
    assert_eq!(after(512 << 10, 16), 160 << 10);
    assert_eq!(after(512 << 10, 1000), SMALLEST);
    assert_eq!(after(64 << 20, 1), PACK_TARGET as u64);
    assert_eq!(after(64 << 20, 0), PACK_TARGET as u64, "a clock that stands still");
    assert_eq!(after(1000, 1), FIRST, "a small pack says nothing of the line");
}

#[test]
fn packs_under_way_at_once_share_the_line_and_a_loss_halves_them() {
    let (uplink, second) = (Uplink::default(), Duration::from_secs(1));
    (0..3).for_each(|_| uplink.begins(Duration::ZERO));
    (0..3).for_each(|_| uplink.ended(second * 48, 512 << 10, true));
    assert!((100 << 10..=200 << 10).contains(&uplink.pack_target()), "{}", uplink.pack_target());
    let before = uplink.pack_target();
    uplink.begins(second * 49);
    uplink.ended(second * 60, 160 << 10, false);
    assert!(uplink.pack_target() <= (before / 2).max(64 << 10));
}
