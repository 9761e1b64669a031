//! Encoding of the log's objects. docs/FORMAT.md describes them byte for byte.
//!
//! A framed object is `magic (8) · codec (1) · payload`. The magic names the kind and format. The
//! codec is 0 for plain JSON and 1 for one zstd frame of JSON. An object is named by the digest of
//! its *plaintext*, so a reader always knows if it has the right bytes, whatever compressed them.

use std::io::Read;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::LogError;
use crate::model::{
    Commit, CommitId, CommitKey, CommitKind, Digest, FIRST_FORMAT, FORMAT, Feature, Need, VaultHeader,
    VaultId,
};

/// Maximum length of the plaintext of a commit or checkpoint, in bytes.
const MAX_PLAINTEXT: u64 = 1 << 30;
/// Maximum length of a vault header, in bytes.
const MAX_HEADER: usize = 1 << 20;
const ZSTD_LEVEL: i32 = 3;

/// Prefix of commits.
pub(super) const COMMITS: &str = "commits/";
/// Prefix of checkpoints.
pub(super) const CHECKPOINTS: &str = "checkpoints/";
/// Prefix of vault headers, followed by the id and `.json`.
pub(super) const VAULT: &str = "vault-";

/// Kind of a framed object.
#[derive(Debug, Clone, Copy)]
pub(super) enum ObjectKind {
    Commit,
    Checkpoint,
}

impl ObjectKind {
    const fn magic(self) -> &'static [u8; 6] {
        match self {
            Self::Commit => b"CGZcmt",
            Self::Checkpoint => b"CGZchk",
        }
    }
}

/// Key of a vault's header.
pub(super) fn header_key(vault: VaultId) -> String {
    format!("{VAULT}{vault}.json")
}

/// Parses the key of a vault header. Returns `None` for other keys.
pub(super) fn parse_header_key(key: &str) -> Option<VaultId> {
    key.strip_prefix(VAULT)?.strip_suffix(".json")?.parse().ok()
}

/// Key of a commit.
pub(super) fn commit_key(key: CommitKey) -> String {
    format!("{COMMITS}{key}")
}

/// Parses the key of a commit. Returns `None` for other keys.
#[must_use]
pub fn parse_commit_key(key: &str) -> Option<CommitKey> {
    CommitKey::parse(key.strip_prefix(COMMITS)?)
}

/// Key that precedes all commits of generation `seq` and later.
pub(super) fn before_seq(seq: u64) -> String {
    // Keys of `seq` continue with `-`. The bare number sorts before all of them and after all lower
    // ones.
    format!("{COMMITS}{seq:016}")
}

/// Encodes a value, and returns its plaintext's digest and the object's bytes. The digest depends
/// only on the value. The bytes do so only without `compress`, because another version of zstd may
/// compress differently.
pub(super) fn encode(
    kind: ObjectKind,
    format: u32,
    value: &impl Serialize,
    compress: bool,
) -> Result<(Digest, Vec<u8>), LogError> {
    let unwritable = |error: &dyn std::fmt::Display| LogError::corrupt("a new object", error);
    let plain = serde_json::to_vec(value).map_err(|error| unwritable(&error))?;
    let mut bytes = Vec::new();
    bytes.extend_from_slice(kind.magic());
    bytes.extend_from_slice(&u16::try_from(format).unwrap_or(u16::MAX).to_le_bytes());
    bytes.push(u8::from(compress));
    if compress {
        zstd::stream::copy_encode(plain.as_slice(), &mut bytes, ZSTD_LEVEL)
            .map_err(|error| unwritable(&error))?;
    } else {
        bytes.extend_from_slice(&plain);
    }
    Ok((Digest::of(&plain), bytes))
}

/// A framed object that was read.
pub(super) struct Decoded<T> {
    pub value: T,
    /// Digest of its plaintext.
    pub digest: Digest,
    /// Format that its head says.
    pub format: u32,
}

