//! Answering on the socket.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Json, Path as UrlPath, State as Shared};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, body::Body};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::api::{Problem, StatusDocument, SyncDocument, SyncRequest};
use super::board::{Board, Command};
use crate::model::HoldId;

/// No request has a longer body.
const MAX_BODY: usize = 64 << 10;
/// More connections than this wait to be taken.
const MAX_CONNECTIONS: usize = 64;
/// A client that has not sent its request's head by then is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// What the handlers need.
#[derive(Debug, Clone)]
struct Handles {
    board: Board,
    commands: mpsc::Sender<Command>,
}

/// Binds the socket. What stands at `path` is removed if it is a socket: whoever calls holds the vault's lock, so nobody listens
/// on it any more.
///
/// # Errors
/// As the system reports them; also where something else than a socket stands there.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
        // A folder of ours, made for sockets; the vault's own is left as its owner has it.
        if !folder.ends_with("sync") {
            std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        }
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something else than a socket stands there",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until the process ends.
pub async fn serve(listener: UnixListener, board: Board, commands: mpsc::Sender<Command>) {
    let router = router(Handles { board, commands });
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) if is_owner(&stream) => {
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let mut http = http1::Builder::new();
                    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(false);
                    // A client that breaks off has only itself to tell.
                    let _broken_off = http.serve_connection(TokioIo::new(stream), service).await;
                    drop(place);
                });
            }
            Ok(_) => tracing::warn!("a program of another user tried the control socket and was refused"),
            Err(error) => {
                tracing::warn!(%error, "a connection to the control socket could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_owner(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}

fn router(handles: Handles) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/health", get(health))
        .route("/v1/holds", get(holds))
        .route("/v1/sync", post(sync))
        .route("/v1/retry", post(retry))
        .route("/v1/holds/{id}/approve", post(approve))
        .route("/v1/holds/{id}/reject", post(reject))
        .fallback(async || problem(StatusCode::NOT_FOUND, "not-found", "there is no such resource"))
        .method_not_allowed_fallback(async || {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this resource takes another method",
            )
        })
        .layer(middleware::from_fn(refuse_browsers))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(handles)
}

/// A page in a browser must not reach the vault through a proxy on this machine.
async fn refuse_browsers(request: Request<Body>, next: Next) -> Response {
    let browser =
        |headers: &HeaderMap| headers.contains_key(header::ORIGIN) || headers.contains_key(header::REFERER);
    if browser(request.headers()) {
        return problem(StatusCode::FORBIDDEN, "browser", "a request with an Origin or a Referer is refused")
            .into_response();
    }
    next.run(request).await
}

async fn status(Shared(handles): Shared<Handles>) -> Json<StatusDocument> {
    Json(handles.board.read())
}

async fn health() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "ok": true }))
}

async fn holds(Shared(handles): Shared<Handles>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "schema": super::api::SCHEMA, "holds": handles.board.read().holds }))
}

async fn sync(
    Shared(handles): Shared<Handles>,
    request: Result<Json<SyncRequest>, axum::extract::rejection::JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(SyncRequest { wait, dry_run, derived }) = request.map_err(|error| {
        let expected = r#"expected {"wait":bool,"dry_run":bool,"derived":bool}"#;
        problem(error.status(), "bad-request", &format!("{}; {expected}", error.body_text()))
    })?;
    let answer = handles.ask(|reply| Command::Sync { dry_run, derived, reply });
    if wait || dry_run {
        return Ok(Json(answer.await?).into_response());
    }
    tokio::spawn(answer);
    Ok(StatusCode::ACCEPTED.into_response())
}

async fn retry(Shared(handles): Shared<Handles>) -> Result<StatusCode, Refusal> {
    handles.send(Command::Retry).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn approve(handles: Shared<Handles>, id: UrlPath<String>) -> Result<Json<SyncDocument>, Refusal> {
    decide(handles, id, true).await
}

async fn reject(handles: Shared<Handles>, id: UrlPath<String>) -> Result<Json<SyncDocument>, Refusal> {
    decide(handles, id, false).await
}

async fn decide(
    Shared(handles): Shared<Handles>,
    UrlPath(id): UrlPath<String>,
    approve: bool,
) -> Result<Json<SyncDocument>, Refusal> {
    let hold: HoldId =
        id.parse().map_err(|error| problem(StatusCode::BAD_REQUEST, "bad-request", &format!("{error}")))?;
    if handles.board.read().holds.iter().all(|open| open.id != hold) {
        return Err(problem(StatusCode::NOT_FOUND, "no-such-hold", &format!("no hold {hold} is open")));
    }
    Ok(Json(handles.ask(|reply| Command::Decide { hold, approve, reply }).await?))
}

impl Handles {
    async fn send(&self, command: Command) -> Result<(), Refusal> {
        let gone = |_| problem(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the daemon is stopping");
        self.commands.send(command).await.map_err(gone)
    }

    /// Hands a command to the daemon's thread and waits for what comes of it.
    fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<SyncDocument, Problem>>) -> Command,
    ) -> impl Future<Output = Result<SyncDocument, Refusal>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let (command, handles) = (command(reply), self.clone());
        async move {
            handles.send(command).await?;
            let stopping = |_| problem(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the daemon is stopping");
            answer.await.map_err(stopping)?.map_err(Refusal)
        }
    }
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self.0)).into_response()
    }
}
