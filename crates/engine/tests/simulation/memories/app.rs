//! The app: it keeps memories in the files of a group. Two indexes follow from them: a flat one,
//! and one that no merge can write.

use std::fmt;

use cogzy_engine::clock::Clock;
use cogzy_engine::model::Entry;
use cogzy_testkit::memories::{index, matrix, numbers, rows};
use cogzy_testkit::rng::Rng;
use serde_json::{Value, json};

use super::Shared;
use super::book::{Memory, Part, Shown};
use crate::device::Device;
use crate::disk::{Site, UserOp};
use crate::oracle::Check;
use crate::replayed::contents;
use crate::world::World;

const CORPUS: &str = "memory/nodes.json";
const MATRIX: &str = "memory/nodes.npy";
const INDEX: &str = "memory/nodes.index";
const GRAPH: &str = "memory/graph.index";

/// The app of a device adds, changes and deletes some memories, at most so many, and adds one more;
/// tells how many. While the engine is in the middle of an apply it waits.
pub fn act(device: &Device, rng: &mut Rng, book: &Shared, most: usize) -> Result<usize, String> {
    let Some(mut memories) = read(device)? else { return Ok(0) };
    let mut book = book.lock().unwrap();
    book.finds(&device.name, &memories);
    if let Some(held) = book.holds(&device.name) {
        device.disk.trace.mark("memories: an app saves what it holds");
        memories = held;
    }
    let count = 1 + rng.below(most);
    for _ in 0..count {
        let at = rng.below(memories.len().max(1));
        match rng.below(10) {
            _ if memories.is_empty() => memories.push(book.adds()),
            0..4 => memories.push(book.adds()),
            4..7 => book.changes(&mut memories[at], Part::Text),
            7..9 => book.changes(&mut memories[at], Part::Tag),
            _ => book.deletes(&device.name, &memories.remove(at)),
        }
    }
    // A version that was decided before stays decided: none is written twice.
    memories.push(book.adds());
    book.counts(&mut memories);
    if rng.chance(20) {
        memories.reverse();
    }
    book.wrote(&device.name, &memories);
    let [corpus, matrix, index] = files(&memories, device.disk.clock.now_ns());
    let graph = graph(&memories);
    drop(book);
    device.disk.trace.note(format_args!("{} has {}", device.name, Told(&memories)));
    let files = [(CORPUS, corpus), (MATRIX, matrix), (INDEX, index), (GRAPH, graph)];
    let files = files.map(|(path, bytes)| (path.to_owned(), bytes)).to_vec();
    device.disk.clock.tick();
    device.disk.site().perform(&UserOp::Together(files), &device.disk);
    Ok(count + 1)
}

/// The app of a device starts: it reads the group, and writes nothing yet.
pub fn start(device: &Device, book: &Shared) -> Check {
    if let Some(memories) = read(device)?.filter(|memories| !memories.is_empty()) {
        device.disk.trace.note(format_args!("{} has read {}", device.name, Told(&memories)));
        book.lock().unwrap().reads(&device.name, &memories);
    }
    Ok(())
}

fn files(memories: &[Memory], now: i64) -> [Vec<u8>; 3] {
    let node = |memory: &Memory| {
        let Memory { id, text, tag, reads } = memory;
        json!({"id": id, "content": format!("text {text}"), "tag": tag, "access_count": reads, "own": [1.50]})
    };
    let nodes: Vec<Value> = memories.iter().map(node).collect();
    let vectors: Vec<f32> = memories.iter().map(|memory| vector(memory.text)).collect();
    let corpus = json!({"version": 1, "updated_at": now, "nodes": nodes}).to_string().into_bytes();
    [corpus, matrix(&vectors), index(&vectors)]
}

/// An index of a family that nobody knows, over these memories in their order.
fn graph(memories: &[Memory]) -> Vec<u8> {
    let of = |memory: &Memory| format!(" {}:{}", memory.id, memory.text);
    format!("IxHO{}", memories.iter().map(of).collect::<String>()).into_bytes()
}

