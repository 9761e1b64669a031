//! Objects as no version of this program writes them, made after docs/FORMAT.md.

use std::io::{BufReader, Read};

use cogzy_engine::content::{Encoder, PackBuilder};
use cogzy_engine::model::{Content, Digest, PackId, PackInfo, Part, Recipe};
use serde_json::{Value, json};

use crate::joining::VAULT;

fn pack(chunks: &[Vec<u8>]) -> (PackInfo, Vec<u8>) {
    let mut builder = PackBuilder::new(PackId::from_bytes([7; PackId::LEN]));
    let mut encoder = Encoder::new().unwrap();
    for chunk in chunks {
        let (codec, stored) = encoder.encode(chunk).unwrap();
        builder.push(Digest::of(chunk), chunk.len(), codec, stored).unwrap();
    }
    let finished = builder.finish().unwrap();
    (finished.info, finished.bytes.to_vec())
}

/// A pack of chunks of 4 MiB that hardly take any room.
pub fn bombs(count: u32) -> (PackInfo, Vec<u8>) {
    let bomb = |number: u32| {
        let mut chunk = vec![0; 4 << 20];
        chunk[..4].copy_from_slice(&number.to_le_bytes());
        chunk
    };
    let mut builder = PackBuilder::new(PackId::from_bytes([7; PackId::LEN]));
    let mut encoder = Encoder::new().unwrap();
    for chunk in (0..count).map(bomb) {
        let (codec, stored) = encoder.encode(&chunk).unwrap();
        builder.push(Digest::of(&chunk), chunk.len(), codec, stored).unwrap();
    }
    let finished = builder.finish().unwrap();
    (finished.info, finished.bytes.to_vec())
}

pub struct Deep {
    pub content: Content,
    pub recipe: Recipe,
    pub pack: PackInfo,
    pub stored: (String, Vec<u8>),
}

/// Lists of 512 times the same list, four levels of them, above a chunk of 16 bytes.
pub fn deep_recipe() -> Deep {
    let part = |bytes: &[u8]| Part { id: Digest::of(bytes), len: u32::try_from(bytes.len()).unwrap() };
    let mut chunks = vec![b"sixteen bytes, ".to_vec()];
    let mut size = chunks[0].len() as u64;
    for _ in 0..4 {
        let below = part(chunks.last().unwrap());
        chunks.push([below.id.as_bytes().as_slice(), &below.len.to_le_bytes()].concat().repeat(512));
        size *= 512;
    }
    let recipe = Recipe { depth: 4, parts: vec![part(chunks.last().unwrap())] };
    let (pack, bytes) = pack(&chunks);
    let stored = (cogzy_engine::log::pack_key(pack.id), bytes);
    Deep { content: Content { digest: Digest::of(b"file"), size }, recipe, pack, stored }
}

fn framed(magic: &[u8; 6], plain: &[u8]) -> Vec<u8> {
    [magic.as_slice(), &[1, 0, 0], plain].concat()
}

/// A first commit, but for these members.
pub fn commit(members: &Value) -> (String, Vec<u8>) {
    let mut whole = json!({
        "format": 1, "vault": VAULT, "seq": 1, "parents": [], "txn": "1.0.0101010101010101",
        "device": {"id": "0101010101010101", "name": "x"}, "changes": [], "recipes": [], "packs": [],
        "groups": null, "kept": [], "resolved": [],
    });
    for (name, member) in members.as_object().unwrap() {
        whole[name] = member.clone();
    }
    let plain = serde_json::to_vec(&whole).unwrap();
    (format!("commits/{:016}-{}", 1, Digest::of(&plain)), framed(b"CGZcmt", &plain))
}

/// An object below `commits/` that unpacks to `bytes` of the same piece again and again.
pub fn packed_commit(piece: &str, bytes: u64) -> (String, Vec<u8>) {
    let many = piece.repeat((64 << 10) / piece.len());
    let endless = Endless { piece: many.into_bytes(), at: 0 }.take(bytes);
    let packed = zstd::encode_all(BufReader::new(endless), 3).unwrap();
    let object = [b"CGZcmt\x01\x00\x01".as_slice(), &packed].concat();
    (format!("commits/{:016}-{}", 1, Digest::of(piece.as_bytes())), object)
}

struct Endless {
    piece: Vec<u8>,
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.at %= self.piece.len();
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// A checkpoint whose state is the first chunk of a pack, some number of times.
pub fn checkpoint(info: &PackInfo, times: usize, size: u64) -> (String, Vec<u8>) {
    let piece = json!({"pack": info.id, "slot": info.chunks[0]});
    let plain = serde_json::to_vec(&json!({
        "format": 1, "vault": VAULT, "commit": {"seq": 1, "id": Digest::of(b"commit")},
        "state": {"digest": Digest::of(b"state"), "size": size}, "pieces": vec![piece; times],
    }))
    .unwrap();
    (format!("checkpoints/{:016}-{}", 1, Digest::of(&plain)), framed(b"CGZchk", &plain))
}
