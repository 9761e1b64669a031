use super::*;

#[test]
fn a_listing_begins_right_before_a_key() {
    for key in ["packs/ab/abc0", "packs/ab/abca", "k"] {
        assert!(*before(key) < *key, "{key}");
    }
    assert!(*before("packs/ab/abc1") > *"packs/ab/abc0f", "keys of one length are told apart");
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    assert_eq!(common_prefix(&keys(&["u/packs/ab/1", "u/packs/ac/2", "u/packs/aa/3"])), "u/packs/a");
    assert_eq!(common_prefix(&keys(&["u/k"])), "u/k");
}
