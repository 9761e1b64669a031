use super::*;

fn object(text: &str) -> Object {
    Object::read(text.to_owned()).unwrap().unwrap()
}

fn taken(base: &str, here: &str, there: &str, vectors: Vectors) -> (String, bool, Vec<String>) {
    taken_by(merge, base, here, there, vectors)
}

type Rule = fn(&Object, &Object, &Object, Vectors, Apart<'_>) -> Taken;

fn taken_by(
    rule: Rule,
    base: &str,
    here: &str,
    there: &str,
    vectors: Vectors,
) -> (String, bool, Vec<String>) {
    let (here, there) = (object(here), object(there));
    let quiet = BTreeSet::from(["q".to_owned()]);
    let no_embed = BTreeSet::from(["n".to_owned(), "m".to_owned()]);
    let apart = Apart { same: &[], quiet: &quiet, no_embed: &no_embed };
    let taken = rule(&object(base), &here, &there, vectors, apart);
    (there.with(&here, &taken.fields), taken.vector, taken.lost.into_iter().collect())
}

#[test]
fn fields_that_only_one_side_changed_are_both_in_the_text_of_the_one_that_stands() {
    let (base, none) = (r#"{"a":1,"b":2,"c":3}"#, Vectors::default());
    for (here, there, merged) in [
        (r#"{"a":9,"b":2,"c":3}"#, r#"{ "a" : 1, "b":8, "c":3 }"#, r#"{ "a" : 9, "b":8, "c":3 }"#),
        (r#"{"b":2,"c":3}"#, r#"{ "a":1, "b":8, "c":3 }"#, r#"{ "b":8, "c":3 }"#),
        (r#"{"a":1,"b":2,"c":3,"d":[4]}"#, r#"{"a":1, "b":8}"#, r#"{"a":1, "b":8, "d":[4]}"#),
        (r#"{"a":1.0,"b":2,"c":3}"#, r#"{"a":1,"b":8,"c":3}"#, r#"{"a":1,"b":8,"c":3}"#),
        (r#"{}"#, r#"{"a":1,"b":2,"c":3,"x":0}"#, r#"{"x":0}"#),
        (r#"{"c":3,"d":1,"e":2}"#, r#"{}"#, r#"{"d":1, "e":2}"#),
    ] {
        assert_eq!(taken(base, here, there, none), (merged.to_owned(), false, vec![]), "{here} {there}");
    }
}

#[test]
fn the_same_field_on_both_sides_is_that_of_the_one_that_stands() {
    let (base, there) = (r#"{"a":1,"b":2}"#, r#"{"a":8,"b":2}"#);
    let found = taken(base, r#"{"a":9,"b":7}"#, there, Vectors::default());
    assert_eq!(found, (r#"{"a":8,"b":7}"#.to_owned(), false, vec!["a".to_owned()]));
    let found = taken(base, r#"{"b":2}"#, there, Vectors::default());
    assert_eq!(found, (there.to_owned(), false, vec!["a".to_owned()]), "deleted here, changed there");
}

#[test]
fn a_vector_is_one_with_the_fields_that_its_side_changed() {
    let (base, there) = (r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1,"b":2,"c":7}"#);
    let both = r#"{"a":9,"b":9,"c":3}"#;
    let with = |here, there, differ| Vectors { here, there, differ };
    let (text, vector, lost) = taken(base, both, there, with(true, false, true));
    assert_eq!((text.as_str(), vector, lost.len()), (r#"{"a":9,"b":9,"c":7}"#, true, 0));
    let (text, vector, lost) = taken(base, r#"{"a":9,"b":2,"c":9}"#, there, with(true, false, true));
    assert_eq!((text.as_str(), vector, lost.len()), (there, false, 2), "one of its fields clashes");
    let (text, vector, lost) = taken(base, both, there, with(true, true, true));
    assert_eq!((text.as_str(), vector, lost.len()), (there, false, 2), "the vectors clash");
    let (text, vector, lost) = taken(base, both, there, with(false, true, true));
    assert_eq!((text.as_str(), vector, lost.len()), (r#"{"a":9,"b":9,"c":7}"#, false, 0));
    let (text, vector, lost) = taken(base, both, there, with(true, true, false));
    assert_eq!((text.as_str(), vector, lost.len()), (r#"{"a":9,"b":9,"c":7}"#, false, 0));
}

#[test]
fn a_quiet_field_never_clashes() {
    let (base, there) = (r#"{"a":1,"q":1}"#, r#"{"a":1,"q":3}"#);
    let with = |here, there| Vectors { here, there, differ: true };
    for (here, vectors, merged) in [
        // Both changed it: the one there.
        (r#"{"a":2,"q":2}"#, Vectors::default(), r#"{"a":2,"q":3}"#),
        (r#"{"a":2}"#, Vectors::default(), r#"{"a":2,"q":3}"#),
        (r#"{"a":2,"q":2}"#, with(true, false), r#"{"a":2,"q":3}"#),
        // The vectors clash, and nothing else was changed here.
        (r#"{"a":1,"q":2}"#, with(true, true), there),
    ] {
        let (text, vector, lost) = taken(base, here, there, vectors);
        assert_eq!((text.as_str(), vector, lost.len()), (merged, vectors.here && !vectors.there, 0));
    }
    // Only here it was changed.
    let (text, _, lost) = taken(base, r#"{"a":1,"q":2}"#, r#"{"a":4,"q":1}"#, Vectors::default());
    assert_eq!((text.as_str(), lost.len()), (r#"{"a":4,"q":2}"#, 0));
    let clash = taken(base, r#"{"a":2,"q":2}"#, r#"{"a":4,"q":1}"#, with(true, false));
    assert_eq!(clash, (r#"{"a":4,"q":1}"#.to_owned(), false, vec!["a".to_owned()]));
}

#[test]
fn a_field_that_no_vector_is_computed_from_is_one_by_itself() {
    let (base, there) = (r#"{"a":1,"n":2,"m":3}"#, r#"{"a":1,"n":7,"m":3}"#);
    let of_here = Vectors { here: true, there: false, differ: true };
    // A clash of it takes nothing along.
    let found = taken(base, r#"{"a":9,"n":8,"m":9}"#, there, of_here);
    assert_eq!(found, (r#"{"a":9,"n":7,"m":9}"#.to_owned(), true, vec!["n".to_owned()]));
    // Nor is it taken along.
    let both = Vectors { there: true, ..of_here };
    let found = taken(base, r#"{"a":9,"n":2,"m":9}"#, there, both);
    assert_eq!(found, (r#"{"a":1,"n":7,"m":9}"#.to_owned(), false, vec!["a".to_owned()]));
}

#[test]
fn the_side_here_stands_where_it_ranks_higher_and_the_other_one_keeps_what_does_not_clash() {
    let base = r#"{"a":1,"b":2,"c":3,"q":0}"#;
    let higher = |here, there, vectors| taken_by(merge_as_higher, base, here, there, vectors);
    let lost = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let found = higher(r#"{"a":9,"b":2,"c":3,"q":1}"#, r#"{"a":7,"b":7,"c":3,"q":2}"#, Vectors::default());
    assert_eq!(found, (r#"{"a":9,"b":7,"c":3,"q":2}"#.to_owned(), false, lost(&["a"])));
    // A vector there goes with all fields that it may have been computed from.
    let there = Vectors { here: false, there: true, differ: true };
    let found = higher(r#"{"a":9,"b":2,"c":3,"q":0}"#, r#"{"a":7,"b":7,"c":3,"q":0}"#, there);
    assert_eq!(found, (r#"{"a":9,"b":2,"c":3,"q":0}"#.to_owned(), true, lost(&["a", "b"])));
    // The vector here stands with its fields.
    let here = Vectors { here: true, there: false, differ: true };
    let found = higher(r#"{"a":9,"b":9,"c":3,"q":0}"#, r#"{"a":7,"b":2,"c":7,"q":0}"#, here);
    assert_eq!(found, (r#"{"a":9,"b":9,"c":7,"q":0}"#.to_owned(), true, lost(&["a"])));
}
