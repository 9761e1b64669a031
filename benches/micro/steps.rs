//! The steps that a save goes through, each alone: `cargo bench`, in this folder.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Duration;

use cogzy_engine::clock::SystemEntropy;
use cogzy_engine::content::{Cutter, Encoder, Ingest, decode};
use cogzy_engine::fs::RealFs;
use cogzy_engine::model::{Cached, ChunkParams, DeviceId, Digest, Groups, VaultId, VaultPath};
use cogzy_engine::plan::{Input, plan};
use cogzy_engine::vault::{Filter, Layout, MARKER_FORMAT, Marker, Scan, ScanOptions, scan};
use cogzy_micro::{floats, path, text, tree};
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
        group.bench_function(format!("chunk {name}"), |bencher| bencher.iter(|| cut(plain).len()));
        group.bench_function(format!("chunk and hash {name}"), |bencher| bencher.iter(|| take_in(plain)));
        let (chunks, mut encoder) = (cut(plain), Encoder::new().expect("zstd begins"));
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

/// Chunks of a file.
fn cut(plain: &[u8]) -> Vec<Vec<u8>> {
    let mut cutter = Cutter::new(ChunkParams::default()).expect("the default is usable");
    let (mut chunks, mut all) = (cutter.cut(plain), Vec::new());
    while let Some(chunk) = chunks.next_chunk().expect("memory can be read") {
        all.push(chunk.to_vec());
    }
    all
}

/// Takes in a file of which every chunk is stored already.
fn take_in(plain: &[u8]) {
    let sink = |_| Ok::<(), Infallible>(());
    let ingest = Ingest::new(ChunkParams::default(), &SystemEntropy, |_| true, sink);
    black_box(ingest.expect("zstd begins").add(plain).expect("memory can be read"));
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
        prefer: &|_| true,
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

criterion_group!(steps, contents, scans, plans);
criterion_main!(steps);
