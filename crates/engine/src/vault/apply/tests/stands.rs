//! The outcome of a recovery for every state that a crash and a user can leave one file in.

use super::*;

const REPLACE: &[Case] = &[Case { lost: false, moves: &[("t/a", Some("old"), Some("new"))] }];
const CREATE: &[Case] = &[Case { lost: false, moves: &[("t/a", None, Some("new"))] }];
const DELETE: &[Case] = &[Case { lost: false, moves: &[("t/a", Some("old"), None)] }];

/// The contents of a place: the old file, the new one, an edit, nothing.
const PLACES: [char; 4] = ['o', 'n', 'e', '-'];

fn text(place: char) -> Option<&'static str> {
    match place {
        'o' => Some("old"),
        'n' => Some("new"),
        'e' => Some("an edit"),
        _ => None,
    }
}

fn set(path: &std::path::Path, place: char) {
    let _ = std_fs::remove_file(path);
    if let Some(text) = text(place) {
        std_fs::create_dir_all(path.parent().unwrap()).unwrap();
        std_fs::write(path, text).unwrap();
    }
}

/// The visible file after the recovery, in upper case if the item counts as in place. `state` tells
/// the visible, the staged and the trashed file, and has an `a` if our own program noted that it
/// would empty the place.
fn recovered(cases: &'static [Case], state: [char; 4], finish: bool) -> char {
    let mut vault = Vault::new(cases);
    vault.finish = finish;
    let (layout, root) = (vault.layout(), vault.root().to_owned());
    split(vault.plan(), &Mounts::none()).0.write(&RealFs, &layout).unwrap();
    let [visible, staged, aside, away] = state;
    set(&root.join("t/a"), visible);
    let stage = layout.staging_of(&Vault::id());
    set(&stage.join("0"), staged);
    set(&layout.trash_files(&Vault::id()).join("t/a"), aside);
    if away == 'a' {
        std_fs::create_dir(stage.join("0.away")).unwrap();
    }
    let applied = recover(&RealFs, &layout, None).unwrap().unwrap().applied;
    conclude(&RealFs, &layout).unwrap();
    let texts = vault.all_texts();
    for lost in [visible, staged, aside].into_iter().filter(|place| ['o', 'e'].contains(place)) {
        assert!(texts.contains(text(lost).unwrap()), "{state:?}: the version {lost} is lost");
    }
    let seen = std_fs::read_to_string(root.join("t/a")).ok();
    let seen = PLACES.into_iter().find(|place| text(*place) == seen.as_deref()).unwrap();
    assert!(visible != 'e' || seen == 'e', "{state:?}: an edit is no longer where it was made, but {seen}");
    match (applied.done.is_empty(), seen) {
        (true, seen) => seen,
        (false, '-') => '_',
        (false, seen) => seen.to_ascii_uppercase(),
    }
}

/// Asserts one row for each content of the trash, with the note if `noted`: the outcomes for every
/// visible (outer) and staged content.
fn table(
    cases: &'static [Case],
    visible: &str,
    staged: &str,
    aside: &str,
    noted: bool,
    finish: bool,
) -> Vec<String> {
    let notes = if noted { vec![' ', 'a'] } else { vec![' '] };
    let mut rows = Vec::new();
    for (aside, away) in aside.chars().flat_map(|aside| notes.iter().map(move |away| (aside, *away))) {
        let of = |visible| -> String {
            staged.chars().map(|staged| recovered(cases, [visible, staged, aside, away], finish)).collect()
        };
        let row: Vec<String> = visible.chars().map(of).collect();
        rows.push(format!("{aside}{away} {}", row.join(" ")));
    }
    rows
}

/// Each row is for one content of the trash, each group for one visible content, each letter for
/// one staged content, in the order `one-`.
#[test]
fn a_replaced_file_goes_forward_or_back_or_stays_by_what_lies_where() {
    let rest = [
        "-a oNoo NNeN Eeee _---",
        "o  oNoo NNeN EeEE _-__",
        "oa oNoo NNeN EeEE _N__",
        // The trash has an edit from before the file was displaced: the apply was about to go back.
        "e  oNoo onee Eeee _---",
        "ea oNoo onee Eeee _e--",
    ];
    // If nothing was moved, it goes forward only if no cycle would plan it again.
    for (finish, unmoved) in [(true, "-  oNoo NNeN Eeee _---"), (false, "-  oooo NneN Eeee _---")] {
        let expected: Vec<&str> = [unmoved].into_iter().chain(rest).collect();
        assert_eq!(table(REPLACE, "one-", "one-", "-oe", true, finish), expected, "finish: {finish}");
    }
}

#[test]
fn a_new_file_is_put_where_nothing_is_and_an_edit_of_it_counts() {
    for (finish, unmoved) in [(true, "-  NNN eEE N--"), (false, "-  nNN eEE ---")] {
        assert_eq!(table(CREATE, "ne-", "ne-", "-", true, finish), [unmoved, "-a NNN eEE N--"]);
    }
}

#[test]
fn a_deleted_file_goes_unless_somebody_has_edited_it() {
    for (finish, unmoved) in [(true, "-  _ e _"), (false, "-  o e -")] {
        assert_eq!(table(DELETE, "oe-", "-", "-oe", false, finish), [unmoved, "o  _ E _", "e  _ e e"]);
    }
}

#[test]
fn a_place_that_somebody_took_during_a_crash_is_not_taken_for_one_that_will_make_way() {
    let vault = Vault::new(CREATE);
    split(vault.plan(), &Mounts::none()).0.write(&RealFs, &vault.layout()).unwrap();
    set(&vault.root().join("t/a"), 'e');
    let applied = recover(&RealFs, &vault.layout(), None).unwrap().unwrap().applied;
    assert_eq!(applied.retry[0].1, "t/a changed before it could be replaced");
}
