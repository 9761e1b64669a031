use proptest::prelude::*;

use super::*;
use crate::fs::RealFs;
use crate::model::{Digest, Entry, Loss, Place, VaultPath};

const NOW: u64 = 20_000 * DAY_MS;

fn vault() -> VaultId {
    VaultId::from_bytes([1; 16])
}

fn loss(at_ms: u64) -> Loss {
    let entry = Entry { digest: Digest::of(b"x"), size: 1, mtime_ms: 0, mode: 0o644, rows: None };
    Loss { entry, at_ms, place: Place::Free }
}

/// Looks at a clock: its error of some seconds at each look, and the real time between two
/// looks.
fn looks() -> impl Strategy<Value = Vec<(u64, i64)>> {
    let off = prop_oneof![6 => Just(0_i64), 1 => Just(60 * 86_400), 1 => -86_000..90_000_i64];
    prop::collection::vec((1..7_200_u64, off), 1..60)
}

proptest! {
    /// However the clock jumps, one jump at a time: nothing looks more than a day older than it
    /// is to a server that others write to.
    #[test]
    fn no_jump_makes_anything_old(looks in looks()) {
        let mut record = Reference::new(vault(), NOW, Some(NOW));
        let (mut real, mut named) = (NOW, Vec::new());
        for (passes, off) in looks {
            real += passes * 1000;
            let local = real.saturating_add_signed(off * 1000);
            for (born, name) in &named {
                let age = record.age_ms(local, Some(real)).saturating_sub(*name);
                prop_assert!(age <= real - born + 2 * DAY_MS, "{} seems {} old", real - born, age);
            }
            named.push((real, record.name_ms(local)));
            record.look(local, None);
        }
    }

    /// One jump does not make a day of a minute, and a loss is forgotten once a day has passed
    /// twice over.
    #[test]
    fn a_loss_counts_for_a_day_whatever_one_jump_does(jump in -60_i64..60, after in 0..600_u64) {
        let mut record = Reference::new(vault(), NOW, None);
        record.losses.insert(VaultPath::new("a").unwrap(), loss(record.loss_ms(NOW)));
        let minutes = |minutes: u64| NOW + minutes * 60_000;
        let jumped = minutes(after).saturating_add_signed(jump * 86_400_000);
        record.look(jumped, None);
        record.look(minutes(after + 1), None);
        prop_assert_eq!(record.losses_now(minutes(after + 2)).len(), 1);
        for hour in 1..=49 {
            record.look(minutes(after + hour * 60), None);
        }
        prop_assert_eq!(record.losses_now(minutes(after + 49 * 60)).len(), 0);
    }
}

#[test]
fn without_a_server_the_believed_time_follows_by_a_day_at_a_time() {
    let mut record = Reference::new(vault(), NOW, Some(NOW));
    let later = NOW + 3 * DAY_MS;
    let ages: Vec<u64> = (0..4)
        .map(|_| {
            record.look(later, None);
            (record.age_ms(later, None) - NOW) / DAY_MS
        })
        .collect();
    assert_eq!(ages, [2, 2, 2, 2], "nobody looks twice in an hour");
    let ages: Vec<u64> = (0..4_u64)
        .map(|hour| {
            record.look(later + hour * HOUR_MS, None);
            (record.age_ms(later + hour * HOUR_MS, None) - NOW) / DAY_MS
        })
        .collect();
    assert_eq!(ages, [2, 3, 3, 3]);
}

#[test]
fn without_a_record_nothing_is_old_until_a_server_tells_the_time() {
    let jumped = NOW + 60 * DAY_MS;
    let mut record = Reference::new(vault(), jumped, None);
    assert!(record.age_ms(jumped, None) <= DAY_MS);
    assert!(record.look(jumped, Some(NOW)), "the record is worth writing");
    assert_eq!(record.age_ms(jumped, None), NOW + DAY_MS);
}

#[test]
fn a_record_that_cannot_be_used_counts_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reference.json");
    let load = |vault| Reference::load(&RealFs, &path, vault).unwrap();
    assert_eq!(load(vault()), None);
    let mut record = Reference::new(vault(), NOW, None);
    record.losses.insert(VaultPath::new("a/b").unwrap(), loss(7));
    record.save(&RealFs, &path).unwrap();
    assert_eq!(load(vault()), Some(record.clone()));
    assert_eq!(load(VaultId::from_bytes([2; 16])), None, "of another vault");
    let text = std::fs::read_to_string(&path).unwrap();
    for bad in ["", "{}", "[", &text.replace("\"format\":1", "\"format\":2"), &text.replace("1", "x")] {
        std::fs::write(&path, bad).unwrap();
        assert_eq!(load(vault()), None, "{bad}");
    }
}
