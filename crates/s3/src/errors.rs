//! Sorting of errors: of an S3 store, and of the way to it.
//!
//! Sorting is pure: an [`ErrorReply`] holds all that is known of the store's reply. The codes are
//! those of AWS's "Error responses" and Backblaze's "S3-Compatible API" pages. B2 differs: a
//! used-up cap is an `AccessDenied` that only its text tells apart, and a key of another region is
//! simply an unknown one. A key id in the store's words is not repeated.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::client::EXPOSED;
use super::keys::UNSENDABLE;
use cogzy_engine::remote::{RemoteError, RemoteErrorKind};

/// Words for a profile that signs in by the browser.
const SSO: &str = "the AWS profile signs in by SSO, which this program cannot do by itself: make a profile with \
     `credential_process = aws configure export-credentials --profile NAME --format process`, where NAME is \
     that profile, and set s3.profile or AWS_PROFILE to it";

/// The store's reply to a call that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ErrorReply {
    /// HTTP status.
    pub(super) status: u16,
    /// The error's code; HEAD has none.
    pub(super) code: Option<String>,
    /// The error's text.
    pub(super) message: Option<String>,
    /// `Retry-After`, in seconds.
    pub(super) retry_after: Option<u64>,
    /// The region of the bucket, where the store names it.
    pub(super) region: Option<String>,
    /// This machine's time and the store's, where the store names them.
    pub(super) times: Option<(String, String)>,
    /// True where the reply lacks what every answer of an S3 store has.
    pub(super) foreign: bool,
    /// True where a server that wants https says so.
    pub(super) wants_tls: bool,
    /// True where versions were asked for, and objects are listed: the store knows no versions.
    pub(super) unversioned: bool,
}

/// Sorts an error of the SDK. The message names `endpoint` where that may be the cause.
pub(super) fn explain<E>(
    operation: &'static str,
    key: &str,
    endpoint: &str,
    error: SdkError<E, HttpResponse>,
) -> RemoteError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let answer =
        error.raw_response().map(|raw| ErrorReply::of(operation, raw, error.code(), error.message()));
    match answer {
        Some(answer) => {
            let kind = answer.kind();
            RemoteError::new(kind, operation, key).because(answer.words(kind, operation, endpoint))
        }
        None => transport(operation, key, endpoint, &error),
    }
}

impl ErrorReply {
    fn of(operation: &str, raw: &HttpResponse, code: Option<&str>, message: Option<&str>) -> Self {
        let header = |name| raw.headers().get(name).map(str::to_owned);
        let body = raw.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
        // For a 404 without a body the SDK invents a code.
        let code = code.filter(|_| !body.is_empty()).map(str::to_owned);
        let times =
            element(&body, "RequestTime").zip(element(&body, "ServerTime").or_else(|| header("date")));
        let status = raw.status().as_u16();
        // An answer to a HEAD has no body; every other failure has a code in it.
        let bare = body.is_empty() && (operation == "head" || status != 404) && !raw.status().is_success();
        Self {
            foreign: code.is_none() && !bare && !body.contains("ListBucketResult"),
            unversioned: operation == "list versions" && body.contains("<ListBucketResult"),
            wants_tls: body.contains("to an HTTPS server") || body.contains("to HTTPS port"),
            status,
            message: message.map(str::to_owned).or_else(|| element(&body, "Message")),
            retry_after: header("retry-after").and_then(|seconds| seconds.trim().parse().ok()),
            region: header("x-amz-bucket-region").or_else(|| element(&body, "Region")),
            times,
            code,
        }
    }

    /// The reply about one key of many. It has no status of its own.
    pub(super) fn of_key(code: Option<&str>, message: Option<&str>) -> Self {
        let status = match code {
            Some("AccessDenied" | "AccountProblem") => 403,
            Some("InternalError") => 500,
            Some("SlowDown" | "ServiceUnavailable") => 503,
            _ => 400,
        };
        Self { status, code: code.map(str::to_owned), message: message.map(str::to_owned), ..Self::default() }
    }

