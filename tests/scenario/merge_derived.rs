//! What was computed from memories, beside a merge of them: a flat index is rewritten, everything else
//! is left out until it is computed again.

use std::path::Path;

use cogzy_engine::sync::Report;
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memories::Memories;
use serde_json::json;

use super::merge_by_hand::{put, read, ten, write};
use super::merge_unasked::{agreed, bucket, changed, sync};
use crate::support::device::{Device, collect};

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

/// Both wrote the same, or one of them only what changes by itself: what one of them computed belongs
/// to the result.
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