/// Decodes an object that [`encode`] made, and returns the value and its plaintext's digest.
pub(super) fn decode<T: DeserializeOwned>(
    kind: ObjectKind,
    key: &str,
    bytes: &[u8],
) -> Result<Decoded<T>, LogError> {
    let short = || LogError::corrupt(key, "it is shorter than its head");
    let (magic, rest) = bytes.split_first_chunk::<6>().ok_or_else(short)?;
    let (format, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (codec, payload) = rest.split_first().ok_or_else(short)?;
    if magic != kind.magic() {
        return Err(LogError::corrupt(key, "it does not begin as such an object does"));
    }
    let format = u16::from_le_bytes(*format);
    let plain = match codec {
        0 => payload.to_vec(),
        1 => unpack(key, payload, MAX_PLAINTEXT)?,
        _ if u32::from(format) > FORMAT => Vec::new(),
        other => return Err(LogError::corrupt(key, format!("its codec is {other}, expected 0 or 1"))),
    };
    check_known(key, u64::from(format), &plain)?;
    let value = serde_json::from_slice(&plain).map_err(|error| LogError::corrupt(key, error))?;
    Ok(Decoded { value, digest: Digest::of(&plain), format: u32::from(format) })
}

/// Decompresses one zstd frame of at most `limit` bytes.
pub(super) fn unpack(key: &str, payload: &[u8], limit: u64) -> Result<Vec<u8>, LogError> {
    let damaged = |error: std::io::Error| LogError::corrupt(key, format!("its zstd frame: {error}"));
    let mut plain = Vec::new();
    let decoder = zstd::Decoder::with_buffer(payload).map_err(damaged)?;
    decoder.take(limit + 1).read_to_end(&mut plain).map_err(damaged)?;
    if plain.len() as u64 > limit {
        return Err(LogError::corrupt(key, format!("it unpacks to more than {limit} bytes")));
    }
    Ok(plain)
}

/// Refuses an object that this program does not read, and names the version that does: of a newer
/// format, or with a feature that is not known here.
fn check_known(key: &str, format: u64, plain: &[u8]) -> Result<(), LogError> {
    #[derive(serde::Deserialize)]
    struct Says {
        #[serde(default)]
        needs: Vec<Need>,
    }
    if format == 0 {
        return Err(LogError::corrupt(key, "its format is 0"));
    }
    if format == u64::from(FIRST_FORMAT) {
        return Ok(());
    }
    let says: Option<Says> = serde_json::from_slice(plain).ok();
    let mut needs = says.map(|says| says.needs).unwrap_or_default();
    needs.retain(|need| !need.is_known());
    if needs.is_empty() && format <= u64::from(FORMAT) {
        return Ok(());
    }
    Err(LogError::Newer { key: key.to_owned(), format, needs })
}

/// Encodes a commit. Merges are stored as plain JSON, because devices that merge at once must write
/// the same bytes.
pub(super) fn encode_commit(commit: &Commit) -> Result<(CommitKey, Vec<u8>), LogError> {
    let (digest, bytes) = encode(ObjectKind::Commit, commit.format, commit, commit.parents.len() < 2)?;
    Ok((CommitKey { seq: commit.seq, id: CommitId::from_bytes(*digest.as_bytes()) }, bytes))
}

/// Decodes a commit and computes its key.
pub(super) fn decode_commit(key: &str, bytes: &[u8]) -> Result<(CommitKey, Commit), LogError> {
    let Decoded { value: commit, digest, format } = decode::<Commit>(ObjectKind::Commit, key, bytes)?;
    if commit.format != format {
        return Err(LogError::corrupt(
            key,
            format!("its head says format {format}, and it {}", commit.format),
        ));
    }
    check_commit(&commit).map_err(|why| LogError::corrupt(key, why))?;
    Ok((CommitKey { seq: commit.seq, id: CommitId::from_bytes(*digest.as_bytes()) }, commit))
}

/// Checks the rules that a commit must satisfy on its own, whatever its parents are.
fn check_commit(commit: &Commit) -> Result<(), &'static str> {
    fn ascending<T: Ord>(mut keys: impl Iterator<Item = T>) -> bool {
        let Some(mut last) = keys.next() else { return true };
        keys.all(|key| {
            let grows = last < key;
            last = key;
            grows
        })
    }
    let highest = commit.parents.iter().map(|parent| parent.seq).max().unwrap_or(0);
    let ordinary = commit.parents.len() < 2;
    let used: Vec<Need> = Feature::of(commit).into_iter().map(Feature::need).collect();
    match () {
        () if commit.format == FIRST_FORMAT && commit.uses_format_2() => {
            Err("it holds what its format has no room for")
        }
        () if used.iter().any(|need| !commit.needs.contains(need)) => {
            Err("it uses a feature that it does not name")
        }
        () if !ascending(commit.needs.iter()) => Err("the features it needs are not sorted"),
        () if commit.parents.len() > 2 => Err("it has more than two parents"),
        () if highest.checked_add(1) != Some(commit.seq) => {
            Err("its generation does not follow its parents'")
        }
        () if !ordinary && commit.parents.first() <= commit.parents.last() => {
            Err("its parents are out of order")
        }
        () if ordinary != commit.txn.is_some() || ordinary != commit.device.is_some() => {
            Err("an ordinary commit has a transaction and a device, a merge has neither")
        }
        () if !ordinary && commit.kind != CommitKind::Sync => Err("a merge has no kind"),
        () if !ascending(commit.changes.iter().map(|change| &change.path)) => {
            Err("its changes are not sorted")
        }
        () if !ascending(commit.recipes.iter().map(|recipe| recipe.digest)) => {
            Err("its recipes are not sorted")
        }
        () if !ascending(commit.packs.iter().map(|pack| pack.id)) => Err("its packs are not sorted"),
        () if !ascending(commit.kept.iter().map(|conflict| conflict.id)) => {
            Err("its conflicts are not sorted")
        }
        () if !ascending(commit.resolved.iter().map(|resolved| resolved.id)) => {
            Err("its resolutions are not sorted")
        }
        () if !ascending(commit.prune.marked.iter())
            || !ascending(commit.prune.unmarked.iter())
            || !ascending(commit.prune.swept.iter())
            || !ascending(commit.prune.void.iter())
            || !ascending(commit.prune.unkept.iter()) =>
        {
            Err("what it says of old data is not sorted")
        }
        () if ordinary && !(commit.prune.void.is_empty() && commit.prune.unkept.is_empty()) => {
            Err("only a merge finds that a commit is void")
        }
        () if commit
            .kept
            .iter()
            .any(|kept| kept.id != crate::model::Conflict::id_of(&kept.item, &kept.files)) =>
        {
            Err("a conflict's id is not the digest of what it keeps")
        }
        () => Ok(()),
    }
}

