use super::*;
use crate::model::Entry;

fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

/// Memories, such as `a1 b1`: each an id and what it says.
fn table(memories: &str) -> Table {
    let one = |memory: &str| (Id::text(&memory[..1]), Digest::of(memory.as_bytes()));
    memories.split_whitespace().map(one).collect()
}

fn tables(memories: &str) -> BTreeMap<VaultPath, Table> {
    BTreeMap::from([(path("nodes.json"), table(memories))])
}

fn version(memories: &str) -> Vec<Kept> {
    let digest = Digest::of(memories.as_bytes());
    let entry = Entry { digest, size: 1, mtime_ms: 0, mode: 0o644, rows: None };
    vec![Kept { path: path("nodes.json"), entry: Some(entry) }]
}

fn lines(before: &str, after: &str) -> Lines {
    BTreeMap::from([(path("nodes.json"), difference(&table(before), &table(after)))])
}

/// Note after pulls that brought one version after the other.
fn brought<'v>(mut versions: impl Iterator<Item = &'v str>) -> Brought {
    let (origin, first) = versions.next().zip(versions.next()).unwrap();
    let mut note = Brought {
        origin: version(origin),
        agreed: version(first),
        wrote: tables(origin),
        lines: lines(origin, first),
        merged: false,
        aside: Vec::new(),
        later: Vec::new(),
    };
    let mut last = first;
    for next in versions {
        note = note.and_then(version(next), lines(last, next), tables(last));
        last = next;
    }
    note
}

/// Asserts which version a save was made from. None if it counts as it is.
#[track_caller]
fn assert_from(versions: &[&str], save: &str, from: Option<&str>) {
    let note = brought(versions.iter().copied());
    let judged = note.judge(&tables(save)).map(|(version, _)| version.to_vec());
    assert_eq!(judged, from.map(version), "{save:?} after {versions:?}");
}

#[test]
fn a_save_is_made_from_the_version_of_which_it_has_something() {
    let came = ["a1 b1", "a1 b1 x1", "a1 b1 x1 y1", "a1 b1 x1 y1 w1"];
    assert_from(&came, "a1 b1 z1", Some(came[0]));
    assert_from(&came, "a1 b1 x1 z1", Some(came[1]));
    assert_from(&came, "a1 b1 x1 y1 z1", Some(came[2]));
    assert_from(&came, "a1 b1 x1 y1 w1 z1", None);
}

#[test]
fn a_memory_of_an_earlier_pull_that_is_missing_was_deleted_by_who_has_one_of_a_later_pull() {
    let came = ["a1", "a1 x1", "a1 x1 y1", "a1 x1 y1 w1"];
    assert_from(&came, "a1 y1 z1", Some(came[2]));
    assert_from(&came, "a1 w1 z1", None);
}

#[test]
fn what_a_later_pull_changed_or_removed_tells_too() {
    let came = ["a1 b1", "a1 b1 x1", "a2 b1 x1"];
    assert_from(&came, "a1 b1 x1 z1", Some(came[1]));
    assert_from(&came, "a2 b1 x1 z1", None);
    assert_from(&came, "a3 b1 x1 z1", None);
    let came = ["a1 b1", "a1 b1 x1", "a1 x1"];
    assert_from(&came, "a1 b1 x1 z1", Some(came[1]));
    assert_from(&came, "a1 x1 z1", None);
}

#[test]
fn an_app_that_changed_all_that_came_before_it_read_knows_nothing_of_what_came_since() {
    let came = ["a1 b1", "a2 b1 x1", "a2 b1 x1 y1"];
    assert_from(&came, "a3 b1 x2 z1", Some(came[1]));
    assert_from(&came, "a3 b1 x2 y1", None);
}

#[test]
fn what_came_went_and_came_again_is_what_it_is_in_the_end() {
    let came = ["a1", "a1 x1", "a1", "a1 x1 y1"];
    assert_from(&came, "a1 z1", Some(came[0]));
    assert_from(&came, "a1 x1 z1", Some(came[1]));
}

#[test]
fn a_memory_as_a_pull_brought_it_tells_though_a_later_one_changed_it() {
    let came = ["a1 b1", "a2 b1 x1", "a3 b2 x2 y1"];
    assert_from(&came, "a1 b1 z1", Some(came[0]));
    assert_from(&came, "a1 b1 x1 z1", Some(came[1]));
    assert_from(&came, "a2 b1 z1", Some(came[1]));
    let came = ["a1", "a2", "a1 y1"];
    assert_from(&came, "a1 z1", Some(came[0]));
    assert_from(&came, "a2 z1", Some(came[1]));
}

