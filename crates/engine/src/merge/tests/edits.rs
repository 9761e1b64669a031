//! Changes of single memories, written out and read again.

use super::*;

/// A change: the memory `{"id":"<id>","t":<value>}` with its vector, or its deletion.
fn put(id: &str, value: &str, vector: Option<f64>) -> Edit {
    let entry = format!("{{\"id\":\"{id}\",\"t\":{value}}}");
    let vector = vector.map(|number| Vector::Numbers(vec![number; 2]));
    Edit { id: Id::text(id), put: Some(Put { entry, vector }) }
}

fn delete(id: &str) -> Edit {
    Edit { id: Id::text(id), put: None }
}

fn names() -> Names {
    let rows = [(Kind::Matrix, "nodes.npy"), (Kind::Index, "nodes.index")];
    let rows = rows.map(|(kind, name)| (kind, name.to_owned())).to_vec();
    Names { key: "nodes".to_owned(), rows, rules: Rules::default(), seen: BTreeMap::new() }
}

/// Result of a change: the vault, and its index if that was written.
type Result_ = (Vault, Option<Vec<u8>>);

/// Changes a vault, with the index beside it if there is one.
fn edited(
    vault: Option<&Vault>,
    index: Option<&[u8]>,
    expected: &[Expectation],
    edits: &[Edit],
) -> Result<Result_, Unedited> {
    let bytes = |bytes: &[u8]| Bytes(bytes.to_vec());
    let files = [
        vault.map(|vault| bytes(vault.corpus.as_bytes())),
        vault.map(|vault| bytes(&vault.matrix)),
        index.map(bytes),
    ];
    let [corpus, matrix, flat] = files.each_ref().map(|one| one.as_ref().map(file));
    let editable = Editable::read(names(), Stood { corpus, rows: vec![matrix, flat] })?;
    let mut editing = editable.editing()?;
    let step = editing.look(expected, edits)?;
    let touched = step.touched;
    editing.take(step);
    let edited = editing.finish()?;
    assert!(touched.corpus || !edited.changes_corpus());
    assert!(touched.rows || !(edited.changes_rows(0) || edited.changes_rows(1)));
    let mut out = [Vec::new(), Vec::new(), Vec::new()];
    edited.write_corpus(&mut out[0]).unwrap();
    (0..2).for_each(|at| edited.write_rows(at, &mut out[at + 1]).unwrap());
    let [corpus, matrix, flat] = out;
    let corpus = String::from_utf8(corpus).unwrap();
    if let Some(vault) = vault {
        assert_eq!(edited.changes_corpus(), corpus != vault.corpus);
        assert_eq!(edited.changes_rows(0), matrix != vault.matrix);
    }
    Ok((Vault { corpus, matrix }, edited.changes_rows(1).then_some(flat)))
}

fn told(vault: &Vault, edits: &[Edit]) -> (String, Vec<f32>) {
    let (result, _) = edited(Some(vault), None, &[], edits).unwrap();
    let rows = numbers(&result);
    (result.corpus, rows)
}

