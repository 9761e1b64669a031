//! The daemon's control socket: HTTP/1.1 and JSON over a Unix socket.
//!
//! [`api`] has the documents, which scripts and other programs rely on; [`server`] answers, [`client`] asks. The server decides
//! nothing: it hands commands to the daemon's thread and shows the [`board`] that the daemon keeps, so that a status is
//! answered at once whatever the daemon is doing.
//!
//! Only the owner gets in: the socket has mode 0600 in a folder of mode 0700, and the peer's user id is checked. A request that a
//! browser may have made (an `Origin` or a `Referer`) is refused. Bodies, connections and waits are bounded.

pub mod api;
pub mod board;
pub mod client;
pub mod server;
