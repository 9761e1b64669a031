//! Keys and encoding of the log's objects. docs/FORMAT.md describes them byte for byte.

use serde::Serialize;

use super::LogError;
use super::encode::encode;
use super::frame::{Decoded, ObjectKind, check_known, decode};
use super::rules::check_commit;
use crate::model::{Commit, CommitId, CommitKey, Digest, Groups, VaultHeader, VaultId, limits};

/// Prefix of commits.
pub(super) const COMMITS: &str = "commits/";
/// Prefix of checkpoints.
pub(super) const CHECKPOINTS: &str = "checkpoints/";
/// Prefix of vault headers, followed by the id and `.json`.
pub(super) const VAULT: &str = "vault-";

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
    if bytes.len() as u64 > limits::HEADER_STORED {
        return Err(LogError::corrupt(key, format!("it is longer than {} bytes", limits::HEADER_STORED)));
    }
    let Version { format } = serde_json::from_slice(bytes).map_err(|error| LogError::corrupt(key, error))?;
    check_known(key, format, || serde_json::from_slice(bytes).ok())?;
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
    Groups::new(header.groups.clone()).map_err(|error| LogError::groups(key, &error))?;
    Ok(header)
}
