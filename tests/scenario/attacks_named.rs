//! Attacks by somebody with a key to the bucket: `status`, `doctor` and `verify` name the object
//! and say what is wrong with it, while work goes on; or the sync halts or holds, and says why.

use std::path::{Path, PathBuf};

use cogzy_engine::content::PackBuilder;
use cogzy_engine::log::pack_key;
use cogzy_engine::model::{
    Change, ChunkSlot, Codec, Commit, CommitId, CommitKey, Digest, Entry, FORMAT, Feature, Group, PackId,
    PackInfo, Part, Prune, Recipe, RecipeOf, Validate, VaultId, VaultPath,
};
use cogzy_testkit::fresh_folder;

use crate::support::forged;
use crate::support::history::Bucket;
use crate::support::process::Machine;

/// An object that somebody forged, and the words about it.
struct Forged {
    key: String,
    bytes: Vec<u8>,
    words: &'static str,
}

/// A vault in a folder's bucket, and the one who forges in it.
struct Forge {
    bucket: PathBuf,
    vault: VaultId,
    head: CommitKey,
}

impl Forge {
    async fn new(folder: &Path) -> Self {
        let bucket = Bucket::in_folder(folder).await;
        let vault = bucket.log().await.vault().unwrap();
        let head = bucket.heads().await[0];
        Self { bucket: folder.canonicalize().unwrap().join("bucket/users/default"), vault, head }
    }

    /// A commit on the head that `change` makes wrong.
    fn commit(&self, words: &'static str, change: impl FnOnce(&mut Commit)) -> Forged {
        let commit = forged::commit(self.vault, &[self.head], change);
        Forged { key: format!("commits/{}", commit.key), bytes: commit.bytes.to_vec(), words }
    }

    /// Bytes below `commits/`, as of a generation and with a digest of their own.
    fn bytes(&self, words: &'static str, seq: u64, bytes: Vec<u8>) -> Forged {
        let id = CommitId::from_bytes(*Digest::of(&bytes).as_bytes());
        Forged { key: format!("commits/{}", CommitKey { seq, id }), bytes, words }
    }

    fn put(&self, objects: &[Forged]) {
        for object in objects {
            let path = self.bucket.join(&object.key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &object.bytes).unwrap();
        }
    }

    fn take_away(&self, objects: &[Forged]) {
        objects.iter().for_each(|object| std::fs::remove_file(self.bucket.join(&object.key)).unwrap());
    }
}

fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

/// A file of so many bytes.
fn file(name: &str, digest: Digest, size: u64) -> Change {
    let entry = Some(Entry { digest, size, mtime_ms: 0, mode: 0o644, rows: None });
    Change { path: path(name), entry }
}

/// A small file whose content nobody has.
fn unknown_file(name: &str) -> Change {
    file(name, Digest::of(name.as_bytes()), 5)
}

/// A frame of zstd that unpacks to 3 MiB of white space.
fn bomb() -> Vec<u8> {
    const BLOCK: u32 = 128 << 10;
    const BLOCKS: u32 = 24;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend((BLOCK * BLOCKS).to_le_bytes());
    for block in 1..=BLOCKS {
        let header = BLOCK << 3 | 1 << 1 | u32::from(block == BLOCKS);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(b' ');
    }
    [b"CGZcmt\x01\x00\x01".as_slice(), &frame].concat()
}

/// A pack that is not there, with one chunk.
fn pack(stored: u32) -> PackInfo {
    let slot = ChunkSlot { id: Digest::of(b"x"), offset: 8, stored, len: stored, codec: Codec::Raw };
    let size = u64::from(stored) + 8 + 41 + 44;
    PackInfo {
        id: PackId::from_bytes([9; PackId::LEN]),
        digest: Digest::of(b"pack"),
        size,
        chunks: vec![slot],
    }
}

