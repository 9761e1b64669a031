use super::*;

#[test]
fn a_companion_names_its_database() {
    for (name, main) in [("a/x.db-wal", "a/x.db"), ("x-journal", "x"), ("m.sqlite3-shm", "m.sqlite3")] {
        assert_eq!(main_of(name), Some(main));
    }
    for other in ["x.db", "a/-wal", "-shm", "x-wal/y", "x-walls"] {
        assert_eq!(main_of(other), None, "{other}");
    }
}

#[test]
fn heads_of_one_state_become_the_same_and_stay_so() {
    let mut head = vec![7; HEAD];
    head[..16].copy_from_slice(MAGIC);
    head[16..18].copy_from_slice(&4096_u16.to_be_bytes());
    let mut other = head.clone();
    other[18..20].copy_from_slice(&[2, 2]);
    other[24..28].copy_from_slice(&[9; 4]);
    other[28..32].copy_from_slice(&3_u32.to_be_bytes());
    other[92..96].copy_from_slice(&[9; 4]);
    head[28..32].copy_from_slice(&3_u32.to_be_bytes());
    settle_head(&mut head, 3 * 4096);
    settle_head(&mut other, 3 * 4096);
    assert_eq!(head, other);
    settle_head(&mut other, 3 * 4096);
    assert_eq!(head, other);
    assert_eq!(head[44..92], vec![7; 48], "what a program stores there stays");
}

#[test]
fn pages_are_counted_where_the_head_does_not_tell() {
    let mut head = vec![0; HEAD];
    head[..16].copy_from_slice(MAGIC);
    head[16..18].copy_from_slice(&1_u16.to_be_bytes());
    head[24] = 1;
    settle_head(&mut head, 5 * 65_536);
    assert_eq!(number(&head, 28), 5);
}

#[test]
fn other_bytes_stay_as_they_are() {
    for bytes in [vec![], b"SQLite format 3\0".to_vec(), vec![1; 200]] {
        let mut same = bytes.clone();
        settle_head(&mut same, 200);
        assert_eq!(same, bytes);
    }
}
