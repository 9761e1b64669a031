use super::*;

#[test]
fn keys_as_text_sort_in_order_of_rank() {
    let key = |seq, byte| CommitKey { seq, id: CommitId::from_bytes([byte; 32]) };
    let mut keys = [key(10, 1), key(9, 255), key(10, 0), key(100, 3)];
    keys.sort();
    let mut texts = keys.map(|key| key.to_string());
    texts.sort();
    assert_eq!(texts, keys.map(|key| key.to_string()));
    assert_eq!(CommitKey::parse(&texts[0]), Some(keys[0]));
    assert_eq!(CommitKey::parse("9-00"), None);
}