/// Encodes a vault header as plain JSON, readable by people.
pub(super) fn encode_header(header: &VaultHeader) -> Result<Vec<u8>, LogError> {
    #[derive(Serialize)]
    struct Sealed<'a> {
        #[serde(flatten)]
        header: &'a VaultHeader,
        check: Digest,
    }
    let unwritable = |error| LogError::corrupt("a new vault header", error);
    let check = seal(header).map_err(unwritable)?;
    serde_json::to_vec_pretty(&Sealed { header, check }).map_err(unwritable)
}

/// Digest of a header's fields, without white space and in the order of the format. A header's key
/// does not prove its content, unlike other keys, and one changed letter in a group's pattern would
/// split that group.
fn seal(header: &VaultHeader) -> Result<Digest, serde_json::Error> {
    Ok(Digest::of(&serde_json::to_vec(header)?))
}

/// Decodes a vault header.
pub(super) fn decode_header(key: &str, bytes: &[u8]) -> Result<VaultHeader, LogError> {
    #[derive(serde::Deserialize)]
    struct Version {
        format: u64,
    }
    if bytes.len() > MAX_HEADER {
        return Err(LogError::corrupt(key, format!("it is longer than {MAX_HEADER} bytes")));
    }
    let Version { format } = serde_json::from_slice(bytes).map_err(|error| LogError::corrupt(key, error))?;
    check_known(key, format, bytes)?;
    let damaged = |error| LogError::corrupt(key, error);
    let mut members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(bytes).map_err(damaged)?;
    // Headers of the first versions have no check.
    let check = members.remove("check").map(serde_json::from_value::<Digest>).transpose().map_err(damaged)?;
    let header: VaultHeader = serde_json::from_value(members.into()).map_err(damaged)?;
    let sealed = seal(&header).map_err(damaged)?;
    if check.is_some_and(|check| check != sealed) {
        return Err(LogError::corrupt(key, "its fields do not have the digest that it says"));
    }
    if Some(header.vault) != parse_header_key(key) {
        return Err(LogError::corrupt(key, format!("it names vault {}", header.vault)));
    }
    if !header.chunking.usable() {
        return Err(LogError::corrupt(key, "its chunking parameters are unusable"));
    }
    Ok(header)
}