    /// The kind of error, which decides what the caller does.
    pub(super) fn kind(&self) -> RemoteErrorKind {
        use RemoteErrorKind as Kind;
        let message = self.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        let code = self.code.as_deref().unwrap_or_default();
        let throttled = Kind::Throttled { retry_after: self.retry_after.map(Duration::from_secs) };
        match code {
            "NoSuchKey" => return Kind::NotFound,
            "NoSuchBucket" => return Kind::NoSuchBucket,
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "ExpiredToken"
            | "InvalidSecurity"
            | "NotSignedUp" => return Kind::BadCredentials,
            "RequestTimeTooSkewed" => return Kind::ClockSkew,
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException" => return Kind::WrongEndpoint,
            "SlowDown"
            | "TooManyRequests"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded" => {
                return throttled;
            }
            "RequestTimeout" | "IncompleteBody" => return Kind::UnknownOutcome,
            "InvalidRange" | "BadDigest" | "XAmzContentSHA256Mismatch" => return Kind::Malformed,
            _ => {}
        }
        let capped =
            ["quotaexceeded", "cap_exceeded", "storagefull", "insufficientstorage", "insufficientcapacity"];
        let code = code.to_ascii_lowercase();
        if self.status == 507
            || message.contains("cap exceeded")
            || capped.iter().any(|word| code.contains(word))
        {
            return Kind::QuotaExceeded;
        }
        match self.status {
            200..=299 if self.unversioned => Kind::Other,
            // A 404 of a proxy or a login page does not say that an object is missing.
            200..=299 | 403 | 404 if self.foreign => Kind::WrongEndpoint,
            200..=299 => Kind::Malformed,
            300..=399 => Kind::WrongEndpoint,
            400 if self.region.is_some() || self.wants_tls => Kind::WrongEndpoint,
            401 => Kind::BadCredentials,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            408 | 504 => Kind::UnknownOutcome,
            416 => Kind::Malformed,
            429 | 503 => throttled,
            501 => Kind::Other,
            500..=599 => Kind::Server,
            _ => Kind::Other,
        }
    }

    /// The store's words, and a hint where they lack one.
    pub(super) fn words(&self, kind: RemoteErrorKind, operation: &str, endpoint: &str) -> String {
        let code = self.code.as_deref().unwrap_or("no code");
        let said = match (kind, self.message.as_deref()) {
            (RemoteErrorKind::BadCredentials, _) | (_, None) => format!("{} {code}", self.status),
            (_, Some(message)) => format!("{} {code}: {message}", self.status),
        };
        let hint = match kind {
            RemoteErrorKind::WrongEndpoint if self.wants_tls => {
                format!("{endpoint} does not speak http: write https:// in s3.endpoint")
            }
            RemoteErrorKind::WrongEndpoint if self.foreign => {
                format!("{endpoint} does not answer like an S3 store")
            }
            RemoteErrorKind::WrongEndpoint => match &self.region {
                Some(region) => format!("the bucket is in region {region}; asked was {endpoint}"),
                None => format!("asked was {endpoint}; is it the region of the bucket?"),
            },
            RemoteErrorKind::BadCredentials => format!(
                "is it the key for {endpoint}? B2 knows a key only in its own region, and no master key at all"
            ),
            RemoteErrorKind::Forbidden => capability(operation).to_owned(),
            RemoteErrorKind::ClockSkew => match &self.times {
                Some((ours, theirs)) => format!("here it is {ours}, there {theirs}"),
                None => return said,
            },
            _ => return said,
        };
        format!("{said}; {hint}")
    }
}

/// The permission that a key needs for an operation, in B2's words and in AWS's.
fn capability(operation: &str) -> &'static str {
    match operation {
        "put" => {
            "writing needs the capability writeFiles (s3:PutObject), and a key for this bucket and prefix"
        }
        "list" => {
            "listing needs the capability listFiles (s3:ListBucket), and a key for this bucket and prefix"
        }
        "delete" | "list versions" => {
            "deleting needs the capabilities deleteFiles and listFiles (s3:DeleteObjectVersion and \
             s3:ListBucketVersions), and a key for this bucket and prefix"
        }
        _ => {
            "reading needs the capabilities readFiles and listBuckets (s3:GetObject and s3:ListBucket; without the second a \
             missing object looks forbidden), and a key for this bucket and prefix"
        }
    }
}

/// The text of the first element of this name in an error document.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once("</")?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty() && text.len() <= 200)
}

/// Sorts an error on the way to the store. The outcome is unknown unless the request certainly
/// never went out.
pub(super) fn transport(
    operation: &'static str,
    key: &str,
    endpoint: &str,
    error: &(dyn Error + 'static),
) -> RemoteError {
    let chain: Vec<&(dyn Error + 'static)> =
        std::iter::successors(Some(error), |&error| error.source()).collect();
    let mut words: Vec<String> = chain.iter().map(ToString::to_string).collect();
    words.dedup();
    let text = words.join(": ").replace('\n', " ");
    let mut causes = chain.iter().filter_map(|error| error.downcast_ref::<io::Error>());
    // Except for the system's own errors, the SDK tells only in words what happened; tests pin
    // them.
    let says = |words: &str| text.contains(words);
    let mixed_up = mixed_up(endpoint, &text);
    let kind = if mixed_up.is_some() {
        RemoteErrorKind::WrongEndpoint
    } else if says(EXPOSED) {
        RemoteErrorKind::Unconfigured
    } else if says("invalid peer certificate") {
        RemoteErrorKind::Untrusted
    } else if says("credential provider was not enabled") || says("provider was not properly configured") {
        RemoteErrorKind::BadCredentials
    } else if says("client error (Connect)") || says("dns error") || causes.any(unsent) {
        RemoteErrorKind::Offline
    } else if says("an error occurred while loading credentials") {
        // Only now, for the source of the credentials may itself be out of reach.
        RemoteErrorKind::BadCredentials
    } else {
        RemoteErrorKind::UnknownOutcome
    };
    let detail = match kind {
        RemoteErrorKind::WrongEndpoint => format!("{}; {text}", mixed_up.unwrap_or_default()),
        RemoteErrorKind::Offline | RemoteErrorKind::Untrusted => format!("{endpoint}: {text}"),
        RemoteErrorKind::BadCredentials if says(UNSENDABLE) => text,
        RemoteErrorKind::BadCredentials if says("feature(s) enabled: sso") => SSO.to_owned(),
        RemoteErrorKind::BadCredentials => format!(
            "no credentials were found: set B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY, or what the AWS tools use; {text}"
        ),
        _ => text,
    };
    RemoteError::new(kind, operation, key).because(detail)
}

/// The cure where one side speaks TLS and the other does not.
fn mixed_up(endpoint: &str, text: &str) -> Option<String> {
    let plain = endpoint.starts_with("http:");
    if plain && text.contains("invalid HTTP version parsed") {
        return Some(format!("{endpoint} does not speak http: write https:// in s3.endpoint"));
    }
    let corrupt = text.contains("received corrupt message") || text.contains("InvalidContentType");
    (!plain && corrupt).then(|| format!("{endpoint} does not speak https: write http:// in s3.endpoint"))
}

/// True where the system says that there was no connection to send anything over.
fn unsent(error: &io::Error) -> bool {
    use io::ErrorKind as Io;
    matches!(
        error.kind(),
        Io::ConnectionRefused
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::NetworkDown
            | Io::AddrNotAvailable
    )
}

#[cfg(test)]
mod tests;
