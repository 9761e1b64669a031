//! docs/RECOVERY.md, tried: the commands of each section, in their order, in the situation that it
//! describes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::remote::{Remote, Span, list_all};
use cogzy_testkit::fresh_folder;
use serde_json::Value;

use crate::support::device::synced_files;
use crate::support::foreign::ForeignBucket;
use crate::support::history::Bucket;
use crate::support::process::{Machine, Ran, noise};
use crate::support::s3_server::S3Server;

/// The place of a test's backup.
enum Store {
    Folder,
    Bucket(S3Server),
    /// Below a prefix of its own.
    Foreign(ForeignBucket, String),
}

/// A situation: machines on one store, in a folder that ends with the test.
struct Place {
    folder: Arc<tempfile::TempDir>,
    store: Store,
}

impl Place {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A machine with a vault that is in sync: three generations of a group, thirty traces.
    async fn machine(&self, name: &str) -> Machine {
        let machine = self.bare(name);
        machine.good(&["init"]).await;
        machine
    }

    fn bare(&self, name: &str) -> Machine {
        match &self.store {
            Store::Folder => Machine::with_folder(self.path(), name),
            Store::Bucket(server) => Machine::with_server(self.path(), name, server),
            Store::Foreign(bucket, _) => {
                Machine::with_s3(self.path(), name, &self.url("memory"), bucket.endpoint.clone())
            }
        }
    }

    /// The arguments that lead the machines' commands to their place.
    async fn remote(&self) -> Arc<dyn Remote> {
        match &self.store {
            Store::Folder => Bucket::in_folder(self.path()).await.remote(),
            Store::Bucket(server) => Bucket::on_server(server).await.remote(),
            Store::Foreign(bucket, prefix) => bucket.remote(&format!("{prefix}/memory/users/default")).await,
        }
    }

    async fn filled(&self) -> Machine {
        let machine = self.machine("one").await;
        for number in 0..30 {
            machine.write(&format!("traces/{number}.json"), format!("{{\"trace\":{number}}}"));
        }
        for version in ["first", "second", "third"] {
            corpus(&machine, version);
            machine.sync().await;
        }
        machine
    }

    fn url(&self, name: &str) -> String {
        match &self.store {
            Store::Folder => format!("file://{}", self.path().canonicalize().unwrap().join(name).display()),
            Store::Bucket(_) => format!("s3://test-bucket/{name}"),
            Store::Foreign(bucket, prefix) => format!("s3://{}/{prefix}/{name}", bucket.name),
        }
    }

    /// Deletes everything below `prefix`, like a careless user.
    async fn empty(&self, prefix: &str) {
        let remote = self.remote().await;
        for object in list_all(remote.as_ref(), prefix, None).await.unwrap() {
            remote.delete(&object.key).await.unwrap();
        }
    }

    fn fresh_folder(&self) -> (String, PathBuf) {
        let path = self.path().canonicalize().unwrap().join("written");
        (path.to_str().unwrap().to_owned(), path)
    }
}

