//! Memories that differ between two generations: the answer to `GET /v1/memories?since=GENERATION`.

use axum::extract::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::handles::Handles;
use super::memories::refused;
use super::problem::{ProblemResponse, bad_request, problem};
use cogzy_client::documents::{
    GenerationGoneProblem, MemoryChangesDocument, MemoryId, NamedGeneration, Problem, SchemaVersion, encoded,
};
use cogzy_engine::sync::{Generation, Id, MemoryChanges, Since, SinceError};

/// The longest page.
const MAX_PAGE: usize = 1000;

/// The part of a query that is about generations, as it came.
#[derive(Debug)]
pub(super) struct SinceQuery {
    pub group: String,
    pub since: String,
    pub until: Option<String>,
    pub after: Option<String>,
    pub limit: Option<usize>,
    pub vectors: bool,
}

impl SinceQuery {
    fn read(self) -> Result<Since, ProblemResponse> {
        let generation = |text: &str| text.parse::<Generation>().map_err(bad_request);
        let after = self.after.as_deref().map(|text| {
            let id = Id::read(text);
            id.ok_or_else(|| bad_request(format!("after={text:?}: expected an id as JSON")))
        });
        Ok(Since {
            group: self.group,
            since: generation(&self.since)?,
            until: self.until.as_deref().map(generation).transpose()?,
            after: after.transpose()?,
            limit: self.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE),
            vectors: self.vectors,
        })
    }
}

/// Answers without the daemon's thread.
pub(super) async fn since(handles: &Handles, query: SinceQuery) -> Result<Response, Response> {
    let asked = query.read().map_err(IntoResponse::into_response)?;
    let question = asked.clone();
    let found = handles.read(async move |engine| Ok(engine.memories_since(&question).await)).await;
    let found = found.map_err(IntoResponse::into_response)?.map_err(|error| unanswered(&error))?;
    Ok(Json(document(asked, found)).into_response())
}

fn document(asked: Since, found: MemoryChanges) -> MemoryChangesDocument {
    let Since { group, since, limit, vectors, .. } = asked;
    let MemoryChanges { until, put, deleted, more } = found;
    let next = more.and_then(|last| {
        let last = serde_json::to_string(&MemoryId(last)).ok()?;
        Some(format!(
            "/v1/memories?group={}&since={since}&until={until}&limit={limit}&vectors={vectors}&after={}",
            encoded(&group),
            encoded(&last)
        ))
    });
    MemoryChangesDocument {
        schema: SchemaVersion,
        group,
        since: NamedGeneration(since),
        generation: until.number(),
        until: NamedGeneration(until),
        memories: put.into_iter().map(Into::into).collect(),
        deleted: deleted.into_iter().map(MemoryId).collect(),
        next,
    }
}

fn unanswered(error: &SinceError) -> Response {
    match error {
        SinceError::Memories(error) => refused(error),
        SinceError::Sync(error) => ProblemResponse(Problem::from(error)).into_response(),
        SinceError::Gone { generation, .. } => {
            let ProblemResponse(problem) = problem(StatusCode::GONE, "generation-gone", &error.to_string());
            let next = "read all memories anew: ask with since=0".to_owned();
            let problem = Problem { next, ..problem };
            let (code, generation) = ("GENERATION_GONE".to_owned(), NamedGeneration(generation.clone()));
            let body = Json(GenerationGoneProblem { problem, code, generation });
            (StatusCode::GONE, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
        }
    }
}
