//! What was computed from memories, beside a merge of them: a flat index is rewritten, everything
//! else is left out until it is computed again.

use std::path::Path;

use cogzy_engine::sync::Report;
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memories::Memories;
use serde_json::json;

use super::merge_by_hand::{lay, put, read, ten, two_machines, write};
use super::merge_unasked::{agreed, bucket, changed, sync};
use crate::support::daemon::Daemon;
use crate::support::device::{Device, collect};
use crate::support::process::Machine;
use crate::support::socket;

const CLUSTERS: &str = "indexes/clusters.json";
const GRAPH: &str = "indexes/nodes.hnsw.index";

/// Clusters of so many memories.
fn clusters(count: usize) -> String {
    json!({"assignments": vec![0; count], "of": count}).to_string()
}

/// An index of a family that is not rewritten.
fn graph(count: usize) -> String {
    format!("IxHO of {count} memories")
}

/// Writes memories with all that is computed from them.
fn write_all(device: &Device, memories: &Memories) {
    write(device, memories);
    device.write(CLUSTERS, clusters(memories.len()));
    device.write(GRAPH, graph(memories.len()));
}

/// Derived members that the newest generation lacks, and whether this device made it.
fn left_out(device: &mut Device) -> Vec<(Vec<&'static str>, bool)> {
    let name = |path: &cogzy_engine::model::VaultPath| {
        [CLUSTERS, GRAPH].into_iter().find(|known| *known == path.as_str()).unwrap()
    };
    let left_out = device.engine().left_out();
    left_out.iter().map(|one| (one.paths.iter().map(name).collect(), one.ours)).collect()
}

async fn pair(folder: &Path) -> [Device; 2] {
    let mut devices = agreed(folder, bucket()).await;
    write_all(&devices[0], &ten());
    sync(&mut devices).await;
    assert_eq!(devices[1].text(CLUSTERS), Some(clusters(10)), "a derived member that is nowhere is sent");
    devices
}

/// Each writes its version, and that of the second device comes too late.
async fn both_write(devices: &mut [Device; 2], here: &Memories, there: &Memories) -> Report {
    write_all(&devices[0], there);
    write_all(&devices[1], here);
    devices[0].sync().await;
    devices[1].sync().await
}

#[tokio::test]
async fn memories_are_merged_without_the_clusters_and_the_graph_of_either_side() {
    let folder = fresh_folder();
    let mut devices = pair(folder.path()).await;
    let (here, there, both) = changed();
    let report = both_write(&mut devices, &here, &there).await;
    assert_eq!((report.merged.len(), report.conflicts.len(), report.holds.len()), (1, 0, 0), "{report:?}");
    let report = devices[0].sync().await;
    assert_eq!((report.deleted_local, report.holds.len()), (2, 0), "{report:?}");
    sync(&mut devices).await;
    for device in &mut devices {
        assert_eq!(read(device), both, "{}", device.name);
        assert_eq!((device.read(CLUSTERS), device.read(GRAPH)), (None, None), "{}", device.name);
        let mut trash = std::collections::BTreeMap::new();
        collect(&device.root, &device.root.join("sync/trash"), &mut trash);
        for file in [clusters(there.len()), graph(there.len())] {
            let digest = cogzy_engine::model::Digest::of(file.as_bytes());
            assert!(trash.values().any(|one| *one == digest), "{} of {}", file, device.name);
        }
        assert!(device.engine().conflicts().await.unwrap().is_empty());
    }
    assert!(devices[0].verify().await.faults.is_empty());
    assert_eq!(left_out(&mut devices[0]), [(vec![CLUSTERS, GRAPH], false)]);
    assert_eq!(left_out(&mut devices[1]), [(vec![CLUSTERS, GRAPH], true)]);

    // Whoever computes them first sends them, and the next merge leaves them out again.
    devices[1].write(CLUSTERS, clusters(both.len()));
    sync(&mut devices).await;
    assert_eq!(devices[0].files(), devices[1].files());
    assert_eq!(devices[0].text(CLUSTERS), Some(clusters(both.len())));
    assert_eq!(left_out(&mut devices[0]), [(vec![GRAPH], false)]);
    devices[0].write(GRAPH, graph(both.len()));
    sync(&mut devices).await;
    assert_eq!(devices[0].files(), devices[1].files());
    for device in &mut devices {
        assert_eq!(left_out(device), []);
    }
    let (mut here, mut there) = (both.clone(), both);
    put(&mut here, "here again", "here again", 80.0);
    put(&mut there, "there again", "there again", 81.0);
    both_write(&mut devices, &here, &there).await;
    sync(&mut devices).await;
    assert_eq!((devices[0].text(CLUSTERS), left_out(&mut devices[1]).len()), (None, 1));
}

