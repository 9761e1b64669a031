//! Habits of stores that are not AWS, as docs/STORES.md lists them.

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, HeaderMap, LAST_MODIFIED};
use hyper::{Method, Request, Response};
use s3s::{S3Error, S3ErrorCode};

/// A habit of some stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// HEAD without Content-Length.
    HeadWithoutLength,
    /// HEAD without Last-Modified.
    HeadWithoutTime,
    /// GET in chunks, without Content-Length.
    ChunkedGet,
    /// The connection breaks after the first MiB of a GET.
    BreaksBodies,
    /// KeyCount counts what is on all pages.
    TotalKeyCount,
    /// PUT without Content-MD5 or a checksum is refused, as under Object Lock.
    WantsMd5,
    /// The same, in the words of a refusal for lack of rights.
    WantsMd5Curtly,
    /// PUT is refused whose signature does not cover the body.
    WantsSignedBodies,
    /// Checksums other than Content-MD5 are refused.
    NoOtherChecksums,
    /// Versions cannot be listed.
    NoVersions,
    /// Who asks for versions gets a listing of objects.
    IgnoresVersions,
    /// There is no DeleteObjects.
    NoBatches,
}

/// The part of a request that quirks look at.
pub struct Asked {
    method: Method,
    listing: bool,
    versions: bool,
}

impl Asked {
    pub fn of<B>(request: &Request<B>) -> Self {
        let asks = |word| request.uri().query().is_some_and(|query| query.contains(word));
        let (listing, versions) = (asks("list-type="), asks("versions") && !asks("versioning"));
        Self { method: request.method().clone(), listing, versions }
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, String>>;

/// The answer as a store with these quirks gives it.
pub fn apply(quirks: &[Quirk], asked: &Asked, answer: Response<s3s::Body>) -> Answer {
    if asked.versions && quirks.contains(&Quirk::IgnoresVersions) {
        let listing =
            "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        let body = StreamBody::new(futures_util::stream::iter([Ok(Frame::data(Bytes::from(listing)))]));
        return Response::new(body.boxed_unsync());
    }
    let mut answer = boxed(answer);
    let good = answer.status().is_success() && !asked.listing;
    let plays = |quirk| good && quirks.contains(&quirk);
    if asked.method == Method::HEAD && plays(Quirk::HeadWithoutLength) {
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
    if asked.method == Method::HEAD && plays(Quirk::HeadWithoutTime) {
        answer.headers_mut().remove(LAST_MODIFIED);
    }
    if asked.method == Method::GET && plays(Quirk::ChunkedGet) {
        answer.headers_mut().remove(CONTENT_LENGTH);
        // A stream does not tell its length.
        return answer
            .map(|body| StreamBody::new(body.into_data_stream().map_ok(Frame::data)).boxed_unsync());
    }
    if asked.method == Method::GET && plays(Quirk::BreaksBodies) {
        return answer.map(|body| broken(body.into_data_stream()).boxed_unsync());
    }
    answer
}

/// The first MiB of a body, and then an error, which makes hyper close the connection.
fn broken(
    body: impl Stream<Item = Result<Bytes, String>> + Send + 'static,
) -> StreamBody<impl Stream<Item = Result<Frame<Bytes>, String>> + Send> {
    let mut left = 1 << 20;
    StreamBody::new(body.flat_map(move |piece| {
        let frames = match piece {
            Ok(piece) if piece.len() <= left => {
                left -= piece.len();
                vec![Ok(Frame::data(piece))]
            }
            Ok(piece) => vec![Ok(Frame::data(piece.slice(..left))), Err("lost on purpose".to_owned())],
            Err(error) => vec![Err(error)],
        };
        futures_util::stream::iter(frames)
    }))
}

pub fn boxed(answer: Response<s3s::Body>) -> Answer {
    answer.map(|body| BodyExt::map_err(body, |error| error.to_string()).boxed_unsync())
}

/// The refusal of a request by a store with these quirks.
pub fn refusal(quirks: &[Quirk], operation: &str, headers: &HeaderMap) -> Option<S3Error> {
    let checksum = headers.keys().any(|name| name.as_str().starts_with("x-amz-checksum-"));
    let put = operation == "PutObject";
    let refuse = |code, message: &str| Some(S3Error::with_message(code, message.to_owned()));
    if put && quirks.contains(&Quirk::WantsMd5) && !checksum && !headers.contains_key("content-md5") {
        return refuse(
            S3ErrorCode::InvalidRequest,
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
        );
    }
    if put && quirks.contains(&Quirk::WantsMd5Curtly) && !headers.contains_key("content-md5") {
        return refuse(S3ErrorCode::AccessDenied, "Access Denied");
    }
    let signed = |digest: &[u8]| digest.len() == 64 && digest.iter().all(u8::is_ascii_hexdigit);
    let covers = headers.get("x-amz-content-sha256").is_some_and(|value| signed(value.as_bytes()));
    if put && quirks.contains(&Quirk::WantsSignedBodies) && !covers {
        return refuse(S3ErrorCode::InvalidRequest, "the body is not signed");
    }
    if put && quirks.contains(&Quirk::NoOtherChecksums) && checksum {
        return refuse(S3ErrorCode::SignatureDoesNotMatch, "the signature does not match");
    }
    if operation == "DeleteObjects" && quirks.contains(&Quirk::NoBatches) {
        return refuse(S3ErrorCode::NotImplemented, "not implemented");
    }
    if operation == "DeleteObjects" && !headers.contains_key("content-md5") {
        return refuse(S3ErrorCode::InvalidRequest, "Missing required header for this request: Content-MD5");
    }
    if operation == "ListObjectVersions" && quirks.contains(&Quirk::NoVersions) {
        return refuse(S3ErrorCode::NotImplemented, "not implemented");
    }
    None
}