/// Objects that no program can make sense of, or that ask for more than there may be.
fn unreadable(forge: &Forge) -> Vec<Forged> {
    let next = forge.head.seq + 1;
    let json = |change: &str| {
        let commit = forged::commit(forge.vault, &[forge.head], |commit| {
            commit.changes = vec![unknown_file("traces/forged.json")];
        });
        let text = String::from_utf8(commit.bytes[9..].to_vec()).unwrap();
        let plain = text.replace("\"size\":5", "\"size\":18446744073709551615");
        let plain = if change.is_empty() { plain } else { text.replace("traces/forged.json", change) };
        assert_ne!(plain, text);
        [&commit.bytes[..9], plain.as_bytes()].concat()
    };
    let of_plain = |words, bytes: Vec<u8>| {
        let id = CommitId::from_bytes(*Digest::of(&bytes[9..]).as_bytes());
        Forged { key: format!("commits/{}", CommitKey { seq: next, id }), bytes, words }
    };
    let recipe = Recipe { depth: 5, parts: vec![Part { id: Digest::of(b"list"), len: 36 }] };
    let digest = Digest::of(b"deep");
    vec![
        forge.bytes("it is shorter than its head", next, b"junk".to_vec()),
        forge.bytes("it needs a newer cogzy-vault: it has format 99", next, b"CGZcmt\x63\x00\x00{}".to_vec()),
        forge.bytes("its plaintext: it has more than", next, bomb()),
        of_plain("18446744073709551615", json("")),
        of_plain("../outside", json("../outside")),
        forge.commit("more than 4 levels deep", |commit| {
            commit.changes = vec![file("traces/deep.json", digest, 1 << 40)];
            commit.recipes = vec![RecipeOf { digest, recipe }];
        }),
        forge.commit("4294967295", |commit| commit.packs = vec![pack(u32::MAX)]),
        forge.commit("it keeps no generation before its own", |commit| commit.prune.horizon = Some(next)),
    ]
}

/// Well-made objects that do not belong to the history.
fn unfitting(forge: &Forge) -> Vec<Forged> {
    let orphan = CommitKey { seq: 1, id: CommitId::from_bytes([7; 32]) };
    let orphan = forged::commit(forge.vault, &[orphan], |_| ());
    let far = CommitKey { seq: 9_999_999_999_999_998, id: CommitId::from_bytes([7; 32]) };
    let far = forged::commit(forge.vault, &[far], |_| ());
    let named = |key, bytes: &[u8], words| Forged { key, bytes: bytes.to_vec(), words };
    let foreign = forged::commit(VaultId::from_bytes([9; 16]), &[forge.head], |_| ());
    vec![
        named(format!("commits/{}", orphan.key), &orphan.bytes, "which cannot be used"),
        named(format!("commits/{}", far.key), &far.bytes, "no commit has such a name"),
        named(format!("commits/{}", foreign.key), &foreign.bytes, "which has no header"),
        named(format!("commits/99999999999999999-{}", Digest::of(b"x")), b"x", "no commit has such a name"),
        forge.commit("which is not in the bucket", |commit| commit.packs = vec![pack(5)]),
        forge.commit("it names another state", |commit| {
            commit.format = FORMAT;
            commit.base = Some(Digest::of(b"another"));
            commit.needs = vec![Feature::UnixNames.need()];
            commit.changes = vec![unknown_file("traces/base.json")];
        }),
    ]
}

/// Asserts that a machine tells of each object, with the words about it, and says what to do next.
async fn assert_told(machine: &Machine, objects: &[Forged]) {
    let status = machine.run(&["status", "--json"]).await.json();
    let told = status["aside"]["objects"].as_array().unwrap_or_else(|| panic!("{status}"));
    assert_eq!(status["aside"]["count"], objects.len(), "{told:#?}");
    assert!(status["aside"]["next"].as_str().unwrap().contains("`cogzy-vault verify --repair`"));
    assert_eq!(status["errors"], serde_json::json!([]), "work goes on");
    let words_of_status = machine.run(&["status"]).await.stdout;
    let doctor = machine.run(&["doctor"]).await.stdout;
    let says = |Forged { key, words, .. }: &Forged| {
        let object = told.iter().find(|object| object["key"] == **key);
        let has_line =
            |page: &String| page.lines().any(|line| line.contains(key.as_str()) && line.contains(words));
        object.is_some_and(|object| object["why"].as_str().unwrap().contains(words))
            && [&words_of_status, &doctor].into_iter().all(has_line)
    };
    let silent: Vec<&str> =
        objects.iter().filter(|object| !says(object)).map(|object| object.words).collect();
    assert!(silent.is_empty(), "{silent:#?}: {told:#?} {words_of_status} {doctor}");
}

