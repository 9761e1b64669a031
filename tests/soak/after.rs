//! The checks once all is calm: all machines come to hold the same, nothing is lost, nothing is
//! damaged, and no generation is half of two.

use std::collections::{BTreeMap, BTreeSet};

use cogzy_engine::model::Digest;

use crate::support::device::collect;
use crate::support::history::Bucket;
use crate::support::process::Machine;
use crate::support::s3_server::S3Server;
use crate::users::{MEMBERS, Users};

/// Within so many rounds all must be the same.
const ROUNDS: usize = 12;

pub async fn check(machines: &[Machine], server: &S3Server, users: &Users) {
    converge(machines).await;
    let bucket = Bucket::on_server(server).await;
    let mut log = bucket.log().await;
    assert_eq!(log.graph().heads().len(), 1, "there is more than one head");
    let keys: Vec<_> = log.graph().iter().map(|(key, _)| key).collect();
    let mut somewhere: BTreeSet<Digest> = BTreeSet::new();
    for &key in &keys {
        let snapshot = log.snapshot(Some(key)).await.unwrap();
        let runs: BTreeMap<&str, Option<usize>> = MEMBERS
            .iter()
            .filter_map(|path| {
                let entry = snapshot.tree.iter().find(|(at, _)| at.as_str() == *path)?.1;
                Some((*path, users.run_of(&entry.digest)))
            })
            .collect();
        assert!(
            runs.values().collect::<BTreeSet<_>>().len() < 2,
            "generation {key} is half of two: {runs:?}"
        );
        somewhere.extend(snapshot.tree.values().map(|entry| entry.digest));
        let kept = snapshot.conflicts.values().flat_map(|conflict| &conflict.files);
        somewhere.extend(kept.filter_map(|file| file.entry).map(|entry| entry.digest));
    }
    for machine in machines {
        let mut files = machine.files();
        let conflicts = machine.root.join("sync/conflicts");
        if conflicts.exists() {
            collect(&machine.root, &conflicts, &mut files);
        }
        somewhere.extend(files.values());
    }
    let lost: Vec<_> = users.owed().filter(|(_, _, digest)| !somewhere.contains(digest)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    for machine in machines {
        machine.good(&["verify", "--deep"]).await;
    }
    println!("all is well after {} generations", keys.len());
}

/// Syncs in turn until nothing moves any more and all are the same.
async fn converge(machines: &[Machine]) {
    let mut last = Vec::new();
    for _ in 0..ROUNDS {
        last.clear();
        for machine in machines {
            let ran = machine.run(&["sync", "--json"]).await;
            match ran.code {
                Some(0) => {
                    let report = ran.json();
                    let count = |name: &str| report[name].as_u64().unwrap();
                    let moved: u64 =
                        ["pushed", "pulled", "deleted_local", "deleted_remote"].map(count).iter().sum();
                    if moved > 0 {
                        last.push(format!("{} moved {moved}", machine.name));
                    }
                }
                Some(4) => {
                    machine.good(&["approve"]).await;
                    last.push(format!("{} had something held", machine.name));
                }
                _ => last.push(format!("{} could not sync: {ran:?}", machine.name)),
            }
        }
        let first = machines[0].files();
        if last.is_empty() && machines.iter().all(|machine| machine.files() == first) {
            return;
        }
    }
    panic!("not the same after {ROUNDS} rounds: {last:#?}");
}
