//! `verify --repair --give-up`: it says what goes, asks, and is done once; alone and through a
//! daemon.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cogzy_testkit::fresh_folder;

use crate::support::daemon::Daemon;
use crate::support::process::{Machine, noise};

fn objects(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { objects(&path, found) } else { found.push(path) }
    }
}

/// The bucket loses its newest pack, and everything in it is three hours older.
fn lose_the_newest_pack(bucket: &Path) {
    let (mut all, mut packs) = (Vec::new(), Vec::new());
    objects(bucket, &mut all);
    objects(&bucket.join("users/default/packs"), &mut packs);
    let time = |path: &Path| path.metadata().unwrap().modified().unwrap();
    let newest = packs.into_iter().max_by_key(|path| time(path)).unwrap();
    for path in &all {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(time(path) - Duration::from_secs(3 * 3600)).unwrap();
    }
    std::fs::remove_file(newest).unwrap();
}

async fn gives_up(through_daemon: bool) {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    for version in ["first", "second"] {
        machine.write("notes/a.txt", noise(version, 20_000));
        machine.sync().await;
    }
    lose_the_newest_pack(&folder.path().canonicalize().unwrap().join("bucket"));
    // The only other copy is gone, too.
    let new = Machine::with_folder(folder.path(), "new");
    new.good(&["init", "--join"]).await;
    let ran = new.run(&["sync"]).await;
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains("notes/a.txt"), "{ran:#?}");
    let daemon = if through_daemon { Some(Daemon::start(&new).await) } else { None };

    let asked = new.run(&["verify", "--repair", "--give-up"]).await;
    assert_eq!(asked.code, Some(2), "{asked:#?}");
    assert!(asked.stdout.contains("would be given up: notes/a.txt"), "{asked:#?}");
    assert!(asked.stdout.contains("that of generation 1 stands again"), "{asked:#?}");
    assert!(asked.stderr.contains("--give-up --yes"), "{asked:#?}");
    assert_eq!(new.run(&["verify"]).await.code, Some(5), "nothing was given up");

    let done = new.good(&["verify", "--repair", "--give-up", "--yes"]).await;
    assert!(done.stdout.contains("given up now: notes/a.txt"), "{done:#?}");
    new.sync().await;
    assert_eq!(std::fs::read(new.root.join("notes/a.txt")).unwrap(), noise("first", 20_000));
    let calm = new.good(&["verify", "--json"]).await.json();
    assert_eq!(calm["verified"]["given_up"][0]["path"], "notes/a.txt", "{calm}");
    let again = new.good(&["verify", "--repair", "--give-up", "--yes", "--json"]).await.json();
    assert!(again["repaired"]["given_up"].is_null(), "{again}");
    new.good(&["prune"]).await;
    let history = new.good(&["history", "--json"]).await.json();
    let kinds: Vec<&str> =
        history["generations"].as_array().unwrap().iter().filter_map(|one| one["kind"].as_str()).collect();
    assert!(kinds.contains(&"give-up"), "{history}");
    if let Some(daemon) = daemon {
        daemon.terminate().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_given_up_once_somebody_has_agreed() {
    gives_up(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_gives_up_what_is_lost_too() {
    gives_up(true).await;
}
