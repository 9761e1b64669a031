use proptest::prelude::*;

use super::*;

#[test]
fn each_sign_has_its_stand_in_and_a_stand_in_is_quoted() {
    for (name, spelled) in [
        ("16:51.json", "16：51.json"),
        (r#"\:*?"<>|"#, "＼：＊？＂＜＞｜"),
        ("literal：.md", "literal‛：.md"),
        ("a.", "a．"),
        ("a..", "a.．"),
        ("a ", "a␠"),
        ("a．", "a‛．"),
        ("a␠", "a‛␠"),
        ("‛:", "‛‛："),
        ("‛：", "‛‛‛："),
        ("...", "..．"),
        ("．", "．"),
        (".．", ".．"),
        ("‛.", "‛．"),
        ("‛．", "‛‛．"),
        (" ", "␠"),
    ] {
        assert_eq!(escape(name), spelled, "{name:?}");
        assert_eq!(unescape(spelled), name, "{spelled:?}");
    }
}

#[test]
fn names_that_need_nothing_are_as_they_are() {
    for name in ["nodes.json", ".hidden", "a.b", "a b", "．a", "␠a", "‛", "‛a‛", "nul", "con.txt", "é Ω"]
    {
        assert!(matches!(escape(name), Cow::Borrowed(text) if text == name), "{name:?}");
        assert!(matches!(unescape(name), Cow::Borrowed(text) if text == name), "{name:?}");
        assert!(!has_signs(name), "{name:?}");
    }
    assert!(has_signs("a:b") && has_signs("a.") && has_signs("a ") && !has_signs("a：b"));
    assert_eq!(unescape("a:b"), "a:b", "a plain sign stands for itself");
}

/// Names of the characters that matter, and of any.
fn names() -> impl Strategy<Value = String> {
    let one = prop_oneof![
        prop::sample::select(r#"\:*?"<>|. "#.chars().collect::<Vec<_>>()),
        prop::sample::select("＼：＊？＂＜＞｜．␠‛‛‛‛".chars().collect::<Vec<_>>()),
        prop::sample::select(vec!['a', 'é', '/']),
        any::<char>(),
    ];
    let text = prop::collection::vec(one, 1..9).prop_map(String::from_iter);
    text.prop_filter("no name", |name| name != "." && name != ".." && !name.contains('/'))
}

proptest! {
    #[test]
    fn every_name_comes_back_from_a_spelling_that_the_disk_holds(name in names()) {
        let spelled = escape(&name);
        prop_assert!(!has_signs(&spelled), "{spelled:?}");
        prop_assert_eq!(unescape(&spelled), Cow::Borrowed(name.as_str()));
    }

    #[test]
    fn every_spelling_that_the_disk_holds_is_that_of_one_name(spelled in names()) {
        prop_assume!(!has_signs(&spelled));
        let name = unescape(&spelled);
        prop_assert!(name != "." && name != "..", "{name:?}");
        prop_assert_eq!(escape(&name), Cow::Borrowed(spelled.as_str()));
    }
}