/// Both wrote the same, or one of them only what changes by itself: what one of them computed
/// belongs to the result.
#[tokio::test]
async fn what_was_computed_for_the_result_stays() {
    let folder = fresh_folder();
    let mut devices = pair(folder.path()).await;
    let mut more = ten();
    put(&mut more, "new", "written by both", 70.0);
    write_all(&devices[0], &more);
    write_all(&devices[1], &more);
    // One app spells it in another way.
    let spaced = devices[1].text("corpus/nodes.json").unwrap().replace("\"version\":1", "\"version\": 1");
    devices[1].write("corpus/nodes.json", spaced);
    devices[0].sync().await;
    let report = devices[1].sync().await;
    assert_eq!(report.merged.len(), 1, "{report:?}");
    sync(&mut devices).await;
    for device in &devices {
        assert_eq!(read(device), more);
        assert_eq!(device.text(CLUSTERS), Some(clusters(more.len())), "{}", device.name);
        assert_eq!(device.text(GRAPH), Some(graph(more.len())), "{}", device.name);
    }
}

/// Two machines whose memories have clusters; `rebuild` is the second one's program for them.
async fn machines(folder: &Path, rebuild: &str) -> [Machine; 2] {
    let program = folder.join("rebuild.sh");
    std::fs::write(&program, rebuild).unwrap();
    let hooks = format!("[hooks]\nrebuild = [\"/bin/sh\", {:?}]\n", program.to_str().unwrap());
    let [one, two] = two_machines(folder, &hooks).await;
    one.write(CLUSTERS, clusters(10));
    one.sync().await;
    two.sync().await;
    assert!(two.read(CLUSTERS).is_some());
    [one, two]
}

/// Both write, and the second one merges under its daemon.
async fn merged_by_a_daemon([one, two]: &[Machine; 2]) -> Daemon {
    let (here, there, _) = changed();
    for (machine, memories) in [(one, &there), (two, &here)] {
        lay(machine, memories);
        machine.write(CLUSTERS, clusters(memories.len()));
    }
    one.sync().await;
    Daemon::start(two).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_that_merged_has_what_was_left_out_computed_again_and_sends_it() {
    let folder = fresh_folder();
    let count = changed().2.len();
    let told = folder.path().join("told");
    // It hears what is missing, and finds that no generation is put in place meanwhile.
    let script = format!(
        "cat > '{told}'\nprintf '%s' '{clusters}' > '{root}/{CLUSTERS}'\necho 'all clusters computed'\n",
        told = told.display(),
        clusters = clusters(count),
        root = Machine::with_folder(folder.path(), "two").root.display(),
    );
    let machines = machines(folder.path(), &script).await;
    let mut daemon = merged_by_a_daemon(&machines).await;
    daemon.says("what was left out is computed again").await;
    let [one, two] = &machines;
    let asked: serde_json::Value = serde_json::from_slice(&std::fs::read(&told).unwrap()).unwrap();
    assert_eq!((&asked["group"], &asked["left_out"]), (&json!("nodes"), &json!([CLUSTERS])), "{asked}");
    socket::until(two, "whole", |status| status["left_out"].is_null()).await;
    let events = two.good(&["events", "--json"]).await.json();
    let told = events["events"].as_array().unwrap().iter().filter(|event| event["event"] == "left-out");
    let told: Vec<_> = told.map(|event| (&event["left_out"][0], &event["rebuild"]["last_line"])).collect();
    assert_eq!(told[0], (&json!(CLUSTERS), &json!(null)));
    assert!(told.contains(&(&json!(CLUSTERS), &json!("all clusters computed"))), "{told:?}");
    assert_eq!(told.last().map(|told| told.0), Some(&json!(null)), "{told:?}");
    assert_eq!(daemon.terminate().await.0, Some(0));
    one.sync().await;
    assert_eq!(one.read(CLUSTERS), Some(clusters(count).into_bytes()));
    assert_eq!(one.files(), two.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_is_told_with_its_last_line_and_the_memories_are_merged_all_the_same() {
    let folder = fresh_folder();
    let machines = machines(folder.path(), "echo 'no module named faiss' >&2\nexit 3\n").await;
    let mut daemon = merged_by_a_daemon(&machines).await;
    daemon.says("`hooks.rebuild` failed").await;
    let [one, two] = &machines;
    let failed = |status: &serde_json::Value| status["left_out"][0]["rebuild"]["state"] == "failed";
    let status = socket::until(two, "told as failed", failed).await;
    assert_eq!(status["left_out"][0]["left_out"], json!([CLUSTERS]), "{status}");
    let told = two.run(&["status"]).await.stdout;
    assert!(told.contains("nodes is without indexes/clusters.json"), "{told}");
    assert!(told.contains("failed: no module named faiss"), "{told}");
    assert_eq!(daemon.terminate().await.0, Some(0));
    one.sync().await;
    assert_eq!(one.read(CLUSTERS), None);
    // Without a daemon, too, and on the device that did not merge.
    let status = one.good(&["status", "--json"]).await.json();
    assert_eq!(status["left_out"][0]["left_out"], json!([CLUSTERS]), "{status}");
}
