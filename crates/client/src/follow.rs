//! A client of the daemon's events, which come as server-sent events.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;

use crate::documents::EventDocument;
use crate::socket::{ClientError, connect, refusal};

/// The longest event, in bytes.
const MAX_EVENT: usize = 1 << 20;

/// Follows the events of the daemon at `socket` after number `since`; without a number, from now
/// on. `each` tells whether to go on. Returns when the stream ends, with the number of the last
/// event.
///
/// # Errors
/// See [`ClientError`].
pub async fn follow(
    socket: &Path,
    since: Option<u64>,
    mut each: impl FnMut(EventDocument) -> bool,
) -> Result<Option<u64>, ClientError> {
    let stream = connect(socket).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::broken)?;
    let pump = tokio::spawn(connection);
    let mut request = Request::get("/v1/events").header("host", "localhost");
    if let Some(since) = since {
        request = request.header("last-event-id", since);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(ClientError::broken)?;
    let response = sender.send_request(request).await.map_err(ClientError::broken)?;
    if response.status() != StatusCode::OK {
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_EVENT).collect().await;
        let body = body.map_err(ClientError::broken)?.to_bytes();
        pump.abort();
        return Err(refusal(status, &body));
    }
    let (mut body, mut lines, mut last) = (response.into_body(), Lines::default(), since);
    while let Some(frame) = body.frame().await {
        // A daemon that stops breaks the stream off; the events read until then stand.
        let Ok(frame) = frame else { break };
        for event in lines.take(frame.data_ref().map(Bytes::as_ref).unwrap_or_default())? {
            last = event.id.or(last);
            if !each(event) {
                return Ok(last);
            }
        }
    }
    pump.abort();
    Ok(last)
}

/// The end of a stream that is not a whole line yet.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn take(&mut self, piece: &[u8]) -> Result<Vec<EventDocument>, ClientError> {
        self.rest.extend_from_slice(piece);
        let mut events = Vec::new();
        // Each event is one line of data; the other fields repeat what the document says.
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            if let Some(data) = line.strip_prefix(b"data:") {
                events.push(serde_json::from_slice(data).map_err(ClientError::broken)?);
            }
        }
        if self.rest.len() > MAX_EVENT {
            return Err(ClientError::broken("an event without an end"));
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::EventBody;

    #[test]
    fn events_are_put_together_from_any_pieces() {
        let text = concat!(
            ": alive\n\nid: 7\nevent: state\ndata: {\"id\":7,\"at\":\"x\",\"event\":\"state\",\"state\":\"in-sync\",\"was\":\"pending\"}\n\n",
            "id: 8\nevent: state\ndata:{\"id\":8,\"at\":\"x\",\"event\":\"state\",\"state\":\"offline\",\"was\":\"in-sync\"}\n\n"
        );
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let pieces = text.as_bytes().chunks(size);
            let ids: Vec<_> =
                pieces.flat_map(|piece| lines.take(piece).unwrap()).map(|event| event.id).collect();
            assert_eq!(ids, [Some(7), Some(8)], "in pieces of {size}");
        }
    }

    #[test]
    fn a_kind_of_event_from_a_newer_daemon_ends_no_stream() {
        let text = "data: {\"id\":9,\"at\":\"x\",\"event\":\"merge\",\"entries\":{\"here\":1}}\n";
        let events = Lines::default().take(text.as_bytes()).unwrap();
        assert_eq!((events[0].id, &events[0].body), (Some(9), &EventBody::Unknown));
    }
}