#[test]
fn a_pull_that_brings_no_memory_goes_on_with_the_note() {
    let note = brought(["a1", "a1 x1"].into_iter());
    let note = note.and_then(version("other bytes"), lines("a1 x1", "a1 x1"), tables("a1 x1"));
    assert_eq!((note.agreed.clone(), note.later.len()), (version("other bytes"), 0));
    let (from, _) = note.judge(&tables("a1 z1")).unwrap();
    assert_eq!(from, version("a1"));
    let note = note.and_then(version("a1 x1 y1"), lines("a1 x1", "a1 x1 y1"), tables("a1 x1"));
    let (from, _) = note.judge(&tables("a1 x1 z1")).unwrap();
    assert_eq!(from, version("other bytes"));
}

#[test]
fn only_an_app_that_holds_what_was_written_here_has_what_waits_beside() {
    let mut note = brought(["a1 b1", "a2 b1 x1", "a2 b1 x1 y1"].into_iter());
    note.wrote = tables("a1 b1 c1");
    note.aside = vec![ConflictId::from_bytes([7; 32])];
    let (from, found) = note.judge(&tables("a1 b1")).unwrap();
    assert_eq!((from, &found.aside), (version("a1 b1").as_slice(), &note.aside));
    assert_eq!(found.gone, tables("c1"));
    let (from, found) = note.judge(&tables("a2 x1")).unwrap();
    assert_eq!((from, found), (version("a2 b1 x1").as_slice(), Reverted::default()));
}

#[test]
fn what_is_taken_back_again_is_deleted() {
    let mut note = brought(["a1", "a1 x1", "a1 x1 y1"].into_iter());
    note.merged = true;
    assert_eq!(note.judge(&tables("a1")), None);
    assert!(note.judge(&tables("a1 z1")).is_some());
    let note = note.and_then(version("a1 x1"), lines("a1 x1 y1", "a1 x1"), tables("a1 x1 y1"));
    assert!(note.merged, "nothing came that is new");
    assert!(!note.and_then(version("a1 x1 w1"), lines("a1 x1", "a1 x1 w1"), tables("a1 x1")).merged);
}

#[test]
fn of_many_pulls_the_oldest_are_joined() {
    let all = |count: u8| -> Vec<String> {
        let id = |at: u8| format!("{}1", char::from(b'0' + at));
        (0..=count).map(|last| (0..=last).map(id).collect::<Vec<_>>().join(" ")).collect()
    };
    let versions = all(70);
    let note = brought(versions.iter().map(String::as_str));
    assert_eq!(note.later.len(), MOST_PULLS - 1);
    let judged = |known: usize| note.judge(&tables(&versions[known])).map(|(from, _)| from.to_vec());
    let of = |known: usize| Some(version(&versions[known]));
    assert_eq!(judged(0), of(0));
    assert_eq!(judged(3), of(7), "of seven pulls nobody knows which it has read");
    assert!((7..70).all(|known| judged(known) == of(known)));
    assert_eq!(judged(70), None);
}

#[test]
fn pulls_are_joined_before_a_note_is_too_long() {
    let many = |from: u32, to: u32| -> Table {
        (from..to).map(|id| (Id::text(&id.to_string()), Digest::of(&id.to_le_bytes()))).collect()
    };
    let of =
        |before: &Table, after: &Table| BTreeMap::from([(path("nodes.json"), difference(before, after))]);
    let (none, all) = (Table::new(), many(0, 60_000));
    let mut note = brought(["a1", "a1 x1"].into_iter());
    note = note.and_then(version("all"), of(&none, &all), tables("a1 x1"));
    assert_eq!(note.later.len(), 1);
    note = note.and_then(version("none"), of(&all, &none), tables("a1 x1"));
    assert!(note.later.is_empty() && !note.is_too_long());
}

/// Programs of before know the note of one pull, and take one of several for none.
#[test]
fn a_note_of_one_pull_has_its_old_form() {
    let one = brought(["a1", "a1 x1"].into_iter());
    let text = serde_json::to_value(&one).unwrap();
    let names: Vec<&str> = text.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["agreed", "aside", "lines", "merged", "origin", "wrote"]);
    assert_eq!(serde_json::from_value::<Brought>(text).unwrap(), one);
    let two = brought(["a1", "a1 x1", "a1 x1 y1"].into_iter());
    let text = serde_json::to_value(&two).unwrap();
    assert!(text.as_object().unwrap().contains_key("later"));
    assert_eq!(serde_json::from_value::<Brought>(text).unwrap(), two);
}
