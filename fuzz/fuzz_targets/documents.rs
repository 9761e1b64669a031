//! Documents of the socket, in both directions: what is read is written, and reads the same again.

#![no_main]

use cogzy_client::documents::{
    ConflictsDocument, DecideRequest, DryRunRequest, EventDocument, HistoryDocument, PauseRequest, PlanDocument,
    ResolveRequest, ResolveSeveralRequest, RestoreRequest, StatusDocument, SyncDocument, SyncRequest,
    TransactionRequest, UndoRequest, VerifyDocument, VerifyRequest, WriteRequest,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

macro_rules! reads_again {
    ($bytes:expr, $($document:ty),*) => { $(
        if let Ok(document) = serde_json::from_slice::<$document>($bytes) {
            let written = serde_json::to_vec(&document).unwrap();
            let again: $document = serde_json::from_slice(&written).unwrap();
            let values = [&document, &again].map(|document| serde_json::to_value(document).unwrap());
            assert_eq!(values[0], values[1]);
        }
    )* };
}

macro_rules! reads {
    ($bytes:expr, $($document:ty),*) => { $(
        let _refused = serde_json::from_slice::<$document>($bytes);
    )* };
}

fuzz_target!(|data: &[u8]| {
    if serde_json::from_slice::<Value>(data).is_err() {
        return;
    }
    reads_again!(data, StatusDocument, SyncDocument, EventDocument, HistoryDocument, ConflictsDocument, PlanDocument);
    reads_again!(data, VerifyDocument);
    reads!(data, DecideRequest, DryRunRequest, PauseRequest, ResolveRequest, ResolveSeveralRequest, RestoreRequest);
    reads!(data, SyncRequest, TransactionRequest, UndoRequest, VerifyRequest, WriteRequest);
});
