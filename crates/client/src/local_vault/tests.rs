use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::fs::RealFs;
use cogzy_engine::model::{DeviceId, VaultId};

fn vault() -> (tempfile::TempDir, LocalVault) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path().canonicalize().unwrap());
    for name in ["corpus", "vectors", "sync"] {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    marker().write(&RealFs, &layout).unwrap();
    let vault = LocalVault::open(folder.path()).unwrap();
    (folder, vault)
}

fn marker() -> Marker {
    Marker {
        format: cogzy_engine::vault::MARKER_FORMAT,
        vault: VaultId::from_bytes([1; 16]),
        device: DeviceId::from_bytes([2; 8]),
        machine: "machine".to_owned(),
    }
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name)
}

#[test]
fn a_folder_that_is_no_vault_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(LocalVault::open(folder.path()), Err(LocalVaultError::NoVault(_))));
}

#[test]
fn a_vault_whose_disk_is_away_is_an_error_and_nothing_is_written() {
    let (folder, vault) = vault();
    std::fs::write(vault.root().join("corpus/nodes.json"), "[]").unwrap();
    let nodes = vault.read_nodes().unwrap();
    let disk = tempfile::tempdir().unwrap();
    let aside = disk.path().join("away");
    std::fs::rename(vault.root(), &aside).unwrap();
    for mounted_on in [false, true] {
        if mounted_on {
            std::fs::create_dir(vault.root()).unwrap();
        }
        assert!(matches!(vault.write_nodes(&nodes), Err(LocalVaultError::NoVault(_))));
        assert!(matches!(vault.read_nodes(), Err(LocalVaultError::NoVault(_))));
    }
    assert_eq!(std::fs::read_dir(vault.root()).unwrap().count(), 0);
    // Another vault's disk is not ours either.
    std::fs::create_dir(vault.root().join("sync")).unwrap();
    let other = Marker { vault: VaultId::from_bytes([9; 16]), ..marker() };
    other.write(&RealFs, &vault.layout).unwrap();
    assert!(matches!(
        vault.write_nodes(&nodes),
        Err(LocalVaultError::NoVault(MarkerError::OtherVault { .. }))
    ));
    assert!(!vault.root().join("corpus").exists());
    // Mounted again, in another place of the disk: nothing is held open meanwhile.
    std::fs::remove_dir_all(vault.root()).unwrap();
    std::fs::rename(&aside, folder.path()).unwrap();
    vault.write_nodes(&nodes).unwrap();
}

#[test]
fn unknown_fields_and_members_survive() {
    let (_folder, vault) = vault();
    let place = vault.root().join("corpus/nodes.json");
    let written = concat!(
        "{\"version\": 1, \"exact\": 0.30000000000000004440892098500626, \"nodes\": [",
        "{\"id\": \"a\", \"content\": \"old\", \"big\": 123456789012345678901234567890}, {\"id\": \"b\"}], \"later\": [1]}"
    );
    std::fs::write(&place, written).unwrap();
    let mut nodes = vault.read_nodes().unwrap();
    assert_eq!((nodes.len(), vault.node_count().unwrap()), (2, 2));
    assert_eq!(nodes.id(1).as_deref(), Some("b"));
    assert!(nodes.update(0, &json!({"content": "new", "tags": ["x"]})).unwrap());
    nodes.push(&json!({"id": "c"})).unwrap();
    vault.write_nodes(&nodes).unwrap();
    let text = std::fs::read_to_string(&place).unwrap();
    for kept in [
        "0.30000000000000004440892098500626",
        "123456789012345678901234567890",
        "\"later\": [1]",
        "\"version\": 1",
    ] {
        assert!(text.contains(kept), "{kept} is lost: {text}");
    }
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["nodes"][0]["content"], "new");
    assert_eq!(document["nodes"][0]["tags"], json!(["x"]));
    assert_eq!(document["nodes"].as_array().unwrap().len(), 3);
}

