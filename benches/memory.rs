//! Cost of looking into a memory: the shared lock, a group of 300 MB against reading and hashing
//! it, a corpus of a gigabyte.
//!
//!     cargo bench --bench memory
//!
//! Linux only: files are put out of the page cache before each pass, and peak memory is the
//! kernel's own account.

#![cfg(test)]

mod measured;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::fs::{Fs, RealFs};
use cogzy_engine::model::Facts;
use cogzy_engine::vault::validate::{Kind, Search, examine};
use cogzy_engine::vault::{FileLock, Layout, hash_stable};
use measured::{forget, peak_memory, timed};

const ROWS: usize = 20_000;
const DIM: usize = 1_536;
const LOCKS: usize = 20_000;
const ROUNDS: usize = 5;

/// The group's files: 300 MB in all.
const FILES: [&str; 3] = ["corpus/nodes.json", "vectors/nodes.npy", "indexes/faiss.index"];

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    for name in ["corpus", "vectors", "indexes", "sync"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    let (p50, p99) = lock(&root);
    println!(
        "shared lock, taken and given back  p50 {p50:.1} µs  p99 {p99:.1} µs  {:.2} of 100 µs",
        p99 / 100.0
    );
    let bytes = write_group(&root);
    let (hashing, validating, peak) = group(&root);
    println!(
        "a group of {:.0} MB  read and hashed {hashing:.2} s  looked into {validating:.2} s  {:.2} of it  peak {:.0} MB",
        bytes as f64 / 1e6,
        validating / hashing,
        peak as f64 / 1e6
    );
    let bytes = write_corpus(&root.join(FILES[0]), 370_000);
    let (hashing, ()) = cold(&root, FILES[0], |path| hash(&root, path));
    let before = peak_memory();
    let (seconds, facts) = cold(&root, FILES[0], |path| look_into(&root, path));
    println!(
        "a corpus of {:.0} MB  read and hashed {hashing:.2} s  looked into {seconds:.2} s  peak {:.0} MB  {facts:?}",
        bytes as f64 / 1e6,
        before.since() as f64 / 1e6
    );
    let (hashing, looking) = (warm(|| hash(&root, FILES[0])), warm(|| drop(look_into(&root, FILES[0]))));
    let speed = |seconds: f64| bytes as f64 / seconds / 1e6;
    println!(
        "the same from memory  hashed {:.0} MB/s  looked into {:.0} MB/s",
        speed(hashing),
        speed(looking)
    );
}

/// Takes the lock as a reader in any language does, and looks whether something is being put in
/// place. Microseconds.
fn lock(root: &Path) -> (f64, f64) {
    let layout = Layout::new(root);
    let clock = SystemClock::new();
    let mut times: Vec<Duration> = (0..LOCKS)
        .map(|_| {
            let began = clock.monotonic();
            let taken = FileLock::try_take_shared(&RealFs, &layout.apply_lock()).unwrap().unwrap();
            assert!(RealFs.lstat(&layout.applying()).is_err(), "nothing is being put in place here");
            drop(taken);
            clock.monotonic() - began
        })
        .collect();
    times.sort();
    let micros = |at: usize| times[at].as_secs_f64() * 1e6;
    (micros(LOCKS / 2), micros(LOCKS * 99 / 100))
}

/// Seconds to hash the group and to look into it, each from the disk, and the peak memory of
/// looking into it.
fn group(root: &Path) -> (f64, f64, u64) {
    let (mut hashing, mut validating, mut peak) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let all = |work: &dyn Fn(&str)| FILES.iter().map(|path| cold(root, path, work).0).sum::<f64>();
        hashing.push(all(&|path| hash(root, path)));
        let before = peak_memory();
        validating.push(all(&|path| drop(look_into(root, path))));
        peak = peak.max(before.since());
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    (median(hashing), median(validating), peak)
}

fn hash(root: &Path, path: &str) {
    let stat = RealFs.lstat(&root.join(path)).unwrap();
    hash_stable(&RealFs, root, path, &stat).unwrap().unwrap();
}

fn look_into(root: &Path, path: &str) -> Facts {
    let kind = match path {
        "corpus/nodes.json" => Kind::Corpus("nodes".to_owned()),
        "vectors/nodes.npy" => Kind::Matrix,
        _ => Kind::Index,
    };
    let stat = RealFs.lstat(&root.join(path)).unwrap();
    let facts = examine(&RealFs, root, path, &stat, &kind, Search::Full).unwrap().unwrap();
    assert!(!matches!(facts, Facts::Broken { .. }), "{path}: {facts:?}");
    facts
}

/// Seconds that something takes with a file that is not in the page cache.
fn cold<T>(root: &Path, path: &str, work: impl Fn(&str) -> T) -> (f64, T) {
    forget(&root.join(path));
    timed(|| work(path))
}

/// Seconds that something takes once more.
fn warm(work: impl Fn()) -> f64 {
    work();
    timed(work).0
}

fn write_group(root: &Path) -> u64 {
    let write = |path: &str, head: &[u8]| {
        let mut file = BufWriter::new(std::fs::File::create(root.join(path)).unwrap());
        file.write_all(head).unwrap();
        let mut bits = 1_u32;
        for _ in 0..ROWS * DIM {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Between 1 and 2, so finite.
            file.write_all(&(0x3f80_0000 | bits >> 9).to_le_bytes()).unwrap();
        }
        file.flush().unwrap();
    };
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({ROWS}, {DIM}), }}");
    let header = format!("{header:<117}\n");
    let head = [b"\x93NUMPY\x01\x00".as_slice(), &118_u16.to_le_bytes(), header.as_bytes()].concat();
    write(FILES[1], &head);
    let number = |value: usize| (value as u64).to_le_bytes();
    let dim = u32::try_from(DIM).unwrap().to_le_bytes();
    let head = [
        b"IxFI".as_slice(),
        &dim,
        &number(ROWS),
        &number(1 << 20),
        &number(1 << 20),
        &[1],
        &[0; 4],
        &number(ROWS * DIM),
    ];
    write(FILES[2], &head.concat());
    write_corpus(&root.join(FILES[0]), ROWS);
    FILES.iter().map(|path| root.join(path).metadata().unwrap().len()).sum()
}

/// A corpus of entries of about 2.7 kB; its length.
fn write_corpus(path: &Path, entries: usize) -> u64 {
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    file.write_all(b"{\"version\": 1, \"nodes\": [").unwrap();
    let text = "the meeting moved to Thursday, and Zoë said \\\"so be it\\\"; ".repeat(43);
    for number in 0..entries {
        let comma = if number == 0 { "" } else { ",\n" };
        let tags = "{\"tags\": [\"a\", \"b\"], \"weight\": 0.25}";
        write!(file, "{comma}{{\"id\": \"n{number}\", \"content\": \"{text}\", \"own\": {tags}}}").unwrap();
    }
    file.write_all(b"]}").unwrap();
    file.flush().unwrap();
    path.metadata().unwrap().len()
}
