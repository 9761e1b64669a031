//! systemd's journal, in its own protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>): each
//! event is one datagram.
//!
//! The fields stand in the message, where a reader of the plain journal sees the cause of an error,
//! and once more by themselves as `COGZY_…`, where `journalctl COGZY_GENERATION=42` finds them. A
//! journal that cannot keep up loses lines; it never holds the daemon up.

use std::fmt::{Debug, Write};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

const SOCKET: &str = "/run/systemd/journal/socket";
/// The longest field, in bytes. A datagram takes a little more than 200 kB; anything longer is no
/// log line.
const LONGEST: usize = 64 << 10;

/// A connection to the journal.
#[derive(Debug)]
pub struct JournalLayer {
    socket: UnixDatagram,
    path: PathBuf,
}

impl JournalLayer {
    /// Connects to the journal of this machine.
    ///
    /// # Errors
    /// If there is none.
    pub fn connect() -> io::Result<Self> {
        Self::at(Path::new(SOCKET))
    }

    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned() })
    }

    fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        match self.socket.send(datagram) {
            // It cannot keep up.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            // A journal that was started anew listens on a new socket at the same path.
            Err(_) => {
                self.socket.connect(&self.path)?;
                self.socket.send(datagram)
            }
            sent => sent,
        }
    }
}

impl<S: Subscriber> Layer<S> for JournalLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // If it does not arrive, there is no place to report that.
        let _lost = self.send(&datagram(event));
    }
}

fn datagram(event: &Event<'_>) -> Vec<u8> {
    let mut seen = FieldCollector::default();
    event.record(&mut seen);
    let priority = match *event.metadata().level() {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    };
    let mut message = seen.message;
    for (name, value) in &seen.fields {
        // Writing into a text cannot fail.
        let _ = write!(message, " {name}={value}");
    }
    let mut datagram = Vec::new();
    let mut put = |name: &str, value: &str| {
        let value = value.as_bytes().get(..LONGEST).unwrap_or(value.as_bytes());
        datagram.extend_from_slice(name.as_bytes());
        datagram.push(b'\n');
        datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
        datagram.extend_from_slice(value);
        datagram.push(b'\n');
    };
    put("MESSAGE", message.trim_start());
    put("PRIORITY", priority);
    put("SYSLOG_IDENTIFIER", "cogzy-vault");
    put("COGZY_TARGET", event.metadata().target());
    for (name, value) in &seen.fields {
        put(&format!("COGZY_{}", own(name)), value);
    }
    datagram
}

/// A name in the journal's own spelling: capitals, digits and underscores.
fn own(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .take(50)
        .collect()
}

#[derive(Default)]
struct FieldCollector {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for FieldCollector {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push((field.name(), format!("{value:?}")));
        }
    }

    /// Records a text without the quotes of its debug form.
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests;
