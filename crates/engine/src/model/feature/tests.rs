use super::*;

#[test]
fn an_announcement_is_read_back_and_nothing_else_is_one() {
    let device = DeviceId::from_bytes([7; 8]);
    let keeps = Keeps { generations: 100, seconds: 2_592_000 };
    for reads in [Reads::ours(), Reads::first()] {
        for keeps in [None, Some(keeps)] {
            let announcement = Announcement { device, reads: reads.clone(), keeps };
            assert_eq!(Announcement::parse(&announcement.name()), Some(announcement));
        }
    }
    for other in ["", "x-2-", "0707070707070707-two-unix-names", "0707070707070707"] {
        assert_eq!(Announcement::parse(other), None, "{other:?} was taken");
    }
}

#[test]
fn names_are_sorted_and_can_stand_in_a_key() {
    let names: Vec<&str> = Feature::ALL.iter().map(|feature| feature.name()).collect();
    assert!(names.is_sorted());
    let legal = |c: char| c.is_ascii_lowercase() || c == '-';
    assert!(names.iter().all(|name| name.chars().all(legal)));
}
