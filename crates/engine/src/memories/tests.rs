//! Memories on a real disk.

use std::collections::BTreeMap;
use std::fs as disk;

use cogzy_testkit::memories::{self as app, Memories};

use super::*;
use crate::fs::RealFs;
use crate::merge::{Put, Vector};
use crate::model::{DeviceId, Group, Groups, Validate, VaultId};
use crate::vault::apply_disk::{Disk, LINUX, STICK};
use crate::vault::{MARKER_FORMAT, Marker, conclude, recover, settle_transaction};

const VAULT: VaultId = VaultId::from_bytes([1; 16]);

/// A vault with two memories, unless it is `empty`.
fn vault(empty: bool) -> (tempfile::TempDir, Layout) {
    let folder = cogzy_testkit::fresh_folder();
    let layout = Layout::new(folder.path());
    disk::create_dir_all(layout.sync()).unwrap();
    let device = DeviceId::from_bytes([2; 8]);
    let marker = Marker { format: MARKER_FORMAT, vault: VAULT, device, machine: String::new() };
    marker.write(&RealFs, &layout).unwrap();
    if !empty {
        let two = ["a", "b"].map(|id| (id.to_owned(), (format!("of {id}"), 1.0))).into();
        for (name, bytes) in app::files(&two) {
            let path = folder.path().join(name);
            disk::create_dir_all(path.parent().unwrap()).unwrap();
            disk::write(path, bytes).unwrap();
        }
    }
    (folder, layout)
}

fn shown(layout: &Layout) -> Memories {
    let file = |name: &str| disk::read(layout.root().join(name)).unwrap();
    let index = file("indexes/nodes.index");
    app::read(&file("corpus/nodes.json"), &file("vectors/nodes.npy"), Some(&index))
}

