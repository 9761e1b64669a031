//! Objects that an attacker made to fill the memory of their readers. This process reads them all,
//! one after the other, and the kernel tells how much memory each took.

#![cfg(test)]
#![cfg(target_os = "linux")]

#[path = "../support/joining.rs"]
mod joining;
mod made;

use std::collections::BTreeSet;
use std::sync::Arc;

use cogzy_engine::clock::SystemEntropy;
use cogzy_engine::content::{ChunkIndex, ReadLimits, join_ranges};
use cogzy_engine::log::{ChunkReader, Contents, Leaves};
use cogzy_engine::model::{Content, Group, Groups, Validate};
use cogzy_engine::remote::{FolderRemote, MemoryRemote, Remote};

use joining::looked_into;

/// Most memory that reading one of them may take, in bytes, together with the process's own.
const MOST: u64 = 150_000_000;

/// Peak memory of the process since [`forget_peak`], in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// A vault with these objects beside its header.
async fn vault(objects: impl IntoIterator<Item = (String, Vec<u8>)>) -> Arc<dyn Remote> {
    let remote = MemoryRemote::default();
    joining::header(&remote).await;
    for (key, bytes) in objects {
        remote.put(&key, bytes.into()).await.unwrap();
    }
    Arc::new(remote)
}

/// 830 bytes that claim to be a file of a terabyte: four lists of 512 lists each.
async fn a_deep_recipe() {
    let deep = made::deep_recipe();
    let remote: Arc<dyn Remote> = vault([deep.stored]).await;
    let reader = ChunkReader::new(remote);
    let index: ChunkIndex = [deep.pack.clone()].into_iter().collect();
    for size in [1000, deep.content.size] {
        let content = Content { size, ..deep.content };
        let listed = reader.list_chunks(&index, &Leaves::new(), content, Some(&deep.recipe)).await;
        assert_eq!(listed.is_ok_and(|listed| listed.missing.is_none()), size == deep.content.size, "{size}");
        let leaves = Leaves::new();
        let mut walk = reader.walk(&index, &leaves, content, Some(&deep.recipe)).await.unwrap();
        for _ in 0..100 {
            if walk.next(16 << 10).await.is_err() {
                break;
            }
        }
        let mut contents = Contents::default();
        contents.all.insert(content.digest, content);
        contents.recipes.insert(content.digest, deep.recipe.clone());
        let packs = [Arc::new(deep.pack.clone())];
        drop(reader.places(&contents, &packs, [], &[]).await);
    }
}

/// 283 kB that unpack to 6 GB.
async fn a_pack_of_bombs() {
    let (info, bytes) = made::bombs(1500);
    assert!(bytes.len() < 400_000, "{}", bytes.len());
    let remote: Arc<dyn Remote> = vault([(cogzy_engine::log::pack_key(info.id), bytes)]).await;
    let reader = ChunkReader::new(remote);
    let slots: Vec<_> = info.chunks.iter().map(|slot| (info.id, *slot)).collect();
    let mut read = BTreeSet::new();
    for joined in join_ranges(&slots, ReadLimits::AT_ONCE).into_iter().take(40) {
        read.extend(reader.read(joined).await.unwrap().into_iter().map(|(id, _)| id));
    }
    for whole in join_ranges(&slots, ReadLimits::IN_PARTS) {
        let body = reader.fetch(&whole).await.unwrap();
        for (part, bytes) in ChunkReader::parts(whole, &body).into_iter().take(400) {
            read.extend(reader.open(&part, &bytes).unwrap().into_iter().map(|(id, _)| id));
        }
    }
    assert!(read.len() > 100);
    assert!(reader.collect(&slots).await.is_err(), "nobody gathers gigabytes");
}

/// A chunk that claims to be stored in 4 GiB.
async fn a_slot_without_an_end() {
    let (mut info, _) = made::bombs(1);
    info.chunks[0].stored = u32::MAX;
    info.chunks[0].len = u32::MAX;
    info.size = u64::from(u32::MAX) + 100;
    let commit = made::commit(&serde_json::json!({ "packs": [info] }));
    looked_into(&vault([commit]).await).await;
    let checkpoint = made::checkpoint(&info, 1, 1);
    looked_into(&vault([checkpoint]).await).await;
}

/// A state of 2.9 GB: the same piece, 700 times.
async fn a_piece_again_and_again() {
    let (info, bytes) = made::bombs(1);
    let pack = (cogzy_engine::log::pack_key(info.id), bytes);
    for times in [700, 400] {
        let size = times as u64 * (4 << 20);
        looked_into(&vault([made::checkpoint(&info, times, size), pack.clone()]).await).await;
    }
}

/// 32 kB that unpack to a gigabyte, of white space and of names.
async fn a_commit_that_unpacks_to_a_gigabyte() {
    for plain in [" ", "\"", "[", "[{},", "{\"a\":0,", "{\"format\":1,\"changes\":[{\"path\":\""] {
        looked_into(&vault([made::packed_commit(plain, 1 << 30)]).await).await;
    }
}

async fn a_bomb_of_globs() {
    let bombs = ["{a,".repeat(10_000), "?".repeat(1 << 20), "[!a]".repeat(100_000), "**/".repeat(300_000)];
    let group = |name: usize, pattern: &str, times: usize| Group {
        name: format!("g{name}"),
        primary: vec![pattern.to_owned(); times],
        derived: Vec::new(),
        validate: Validate::Off,
    };
    for bomb in &bombs {
        Groups::new(vec![group(0, bomb, 1)]).unwrap_err();
    }
    // Objects at the limit of what is allowed.
    for piece in ["?", "[!a]", "**/", "{a,b}", "{*,?}"] {
        let pattern = piece.repeat(512 / piece.len());
        drop(Groups::new(vec![group(0, &pattern, 32)]));
        let few: Vec<Group> = (0..64).map(|name| group(name, &piece.repeat(32 / piece.len()), 8)).collect();
        drop(Groups::new(few));
    }
}

/// A file of 2 TiB where a commit, a header or a pack belongs.
async fn an_object_of_two_tebibytes() {
    let folder = tempfile::tempdir().unwrap();
    let remote = FolderRemote::create(folder.path(), Arc::new(SystemEntropy)).await.unwrap();
    joining::header(&remote).await;
    let (info, _) = made::bombs(1);
    let commit = made::commit(&serde_json::json!({ "packs": [info] }));
    for key in [&commit.0, &cogzy_engine::log::pack_key(info.id), &joining::another_header()] {
        let path = folder.path().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(path).unwrap().set_len(2 << 40).unwrap();
    }
    let remote: Arc<dyn Remote> = Arc::new(remote);
    assert!(ChunkReader::new(Arc::clone(&remote)).whole(info.id).await.is_err());
    looked_into(&remote).await;
}

#[tokio::test]
async fn no_object_that_somebody_made_up_fills_the_memory() {
    macro_rules! held {
        ($($case:ident),*) => { $({
            forget_peak();
            $case().await;
            let peak = peak();
            println!("{:6.1} MB  {}", peak as f64 / 1e6, stringify!($case));
            assert!(peak < MOST, "{} took {peak} bytes", stringify!($case));
        })* };
    }
    held!(
        a_deep_recipe,
        a_pack_of_bombs,
        a_slot_without_an_end,
        a_piece_again_and_again,
        a_commit_that_unpacks_to_a_gigabyte,
        a_bomb_of_globs,
        an_object_of_two_tebibytes
    );
}
