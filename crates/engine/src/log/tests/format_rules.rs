//! The rules for commits and headers, each broken alone.

use super::*;
use crate::model::{Conflict, ConflictId, Ext, Item, Keep, Kept, Need, Recipe, RecipeOf, Resolution};

fn ordinary() -> Commit {
    plain(Some(key(6, 1)), 1, &[("a", Some("a")), ("b", None)])
}

fn merge() -> Commit {
    let parents = vec![key(6, 2), key(5, 3)];
    Commit { seq: 7, parents, txn: None, device: None, ..ordinary() }
}

fn conflict(name: &str) -> Conflict {
    Conflict::new(Item::File(path(name)), vec![Kept { path: path(name), entry: Some(entry(name)) }], None)
}

/// Encodes and decodes a commit, and returns the reader's error.
fn read(commit: &Commit) -> Result<(), String> {
    let (written, bytes) = format::encode_commit(commit).unwrap();
    match format::decode_commit("commits/x", &bytes) {
        Ok((key, found)) => {
            assert_eq!((key, &found), (written, commit), "a commit round-trips");
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_valid_commit_of_either_kind_is_read() {
    let mut full = ordinary();
    full.recipes = Vec::from([1, 2].map(|n| RecipeOf {
        digest: Digest::from_bytes([n; 32]),
        recipe: Recipe { depth: 0, parts: vec![] },
    }));
    full.packs = Vec::from([1, 2].map(info));
    full.kept = by_id(["x", "y"].map(conflict));
    full.resolved = Vec::from([1, 2].map(resolution));
    full.prune = Prune {
        horizon: Some(3),
        marked: vec![pack(1), pack(2)],
        unmarked: vec![pack(3), pack(4)],
        swept: vec![pack(5), pack(6)],
        ..Prune::default()
    };
    full.kind = CommitKind::Undo(3);
    assert_eq!(read(&full), Ok(()));
    full.parents = vec![];
    full.seq = 1;
    assert_eq!(read(&full), Ok(()), "a first commit");
    let unkept = vec![ConflictId::from_bytes([1; 32]), ConflictId::from_bytes([2; 32])];
    let void = vec![key(2, 1), key(2, 2)];
    let of_merge = Prune { void, unkept, ..full.prune.clone() };
    assert_eq!(read(&Commit { prune: of_merge, ..merge() }), Ok(()));
}

fn by_id(list: [Conflict; 2]) -> Vec<Conflict> {
    let mut list = Vec::from(list);
    list.sort_by_key(|conflict| conflict.id);
    list
}

fn resolution(id: u8) -> Resolution {
    Resolution { id: ConflictId::from_bytes([id; 32]), keep: Keep::Mine }
}

#[test]
fn a_commit_that_breaks_one_rule_is_refused_with_that_reason() {
    let broken = |change: &dyn Fn(&mut Commit), base: Commit, why: &str| {
        let mut commit = base;
        change(&mut commit);
        let said = read(&commit).expect_err(why);
        assert!(said.contains(why), "{said}, expected: {why}");
    };
    broken(&|c| c.parents.push(key(4, 1)), merge(), "more than two parents");
    for seq in [6, 8] {
        broken(&|c| c.seq = seq, ordinary(), "does not follow");
        broken(&|c| c.seq = seq, merge(), "does not follow");
    }
    broken(&|c| c.parents[0].seq = u64::MAX, ordinary(), "does not follow");
    broken(&|c| c.parents.reverse(), merge(), "parents are out of order");
    broken(&|c| c.parents[1] = c.parents[0], merge(), "parents are out of order");
    broken(&|c| c.txn = None, ordinary(), "a transaction and a device");
    broken(&|c| c.device = None, ordinary(), "a transaction and a device");
    broken(&|c| c.txn = ordinary().txn, merge(), "a transaction and a device");
    broken(&|c| c.device = ordinary().device, merge(), "a transaction and a device");
    broken(&|c| c.kind = CommitKind::Prune, merge(), "a merge has no kind");
    broken(&|c| c.changes.reverse(), ordinary(), "its changes are not sorted");
    broken(&|c| c.changes[1] = c.changes[0].clone(), ordinary(), "its changes are not sorted");
    let recipe =
        |n| RecipeOf { digest: Digest::from_bytes([n; 32]), recipe: Recipe { depth: 0, parts: vec![] } };
    broken(&|c| c.recipes = vec![recipe(2), recipe(1)], ordinary(), "its recipes are not sorted");
    broken(&|c| c.packs = vec![info(2), info(1)], ordinary(), "its packs are not sorted");
    let kept = by_id(["x", "y"].map(conflict));
    broken(&|c| c.kept = kept.iter().rev().cloned().collect(), ordinary(), "its conflicts are not sorted");
    broken(
        &|c| c.resolved = vec![resolution(2), resolution(1)],
        ordinary(),
        "its resolutions are not sorted",
    );
    let (down, keys) = (|| vec![pack(2), pack(1)], || vec![key(2, 1), key(1, 1)]);
    let conflicts = || vec![ConflictId::from_bytes([2; 32]), ConflictId::from_bytes([1; 32])];
    let why = "what it says of old data is not sorted";
    broken(&|c| c.prune.marked = down(), ordinary(), why);
    broken(&|c| c.prune.unmarked = down(), ordinary(), why);
    broken(&|c| c.prune.swept = down(), ordinary(), why);
    broken(&|c| c.prune.void = keys(), merge(), why);
    broken(&|c| c.prune.unkept = conflicts(), merge(), why);
    broken(&|c| c.prune.void = vec![key(1, 1)], ordinary(), "only a merge finds");
    broken(&|c| c.prune.unkept = vec![kept[0].id], ordinary(), "only a merge finds");
    broken(
        &|c| {
            c.kept = kept.clone();
            c.kept[0].files[0].entry = None;
        },
        ordinary(),
        "a conflict's id is not the digest",
    );
    broken(&|c| c.format = 0, ordinary(), "its format is 0");
    broken(&|commit| commit.format = 3, ordinary(), "needs a newer cogzy-vault");
    let later = Need { feature: "zither".to_owned(), since: "0.10".to_owned() };
    let soon = Need { feature: "abacus".to_owned(), since: "0.9".to_owned() };
    let format_2 = |commit: &mut Commit, needs: Vec<Need>| (commit.format, commit.needs) = (2, needs);
    let both = vec![soon.clone(), later.clone()];
    broken(
        &|commit| format_2(commit, both.clone()),
        ordinary(),
        "needs cogzy-vault 0.10 or newer (abacus, zither)",
    );
    broken(&|commit| commit.needs = vec![later.clone()], ordinary(), "no room");
    broken(&|commit| commit.ext = Some(Ext::new()), ordinary(), "no room");
    let unix = |commit: &mut Commit| commit.changes = vec![Change { path: path("a:b"), entry: None }];
    broken(&|commit| unix(commit), ordinary(), "a feature that it does not name");
    let mut named = ordinary();
    unix(&mut named);
    named.settle_format();
    assert_eq!((named.format, read(&named)), (2, Ok(())));
    named.ext = serde_json::from_str(r#"{"of": ["a", "later", "version"]}"#).unwrap();
    assert_eq!(read(&named), Ok(()), "what may be ignored is no reason to refuse");
}

#[test]
fn only_merges_are_stored_as_plain_json() {
    let codec = |commit: &Commit| format::encode_commit(commit).unwrap().1[8];
    assert_eq!((codec(&ordinary()), codec(&merge())), (1, 0));
}

#[test]
fn the_head_of_an_object_is_checked() {
    let (_, whole) = format::encode_commit(&ordinary()).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        format::decode_commit("commits/x", &bytes).unwrap_err()
    };
    assert!(with(0, b'X').to_string().contains("does not begin"), "{}", with(0, b'X'));
    assert!(matches!(with(6, 0), LogError::Corrupt { .. }), "format 0");
    assert!(matches!(with(6, 3), LogError::Newer { format: 3, .. }));
    assert!(with(8, 7).to_string().contains("its codec is 7"));
    for cut in 0..9 {
        let error = format::decode_commit("commits/x", &whole[..cut]).unwrap_err();
        assert!(error.to_string().contains("shorter than its head"), "{error}");
    }
}

#[test]
fn a_frame_larger_than_the_limit_is_refused() {
    let packed = zstd::encode_all([7; 1000].as_slice(), 3).unwrap();
    assert_eq!(format::unpack("x", &packed, 1000).unwrap(), [7; 1000]);
    let error = format::unpack("x", &packed, 999).unwrap_err();
    assert!(error.to_string().contains("more than 999 bytes"), "{error}");
    // Decompression stops at the limit.
    let endless = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 26), 3).unwrap();
    assert!(
        format::unpack("x", &endless[..endless.len() - 1], 10)
            .is_err_and(|error| error.to_string().contains("10 bytes"))
    );
}

#[test]
fn a_header_may_have_a_mebibyte_but_no_more() {
    let key = format::header_key(VAULT);
    let mut bytes = format::encode_header(&header(VAULT)).unwrap();
    bytes.resize(1 << 20, b'\n');
    assert_eq!(format::decode_header(&key, &bytes).unwrap(), header(VAULT));
    bytes.push(b'\n');
    assert!(format::decode_header(&key, &bytes).unwrap_err().to_string().contains("longer than"));
}

#[test]
fn a_header_under_the_key_of_another_vault_is_refused() {
    let bytes = format::encode_header(&header(VAULT)).unwrap();
    let other = format::header_key(VaultId::from_bytes([2; 16]));
    assert!(format::decode_header(&other, &bytes).unwrap_err().to_string().contains("it names vault"));
    assert_eq!(format::parse_header_key(&other), Some(VaultId::from_bytes([2; 16])));
    assert_eq!(format::parse_header_key("vault-.json"), None);
}

#[test]
fn commits_of_a_generation_and_later_follow_its_start_key() {
    let mark = format::before_seq(7);
    let before = |seq| format::commit_key(key(seq, 0xff)) <= mark;
    assert!(before(6) && !before(7) && !before(8) && !before(u64::from(u32::MAX)));
}