#[test]
fn a_corpus_keeps_its_form() {
    for (text, then) in [
        ("[{\"id\":\"a\"}]", "[{\"id\":\"a\"},\n{\"id\":\"z\"}]"),
        ("{\"a\":{\"id\":\"a\"}}", "{\"a\": {\"id\":\"a\"},\n\"z\": {\"id\":\"z\"}}"),
        ("{\"nodes\":{\"a\":{}}}", "{\"nodes\": {\"a\": {},\n\"z\": {\"id\":\"z\"}}}"),
    ] {
        let mut corpus = Corpus::parse(text.as_bytes(), "nodes").unwrap();
        assert_eq!(corpus.id(0).as_deref(), Some("a"));
        corpus.push(&json!({"id": "z"})).unwrap();
        assert_eq!(String::from_utf8(corpus.bytes().unwrap()).unwrap(), then);
        assert!(corpus.remove(0) && !corpus.remove(5));
        assert_eq!(corpus.len(), 1);
    }
    let mut by_id = Corpus::parse(b"{\"a\":{}}", "nodes").unwrap();
    assert!(by_id.push(&json!({"content": "without a name"})).is_err());
    assert_eq!(by_id.len(), 1);
    assert!(Corpus::parse(b"3", "nodes").is_err() && Corpus::parse(b"[1", "nodes").is_err());
}

#[test]
fn vectors_of_every_kind_are_read_as_32_bit_floats() {
    let (_folder, vault) = vault();
    let place = vault.root().join("vectors/nodes.npy");
    let read = |name: &str| {
        std::fs::copy(data(name), &place).unwrap();
        vault.read_embeddings("nodes").unwrap()
    };
    let wanted = read("f4_c.npy");
    assert_eq!(wanted.dim(), (40, 8));
    for name in
        ["f4_fortran.npy", "f4_big_endian.npy", "f4_v2.npy", "f4_v3.npy", "f8_c.npy", "f8_fortran.npy"]
    {
        assert_eq!(read(name), wanted, "{name}");
    }
    for name in ["f2_c.npy", "f2_fortran.npy"] {
        let apart = (&read(name) - &wanted).mapv(f32::abs);
        assert!(apart.iter().all(|by| *by < 0.002), "{name}");
    }
    for (name, says) in [("i8.npy", "<i8"), ("flat.npy", "1 dimensions"), ("objects.npy", "pickle")] {
        std::fs::copy(data(name), &place).unwrap();
        let error = vault.read_embeddings("nodes").unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("vectors/nodes.npy"), "{error}");
    }
    std::fs::copy(data("f4_c.npy"), &place).unwrap();
    let whole = std::fs::read(&place).unwrap();
    std::fs::write(&place, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(vault.read_embeddings("nodes"), Err(LocalVaultError::Damaged { .. })));
    assert!(matches!(vault.read_embeddings("other"), Err(LocalVaultError::Missing(_))));
    assert!(matches!(vault.read_embeddings("../../etc/passwd"), Err(LocalVaultError::Path(_))));
}

#[test]
fn mapped_vectors_stay_what_they_were() {
    let (_folder, vault) = vault();
    std::fs::copy(data("f4_c.npy"), vault.root().join("vectors/nodes.npy")).unwrap();
    let before = vault.read_embeddings("nodes").unwrap();
    let mapped = vault.map_embeddings("nodes").unwrap();
    assert_eq!(mapped.view().unwrap(), before);
    vault.write_embeddings("nodes", &(&before * 2.0)).unwrap();
    assert_eq!(mapped.view().unwrap(), before, "the old generation is still the old one");
    assert_eq!(vault.map_embeddings("nodes").unwrap().view().unwrap(), &before * 2.0);
    std::fs::copy(data("f8_c.npy"), vault.root().join("vectors/nodes.npy")).unwrap();
    assert!(matches!(vault.map_embeddings("nodes"), Err(LocalVaultError::Kind { .. })));
}

