//! Checks that every request must pass.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::problem;

/// The time after which a request without its whole body is refused.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Refuses requests of browsers: a web page must not reach the vault through a proxy on this
/// machine.
pub(super) async fn refuse_browsers(request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.contains_key(header::ORIGIN) || headers.contains_key(header::REFERER) {
        return problem(StatusCode::FORBIDDEN, "browser", "a request with an Origin or a Referer is refused")
            .into_response();
    }
    next.run(request).await
}

/// Reads the whole body before anything else happens, if it is no longer than `most` bytes and
/// arrives in time.
pub(super) async fn bound_body(State(most): State<usize>, request: Request, next: Next) -> Response {
    let too_long = || {
        let detail = format!("the body of this request may have {most} bytes at most");
        problem(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &detail).into_response()
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) {
        return too_long();
    }
    let (head, body) = request.into_parts();
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => too_long(),
        Err(_) => {
            problem(StatusCode::REQUEST_TIMEOUT, "slow", "the body of the request did not arrive in time")
                .into_response()
        }
    }
}
