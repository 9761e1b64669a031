use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::vault::validate::tests::Bytes;

type Merger = fn(Option<&File<'_>>, &File<'_>, &File<'_>, &mut dyn Write) -> Result<(), Unmerged>;

fn merged(merge: Merger, base: Option<&str>, here: &str, there: &str) -> Result<String, Unmerged> {
    let held = [base.unwrap_or_default(), here, there].map(|text| Bytes(text.as_bytes().to_vec()));
    let [base_file, here, there] =
        [&held[0], &held[1], &held[2]].map(|bytes| File { file: bytes, len: bytes.0.len() as u64 });
    let mut out = Vec::new();
    merge(base.is_some().then_some(&base_file), &here, &there, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn appended(base: Option<&str>, here: &str, there: &str) -> Result<String, Unmerged> {
    merged(append, base, here, there)
}

fn wove(base: &str, here: &str, there: &str) -> Result<String, Unmerged> {
    merged(weave, Some(base), here, there)
}

#[test]
fn a_log_gets_the_lines_there_and_then_those_here() {
    assert_eq!(appended(Some("a\n"), "a\nh\n", "a\nt\n").unwrap(), "a\nt\nh\n");
    assert_eq!(appended(None, "h\n", "t\n").unwrap(), "t\nh\n", "both began it");
    assert_eq!(appended(None, "h", "t").unwrap(), "t\nh", "no two lines become one");
    assert_eq!(appended(Some("a"), "a\nh", "a\nt").unwrap(), "a\nt\nh", "the end of a line comes first");
    assert_eq!(appended(Some("a\n"), "a\n", "a\nt\n").unwrap(), "a\nt\n");
}

#[test]
fn a_log_that_was_changed_before_its_end_is_not_merged() {
    for (here, there, version) in [
        ("b\nh\n", "a\nt\n", Version::Here),
        ("a\nh\n", "", Version::There),
        ("a\nh\n", "t\n", Version::There),
    ] {
        let error = appended(Some("a\n"), here, there).unwrap_err();
        assert!(matches!(error, Unmerged::NotAppended { version: told } if told == version), "{error}");
    }
    // A line that went on is another line.
    assert!(appended(Some("a"), "ab\n", "a\nt\n").is_err());
}

#[test]
fn a_text_gets_the_changes_of_both_sides() {
    let base = "one\ntwo\nthree\nfour\nfive\n";
    let here = "one\n2\nthree\nfour\nfive\n";
    let there = "one\ntwo\nthree\nfour\n5\nsix\n";
    assert_eq!(wove(base, here, there).unwrap(), "one\n2\nthree\nfour\n5\nsix\n");
    assert_eq!(wove(base, here, here).unwrap(), here, "the same change counts once");
    assert_eq!(wove(base, "two\nthree\nfour\nfive\n", there).unwrap(), "two\nthree\nfour\n5\nsix\n");
}

#[test]
fn what_touches_is_not_guessed() {
    for (here, there) in [
        ("one\n2\nthree\n", "one\nTWO\nthree\n"),
        // The line beside it: together they may say what neither did.
        ("one\n2\nthree\n", "one\ntwo\n3\n"),
        // Two additions at one place have no order.
        ("one\ntwo\nthree\nh\n", "one\ntwo\nthree\nt\n"),
        ("", "one\ntwo\n3\n"),
    ] {
        let error = wove("one\ntwo\nthree\n", here, there).unwrap_err();
        assert!(matches!(error, Unmerged::SameLines { .. }), "{here:?} {there:?}: {error}");
    }
    assert!(merged(weave, None, "h\n", "t\n").is_err(), "both began it");
    assert!(matches!(wove("a\n", "a\0\n", "b\n"), Err(Unmerged::NoText { version: Version::Here })));
}

#[test]
fn a_text_of_very_many_lines_is_not_merged() {
    let many = "\n".repeat(MAX_LINES + 1);
    assert!(matches!(wove("a\n", "b\n", &many), Err(Unmerged::LongText { version: Version::There, .. })));
    let most = "\n".repeat(MAX_LINES);
    assert_eq!(wove(&most, &most, &format!("a{most}")).unwrap(), format!("a{most}"));
}

fn text() -> impl Strategy<Value = Vec<String>> {
    vec("[a-c]{1}", 0..12)
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Some lines of a text replaced, removed or added to.
fn edited() -> impl Strategy<Value = Vec<(usize, Option<String>)>> {
    vec((0..12_usize, proptest::option::of("[x-z]{1,2}")), 0..4)
}

fn edit(lines: &[String], edits: &[(usize, Option<String>)]) -> String {
    let mut lines = lines.to_vec();
    for (at, line) in edits {
        match line {
            Some(line) if *at >= lines.len() => lines.push(line.clone()),
            Some(line) => lines[*at] = line.clone(),
            None if *at < lines.len() => drop(lines.remove(*at)),
            None => {}
        }
    }
    joined(&lines)
}

proptest! {
    #[test]
    fn a_side_that_changed_nothing_changes_nothing(base in text(), edits in edited()) {
        let (base, side) = (joined(&base), edit(&base, &edits));
        prop_assert_eq!(wove(&base, &side, &base).unwrap(), side.clone());
        prop_assert_eq!(wove(&base, &base, &side).unwrap(), side.clone());
        prop_assert_eq!(wove(&base, &side, &side).unwrap(), side);
    }

    #[test]
    fn a_weave_has_no_sides(base in text(), here in edited(), there in edited()) {
        let (here, there, base) = (edit(&base, &here), edit(&base, &there), joined(&base));
        let woven = [wove(&base, &here, &there), wove(&base, &there, &here)];
        match woven {
            [Ok(one), Ok(other)] => prop_assert_eq!(one, other),
            [Err(_), Err(_)] => {}
            [one, other] => prop_assert!(false, "{:?} {:?}", one, other),
        }
    }

    #[test]
    fn what_one_side_changed_at_the_top_and_the_other_at_the_end_is_all_there(
        top in vec("[x-z]{1,2}", 0..3),
        middle in vec("[a-c]{1}", 1..12),
        end in vec("[x-z]{1,2}", 0..3),
    ) {
        let (top, middle, end) = (joined(&top), joined(&middle), joined(&end));
        let woven = wove(&middle, &format!("{top}{middle}"), &format!("{middle}{end}")).unwrap();
        prop_assert_eq!(woven, format!("{top}{middle}{end}"));
    }

    #[test]
    fn no_line_of_a_log_is_lost_and_what_both_added_comes_once(
        base in text(), here in text(), there in text(),
    ) {
        let mut known = there.clone();
        let ours: Vec<String> = here.iter().filter(|line| {
            let at = known.iter().position(|known| known == *line);
            at.map(|at| known.swap_remove(at)).is_none()
        }).cloned().collect();
        let [base, here, there] = [base, here, there].map(|lines| joined(&lines));
        let (here, there) = (format!("{base}{here}"), format!("{base}{there}"));
        let log = appended(Some(&base), &here, &there).unwrap();
        prop_assert_eq!(&log, &format!("{there}{}", joined(&ours)));
        prop_assert_eq!(&appended(Some(&base), &here, &log).unwrap(), &log, "merged again");
        prop_assert_eq!(&appended(Some(&base), &there, &log).unwrap(), &log, "merged again");
    }
}
