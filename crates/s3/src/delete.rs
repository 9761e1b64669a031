//! Deletion of objects that frees their bytes.
//!
//! In a bucket that keeps versions, a DELETE without a version only hides. So all versions are
//! listed, and each is deleted by its id. A store that does not know versions gets the plain
//! DELETE; a key that may not list them deletes nothing.
//!
//! Many objects go with one DeleteObjects. A store that answers it with 400 or 501 gets single
//! requests from then on. What an answer does not name as failed is taken for deleted; only a
//! listing tells whether it is.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use aws_sdk_s3::operation::delete_objects::DeleteObjectsOutput;
use aws_sdk_s3::types::{Delete, Error as KeyError, ObjectIdentifier};

use super::cap::Cap;
use super::errors::ErrorReply;
use super::line::Call;
use super::{S3Remote, content_md5};
use cogzy_engine::remote::{PAGE, RemoteError, RemoteErrorKind};

/// A version to delete: its key in the bucket, and its id, if the store has versions.
type Doomed = (String, Option<String>);

/// Versions of some keys; none where the store cannot tell.
type Versions = Option<BTreeMap<String, Vec<String>>>;

impl S3Remote {
    /// Deletes all versions of these objects. What can be deleted is, also where a key fails.
    pub(super) async fn delete_versions(&self, keys: &[String]) -> Result<(), RemoteError> {
        let full: Vec<String> = keys.iter().map(|key| self.full(key)).collect();
        let mut doomed: Vec<Doomed> = Vec::new();
        match self.versions(&full).await? {
            None => doomed.extend(full.into_iter().map(|key| (key, None))),
            Some(versions) => {
                for (key, ids) in versions {
                    doomed.extend(ids.into_iter().map(|id| (key.clone(), Some(id))));
                }
            }
        }
        let mut done = Ok(());
        for batch in doomed.chunks(PAGE) {
            done = done.and(self.delete_batch(batch).await?);
        }
        done
    }

    /// The versions of exactly these keys, hide markers included. One listing covers neighbours;
    /// what lies between two keys is jumped over.
    async fn versions(&self, keys: &[String]) -> Result<Versions, RemoteError> {
        let mut found: BTreeMap<String, Vec<String>> =
            keys.iter().map(|key| (key.clone(), Vec::new())).collect();
        let prefix = common_prefix(keys);
        // Of one key the prefix says all.
        let begin = found.keys().next().filter(|_| found.len() > 1).map(|key| before(key));
        let mut after = Some((begin, None));
        while let Some(place) = after.take() {
            let (marker, version) = place.clone();
            let call = Call::new("list versions", self.relative(&prefix));
            let ask = self.line.ask(call, |client, watch| {
                let request = client.list_object_versions().bucket(self.url.bucket()).prefix(&prefix);
                let request = request.set_key_marker(marker).set_version_id_marker(version);
                request.customize().interceptor(Cap::PARSED).interceptor(watch).send()
            });
            let answer = match ask.await {
                Ok(answer) => answer,
                Err(error) => {
                    return match error.kind {
                        RemoteErrorKind::Other => Ok(None),
                        // Objects that do not exist have no versions.
                        RemoteErrorKind::NotFound => Ok(Some(found)),
                        _ => Err(error),
                    };
                }
            };
            let versions = answer.versions().iter().map(|version| (version.key(), version.version_id()));
            let markers = answer.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
            for (key, version) in versions.chain(markers) {
                // Other keys begin alike, or lie in between.
                let ids = key.and_then(|key| found.get_mut(key));
                if let (Some(ids), Some(version)) = (ids, version) {
                    ids.push(version.to_owned());
                }
            }
            let next = answer.next_key_marker().filter(|_| answer.is_truncated() == Some(true));
            let Some(next) = next.map(str::to_owned) else { break };
            after = match found.contains_key(&next) {
                true => Some((Some(next), answer.next_version_id_marker().map(str::to_owned))),
                false => found.range(next..).next().map(|(key, _)| (Some(before(key)), None)),
            };
            // A store that does not move on would be asked for ever.
            after = after.filter(|after| *after > place);
        }
        Ok(Some(found))
    }

