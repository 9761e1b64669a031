use super::*;

#[test]
fn small_packs_are_many_where_they_cost_more_than_twice_the_requests() {
    let many = |count: usize, size: u64| are_many(std::iter::repeat_n(size, count));
    assert!(!many(FEW, 1000));
    assert!(many(FEW + 1, 1000));
    assert!(!many(100, SMALL), "two of them make one: nothing is won");
    assert!(many(100, SMALL / 2));
    assert!(!many(0, 0));
}
