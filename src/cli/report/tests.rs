use super::*;

#[test]
fn a_long_list_is_its_head_and_a_number() {
    let lines: Vec<String> = (0..40_014).map(|number| number.to_string()).collect();
    let told = |extent| {
        let mut told = Vec::new();
        list(&lines, extent, "`cogzy-vault sync --all`", |line| told.push(line.to_owned()));
        told
    };
    let head = told(Extent::Head);
    assert_eq!(head.len(), SHOWN + 1);
    assert_eq!(head[SHOWN], "and 39,994 more: `cogzy-vault sync --all` lists them");
    assert_eq!(told(Extent::All), lines);
}

#[test]
fn a_message_that_begins_with_its_path_is_told_without_it() {
    let told = ["d: d/a~ stands in its place", "d changed", "d: the disk is full", "d: dull"];
    let messages = ["d: d/a~ stands in its place", "d changed", "the disk is full", "dull"];
    assert_eq!(messages.map(|message| named("d", message)), told);
}
