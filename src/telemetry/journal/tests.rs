use std::collections::BTreeMap;

use tracing_subscriber::layer::SubscriberExt;

use super::*;

fn read(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let name = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = u64::from_le_bytes(bytes[end + 1..end + 9].try_into().unwrap()) as usize;
        let value = String::from_utf8_lossy(&bytes[end + 9..end + 9 + length]).into_owned();
        fields.insert(name, value);
        assert_eq!(bytes[end + 9 + length], b'\n');
        bytes = &bytes[end + 10 + length..];
    }
    fields
}

#[test]
fn a_journal_that_was_started_anew_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let journal = UnixDatagram::bind(&path).unwrap();
    let layer = JournalLayer::at(&path).unwrap();
    drop(journal);
    std::fs::remove_file(&path).unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!("nobody hears this");
        let journal = UnixDatagram::bind(&path).unwrap();
        tracing::info!("heard again");
        journal.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 1 << 16];
        let length = journal.recv(&mut buffer).unwrap();
        assert_eq!(read(&buffer[..length])["MESSAGE"], "heard again");
    });
}

#[test]
fn an_event_is_one_entry_with_its_fields_in_words_and_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let journal = UnixDatagram::bind(folder.path().join("socket")).unwrap();
    let layer = JournalLayer::at(&folder.path().join("socket")).unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let error = io::Error::other("two\nlines");
        tracing::error!(%error, took_ms = 7, next = "wait", "the cycle did not go through");
        tracing::info!("{}", "x".repeat(300_000));
    });
    let mut buffer = vec![0; 1 << 20];
    let length = journal.recv(&mut buffer).unwrap();
    let entry = read(&buffer[..length]);
    assert_eq!(entry["MESSAGE"], "the cycle did not go through error=two\nlines took_ms=7 next=wait");
    assert_eq!((entry["PRIORITY"].as_str(), entry["COGZY_TOOK_MS"].as_str()), ("3", "7"));
    assert_eq!(entry["COGZY_ERROR"], "two\nlines");
    assert_eq!(entry["COGZY_TARGET"], module_path!());
    let length = journal.recv(&mut buffer).unwrap();
    assert_eq!(read(&buffer[..length])["MESSAGE"].len(), LONGEST);
}
