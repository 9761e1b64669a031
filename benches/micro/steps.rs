//! The steps that a save goes through, each alone: `cargo bench`, in this folder.

#[path = "../contents/mod.rs"]
mod contents;

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Duration;

use cogzy_engine::content::{Encoder, decode};
use cogzy_engine::fs::RealFs;
use cogzy_engine::model::{Cached, DeviceId, Digest, Entry, Groups, Tree, VaultId, VaultPath};
use cogzy_engine::plan::{Input, plan};
use cogzy_engine::vault::{Filter, Layout, MARKER_FORMAT, Marker, Scan, ScanOptions, scan};
use contents::{cut, floats, take_in, text};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BYTES: usize = 16 << 20;
const FILES: usize = 10_000;
const VAULT: VaultId = VaultId::from_bytes([1; VaultId::LEN]);

fn contents(criterion: &mut Criterion) {
    let kinds = [("floats", floats(BYTES)), ("text", text(BYTES))];
    let mut group = criterion.benchmark_group("content");
    group.throughput(Throughput::Bytes(BYTES as u64)).sample_size(10);
    for (name, plain) in &kinds {
        group.bench_function(format!("hash {name}"), |bencher| bencher.iter(|| Digest::of(black_box(plain))));
        group.bench_function(format!("chunk {name}"), |bencher| {
            bencher.iter(|| cut(plain, <[u8]>::len).len())
        });
        group.bench_function(format!("chunk and hash {name}"), |bencher| bencher.iter(|| take_in(plain)));
        let (chunks, mut encoder) = (cut(plain, <[u8]>::to_vec), Encoder::new().expect("zstd begins"));
        group.bench_function(format!("encode {name}"), |bencher| {
            bencher.iter(|| {
                for chunk in &chunks {
                    black_box(encoder.encode(chunk).expect("it is short enough"));
                }
            });
        });
        let stored: Vec<_> = chunks
            .iter()
            .map(|chunk| {
                let (codec, bytes) = encoder.encode(chunk).expect("it is short enough");
                (codec, bytes.to_vec(), u32::try_from(chunk.len()).expect("it is short"))
            })
            .collect();
        group.bench_function(format!("decode {name}"), |bencher| {
            bencher.iter(|| {
                for (codec, bytes, len) in &stored {
                    black_box(decode(*codec, bytes, *len).expect("it was encoded"));
                }
            });
        });
    }
}

fn scans(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let layout = Layout::new(folder.path());
    let device = DeviceId::from_bytes([2; DeviceId::LEN]);
    let marker = Marker { format: MARKER_FORMAT, vault: VAULT, device, machine: String::new() };
    marker.write(&RealFs, &layout).expect("the folder takes a file");
    for number in 0..FILES {
        let file = folder.path().join(path(number).as_str());
        std::fs::create_dir_all(file.parent().expect("it has a folder")).expect("there is room");
        std::fs::write(file, format!("trace {number}")).expect("there is room");
    }
    let first = look(&layout, &HashMap::new());
    let known = first.news.iter().filter_map(|(path, cached)| Some((path.clone(), (*cached)?))).collect();
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(FILES as u64)).sample_size(10);
    group.bench_function("new files", |bencher| bencher.iter(|| look(&layout, &HashMap::new()).files.len()));
    group.bench_function("unchanged files", |bencher| bencher.iter(|| look(&layout, &known).files.len()));
}

fn look(layout: &Layout, cache: &HashMap<VaultPath, Cached>) -> Scan {
    let filter = Filter::new(&[], &[]).expect("no pattern is wrong");
    // Long after all writes.
    let now_ns = 4_000_000_000_000_000_000;
    let options = ScanOptions {
        vault: VAULT,
        filter: &filter,
        cache,
        now_ns,
        settle: Duration::from_secs(2),
        rehash_before: 0,
        threads: NonZeroUsize::MIN,
        prefer: Some(&|_| true),
        snapshots: None,
        progress: &|_| {},
    };
    scan(&RealFs, layout, &options).expect("the vault can be read")
}

fn plans(criterion: &mut Criterion) {
    let (groups, ages) = (Groups::new(Vec::new()).expect("no group is wrong"), BTreeMap::new());
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(10);
    for files in [1_000, 100_000] {
        let (base, local) = (tree(files, None), tree(files, Some(files / 10)));
        group.bench_function(format!("ten changes of {files} files"), |bencher| {
            bencher.iter(|| plan(&Input::of([&base, &local, &base], &groups, &ages)).steps.len());
        });
    }
}

/// The path of a file of a vault.
fn path(number: usize) -> VaultPath {
    VaultPath::new(&format!("traces/{:03}/{number}.json", number % 100)).expect("it is a path")
}

/// A manifest of so many files, of which each `changed`th is another than without.
fn tree(files: usize, changed: Option<usize>) -> Tree {
    let version = |number: usize| changed.is_some_and(|every| number.is_multiple_of(every));
    let entry = |number: usize| Entry {
        digest: Digest::of(format!("{number} {}", version(number)).as_bytes()),
        size: 500,
        mtime_ms: 0,
        mode: 0o644,
        rows: None,
    };
    (0..files).map(|number| (path(number), entry(number))).collect()
}

criterion_group!(steps, contents, scans, plans);
criterion_main!(steps);
