//! Searches for damage, and repairs.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::routing::post;
use utoipa::OpenApi;

use super::family::{Family, Route};
use super::handles::Handles;
use super::problem::{ProblemResponse, bad_request};
use cogzy_client::documents::{Problem, VerifyDocument, VerifyRequest};

#[derive(OpenApi)]
#[openapi(paths(verify))]
struct VerifyApi;

pub(super) fn family() -> Family {
    Family { routes: vec![Route::new("/v1/verify", post(verify))], document: VerifyApi::openapi() }
}

/// Checks the local files against the manifest, and the bucket against its own commits. Syncing
/// goes on meanwhile, except during a repair.
#[utoipa::path(
    post, path = "/v1/verify", request_body = VerifyRequest,
    responses(
        (status = 200, body = VerifyDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn verify(
    State(handles): State<Handles>,
    request: Result<Json<VerifyRequest>, JsonRejection>,
) -> Result<Json<VerifyDocument>, ProblemResponse> {
    let Json(request) = request.map_err(|error| bad_request(error.body_text()))?;
    Ok(Json(handles.look_for_damage(request).await?))
}
