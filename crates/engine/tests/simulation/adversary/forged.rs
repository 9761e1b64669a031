//! Objects that an adversary makes.

use bytes::Bytes;
use cogzy_engine::content::{Encoder, PackBuilder};
use cogzy_engine::model::{Change, Entry, Part, RecipeOf, VaultPath};
use serde_json::{Value, json};

use super::*;

/// Bytes of plaintext that a commit of few bytes has too many: docs/FORMAT.md allows it 1 MiB and
/// 256 bytes for each byte that is stored.
const TOO_MANY: usize = 2 << 20;

/// Bytes of the chunks of a forged recipe.
const PART: usize = 8 << 10;

impl Adversary {
    pub(super) fn put(&mut self, world: &World, key: String, body: impl Into<Bytes>) {
        world.trace.note(format_args!("the adversary puts {key}"));
        world.store.lock().put(&key, body.into());
        self.made.insert(key);
    }

    pub(super) fn junk(&mut self, world: &World, rng: &mut Rng, head: CommitKey) {
        world.trace.mark("adversary: junk");
        let number = world.oracle.versions.fresh();
        let seq = head.seq + 1 - u64::try_from(rng.below(2)).unwrap();
        let id = CommitId::from_bytes(*Digest::of(&number.to_le_bytes()).as_bytes());
        let bodies: [&[u8]; 4] = [b"", b"junk", b"CGZcmt\x01\x00\x00{}", b"CGZcmt\x63\x00\x00{}"];
        self.put(world, format!("commits/{}", CommitKey { seq, id }), *rng.pick(&bodies));
    }

    /// A well-made commit on `parent` that says what no device would.
    pub(super) fn forge(
        &mut self,
        world: &World,
        what: &str,
        parent: CommitKey,
        change: impl FnOnce(&mut Commit),
    ) {
        world.trace.mark(format!("adversary: {what}"));
        let (plain, Commit { format, seq, .. }) = self.stranger(world, parent, change);
        let id = CommitId::from_bytes(*Digest::of(&plain).as_bytes());
        let head = [b"CGZcmt", &u16::try_from(format).unwrap().to_le_bytes()[..], b"\x00"].concat();
        self.put(world, format!("commits/{}", CommitKey { seq, id }), [head, plain].concat());
    }

    /// A commit and its plaintext, on `parent` by a device that nobody knows.
    fn stranger(
        &self,
        world: &World,
        parent: CommitKey,
        change: impl FnOnce(&mut Commit),
    ) -> (Vec<u8>, Commit) {
        let parents = vec![parent];
        let id = DeviceId::from_bytes([7; 8]);
        let vault = {
            let bucket = world.store.lock();
            let newest = bucket.objects.get(&format!("commits/{parent}")).expect("it was listed");
            parse(&newest.0).expect("it was parsed").vault
        };
        let logical = u32::try_from(world.oracle.versions.fresh()).unwrap();
        let mut commit = Commit {
            format: FIRST_FORMAT,
            vault,
            seq: parent.seq + 1,
            parents,
            txn: Some(Hlc { wall_ms: 1, logical, device: id }),
            device: Some(Maker { id, name: "stranger".into(), reads: None }),
            changes: vec![],
            recipes: vec![],
            packs: vec![],
            enclosed: None,
            groups: None,
            kept: vec![],
            resolved: vec![],
            kind: CommitKind::Sync,
            prune: Prune::default(),
            needs: vec![],
            base: None,
            ext: None,
        };
        change(&mut commit);
        (serde_json::to_vec(&commit).unwrap(), commit)
    }

    /// A pack of garbage, first in every order, whose table claims all chunks that there are.
    pub(super) fn poison(&mut self, world: &World, head: CommitKey, commits: &BTreeMap<CommitKey, Commit>) {
        let there = commits.values().flat_map(|commit| &commit.packs).flat_map(|pack| &pack.chunks);
        let chunks: BTreeMap<Digest, u32> = there.map(|slot| (slot.id, slot.len)).collect();
        let (mut slots, mut offset) = (Vec::new(), 8);
        for (id, len) in chunks {
            slots.push(ChunkSlot { id, offset, stored: len, len, codec: Codec::Raw });
            offset += len;
        }
        let size = u64::from(offset) + 41 * u64::try_from(slots.len()).unwrap() + 44;
        if slots.is_empty() || size > 20 << 20 {
            return;
        }
        let id = self.pack_id(world);
        let body = vec![7; usize::try_from(size).unwrap()];
        let pack = PackInfo { id, digest: Digest::of(&body), size, chunks: slots };
        self.put(world, pack_name(id), body);
        self.forge(world, "poison", head, |commit| commit.packs = vec![pack]);
    }