fn corpus(machine: &Machine, version: &str) {
    let nodes = format!(r#"{{"nodes":[{{"id":"n1","text":"{version}"}},{{"id":"n2","text":"same"}}]}}"#);
    machine.write("corpus/nodes.json", nodes);
    machine.write("vectors/nodes.npy", noise(version, 200_000));
    machine.write("indexes/faiss.index", noise(&format!("index {version}"), 50_000));
}

fn text(machine: &Machine, path: &str) -> String {
    String::from_utf8(machine.read(path).unwrap_or_default()).unwrap()
}

/// One command of the page.
struct Line {
    variable: Option<(String, String)>,
    words: Vec<String>,
    /// The code that the page says it ends with.
    code: i32,
}

/// The commands of a section.
fn section(title: &str) -> Vec<Line> {
    let page = include_str!("../../docs/RECOVERY.md");
    let heading = format!("## {title}\n");
    let body = page.split(&heading).nth(1).unwrap_or_else(|| panic!("no section {title:?}"));
    let body = body.split("\n## ").next().unwrap();
    let blocks = body.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines: Vec<Line> = blocks
        .flat_map(str::lines)
        .map(|line| {
            let (command, comment) = line.split_once('#').unwrap_or((line, ""));
            let code = comment.split("ends with ").nth(1).map_or(0, |code| code.trim().parse().unwrap());
            let (variable, command) = command.split_once("cogzy-vault ").unwrap_or_else(|| panic!("{line}"));
            let variable = variable.trim().split_once('=').map(|(name, value)| (name.into(), value.into()));
            Line { variable, words: command.split_whitespace().map(str::to_owned).collect(), code }
        })
        .collect();
    assert!(!lines.is_empty(), "{title} has no commands");
    lines
}

/// Runs one command of the page with the capitals filled in.
async fn step(machine: &Machine, line: &Line, filled: &[(&str, &str)]) -> Ran {
    let filled: BTreeMap<&str, &str> = filled.iter().copied().collect();
    let words: Vec<&str> =
        line.words.iter().map(|word| *filled.get(word.as_str()).unwrap_or(&word.as_str())).collect();
    let mut machine = machine.clone();
    if let Some((name, value)) = &line.variable {
        machine.set(name, value);
    }
    let ran = machine.run(&words).await;
    assert_eq!(ran.code, Some(line.code), "{words:?}: {ran:#?}");
    ran
}

/// Runs the commands of a section that has no capitals.
pub async fn run_section(machine: &Machine, title: &str) {
    for line in section(title) {
        step(machine, &line, &[]).await;
    }
}

async fn lost_laptop(place: &Place) {
    let backup = place.filled().await.files();
    let (folder, written) = place.fresh_folder();
    let fresh = place.bare("new");
    let url = place.url(match place.store {
        Store::Folder => "bucket",
        Store::Bucket(_) | Store::Foreign(..) => "memory",
    });
    let lines = section("The laptop is lost");
    for line in &lines[..3] {
        step(&fresh, line, &[("URL", &url)]).await;
    }
    assert_eq!(fresh.files(), backup);
    // On a machine that has no vault.
    let reader = place.bare("reader");
    step(&reader, &lines[3], &[("FOLDER", &folder)]).await;
    assert_eq!(synced_files(&written), backup);
    assert!(!reader.root.exists(), "an export made a vault");
}

async fn full_disk(place: &Place) {
    let machine = place.filled().await;
    let mut other = place.machine("other").await;
    other.sync().await;
    corpus(&machine, "fourth");
    machine.sync().await;
    // So that what the next sync displaces is younger than this when the page's commands run.
    other.set("COGZY_VAULT__SYNC__SETTLE", "1s");
    other.sync().await;
    let trash = |machine: &Machine| std::fs::read_dir(machine.root.join("sync/trash")).unwrap().count();
    assert!(trash(&other) > 0, "nothing was replaced");
    run_section(&other, "The disk is full").await;
    assert_eq!((trash(&other), other.files()), (0, machine.files()));
}

async fn emptied_bucket(place: &Place) {
    let mut machine = place.filled().await;
    let mut other = place.machine("other").await;
    other.sync().await;
    let before = machine.files();
    match place.store {
        // A folder that is not even there any more is another matter: a disk that is not mounted.
        Store::Folder => place.empty("commits/").await,
        Store::Bucket(_) | Store::Foreign(..) => place.empty("").await,
    }
    let url = place.url("fresh");
    let lines = section("The bucket was emptied or deleted");
    step(&machine, &lines[0], &[]).await;
    assert_eq!(machine.files(), before);
    for one in [&mut machine, &mut other] {
        one.set("COGZY_VAULT__REMOTE", url.clone());
        step(one, &lines[1], &[("URL", &url)]).await;
        step(one, &lines[2], &[]).await;
        assert_eq!(one.files(), before);
    }
    machine.good(&["verify", "--deep"]).await;
}

async fn revoked_key(place: &Place) {
    // A folder has no keys, and moto takes any.
    let Store::Bucket(_) = place.store else { return };
    let mut machine = place.filled().await;
    let good = machine.variables["AWS_SECRET_ACCESS_KEY"].clone();
    machine.set("AWS_SECRET_ACCESS_KEY", "revoked");
    corpus(&machine, "written meanwhile");
    machine.run(&["sync"]).await.expect(8, &["next: "]);
    machine.set("AWS_SECRET_ACCESS_KEY", good);
    for line in section("The key was revoked") {
        step(&machine, &line, &[]).await;
    }
    let other = place.machine("other").await;
    other.sync().await;
    assert_eq!(other.files(), machine.files());
}

async fn bad_pipeline(place: &Place) {
    let machine = place.filled().await;
    corpus(&machine, "what the bad pipeline wrote");
    machine.sync().await;
    let (bad, (folder, written)) = (machine.files(), place.fresh_folder());
    let lines = section("A bad pipeline overwrote the corpus yesterday");
    let shown = step(&machine, &lines[0], &[]).await;
    let generation = shown.stdout.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let filled = [("N", generation.as_str()), ("FOLDER", &folder)];
    step(&machine, &lines[1], &filled).await;
    assert_eq!(machine.files(), bad, "what goes to a folder leaves the vault alone");
    assert!(std::fs::read_to_string(written.join("corpus/nodes.json")).unwrap().contains("third"));
    step(&machine, &lines[2], &filled).await;
    assert!(text(&machine, "corpus/nodes.json").contains("third"));
    assert_eq!(machine.read("vectors/nodes.npy").unwrap(), noise("third", 200_000));
    step(&machine, &lines[3], &[]).await;
    assert_eq!(machine.files(), bad);
}

async fn old_conflict(place: &Place) {
    let machine = place.filled().await;
    let other = place.machine("other").await;
    other.sync().await;
    corpus(&machine, "stands");
    corpus(&other, "lost");
    machine.sync().await;
    other.sync().await;
    machine.sync().await;
    let lines = section("A conflict of two weeks ago");
    let listed = step(&machine, &lines[0], &[]).await;
    let id = listed.stdout.split_whitespace().next().unwrap().to_owned();
    let shown = step(&machine, &lines[1], &[("ID", &id)]).await;
    assert!(shown.stdout.contains(r#"nodes[n1].text: set aside "lost", stands "stands""#), "{shown:#?}");
    let (folder, written) = place.fresh_folder();
    step(&machine, &lines[2], &[("ID", &id), ("FOLDER", &folder)]).await;
    assert!(std::fs::read_to_string(written.join("corpus/nodes.json")).unwrap().contains("lost"));
    step(&machine, &lines[3], &[("ID", &id)]).await;
    other.sync().await;
    assert_eq!(other.files(), machine.files());
    let beside = machine.files().keys().filter(|path| path.contains("(other ")).count();
    assert_eq!(beside, 2, "{:?}", machine.files());
    assert!(other.good(&["conflicts"]).await.stdout.contains("no conflicts"));
}

async fn ransomware(place: &Place) {
    let victim = place.filled().await;
    let other = place.machine("other").await;
    let generation = other.sync().await["generation"].as_u64().unwrap().to_string();
    let good = victim.files();
    // A few at first.
    for number in 0..5 {
        victim.write(&format!("traces/{number}.json"), noise(&format!("locked {number}"), 40));
    }
    victim.sync().await;
    // Then everything.
    for path in good.keys() {
        victim.write(path, noise(&format!("locked, again {path}"), 300_000));
    }
    let lines = section("Ransomware on one device");
    step(&victim, &lines[0], &[]).await;
    let held = victim.run(&["sync", "--json"]).await.json();
    let held: Vec<&Value> = held["holds"].as_array().unwrap().iter().collect();
    assert_eq!(held.len(), 1, "{held:?}");
    step(&victim, &lines[1], &[("HOLD", held[0]["id"].as_str().unwrap())]).await;
    assert_eq!(victim.files().iter().filter(|(path, digest)| good.get(*path) != Some(digest)).count(), 5);
    step(&other, &lines[2], &[]).await;
    step(&other, &lines[3], &[("N", &generation)]).await;
    assert_eq!(other.files(), good);
    victim.sync().await;
    assert_eq!(victim.files(), good);
}

async fn beyond_help(place: &Place) {
    let machine = place.filled().await;
    let good = machine.files();
    std::fs::write(machine.root.join("sync/last_sync.json"), "x").unwrap();
    good.keys().step_by(2).for_each(|path| machine.delete(path));
    machine.write("traces/1.json", "edited");
    for line in section("The state of this device is beyond help") {
        step(&machine, &line, &[]).await;
    }
    assert_eq!(machine.files(), good);
}

async fn lost_bits(place: &Place) {
    let machine = place.filled().await;
    corpus(&machine, "fourth");
    let remote = place.remote().await;
    let packs = async || -> BTreeSet<String> {
        let listed = list_all(remote.as_ref(), "packs/", None).await.unwrap();
        listed.into_iter().map(|object| object.key).collect()
    };
    let before = packs().await;
    machine.sync().await;
    let newest = packs().await.difference(&before).next().unwrap().clone();
    let mut bytes = remote.get(&newest, Span::UpTo(1 << 20)).await.unwrap().to_vec();
    bytes[1000] ^= 1;
    remote.put(&newest, bytes.into()).await.unwrap();
    for line in section("A disk loses bits") {
        step(&machine, &line, &[]).await;
    }
    machine.good(&["verify", "--deep"]).await;
}

/// Every situation, over one kind of store; each with a store of its own.
async fn everything(store: impl AsyncFn() -> Store) {
    let place = async || Place { folder: Arc::new(fresh_folder()), store: store().await };
    lost_laptop(&place().await).await;
    full_disk(&place().await).await;
    emptied_bucket(&place().await).await;
    revoked_key(&place().await).await;
    bad_pipeline(&place().await).await;
    old_conflict(&place().await).await;
    ransomware(&place().await).await;
    beyond_help(&place().await).await;
    lost_bits(&place().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_holds_over_a_folder() {
    everything(async || Store::Folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_holds_over_s3_with_versions() {
    everything(async || Store::Bucket(S3Server::start().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_holds_over_s3_without_versions() {
    everything(async || {
        let server = S3Server::start().await;
        server.keep_no_versions();
        Store::Bucket(server)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_holds_over_a_foreign_server() {
    let Some(bucket) = ForeignBucket::of_environment() else { return };
    let (clock, places) = (SystemClock::new(), AtomicUsize::new(0));
    everything(async || {
        let place = places.fetch_add(1, Ordering::Relaxed);
        Store::Foreign(bucket.clone(), format!("page-{}-{place}", clock.now_ms()))
    })
    .await;
}
