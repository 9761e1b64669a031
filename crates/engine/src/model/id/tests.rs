use super::*;

#[test]
fn hex_round_trips_and_other_text_is_refused() {
    let id = DeviceId::from_bytes([0, 1, 0xab, 0xff, 4, 5, 6, 7]);
    assert_eq!(id.to_string(), "0001abff04050607");
    assert_eq!("0001abff04050607".parse(), Ok(id));
    for bad in
        ["", "0001ABFF04050607", "0001abff0405060", "0001abff040506070", "0001abff0405060g", "ééééé001"]
    {
        assert!(bad.parse::<DeviceId>().is_err(), "{bad:?} was accepted");
    }
}