    /// Another recipe for a content of several chunks, complete and of the right length, with chunks
    /// of its own.
    pub(super) fn recipe(
        &mut self,
        world: &World,
        rng: &mut Rng,
        head: CommitKey,
        commits: &BTreeMap<CommitKey, Commit>,
    ) {
        let said = commits.values().flat_map(|commit| &commit.recipes);
        let others: Vec<&RecipeOf> = said.filter(|of| !self.recipes.contains(&of.recipe)).collect();
        if others.is_empty() {
            return;
        }
        let RecipeOf { digest, recipe } = *rng.pick(&others);
        let chunk = |part: &Part| {
            let number = world.oracle.versions.fresh().to_le_bytes();
            let len = usize::try_from(part.len).unwrap();
            number.into_iter().cycle().take(len).collect::<Vec<u8>>()
        };
        let chunks: Vec<Vec<u8>> = recipe.parts.iter().map(chunk).collect();
        let mut builder = PackBuilder::new(self.pack_id(world));
        for chunk in &chunks {
            builder.push(Digest::of(chunk), chunk.len(), Codec::Raw, chunk).unwrap();
        }
        let pack = builder.finish().unwrap();
        self.put(world, pack_name(pack.info.id), pack.bytes);
        let parts = chunks.iter().zip(&recipe.parts);
        let parts = parts.map(|(chunk, part)| Part { id: Digest::of(chunk), len: part.len }).collect();
        let forged = Recipe { depth: recipe.depth, parts };
        self.recipes.push(forged.clone());
        self.forge(world, "recipe", head, |commit| {
            commit.packs = vec![pack.info];
            commit.recipes = vec![RecipeOf { digest: *digest, recipe: forged }];
        });
    }

    /// True for a content that nobody has sent.
    pub(super) fn awaits(&self, content: &Digest) -> bool {
        self.coming.as_ref().is_some_and(|(_, bytes)| Digest::of(bytes) == *content)
    }

    /// Forgets what was coming once a device has brought a recipe of it.
    pub(super) fn look_for_coming(&mut self, world: &World) {
        let brings = |commit: &Commit| {
            let mut own = commit.recipes.iter().filter(|of| !self.recipes.contains(&of.recipe));
            own.any(|of| self.awaits(&of.digest))
        };
        if self.coming.is_some() && commits(world).values().any(brings) {
            self.coming = None;
        }
    }

    pub(super) fn begin_misname(&mut self, world: &World, rng: &mut Rng) {
        let head = commits(world).into_keys().rev().find(|key| !self.bombs.contains(key));
        head.into_iter().for_each(|head| self.misname(world, rng, head));
    }

    /// A file of a content that a device is about to save, with a recipe of as many other bytes.
    pub(super) fn misname(&mut self, world: &World, rng: &mut Rng, head: CommitKey) {
        let (path, bytes) = edits::large(world, rng);
        let number = world.oracle.versions.fresh().to_le_bytes();
        let other: Vec<u8> = number.into_iter().cycle().take(bytes.len()).collect();
        let mut builder = PackBuilder::new(self.pack_id(world));
        // Now and then the chunks are nowhere.
        let parts = other.chunks(PART).map(|chunk| {
            builder.push(Digest::of(chunk), chunk.len(), Codec::Raw, chunk).unwrap();
            Part { id: Digest::of(chunk), len: u32::try_from(chunk.len()).unwrap() }
        });
        let recipe = Recipe { depth: 0, parts: parts.collect() };
        let mut packs = vec![];
        if !rng.one_in(3) {
            let pack = builder.finish().unwrap();
            self.put(world, pack_name(pack.info.id), pack.bytes);
            packs.push(pack.info);
        }
        self.recipes.push(recipe.clone());
        let (digest, size) = (Digest::of(&bytes), u64::try_from(bytes.len()).unwrap());
        let entry = Entry { digest, size, mtime_ms: 0, mode: 0o644, rows: None };
        self.forge(world, "misname", head, |commit| {
            commit.packs = packs;
            commit.changes = vec![Change { path: VaultPath::new(MISNAMED).unwrap(), entry: Some(entry) }];
            commit.recipes = vec![RecipeOf { digest, recipe }];
        });
        self.coming = Some((path, bytes));
    }

