//! A commit is made once, whatever happens to the answer to its PUT and to the process that sent
//! it.
//!
//! The changes here are copies of content that the bucket holds already, so that the commit's is
//! the only PUT.

use cogzy_engine::model::Digest;
use cogzy_testkit::fresh_folder;

use crate::support::history::Bucket;
use crate::support::process::Machine;
use crate::support::s3_server::{Loss, S3Server};

const TEXT: &str = "content that the bucket holds";

struct World {
    _folder: tempfile::TempDir,
    server: S3Server,
    bucket: Bucket,
    one: Machine,
    two: Machine,
}

async fn world() -> World {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let [one, two] = ["one", "two"].map(|name| Machine::with_server(folder.path(), name, &server));
    one.good(&["init"]).await;
    two.good(&["init"]).await;
    one.write("traces/first.json", TEXT);
    one.sync().await;
    two.sync().await;
    let bucket = Bucket::on_server(&server).await;
    World { _folder: folder, server, bucket, one, two }
}

impl World {
    /// Counts the commits that say that `path` is now there.
    async fn commits_of(&self, path: &str) -> usize {
        let mut log = self.bucket.log().await;
        let path = cogzy_engine::model::VaultPath::new(path).unwrap();
        let nodes: Vec<_> = log.graph().iter().map(|(key, node)| (key, node.parents.clone())).collect();
        let mut found = 0;
        for (key, parents) in nodes {
            let here = log.snapshot(Some(key)).await.unwrap().tree.contains_key(&path);
            let mut before = false;
            for parent in parents {
                before |= log.snapshot(Some(parent)).await.unwrap().tree.contains_key(&path);
            }
            found += usize::from(here && !before);
        }
        found
    }

    /// Lets both sync until nothing is new, and asserts that both hold `paths`, each committed
    /// once.
    async fn settled_with(&self, paths: &[&str]) {
        for machine in [&self.one, &self.two, &self.one, &self.two] {
            machine.sync().await;
        }
        assert_eq!(self.one.files(), self.two.files());
        for path in paths {
            assert_eq!(self.one.files().get(*path), Some(&Digest::of(TEXT.as_bytes())), "{path}");
            assert_eq!(self.commits_of(path).await, 1, "{path} was committed more than once");
        }
        assert_eq!(self.bucket.heads().await.len(), 1);
        for machine in [&self.one, &self.two] {
            assert!(!machine.root.join("sync/pending").exists());
            let listed = machine.good(&["conflicts", "--json"]).await.json();
            assert_eq!(listed["conflicts"].as_array().unwrap().len(), 0, "{listed}");
        }
        let commits = self.bucket.count("commits/").await;
        for machine in [&self.one, &self.two] {
            machine.sync().await;
        }
        assert_eq!(self.bucket.count("commits/").await, commits);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_made_once() {
    let world = world().await;
    for (path, loss) in [("traces/broken.json", Loss::Break), ("traces/error.json", Loss::Error)] {
        world.one.write(path, TEXT);
        world.server.lose_next_put(loss);
        let report = world.one.sync().await;
        assert_eq!(report["pushed"], 1, "{report}");
        world.settled_with(&[path]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_process_died_before_the_answer_is_made_once() {
    for loss in [Loss::Break, Loss::Error] {
        let world = world().await;
        world.one.write("traces/new.json", TEXT);
        world.server.lose_next_put(loss);
        let before = world.bucket.count("commits/").await;
        let mut child = world.one.command(&["sync"]).spawn().unwrap();
        world.server.lost().await;
        // Its later requests must not come through: the test is about the run after it.
        world.server.stall();
        child.kill().await.unwrap();
        world.server.resume();
        assert_eq!(world.bucket.count("commits/").await, before + 1, "{loss:?}: the PUT was applied");
        assert!(world.one.root.join("sync/pending").exists(), "{loss:?}: and the device does not know");

        // The file is edited, and another device builds on the commit, before the first one comes
        // back.
        world.one.write("traces/later.json", TEXT);
        world.two.write("traces/other.json", TEXT);
        world.two.sync().await;
        world.settled_with(&["traces/new.json", "traces/later.json", "traces/other.json"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_refused_is_sent_again_as_it_was() {
    let world = world().await;
    world.one.write("traces/new.json", TEXT);
    // Every attempt of this run fails, and is applied when no device expects it any more.
    world.server.delay_next_puts(100);
    let ran = world.one.run(&["sync", "--json"]).await;
    ran.expect(3, &["error: ", "next: "]);
    assert!(world.one.root.join("sync/pending").exists());
    world.server.delay_next_puts(0);
    // It is deleted again; the commit says that it was there, and the next that it is gone.
    world.one.delete("traces/new.json");
    let report = world.one.sync().await;
    assert_eq!(report["deleted_remote"], 1, "{report}");
    world.server.release_late_puts();
    world.settled_with(&[]).await;
    assert_eq!(world.commits_of("traces/new.json").await, 1);
    assert!(
        !world.one.files().contains_key("traces/new.json"),
        "a late PUT of an old commit brings nothing back"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_arrives_seventy_generations_late_is_merged() {
    let world = world().await;
    world.one.write("traces/late.json", TEXT);
    world.server.delay_next_puts(100);
    world.one.run(&["sync"]).await.expect(3, &[]);
    world.server.delay_next_puts(0);
    // More generations than a poll looks back.
    for number in 0..70 {
        world.two.write(&format!("traces/{number}.json"), TEXT);
        world.two.sync().await;
    }
    assert_eq!(world.bucket.head().await.seq(), 71);
    world.server.release_late_puts();
    let report = world.two.sync().await;
    assert_eq!(report["pulled"], 1, "{report}");
    assert_eq!(world.two.read("traces/late.json").unwrap(), TEXT.as_bytes());
    world.settled_with(&["traces/late.json", "traces/0.json", "traces/69.json"]).await;
    assert_eq!(world.one.files().len(), 72);
}
