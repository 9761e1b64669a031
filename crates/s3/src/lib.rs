//! S3-compatible stores: AWS, Backblaze B2, and any store with an endpoint.
//!
//! Every call is one request; the SDK's own retries are off, since [`cogzy_engine::remote::Retry`]
//! makes them. Nothing the store says is trusted where a wrong answer would do harm: a GET must be
//! as long as asked for and name its range, a listing must be in order and within what was asked, a
//! PUT must be acknowledged as S3 does. A proxy or a login page that answers 200 to everything must
//! not pass for an empty bucket.
//!
//! An answer to a HEAD has no body, so a missing bucket looks like a missing object.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use bytes::{Bytes, BytesMut};

use cogzy_engine::remote::{
    BucketUrl, Capabilities, Object, PAGE, Page, Remote, RemoteError, RemoteErrorKind, Span, no_such_range,
    percent, too_large,
};

mod cap;
mod client;
mod delete;
mod errors;
mod near;
mod probe;

use cap::Cap;
pub use client::{KeyPair, S3Options, Secret};

/// A bucket, below a prefix.
pub struct S3Remote {
    client: Client,
    url: BucketUrl,
    endpoint: String,
    timeout: Duration,
}

impl fmt::Debug for S3Remote {
    /// Without the client, which knows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Remote({} at {})", self.url, self.endpoint)
    }
}

impl S3Remote {
    /// A client for the bucket at `url`. Nothing is sent yet, unless the AWS configuration asks for
    /// it.
    ///
    /// # Errors
    /// `Unconfigured` if the options do not tell which endpoint to use.
    pub async fn open(url: &BucketUrl, options: &S3Options) -> Result<Self, RemoteError> {
        let (client, endpoint) = client::build(url, options).await?;
        Ok(Self { client, url: url.clone(), endpoint, timeout: options.operation_timeout })
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.url.prefix())
    }

    fn not_s3(&self, operation: &'static str, key: &str, missing: &str) -> RemoteError {
        RemoteError::new(RemoteErrorKind::WrongEndpoint, operation, key)
            .because(format!("{} does not answer like an S3 store: {missing}", self.endpoint))
    }

    /// Reads the body of a GET that promised `length` bytes. A store may send more, or without an end.
    async fn body(&self, key: &str, length: u64, mut body: ByteStream) -> Result<Bytes, RemoteError> {
        let read = async {
            let mut bytes = BytesMut::new();
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(|error| errors::transport("get", key, &self.endpoint, &error))?;
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > length {
                    break;
                }
            }
            Ok(bytes.freeze())
        };
        let late = |late: tokio::time::error::Elapsed| {
            RemoteError::new(RemoteErrorKind::UnknownOutcome, "get", key).because(late.to_string())
        };
        let bytes: Bytes = tokio::time::timeout(self.timeout, read).await.map_err(late)??;
        let got = bytes.len() as u64;
        if got == length {
            return Ok(bytes);
        }
        let came = if got > length { "more".to_owned() } else { got.to_string() };
        Err(malformed("get", key, format!("{length} bytes were promised, {came} came")))
    }
}

