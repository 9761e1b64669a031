//! Errors as responses: RFC 9457 documents.

use axum::extract::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use cogzy_client::documents::Problem;

/// An error as a response.
#[derive(Debug)]
pub(super) struct ProblemResponse(pub(super) Problem);

pub(super) fn problem(status: StatusCode, kind: &str, detail: &str) -> ProblemResponse {
    ProblemResponse(Problem {
        kind: format!("about:cogzy-vault/{kind}"),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
        next: "cogzy-vault status".to_owned(),
        advice: None,
    })
}

/// The response to a request that cannot be used.
pub(super) fn bad_request(error: impl ToString) -> ProblemResponse {
    problem(StatusCode::BAD_REQUEST, "bad-request", &error.to_string())
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self.0)).into_response()
    }
}

/// The response to a transaction that was made for another state; `complete` adds what is there.
pub(super) fn conflict<T: Serialize>(
    detail: &str,
    next: &str,
    complete: impl FnOnce(Problem) -> T,
) -> Response {
    let ProblemResponse(problem) = problem(StatusCode::CONFLICT, "conflict", detail);
    let body = complete(Problem { next: next.to_owned(), ..problem });
    (StatusCode::CONFLICT, [(header::CONTENT_TYPE, "application/problem+json")], Json(body)).into_response()
}

/// The answer of a daemon that is about to end.
pub(super) fn stopping() -> ProblemResponse {
    problem(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the daemon is stopping")
}
