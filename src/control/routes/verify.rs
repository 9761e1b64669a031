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

/// The longest list of versions to give up, in bytes: some hundred thousand of them. One lost pack
/// may hold tens of thousands of small files.
const MAX_LOST: usize = 32 << 20;

pub(super) fn family() -> Family {
    let verify = Route { max_body: MAX_LOST, ..Route::new("/v1/verify", post(verify)) };
    Family { routes: vec![verify], document: VerifyApi::openapi() }
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