    /// A commit of few bytes that unpacks to more than a reader may take, and is well made but for
    /// that.
    pub(super) fn bomb(&mut self, world: &World, parent: CommitKey) {
        let (mut plain, Commit { seq, .. }) = self.stranger(world, parent, |_| {});
        world.trace.mark("adversary: bomb");
        plain.resize(plain.len() + TOO_MANY, b' ');
        let key = CommitKey { seq, id: CommitId::from_bytes(*Digest::of(&plain).as_bytes()) };
        let packed = zstd::encode_all(plain.as_slice(), 1).unwrap();
        self.bombs.insert(key);
        self.put(world, format!("commits/{key}"), [b"CGZcmt\x01\x00\x01".as_slice(), &packed].concat());
    }

    /// A checkpoint of a true commit that knows its past and none of its files.
    pub(super) fn checkpoint(&mut self, world: &World, commits: &BTreeMap<CommitKey, Commit>) {
        let is_built_on = |key: &&CommitKey| commits.values().any(|commit| commit.parents.contains(key));
        let Some(commit) = commits.keys().rev().find(is_built_on).copied() else { return };
        world.trace.mark("adversary: checkpoint");
        let vault = commits[&commit].vault;
        let past = commits
            .range(..=commit)
            .map(|(key, of)| json!({"commit": [key, {"parents": of.parents, "vault": vault}]}));
        let lines = [json!({"groups": []})].into_iter().chain(past);
        let state: String = lines.map(|line| format!("{line}\n")).collect();
        self.put_checkpoint(world, vault, commit, &[state.as_bytes()]);
    }

    /// Puts a checkpoint whose state is these pieces, one after the other, and its pack. The pack
    /// has a piece that comes again once.
    pub(super) fn put_checkpoint(
        &mut self,
        world: &World,
        vault: VaultId,
        commit: CommitKey,
        pieces: &[&[u8]],
    ) {
        let ids: Vec<Digest> = pieces.iter().map(|piece| Digest::of(piece)).collect();
        let distinct: BTreeMap<Digest, &[u8]> = ids.iter().copied().zip(pieces.iter().copied()).collect();
        let mut builder = PackBuilder::new(self.pack_id(world));
        let mut encoder = Encoder::new().unwrap();
        for (id, piece) in distinct {
            let (codec, stored) = encoder.encode(piece).unwrap();
            builder.push(id, piece.len(), codec, stored).unwrap();
        }
        let pack = builder.finish().unwrap();
        self.put(world, pack_name(pack.info.id), pack.bytes);
        let slots: BTreeMap<Digest, ChunkSlot> =
            pack.info.chunks.iter().map(|slot| (slot.id, *slot)).collect();
        let named: Vec<Value> =
            ids.iter().map(|id| json!({"pack": pack.info.id, "slot": slots[id]})).collect();
        let state = pieces.concat();
        let plain: Value = json!({
            "format": 1, "vault": vault, "commit": commit,
            "state": {"digest": Digest::of(&state), "size": state.len()},
            "pieces": named,
        });
        let plain = serde_json::to_vec(&plain).unwrap();
        let body = [b"CGZchk\x01\x00\x00".as_slice(), &plain].concat();
        self.put(world, format!("checkpoints/{:016}-{}", commit.seq, Digest::of(&plain)), body);
    }

    /// The id of a new pack, which comes before those of all devices.
    fn pack_id(&self, world: &World) -> PackId {
        let mut id = [0; PackId::LEN];
        id[PackId::LEN - 8..].copy_from_slice(&world.oracle.versions.fresh().to_be_bytes());
        PackId::from_bytes(id)
    }
}
