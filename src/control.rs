//! The daemon's control socket: HTTP/1.1 and JSON over a Unix socket.
//!
//! [`cogzy_client::documents`] has the documents, which scripts and other programs rely on;
//! [`server`] takes connections, [`routes`] answers them, [`cogzy_client::socket`] asks. No answer
//! decides anything: commands are handed to the daemon's thread, and a status is read from the
//! [`board`] that the daemon keeps, at once, whatever the daemon is doing.
//!
//! Only the owner gets in: the socket has mode 0600 in a folder of mode 0700, and the peer's user
//! id is checked. A request that a browser may have made (an `Origin` or a `Referer`) is refused.
//! Bodies, connections and waits are bounded.

pub mod board;
pub mod events;
pub mod jobs;
mod patience;
pub mod pulse;
pub mod routes;
pub mod server;
pub mod sides;
