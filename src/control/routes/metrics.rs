//! Metrics in the OpenMetrics text format.

use std::fmt::Write;

use axum::extract;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::OpenApi;

use super::family::{Family, Route};
use super::handles::Handles;
use cogzy_client::documents::{State, StatusDocument};

/// The content type of OpenMetrics 1.0.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(OpenApi)]
#[openapi(paths(metrics))]
struct MetricsApi;

pub(super) fn family() -> Family {
    Family { routes: vec![Route::new("/metrics", get(metrics))], document: MetricsApi::openapi() }
}

/// The status in numbers.
#[utoipa::path(
    get, path = "/metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text", description = "OpenMetrics 1.0"))
)]
async fn metrics(extract::State(handles): extract::State<Handles>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text(&handles.board.read(), handles.events.newest()))
        .into_response()
}

/// The metrics as text. Names carry their unit; counters begin anew with the daemon, except for
/// that of events.
fn text(status: &StatusDocument, events: u64) -> String {
    let mut text = String::new();
    let last_sync = status.last_sync.as_ref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let pending = status.pending;
    let gauges = [
        ("generation", "", "The generation that was agreed last.", Some(status.generation)),
        ("files", "", "Files here.", Some(status.files as u64)),
        ("files_bytes", "bytes", "Their bytes.", Some(status.bytes)),
        ("pending_up_files", "", "Files to be sent.", Some(pending.up.files as u64)),
        ("pending_down_files", "", "Files to be fetched.", Some(pending.down.files as u64)),
        ("conflicts", "", "Open conflicts.", Some(status.conflicts as u64)),
        ("holds", "", "Changes that wait for a decision.", Some(status.holds.len() as u64)),
        ("errors", "", "What is wrong now.", Some(status.errors.len() as u64)),
        (
            "last_sync_timestamp_seconds",
            "seconds",
            "When a cycle went through last.",
            last_sync.and_then(|at| u64::try_from(at.as_second()).ok()),
        ),
    ];
    for (name, unit, help, value) in gauges {
        if let Some(value) = value {
            describe(&mut text, name, "gauge", unit, help);
            line(&mut text, name, "", value);
        }
    }
    let transfer = status.transfer;
    let counters = [
        ("requests", "", "Requests made to the remote.", transfer.requests),
        ("sent_bytes", "bytes", "Bytes sent to the remote.", transfer.bytes_up),
        ("received_bytes", "bytes", "Bytes received from the remote.", transfer.bytes_down),
        ("events", "", "Events made, over all runs.", events),
    ];
    for (name, unit, help, value) in counters {
        describe(&mut text, name, "counter", unit, help);
        line(&mut text, &format!("{name}_total"), "", value);
    }
    describe(&mut text, "state", "stateset", "", "The verdict.");
    for state in State::ALL {
        let labels = format!("{{cogzy_vault_state=\"{}\"}}", state.name());
        line(&mut text, "state", &labels, u64::from(state == status.state));
    }
    text.push_str("# EOF\n");
    text
}

fn describe(text: &mut String, name: &str, kind: &str, unit: &str, help: &str) {
    // Writing into a text cannot fail.
    let _always = writeln!(text, "# TYPE cogzy_vault_{name} {kind}");
    if !unit.is_empty() {
        let _always = writeln!(text, "# UNIT cogzy_vault_{name} {unit}");
    }
    let _always = writeln!(text, "# HELP cogzy_vault_{name} {help}");
}

fn line(text: &mut String, name: &str, labels: &str, value: u64) {
    let _always = writeln!(text, "cogzy_vault_{name}{labels} {value}");
}

#[cfg(test)]
mod tests;
