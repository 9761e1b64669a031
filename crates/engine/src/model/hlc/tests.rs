use super::*;

#[test]
fn ids_grow_whatever_the_clock_does() {
    let device = DeviceId::from_bytes([7; 8]);
    let mut last = None;
    for now in [100, 100, 90, 5, 101, 101, 3] {
        let next = Hlc::next(last, now, device);
        assert!(last.is_none_or(|last| last < next), "{next} does not follow {last:?}");
        last = Some(next);
    }
}

#[test]
fn ids_round_trip_as_text_in_one_spelling() {
    let hlc = Hlc { wall_ms: 12, logical: 3, device: DeviceId::from_bytes([1; 8]) };
    assert_eq!(hlc.to_string().parse(), Ok(hlc));
    for bad in ["", "1.2", "01.3.0101010101010101", "1.2.3", "1.2.0101010101010101.4"] {
        assert!(bad.parse::<Hlc>().is_err(), "{bad:?} was accepted");
    }
}
