//! Several devices at the same instant, each a process.

use std::collections::BTreeSet;

use cogzy_engine::model::Digest;
use cogzy_testkit::{amount, fresh_folder};

use crate::support::history::Bucket;
use crate::support::process::Machine;
use crate::support::s3_server::S3Server;

/// The texts of the versions that lost and are listed. A machine holds each of them: aside, or at
/// its path, where a version that lost in one merge stands in another.
fn kept(machines: &[&Machine], listed: &serde_json::Value) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for conflict in listed["conflicts"].as_array().unwrap() {
        let (id, files) = (conflict["id"].as_str().unwrap(), conflict["files"].as_array().unwrap());
        for file in files {
            let path = format!("sync/conflicts/{id}/files/{}", file["path"].as_str().unwrap());
            let place = file["path"].as_str().unwrap();
            let lost: Option<&str> = file["entry"]["digest"].as_str();
            let stands = |machine: &&Machine| {
                machine.read(place).filter(|bytes| lost == Some(Digest::of(bytes).to_string().as_str()))
            };
            let aside = machines.iter().find_map(|machine| machine.read(&path));
            let held = aside.or_else(|| machines.iter().copied().find_map(|machine| stands(&machine)));
            texts.insert(String::from_utf8(held.unwrap_or_else(|| panic!("nobody holds {path}"))).unwrap());
        }
    }
    texts
}

/// Lets both write, every round, files of their own and one that both write, and sync at once.
async fn rounds(one: &Machine, two: &Machine, bucket: &Bucket, rounds: usize) {
    one.good(&["init"]).await;
    two.good(&["init"]).await;
    // Both have joined before they race: a device that joins with a file that differs from the
    // bucket's is asked first.
    one.write("traces/first.json", "first");
    one.sync().await;
    two.sync().await;
    let mut written = BTreeSet::new();
    for round in 0..rounds {
        for machine in [one, two] {
            let text = format!("{} {round}", machine.name);
            machine.write(&format!("traces/{}-{round}.json", machine.name), &text);
            machine.write("traces/both.json", &text);
            written.insert(text);
        }
        tokio::join!(one.sync(), two.sync());
        // The first one has not seen the other yet, and the one that merged has not told.
        one.sync().await;
        two.sync().await;
        one.sync().await;
        assert_eq!(one.files(), two.files(), "round {round}");
        assert_eq!(one.read("sync/manifest.json"), two.read("sync/manifest.json"), "round {round}");
        assert_eq!(bucket.heads().await.len(), 1, "round {round}");
    }
    let commits = bucket.count("commits/").await;
    for machine in [one, two, one, two] {
        let report = machine.sync().await;
        assert_eq!((&report["pushed"], &report["pulled"]), (&0.into(), &0.into()), "{report}");
    }
    assert_eq!(bucket.count("commits/").await, commits, "what is in sync commits nothing");
    let files = one.files();
    for round in 0..rounds {
        for name in ["one", "two"] {
            let path = format!("traces/{name}-{round}.json");
            assert_eq!(one.read(&path).unwrap(), format!("{name} {round}").as_bytes(), "{path}");
            assert!(files.contains_key(&path));
        }
    }
    // Of the file that both wrote, every text either stood in a generation or is listed.
    let listed = [one, two].map(|machine| async { machine.good(&["conflicts", "--json"]).await.json() });
    let [ours, theirs] = listed;
    let (ours, theirs) = (ours.await, theirs.await);
    let ids = |list: &serde_json::Value| -> BTreeSet<String> {
        list["conflicts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&ours), ids(&theirs), "both list the same conflicts");
    let kept = kept(&[one, two], &ours);
    let stood = bucket.versions("traces/both.json").await;
    for text in written {
        let digest = Digest::of(text.as_bytes());
        assert!(kept.contains(&text) || stood.contains(&digest), "{text:?} is nowhere");
    }
    assert!(kept.len() >= rounds, "{} of {rounds} losers are kept", kept.len());
    one.good(&["verify", "--deep"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_commit_at_once_in_a_folder_end_up_with_one_head() {
    let folder = fresh_folder();
    let (one, two) = (Machine::with_folder(folder.path(), "one"), Machine::with_folder(folder.path(), "two"));
    // The folder is made by the first `init`.
    one.good(&["init"]).await;
    rounds(&one, &two, &Bucket::in_folder(folder.path()).await, amount(5, 25)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_commit_at_once_over_s3_end_up_with_one_head() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let machine = |name| Machine::with_server(folder.path(), name, &server);
    rounds(&machine("one"), &machine("two"), &Bucket::on_server(&server).await, amount(5, 25)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_devices_that_join_an_empty_bucket_at_once_end_up_in_one_vault() {
    for (round, at_once) in [(0, false), (1, true), (2, true)] {
        let folder = fresh_folder();
        let server = S3Server::start().await;
        let machines = ["one", "two", "three"].map(|name| Machine::with_server(folder.path(), name, &server));
        for machine in &machines {
            machine.write(&format!("traces/{}.json", machine.name), &machine.name);
            machine.write("traces/common.json", format!("common, by {}", machine.name));
        }
        let [one, two, three] = &machines;
        let init = ["init", "--join"];
        tokio::join!(one.good(&init), two.good(&init), three.good(&init));
        if at_once {
            tokio::join!(one.sync(), two.sync(), three.sync());
        }
        for machine in [&machines, &machines].into_iter().flatten() {
            machine.sync().await;
        }
        let vaults: BTreeSet<String> = machines
            .iter()
            .map(|machine| {
                let marker = machine.read(".cogzy-vault").unwrap();
                let marker: serde_json::Value = serde_json::from_slice(&marker).unwrap();
                marker["vault"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(vaults.len(), 1, "round {round}: {vaults:?}");
        let bucket = Bucket::on_server(&server).await;
        assert_eq!(bucket.heads().await.len(), 1, "round {round}");
        let files = one.files();
        assert!(files == two.files() && files == three.files(), "round {round}");
        assert_eq!(files.len(), 4, "round {round}: {files:?}");
        let listed = one.good(&["conflicts", "--json"]).await.json();
        let mut common = kept(&[one, two, three], &listed);
        common.insert(String::from_utf8(one.read("traces/common.json").unwrap()).unwrap());
        assert_eq!(common.len(), 3, "round {round}: {common:?}");
        two.good(&["verify", "--deep"]).await;
    }
}
