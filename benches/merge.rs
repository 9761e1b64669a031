//! Merging two versions of a corpus of 1 GB with vectors of 1.2 GB: time against that of reading
//! both and writing the result, and peak memory.
//!
//!     cargo bench --bench merge
//!
//! Each side has added, changed and deleted a hundredth of the memories. Linux only: all files are
//! put out of the page cache before each pass. Both are timed in turn, and told are medians. It
//! wants 12 GB of disk for a few minutes; a smaller number of memories can be given as an argument.

#![cfg(test)]

mod measured;

use std::collections::BTreeMap;
use std::fs::File as Disk;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use cogzy_engine::fs::{Fs, ReadFile, RealFs};
use cogzy_engine::merge::{File, Names, Rules, Side, merge};
use cogzy_engine::vault::validate::Kind;
use measured::{forget, peak_memory, timed};

const MEMORIES: usize = 250_000;
const DIM: usize = 1_200;
/// Every so many memories one was changed by a side, and another one deleted.
const CHANGED: usize = 100;
const FILES: [&str; 2] = ["nodes.json", "nodes.npy"];
const SIDES: [&str; 3] = ["base", "here", "there"];
/// Times that each is done once more.
const PASSES: usize = 5;
/// Limits of peak memory in bytes, and of time against reading and writing.
const MOST_MEMORY: f64 = 300e6;
const MOST_TIME: f64 = 1.5;

fn main() {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let memories = asked.unwrap_or(MEMORIES);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let sides = SIDES.iter().enumerate();
    let bytes: Vec<u64> = sides.map(|(side, name)| write(&root.join(name), side, memories)).collect();
    let before = peak_memory();
    let (mut mergings, mut copyings) = (vec![cold(root, merged)], Vec::new());
    let peak = before.since() as f64;
    for _ in 0..PASSES {
        copyings.push(cold(root, read_and_write));
        mergings.push(cold(root, merged));
    }
    let [merging, copying] = [mergings, copyings].map(median);
    println!(
        "two versions of {:.2} GB  both read and one written {copying:.1} s  merged {merging:.1} s  {:.2} of it, at most {MOST_TIME}",
        bytes[1] as f64 / 1e9,
        merging / copying,
    );
    println!("peak {:.0} MB  {:.2} of {:.0} MB", peak / 1e6, peak / MOST_MEMORY, MOST_MEMORY / 1e6);
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Seconds that something takes while no file is in the page cache.
fn cold(root: &Path, work: fn(&Path)) -> f64 {
    let paths = SIDES.iter().flat_map(|side| FILES.map(|file| root.join(side).join(file)));
    paths.for_each(|path| forget(&path));
    timed(|| work(root)).0
}

fn merged(root: &Path) {
    let open = |side: &str| -> Vec<(Box<dyn ReadFile>, u64)> {
        let paths = FILES.iter().map(|file| root.join(side).join(file));
        paths.map(|path| (RealFs.open(&path).unwrap(), path.metadata().unwrap().len())).collect()
    };
    let [base, here, there] = SIDES.map(open);
    let rows = vec![(Kind::Matrix, FILES[1].to_owned())];
    let names = Names { key: "nodes".to_owned(), rows, rules: Rules::default(), seen: BTreeMap::new() };
    let merged = merge(&names, Some(&side(&base)), &side(&here), &side(&there)).unwrap();
    let new = |file: &str| BufWriter::with_capacity(1 << 20, Disk::create(root.join(file)).unwrap());
    let [mut corpus, mut matrix] = FILES.map(new);
    merged.write_corpus(&mut corpus).unwrap();
    merged.write_rows(0, &mut matrix).unwrap();
    for file in [corpus, matrix] {
        file.into_inner().unwrap().sync_all().unwrap();
    }
}

fn side(opened: &[(Box<dyn ReadFile>, u64)]) -> Side<'_> {
    let of = |at: usize| File { file: opened[at].0.as_ref(), len: opened[at].1 };
    Side { corpus: of(0), rows: vec![of(1)] }
}

/// What no merge can do without: both sides are read, and one is written.
fn read_and_write(root: &Path) {
    let mut buffer = vec![0; 1 << 20];
    for file in FILES {
        let mut copy = Disk::create(root.join(format!("{file}.copy"))).unwrap();
        for side in ["here", "there"] {
            let mut from = Disk::open(root.join(side).join(file)).unwrap();
            loop {
                let count = from.read(&mut buffer).unwrap();
                if count == 0 {
                    break;
                }
                if side == "there" {
                    copy.write_all(&buffer[..count]).unwrap();
                }
            }
        }
        copy.sync_all().unwrap();
    }
}

/// Writes a version; its length. Side 0 is the base; each other one has changed, deleted and added
/// memories of its own.
fn write(folder: &Path, side: usize, memories: usize) -> u64 {
    std::fs::create_dir(folder).unwrap();
    let has = |what: usize, number: usize| side > 0 && number % CHANGED == what + side;
    let added = if side > 0 { memories / CHANGED } else { 0 };
    let stays: Vec<(String, usize, usize)> = (0..memories)
        .filter(|number| !has(10, *number))
        .map(|number| (format!("n{number}"), number, if has(20, number) { side } else { 0 }))
        .chain((0..added).map(|number| (format!("by-{side}-{number}"), number, side)))
        .collect();
    let [mut corpus, mut matrix] =
        FILES.map(|file| BufWriter::with_capacity(1 << 20, Disk::create(folder.join(file)).unwrap()));
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {DIM}), }}", stays.len());
    matrix.write_all(b"\x93NUMPY\x01\x00").unwrap();
    matrix.write_all(&118_u16.to_le_bytes()).unwrap();
    writeln!(matrix, "{header:<117}").unwrap();
    corpus.write_all(b"{\"version\": 1, \"nodes\": [").unwrap();
    let text = "the meeting moved to Thursday, and Zoë said \\\"so be it\\\"; ".repeat(65);
    for (at, (id, number, by)) in stays.iter().enumerate() {
        let comma = if at == 0 { "" } else { ",\n" };
        write!(
            corpus,
            "{comma}{{\"id\": \"{id}\", \"content\": \"{number} by {by}: {text}\", \"weight\": 0.25}}"
        )
        .unwrap();
        let mut bits = u32::try_from(number * 3 + by + 1).unwrap();
        for _ in 0..DIM {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Between 1 and 2, so finite.
            matrix.write_all(&(0x3f80_0000 | bits >> 9).to_le_bytes()).unwrap();
        }
    }
    corpus.write_all(b"]}").unwrap();
    for file in [corpus, matrix] {
        file.into_inner().unwrap().sync_all().unwrap();
    }
    FILES.iter().map(|file| folder.join(file).metadata().unwrap().len()).sum()
}
