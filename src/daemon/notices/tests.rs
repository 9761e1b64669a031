use super::*;
use cogzy_client::documents::{ConflictEvent, ErrorDocument, State};

fn event(body: EventBody) -> Arc<EventDocument> {
    Arc::new(EventDocument { id: Some(1), at: "2026-11-28T00:00:00Z".to_owned(), body })
}

fn conflict(item: &str) -> Arc<EventDocument> {
    event(EventBody::Conflict(ConflictEvent {
        conflict: "c".to_owned(),
        item: item.to_owned(),
        device: None,
        next: "cogzy-vault conflicts show c".to_owned(),
        clashes: Vec::new(),
    }))
}

#[test]
fn many_conflicts_are_one_notice_and_passing_errors_are_none() {
    let [notice] = &of(&[conflict("file:<b>a&b\u{7}.json")])[..] else { panic!("one notice") };
    assert_eq!(notice.title, "Cogzy: a version was set aside");
    assert_eq!(notice.text, "file:‹b›a＆b�.json\ncogzy-vault conflicts show c");
    let many: Vec<_> = (0..100).map(|number| conflict(&format!("file:{number}"))).collect();
    let [notice] = &of(&many)[..] else { panic!("one notice") };
    assert_eq!(notice.title, "Cogzy: 100 versions were set aside");
    let mut error = ErrorDocument::of("the bucket is away", "wait");
    let state = event(EventBody::State { state: State::Error, was: State::InSync });
    assert_eq!(of(&[event(EventBody::Error { error: error.clone() }), state]), []);
    error.alarm = true;
    assert_eq!(of(&[event(EventBody::Error { error })]).len(), 1);
}