#[async_trait]
impl Remote for S3Remote {
    fn url(&self) -> String {
        self.url.to_string()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { metered: true }
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        let request = self.client.put_object().bucket(self.url.bucket()).key(self.full(key));
        let answer = request
            .body(ByteStream::from(body))
            .customize()
            .interceptor(Cap::PARSED)
            .send()
            .await
            .map_err(|error| errors::explain("put", key, &self.endpoint, error))?;
        match answer.e_tag() {
            Some(_) => Ok(()),
            None => Err(self.not_s3("put", key, "it took the object without an ETag")),
        }
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        let mut request = self.client.get_object().bucket(self.url.bucket()).key(self.full(key));
        if let Span::Part(range) = &span {
            if range.is_empty() {
                return Err(no_such_range(key, range, None));
            }
            request = request.range(format!("bytes={}-{}", range.start, range.end - 1));
        }
        let answer = request
            .customize()
            .interceptor(Cap::STREAMED)
            .send()
            .await
            .map_err(|error| errors::explain("get", key, &self.endpoint, error))?;
        let length = promised(key, &span, &answer)?;
        self.body(key, length, answer.body).await
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        let request = self.client.head_object().bucket(self.url.bucket()).key(self.full(key));
        let answer = match request.customize().interceptor(Cap::PARSED).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = errors::explain("head", key, &self.endpoint, error);
                return if error.kind == RemoteErrorKind::NotFound { Ok(None) } else { Err(error) };
            }
        };
        let size = answer.content_length().and_then(|size| u64::try_from(size).ok());
        match (size, answer.last_modified().and_then(milliseconds)) {
            (Some(size), Some(modified_ms)) => Ok(Some(Object { key: key.to_owned(), size, modified_ms })),
            _ => Err(self.not_s3("head", key, "it gave no Content-Length or no Last-Modified")),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        let page = i32::try_from(PAGE).unwrap_or(i32::MAX);
        let request = self.client.list_objects_v2().bucket(self.url.bucket()).max_keys(page);
        let answer = request
            .prefix(self.full(prefix))
            .set_start_after(after.map(|after| self.full(after)))
            .customize()
            .interceptor(Cap::PARSED)
            .send()
            .await
            .map_err(|error| errors::explain("list", prefix, &self.endpoint, error))?;
        let Some(more) = answer.is_truncated() else {
            return Err(self.not_s3("list", prefix, "its listing does not say whether it goes on"));
        };
        let objects = self.objects(prefix, &answer)?;
        let mut last = after;
        let sound = objects.iter().all(|object| {
            let follows = last.is_none_or(|last| last < object.key.as_str());
            last = Some(&object.key);
            follows && object.key.starts_with(prefix)
        });
        // The XML reader accepts a document that breaks off: a torn page shows only in its count.
        let counted = answer.key_count().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        if sound && objects.len() >= counted {
            Ok(Page { objects, more })
        } else {
            Err(malformed(
                "list",
                prefix,
                "its keys are out of order, miscounted or not what was asked for".to_owned(),
            ))
        }
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.delete_versions(key).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.date().await
    }
}

impl S3Remote {
    fn objects(&self, prefix: &str, answer: &ListObjectsV2Output) -> Result<Vec<Object>, RemoteError> {
        // S3 writes a space as `+` in this encoding. We never ask for the encoding, but a store may
        // use it all the same.
        let encoded = answer.encoding_type().is_some();
        let read =
            |key: &str| if encoded { percent::decode(&key.replace('+', " ")) } else { Some(key.to_owned()) };
        let object = |listed: &aws_sdk_s3::types::Object| {
            Some(Object {
                key: read(listed.key()?)?.strip_prefix(self.url.prefix())?.to_owned(),
                size: u64::try_from(listed.size()?).ok()?,
                modified_ms: milliseconds(listed.last_modified()?)?,
            })
        };
        let listed = answer.contents().iter().map(object);
        listed.collect::<Option<_>>().ok_or_else(|| {
            malformed(
                "list",
                prefix,
                "an object in it has no key below the prefix, no size or no time".to_owned(),
            )
        })
    }
}

/// The length of the body of a GET, once it is certain that it holds the bytes asked for.
fn promised(key: &str, span: &Span, answer: &GetObjectOutput) -> Result<u64, RemoteError> {
    let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
    let Some(length) = length else {
        return Err(malformed("get", key, "the answer does not say how long it is".to_owned()));
    };
    let range = match span {
        Span::Part(range) => range,
        Span::UpTo(limit) if length > *limit => return Err(too_large(key, *limit, Some(length))),
        Span::UpTo(_) => return Ok(length),
    };
    let wanted = format!("bytes {}-{}/", range.start, range.end - 1);
    let given = match answer.content_range() {
        Some(given) => given.starts_with(&wanted),
        // A store without ranges sends the whole object.
        None => range.start == 0,
    };
    if given && length == range.end - range.start { Ok(length) } else { Err(no_such_range(key, range, None)) }
}

fn malformed(operation: &'static str, key: &str, detail: String) -> RemoteError {
    RemoteError::new(RemoteErrorKind::Malformed, operation, key).because(detail)
}

fn milliseconds(time: &DateTime) -> Option<i64> {
    time.to_millis().ok()
}