#[test]
fn a_program_that_read_before_another_one_wrote_overwrites_nothing() {
    let (_folder, vault) = vault();
    std::fs::write(vault.root().join("corpus/nodes.json"), "[]").unwrap();
    let mut mine = vault.read_nodes().unwrap();
    let mut theirs = mine.clone();
    theirs.push(&json!({"id": "theirs"})).unwrap();
    vault.write_nodes(&theirs).unwrap();
    mine.push(&json!({"id": "mine"})).unwrap();
    let mut transaction = vault.transaction();
    transaction.nodes(&mine).unwrap().embeddings("nodes", &Array2::zeros((1, 4))).unwrap();
    assert!(matches!(transaction.commit(), Err(LocalVaultError::Conflict { .. })));
    assert_eq!(vault.read_nodes().unwrap().id(0).as_deref(), Some("theirs"));
    assert!(
        matches!(vault.read_embeddings("nodes"), Err(LocalVaultError::Missing(_))),
        "half of it was written"
    );
    assert_eq!(std::fs::read_dir(vault.root().join("sync/incoming")).unwrap().count(), 0);
}

/// The generations here come from transactions, which put files in place by the same code and under
/// the same lock as a pull.
#[test]
fn a_reader_under_the_lock_never_sees_half_a_generation() {
    const LOADS: usize = 10_000;
    let (_folder, vault) = vault();
    let write = |count: usize| {
        let mut transaction = vault.transaction();
        let nodes: Vec<Value> = (0..count).map(|n| json!({"id": n})).collect();
        transaction.file("corpus/nodes.json", serde_json::to_vec(&nodes).unwrap()).unwrap();
        transaction.embeddings("nodes", &Array2::zeros((count, 4))).unwrap();
        transaction.commit().unwrap();
    };
    write(1);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (mut seen, mut wrong) = (std::collections::BTreeSet::new(), 0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut generation = 1;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                generation = generation % 9 + 1;
                write(generation);
            }
        });
        for _ in 0..LOADS {
            let reading = vault.reading().unwrap();
            let (nodes, vectors) = (reading.nodes().unwrap(), reading.embeddings("nodes").unwrap());
            seen.insert(nodes.len());
            wrong += usize::from(nodes.len() != vectors.nrows());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        writer.join().unwrap();
    });
    assert_eq!(wrong, 0);
    assert!(seen.len() > 3, "only the generations {seen:?} arrived");
}