#[test]
fn a_change_leaves_everything_else_byte_for_byte() {
    let before = vault(
        "{ \"count\": 3,\n \"nodes\": [\n\t{\"id\": \"a\", \"t\": 1.50},\n\t{\"id\":\"b\",\"t\":2},\n\t{\"id\":\"c\",\"t\":3}\n]}\n",
        &[1.0, 2.0, 3.0],
    );
    let edits = [put("d", "4", Some(4.0)), delete("b"), put("c", "9", None), delete("nobody")];
    let expected = "{ \"count\": 3,\n \"nodes\": [\n\t{\"id\": \"a\", \"t\": 1.50},\n\t{\"id\":\"c\",\"t\":9},\n\t{\"id\":\"d\",\"t\":4}\n]}\n";
    assert_eq!(told(&before, &edits), (expected.to_owned(), vec![1.0, 3.0, 4.0]));
    let (text, _) = told(&before, &[put("d", "4", Some(4.0))]);
    assert!(text.starts_with("{ \"count\": 4,"), "{text}");
    // The same again, however it is spelled, is no change.
    let same = Edit {
        put: Some(Put { entry: r#"{"t":1.5,"id":"a"}"#.to_owned(), vector: None }),
        ..put("a", "0", None)
    };
    assert_eq!(told(&before, &[same]).0, before.corpus);
    let (text, rows) = told(&before, &[put("a", "1.5", Some(7.0))]);
    assert_eq!((text, rows), (before.corpus, vec![7.0, 2.0, 3.0]), "a new vector alone");
}

#[test]
fn the_first_memories_begin_the_files() {
    let edits = [put("a", "1", Some(1.0)), put("b", "2", Some(2.0))];
    let (begun, _) = edited(None, None, &[], &edits).unwrap();
    assert_eq!(begun.corpus, "[\n  {\"id\":\"a\",\"t\":1},\n  {\"id\":\"b\",\"t\":2}\n]");
    assert_eq!(numbers(&begun), [1.0, 2.0]);
    let (bare, _) = edited(None, None, &[], &[put("a", "1", None)]).unwrap();
    assert!(bare.matrix.is_empty(), "without a vector no array is made");
    for (list, begun) in
        [("{\"nodes\": []}", "{\"nodes\": [\n  "), ("{\"nodes\":{}}", "{\"nodes\":{\n  \"a\": ")]
    {
        let (text, rows) = told(&vault(list, &[]), &edits[..1]);
        assert!(text.starts_with(begun) && rows == [1.0], "{text}");
    }
    let all_gone = told(&vault(r#"[{"id":"a","t":1}]"#, &[1.0]), &[delete("a")]);
    assert_eq!(all_gone, ("[]".to_owned(), vec![]));
}

#[test]
fn an_index_with_the_same_rows_follows_and_another_one_is_left() {
    let before = vault(r#"[{"id":"a","t":1},{"id":"b","t":2}]"#, &[1.0, 2.0]);
    let edits = [delete("a"), put("c", "3", Some(3.0))];
    let flat = indexes::index;
    let follow = |index: Vec<u8>, edits: &[Edit]| edited(Some(&before), Some(&index), &[], edits).unwrap().1;
    assert_eq!(follow(flat(&[1.0, 2.0], None), &edits), Some(flat(&[2.0, 3.0], None)));
    let numbered = flat(&[1.0, 2.0], Some(&[0, 1]));
    assert_eq!(follow(numbered, &edits), Some(flat(&[2.0, 3.0], Some(&[0, 1]))));
    let own = flat(&[1.0, 2.0], Some(&[7, 8]));
    assert_eq!(follow(own.clone(), &edits[..1]), Some(flat(&[2.0], Some(&[8]))));
    assert_eq!(follow(own, &edits), None, "nobody knows the id of a new row");
    assert_eq!(follow(flat(&[0.5, 2.0], None), &edits), None, "normalised");
    assert_eq!(follow(flat(&[1.0], None), &edits), None, "stale");
}

#[test]
fn what_was_expected_is_compared_by_what_it_says() {
    let before = vault(r#"[{"id":"a","t": 1.0, "u":"x"},{"id":7,"t":2}]"#, &[1.0, 2.0]);
    let bytes = Bytes(before.corpus.clone().into_bytes());
    let ids = [Id::text("a"), Id::read("7").unwrap()];
    let found = find(&names(), file(&bytes), None, &ids.clone().into()).unwrap();
    let [a, seven] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((seven.id.told(), seven.entry.as_str()), ("7", r#"{"id":7,"t":2}"#));
    let expect = |id: &Id, field: Option<&str>, digest| Expectation {
        id: id.clone(),
        field: field.map(ToOwned::to_owned),
        digest,
    };
    let asked = |expected: Expectation| edited(Some(&before), None, &[expected], &[put("n", "1", Some(1.0))]);
    let (one, other, nobody) = (&ids[0], &ids[1], Id::text("7"));
    for good in [
        expect(one, None, Some(a.digest)),
        expect(one, Some("t"), Some(a.fields["t"])),
        expect(other, Some("none"), None),
        expect(&nobody, None, None),
        expect(&nobody, Some("t"), None),
    ] {
        asked(good).unwrap();
    }
    for (wrong, now) in [
        (expect(one, Some("t"), Some(seven.fields["t"])), Some("1.0")),
        (expect(one, Some("u"), None), Some("\"x\"")),
        (expect(one, None, None), Some(r#"{"id":"a","t": 1.0, "u":"x"}"#)),
        (expect(&nobody, None, Some(a.digest)), None),
    ] {
        let refused = asked(wrong).unwrap_err();
        let Unedited::Changed { current, .. } = refused else { panic!("{refused}") };
        assert_eq!(current.as_deref(), now);
    }
}

#[test]
fn a_change_that_makes_no_sense_is_refused_by_name() {
    let before = vault(r#"[{"id":"a","t":1}]"#, &[1.0]);
    let with = |vector| Edit { id: Id::text("n"), put: Some(Put { entry: r#"{"id":"n"}"#.into(), vector }) };
    let entry = |text: &str| Edit { id: Id::text("n"), put: Some(Put { entry: text.into(), vector: None }) };
    for (edits, words) in [
        (vec![with(None)], "it is new and needs a vector"),
        (vec![with(Some(Vector::Numbers(vec![1.0])))], "its vector has 1 elements, and the others 2"),
        (vec![with(Some(Vector::Bytes(vec![0; 7])))], "and the others 2"),
        (vec![with(Some(Vector::Numbers(vec![1.0, 1e300])))], "element 1 of its vector is no finite number"),
        (vec![with(Some(Vector::Bytes(f64::NAN.to_le_bytes().to_vec())))], "no finite number"),
        (vec![entry("[]")], "it is no object"),
        (vec![entry(r#"{"id":"m"}"#)], "its member `id` is another one"),
        (vec![entry(r#"{"id":"n","t":1,"t":2}"#)], "two members named \"t\""),
        (vec![entry("{")], "EOF"),
        (vec![delete("a"), delete("a")], "it is changed twice"),
    ] {
        let why = edited(Some(&before), None, &[], &edits).unwrap_err().to_string();
        assert!(why.contains(words) && why.contains("memory \""), "{words}: {why}");
    }
    let lone = Vault { matrix: matrix("<f4", 2, &[1.0, 2.0]), ..before };
    let why = edited(Some(&lone), None, &[], &[delete("a")]).unwrap_err().to_string();
    assert!(why.contains("2 rows for 1 memories"), "{why}");
}

/// Its group names no array, so nothing could hold the vector.
#[test]
fn a_vector_is_not_dropped_where_no_array_is() {
    let bare = || Names { rows: Vec::new(), ..names() };
    let editable = Editable::read(bare(), Stood { corpus: None, rows: Vec::new() }).unwrap();
    let editing = editable.editing().unwrap();
    let refused = editing.look(&[], &[put("a", "1", Some(1.0))]).err().unwrap().to_string();
    assert!(refused.contains("it has a vector"), "{refused}");
    assert!(editing.look(&[], &[put("a", "1", None)]).is_ok());
}

/// A field that counts the memories keeps a corpus from being merged, and from nothing else.
#[test]
fn memories_are_read_and_put_although_a_field_counts_them_from_0() {
    let numbered = |ids: &[i64]| {
        let entries: Vec<String> = ids.iter().map(|id| format!("{{\"id\":{id},\"t\":5}}")).collect();
        format!("[{}]", entries.join(","))
    };
    let with_id = |id: i64, vector: Option<f32>| {
        let put = vector.map(|vector| Put {
            entry: format!("{{\"id\":{id},\"t\":5}}"),
            vector: Some(Vector::Numbers(vec![f64::from(vector); 2])),
        });
        Edit { id: id.into(), put }
    };
    let before = vault(&numbered(&[0, 1]), &[1.0, 2.0]);
    let bytes = Bytes(before.corpus.clone().into_bytes());
    assert_eq!(find(&names(), file(&bytes), None, &[Id::from(1)].into()).unwrap().len(), 1);
    let after = told(&before, &[with_id(2, Some(3.0))]);
    assert_eq!(after, (numbered(&[0, 1, 2]), vec![1.0, 2.0, 3.0]));
    assert_eq!(told(&before, &[with_id(0, None)]), (numbered(&[1]), vec![2.0]));
    let turns = vault(r#"[{"id":"a","turn":0},{"id":"b","turn":1}]"#, &[1.0, 2.0]);
    assert_eq!(told(&turns, &[put("a", "9", None)]).1, [1.0, 2.0]);
    assert_eq!(told(&turns, &[delete("b")]).1, [1.0], "the last one is nobody's neighbour");
    // Nor is it the last one any more where another was added.
    for edits in [vec![delete("a")], vec![put("c", "2", Some(3.0)), delete("b")]] {
        let why = edited(Some(&turns), None, &[], &edits).unwrap_err().to_string();
        assert!(why.contains("the field \"turn\" is the row number"), "{why}");
    }
    essences(&names(), file(&bytes)).unwrap_err();
}

#[test]
fn in_a_map_a_put_that_says_what_stands_there_changes_nothing() {
    let same = Edit {
        put: Some(Put { entry: r#"{"t":1, "id":"a"}"#.to_owned(), vector: None }),
        ..put("a", "0", None)
    };
    for before in [r#"{"a": {"id":"a","t":1.0}}"#, r#"{"nodes": {"a": {"t": 1}}}"#] {
        let before = vault(before, &[1.0]);
        assert_eq!(told(&before, std::slice::from_ref(&same)).0, before.corpus);
    }
    let other = vault(r#"{"a": {"id":"x","t":1}}"#, &[1.0]);
    assert_eq!(told(&other, &[same]).0, r#"{"a": {"t":1, "id":"a"}}"#);
}
