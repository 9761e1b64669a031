//! Reads chunks from packs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{LogError, unless_lost};
use crate::content::{ChunkIndex, ContentError, PackRead, ReadLimits, join_ranges};
use crate::model::{ChunkSlot, Digest, PackId, limits};
use crate::planted::{Bug, planted};
use crate::remote::{Remote, RemoteError, RemoteErrorKind, Span};

/// Prefix of packs, followed by the first two digits of the id, a slash and the id.
pub const PACKS: &str = "packs/";
/// Number of concurrent reads.
const PARALLEL_READS: usize = 4;

/// Key of a pack.
#[must_use]
pub fn pack_key(pack: PackId) -> String {
    let id = pack.to_string();
    let (folder, _) = id.split_at(2);
    format!("{PACKS}{folder}/{id}")
}

/// Parses the key of a pack. Returns `None` for other keys.
#[must_use]
pub fn parse_pack_key(key: &str) -> Option<PackId> {
    let pack = key.strip_prefix(PACKS)?.split_once('/')?.1.parse().ok()?;
    (pack_key(pack) == key).then_some(pack)
}

/// Places of chunks in packs, by the offset in the pack.
pub type Offsets = BTreeMap<PackId, BTreeSet<u32>>;

/// Reads chunks from a remote's packs and checks each against its id. Clones share what they have
/// read.
#[derive(Debug, Clone)]
pub struct ChunkReader {
    remote: Arc<dyn Remote>,
    /// Places that gave the chunk that they should.
    sound: Arc<Mutex<Offsets>>,
    /// Packs that did not give a chunk that another one gave, each with a chunk.
    lies: Arc<Mutex<BTreeMap<PackId, Digest>>>,
}

impl ChunkReader {
    /// Creates a reader for the packs of `remote`.
    #[must_use]
    pub fn new(remote: Arc<dyn Remote>) -> Self {
        Self { remote, sound: Arc::default(), lies: Arc::default() }
    }

