//! The bucket behind the server: every key with its versions, oldest first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cogzy_engine::clock::{Clock, SystemClock};
use futures_util::TryStreamExt;
use s3s::dto::{
    DefaultRetention, DeleteMarkerEntry, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, ETag, GetObjectInput, GetObjectLockConfigurationInput,
    GetObjectLockConfigurationOutput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
    ObjectIdentifier, ObjectLockConfiguration, ObjectLockRule, ObjectVersion, PutObjectInput,
    PutObjectOutput, StreamingBlob, Timestamp,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::BUCKET;

/// A version of an object; without bytes, a hide marker.
#[derive(Debug, Clone)]
struct Version {
    number: u64,
    bytes: Option<Bytes>,
    time: SystemTime,
}

/// The contents of the bucket.
#[derive(Debug, Default)]
pub struct Contents {
    versions: BTreeMap<String, Vec<Version>>,
    late: Vec<(String, Bytes)>,
    written: u64,
    /// PUTs that are still to be held back.
    pub delayed: usize,
    /// Newest PUTs that listings leave out.
    pub stale: usize,
    /// Days for which the bucket's rule keeps objects.
    pub locked_days: Option<i32>,
    /// True if a listing counts the keys of all pages.
    pub counts_all_keys: bool,
    /// True if a PUT replaces the object, and a DELETE frees it.
    pub unversioned: bool,
    /// Keys that one DeleteObjects does not delete.
    pub undeletable: BTreeSet<String>,
    /// Versions in one page of a listing; 1000 unless set.
    pub versions_page: Option<usize>,
}

/// The bucket; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Bucket(Arc<Mutex<Contents>>);

impl Contents {
    /// Applies the PUTs that were held back.
    pub fn release(&mut self) {
        for (key, bytes) in std::mem::take(&mut self.late) {
            self.write(key, Some(bytes));
        }
    }

    fn write(&mut self, key: String, bytes: Option<Bytes>) -> u64 {
        self.written += 1;
        let since = Duration::from_millis(SystemClock::new().now_ms());
        let version = Version { number: self.written, bytes, time: SystemTime::UNIX_EPOCH + since };
        let versions = self.versions.entry(key).or_default();
        if self.unversioned {
            versions.clear();
        }
        versions.push(version);
        self.written
    }

    /// Frees a version; without one, hides the object.
    fn delete(&mut self, key: String, version: Option<String>) {
        match version {
            Some(id) => {
                if let Some(versions) = self.versions.get_mut(&key) {
                    versions.retain(|version| version.number.to_string() != id);
                }
            }
            None => {
                self.write(key, None);
            }
        }
    }

    fn newest(&self, key: &str) -> Option<(&Version, &Bytes)> {
        let version = self.versions.get(key)?.last()?;
        Some((version, version.bytes.as_ref()?))
    }

    /// True if there is an object of that key.
    pub fn has(&self, key: &str) -> bool {
        self.newest(key).is_some()
    }

    /// The objects that a listing shows, by key.
    fn listed(&self) -> impl Iterator<Item = (&String, &Version, &Bytes)> {
        let mut numbers: Vec<_> = self.versions.values().flatten().map(|version| version.number).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        let hidden: BTreeSet<_> = numbers.into_iter().take(self.stale).collect();
        self.versions.iter().filter_map(move |(key, versions)| {
            let shown = versions.iter().rfind(|version| !hidden.contains(&version.number))?;
            Some((key, shown, shown.bytes.as_ref()?))
        })
    }
}

impl Bucket {
    /// The contents, for the switches.
    pub fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }

    fn open(&self, bucket: &str) -> S3Result<MutexGuard<'_, Contents>> {
        if bucket == BUCKET { Ok(self.lock()) } else { Err(s3_error!(NoSuchBucket)) }
    }
}

fn size(bytes: &Bytes) -> Option<i64> {
    i64::try_from(bytes.len()).ok()
}

