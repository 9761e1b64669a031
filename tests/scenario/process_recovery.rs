//! The power goes in the middle of a reset or a restore, again and again: each is wholly done or not begun, once the next command
//! has run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cogzy_vault::model::Digest;

use crate::support::process::{Machine, noise, unit};

const KILLS: usize = 25;

/// A generation: a group and twenty files, large enough that a run takes a while.
fn generation(machine: &Machine, version: &str) {
    machine.write("corpus/nodes.json", format!("[\"{version}\",\"{}\"]", "memory ".repeat(20_000)));
    machine.write("vectors/nodes.npy", noise(version, 3 << 20));
    machine.write("indexes/faiss.index", noise(&format!("index {version}"), 1 << 20));
    for number in 0..20 {
        machine.write(&format!("traces/{number}.json"), noise(&format!("{version} {number}"), 3000));
    }
    machine.write(&format!("traces/only-{version}.json"), version);
}

async fn machine(folder: &Path) -> Machine {
    let machine = Machine::with_folder(folder, "one");
    machine.good(&["init"]).await;
    machine
}

/// Each file is wholly as it is in one of the states; gone only where one of them has none.
fn whole(found: &BTreeMap<String, Digest>, states: &[&BTreeMap<String, Digest>], round: &str) {
    for (path, digest) in found {
        assert!(states.iter().any(|state| state.get(path) == Some(digest)), "{round}: {path} is of no state");
    }
    for path in states[0].keys().filter(|path| states.iter().all(|state| state.contains_key(*path))) {
        assert!(found.contains_key(path), "{round}: {path} is gone");
    }
}

/// Draws moments; the span follows what came of the last.
struct Moments {
    span: Duration,
    killed: usize,
}

impl Moments {
    async fn kill(&mut self, machine: &Machine, seed: &str, args: &[&str]) -> bool {
        let killed = machine.killed_at(self.span.mul_f64(unit(seed)), args).await;
        self.killed += usize::from(killed);
        self.span = self.span.mul_f64(if killed { 1.1 } else { 0.6 });
        killed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_is_killed_at_any_moment_is_wholly_done_or_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let machine = machine(folder.path()).await;
    generation(&machine, "backup");
    machine.sync().await;
    let backup = machine.files();
    generation(&machine, "damage 0");
    let mut moments = Moments { span: machine.good(&["reset", "--yes"]).await.took, killed: 0 };
    for round in 1..=KILLS {
        let version = format!("damage {round}");
        generation(&machine, &version);
        machine.delete("traces/7.json");
        let before = machine.files();
        moments.kill(&machine, &format!("reset {round}"), &["reset", "--yes"]).await;
        whole(&machine.files(), &[&before, &backup], &version);
        if round % 3 == 0 {
            moments.kill(&machine, &format!("again {round}"), &["reset", "--yes"]).await;
            whole(&machine.files(), &[&before, &backup], &version);
        }
        // The next command finishes what was begun; what was not begun is still as it was.
        let begun = machine.root.join("sync/applying").exists();
        if begun {
            machine.sync().await;
            assert_eq!(machine.files(), backup, "{version}: begun, and not finished");
        }
        machine.good(&["reset", "--yes"]).await;
        assert_eq!(machine.files(), backup, "{version}");
        let listed = machine.good(&["conflicts", "--json"]).await.json();
        let listed = listed["conflicts"].as_array().unwrap().clone();
        let mine = |path: &str| {
            let digest = before[path].to_string();
            listed
                .iter()
                .flat_map(|one| one["files"].as_array().unwrap())
                .any(|file| file["path"] == path && file["entry"]["digest"] == digest.as_str())
        };
        for path in ["corpus/nodes.json", "vectors/nodes.npy", "traces/3.json"] {
            assert!(mine(path), "{version}: {path} was never sent, and is not kept");
        }
    }
    assert!(moments.killed * 3 >= KILLS, "only {} runs were killed before their end", moments.killed);
    machine.good(&["verify", "--deep"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_killed_at_any_moment_is_wholly_done_or_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let machine = machine(folder.path()).await;
    let mut states = Vec::new();
    for version in ["first", "second"] {
        generation(&machine, version);
        machine.sync().await;
        states.push(machine.files());
    }
    let mut moments =
        Moments { span: machine.good(&["restore", "--yes", "--generation", "1"]).await.took, killed: 0 };
    let mut at = 0;
    for round in 1..=KILLS {
        let (from, to) = (at, 1 - at);
        let generation = (to + 1).to_string();
        let args = ["restore", "--yes", "--generation", &generation];
        let killed = moments.kill(&machine, &format!("restore {round}"), &args).await;
        whole(&machine.files(), &[&states[from], &states[to]], &format!("round {round}"));
        machine.sync().await;
        // A brake may hold what was committed and not brought here: the yes died with the program.
        let held = machine.run(&["approve"]).await;
        assert!(matches!(held.code, Some(0 | 2)), "{held:?}");
        let found = machine.files();
        at = if found == states[to] { to } else { from };
        assert_eq!(found, states[at], "round {round}: it is done in part");
        assert!(killed || at == to, "round {round}: it said that it was done");
    }
    assert!(moments.killed * 3 >= KILLS, "only {} runs were killed before their end", moments.killed);
    machine.good(&["verify", "--deep"]).await;
}
