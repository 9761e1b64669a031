//! The resources of the socket: one file per family, each with its routes and their part of the OpenAPI document.
//!
//! A new family is a file with a `family()` and one line in `families`. What every request has in common is here: programs
//! of browsers are refused, bodies are bounded in size and in time, errors are RFC 9457 documents.

mod events;
mod guard;
mod holds;
mod metrics;
mod openapi;
mod outbox;
mod pause;
mod recovery;
mod status;
mod sync;
mod transactions;
mod verify;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Json};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::board::{Board, Command};
use super::events::Events;
use super::pulse::Pulse;
use cogzy_client::documents::Problem;
use cogzy_engine::sync::{Engine, SyncError};

/// What the handlers need. Clones share it.
#[derive(Debug, Clone)]
pub struct Handles {
    /// The status.
    pub board: Board,
    /// The way to the daemon's thread.
    pub commands: mpsc::Sender<Command>,
    /// What happens.
    pub events: Events,
    /// Set: the cycle that runs is to be broken off, for a pause.
    pub interrupt: watch::Sender<bool>,
    /// The daemon's signs of life.
    pub pulse: Pulse,
    /// Whoever answers a question makes a reader of it; it runs no cycles itself.
    engine: Arc<Engine>,
    /// Streams are long: they may not take all the connections.
    streams: Arc<Semaphore>,
    /// Each reader has the whole manifest in memory.
    readers: Arc<Semaphore>,
}

/// More programs than this may not follow the events at once.
const MAX_STREAMS: usize = 64;
/// More questions than this are not looked into at once; the others wait.
const MAX_READERS: usize = 4;

/// Resources that belong together.
struct Family {
    routes: Vec<Route>,
    document: utoipa::openapi::OpenApi,
}

/// One resource.
struct Route {
    path: &'static str,
    methods: MethodRouter<Handles>,
    /// No request to it has a longer body.
    max_body: usize,
}

impl Route {
    /// A resource whose requests are small.
    const fn new(path: &'static str, methods: MethodRouter<Handles>) -> Self {
        Self { path, methods, max_body: 64 << 10 }
    }
}

fn families() -> Vec<Family> {
    vec![
        status::family(),
        sync::family(),
        holds::family(),
        events::family(),
        recovery::family(),
        pause::family(),
        outbox::family(),
        transactions::family(),
        verify::family(),
        metrics::family(),
        openapi::family(),
    ]
}

/// All resources.
pub(super) fn router(handles: Handles) -> Router {
    let mut router = Router::new();
    for route in families().into_iter().flat_map(|family| family.routes) {
        let bounded = middleware::from_fn_with_state(route.max_body, guard::bound_body);
        router = router.route(route.path, route.methods.layer(bounded));
    }
    router
        .fallback(async || problem(StatusCode::NOT_FOUND, "not-found", "there is no such resource"))
        .method_not_allowed_fallback(async || {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this resource takes another method",
            )
        })
        .layer(middleware::from_fn(guard::refuse_browsers))
        // The guard has counted already.
        .layer(DefaultBodyLimit::disable())
        .with_state(handles)
}

impl Handles {
    /// Handles for a daemon whose engine is of the same vault as `engine`.
    #[must_use]
    pub fn new(
        board: Board,
        commands: mpsc::Sender<Command>,
        events: Events,
        interrupt: watch::Sender<bool>,
        pulse: Pulse,
        engine: Engine,
    ) -> Self {
        let (streams, readers) = (Semaphore::new(MAX_STREAMS), Semaphore::new(MAX_READERS));
        let (engine, streams, readers) = (Arc::new(engine), Arc::new(streams), Arc::new(readers));
        Self { board, commands, events, interrupt, pulse, engine, streams, readers }
    }

    /// Answers a question without the daemon's thread, which may be at work for hours. The work ends where nobody waits for the
    /// answer any more.
    async fn read<T: Send + 'static>(
        &self,
        question: impl AsyncFnOnce(&mut Engine) -> Result<T, SyncError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = Arc::clone(&self.readers).acquire_owned().await.map_err(|_| stopping())?;
        let (mut engine, runtime) = (self.engine.reader(), tokio::runtime::Handle::current());
        let (waiting, gone) = oneshot::channel::<()>();
        let asked = tokio::task::spawn_blocking(move || {
            let _place = place;
            runtime.block_on(async {
                tokio::select! {
                    answer = question(&mut engine) => Some(answer),
                    _ = gone => None,
                }
            })
        });
        let answer = asked.await.ok().flatten().ok_or_else(stopping)?;
        drop(waiting);
        answer.map_err(|error| Refusal(Problem::from(&error)))
    }

    async fn send(&self, command: Command) -> Result<(), Refusal> {
        self.commands.send(command).await.map_err(|_| stopping())
    }

    /// Hands a command to the daemon's thread and waits for what comes of it.
    fn ask<T: Send + 'static>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, Problem>>) -> Command,
    ) -> impl Future<Output = Result<T, Refusal>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let (command, handles) = (command(reply), self.clone());
        async move {
            handles.send(command).await?;
            answer.await.map_err(|_| stopping())?.map_err(Refusal)
        }
    }
}

fn stopping() -> Refusal {
    problem(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the daemon is stopping")
}

/// An error as a response.
#[derive(Debug)]
struct Refusal(Problem);

fn problem(status: StatusCode, kind: &str, detail: &str) -> Refusal {
    Refusal(Problem {
        kind: format!("about:cogzy-vault/{kind}"),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
        next: "cogzy-vault status".to_owned(),
        advice: None,
    })
}

/// What is wrong with a request.
fn bad_request(error: impl ToString) -> Refusal {
    problem(StatusCode::BAD_REQUEST, "bad-request", &error.to_string())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self.0)).into_response()
    }
}