    /// Deletes versions with one request, or with one each. The inner error is that of the first
    /// that failed by itself.
    async fn delete_batch(&self, batch: &[Doomed]) -> Result<Result<(), RemoteError>, RemoteError> {
        if batch.len() > 1 && self.batches.load(Ordering::Relaxed) {
            match self.delete_objects(batch).await {
                // There is no such request here.
                Err(error) if error.kind == RemoteErrorKind::Other => {
                    self.batches.store(false, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
                Ok(answer) => return Ok(self.first_failure(answer.errors())),
            }
        }
        let mut done = Ok(());
        for (key, version) in batch {
            match self.delete_one(key, version.as_deref()).await {
                // All others would fail alike.
                Err(error) if error.kind.offline() => return Err(error),
                deleted => done = done.and(deleted),
            }
        }
        Ok(done)
    }

    async fn delete_objects(&self, batch: &[Doomed]) -> Result<DeleteObjectsOutput, RemoteError> {
        let first = batch.first().map_or("", |(key, _)| self.relative(key));
        let objects = batch.iter().map(|(key, version)| {
            let object = ObjectIdentifier::builder().key(key).set_version_id(version.clone());
            object.build().map_err(|error| incomplete(first, &error))
        });
        let objects: Vec<ObjectIdentifier> = objects.collect::<Result<_, _>>()?;
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let delete = delete.map_err(|error| incomplete(first, &error))?;
        let ask = self.line.ask(Call::new("delete", first), |client, watch| {
            let request = client.delete_objects().bucket(self.url.bucket()).delete(delete).customize();
            // S3 asks for it, and some stores know no other checksum.
            let request = request.mutate_request(|request| {
                let md5 = request.body().bytes().map(content_md5);
                if let Some(md5) = md5 {
                    request.headers_mut().insert("content-md5", md5);
                }
            });
            request.interceptor(Cap::PARSED).interceptor(watch).send()
        });
        ask.await
    }

    /// The error of the first key that could not be deleted, sorted as if it had been asked for
    /// alone.
    fn first_failure(&self, errors: &[KeyError]) -> Result<(), RemoteError> {
        for error in errors {
            let reply = ErrorReply::of_key(error.code(), error.message());
            let kind = reply.kind();
            let is_gone = matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion"));
            if !is_gone {
                let key = error.key().map_or("", |key| self.relative(key));
                let why = reply.words(kind, "delete", &self.line.endpoint());
                return Err(RemoteError::new(kind, "delete", key).because(why));
            }
        }
        Ok(())
    }

    async fn delete_one(&self, full: &str, version: Option<&str>) -> Result<(), RemoteError> {
        let ask = self.line.ask(Call::new("delete", self.relative(full)), |client, watch| {
            let request = client.delete_object().bucket(self.url.bucket()).key(full);
            let request = request.set_version_id(version.map(str::to_owned)).customize();
            request.interceptor(Cap::PARSED).interceptor(watch).send()
        });
        match ask.await {
            Err(error) if error.kind != RemoteErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn incomplete(key: &str, error: &impl ToString) -> RemoteError {
    RemoteError::new(RemoteErrorKind::Other, "delete", key).because(error.to_string())
}

/// The longest start that all keys share. Of one key, all of it.
fn common_prefix(keys: &[String]) -> String {
    let (Some(first), Some(last)) = (keys.iter().min(), keys.iter().max()) else { return String::new() };
    let shared = first.chars().zip(last.chars()).take_while(|(one, other)| one == other);
    shared.map(|(sign, _)| sign).collect()
}

/// A text right before a key: a listing after it begins with the key.
fn before(key: &str) -> String {
    let mut signs: Vec<char> = key.chars().collect();
    let last = signs.pop().map(|sign| u32::from(sign).saturating_sub(1)).and_then(char::from_u32);
    signs.extend(last);
    signs.push('~');
    signs.into_iter().collect()
}

#[cfg(test)]
mod tests;
