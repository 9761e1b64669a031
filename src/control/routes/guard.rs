//! Checks that every request must pass.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

/// The bytes that large bodies of requests may take at once, all together.
const ALL_BODIES: usize = 64 << 20;
/// The longest body that needs no place among these: there are only so many connections.
const SMALL: usize = 64 << 10;
/// The longest body that is taken in only to be refused.
const DRAINED: usize = 64 << 20;
/// The unit of a place, in bytes.
const PLACE: usize = 1 << 10;

/// The limits of the bodies of one resource. Clones share the places for large bodies.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    most: usize,
    places: Arc<Semaphore>,
}

impl Bounds {
    /// Places for the large bodies of all resources.
    pub(super) fn places() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(ALL_BODIES / PLACE))
    }

    /// Bounds for bodies of at most `most` bytes, which take their places among `places`.
    pub(super) fn new(most: usize, places: &Arc<Semaphore>) -> Self {
        Self { most, places: Arc::clone(places) }
    }

    /// Waits for the place of a body of `length` bytes. It is given back when the answer is made.
    async fn place(&self, length: usize) -> Option<OwnedSemaphorePermit> {
        if self.most <= SMALL {
            return None;
        }
        let places = u32::try_from(length.div_ceil(PLACE)).unwrap_or(u32::MAX);
        Arc::clone(&self.places).acquire_many_owned(places).await.ok()
    }
}

/// Reads the whole body before anything else happens, if it is no longer than its bounds allow and
/// arrives in time. A large one waits until there is room for it beside the others.
pub(super) async fn bound_body(State(bounds): State<Bounds>, request: Request, next: Next) -> Response {
    let most = bounds.most;
    let too_long = || {
        let detail = format!("the body of this request may have {most} bytes at most");
        problem(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &detail).into_response()
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if let Some(length) = length.filter(|length| *length > most) {
        // Who asks first gets the answer first.
        let asks_first = request.headers().contains_key(header::EXPECT);
        if length <= DRAINED && !asks_first {
            drain(request.into_body()).await;
        }
        return too_long();
    }
    // Before the time is taken: who waits for the others is not slow.
    let _place = bounds.place(length.unwrap_or(most)).await;
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

/// Takes in a body that is too long and forgets it, if it comes in time. Many clients read no
/// answer before they have sent all: they would see a broken connection.
async fn drain(body: Body) {
    let mut pieces = body.into_data_stream();
    let all = async { while let Some(Ok(_)) = pieces.next().await {} };
    // The answer is the same if it has not come by then.
    let _in_time = tokio::time::timeout(BODY_TIMEOUT, all).await;
}

#[cfg(test)]
mod tests;
