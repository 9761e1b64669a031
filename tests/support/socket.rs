//! The daemon's control socket, byte for byte.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::process::{Machine, PATIENCE};
use cogzy_engine::clock::{Clock, SystemClock};

/// The answer that came before the connection was closed.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status. None if nothing, or no HTTP, came back.
    pub status: Option<u16>,
    pub text: String,
}

impl Answer {
    /// The JSON document in the body.
    pub fn json(&self) -> serde_json::Value {
        let body = self.text.split_once("\r\n\r\n").map(|(_, body)| body);
        serde_json::from_str(body.unwrap()).unwrap_or_else(|error| panic!("no document ({error}): {self:?}"))
    }
}

/// The socket on which the daemon of `machine` listens: in the vault, or in the machine's folder
/// for sockets if it has one.
pub fn path_of(machine: &Machine) -> PathBuf {
    let Some(runtime) = machine.variables.get("XDG_RUNTIME_DIR") else {
        return machine.root.join("sync/control/daemon.sock");
    };
    let sockets = std::fs::read_dir(Path::new(runtime).join("cogzy-vault")).unwrap();
    let mut sockets = sockets.map(|entry| entry.unwrap().path());
    sockets.find(|path| path.extension().is_some_and(|end| end == "sock")).unwrap()
}

pub async fn connect(path: &Path) -> UnixStream {
    timeout(PATIENCE, UnixStream::connect(path)).await.expect("connecting hangs").unwrap()
}

/// Sends `bytes` and reads until the other side closes.
pub async fn exchange(path: &Path, bytes: &[u8]) -> Answer {
    let mut stream = connect(path).await;
    // A server that refuses early may close before everything is sent.
    let _refused_early = timeout(PATIENCE, stream.write_all(bytes)).await.expect("sending hangs");
    rest(&mut stream).await
}

/// Reads until the other side closes.
pub async fn rest(stream: &mut UnixStream) -> Answer {
    let mut read = Vec::new();
    let _broken_off = timeout(PATIENCE, stream.read_to_end(&mut read)).await.expect("the answer never ends");
    let text = String::from_utf8_lossy(&read).into_owned();
    Answer { status: text.split(' ').nth(1).and_then(|code| code.parse().ok()), text }
}

/// Asks for the status until `holds` is true of it. Returns that status.
pub async fn until(
    machine: &Machine,
    what: &str,
    holds: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let clock = SystemClock::new();
    loop {
        let status = ask(machine, "GET", "/v1/status").await.json();
        if holds(&status) {
            return status;
        }
        assert!(clock.monotonic() < PATIENCE, "it was never {what}: {status}");
        // A test of the status itself asks for it, and is told by no event.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Asks for the status until it is of this state. Returns it.
pub async fn until_state(machine: &Machine, wanted: &str) -> serde_json::Value {
    until(machine, wanted, |status| status["state"] == wanted).await
}

/// A request without a body.
pub async fn ask(machine: &Machine, method: &str, resource: &str) -> Answer {
    ask_with(machine, method, resource, "", "").await
}

/// A request with further header lines (each ended by `\r\n`) and a body.
pub async fn ask_with(machine: &Machine, method: &str, resource: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!(
        "{method} {resource} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    exchange(&path_of(machine), format!("{head}{body}").as_bytes()).await
}
