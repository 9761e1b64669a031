use proptest::prelude::*;

use super::*;

#[test]
fn each_unit_has_its_size() {
    let span = |text: &str| text.parse::<Span>().unwrap().0;
    assert_eq!(span("500ms"), Duration::from_millis(500));
    assert_eq!(span("2s"), Duration::from_secs(2));
    assert_eq!(span("5m"), Duration::from_secs(300));
    assert_eq!(span("1h"), Duration::from_secs(3600));
    assert_eq!(span("7d"), Duration::from_secs(7 * 24 * 3600));
    let size = |text: &str| text.parse::<Size>().unwrap().0;
    assert_eq!((size("0"), size("7"), size("2KiB"), size("16MiB")), (0, 7, 2048, 16 << 20));
}

#[test]
fn texts_without_a_unit_or_out_of_range_are_refused() {
    for bad in ["", "2", "s", "-2s", "2 s", "2S", "1.5h", "2weeks", "99999999999999999d"] {
        assert!(bad.parse::<Span>().is_err(), "{bad:?} was taken");
    }
    for bad in ["", "B", "1k", "1MB", "1 MiB", "-1", "99999999999TiB"] {
        assert!(bad.parse::<Size>().is_err(), "{bad:?} was taken");
    }
}

proptest! {
    #[test]
    fn a_printed_span_reads_as_the_same(millis in 0_u64..=1 << 50) {
        let span = Span(Duration::from_millis(millis));
        prop_assert_eq!(span.to_string().parse(), Ok(span));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,12}|[0-9]{1,22}(ms|s|m|h|d|KiB|é)") {
        let _ = (text.parse::<Span>(), text.parse::<Size>());
    }
}
