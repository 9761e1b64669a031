//! Exit codes and messages: every verb on vaults, remotes and configurations that are not as they
//! should be.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use cogzy_engine::fs::RealFs;
use cogzy_engine::vault::FileLock;
use cogzy_testkit::fresh_folder;
use futures_util::future::join_all;

use crate::support::process::{Machine, Ran, noise};
use crate::support::s3_server::S3Server;

/// Verbs that ask the remote.
const ASKING: [&[&str]; 6] =
    [&["init"], &["sync"], &["sync", "--dry-run"], &["verify"], &["verify", "--deep"], &["approve"]];
/// Verbs that look at the vault only.
const LOOKING: [&[&str]; 3] = [&["status"], &["conflicts"], &["conflicts", "list"]];
/// Verbs that need no vault.
const CONFIG: [&[&str]; 3] = [&["config", "show"], &["config", "check"], &["config", "path"]];

/// Runs a verb as people and as scripts do: the code is the same, errors say what to do next, and
/// with `--json` standard output is one document, or nothing where an error is all there is to
/// tell.
async fn both_ways(machine: &Machine, args: &[&str]) -> Ran {
    let plain = machine.run(args).await;
    let json = machine.run(&[args, &["--json"]].concat()).await;
    assert_eq!(plain.code, json.code, "{args:?}: {plain:#?} {json:#?}");
    let failed = plain.stderr.contains("error: ");
    if !json.stdout.is_empty() || !failed {
        let document = json.json();
        assert!(document["schema"] == 1, "{args:?}: {document}");
    }
    assert!(
        plain.code == Some(0) || failed || !plain.stdout.is_empty(),
        "{args:?} fails without a word: {plain:#?}"
    );
    plain
}

/// Runs all of `verbs`, which must end with `code` and say each of `words`, and leave vault as it
/// is.
async fn all(machine: &Machine, verbs: &[&[&str]], code: i32, words: &[&str]) {
    let before = machine.everything();
    for args in verbs {
        let ran = both_ways(machine, args).await;
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:#?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{args:?} does not say {word:?}: {ran:#?}");
        }
        assert_eq!(machine.everything(), before, "{args:?} changed the vault");
    }
}

/// A vault of thirty files and a group that is in sync with a bucket in a folder.
async fn synced(folder: &Path, name: &str) -> Machine {
    let machine = Machine::with_folder(folder, name);
    machine.good(&["init"]).await;
    fill(&machine);
    machine.sync().await;
    machine
}

fn fill(machine: &Machine) {
    for number in 0..30 {
        machine.write(&format!("traces/{number}.json"), format!("trace {number}"));
    }
    machine.write("corpus/nodes.json", "[1, 2, 3]");
    // More than stands in a commit, so that there are packs.
    machine.write("vectors/nodes.npy", noise("vectors", 20_000));
}

