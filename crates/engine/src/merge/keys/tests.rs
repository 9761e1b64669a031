use super::*;
use crate::vault::validate::tests::Bytes;

fn file(bytes: &Bytes<Vec<u8>>) -> File<'_> {
    File { file: bytes, len: bytes.0.len() as u64 }
}

fn join(base: Option<&str>, here: &str, there: &str) -> Result<String, String> {
    let bytes = |text: &str| Bytes(text.as_bytes().to_vec());
    let (base, here, there) = (base.map(bytes), bytes(here), bytes(there));
    let mut out = Vec::new();
    let joined = join_keys(base.as_ref().map(file).as_ref(), &file(&here), &file(&there), &mut out);
    joined.map(|()| String::from_utf8(out).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn each_key_is_taken_from_the_side_that_changed_it_at_every_depth() {
    let base = r#"{"a": 1, "deep": {"x": 1, "y": 1}, "gone": 1}"#;
    let here = r#"{"a": 2, "deep": {"x": 2, "y": 1, "z": [1.50]}}"#;
    let there = "{\n  \"a\": 1.0,\n  \"deep\": {\"x\": 1, \"y\": 3},\n  \"gone\": 1, \"new\": true\n}\n";
    assert_eq!(
        join(Some(base), here, there).unwrap(),
        "{\n  \"a\": 2,\n  \"deep\": {\"x\": 2, \"y\": 3, \"z\": [1.50]}, \"new\": true\n}\n"
    );
    // One side alone, and what both made the same.
    assert_eq!(join(Some(base), base, there).unwrap(), there);
    assert_eq!(join(Some(base), here, here).unwrap(), here);
    let both = r#"{"a": 9, "deep": {"x": 1, "y": 1}, "gone": 1}"#;
    assert_eq!(join(Some(base), &both.replace('9', "9.0"), both).unwrap(), both);
    // An object that both began.
    assert_eq!(join(None, r#"{"k": {"a": 1}}"#, r#"{"k": {"b": 2}}"#).unwrap(), r#"{"k": {"b": 2, "a": 1}}"#);
}

#[test]
fn what_would_be_a_guess_is_refused_by_its_path() {
    let base = r#"{"a": {"b": 1, "c": [1]}, "d": 1}"#;
    let cases = [
        (r#"{"a": {"b": 2, "c": [1]}, "d": 1}"#, r#"{"a": {"b": 3, "c": [1]}, "d": 1}"#, "changed a.b "),
        (r#"{"a": {"b": 1, "c": [1, 2]}, "d": 1}"#, r#"{"a": {"b": 1, "c": [0]}, "d": 1}"#, "changed a.c "),
        (r#"{"d": 1}"#, r#"{"a": {"b": 3, "c": [1]}, "d": 1}"#, "changed a "),
        (r#"{"a": 1, "d": 1}"#, r#"{"a": {}, "d": 1}"#, "changed a "),
        (r#"[1]"#, r#"{"d": 2}"#, "set aside is no JSON object"),
        (r#"{"d": 1, "d": 2}"#, r#"{"d": 2}"#, "two members named \"d\""),
        ("{", r#"{"d": 2}"#, "cannot be read"),
    ];
    for (here, there, words) in cases {
        let why = join(Some(base), here, there).unwrap_err();
        assert!(why.contains(words), "{here}: {why}");
    }
}
