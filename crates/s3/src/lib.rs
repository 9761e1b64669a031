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
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_smithy_types::base64;
use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};

use cogzy_engine::remote::{
    BucketUrl, Capabilities, Object, PAGE, Page, Remote, RemoteError, RemoteErrorKind, Span, no_such_range,
    percent, too_large,
};

mod cap;
mod client;
mod delete;
mod errors;
mod http;
mod keys;
mod line;
mod moved;
mod near;
mod probe;
mod tls;
mod whole;

use cap::Cap;
pub use client::{KeyPair, S3Options, Secret};
use line::{Call, Line};
pub use tls::CaFile;
use whole::Whole;

/// Bytes from which on an object is sent without Content-MD5, until a store wants it: the signature
/// covers the body's SHA-256, and of all that an upload computes MD5 takes longest. Not every
/// gateway compares that digest. So where bytes could change on the way, all objects have both.
const LARGE: usize = 1 << 20;

/// A bucket, below a prefix.
pub struct S3Remote {
    url: BucketUrl,
    line: Line,
    /// False once the store has answered that it deletes no more than one object at once.
    batches: AtomicBool,
    /// True once a large object did not get through without Content-MD5. Whatever the cause was, and
    /// a store that wants the header may end the connection at once, all have it from then on.
    wants_md5: AtomicBool,
}

impl fmt::Debug for S3Remote {
    /// Without the client, which knows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Remote({})", self.url)
    }
}

