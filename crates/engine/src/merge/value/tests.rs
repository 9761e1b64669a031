use super::*;

#[test]
fn values_are_equal_if_they_say_the_same() {
    let same = |one: &str, other: &str| digest(one).unwrap() == digest(other).unwrap();
    for (one, other) in [
        ("1", "1.0"),
        ("100", "1e2"),
        ("0.10", "1E-1"),
        ("0", "-0.000"),
        ("123456789012345678901234567890", "1.2345678901234567890123456789e29"),
        (r#""é""#, r#""\u00e9""#),
        (r#"{"a":1,"b":[2, 3]}"#, r#" { "b" : [2,3.0], "a" : 1 } "#),
    ] {
        assert!(same(one, other), "{one} and {other}");
    }
    for (one, other) in [
        ("1", "\"1\""),
        ("0.1", "0.1000000000000000000001"),
        ("1e999999999999999999999", "1e999999999999999999998"),
        ("[1,2]", "[2,1]"),
        ("null", "false"),
        (r#"{"a":1}"#, r#"{"a":1,"b":null}"#),
        (r#"{"a":{"b":1}}"#, r#"{"a":{"c":1}}"#),
        ("[]", "{}"),
    ] {
        assert!(!same(one, other), "{one} and {other}");
    }
}

#[test]
fn members_are_spans_of_the_text() {
    let text = " {\"a\" : 1 ,\n \"b\\u0063\":{\"x\":[\"}\"]}}";
    let found = members(text).unwrap().unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.name.as_str(), &text[one.text.clone()], &text[one.value.clone()]))
        .collect();
    let second = "\"b\\u0063\":{\"x\":[\"}\"]}";
    assert_eq!(told, [("a", "\"a\" : 1", "1"), ("bc", second, &second[10..])]);
    assert_eq!(members("[1]"), Ok(None));
    assert_eq!(members(r#"{"a":1,"\u0061":2}"#), Err(Unread::Twice("a".to_owned())));
    assert_eq!(digest(r#"[{"ab":1,"ab":2}]"#), Err(Unread::Twice("ab".to_owned())));
    assert!(digest(&format!("{}{}", "[".repeat(70), "]".repeat(70))).is_err());
    assert!(digest(r#""\ud800""#).is_err(), "half a character says nothing");
}