async fn edit_and_sync(one: &Machine, two: &Machine, text: &str) {
    one.write("traces/a.json", text);
    assert_eq!(one.sync().await["pushed"], 1, "work goes on");
    two.sync().await;
    assert_eq!(two.files(), one.files());
}

async fn two_machines(folder: &Path) -> [Machine; 2] {
    let machines = ["one", "two"].map(|name| Machine::with_folder(folder, name));
    for machine in &machines {
        machine.good(&["init"]).await;
    }
    let [one, two] = &machines;
    one.write("notes/kept.txt", "what stays");
    one.sync().await;
    edit_and_sync(one, two, "first").await;
    machines
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_aside_or_not_believed_is_named_with_its_reason() {
    let folder = fresh_folder();
    let [one, two] = two_machines(folder.path()).await;
    for (text, make) in [("second", unreadable as fn(&Forge) -> Vec<Forged>), ("third", unfitting)] {
        let forge = Forge::new(folder.path()).await;
        let objects = make(&forge);
        forge.put(&objects);
        edit_and_sync(&one, &two, text).await;
        for machine in [&one, &two] {
            assert_told(machine, &objects).await;
        }
        forge.take_away(&objects);
    }
    // What a device wants to be kept is heeded if it has committed lately.
    edit_and_sync(&two, &one, "fourth").await;
    let objects = untrue(folder.path(), &one, &two).await;
    for machine in [&one, &two] {
        assert_told(machine, &objects).await;
    }
    let verified = one.run(&["verify"]).await.stdout;
    assert!(objects.iter().all(|object| verified.contains(&object.key)), "{verified}");
    // What was swept that files need is put where it is found again.
    one.good(&["verify", "--repair"]).await;
    edit_and_sync(&one, &two, "last").await;
}

/// What is changed of a well-made commit.
type Forging = Box<dyn FnOnce(&mut Commit)>;

/// Commits of the history that say what is not true, one after the other.
async fn untrue(folder: &Path, one: &Machine, two: &Machine) -> Vec<Forged> {
    let packs = Bucket::in_folder(folder).await.head().await.packs.keys().copied().collect::<Vec<_>>();
    let (swept, marked, gone) = (packs.clone(), packs.clone(), packs);
    let config = Digest::of(b"");
    let makers: [(&'static str, Forging); 5] = [
        (
            "config.json, which no device syncs",
            Box::new(move |commit| {
                commit.changes = vec![file("config.json", config, 0)];
            }),
        ),
        ("that no commit has marked: they stay", Box::new(|commit| commit.prune.swept = swept)),
        ("such as", Box::new(|commit| commit.prune.marked = marked)),
        ("they are not deleted", Box::new(|commit| commit.prune.swept = gone)),
        (
            "this device keeps 100 generations",
            Box::new(|commit| {
                commit.prune = Prune { horizon: Some(commit.seq - 1), ..Prune::default() };
            }),
        ),
    ];
    let mut objects = Vec::new();
    for (words, make) in makers {
        let forge = Forge::new(folder).await;
        let object = forge.commit(words, make);
        forge.put(std::slice::from_ref(&object));
        objects.push(object);
        for machine in [one, two] {
            machine.sync().await;
        }
    }
    objects
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_names_a_pack_and_a_checkpoint_that_lie() {
    let folder = fresh_folder();
    let [_, two] = two_machines(folder.path()).await;
    let forge = Forge::new(folder.path()).await;
    let state = Bucket::in_folder(folder.path()).await.head().await;
    let mut builder = PackBuilder::new(PackId::from_bytes([0; PackId::LEN]));
    for slot in state.packs.values().flat_map(|pack| &pack.chunks) {
        let len = usize::try_from(slot.len).unwrap();
        builder.push(slot.id, len, Codec::Raw, &vec![7; len]).unwrap();
    }
    let lie = builder.finish().unwrap();
    let commit = forge.commit("", |commit| commit.packs = vec![lie.info.clone()]);
    let objects = [
        Forged {
            key: pack_key(lie.info.id),
            bytes: lie.bytes.to_vec(),
            words: "and it does not: another pack gives it",
        },
        Forged {
            key: format!("checkpoints/{:016}-{}", forge.head.seq, Digest::of(b"junk")),
            bytes: b"CGZchk\x01\x00\x00{\"files\": []}".to_vec(),
            words: "this checkpoint is not used, the commits are read instead",
        },
    ];
    forge.put(&[commit]);
    forge.put(&objects);
    let three = Machine::with_folder(folder.path(), "three");
    three.good(&["init", "--join"]).await;
    three.sync().await;
    assert_eq!(three.files(), two.files());
    assert_told(&three, &objects).await;
    // What verify reads and finds sound is told of no more: here both are at fault.
    let verified = three.run(&["verify", "--deep"]).await.stdout;
    for object in &objects {
        assert!(verified.contains(&format!("damaged: {}", object.key)), "{verified}");
    }
}

/// The end of a sync that does not go on, and the words of `sync` and `status` about it.
async fn assert_halted(machine: &Machine, code: i32, words: &[&str]) {
    let sync = machine.run(&["sync"]).await;
    assert_eq!(sync.code, Some(code), "{sync:?}");
    let json = machine.run(&["sync", "--json"]).await.stdout;
    let status = machine.run(&["status"]).await.stdout;
    let said = format!("{}{}", sync.stdout, sync.stderr);
    for word in words {
        assert!(said.contains(word), "{word:?}: {said}");
        assert!(status.contains(word), "{word:?}: {status}");
        assert!(json.contains(&word.replace('"', "\\\"")), "{word:?}: {json}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_halts_a_device_or_waits_for_a_person_says_what_to_do() {
    // Groups that somebody changed.
    let folder = fresh_folder();
    let [one, _] = two_machines(folder.path()).await;
    let forge = Forge::new(folder.path()).await;
    let notes = Group {
        name: "notes".into(),
        primary: vec!["notes/**".into()],
        derived: vec![],
        validate: Validate::Off,
    };
    forge.put(&[forge.commit("", |commit| commit.groups = Some(vec![notes]))]);
    assert_halted(&one, 4, &["group", "cogzy-vault approve"]).await;

    // A vault that somebody emptied.
    let folder = fresh_folder();
    let [one, _] = two_machines(folder.path()).await;
    let forge = Forge::new(folder.path()).await;
    let deleted = ["notes/kept.txt", "traces/a.json"].map(|name| Change { path: path(name), entry: None });
    forge.put(&[forge.commit("", |commit| commit.changes = deleted.to_vec())]);
    assert_halted(&one, 4, &["deleted", "cogzy-vault approve"]).await;
    assert!(one.files().contains_key("notes/kept.txt"));

    // A commit on the head that claims to be of a newer program.
    let folder = fresh_folder();
    let [one, _] = two_machines(folder.path()).await;
    let forge = Forge::new(folder.path()).await;
    let newer = forged::commit(forge.vault, &[forge.head], |_| ());
    let plain = String::from_utf8(newer.bytes[9..].to_vec()).unwrap();
    let plain = plain.replacen("\"format\":1", "\"format\":99", 1);
    let id = CommitId::from_bytes(*Digest::of(plain.as_bytes()).as_bytes());
    let key = CommitKey { id, ..newer.key };
    let bytes = [b"CGZcmt\x63\x00\x00".as_slice(), plain.as_bytes()].concat();
    forge.put(&[Forged { key: format!("commits/{key}"), bytes, words: "" }]);
    assert_halted(&one, 5, &[&format!("commits/{key}"), "install the newest cogzy-vault"]).await;

    // A history that is gone, and another vault in its place.
    let folder = fresh_folder();
    let [one, _] = two_machines(folder.path()).await;
    let bucket = Forge::new(folder.path()).await.bucket;
    std::fs::remove_dir_all(bucket.join("commits")).unwrap();
    assert_halted(&one, 4, &["rolled back, replaced or emptied", "cogzy-vault init --join"]).await;
    let headers = std::fs::read_dir(&bucket).unwrap().map(|entry| entry.unwrap().path());
    let header = headers.into_iter().find(|path| path.to_string_lossy().contains("/vault-")).unwrap();
    std::fs::remove_file(header).unwrap();
    Machine::with_folder(folder.path(), "other").good(&["init"]).await;
    assert_halted(&one, 4, &["cogzy-vault init --join"]).await;
}
