//! The socket itself: its place, its permissions, and its time limits.
//!
//! No client can hold up the daemon: the number of connections is limited, a request must arrive in
//! time, and a client that does not take its answer is cut off.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::patience::Patient;
use super::routes::{self, Handles};

/// The number of connections from which on others wait.
const MAX_CONNECTIONS: usize = 256;
/// The time after which a client without a whole request head is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The time after which a client that takes nothing of its answer is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The names of folders that are made for sockets, and may be closed to others.
const OWN_FOLDERS: [&str; 2] = ["cogzy-vault", "control"];

/// Binds the socket. A socket at `path` is removed first: the caller holds the vault's lock, so no
/// daemon listens on it any more.
///
/// # Errors
/// The system's; also if something other than a socket stands there.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // A folder of the user's own is left as it is; the socket's mode and the check of the peer
        // must do there.
        if OWN_FOLDERS.iter().any(|name| folder.ends_with(name)) {
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
pub async fn serve(listener: UnixListener, handles: Handles) {
    let router = routes::router(handles);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) if is_owner(&stream) => {
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let mut http = http1::Builder::new();
                    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(false);
                    let stream = TokioIo::new(Patient::new(stream, WRITE_TIMEOUT));
                    // A client that breaks off needs no answer.
                    let _broken_off = http.serve_connection(stream, service).await;
                    drop(place);
                });
            }
            Ok(_) => tracing::warn!("a program of another user tried the control socket and was refused"),
            Err(error) => {
                tracing::warn!(%error, "a connection to the control socket could not be taken");
                // Mostly too many open files: that ends when others close theirs, and until then
                // every try fails at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_owner(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}

#[cfg(test)]
mod tests;
