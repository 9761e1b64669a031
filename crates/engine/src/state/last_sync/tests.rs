use proptest::prelude::*;

use super::*;
use crate::model::Digest;

fn tree() -> impl Strategy<Value = Tree> {
    let entry = any::<u8>().prop_map(|byte| Entry {
        digest: Digest::of(&[byte % 3]),
        size: 1,
        mtime_ms: 0,
        mode: 0o644,
        rows: None,
    });
    let path = "[a-e]".prop_map(|name| VaultPath::new(&name).unwrap());
    prop::collection::vec((path, entry), 0..5).prop_map(Tree::from_iter)
}

proptest! {
    #[test]
    fn manifest_and_exceptions_give_the_base(manifest in tree(), base in tree()) {
        let mut record = LastSync::new(
            VaultId::from_bytes([1; 16]), "file:///x".into(), FilterRecord::default(), Decisions::default(),
        );
        record.set_base(None, &manifest, &base);
        prop_assert_eq!(record.base(&manifest), base.clone());
        let bytes = serde_json::to_vec(&record).unwrap();
        prop_assert_eq!(parse(Path::new("x"), &bytes).unwrap().base(&manifest), base);
    }
}

#[test]
fn a_damaged_or_newer_record_is_an_error_and_not_a_fresh_start() {
    let path = Path::new("last_sync.json");
    for bad in [b"".as_slice(), b"{}", b"{\"format\":1", b"[]"] {
        assert!(matches!(parse(path, bad), Err(RecordError::Damaged { .. })), "{bad:?}");
    }
    assert!(matches!(parse(path, b"{\"format\":2}"), Err(RecordError::Newer { found: 2, .. })));
}