impl S3Remote {
    /// A client for the bucket at `url`. Nothing is sent yet, unless the AWS configuration asks for
    /// it.
    ///
    /// # Errors
    /// `Unconfigured` if the options do not tell which endpoint to use.
    pub async fn open(url: &BucketUrl, options: &S3Options) -> Result<Self, RemoteError> {
        let line = Line::open(url, options).await?;
        let (batches, wants_md5) = (AtomicBool::new(true), AtomicBool::new(false));
        Ok(Self { url: url.clone(), line, batches, wants_md5 })
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.url.prefix())
    }

    /// The key below the prefix.
    fn relative<'a>(&self, full: &'a str) -> &'a str {
        full.strip_prefix(self.url.prefix()).unwrap_or(full)
    }

    fn not_s3(&self, call: Call<'_>, missing: &str) -> RemoteError {
        let endpoint = self.line.endpoint();
        call.error(RemoteErrorKind::WrongEndpoint)
            .because(format!("{endpoint} does not answer like an S3 store: {missing}"))
    }

    async fn put_once(&self, key: &str, body: Bytes, with_md5: bool) -> Result<(), RemoteError> {
        let call = Call { length: body.len() as u64, ..Call::new("put", key) };
        let ask = self.line.ask(call, |client, watch| {
            let request = client.put_object().bucket(self.url.bucket()).key(self.full(key));
            let request = request.set_content_md5(with_md5.then(|| content_md5(&body)));
            let request = request.body(ByteStream::from(body.clone())).customize();
            request.interceptor(Cap::PARSED).interceptor(watch.with(body)).send()
        });
        match ask.await?.e_tag() {
            Some(_) => Ok(()),
            None => Err(self.not_s3(call, "it took the object without an ETag")),
        }
    }

    /// Reads the body of a GET. A store may send more than was asked for, or without an end. Where
    /// the connection breaks, `bytes` has what came before.
    async fn body(
        &self,
        key: &str,
        promised: Promised,
        mut body: ByteStream,
        bytes: &mut BytesMut,
    ) -> Result<(), RemoteError> {
        let call = Call::new("get", key);
        let stall = self.line.stall();
        loop {
            let piece = tokio::time::timeout(stall, body.next()).await.map_err(|_| {
                let what = format!("nothing came for {} s", stall.as_secs());
                call.error(RemoteErrorKind::UnknownOutcome).because(what)
            })?;
            let Some(piece) = piece else { break };
            let endpoint = self.line.endpoint();
            bytes
                .extend_from_slice(&piece.map_err(|error| errors::transport("get", key, &endpoint, &error))?);
            if bytes.len() as u64 > promised.most() {
                break;
            }
        }
        let got = bytes.len() as u64;
        match promised {
            Promised::Exactly(length) if got != length => {
                let came = if got > length { "more".to_owned() } else { got.to_string() };
                Err(malformed("get", key, format!("{length} bytes were promised, {came} came")))
            }
            Promised::AtMost(limit) if got > limit => Err(too_large(key, limit, None)),
            _ => Ok(()),
        }
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
        let sure = || near::keeps_bytes(&self.line.endpoint());
        let with_md5 = body.len() < LARGE || self.wants_md5.load(Ordering::Relaxed) || !sure();
        match self.put_once(key, body.clone(), with_md5).await {
            Err(error) if !with_md5 => {
                self.wants_md5.store(true, Ordering::Relaxed);
                // `Retry` makes no refused call again, and stores word this refusal as they like.
                if error.kind.retryable() { Err(error) } else { self.put_once(key, body, true).await }
            }
            done => done,
        }
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        let range = match &span {
            Span::Part(range) if range.is_empty() => return Err(no_such_range(key, range, None)),
            Span::Part(range) => Some(format!("bytes={}-{}", range.start, range.end - 1)),
            Span::UpTo(_) => None,
        };
        let ask = self.line.ask(Call::new("get", key), |client, watch| {
            let request = client.get_object().bucket(self.url.bucket()).key(self.full(key));
            request.set_range(range).customize().interceptor(Cap::STREAMED).interceptor(watch).send()
        });
        let answer = ask.await?;
        let promised = promised(key, &span, &answer)?;
        let mut bytes = BytesMut::new();
        match self.body(key, promised, answer.body, &mut bytes).await {
            Ok(()) => Ok(bytes.freeze()),
            Err(error) if is_worth_keeping(&span, &error, &bytes) => Err(error.after(Vec::from(bytes))),
            Err(error) => Err(error),
        }
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        let call = Call::new("head", key);
        let ask = self.line.ask(call, |client, watch| {
            let request = client.head_object().bucket(self.url.bucket()).key(self.full(key));
            request.customize().interceptor(Cap::PARSED).interceptor(watch).send()
        });
        let answer = match ask.await {
            Ok(answer) => answer,
            Err(error) if error.kind == RemoteErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let size = answer.content_length().and_then(|size| u64::try_from(size).ok());
        match (size, answer.last_modified().and_then(milliseconds)) {
            (Some(size), Some(modified_ms)) => Ok(Some(Object { key: key.to_owned(), size, modified_ms })),
            // Some stores leave one of them out, and tell it in a listing.
            _ => self.listed(call).await.map(Some),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        let page = i32::try_from(PAGE).unwrap_or(i32::MAX);
        let (call, whole) = (Call::new("list", prefix), Whole::default());
        let ask = self.line.ask(call, |client, watch| {
            let request = client.list_objects_v2().bucket(self.url.bucket()).max_keys(page);
            let request =
                request.prefix(self.full(prefix)).set_start_after(after.map(|after| self.full(after)));
            let request = request.customize().interceptor(Cap::PARSED).interceptor(watch);
            request.interceptor(whole.clone()).send()
        });
        let answer = ask.await?;
        let Some(more) = answer.is_truncated() else {
            return Err(self.not_s3(call, "its listing does not say whether it goes on"));
        };
        let objects = self.objects(prefix, &answer)?;
        let mut last = after;
        let sound = objects.iter().all(|object| {
            let follows = last.is_none_or(|last| last < object.key.as_str());
            last = Some(&object.key);
            follows && object.key.starts_with(prefix)
        });
        let counted = answer.key_count().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        // Some stores count what is on all pages.
        let paged = more || after.is_some();
        if sound && whole.was_seen() && (paged || objects.len() >= counted) {
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
        self.delete_versions(&[key.to_owned()]).await
    }

    async fn delete_all(&self, keys: &[String]) -> Result<(), RemoteError> {
        self.delete_versions(keys).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.date().await
    }

    fn renew(&self) {
        self.line.renew();
    }
}

impl S3Remote {
    /// The object as a listing shows it.
    async fn listed(&self, call: Call<'_>) -> Result<Object, RemoteError> {
        let page = self.list(call.key, None).await?;
        let found = page.objects.into_iter().find(|object| object.key == call.key);
        found.ok_or_else(|| self.not_s3(call, "it gave no Content-Length or no Last-Modified"))
    }

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

/// The length of the body of a GET.
#[derive(Debug, Clone, Copy)]
enum Promised {
    Exactly(u64),
    /// A store may send in chunks, without a word of their sum.
    AtMost(u64),
}

impl Promised {
    const fn most(self) -> u64 {
        match self {
            Self::Exactly(most) | Self::AtMost(most) => most,
        }
    }
}

/// The length of the body of a GET, once it is certain that it holds the bytes asked for.
fn promised(key: &str, span: &Span, answer: &GetObjectOutput) -> Result<Promised, RemoteError> {
    let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
    let range = match (span, length) {
        (Span::Part(range), _) => range,
        (Span::UpTo(limit), Some(length)) if length > *limit => {
            return Err(too_large(key, *limit, Some(length)));
        }
        (Span::UpTo(_), Some(length)) => return Ok(Promised::Exactly(length)),
        (Span::UpTo(limit), None) => return Ok(Promised::AtMost(*limit)),
    };
    let wanted = format!("bytes {}-{}/", range.start, range.end - 1);
    let given = match answer.content_range() {
        Some(given) => given.starts_with(&wanted),
        // A store without ranges sends the whole object.
        None => range.start == 0,
    };
    let asked = range.end - range.start;
    if given && length.is_none_or(|length| length == asked) {
        Ok(Promised::Exactly(asked))
    } else {
        Err(no_such_range(key, range, None))
    }
}

/// The header that a bucket with Object Lock asks for; any other store compares it with what came.
fn content_md5(body: &[u8]) -> String {
    base64::encode(Md5::digest(body))
}

fn malformed(operation: &'static str, key: &str, detail: String) -> RemoteError {
    RemoteError::new(RemoteErrorKind::Malformed, operation, key).because(detail)
}

fn milliseconds(time: &DateTime) -> Option<i64> {
    time.to_millis().ok()
}

/// Bytes of a broken answer from which on it is worth to ask for the rest alone.
const WORTH_KEEPING: usize = 64 << 10;

/// True where the rest of a part can be asked for by itself: the connection broke, and what came is
/// a beginning of what was asked for.
fn is_worth_keeping(span: &Span, error: &RemoteError, came: &[u8]) -> bool {
    let Span::Part(range) = span else { return false };
    let is_beginning = (came.len() as u64) < range.end - range.start;
    error.kind == RemoteErrorKind::UnknownOutcome && came.len() >= WORTH_KEEPING && is_beginning
}
