use proptest::prelude::*;

use super::*;

/// Known sums. Another sum would make every checkpoint useless.
#[test]
fn sums_never_change() {
    let mut sum = StateSum::default();
    let mut found = vec![sum.digest().to_string()];
    for line in [r#"{"horizon":7}"#, r#"{"swept":"00000000000000000000000000000001"}"#] {
        sum.add(line.as_bytes());
        found.push(sum.digest().to_string());
    }
    assert_eq!(found, GOLDEN);
}

const GOLDEN: [&str; 3] = [
    "be2a8de3dcf46c94ce85cdc8e07ac308f4d8a95490d956c38d780fd610db0813",
    "457af1c3d9b3de81ae977542534949fbcb0214742e6ea39e114e9160befd7e0a",
    "d8d1bb454eeb0b3b24c83607fecb707d0b3841b099148348f6c6c52177438250",
];

proptest! {
    #[test]
    fn a_sum_depends_on_its_lines_and_not_on_their_order(
        lines in prop::collection::vec("[a-c]{0,3}", 0..12),
        gone in prop::collection::vec("[a-c]{0,3}", 0..5),
    ) {
        let of = |lines: &[String]| {
            let mut sum = StateSum::default();
            lines.iter().for_each(|line| sum.add(line.as_bytes()));
            sum
        };
        let mut sorted = lines.clone();
        sorted.sort();
        let sum = of(&lines);
        prop_assert_eq!(&of(&sorted), &sum);
        let mut more = of(&gone);
        lines.iter().for_each(|line| more.add(line.as_bytes()));
        prop_assert_eq!(more == sum, gone.is_empty());
        gone.iter().for_each(|line| more.take(line.as_bytes()));
        prop_assert_eq!(&more, &sum);
        let bytes: [u8; BYTES] = sum.to_bytes().try_into().unwrap();
        prop_assert_eq!(StateSum::from_bytes(&bytes), sum);
    }
}
