use super::*;
use crate::log::tests::MapCache;

#[test]
fn a_claim_is_noted_once_and_only_so_many_are() {
    let cache = MapCache::default();
    note_claim(&cache, "packs/00/one", "first");
    note_claim(&cache, "packs/00/one", "second");
    let bytes = cache.get("claim/packs/00/one").unwrap();
    assert_eq!(serde_json::from_slice::<Claim>(&bytes).unwrap().why, "first");
    (0..MOST + 5).for_each(|number| note_claim(&cache, &format!("commits/{number}"), "x"));
    assert_eq!(cache.keys(CLAIMS).len(), MOST);
}