fn without_init() -> Vec<&'static [&'static str]> {
    [&ASKING[1..], &LOOKING].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_vault_that_is_as_it_should_be_every_verb_ends_with_0() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let verbs = [&ASKING[..5], &LOOKING, &CONFIG].concat();
    all(&machine, &verbs, 0, &[]).await;
    all(&machine, &[&["approve"]], 2, &["nothing is held"]).await;
    all(&machine, &[&["approve", "0123"]], 2, &["no hold is named 0123"]).await;
    all(&machine, &[&["conflicts", "show", "0123"]], 2, &["no conflict is named 0123"]).await;
    for wrong in [&["sink"][..], &["sync", "x"], &["--json"], &["status", "-q", "-v"]] {
        machine.run(wrong).await.expect(2, &["Usage"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_vault_yet_nothing_is_made_and_the_way_to_one_is_named() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "fresh");
    let words = ["is no vault yet, or its disk is not mounted", "cogzy-vault init"];
    let verbs = [&without_init()[..], &[&["run"], &["conflicts", "show", "0123"]]].concat();
    for bucket in [false, true] {
        if bucket {
            Machine::with_folder(folder.path(), "other").good(&["init"]).await;
        }
        all(&machine, &verbs, 4, &words).await;
        assert!(!machine.root.exists(), "a folder was made where a disk may be mounted");
    }
    all(&machine, &CONFIG, 0, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_was_unmounted_or_lost_its_marker_stops_everything() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let verbs = [&without_init()[..], &[&["run"]]].concat();
    let marker = machine.root.join(".cogzy-vault");
    let aside = machine.home.join("aside");
    std::fs::rename(&marker, &aside).unwrap();
    all(&machine, &verbs, 4, &[".cogzy-vault is missing", "next: "]).await;
    std::fs::rename(&aside, &marker).unwrap();

    std::fs::rename(&machine.root, &aside).unwrap();
    all(&machine, &verbs, 4, &["its disk is not mounted", "next: "]).await;
    assert!(!machine.root.exists());
    std::fs::create_dir(&machine.root).unwrap();
    all(&machine, &verbs, 4, &["its disk is not mounted", "next: "]).await;
    std::fs::remove_dir(&machine.root).unwrap();
    std::fs::rename(&aside, &machine.root).unwrap();
    assert_eq!(machine.sync().await["pushed"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_vault_is_held() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let full = machine.files();
    full.keys().for_each(|path| machine.delete(path));
    for args in [&["sync", "--dry-run"][..], &["sync"], &["status"], &["sync"]] {
        let ran = both_ways(&machine, args).await;
        assert_eq!(ran.code, Some(4), "{args:?}: {ran:#?}");
        assert!(ran.stdout.contains("cogzy-vault approve "), "{ran:#?}");
    }
    // Two things are held: all files, and a group.
    let ran = both_ways(&machine, &["approve"]).await;
    ran.expect(2, &["2 holds are open", "cogzy-vault approve --reject", "cogzy-vault approve --all"]);
    // Nothing was deleted: it all comes back once it is said that this was no deletion.
    let holds = machine.run(&["sync", "--json"]).await.json()["holds"].clone();
    for hold in holds.as_array().unwrap() {
        machine.run(&["approve", "--reject", hold["id"].as_str().unwrap()]).await;
    }
    machine.sync().await;
    assert_eq!(machine.files(), full);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_was_emptied_or_replaced_or_is_gone_stops_what_would_write() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let objects = folder.path().join("bucket/users/default");
    let aside = folder.path().join("aside");
    let asking = &ASKING[1..];

    std::fs::create_dir(&aside).unwrap();
    for name in ["commits", "packs"] {
        std::fs::rename(objects.join(name), aside.join(name)).unwrap();
    }
    all(&machine, asking, 4, &["rolled back, replaced or emptied", "next: "]).await;
    for entry in std::fs::read_dir(&objects).unwrap() {
        let name = entry.unwrap().file_name();
        if name.to_string_lossy().starts_with("vault-") {
            std::fs::rename(objects.join(&name), aside.join(&name)).unwrap();
        }
    }
    all(&machine, asking, 4, &["next: "]).await;
    let other = Machine::with_folder(folder.path(), "other");
    other.good(&["init"]).await;
    other.write("traces/x.json", "another vault's");
    other.sync().await;
    all(&machine, asking, 4, &["next: "]).await;

    std::fs::rename(&objects, folder.path().join("unplugged")).unwrap();
    all(&machine, asking, 3, &["is its disk plugged in", "next: "]).await;
    assert!(!objects.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_or_cannot_be_reached_is_told_apart() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let good = Machine::with_server(folder.path(), "one", &server);
    good.good(&["init"]).await;
    fill(&good);
    good.sync().await;
    let with = |name: &str, value: &str| {
        let mut machine = good.clone();
        machine.set(name, value);
        machine
    };
    let secret = with("AWS_SECRET_ACCESS_KEY", "not-the-secret");
    let words = ["B2_APPLICATION_KEY", "AWS credentials"];
    all(&secret, &ASKING, 8, &words).await;
    all(&secret, &LOOKING[1..], 0, &[]).await;
    // Without a daemon the last sync's end is what there is to tell.
    all(&secret, &[&["status"]], 8, &[]).await;
    let ran = secret.run(&["sync", "-vv"]).await;
    assert!(!ran.stderr.contains("not-the-secret"), "the log tells a secret");

    let mut keyless = good.clone();
    keyless.variables.retain(|name, _| !name.starts_with("AWS_"));
    keyless.set("AWS_EC2_METADATA_DISABLED", "true");
    all(&keyless, &[&["sync"]], 8, &words).await;

    // Another bucket is another remote, which is noticed before it is asked for; a fresh machine
    // asks.
    let other = with("COGZY_VAULT__REMOTE", "s3://no-such-bucket/memory");
    let mut fresh = Machine::with_server(folder.path(), "fresh", &server);
    fresh.set("COGZY_VAULT__REMOTE", "s3://no-such-bucket/memory");
    both_ways(&fresh, &["init"]).await.expect(8, &["there is no such bucket", "make the bucket"]);
    let ran = both_ways(&other, &["sync"]).await;
    assert!(matches!(ran.code, Some(4 | 8)), "{ran:#?}");

    // Nothing listens on port 1.
    let away = with("COGZY_VAULT__S3__ENDPOINT", "http://127.0.0.1:1");
    let before = away.everything();
    let runs = join_all(ASKING[1..].iter().map(|args| away.run(args))).await;
    for (args, ran) in ASKING[1..].iter().zip(runs) {
        // They hold the vault from each other while they wait.
        assert!(matches!(ran.code, Some(3 | 7)), "{args:?}: {ran:#?}");
        assert!(ran.code == Some(7) || ran.stderr.contains("wait for the network"), "{args:?}: {ran:#?}");
    }
    away.run(&["sync", "--json"]).await.expect(3, &["127.0.0.1:1", "next: "]);
    assert_eq!(away.everything(), before);
    all(&away, &LOOKING[1..], 0, &[]).await;
    all(&away, &[&["status"]], 3, &[]).await;

    server.forbid("PutObject");
    good.write("traces/new.json", "new");
    good.run(&["sync"]).await.expect(8, &["writeFiles"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_used_is_named_with_file_line_and_key() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let file = machine.home.join(".config/cogzy-vault/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let verbs = [&ASKING[..], &LOOKING, &CONFIG, &[&["run"]]].concat();
    for (text, words) in [
        ("user_id = \"me\"\n[sync]\nsetle = \"2s\"\n", &["config.toml:3: ", "sync.setle", "sync.settle"][..]),
        ("\n[sync]\nbatch_files = \"many\"\n", &["config.toml:3: ", "sync.batch_files", "expected"]),
        ("[retry]\nschedule = [\"-1s\"]\n", &["config.toml:2: ", "retry.schedule", "expected"]),
        ("[s3\n", &["config.toml:1: "]),
    ] {
        std::fs::write(&file, text).unwrap();
        let verbs: &[&[&str]] =
            if text.contains("setle") { &verbs } else { &[&["sync"], &["config", "check"]] };
        all(&machine, verbs, 2, words).await;
    }
    std::fs::remove_file(&file).unwrap();
    let mut wrong = machine.clone();
    wrong.set("COGZY_VAULT__SYNC__SETTLE", "soon");
    all(&wrong, &[&["sync"]], 2, &["COGZY_VAULT__SYNC__SETTLE", "sync.settle", "expected"]).await;
    let missing = machine.home.join("none.toml");
    let missing = missing.to_str().unwrap();
    all(&machine, &[&["sync", "--config", missing]], 2, &[missing]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_held_by_another_process_is_left_to_it() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let lock = FileLock::try_take(&RealFs, &machine.root.join("sync/lock")).unwrap();
    assert!(lock.is_some());
    let verbs = [&ASKING[..], &[&["run"]]].concat();
    all(&machine, &verbs, 7, &["another process holds the vault", "next: "]).await;
    all(&machine, &[&LOOKING[..], &CONFIG].concat(), 0, &[]).await;
    drop(lock);
    machine.sync().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_synced_is_named_and_the_rest_goes_on() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    symlink("/etc/hostname", machine.root.join("traces/link.json")).unwrap();
    machine.write("traces/new.json", "goes on");
    // Names skipped on purpose are reported, and are no failure.
    let ran = machine.good(&["sync"]).await;
    assert!(ran.stdout.contains("traces/link.json"), "{ran:#?}");
    let report = machine.sync().await;
    assert_eq!(report["problems"][0]["path"], "traces/link.json", "{report}");
    assert!(folder.path().join("bucket").is_dir());

    // A name that no vault can hold is reported, and counts.
    std::fs::write(machine.root.join("traces/a\nb.json"), "x").unwrap();
    machine.write("traces/newer.json", "goes on, too");
    let ran = machine.run(&["sync"]).await;
    assert!(ran.code == Some(9) && ran.stdout.contains("traces/a"), "{ran:#?}");
    std::fs::remove_file(machine.root.join("traces/a\nb.json")).unwrap();

    let secret = machine.root.join("traces/5.json");
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
    let ran = machine.as_nobody().run(&["sync", "--json"]).await;
    assert_eq!(ran.code, Some(9), "{ran:#?}");
    let report = ran.json();
    assert_eq!(report["deleted_remote"], 0, "a file that cannot be read is not deleted: {report}");
    let problems = report["problems"].as_array().unwrap();
    assert!(problems.iter().any(|problem| problem["path"] == "traces/5.json"), "{report}");
}
