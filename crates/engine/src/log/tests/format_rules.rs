//! The rules for commits and headers, each broken alone.

use super::chunks::built;
use super::*;
use crate::model::{
    Conflict, ConflictId, Enclosed, Ext, Feature, Item, Keep, Kept, Need, RecipeOf, Resolution,
};

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
    full.recipes =
        Vec::from([1, 2].map(|n| RecipeOf { digest: Digest::from_bytes([n; 32]), recipe: recipe() }));
    full.packs = Vec::from([1, 2].map(info));
    full.kept = by_id(["x", "y"].map(conflict));
    full.resolved = Vec::from([1, 2].map(resolution));
    full.prune = Prune {
        horizon: Some(0),
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

/// That a commit with this change is refused for this reason.
fn broken(change: &dyn Fn(&mut Commit), base: Commit, why: &str) {
    let mut commit = base;
    change(&mut commit);
    let said = read(&commit).expect_err(why);
    assert!(said.contains(why), "{said}, expected: {why}");
}

#[test]
fn a_commit_out_of_its_place_or_order_is_refused_with_that_reason() {
    broken(&|c| c.parents.push(key(4, 1)), merge(), "more than 2 elements");
    for seq in [6, 8] {
        broken(&|c| c.seq = seq, ordinary(), "does not follow");
        broken(&|c| c.seq = seq, merge(), "does not follow");
    }
    broken(&|c| c.parents[0].seq = u64::MAX, ordinary(), "is too high");
    broken(&|c| c.parents.reverse(), merge(), "parents are out of order");
    broken(&|c| c.parents[1] = c.parents[0], merge(), "parents are out of order");
    broken(&|c| c.txn = None, ordinary(), "a transaction and a device");
    broken(&|c| c.device = None, ordinary(), "a transaction and a device");
    broken(&|c| c.txn = ordinary().txn, merge(), "a transaction and a device");
    broken(&|c| c.device = ordinary().device, merge(), "a transaction and a device");
    broken(&|c| c.kind = CommitKind::Prune, merge(), "a merge has no kind");
    broken(&|c| c.changes.reverse(), ordinary(), "its changes are not sorted");
    broken(&|c| c.changes[1] = c.changes[0].clone(), ordinary(), "its changes are not sorted");
    let of = |n| RecipeOf { digest: Digest::from_bytes([n; 32]), recipe: recipe() };
    broken(&|c| c.recipes = vec![of(2), of(1)], ordinary(), "its recipes are not sorted");
    broken(&|c| c.packs = vec![info(2), info(1)], ordinary(), "its packs are not sorted");
    let kept = by_id(["x", "y"].map(conflict));
    broken(&|c| c.kept = kept.iter().rev().cloned().collect(), ordinary(), "its conflicts are not sorted");
    broken(
        &|c| c.resolved = vec![resolution(2), resolution(1)],
        ordinary(),
        "its resolutions are not sorted",
    );
}

#[test]
fn what_a_commit_may_not_say_of_old_data_is_refused_with_that_reason() {
    let (down, keys) = (|| vec![pack(2), pack(1)], || vec![key(2, 1), key(1, 1)]);
    let conflicts = || vec![ConflictId::from_bytes([2; 32]), ConflictId::from_bytes([1; 32])];
    let why = "what it says of old data is not sorted";
    broken(&|c| c.prune.marked = down(), ordinary(), why);
    broken(&|c| c.prune.unmarked = down(), ordinary(), why);
    broken(&|c| c.prune.swept = down(), ordinary(), why);
    let contents = || vec![Digest::from_bytes([2; 32]), Digest::from_bytes([1; 32])];
    broken(
        &|c| {
            c.prune.given_up = contents();
            c.settle_format();
        },
        ordinary(),
        why,
    );
    broken(&|c| c.prune.given_up = vec![contents()[0]], ordinary(), "a feature that it does not name");
    broken(&|c| c.kind = CommitKind::GiveUp, ordinary(), "a feature that it does not name");
    broken(&|c| c.prune.horizon = Some(c.seq), ordinary(), "it keeps no generation before its own");
    broken(&|c| c.prune.void = keys(), merge(), why);
    broken(&|c| c.prune.unkept = conflicts(), merge(), why);
    broken(&|c| c.prune.void = vec![key(1, 1)], ordinary(), "only a merge finds");
    let kept = by_id(["x", "y"].map(conflict));
    broken(&|c| c.prune.unkept = vec![kept[0].id], ordinary(), "only a merge finds");
    broken(
        &|c| {
            c.kept = kept.clone();
            c.kept[0].files[0].entry = None;
        },
        ordinary(),
        "a conflict's id is not the digest",
    );
}

#[test]
fn a_commit_of_a_wrong_or_newer_format_is_refused_with_that_reason() {
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

/// The object's bytes, with a plaintext of this program's kind but not of its making.
fn framed(codec: u8, payload: &[u8]) -> Vec<u8> {
    [b"CGZcmt\x01\0".as_slice(), &[codec], payload].concat()
}

fn refused(bytes: &[u8]) -> String {
    format::decode_commit("commits/x", bytes).unwrap_err().to_string()
}

/// 32 kB that unpack to a gigabyte.
#[test]
fn a_frame_that_is_packed_too_well_is_unpacked_no_further() {
    let spaces = std::io::Read::take(std::io::repeat(b' '), 1 << 30);
    let packed = zstd::encode_all(std::io::BufReader::new(spaces), 3).unwrap();
    assert!(packed.len() < 200 << 10, "{}", packed.len());
    let said = refused(&framed(1, &packed));
    let limit = (1 << 20) + 256 * packed.len();
    assert!(said.contains(&format!("more than {limit} bytes")), "{said}");
    // An object packed within reason is read, whatever fault it has then.
    let few = zstd::encode_all(vec![b' '; 1 << 20].as_slice(), 3).unwrap();
    assert!(refused(&framed(1, &few)).contains("EOF"), "{}", refused(&framed(1, &few)));
}

#[test]
fn a_writer_does_not_pack_what_no_reader_would_unpack() {
    let names: Vec<String> = (0..100_000).map(|n| format!("traces/{n:06}.json")).collect();
    let gone: Vec<(&str, Option<&str>)> = names.iter().map(|name| (name.as_str(), None)).collect();
    let commit = plain(Some(key(6, 1)), 1, &gone);
    assert_eq!(read(&commit), Ok(()), "deletions are much alike");
}

#[test]
fn what_is_no_single_whole_frame_is_refused() {
    let (_, whole) = format::encode_commit(&ordinary()).unwrap();
    let mut more = whole.clone();
    more.extend_from_slice(&zstd::encode_all(b"{}".as_slice(), 3).unwrap());
    assert!(refused(&more).contains("more follows its end"), "{}", refused(&more));
    assert!(
        refused(&whole[..whole.len() - 1]).contains("its plaintext"),
        "{}",
        refused(&whole[..whole.len() - 1])
    );
    // A window of 128 MiB, for a frame of a few bytes.
    let mut wide = zstd::Encoder::new(Vec::new(), 3).unwrap();
    wide.window_log(27).unwrap();
    std::io::Write::write_all(&mut wide, b"{}").unwrap();
    let wide = framed(1, &wide.finish().unwrap());
    assert!(refused(&wide).contains("too much memory"), "{}", refused(&wide));
}

#[test]
fn texts_lists_and_what_may_be_ignored_have_an_end() {
    let json = |members: &str| {
        let rest =
            r#""txn":null,"device":null,"recipes":[],"packs":[],"groups":null,"kept":[],"resolved":[]"#;
        let vault = VAULT;
        framed(
            0,
            format!(r#"{{"format":1,"vault":"{vault}","seq":1,"parents":[],{members},{rest}}}"#).as_bytes(),
        )
    };
    let long = format!(r#""changes":[{{"path":"{}","entry":null}}]"#, "a".repeat(16 << 10));
    assert!(refused(&json(&long)).contains("it is longer than 1024 bytes"), "{}", refused(&json(&long)));
    let longer = format!(r#""changes":[{{"path":"{}","entry":null}}]"#, "a".repeat((16 << 10) + 1));
    assert!(refused(&json(&longer)).contains("a text has more than 16384 bytes"));
    let quoted = format!(r#""changes":[{{"path":"{}","entry":null}}]"#, r#"\""#.repeat(9 << 10));
    assert!(refused(&json(&quoted)).contains("a text has more than 16384 bytes"));
    let needs = r#"{"feature":"a","since":"0.1"},"#.repeat(65);
    let needs = format!(r#""changes":[],"needs":[{}]"#, needs.trim_end_matches(','));
    assert!(refused(&json(&needs)).contains("more than 64 elements"));
    let size = format!(
        r#""changes":[{{"path":"a","entry":{{"digest":"{}","size":SIZE,"mtime_ms":0,"mode":420}}}}]"#,
        Digest::of(b"")
    );
    let with = |bytes: &str| refused(&json(&size.replace("SIZE", bytes)));
    assert!(with("18446744073709551615").contains("is too high"), "a file that claims 2^64 - 1 bytes");
    assert!(with("1099511627777").contains("is too high") && with("1099511627776").contains("a transaction"));
    let ext = format!(r#""changes":[],"ext":{{"a":[{}0]}}"#, "0,".repeat(5000));
    assert!(refused(&json(&ext)).contains("more than 4096 values"));
}

#[test]
fn a_generation_keeps_its_sixteen_digits() {
    let last = plain(Some(key(limits::GENERATION - 1, 1)), 1, &[]);
    assert_eq!(read(&last), Ok(()));
    let over = plain(Some(key(limits::GENERATION, 1)), 1, &[]);
    assert!(read(&over).unwrap_err().contains("higher than any may be"));
    let huge = plain(Some(key(9_999_999_999_999_998, 1)), 1, &[]);
    assert!(read(&huge).unwrap_err().contains("is too high"));
    assert_eq!(CommitKey::parse(&key(limits::GENERATION, 1).to_string()), Some(key(limits::GENERATION, 1)));
    assert_eq!(CommitKey::parse(&key(limits::GENERATION + 1, 1).to_string()), None);
}

#[test]
fn a_table_must_account_for_every_byte_of_its_pack() {
    let with = |change: &dyn Fn(&mut PackInfo)| {
        let mut found = ordinary();
        found.packs = vec![info(1)];
        change(&mut found.packs[0]);
        read(&found)
    };
    assert_eq!(with(&|_| {}), Ok(()));
    let refused = |change: &dyn Fn(&mut PackInfo), why: &str| {
        let said = with(change).expect_err(why);
        assert!(said.contains(why), "{said}, expected: {why}");
    };
    refused(&|pack| pack.size += 1, "accounts for 94 of 95 bytes");
    refused(&|pack| pack.chunks.clear(), "accounts for 52 of 94 bytes");
    refused(&|pack| pack.chunks[0].offset = 9, "begins at byte 9");
    refused(&|pack| pack.chunks[0].stored = 2, "a chunk of 1 bytes takes 2");
    refused(&|pack| pack.chunks[0].stored = 0, "a chunk of 1 bytes takes 0");
    refused(&|pack| pack.chunks[0].len = (4 << 20) + 1, "a chunk of 4194305 bytes");
    refused(
        &|pack| (pack.chunks[0].stored, pack.chunks[0].len) = (u32::MAX, u32::MAX),
        "a chunk of 4294967295",
    );
    let again = |pack: &mut PackInfo| {
        let slot = ChunkSlot { offset: 8, ..pack.chunks[0] };
        pack.chunks.push(slot);
        pack.size += 42;
    };
    refused(&again, "begins at byte 8: expected 9");
}

#[test]
fn recipes_are_held_against_the_contents_that_they_stand_for() {
    let with = |size: u64| {
        let mut found = ordinary();
        let long = Entry { size, ..entry("long") };
        found.changes = vec![Change { path: path("long"), entry: Some(long) }];
        found.recipes = vec![RecipeOf { digest: long.digest, recipe: recipe() }];
        read(&found)
    };
    assert_eq!(with(2), Ok(()));
    assert!(with(3).unwrap_err().contains("add up to 2 bytes: expected 3"));
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

#[test]
fn a_pack_in_a_commit_accounts_for_its_bytes_and_is_named_as_a_feature() {
    let enclosed = built(1, &[b"one", b"four"]).enclosed().unwrap();
    let mut whole = Commit { enclosed: Some(enclosed.clone()), ..ordinary() };
    whole.settle_format();
    assert_eq!((whole.format, whole.needs.as_slice()), (2, [Feature::Enclosed.need()].as_slice()));
    assert_eq!(read(&whole), Ok(()));
    let with = |change: &dyn Fn(&mut Enclosed)| {
        let mut broken = whole.clone();
        change(broken.enclosed.as_mut().unwrap());
        read(&broken).unwrap_err()
    };
    for (why, broken) in [
        ("a byte too many", with(&|enclosed| enclosed.bytes.0.push(0))),
        ("a byte too few", with(&|enclosed| enclosed.bytes.0.truncate(6))),
        ("another offset", with(&|enclosed| enclosed.chunks[1].offset += 1)),
        ("a chunk that is longer than any", with(&|enclosed| enclosed.chunks[0].len = u32::MAX)),
        ("a chunk without bytes", with(&|enclosed| enclosed.chunks[0].stored = 0)),
        ("no chunk", with(&|enclosed| enclosed.chunks.clear())),
        ("more than a commit may hold", with(&|enclosed| enclosed.bytes.0.resize(9000, 0))),
    ] {
        assert!(broken.starts_with("commits/x is damaged"), "{why}: {broken}");
    }
    let unnamed = Commit { needs: vec![], ..whole.clone() };
    assert!(read(&unnamed).unwrap_err().contains("a feature that it does not name"));
    let mut merge = Commit { enclosed: Some(enclosed), ..merge() };
    merge.settle_format();
    assert!(read(&merge).unwrap_err().contains("a merge holds no pack"));
}