fn put(id: &str, text: &str, vector: f64) -> Edit {
    let entry = format!(r#"{{"id": "{id}", "content": "{text}"}}"#);
    Edit { id: Id::text(id), put: Some(Put { entry, vector: Some(Vector::Numbers(vec![vector; 2])) }) }
}

fn change(
    layout: &Layout,
    id: &str,
    expected: Vec<Expectation>,
    edits: Vec<Edit>,
) -> Result<Answer, MemoriesError> {
    let request = asked(layout, id, expected, edits);
    let number = id.bytes().map(u64::from).sum();
    let apply = ApplyId::new(number, [id.len() as u8, id.as_bytes()[0], 0, 0]);
    write(&RealFs, layout, &Filter::new(&[], &[]).unwrap(), &request, &apply, 1_000)
}

#[test]
fn a_change_is_put_in_place_as_one_and_answered_once() {
    let (_folder, layout) = vault(false);
    let edits = vec![put("c", "new", 3.0), put("b", "changed", 2.0), Edit { id: Id::text("a"), put: None }];
    let answer = change(&layout, "first", vec![], edits.clone()).unwrap();
    assert_eq!(answer.files.len(), 3, "corpus, array and index: {answer:?}");
    let now = Memories::from([("b".into(), ("changed".into(), 2.0)), ("c".into(), ("new".into(), 3.0))]);
    assert_eq!(shown(&layout), now);
    assert_eq!(crate::vault::together(&RealFs, &layout).unwrap().len(), 1, "it is sent as one");
    assert_eq!(change(&layout, "first", vec![], vec![put("d", "", 0.0)]).unwrap(), answer);
    let again = change(&layout, "again", vec![], vec![put("c", "new", 3.0)]).unwrap();
    assert_eq!((again.files.len(), shown(&layout)), (0, now), "that is no change");
    let nothing = Edit { id: Id::text("nobody"), put: None };
    assert!(change(&layout, "nothing", vec![], vec![nothing]).unwrap().files.is_empty());
}

#[test]
fn memories_are_found_with_what_a_change_may_expect() {
    let (_folder, layout) = vault(false);
    let collection = Collection::named(&RealFs, &layout, VAULT, "nodes").unwrap();
    let find = |vectors| read(&RealFs, &layout, &collection, &[Id::text("b"), Id::text("x")].into(), vectors);
    let [b] = <[Found; 1]>::try_from(find(true).unwrap()).unwrap();
    assert_eq!(b.vector, Some(vec![1.0, 1.0]));
    let expect = |field: Option<&str>, digest| {
        vec![Expectation { id: Id::text("b"), field: field.map(ToOwned::to_owned), digest }]
    };
    change(&layout, "one", expect(None, Some(b.digest)), vec![put("b", "new", 2.0)]).unwrap();
    let content = expect(Some("content"), Some(b.fields["content"]));
    let before = shown(&layout);
    let refused = change(&layout, "two", content, vec![put("b", "newer", 3.0)]).unwrap_err();
    let MemoriesError::Unedited { cause: Unedited::Changed { id, field, current }, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!((id.as_str(), field.as_deref(), current.as_deref()), ("b", Some("content"), Some("\"new\"")));
    assert_eq!(shown(&layout), before);
}

#[test]
fn the_first_memory_of_a_vault_begins_its_files() {
    let (_folder, layout) = vault(true);
    change(&layout, "first", vec![], vec![put("a", "one", 1.0)]).unwrap();
    let collection = Collection::named(&RealFs, &layout, VAULT, "nodes").unwrap();
    let found = read(&RealFs, &layout, &collection, &[Id::text("a")].into(), true).unwrap();
    assert_eq!(found[0].vector, Some(vec![1.0, 1.0]));
}

/// A request over the memories of `nodes`.
fn asked(layout: &Layout, id: &str, expected: Vec<Expectation>, edits: Vec<Edit>) -> Request {
    let transaction = Transaction {
        id: id.to_owned(),
        source: "test".to_owned(),
        expected: BTreeMap::new(),
        writes: BTreeMap::new(),
        deletes: BTreeSet::new(),
    };
    let collection = Collection::named(&RealFs, layout, VAULT, "nodes").unwrap();
    Request { transaction, changes: vec![Changes { collection, expected, edits }] }
}

fn all(
    fs: &dyn Fs,
    layout: &Layout,
    requests: &[Request],
    at: u64,
) -> Vec<Result<Answer, Arc<MemoriesError>>> {
    let filter = Filter::new(&[], &[]).unwrap();
    let apply = ApplyId::new(at, [7; 4]);
    write_together(Place { fs, layout, filter: &filter }, requests, &apply, 1_000)
}

/// Three requests of which the second expects what the first leaves, and the third what it undoes.
fn three(layout: &Layout) -> [Request; 3] {
    let content = |text: &str| {
        // The same text has the same digest in every vault.
        let (_folder, other) = vault(false);
        change(&other, "other", vec![], vec![put("b", text, 1.0)]).unwrap();
        let collection = Collection::named(&RealFs, &other, VAULT, "nodes").unwrap();
        let b = read(&RealFs, &other, &collection, &[Id::text("b")].into(), false).unwrap().remove(0);
        let digest = Some(b.fields["content"]);
        vec![Expectation { id: Id::text("b"), field: Some("content".to_owned()), digest }]
    };
    [
        asked(layout, "1", content("of b"), vec![put("b", "first", 4.0)]),
        asked(layout, "2", content("first"), vec![put("c", "second", 5.0)]),
        asked(layout, "3", content("of b"), vec![put("d", "third", 6.0)]),
    ]
}

#[test]
fn of_several_each_finds_what_those_before_it_leave_and_gets_its_own_answer() {
    let (_folder, layout) = vault(false);
    let requests = three(&layout);
    let results = all(&RealFs, &layout, &requests, 1);
    let files = |at: usize| results[at].as_ref().unwrap().files.len();
    assert_eq!((files(0), files(1)), (3, 3));
    let MemoriesError::Unedited { cause: Unedited::Changed { current, .. }, .. } =
        &**results[2].as_ref().unwrap_err()
    else {
        panic!("{results:?}")
    };
    assert_eq!(current.as_deref(), Some("\"first\""));
    let now = Memories::from([
        ("a".into(), ("of a".into(), 1.0)),
        ("b".into(), ("first".into(), 4.0)),
        ("c".into(), ("second".into(), 5.0)),
    ]);
    assert_eq!(shown(&layout), now);
    assert_eq!(crate::vault::together(&RealFs, &layout).unwrap().len(), 1, "they are sent as one");
    // The same ids again get the same answers, together and alone; the refused one may be right
    // now.
    let again = all(&RealFs, &layout, &requests[..2], 2);
    assert_eq!(
        [again[0].as_ref().unwrap(), again[1].as_ref().unwrap()],
        [0, 1].map(|at| results[at].as_ref().unwrap())
    );
    assert_eq!(&change(&layout, "2", vec![], vec![put("x", "", 0.0)]).unwrap(), results[1].as_ref().unwrap());
    change(&layout, "3", vec![], vec![put("d", "third", 6.0)]).unwrap();
    assert_eq!(shown(&layout).len(), 4);
}

#[test]
fn a_crash_before_any_effect_leaves_all_of_several_or_none_and_asking_again_ends_it() {
    let mut crashes = 0;
    for kind in [LINUX, STICK] {
        for at in 0.. {
            let (folder, layout) = vault(false);
            let before = shown(&layout);
            let requests = three(&layout);
            let fs = Disk::crashing(kind, folder.path(), at);
            let results = all(&fs, &layout, &requests[..2], 1);
            let done = fs.reached();
            if !done {
                assert!(results.iter().all(Result::is_ok));
                break;
            }
            crashes += 1;
            if let Some(recovered) = recover(&RealFs, &layout, None).unwrap() {
                settle_transaction(&RealFs, &layout, &recovered).unwrap();
                conclude(&RealFs, &layout).unwrap();
            }
            let state = shown(&layout);
            let after = state.len() == 3 && state["b"].0 == "first";
            assert!(after || state == before, "crash {at}: {state:?}");
            // Each asks again, by itself and in another order.
            let mut answers = Vec::new();
            for request in requests[..2].iter().rev() {
                answers.push(
                    all(&RealFs, &layout, std::slice::from_ref(request), 2 + answers.len() as u64).remove(0),
                );
            }
            let second = answers.remove(0);
            assert_eq!(second.is_ok(), after, "it expects what the first one leaves");
            assert!(answers.remove(0).is_ok(), "crash {at}");
            if !after {
                all(&RealFs, &layout, &requests[1..2], 9).remove(0).unwrap();
            }
            let state = shown(&layout);
            assert_eq!((state.len(), state["c"].0.as_str(), state["b"].1), (3, "second", 4.0), "crash {at}");
        }
    }
    assert!(crashes > 60, "only {crashes} moments to crash at");
}

#[test]
fn what_cannot_be_read_fails_those_that_need_it_and_no_others() {
    let (folder, layout) = vault(false);
    disk::write(folder.path().join("corpus/episodes.json"), "[{").unwrap();
    let mut requests = three(&layout);
    requests[1].changes[0].collection = Collection::named(&RealFs, &layout, VAULT, "episodes").unwrap();
    let results = all(&RealFs, &layout, &requests, 1);
    assert!(results[0].is_ok(), "{results:?}");
    let why = results[1].as_ref().unwrap_err().to_string();
    assert!(why.contains("corpus/episodes.json"), "{why}");
    assert_eq!(shown(&layout)["b"].0, "first");
}

/// Writers that meet: each makes its files again, and none undoes another one's change.
#[test]
fn programs_that_write_at_the_same_time_lose_nothing() {
    let (_folder, layout) = vault(false);
    std::thread::scope(|scope| {
        for writer in 0..4_u8 {
            let layout = &layout;
            scope.spawn(move || {
                for number in 0..6 {
                    let id = format!("{writer}-{number}");
                    loop {
                        match change(layout, &id, vec![], vec![put(&id, &id, f64::from(writer))]) {
                            Ok(_) => break,
                            Err(MemoriesError::Transaction(TransactError::Busy(_))) => {}
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            });
        }
    });
    let shown = shown(&layout);
    assert_eq!(shown.len(), 2 + 4 * 6);
    for (id, (text, vector)) in shown.iter().filter(|(id, _)| id.contains('-')) {
        assert_eq!((text, Some(*vector)), (id, id[..1].parse().ok()));
    }
}

#[test]
fn a_group_that_does_not_say_where_its_memories_are_is_refused_by_name() {
    let (_folder, layout) = vault(false);
    let group = |name: &str, primary: &[&str]| Group {
        name: name.to_owned(),
        primary: primary.iter().map(|pattern| (*pattern).to_owned()).collect(),
        derived: vec!["indexes/**".to_owned()],
        validate: Validate::Off,
    };
    let groups = Groups::new(vec![
        group("nodes", &["corpus/nodes.json", "vectors/nodes.npy", "vectors/other.npy"]),
        group("wild", &["more/*.json"]),
    ])
    .unwrap();
    let of = |name: &str| Collection::of_group(&RealFs, &layout, &groups, name);
    let nodes = of("nodes").unwrap();
    assert_eq!(
        nodes.rows().map(VaultPath::as_str).collect::<Vec<_>>(),
        ["vectors/nodes.npy", "indexes/nodes.index"]
    );
    for (name, words) in [("wild", "names 0 files with memories"), ("none", "this vault has nodes, wild")] {
        let why = of(name).unwrap_err().to_string();
        assert!(why.contains(words), "{why}");
    }
}