#[async_trait::async_trait]
impl S3 for Bucket {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        if input.if_none_match.is_some() || input.if_match.is_some() {
            return Err(s3_error!(NotImplemented, "conditional PUTs are not supported"));
        }
        let mut bytes = Vec::new();
        if let Some(mut body) = input.body {
            while let Some(piece) = body.try_next().await.map_err(|_| s3_error!(IncompleteBody))? {
                bytes.extend_from_slice(&piece);
            }
        }
        let mut contents = self.open(&input.bucket)?;
        if contents.delayed > 0 {
            contents.delayed -= 1;
            contents.late.push((input.key, bytes.into()));
            return Err(s3_error!(InternalError));
        }
        let number = contents.write(input.key, Some(bytes.into()));
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(number.to_string())),
            version_id: Some(number.to_string()),
            ..PutObjectOutput::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let contents = self.open(&input.bucket)?;
        let (version, bytes) = contents.newest(&input.key).ok_or_else(|| s3_error!(NoSuchKey))?;
        let range = match input.range {
            Some(range) => Some(range.check(bytes.len() as u64)?),
            None => None,
        };
        let content_range =
            range.as_ref().map(|range| format!("bytes {}-{}/{}", range.start, range.end - 1, bytes.len()));
        let part = match range {
            Some(range) => {
                bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
            }
            None => bytes.clone(),
        };
        Ok(S3Response::new(GetObjectOutput {
            content_length: size(&part),
            content_range,
            body: Some(StreamingBlob::from(s3s::Body::from(part))),
            last_modified: Some(Timestamp::from(version.time)),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let contents = self.open(&request.input.bucket)?;
        let (version, bytes) = contents.newest(&request.input.key).ok_or_else(|| s3_error!(NoSuchKey))?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: size(bytes),
            last_modified: Some(Timestamp::from(version.time)),
            ..HeadObjectOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let contents = self.open(&input.bucket)?;
        let prefix = input.prefix.unwrap_or_default();
        let most = usize::try_from(input.max_keys.unwrap_or(1000)).unwrap_or(0).min(1000);
        let mut listed = contents.listed().filter(|(key, ..)| {
            key.starts_with(&prefix) && input.start_after.as_ref().is_none_or(|after| *key > after)
        });
        let objects: Vec<_> = listed
            .by_ref()
            .take(most)
            .map(|(key, version, bytes)| Object {
                key: Some(key.clone()),
                size: size(bytes),
                last_modified: Some(Timestamp::from(version.time)),
                ..Object::default()
            })
            .collect();
        let is_truncated = listed.next().is_some();
        let all = contents.listed().filter(|(key, ..)| key.starts_with(&prefix)).count();
        let counted = if contents.counts_all_keys { all } else { objects.len() };
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(counted).ok(),
            contents: Some(objects),
            is_truncated: Some(is_truncated),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn get_object_lock_configuration(
        &self,
        request: S3Request<GetObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        let days = self.open(&request.input.bucket)?.locked_days;
        let Some(days) = days else { return Err(s3_error!(ObjectLockConfigurationNotFoundError)) };
        let retention = DefaultRetention { days: Some(days), ..DefaultRetention::default() };
        let rule = Some(ObjectLockRule { default_retention: Some(retention) });
        Ok(S3Response::new(GetObjectLockConfigurationOutput {
            object_lock_configuration: Some(ObjectLockConfiguration {
                rule,
                ..ObjectLockConfiguration::default()
            }),
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let DeleteObjectInput { bucket, key, version_id, .. } = request.input;
        self.open(&bucket)?.delete(key, version_id);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut contents = self.open(&request.input.bucket)?;
        let mut errors = Vec::new();
        for ObjectIdentifier { key, version_id, .. } in request.input.delete.objects {
            if contents.undeletable.contains(&key) {
                let (code, message) = (Some("AccessDenied".to_owned()), Some("it is locked".to_owned()));
                errors.push(s3s::dto::Error { code, key: Some(key), message, version_id });
            } else {
                contents.delete(key, version_id);
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput { errors: Some(errors), ..DeleteObjectsOutput::default() }))
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let contents = self.open(&request.input.bucket)?;
        let ListObjectVersionsInput { prefix, key_marker, version_id_marker, .. } = request.input;
        let (prefix, marker) = (prefix.unwrap_or_default(), key_marker.unwrap_or_default());
        let after = |key: &String, number: u64| {
            let same = version_id_marker.as_ref().and_then(|id| id.parse::<u64>().ok());
            *key > marker || *key == marker && same.is_some_and(|same| number < same)
        };
        // By key, and the newest version first.
        let all = contents.versions.iter().filter(|(key, _)| key.starts_with(&prefix));
        let all = all.flat_map(|(key, all)| all.iter().rev().enumerate().map(move |of| (key, of)));
        let all: Vec<_> = all.filter(|(key, (_, version))| after(key, version.number)).collect();
        let page = contents.versions_page.unwrap_or(1000);
        let last = all.get(page - 1).filter(|_| all.len() > page);
        let last = last.map(|(key, (_, version))| ((*key).clone(), version.number.to_string()));
        let (mut versions, mut markers) = (Vec::new(), Vec::new());
        for (key, (age, version)) in all.into_iter().take(page) {
            let (key, id) = (Some(key.clone()), Some(version.number.to_string()));
            let (is_latest, last_modified) = (Some(age == 0), Some(Timestamp::from(version.time)));
            match &version.bytes {
                Some(bytes) => versions.push(ObjectVersion {
                    key,
                    version_id: id,
                    is_latest,
                    last_modified,
                    size: size(bytes),
                    ..ObjectVersion::default()
                }),
                None => markers.push(DeleteMarkerEntry {
                    key,
                    version_id: id,
                    is_latest,
                    last_modified,
                    ..DeleteMarkerEntry::default()
                }),
            }
        }
        let (next_key_marker, next_version_id_marker) = last.unzip();
        Ok(S3Response::new(ListObjectVersionsOutput {
            versions: Some(versions),
            delete_markers: Some(markers),
            is_truncated: Some(next_key_marker.is_some()),
            next_key_marker,
            next_version_id_marker,
            ..ListObjectVersionsOutput::default()
        }))
    }
}
