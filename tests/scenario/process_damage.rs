//! Damaged objects and records: each is an error that names it, and nothing is changed because of
//! it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cogzy_engine::fs::RealFs;
use cogzy_engine::model::Digest;
use cogzy_engine::state::{LastSync, Pending};
use cogzy_testkit::fresh_folder;

use crate::support::device::collect;
use crate::support::process::{Machine, Ran, noise};

/// Kinds of damage to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Emptied,
    Truncated,
    Flipped,
    Oversized,
    Newer,
}

const ALL: [Damage; 5] =
    [Damage::Emptied, Damage::Truncated, Damage::Flipped, Damage::Oversized, Damage::Newer];

impl Damage {
    fn of(self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        match self {
            Self::Emptied => bytes.clear(),
            Self::Truncated => bytes.truncate(whole.len() / 2),
            // JSON has no checksum: only where it no longer parses can it be seen to be damaged.
            Self::Flipped if whole[0] == b'{' => bytes[0] ^= 1,
            Self::Flipped => bytes[whole.len() * 2 / 3] ^= 1,
            Self::Oversized => bytes.extend(noise("garbage", 5000)),
            // In JSON by its name, in our own formats after six bytes of magic.
            Self::Newer => match String::from_utf8(bytes.clone()) {
                Ok(text) if text.starts_with('{') => {
                    let newer = text.replacen("\"format\": 1", "\"format\": 99", 1);
                    bytes = newer.replacen("\"format\":1", "\"format\":99", 1).into_bytes();
                    assert_ne!(bytes, whole, "no format found in {text}");
                }
                _ => bytes[6] = 99,
            },
        }
        bytes
    }
}

fn tree(folder: &Path) -> BTreeMap<String, Digest> {
    let mut files = BTreeMap::new();
    collect(folder, folder, &mut files);
    files
}

/// Generations of the world, each with a trace.
const GENERATIONS: usize = 40;
/// Files of the first generation, which the largest pack holds.
const IN_THE_PACK: [&str; 3] = ["corpus/nodes.json", "traces/0.json", "vectors/large.npy"];
/// The trace that the last commit brings.
const LAST: &str = "traces/39.json";

/// A vault of forty generations, so that there is a checkpoint, and a change that is not sent yet.
async fn world(folder: &Path) -> Machine {
    let one = Machine::with_folder(folder, "one");
    one.good(&["init"]).await;
    one.write("vectors/large.npy", noise("large", 3 << 20));
    one.write("corpus/nodes.json", "[\"memory\"]");
    for generation in 0..GENERATIONS {
        one.write(&format!("traces/{generation}.json"), noise(&format!("trace {generation}"), 500));
        one.sync().await;
    }
    one
}

/// The objects below a part of the bucket, in order.
fn objects(folder: &Path, part: &str) -> Vec<PathBuf> {
    let root = folder.join("bucket/users/default");
    tree(&root).keys().filter(|name| name.starts_with(part)).map(|name| root.join(name)).collect()
}

