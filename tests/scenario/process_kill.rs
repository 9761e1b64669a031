//! The power goes in the middle of a sync, again and again.
//!
//! The moments are drawn from a seed over the time of an undisturbed run. The next run goes on from
//! the state that a killed one has left.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use cogzy_engine::model::Digest;
use cogzy_testkit::{amount, fresh_folder};

use crate::support::history::Bucket;
use crate::support::moments::Moments;
use crate::support::process::{Machine, noise, unit};
use crate::support::s3_server::S3Server;

/// Packs under way at once: what a kill may cost.
const IN_FLIGHT: usize = 3;
/// Bytes of a pack on an uplink that is quick.
const LARGEST_PACK: u64 = 16 << 20;

/// A generation of a vault: a group, and files of which half are new and one is gone.
fn change(machine: &Machine, round: usize) {
    let seed = |what: &str| format!("{what} {round}");
    machine.write("corpus/nodes.json", format!("[\"{round}\",\"{}\"]", "memory ".repeat(20_000)));
    machine.write("vectors/nodes.npy", noise(&seed("vectors"), 3 << 20));
    machine.write("indexes/faiss.index", noise(&seed("index"), 1 << 20));
    for number in (0..24).filter(|number| round == 0 || (number + round).is_multiple_of(2)) {
        machine.write(&format!("traces/{number}.json"), noise(&seed(&format!("trace {number}")), 3000));
    }
    machine.write(&format!("traces/new-{round}.json"), seed("new"));
    if round > 0 {
        machine.delete(&format!("traces/new-{}.json", round - 1));
    }
}

/// A machine on which a change of most files does not wait for approval.
fn unbraked(mut machine: Machine) -> Machine {
    machine.set("COGZY_VAULT__SAFETY__MIN_FILES", "1000000");
    machine
}

/// Two machines on one bucket in a folder.
async fn pair(folder: &Path) -> (Machine, Machine, Bucket) {
    let [one, two] = ["one", "two"].map(|name| unbraked(Machine::with_folder(folder, name)));
    one.good(&["init"]).await;
    two.good(&["init"]).await;
    (one, two, Bucket::in_folder(folder).await)
}

/// Lets both sync, and asserts that they are equal and nothing is wrong anywhere.
async fn all_is_well(one: &Machine, two: &Machine, round: &str) {
    one.sync().await;
    let report = two.sync().await;
    assert_eq!(report["conflicts"].as_array().unwrap().len(), 0, "{round}: {report}");
    assert_eq!(one.files(), two.files(), "{round}");
    assert_eq!(one.read("sync/manifest.json"), two.read("sync/manifest.json"), "{round}");
    for machine in [one, two] {
        for left in ["sync/pending", "sync/applying"] {
            assert!(!machine.root.join(left).exists(), "{round}: {left} is still there on {}", machine.name);
        }
        let staged = std::fs::read_dir(machine.root.join("sync/staging")).map_or(0, Iterator::count);
        assert_eq!(staged, 0, "{round}: something is still staged on {}", machine.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_killed_at_any_moment_goes_on_where_it_was() {
    let folder = fresh_folder();
    let (one, two, bucket) = pair(folder.path()).await;
    change(&one, 0);
    let mut moments = Moments::within(one.good(&["sync"]).await.took);
    for round in 1..=amount(6, 17) {
        change(&one, round);
        let mine = one.files();
        moments.kill(&one, &format!("push {round}"), &["sync"]).await;
        assert_eq!(one.files(), mine, "round {round}: a push changes nothing here");
        all_is_well(&one, &two, &format!("round {round}")).await;
        assert_eq!(one.files(), mine, "round {round}");
        let (generation, commits) = (bucket.head().await.seq(), bucket.count("commits/").await);
        assert_eq!(commits as u64, generation, "round {round}: a commit made twice makes a fork and a merge");
    }
    moments.were_enough();
    one.good(&["verify", "--deep"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_push_has_uploaded_is_not_uploaded_again() {
    const LENGTH: usize = 84 << 20;
    let rounds = amount(2, 8);
    let (mut whole, mut undisturbed) = (0, Duration::ZERO);
    for round in 0..=rounds {
        let folder = fresh_folder();
        let (one, two, bucket) = pair(folder.path()).await;
        one.write("vectors/large.npy", noise("large", LENGTH));
        if round == 0 {
            undisturbed = one.good(&["sync"]).await.took;
            whole = bucket.bytes("packs/").await;
            assert!(bucket.count("packs/").await > IN_FLIGHT + 1, "there are too few packs to tell");
            continue;
        }
        // In the second half of the run most packs are there, and to send them again would show.
        let moment = (undisturbed / 2).mul_f64(1.0 + unit(&format!("large {round}")));
        one.killed_at(moment, &["sync"]).await;
        let before = bucket.bytes("packs/").await;
        all_is_well(&one, &two, &format!("round {round}")).await;
        let (put, lost) = (bucket.bytes("packs/").await, IN_FLIGHT as u64 * LARGEST_PACK);
        assert!(
            put <= whole + lost,
            "round {round}: {put} bytes were put, undisturbed {whole}, {before} of them before the kill"
        );
        if round == rounds {
            two.good(&["verify", "--deep"]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_killed_at_any_moment_leaves_only_whole_files() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let [one, two] = ["one", "two"].map(|name| unbraked(Machine::with_server(folder.path(), name, &server)));
    one.good(&["init"]).await;
    two.good(&["init"]).await;
    change(&one, 0);
    one.sync().await;
    two.sync().await;
    change(&one, 1);
    one.sync().await;
    let mut moments = Moments::within(two.good(&["sync"]).await.took);
    for round in 2..=amount(5, 26) {
        let old = two.files();
        change(&one, round);
        one.sync().await;
        let new = one.files();
        moments.kill(&two, &format!("pull {round}"), &["sync"]).await;
        for (path, digest) in two.files() {
            let whole: BTreeSet<Digest> =
                [&old, &new].into_iter().filter_map(|side| side.get(&path)).copied().collect();
            assert!(whole.contains(&digest), "round {round}: {path} is neither old nor new");
        }
        let twice = round % 3 == 0;
        if twice {
            moments.kill(&two, &format!("again {round}"), &["sync"]).await;
        }
        // If the remote moves on before the next start, applied files must not pass for local
        // edits.
        if round % 2 == 0 {
            one.write("corpus/nodes.json", format!("[\"{round}, again\",\"{}\"]", "memory ".repeat(20_000)));
            (0..10).for_each(|number| one.write(&format!("traces/{number}.json"), format!("{round}, again")));
        }
        let new = one.files();
        all_is_well(&one, &two, &format!("round {round}")).await;
        assert_eq!(two.files(), new, "round {round}");
    }
    moments.were_enough();
    two.good(&["verify", "--deep"]).await;
}