#[test]
fn memories_are_written_read_and_deleted_by_id() {
    let (_folder, vault) = vault();
    let [one, two] = [[1.0_f32, 0.5], [2.0, 0.25]];
    vault.upsert("nodes", &json!({"id": "a", "content": "one"}), Some(&one)).unwrap();
    vault.upsert("nodes", &json!({"id": 7, "content": "two"}), Some(&two)).unwrap();
    vault.upsert("nodes", &json!({"id": "a", "content": "changed"}), None).unwrap();
    let a = vault.get("nodes", "a").unwrap().unwrap();
    assert_eq!(a.entry::<Value>().unwrap()["content"], "changed");
    assert_eq!(a.vector(), Some(&[1.0, 0.5][..]));
    let seven = vault.get("nodes", 7).unwrap().unwrap();
    assert_eq!((seven.json(), seven.vector()), (r#"{"content":"two","id":7}"#, Some(&[2.0, 0.25][..])));
    assert_eq!(vault.get("nodes", "7").unwrap(), None);
    assert_eq!((vault.node_count().unwrap(), vault.read_embeddings("nodes").unwrap().nrows()), (2, 2));
    vault.delete("nodes", "a").unwrap();
    vault.delete("nodes", "nobody").unwrap();
    assert_eq!((vault.get("nodes", "a").unwrap(), vault.node_count().unwrap()), (None, 1));
    assert_eq!(vault.read_embeddings("nodes").unwrap(), ndarray::array![[2.0_f32, 0.25]]);
}

#[test]
fn a_memory_that_another_program_changed_is_not_overwritten() {
    let (_folder, vault) = vault();
    vault.upsert("nodes", &json!({"id": "a", "content": "one", "tag": 1}), Some(&[1.0])).unwrap();
    let read = vault.get("nodes", "a").unwrap().unwrap();
    vault.upsert("nodes", &json!({"id": "a", "content": "one", "tag": 2}), None).unwrap();
    let write = |field: Option<&str>, digest| {
        let mut transaction = vault.transaction();
        transaction.upsert("nodes", &json!({"id": "a", "content": "two"}), Some(&[2.0])).unwrap();
        transaction.expect("nodes", "a", field, digest).file("traces/t.json", b"{}".to_vec()).unwrap();
        transaction.commit()
    };
    for (field, digest, now) in [
        (None, Some(read.digest()), r#"{"content":"one","id":"a","tag":2}"#),
        (Some("tag"), read.field("tag"), "2"),
        (None, None, r#"{"content":"one","id":"a","tag":2}"#),
    ] {
        let refused = write(field, digest).unwrap_err();
        let LocalVaultError::Changed { id, current, .. } = &refused else { panic!("{refused}") };
        assert_eq!((id.as_str(), current.as_deref()), ("a", Some(now)));
        assert!(!vault.root().join("traces/t.json").exists(), "nothing of it is written");
    }
    write(Some("content"), read.field("content")).unwrap();
    assert!(vault.root().join("traces/t.json").exists());
    let refused = vault.upsert("nodes", &json!({"content": "no id"}), None).unwrap_err();
    assert!(refused.to_string().contains("id"), "{refused}");
    let refused = vault.upsert("nodes", &json!({"id": "b"}), Some(&[1.0, 2.0])).unwrap_err().to_string();
    assert!(refused.contains("corpus/nodes.json: memory \"b\": its vector has 2 elements"), "{refused}");
}

#[test]
fn memories_are_read_one_after_the_other_as_they_stood() {
    let (_folder, vault) = vault();
    let told = |memories: &Memories| -> Vec<(String, f64)> {
        let all = memories.iter().unwrap().map(|one| one.unwrap());
        all.map(|one| (one.id().told().to_owned(), one.vector().unwrap()[0])).collect()
    };
    assert_eq!(told(&vault.memories("nodes").unwrap()), []);
    let mut transaction = vault.transaction();
    for (id, number) in [("b", 1.0), ("a", 2.0)] {
        transaction.upsert("nodes", &json!({"id": id}), Some(&[number; 4])).unwrap();
    }
    transaction.commit().unwrap();
    let memories = vault.memories("nodes").unwrap();
    let before = [("b".to_owned(), 1.0), ("a".to_owned(), 2.0)];
    assert_eq!(told(&memories), before);
    // Others write meanwhile, and those who read see nothing of it.
    let mut reading = memories.iter().unwrap();
    assert_eq!(reading.next().unwrap().unwrap().json(), r#"{"id":"b"}"#);
    vault.delete("nodes", "a").unwrap();
    assert_eq!(reading.next().unwrap().unwrap().vector(), Some(&[2.0; 4][..]));
    assert!(reading.next().is_none());
    assert_eq!(told(&memories), before);
    assert_eq!(told(&vault.memories("nodes").unwrap()), before[..1]);
    std::fs::write(vault.root().join("corpus/nodes.json"), "[{]").unwrap();
    let damaged = vault.memories("nodes").unwrap();
    assert!(damaged.iter().is_err_and(|error| error.to_string().contains("corpus/nodes.json")));
}

/// There is no daemon and no sync that would take it away.
#[test]
fn what_transactions_replace_does_not_fill_the_disk() {
    let (_folder, vault) = vault();
    let trashes = || {
        let trash = std::fs::read_dir(vault.root().join("sync/trash"));
        trash.map_or(0, Iterator::count)
    };
    for round in 0..4 {
        let mut transaction = vault.transaction();
        transaction.file("traces/t.json", vec![round; 100]).unwrap();
        transaction.commit().unwrap();
    }
    assert_eq!(trashes(), 3, "a program may still write to these");
    let answers = || std::fs::read_dir(vault.root().join("sync/transactions")).unwrap().count();
    assert_eq!(answers(), 0, "nobody can ask for these answers");
    let mut transaction = vault.transaction();
    transaction.file("traces/a.json", vec![1]).unwrap().file("traces/b.json", vec![2]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(answers(), 1, "it says what is sent as one");
    let later = |minutes: u64| {
        let clock = SystemClock::new();
        let passed = i64::try_from(Duration::from_mins(minutes).as_nanos()).unwrap();
        transaction::clear_replaced(&vault.disk().unwrap(), &vault.layout, clock.now_ns() + passed);
    };
    later(4);
    assert_eq!(trashes(), 3);
    later(6);
    assert_eq!(trashes(), 0);
}