/// The vector of a text.
fn vector(text: u32) -> f32 {
    let [high, low] = [text >> 12, text & 0xFFF].map(|part| f32::from(u16::try_from(part).unwrap()));
    high * 4096.0 + low
}

/// Reads the group, and asserts that its files fit together. None while the engine is in the middle
/// of an apply.
fn read(device: &Device) -> Result<Option<Vec<Memory>>, String> {
    let site = device.disk.site();
    if site.file("sync/applying").is_some() {
        return Ok(None);
    }
    let Some(corpus) = bytes(&site, CORPUS) else { return Ok(Some(Vec::new())) };
    let wrong = |what: &str| format!("{}: {what}", device.name);
    let memories = parse(&corpus).ok_or_else(|| wrong("the corpus cannot be read"))?;
    let expected: Vec<f32> = memories.iter().map(|memory| vector(memory.text)).collect();
    let matrix = bytes(&site, MATRIX).ok_or_else(|| wrong("there are no vectors"))?;
    if rows(&matrix) != expected {
        return Err(wrong(&format!("vectors {:?} stand beside {}", rows(&matrix), Told(&memories))));
    }
    if let Some(index) = bytes(&site, INDEX) {
        let vectors = numbers(&index[index.len() - expected.len() * 8..]);
        if vectors != expected {
            return Err(wrong(&format!("the index has {vectors:?} for {}", Told(&memories))));
        }
    }
    if bytes(&site, GRAPH).is_some_and(|found| found != graph(&memories)) {
        return Err(wrong(&format!("the graph is not that of {}", Told(&memories))));
    }
    Ok(Some(memories))
}

pub(super) fn bytes(site: &Site, path: &str) -> Option<Vec<u8>> {
    site.file(path).map(|ino| site.state.node(ino).bytes.to_vec())
}

fn parse(corpus: &[u8]) -> Option<Vec<Memory>> {
    let document: Value = serde_json::from_slice(corpus).ok()?;
    let memory = |node: &Value| {
        let text = node["content"].as_str()?.strip_prefix("text ")?.parse().ok()?;
        let tag = u32::try_from(node["tag"].as_u64()?).ok()?;
        let reads = u32::try_from(node["access_count"].as_u64()?).ok()?;
        Some(Memory { id: node["id"].as_str()?.to_owned(), text, tag, reads })
    };
    // Memories that lost a clash stand in a list of their own.
    document.get("nodes").unwrap_or(&document).as_array()?.iter().map(memory).collect()
}

/// Memories in a few words: `m1:text:tag:reads`.
struct Told<'a>(&'a [Memory]);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Memory { id, text, tag, reads }) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{id}:{text}:{tag}:{reads}")?;
        }
        Ok(())
    }
}

/// The memories that a device shows, each once.
pub fn shown(device: &Device) -> Result<Shown, String> {
    let Some(memories) = read(device)? else { return Ok(Shown::new()) };
    device.disk.trace.note(format_args!("{} shows {}", device.name, Told(&memories)));
    let count = memories.len();
    let shown: Shown = memories.into_iter().map(|memory| (memory.id.clone(), memory)).collect();
    if shown.len() < count {
        return Err(format!("{}: a memory stands there twice: {shown:?}", device.name));
    }
    Ok(shown)
}

/// The memories that were set aside and wait for a person.
pub async fn open(world: &mut World) -> Result<Vec<Memory>, String> {
    let listed = world.devices[0].engine().conflicts().await.map_err(|error| error.to_string())?;
    let files = listed.iter().flat_map(|listed| &listed.conflict.files);
    let corpora = files.filter(|file| file.path.as_str().ends_with(".json")).filter_map(|file| file.entry);
    let contents = contents(&world.store)?;
    let read = |entry: Entry| contents.get(&entry.digest).and_then(|bytes| parse(bytes));
    let memories: Option<Vec<Vec<Memory>>> = corpora.map(read).collect();
    Ok(memories.ok_or("what was set aside is not in the bucket")?.concat())
}
