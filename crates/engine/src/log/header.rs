//! Vault headers: their creation, and the choice between two that were created at once.
//!
//! Before the first commit, the smallest id among the headers wins. A device that lost this race
//! without noticing may still commit under its own header. Then there are two first commits, which
//! are merged like any fork. So a commit may name any header of the prefix, and the vault's id is
//! the smallest that a first commit names.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::format::{VAULT, decode_header, encode_header, header_key, parse_header_key};
use super::steady::{Steady, read_steadily};
use super::{Log, LogError};
use crate::model::{VaultHeader, VaultId, limits};
use crate::remote::{Remote, RemoteError, RemoteErrorKind, Span, list_all};

/// All of a header.
const WHOLE: Span = Span::UpTo(limits::HEADER_STORED);

/// Puts a header into a prefix that has none. Another device may do the same at this moment, so
/// list the headers again before using one.
///
/// # Errors
/// Errors of the remote.
pub async fn create_vault(remote: &dyn Remote, header: &VaultHeader) -> Result<(), LogError> {
    let bytes = encode_header(header)?;
    Ok(remote.put(&header_key(header.vault), Bytes::from(bytes)).await?)
}

/// All headers of the prefix.
pub(super) async fn list_headers(remote: &dyn Remote) -> Result<BTreeMap<VaultId, VaultHeader>, LogError> {
    let mut headers = BTreeMap::new();
    for object in list_all(remote, VAULT, None).await? {
        if let Some(vault) = parse_header_key(&object.key) {
            headers.insert(vault, decode_header(&object.key, &remote.get(&object.key, WHOLE).await?)?);
        }
    }
    Ok(headers)
}

impl Log {
    /// Id of the vault: the smallest that a first commit names. Before the first commit, it is the
    /// smallest that has a header.
    #[must_use]
    pub fn vault(&self) -> Option<VaultId> {
        let roots = self.graph.roots().iter().filter_map(|root| self.graph.get(*root));
        roots.map(|node| node.vault).min().or_else(|| self.headers.keys().next().copied())
    }

    /// True if `vault` is one of the ids of this vault.
    #[must_use]
    pub fn is_named(&self, vault: VaultId) -> bool {
        self.headers.contains_key(&vault)
    }

    /// True if `vault` is one of the ids of this vault, like [`Log::is_named`], but asks the remote
    /// about an id that no listing has shown: two devices may have created the vault at once.
    ///
    /// # Errors
    /// Errors of the remote; a damaged or newer header.
    pub async fn look_for(&mut self, vault: VaultId) -> Result<bool, LogError> {
        if self.is_named(vault) {
            return Ok(true);
        }
        match self.header_of(vault).await {
            Ok(_) => Ok(true),
            Err(LogError::Remote(error)) if error.kind == RemoteErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The valid header: the parameters of chunking and the first groups.
    ///
    /// # Errors
    /// If the prefix holds no vault.
    pub fn header(&self) -> Result<&VaultHeader, LogError> {
        let header = self.vault().and_then(|vault| self.headers.get(&vault));
        header.ok_or_else(|| LogError::corrupt("the remote", "it holds no vault"))
    }

    /// Header of `vault`, read if it is not yet known.
    pub(super) async fn header_of(&mut self, vault: VaultId) -> Result<&VaultHeader, LogError> {
        if !self.headers.contains_key(&vault) {
            let key = header_key(vault);
            let header = match self.cache.get(&key).map(|bytes| decode_header(&key, &bytes)) {
                Some(cached) => cached?,
                None => self.read_header(&key).await?,
            };
            self.headers.insert(vault, header);
        }
        self.headers.get(&vault).ok_or_else(|| LogError::corrupt(header_key(vault), "it is missing"))
    }

    /// Reads a header, and caches it. All commits of the vault depend on it: one that is damaged
    /// twice in the same way is damaged in the bucket, and one that is another each time was damaged
    /// on the way, which says nothing of it.
    async fn read_header(&self, key: &str) -> Result<VaultHeader, LogError> {
        let open = |bytes: &Bytes| Ok((decode_header(key, bytes)?, bytes.clone()));
        match read_steadily(self.remote.as_ref(), key, WHOLE, open).await? {
            Steady::Opened((header, bytes)) => {
                self.cache.put(key, &bytes);
                Ok(header)
            }
            Steady::Wrong(error, _) => Err(error),
            Steady::Unsteady => Err(RemoteError::new(RemoteErrorKind::Malformed, "get", key).into()),
        }
    }
}
