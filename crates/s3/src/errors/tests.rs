use RemoteErrorKind as Kind;

use super::*;

fn answer(status: u16, code: &str, message: &str) -> ErrorReply {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    ErrorReply { status, code: text(code), message: text(message), ..ErrorReply::default() }
}

/// Codes and texts from the documentation of AWS and Backblaze, and from reports of their users.
#[test]
fn documented_answers_are_told_apart() {
    for (status, code, message, kind) in [
        (404, "NoSuchKey", "The specified key does not exist.", Kind::NotFound),
        (404, "NoSuchBucket", "The specified bucket does not exist", Kind::NoSuchBucket),
        (403, "InvalidAccessKeyId", "Malformed Access Key Id", Kind::BadCredentials),
        (403, "SignatureDoesNotMatch", "Signature validation failed", Kind::BadCredentials),
        (401, "Unauthorized", "", Kind::BadCredentials),
        (400, "ExpiredToken", "The provided token has expired.", Kind::BadCredentials),
        (403, "AccessDenied", "not entitled", Kind::Forbidden),
        (403, "AccessDenied", "Cannot upload files, storage cap exceeded.", Kind::QuotaExceeded),
        (403, "AccessDenied", "Transaction cap exceeded.", Kind::QuotaExceeded),
        (403, "storage_cap_exceeded", "", Kind::QuotaExceeded),
        (403, "QuotaExceeded", "Your request was denied due to quota exceeded.", Kind::QuotaExceeded),
        (507, "XMinioStorageFull", "", Kind::QuotaExceeded),
        (403, "RequestTimeTooSkewed", "The difference is too large.", Kind::ClockSkew),
        (301, "PermanentRedirect", "", Kind::WrongEndpoint),
        (400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong", Kind::WrongEndpoint),
        (503, "SlowDown", "Please reduce your request rate.", Kind::Throttled { retry_after: None }),
        (503, "ServiceUnavailable", "no tomes available", Kind::Throttled { retry_after: None }),
        (429, "", "", Kind::Throttled { retry_after: None }),
        (400, "RequestTimeout", "", Kind::UnknownOutcome),
        (416, "InvalidRange", "", Kind::Malformed),
        (500, "InternalError", "We encountered an internal error.", Kind::Server),
        (501, "NotImplemented", "", Kind::Other),
        (400, "InvalidRequest", "", Kind::Other),
    ] {
        assert_eq!(answer(status, code, message).kind(), kind, "{status} {code} {message}");
    }
}

#[test]
fn a_head_is_sorted_by_its_status() {
    for (status, kind) in
        [(404, Kind::NotFound), (403, Kind::Forbidden), (301, Kind::WrongEndpoint), (400, Kind::Other)]
    {
        assert_eq!(answer(status, "", "").kind(), kind);
    }
    let redirected = ErrorReply { region: Some("eu-west-1".to_owned()), ..answer(400, "", "") };
    assert_eq!(redirected.kind(), Kind::WrongEndpoint);
}

#[test]
fn a_page_that_is_no_s3_is_neither_a_missing_object_nor_an_empty_bucket() {
    for status in [200, 403, 404] {
        let page = ErrorReply { foreign: true, ..answer(status, "", "") };
        assert_eq!(page.kind(), Kind::WrongEndpoint);
    }
    assert_eq!(ErrorReply { foreign: true, ..answer(502, "", "") }.kind(), Kind::Server);
}

#[test]
fn a_server_that_wants_https_is_no_refusal() {
    let page = ErrorReply { foreign: true, wants_tls: true, ..answer(400, "", "") };
    assert_eq!(page.kind(), Kind::WrongEndpoint);
    let words = page.words(page.kind(), "list", "http://store:9000");
    assert!(words.contains("write https:// in s3.endpoint"), "{words}");
}

/// The words of the SDK for a profile with `sso_session`.
#[test]
fn a_profile_that_signs_in_by_the_browser_gets_its_own_words() {
    let sdk = "an error occurred while loading credentials: credential provider was not enabled: This behavior requires \
               following cargo feature(s) enabled: sso";
    let error = transport("list", "", "https://s3", &io::Error::other(sdk));
    assert_eq!(error.kind, RemoteErrorKind::BadCredentials);
    let words = error.to_string();
    assert!(
        words.contains("SSO") && words.contains("export-credentials") && !words.contains("cargo"),
        "{words}"
    );
}

#[test]
fn words_name_the_cure() {
    let words =
        |answer: ErrorReply, operation: &str| answer.words(answer.kind(), operation, "https://s3.example");
    assert!(words(answer(403, "AccessDenied", ""), "put").contains("writeFiles"));
    assert!(words(answer(403, "", ""), "head").contains("readFiles"));
    assert!(words(answer(403, "AccessDenied", ""), "list").contains("listFiles"));
    let region = ErrorReply { region: Some("eu-west-1".to_owned()), ..answer(301, "PermanentRedirect", "") };
    assert!(words(region, "list").contains("eu-west-1"));
    let times = Some(("20240101T000000Z".to_owned(), "2026-01-01T00:00:00Z".to_owned()));
    let skewed = words(ErrorReply { times, ..answer(403, "RequestTimeTooSkewed", "") }, "list");
    assert!(skewed.contains("20240101T000000Z") && skewed.contains("2026-01-01T00:00:00Z"));
    let unknown = words(answer(403, "InvalidAccessKeyId", "The key '004abc' is not valid"), "list");
    assert!(unknown.contains("https://s3.example") && !unknown.contains("004abc"), "{unknown}");
}

#[test]
fn error_documents_are_read_as_far_as_they_go() {
    let document =
        "<?xml version=\"1.0\"?><Error><Code>X</Code><ServerTime>now</ServerTime><Empty></Empty><Open>";
    assert_eq!(element(document, "ServerTime").as_deref(), Some("now"));
    for missing in ["Empty", "Open", "None"] {
        assert_eq!(element(document, missing), None);
    }
}

/// One layer of an error: the SDK wraps one in another.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Layer(&'static str, #[source] Option<Box<dyn Error + Send + Sync>>);

fn sorted(words: &'static str, source: Option<io::Error>) -> RemoteError {
    let inner = Layer(words, source.map(Into::into));
    transport("put", "k", "https://s3.example", &Layer("dispatch failure", Some(Box::new(inner))))
}

#[test]
fn only_a_request_that_was_never_sent_is_offline() {
    for (words, source, kind) in [
        ("client error (Connect)", None, Kind::Offline),
        ("dns error", None, Kind::Offline),
        ("io error", Some(io::ErrorKind::NetworkUnreachable), Kind::Offline),
        ("client error (SendRequest)", Some(io::ErrorKind::ConnectionReset), Kind::UnknownOutcome),
        ("client error (SendRequest)", Some(io::ErrorKind::BrokenPipe), Kind::UnknownOutcome),
        ("HTTP read timeout occurred", Some(io::ErrorKind::TimedOut), Kind::UnknownOutcome),
        ("the credential provider was not enabled: no credentials found", None, Kind::BadCredentials),
        (
            "the credential provider was not enabled",
            Some(io::ErrorKind::HostUnreachable),
            Kind::BadCredentials,
        ),
        ("an error occurred while loading credentials", None, Kind::BadCredentials),
        ("an error occurred while loading credentials", Some(io::ErrorKind::NetworkDown), Kind::Offline),
    ] {
        let error = sorted(words, source.map(io::Error::from));
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(error.to_string().contains("https://s3.example"), kind == Kind::Offline, "{error}");
    }
}
