use std::fs as disk;
use std::io::Write;

use super::*;
use crate::fs::RealFs;
use crate::model::{ConflictId, Digest, Item};
use crate::vault::{ApplyItem, ApplyPlan, ApplyStep, Keeping, Seen, apply, conclude};

const CONFLICT: ConflictId = ConflictId::from_bytes([7; ConflictId::LEN]);
const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();
const SETTLE: Duration = Duration::from_secs(2);
/// A time long after all writes of the tests.
const LATER: i64 = 4_000_000_000_000_000_000;

fn content_of(text: &str) -> Content {
    Content { digest: Digest::of(text.as_bytes()), size: text.len() as u64 }
}

/// A vault in which one file was deleted and one lost a conflict; and an open descriptor of each.
fn displaced(ms: u64) -> (tempfile::TempDir, Layout, ApplyId, Vec<disk::File>) {
    displaced_by(Purpose::Repair, ms)
}

fn displaced_by(purpose: Purpose, ms: u64) -> (tempfile::TempDir, Layout, ApplyId, Vec<disk::File>) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    disk::create_dir_all(layout.sync()).unwrap();
    let mut open = Vec::new();
    let mut items = Vec::new();
    for (name, lost) in [("a/plain", false), ("b/lost", true)] {
        let path = VaultPath::new(name).unwrap();
        let place = path.below(dir.path());
        disk::create_dir_all(place.parent().unwrap()).unwrap();
        disk::write(&place, name).unwrap();
        open.push(disk::File::options().append(true).open(&place).unwrap());
        let old = Seen { content: content_of(name), stat: RealFs.lstat(&place).unwrap() };
        let keep = lost.then(|| Keeping { id: CONFLICT, record: String::new() });
        let steps = vec![ApplyStep { path: path.clone(), on_disk: None, old: Some(old), new: None }];
        items.push(ApplyItem { item: Item::File(path), keep, steps });
    }
    let id = ApplyId::new(ms, [1; 4]);
    let plan = ApplyPlan { id: id.clone(), purpose, finish: false, items };
    let applied = apply(&RealFs, &layout, plan, None, &mut |_| {}).unwrap();
    assert_eq!(applied.displaced.len(), 2);
    (dir, layout, id, open)
}

#[test]
fn what_is_written_after_it_was_displaced_is_found() {
    let (_dir, layout, id, mut open) = displaced(1000);
    let recheck = |now| recheck(&RealFs, &layout, now, SETTLE, TWO).unwrap();
    assert_eq!(recheck(LATER), [], "the apply is not concluded");
    conclude(&RealFs, &layout).unwrap();
    assert_eq!(recheck(LATER), [Rechecked { id: id.clone(), changed: Vec::new(), meant: false }]);

    open.iter_mut().for_each(|file| file.write_all(b" and more").unwrap());
    let stat = RealFs.lstat(&layout.trash_files(&id).join("a/plain")).unwrap();
    assert_eq!(recheck(stat.ctime_ns), [], "it may still be written to");
    let rechecked = recheck(LATER);
    let changed: Vec<_> =
        rechecked[0].changed.iter().map(|one| (one.path.as_ref().unwrap().as_str(), one.content)).collect();
    let expected = [("a/plain", content_of("a/plain and more")), ("b/lost", content_of("b/lost and more"))];
    assert_eq!(changed, expected);
    assert_eq!(unchecked_conflicts(&RealFs, &layout).unwrap(), BTreeSet::from([CONFLICT]));
    acknowledge(&RealFs, &layout, &id).unwrap();
    assert_eq!(recheck(LATER), []);
    assert_eq!(unchecked_conflicts(&RealFs, &layout).unwrap(), BTreeSet::new());
}

/// A loser whose place is taken at recovery can neither be put back nor join the conflict's copies.
#[test]
fn the_loser_of_a_conflict_that_was_left_in_the_trash_is_found() {
    let (_dir, layout, id, _open) = displaced(1000);
    conclude(&RealFs, &layout).unwrap();
    let path = VaultPath::new("b/lost").unwrap();
    let left = path.below(&layout.trash_files(&id));
    disk::create_dir_all(left.parent().unwrap()).unwrap();
    disk::rename(layout.conflict_file(CONFLICT, &path), &left).unwrap();
    let found = recheck(&RealFs, &layout, LATER, SETTLE, TWO).unwrap();
    let lost = Changed { path: Some(path), place: left, content: content_of("b/lost") };
    assert_eq!(found, [Rechecked { id, changed: vec![lost], meant: false }]);
}

#[test]
fn trash_expires_once_it_is_old_and_was_looked_at() {
    let (_dir, layout, id, _open) = displaced(1000);
    let expire = |ms| expire(&RealFs, &layout, ms).unwrap();
    let waiting = Expired { waiting: vec![id.clone()], ..Expired::default() };
    let removed = Expired { removed: vec![id.clone()], ..Expired::default() };
    expire(5000);
    conclude(&RealFs, &layout).unwrap();
    assert_eq!(expire(5000), waiting, "nobody has looked at it again");
    acknowledge(&RealFs, &layout, &id).unwrap();
    assert_eq!(expire(1000), Expired::default(), "it is not older");
    disk::create_dir(layout.trash().join("not ours")).unwrap();
    let cut_short = ApplyId::new(900, [2; 4]);
    disk::create_dir_all(layout.trash_files(&cut_short).join("traces")).unwrap();
    assert_eq!(
        expire(1000).removed,
        [cut_short],
        "what a removal that was cut short has left stays for ever"
    );
    std::os::unix::fs::symlink(layout.root(), layout.trash_files(&id).join("link")).unwrap();
    assert_eq!(expire(1001), removed);
    assert!(!layout.trash_of(&id).exists() && layout.trash().join("not ours").exists());
    assert!(layout.root().join("b").exists() || layout.conflicts().exists(), "a link was followed");
    assert!(
        layout.conflict_file(CONFLICT, &VaultPath::new("b/lost").unwrap()).exists(),
        "a conflict copy expired"
    );
}

#[test]
fn what_a_transaction_replaced_goes_once_it_has_settled() {
    let by_transaction = || {
        let displaced = displaced_by(Purpose::Transaction("save".to_owned()), 1000);
        conclude(&RealFs, &displaced.1).unwrap();
        displaced
    };
    let clear = |layout: &Layout, now| clear_replaced(&RealFs, layout, now, SETTLE, TWO).unwrap();
    let (_dir, layout, id, _open) = by_transaction();
    let stat = RealFs.lstat(&layout.trash_files(&id).join("a/plain")).unwrap();
    assert_eq!(clear(&layout, stat.ctime_ns), 0, "it may still be written to");
    let turn = FileLock::try_take(&RealFs, &layout.trash_lock()).unwrap().unwrap();
    assert_eq!(clear(&layout, LATER), 0, "another program looks at it");
    drop(turn);
    assert_eq!(clear(&layout, LATER), 1);
    assert!(!layout.trash_of(&id).exists());

    let (_dir, layout, id, mut open) = by_transaction();
    open.iter_mut().for_each(|file| file.write_all(b" and more").unwrap());
    assert_eq!(clear(&layout, LATER), 0, "a late write went with it");
    assert_eq!(recheck(&RealFs, &layout, LATER, SETTLE, TWO).unwrap()[0].id, id);
    let (_dir, layout, id, _open) = displaced(1000);
    conclude(&RealFs, &layout).unwrap();
    assert_eq!(clear(&layout, LATER), 0, "a pull's trash stays for its time");
    assert!(layout.trash_of(&id).exists());
}
