use super::*;

#[test]
fn paths_are_completed_up_to_the_next_slash() {
    let names = ["corpus/nodes.json", "traces/1/a.json", "traces/1/b.json", "traces/2.json"];
    let of = |typed| segments(names.into_iter(), typed).collect::<Vec<_>>();
    assert_eq!(of(""), ["corpus/", "traces/"]);
    assert_eq!(of("tra"), ["traces/"]);
    assert_eq!(of("traces/"), ["traces/1/", "traces/2.json"]);
    assert_eq!(of("traces/1/a"), ["traces/1/a.json"]);
    assert!(of("vectors").is_empty());
}

#[test]
fn the_typed_words_say_which_vault() {
    let words = ["x", "--", "cogzy-vault", "--vault", "/v", "restore", "--config=/c", "--generation", ""];
    let named = naming(words.into_iter().map(OsString::from));
    assert_eq!(named, ["cogzy-vault", "--vault", "/v", "--config=/c"].map(OsString::from));
    let named = naming(["--vault", ""].into_iter().map(OsString::from));
    assert_eq!(named, [OsString::from("cogzy-vault")]);
}
