//! Events as they happen, and the paths that changed since a generation.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Json, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use super::family::{Family, Route};
use super::handles::Handles;
use super::problem::{ProblemResponse, bad_request, problem};
use cogzy_client::documents::{
    ChangesDocument, EventsDocument, MovedDocument, Problem, SchemaVersion, encoded,
};
use cogzy_engine::model::VaultPath;

/// The longest page.
const MAX_PAGE: usize = 1000;
/// The time after which a silent stream shows that it is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

#[derive(OpenApi)]
#[openapi(paths(events, changes))]
struct EventsApi;

pub(super) fn family() -> Family {
    let routes = vec![Route::new("/v1/events", get(events)), Route::new("/v1/changes", get(changes))];
    Family { routes, document: EventsApi::openapi() }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// The number of the last known event: the same as `Last-Event-ID`.
    since: Option<u64>,
    /// The largest number of events on a page.
    limit: Option<usize>,
}

/// Events: a stream of server-sent events, or with `Accept: application/json` a page of the kept
/// ones. Without a number to go on from, the stream begins now, and the page with the oldest event.
#[utoipa::path(
    get, path = "/v1/events", params(EventsQuery, ("last-event-id" = Option<u64>, Header, description = "Resumes after it")),
    responses(
        (status = 200, body = EventsDocument, description = "A page, or a stream of EventDocuments"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn events(
    State(handles): State<Handles>,
    headers: HeaderMap,
    query: Result<Query<EventsQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ProblemResponse> {
    let Query(query) = query.map_err(|error| bad_request(error.body_text()))?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let resumed = text(header::HeaderName::from_static("last-event-id"));
    let resumed = match resumed.map(str::parse) {
        Some(Err(_)) => return Err(bad_request("Last-Event-ID is no number")),
        Some(Ok(id)) => Some(id),
        None => query.since,
    };
    if text(header::ACCEPT).is_some_and(|accept| accept.contains("application/json")) {
        let limit = query.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
        let events = handles.events.after(resumed.unwrap_or(0), limit);
        return Ok(Json(EventsDocument { schema: SchemaVersion, events, newest: handles.events.newest() })
            .into_response());
    }
    let Ok(place) = Arc::clone(&handles.streams).try_acquire_owned() else {
        return Err(problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "too many programs follow the events already",
        ));
    };
    let newest = handles.events.newest();
    // A number from the future belongs to another vault, or to events that are lost: then all kept
    // events are news.
    let since = resumed.map_or(newest, |id| if id > newest { 0 } else { id });
    let following = (handles.events.subscribe(since), place);
    let stream = stream::unfold(following, |(mut subscription, place)| async move {
        let document = subscription.next().await?;
        let event = Event::default().event(document.body.kind()).json_data(&document).unwrap_or_default();
        let event = document.id.map_or(event.clone(), |id| event.id(id.to_string()));
        Some((Ok::<_, Infallible>(event), (subscription, place)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ChangesQuery {
    /// The known generation.
    since: u64,
    /// Only paths after this one.
    after: Option<String>,
    /// The largest number of paths on a page.
    limit: Option<usize>,
}

/// Paths that changed since a generation, each once and as it is now, page by page. Where a fork
/// lay across that generation, some known paths may be named again; none is left out.
#[utoipa::path(
    get, path = "/v1/changes", params(ChangesQuery),
    responses(
        (status = 200, body = ChangesDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn changes(
    State(handles): State<Handles>,
    query: Result<Query<ChangesQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<ChangesDocument>, ProblemResponse> {
    let Query(ChangesQuery { since, after, limit }) =
        query.map_err(|error| bad_request(error.body_text()))?;
    let after = after.map(|path| VaultPath::new(&path)).transpose().map_err(bad_request)?;
    let limit = limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let found =
        handles.read(async move |engine| engine.changes_since(since, after.as_ref(), limit).await).await?;
    let last = found.moved.last().filter(|_| found.more);
    let next = last
        .map(|last| format!("/v1/changes?since={since}&limit={limit}&after={}", encoded(last.path.as_str())));
    let changes = found.moved.into_iter().map(MovedDocument::from).collect();
    Ok(Json(ChangesDocument { schema: SchemaVersion, since, generation: found.generation, changes, next }))
}
