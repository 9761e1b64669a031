//! The socket itself: its place, its permissions, and its time limits.
//!
//! No client can hold up the daemon: the number of connections is limited, a request must arrive in
//! time, and a client that does not take its answer is cut off.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

use super::patience::Patient;
use super::routes::{self, Handles};

/// The number of connections from which on others wait.
const MAX_CONNECTIONS: usize = 256;
/// The time after which a client without a whole request head is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The time after which a client that takes nothing of its answer is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time between two looks at the socket's file.
const LOOK: Duration = Duration::from_secs(5);

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

/// Binds the socket at the first of some places where that can be done.
///
/// # Errors
/// The first place's; see [`bind`].
pub fn bind_first(places: &[PathBuf]) -> io::Result<(UnixListener, PathBuf)> {
    let mut first = None;
    for path in places {
        match bind(path) {
            Ok(listener) => return Ok((listener, path.clone())),
            Err(error) => {
                tracing::info!(path = %path.display(), %error, "no control socket can stand there");
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

/// Answers until the process ends. A socket whose file is gone is bound again: nobody would find the
/// daemon any more.
pub async fn serve(mut listener: UnixListener, mut door: Door, handles: Handles) {
    let router = routes::router(handles);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let accepted = loop {
            tokio::select! {
                accepted = listener.accept() => break accepted,
                _ = looks.tick() => if let Some(anew) = door.anew() { listener = anew },
            }
        };
        match accepted {
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

/// The socket's file, by which clients find it. Clones know of the same one.
#[derive(Debug, Clone)]
pub struct Door {
    path: PathBuf,
    /// Its device and inode.
    file: Arc<Mutex<Option<(u64, u64)>>>,
    /// True once it was told that it is gone and cannot be made.
    told: bool,
}

impl Door {
    /// The socket that was bound at `path` a moment ago.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { file: Arc::new(Mutex::new(file_of(&path))), path, told: false }
    }

    /// Removes the file, unless another daemon's socket has taken its place.
    pub fn close(&self) {
        if self.is_ours() {
            // The next daemon would remove it as well.
            let _gone_already = std::fs::remove_file(&self.path);
        }
    }

    fn is_ours(&self) -> bool {
        let there = file_of(&self.path);
        there.is_some() && there == *self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket, bound anew where its file is gone. One of another daemon is left alone.
    fn anew(&mut self) -> Option<UnixListener> {
        if self.is_ours() || !is_deserted(&self.path) {
            return None;
        }
        match bind_again(&self.path) {
            Ok(listener) => {
                tracing::warn!(path = %self.path.display(), "the control socket was gone, and is made anew");
                *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file_of(&self.path);
                self.told = false;
                Some(listener)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::error!(
                        path = %self.path.display(), %error, next = "start the daemon again, if no command reaches it",
                        "the control socket is gone, and cannot be made"
                    );
                }
                None
            }
        }
    }
}

/// Binds the socket again. Of the folders only the last is made: below the folder of a disk that is
/// not mounted nothing of ours may stand.
fn bind_again(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    bind(path)
}

/// True if no program listens at `path`. One that is busy, or lets nobody in, listens.
fn is_deserted(path: &Path) -> bool {
    let error = std::os::unix::net::UnixStream::connect(path).err();
    error.is_some_and(|error| {
        matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
    })
}

fn file_of(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::symlink_metadata(path).ok().filter(|found| found.file_type().is_socket())?;
    Some((found.dev(), found.ino()))
}

fn is_owner(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}

#[cfg(test)]
mod tests;