fn names(ran: &Ran, object: &Path) -> bool {
    let name = object.file_name().unwrap().to_str().unwrap();
    ran.stdout.contains(name) || ran.stderr.contains(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_objects_are_named_and_nothing_is_changed_because_of_them() {
    let folder = fresh_folder();
    let one = world(folder.path()).await;
    let bucket = folder.path().join("bucket");
    let largest = |part: &str| {
        objects(folder.path(), part).into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap()
    };
    let commits = objects(folder.path(), "commits/");
    let cases = [
        ("header", objects(folder.path(), "vault-").remove(0)),
        ("first commit", commits[0].clone()),
        ("last commit", commits[commits.len() - 1].clone()),
        ("checkpoint", objects(folder.path(), "checkpoints/").remove(0)),
        ("pack", largest("packs/")),
    ];
    let files = one.files();
    let mut fresh = 0;
    for (what, object) in cases {
        let whole = std::fs::read(&object).unwrap();
        for damage in ALL {
            let case = format!("{what} {damage:?}");
            std::fs::write(&object, damage.of(&whole)).unwrap();
            let before = tree(&bucket);

            let verified = one.run(&["verify", "--deep"]).await;
            assert_eq!(verified.code, Some(5), "{case}: {verified:#?}");
            assert!(names(&verified, &object), "{case} is not named: {verified:#?}");

            fresh += 1;
            let machine = Machine::with_folder(folder.path(), &format!("fresh-{fresh}"));
            machine.write("traces/mine.json", "mine");
            let mut ran = machine.run(&["init", "--join"]).await;
            if ran.code == Some(0) {
                ran = machine.run(&["sync", "--dry-run"]).await;
                assert!(matches!(ran.code, Some(0 | 5)), "{case}: {ran:#?}");
                ran = machine.run(&["sync"]).await;
            }
            if ran.code == Some(5) {
                assert!(names(&ran, &object), "{case} is not named: {ran:#?}");
                assert!(ran.stderr.contains("next: "), "{case}: {ran:#?}");
                assert_eq!(machine.files().keys().collect::<Vec<_>>(), ["traces/mine.json"], "{case}");
            } else if ran.code == Some(9) {
                // A pack costs files that lie in it, each by name, and nothing else.
                let there = machine.files();
                let lost: Vec<&String> = files.keys().filter(|path| !there.contains_key(*path)).collect();
                assert!(what == "pack" && !lost.is_empty(), "{case}: {ran:#?}");
                for path in lost {
                    assert!(IN_THE_PACK.contains(&path.as_str()), "{case}: {path} is missing");
                    assert!(ran.stdout.contains(path.as_str()), "{case}: {path} is not named: {ran:#?}");
                }
                assert!(there.iter().all(|(path, digest)| files.get(path).is_none_or(|file| file == digest)));
            } else {
                // A verb that can do without it may: then everything is right.
                assert_eq!(ran.code, Some(0), "{case}: {ran:#?}");
                let mut right = files.clone();
                if what == "last commit" {
                    // It is set aside, since no device can tell it from junk; the history before it
                    // stands.
                    right.remove(LAST).unwrap();
                }
                right.insert("traces/mine.json".to_owned(), Digest::of(b"mine"));
                assert_eq!(machine.files(), right, "{case}");
                let spared = matches!(what, "checkpoint" | "first commit" | "last commit")
                    || damage == Damage::Oversized
                    || what == "pack";
                assert!(spared, "{case} was not noticed");
            }
            assert_eq!(machine.read("traces/mine.json").unwrap(), b"mine", "{case}");
            if ran.code == Some(5) {
                assert_eq!(tree(&bucket), before, "{case}: the bucket was changed");
            }
            assert_eq!(one.files(), files, "{case}");
            std::fs::write(&object, &whole).unwrap();
        }
    }
    one.sync().await;
    one.good(&["verify", "--deep"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_of_this_device_stops_it_before_it_does_anything() {
    let folder = fresh_folder();
    let one = Machine::with_folder(folder.path(), "one");
    one.good(&["init"]).await;
    (0..25).for_each(|number| one.write(&format!("traces/{number}.json"), format!("trace {number}")));
    one.sync().await;
    let bucket = folder.path().join("bucket");
    one.write("traces/new.json", "not sent yet");
    one.delete("traces/3.json");
    let before = (one.files(), tree(&bucket));
    // The journal and the pending commit as a crash may leave them: an apply of nothing, and a
    // commit that was made.
    let journal = br#"{"format":1,"id":"0000000000000001-0badcafe","commit":"","items":[]}"#.to_vec();
    let pending = {
        let path = one.root.join("sync/pending");
        let record = LastSync::load(&RealFs, &one.root.join("sync/last_sync.json")).unwrap().unwrap();
        let object = std::fs::read(objects(folder.path(), "commits/").remove(0)).unwrap();
        Pending { record, object }.save(&RealFs, &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        bytes
    };
    for name in [".cogzy-vault", "sync/last_sync.json", "sync/applying", "sync/pending"] {
        let made = match name {
            "sync/applying" => Some(&journal),
            "sync/pending" => Some(&pending),
            _ => None,
        };
        let path = one.root.join(name);
        let whole = made.cloned().unwrap_or_else(|| std::fs::read(&path).unwrap());
        for damage in ALL {
            if name.ends_with("pending") && damage == Damage::Newer {
                continue; // It has no format of its own: its parts have.
            }
            std::fs::write(&path, damage.of(&whole)).unwrap();
            let case = format!("{name} {damage:?}");
            for args in [&["sync"][..], &["sync", "--json"]] {
                let ran = one.run(args).await;
                assert_eq!(ran.code, Some(5), "{case}: {ran:#?}");
                assert!(names(&ran, &path), "{case} is not named: {ran:#?}");
                let is_told =
                    if args.len() == 1 { ran.stdout.is_empty() } else { ran.json()["error"].is_object() };
                assert!(ran.stderr.contains("next: ") && is_told, "{case}: {ran:#?}");
                assert_eq!((one.files(), tree(&bucket)), before, "{case}: something was changed");
            }
        }
        match made {
            Some(_) => std::fs::remove_file(&path).unwrap(),
            None => std::fs::write(&path, &whole).unwrap(),
        }
    }
    // Undamaged, both are taken up.
    std::fs::write(one.root.join("sync/applying"), journal).unwrap();
    std::fs::write(one.root.join("sync/pending"), pending).unwrap();
    let (first, report) = (objects(folder.path(), "commits/").len(), one.sync().await);
    assert_eq!(report["deleted_remote"], 1, "{report}");
    assert_eq!(objects(folder.path(), "commits/").len(), first + 1, "the pending commit was made twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_bit_of_the_record_flips_nothing_is_deleted_or_reverted() {
    let folder = fresh_folder();
    let [one, two] = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name));
    one.good(&["init"]).await;
    (0..25).for_each(|number| one.write(&format!("traces/{number}.json"), format!("trace {number}")));
    one.sync().await;
    two.good(&["init"]).await;
    two.sync().await;
    let (files, path) = (one.files(), one.root.join("sync/last_sync.json"));
    let whole = std::fs::read(&path).unwrap();
    for position in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bent = whole.clone();
        bent[position] ^= 1 << (position % 3);
        std::fs::write(&path, &bent).unwrap();
        let ran = one.run(&["sync"]).await;
        let record = String::from_utf8_lossy(&bent);
        assert!(matches!(ran.code, Some(0 | 4 | 5)), "{ran:#?} {record}");
        assert_eq!(one.files(), files, "{ran:#?} {record}");
        two.sync().await;
        assert_eq!(two.files(), files, "{ran:#?} {record}");
        std::fs::write(&path, &whole).unwrap();
    }
    one.sync().await;
    two.good(&["verify", "--deep"]).await;
}
