//! Deletion of an object that frees its bytes.
//!
//! In a bucket that keeps versions, a DELETE without a version only hides. So all versions are
//! listed, and each is deleted by its id. A store that does not know versions gets the plain
//! DELETE; a key that may not list them deletes nothing.

use super::S3Remote;
use super::cap::Cap;
use super::line::Call;
use cogzy_engine::remote::{RemoteError, RemoteErrorKind};

impl S3Remote {
    pub(super) async fn delete_versions(&self, key: &str) -> Result<(), RemoteError> {
        let full = self.full(key);
        let Some(versions) = self.versions(key, &full).await? else {
            return self.delete_one(key, &full, None).await;
        };
        for version in versions {
            self.delete_one(key, &full, Some(version)).await?;
        }
        Ok(())
    }

    /// The versions of exactly this key, hide markers included; none where the store cannot tell.
    async fn versions(&self, key: &str, full: &str) -> Result<Option<Vec<String>>, RemoteError> {
        let mut found = Vec::new();
        let mut after: Option<(String, Option<String>)> = None;
        loop {
            let (marker, version) = after.map_or((None, None), |(marker, version)| (Some(marker), version));
            let ask = self.line.ask(Call::new("list versions", key), |client, watch| {
                let request = client.list_object_versions().bucket(self.url.bucket()).prefix(full);
                let request = request.set_key_marker(marker).set_version_id_marker(version);
                request.customize().interceptor(Cap::PARSED).interceptor(watch).send()
            });
            let answer = match ask.await {
                Ok(answer) => answer,
                Err(error) => {
                    return match error.kind {
                        RemoteErrorKind::Other => Ok(None),
                        // An object that does not exist has no versions.
                        RemoteErrorKind::NotFound => Ok(Some(found)),
                        _ => Err(error),
                    };
                }
            };
            let versions = answer.versions().iter().map(|version| (version.key(), version.version_id()));
            let markers = answer.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
            // The prefix is the whole key, and other keys may begin with it.
            let ours = versions.chain(markers).filter(|(key, _)| *key == Some(full));
            found.extend(ours.filter_map(|(_, version)| version.map(str::to_owned)));
            match answer.next_key_marker() {
                Some(next) if answer.is_truncated() == Some(true) && next == full => {
                    after = Some((next.to_owned(), answer.next_version_id_marker().map(str::to_owned)));
                }
                _ => return Ok(Some(found)),
            }
        }
    }

    async fn delete_one(&self, key: &str, full: &str, version: Option<String>) -> Result<(), RemoteError> {
        let ask = self.line.ask(Call::new("delete", key), |client, watch| {
            let request = client.delete_object().bucket(self.url.bucket()).key(full);
            let request = request.set_version_id(version).customize();
            request.interceptor(Cap::PARSED).interceptor(watch).send()
        });
        match ask.await {
            Err(error) if error.kind != RemoteErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
