use super::*;

fn object(text: &str) -> Object {
    Object::read(text.to_owned()).unwrap().unwrap()
}

fn taken(base: &str, here: &str, there: &str, vectors: Vectors) -> (String, bool, Vec<String>) {
    let (here, there) = (object(here), object(there));
    let quiet = BTreeSet::from(["q".to_owned()]);
    let apart = Apart { same: &[], quiet: &quiet };
    let taken = merge(&object(base), &here, &there, vectors, apart);
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
