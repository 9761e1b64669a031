//! Against drift of the fakes: the simulated disk beside the real one, and the simulated bucket
//! under the contract of all remotes.
//!
//! Both disks, each with a vault whose root is held open and in which a link leads out of it, are
//! given the same calls, drawn by chance; they must answer alike, down to the kind of error, and be
//! left alike.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cogzy_engine::fs::{Fs, RootedFs};
use cogzy_engine::model::FileKind;
use cogzy_testkit::fresh_folder;
use cogzy_testkit::rng::Rng;

use crate::clock::SimClock;
use crate::contract::contract;
use crate::disk::{Disk, Kind, ROOT, SimFs, UserOp};
use crate::fuse::Fuse;
use crate::ledger::Ledger;
use crate::oracle::Check;
use crate::run::in_virtual_time;
use crate::store::{SimRemote, Store};

const RUNS: u64 = 150;
const CALLS: usize = 80;
const NAMES: [&str; 15] = [
    "a", "b", "d", "d/a", "d/b", "d/e", "d/e/f", "a/x", "g/h/i", "g", "l", "l/a.json", "l/none", "l/deep",
    "d/l",
];

/// A disk as Linux has it, like the real one of a test machine.
const KIND: Kind =
    Kind { exchange: true, links: true, case: true, nfd: false, signs: true, ordered: true, tick_ns: 1 };

/// Runs both, and counts the calls that were alike.
pub fn look() -> Result<usize, String> {
    bucket()?;
    (0..RUNS).try_for_each(disks)?;
    Ok(usize::try_from(RUNS).unwrap() * CALLS)
}

fn bucket() -> Check {
    in_virtual_time(false, |trace| async move {
        let store = Store::new();
        store.lock().page = 1000;
        let remote = SimRemote {
            name: "drift".into(),
            store,
            fuse: Fuse::new(),
            trace,
            rng: Arc::new(std::sync::Mutex::new(Rng::new(1))),
            faults: Arc::default(),
        };
        contract(&remote).await;
        Ok(())
    })
    .check
}

fn disks(seed: u64) -> Check {
    in_virtual_time(false, |trace| async move {
        let (folder, outside) = (fresh_folder(), fresh_folder());
        std::fs::create_dir(outside.path().join("deep")).unwrap();
        std::fs::write(outside.path().join("a.json"), "nobody's business").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("l")).unwrap();
        let real = RootedFs::open(folder.path(), folder.path().join("sync"));
        let disk = Disk::new("drift", KIND, Rng::new(1), Arc::new(SimClock::new()), trace, Ledger::default());
        disk.site().furnish();
        disk.site().perform(&UserOp::Link("l".into()), &disk);
        let simulated = SimFs::new(disk.clone(), Fuse::new());
        simulated.remove_file(&Path::new(ROOT).join("config.json")).unwrap();
        let sides: [(&dyn Fs, &Path); 2] = [(&real, folder.path()), (&simulated, Path::new(ROOT))];
        let mut rng = Rng::stream(seed, "drift");
        for number in 0..CALLS {
            let drawn = Call::draw(&mut rng);
            let [real, fake] = sides.map(|(fs, root)| drawn.make(fs, root));
            if real != fake {
                return Err(format!(
                    "call {number} of {seed}: the real disk says {real}, the simulated one {fake}"
                ));
            }
            let [real, fake] = sides.map(|(fs, root)| tree(fs, root));
            if real != fake {
                return Err(format!(
                    "after call {number} of {seed}: {real:?} on the real disk, {fake:?} on the simulated one"
                ));
            }
            if std::fs::read_dir(outside.path()).unwrap().count() != 2 {
                return Err(format!("after call {number} of {seed}: the real disk went through a link"));
            }
            disk.site().check_outside()?;
        }
        Ok(())
    })
    .check
}

/// One call, drawn by chance.
struct Call {
    what: usize,
    one: &'static str,
    other: &'static str,
    size: usize,
}

impl Call {
    fn draw(rng: &mut Rng) -> Self {
        Self { what: rng.below(13), one: *rng.pick(&NAMES), other: *rng.pick(&NAMES), size: rng.below(50) }
    }

    /// Makes the call, and describes its result.
    fn make(&self, fs: &dyn Fs, root: &Path) -> String {
        let Self { what, one, other, size } = self;
        let (from, to, bytes) = (root.join(one), root.join(other), vec![b'x'; *size]);
        let (what, answer) = match what {
            0 | 1 => (
                "create",
                fs.create(&from).and_then(|mut file| {
                    file.write_all(&bytes)?;
                    file.finish(0o640, Some(1_600_000_000_123))
                }),
            ),
            2 | 3 => ("create folders", fs.create_dir_all(&from)),
            4 => ("rename", fs.rename(&from, &to)),
            5 => ("rename (new)", fs.rename_new(&from, &to)),
            6 => ("exchange", fs.exchange(&from, &to)),
            7 => ("link", fs.hard_link(&from, &to)),
            8 => ("remove", fs.remove_file(&from)),
            9 => ("remove folder", fs.remove_dir(&from)),
            10 => ("sync", fs.sync_dir(&from)),
            11 => ("lstat", fs.lstat(&from).map(drop)),
            _ => ("open", fs.open(&from).and_then(|file| file.read_exact_at(&mut [0; 20], 5))),
        };
        format!("{what} {one} {other}: {:?}", answer.map_err(|error| error.kind()))
    }
}

/// Everything below `root`: a folder, or a file's bytes, mode and time.
fn tree(fs: &dyn Fs, root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for (name, kind) in fs.read_dir(&folder).unwrap() {
            let path = folder.join(name);
            let told = match kind {
                FileKind::Folder => {
                    open.push(path.clone());
                    "a folder".into()
                }
                FileKind::Symlink => "a link".into(),
                _ => file(fs, &path).unwrap(),
            };
            found.insert(path.strip_prefix(root).unwrap().to_owned(), told);
        }
    }
    found
}

fn file(fs: &dyn Fs, path: &Path) -> io::Result<String> {
    let stat = fs.lstat(path)?;
    let mut bytes = Vec::new();
    let mut reader = fs.open(path)?;
    reader.read_to_end(&mut bytes)?;
    assert_eq!(reader.stat()?.ino, stat.ino);
    Ok(format!("{} of {} bytes, mode {:o}, at {} ms", bytes.len(), stat.size, stat.mode, stat.mtime_ms()))
}
