//! A client of the daemon's socket.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::documents::Problem;
use crate::paths::{LONGEST_SOCKET, fits_socket};
use cogzy_engine::vault::FileLock;

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 256 << 20;

/// The resources that the daemon answers at once, whatever it is doing, and the longest wait for
/// one.
const AT_ONCE: [&str; 2] = ["/v1/status", "/v1/health"];
const PATIENCE: Duration = Duration::from_secs(10);

/// An error of a request.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon listens.
    #[error("no daemon answers")]
    NoDaemon,
    /// The daemon refused.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// The connection broke off.
    #[error("the daemon broke off: {0}")]
    Broken(String),
    /// The daemon takes connections and gives no answer.
    #[error("the daemon has given no answer for {} seconds: it is stopped, or hangs", PATIENCE.as_secs())]
    Silent,
    /// No socket can stand at this path.
    #[error(
        "the path of the daemon's socket is too long: {} has {} bytes, the system takes {LONGEST_SOCKET}",
        .0.display(), .0.as_os_str().len()
    )]
    TooLong(PathBuf),
}

impl ClientError {
    /// True if the daemon cannot tell what has changed since a generation, for it does not know that,
    /// or what it held is gone: all is to be read anew.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == StatusCode::GONE.as_u16())
    }

    pub(super) fn broken(error: impl ToString) -> Self {
        Self::Broken(error.to_string())
    }
}

/// The socket that the daemon has written into the lock file of its vault, at `lock`. A process
/// without the user's session, as cron starts it, does not know the usual place. None where no
/// socket of this user stands there.
#[must_use]
pub fn recorded(lock: &Path) -> Option<PathBuf> {
    let path = PathBuf::from(FileLock::told(lock)?);
    let there = std::fs::symlink_metadata(&path).ok()?;
    let ours = there.file_type().is_socket() && there.uid() == rustix::process::geteuid().as_raw();
    (path.is_absolute() && ours).then_some(path)
}

/// Asks the daemon at `socket` to do something.
///
/// # Errors
/// See [`ClientError`].
pub async fn post<T: DeserializeOwned>(
    socket: &Path,
    resource: &str,
    body: &impl Serialize,
) -> Result<T, ClientError> {
    let body = serde_json::to_vec(body).map_err(ClientError::broken)?;
    request(socket, Method::POST, resource, body).await
}

/// Asks the daemon at `socket` for a document. Its status and its health are not waited for longer
/// than ten seconds.
///
/// # Errors
/// See [`ClientError`].
pub async fn get<T: DeserializeOwned>(socket: &Path, resource: &str) -> Result<T, ClientError> {
    let asked = request(socket, Method::GET, resource, Vec::new());
    if !AT_ONCE.contains(&resource) {
        return asked.await;
    }
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(ClientError::Silent))
}

/// Asks the daemon at `socket` to do something, and does not wait for the result.
///
/// # Errors
/// See [`ClientError`].
pub async fn post_only(socket: &Path, resource: &str) -> Result<(), ClientError> {
    let (status, body) = exchange(socket, Method::POST, resource, Vec::new()).await?;
    if status.is_success() { Ok(()) } else { Err(refusal(status, &body)) }
}

async fn request<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    resource: &str,
    body: Vec<u8>,
) -> Result<T, ClientError> {
    let (status, body) = exchange(socket, method, resource, body).await?;
    if status == StatusCode::OK {
        return serde_json::from_slice(&body).map_err(ClientError::broken);
    }
    Err(refusal(status, &body))
}

pub(super) fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice(body) {
        Ok(problem) => ClientError::Refused(Box::new(problem)),
        Err(_) => ClientError::Broken(format!("it answered {status}")),
    }
}

/// Connects to the daemon at `socket`.
pub(super) async fn connect(socket: &Path) -> Result<UnixStream, ClientError> {
    if !fits_socket(socket) {
        // No daemon can listen there.
        return Err(ClientError::NoDaemon);
    }
    UnixStream::connect(socket).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoDaemon,
        _ => ClientError::broken(error),
    })
}

async fn exchange(
    socket: &Path,
    method: Method,
    resource: &str,
    body: Vec<u8>,
) -> Result<(StatusCode, Bytes), ClientError> {
    let stream = connect(socket).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::broken)?;
    let pump = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(resource)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(ClientError::broken)?;
    let response = sender.send_request(request).await.map_err(ClientError::broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(ClientError::broken)?
        .to_bytes();
    pump.abort();
    Ok((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_hangs_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut taken = Vec::new();
        let takes = async {
            loop {
                taken.push(listener.accept().await);
            }
        };
        let asked = tokio::select! {
            asked = get::<serde_json::Value>(&path, "/v1/status") => asked,
            () = takes => panic!("it takes connections for ever"),
        };
        assert!(matches!(asked, Err(ClientError::Silent)), "{asked:?}");
    }
}