    /// Places that gave the chunk that they should, since this was asked last.
    pub fn take_sound(&self) -> Offsets {
        std::mem::take(&mut self.sound.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Packs that did not give a chunk that another one gave, each with a chunk, since this was
    /// asked last.
    pub fn take_lies(&self) -> BTreeMap<PackId, Digest> {
        std::mem::take(&mut self.lies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Executes one read and decodes its chunks.
    ///
    /// # Errors
    /// Errors of [`Self::fetch`] and [`Self::open`].
    pub async fn read(&self, read: PackRead) -> Result<Vec<(Digest, Vec<u8>)>, LogError> {
        let body = self.fetch(&read).await?;
        self.open(&read, &body)
    }

    /// Executes one read. The chunks are not looked at.
    ///
    /// # Errors
    /// Errors of the remote; a pack that is shorter than the read. A missing pack is `NotFound`.
    pub async fn fetch(&self, read: &PackRead) -> Result<Bytes, LogError> {
        let key = pack_key(read.pack);
        match self.remote.get(&key, Span::Part(read.range.clone())).await {
            Err(error) if error.kind == RemoteErrorKind::Malformed => {
                Err(self.too_short(&key, read.range.end).await?.unwrap_or(LogError::Remote(error)))
            }
            body => Ok(body?),
        }
    }

    /// Takes the bytes of a read apart, so that its chunks can be decoded a few at a time.
    #[must_use]
    pub fn parts(read: PackRead, body: &Bytes) -> Vec<(PackRead, Bytes)> {
        let start = read.range.start;
        let slice = |part: PackRead| {
            let at = |end: u64| usize::try_from(end.checked_sub(start)?).ok();
            let (from, to) = (at(part.range.start)?, at(part.range.end)?);
            (from <= to && to <= body.len()).then(|| (part, body.slice(from..to)))
        };
        let parts = (read.length() == Some(body.len() as u64)).then(|| read.parts());
        let parts = parts.and_then(|parts| parts.into_iter().map(slice).collect());
        // Opening the whole says what is wrong with it.
        parts.unwrap_or_else(|| vec![(read, body.clone())])
    }

    /// Decodes the chunks of a read from its bytes, and checks each against its id.
    ///
    /// # Errors
    /// Damaged chunks; bytes that are not as many as were asked for.
    pub fn open(&self, read: &PackRead, body: &[u8]) -> Result<Vec<(Digest, Vec<u8>)>, LogError> {
        let chunks = read.open(body).zip(&read.chunks).map(|(chunk, slot)| Ok((slot.id, chunk?)));
        let chunks = chunks.collect::<Result<_, ContentError>>().map_err(LogError::Content)?;
        let mut sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        sound.entry(read.pack).or_default().extend(read.chunks.iter().map(|slot| slot.offset));
        Ok(chunks)
    }

    /// Reads chunks into memory as [`Self::collect`] does, each from whichever of its places gives
    /// it. The inner error is a chunk that no pack of `index` has.
    ///
    /// # Errors
    /// As for [`Self::collect`]; the error of its first place for a chunk that none of them gives.
    pub async fn gather(
        &self,
        index: &ChunkIndex,
        ids: impl IntoIterator<Item = Digest>,
    ) -> Result<Result<HashMap<Digest, Vec<u8>>, Digest>, LogError> {
        let places = ids.into_iter().map(|id| index.get(&id).ok_or(id)).collect::<Result<Vec<_>, _>>();
        let places = match places {
            Ok(places) => places,
            Err(missing) => return Ok(Err(missing)),
        };
        check_gathered(&places)?;
        match self.collect(&places).await {
            Err(error) if error.is_of_a_place() => {}
            read => return read.map(Ok),
        }
        let mut all = HashMap::new();
        for (_, slot) in places {
            match self.from_any(index, slot.id).await? {
                Some(bytes) => drop(all.insert(slot.id, bytes)),
                None => return Ok(Err(slot.id)),
            }
        }
        Ok(Ok(all))
    }

    /// Reads chunks into memory, each from whichever of its places gives it. One that none of its
    /// places gives, or that no pack of `index` has, is left out, and so is what goes beyond
    /// [`limits::GATHERED`] bytes.
    ///
    /// # Errors
    /// Errors of the remote that say nothing of the places.
    pub async fn gather_readable(
        &self,
        index: &ChunkIndex,
        ids: impl IntoIterator<Item = Digest>,
    ) -> Result<HashMap<Digest, Vec<u8>>, LogError> {
        let places: Vec<_> = ids.into_iter().filter_map(|id| index.get(&id)).collect();
        if let Some(all) = unless_lost(self.collect(&places).await)? {
            return Ok(all);
        }
        let one_by_one = stream::iter(places).map(|(_, slot)| async move {
            let read = unless_lost(self.from_any(index, slot.id).await)?.flatten();
            Ok::<_, LogError>(read.map(|bytes| (slot.id, bytes)))
        });
        let read = one_by_one.buffered(PARALLEL_READS).try_filter_map(|read| async move { Ok(read) });
        let gathered = read.try_fold((HashMap::new(), 0_u64), |(mut all, bytes), (id, chunk)| async move {
            let bytes = bytes.saturating_add(chunk.len() as u64);
            if bytes <= limits::GATHERED {
                all.insert(id, chunk);
            }
            Ok((all, bytes))
        });
        Ok(gathered.await?.0)
    }

    /// Reads a chunk from whichever of its places gives it. Returns `None` if no pack of `index`
    /// has it.
    ///
    /// # Errors
    /// As for [`Self::gather`].
    pub async fn from_any(&self, index: &ChunkIndex, id: Digest) -> Result<Option<Vec<u8>>, LogError> {
        let mut first = None;
        let mut lies = BTreeMap::new();
        for place in index.places(&id) {
            match self.collect(&[place]).await {
                Err(error) if error.is_of_a_place() => {
                    tracing::info!(pack = %place.0, chunk = %id.short(), %error, "a chunk is not where it should be");
                    if planted(Bug::FirstPlaceOnly) {
                        return Err(error);
                    }
                    lies.extend(error.is_damage().then_some((place.0, id)));
                    first.get_or_insert(error);
                }
                read => {
                    let chunk = read?.remove(&id);
                    self.lies.lock().unwrap_or_else(PoisonError::into_inner).extend(lies);
                    return Ok(chunk);
                }
            }
        }
        first.map_or(Ok(None), Err)
    }

    /// Reads the chunks at `places`, and returns those that are not there.
    ///
    /// # Errors
    /// Errors of the remote that say nothing of the places.
    pub async fn missing(
        &self,
        places: &[(PackId, ChunkSlot)],
    ) -> Result<Vec<(PackId, ChunkSlot)>, LogError> {
        let mut places = places.to_vec();
        places.sort_unstable_by_key(|(pack, slot)| (*pack, slot.offset));
        let reads = join_ranges(&places, ReadLimits::AT_ONCE);
        let read = stream::iter(reads).map(|read| async move {
            let of_it: Vec<(PackId, ChunkSlot)> = read.chunks.iter().map(|slot| (read.pack, *slot)).collect();
            (self.read(read).await.map(drop), of_it)
        });
        let mut read = read.buffered(PARALLEL_READS);
        let (mut doubtful, mut missing) = (Vec::new(), Vec::new());
        while let Some((read, of_it)) = read.next().await {
            match read {
                Ok(()) => {}
                Err(error) if error.is_of_a_place() => doubtful.extend(of_it),
                Err(error) => return Err(error),
            }
        }
        for place in doubtful {
            match self.collect(&[place]).await {
                Ok(_) => {}
                Err(error) if error.is_of_a_place() => missing.push(place),
                Err(error) => return Err(error),
            }
        }
        Ok(missing)
    }

    /// Checks if the object is shorter than the range that the store cannot give. Then asking again
    /// does not help.
    async fn too_short(&self, key: &str, end: u64) -> Result<Option<LogError>, LogError> {
        let there = self.remote.head(key).await?.map(|object| object.size).filter(|size| *size < end);
        Ok(there.map(|size| LogError::corrupt(key, format!("it has only {size} bytes, and {end} are named"))))
    }

    /// Reads the chunks at `slots` into memory, for lists and other small data.
    ///
    /// # Errors
    /// Errors of [`ChunkReader::read`]; chunks of more than [`limits::GATHERED`] bytes.
    pub async fn collect(&self, slots: &[(PackId, ChunkSlot)]) -> Result<HashMap<Digest, Vec<u8>>, LogError> {
        let mut slots = slots.to_vec();
        slots.sort_unstable_by_key(|(pack, slot)| (*pack, slot.offset, slot.id));
        slots.dedup();
        check_gathered(&slots)?;
        let reads = join_ranges(&slots, ReadLimits::AT_ONCE);
        let read = stream::iter(reads).map(|read| self.read(read)).buffered(PARALLEL_READS);
        read.try_fold(HashMap::new(), |mut all, chunks| async move {
            all.extend(chunks);
            Ok(all)
        })
        .await
    }

    /// Reads a whole pack. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn whole(&self, pack: PackId) -> Result<Option<Bytes>, RemoteError> {
        match self.remote.get(&pack_key(pack), Span::UpTo(limits::PACK_STORED)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind == RemoteErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Refuses to hold more chunks at once than any list needs.
fn check_gathered(slots: &[(PackId, ChunkSlot)]) -> Result<(), LogError> {
    let bytes: u64 = slots.iter().map(|(_, slot)| u64::from(slot.len)).sum();
    if bytes <= limits::GATHERED {
        return Ok(());
    }
    let why = format!("{bytes} bytes of chunks are wanted at once: expected at most {}", limits::GATHERED);
    Err(LogError::corrupt(slots.first().map_or_else(String::new, |(pack, _)| pack_key(*pack)), why))
}
