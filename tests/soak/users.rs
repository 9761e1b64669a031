//! The users of the machines: the files that they write and delete, and the versions that they are
//! owed.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use cogzy_engine::model::Digest;
use cogzy_testkit::memory::{corpus, index, matrix};
use cogzy_testkit::rng::Rng;

use crate::support::process::Machine;

/// The files of the group, in the order in which a pipeline writes them.
pub const MEMBERS: [&str; 3] = ["corpus/nodes.json", "vectors/nodes.npy", "indexes/faiss.index"];

/// Fewer files than a mass has, so that no change needs approval.
const TRACES: usize = 12;
/// No run of a pipeline is half as large as another.
const FIRST_COUNT: usize = 1000;

/// All users together.
pub struct Users {
    numbers: usize,
    /// Versions by machine and path that their user has not replaced or deleted: they must be
    /// somewhere.
    owed: BTreeSet<(usize, String, Digest)>,
    /// The run of a pipeline that a member of the group is from.
    runs: BTreeMap<Digest, usize>,
    /// A pipeline that has not come to its end: its run, and how many files it has written.
    under_way: Vec<Option<(usize, usize)>>,
}

impl Users {
    pub fn new(machines: usize) -> Self {
        let (owed, runs) = (BTreeSet::new(), BTreeMap::new());
        Self { numbers: 0, owed, runs, under_way: vec![None; machines] }
    }

    pub const fn written(&self) -> usize {
        self.numbers
    }

    pub fn owed(&self) -> impl Iterator<Item = &(usize, String, Digest)> {
        self.owed.iter()
    }

    pub fn run_of(&self, digest: &Digest) -> Option<usize> {
        self.runs.get(digest).copied()
    }

    /// The user of one machine does something.
    pub fn act(&mut self, machine: &Machine, at: usize, rng: &mut Rng) {
        let trace = format!("traces/{}.json", rng.below(TRACES));
        match rng.below(10) {
            0..5 => {
                self.numbers += 1;
                let text = format!("{} {} {}", machine.name, self.numbers, "…".repeat(rng.below(4000)));
                self.write(machine, at, &trace, text.as_bytes());
            }
            5 => self.delete(machine, at, &trace),
            6 => self.under_way[at] = None, // A pipeline is killed.
            _ => self.go_on(machine, at),
        }
    }

    /// The next file of the pipeline on this machine.
    fn go_on(&mut self, machine: &Machine, at: usize) {
        let (run, written) = self.under_way[at].unwrap_or_else(|| {
            self.numbers += 1;
            (FIRST_COUNT + self.numbers, 0)
        });
        let (seed, path) = (run as f32, MEMBERS[written]);
        let bytes = match written {
            0 => corpus(run, &machine.name).into_bytes(),
            1 => matrix(run, 8, seed),
            _ => index(run, 8, seed),
        };
        self.runs.insert(Digest::of(&bytes), run);
        self.write(machine, at, path, &bytes);
        self.under_way[at] = (written + 1 < MEMBERS.len()).then_some((run, written + 1));
    }

    /// Writes half-written groups whole.
    pub fn finish(&mut self, machines: &[Machine]) {
        for (at, machine) in machines.iter().enumerate() {
            while self.under_way[at].is_some() {
                self.go_on(machine, at);
            }
            let counts: BTreeSet<Option<usize>> = MEMBERS
                .iter()
                .filter_map(|path| machine.read(path))
                .map(|bytes| self.run_of(&Digest::of(&bytes)))
                .collect();
            if counts.len() > 1 {
                (0..MEMBERS.len()).for_each(|_| self.go_on(machine, at));
            }
        }
    }

    fn write(&mut self, machine: &Machine, at: usize, path: &str, bytes: &[u8]) {
        self.release(machine, at, path);
        machine.write(path, bytes);
        // An index can be made again from what belongs to it.
        if path != MEMBERS[2] {
            self.owed.insert((at, path.to_owned(), Digest::of(bytes)));
        }
    }

    fn delete(&mut self, machine: &Machine, at: usize, path: &str) {
        self.release(machine, at, path);
        // Another program was faster and has deleted it.
        let _gone = std::fs::remove_file(machine.root.join(path));
    }

    /// Notes that the file at `path` goes by its user's own hand.
    fn release(&mut self, machine: &Machine, at: usize, path: &str) {
        if let Some(bytes) = machine.read(path) {
            self.owed.remove(&(at, path.to_owned(), Digest::of(&bytes)));
        }
    }
}

/// A sync by itself that is killed at `moment`, if it has not ended by then.
pub async fn killed_sync(machine: &Machine, moment: Duration) -> bool {
    let mut command = machine.command(&["sync"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    if tokio::time::timeout(moment, child.wait()).await.is_ok() {
        return false;
    }
    child.kill().await.unwrap();
    true
}
