use super::*;

#[test]
fn strings_are_read_as_the_compiler_reads_them() {
    let source = r##"
        //! of the file
        #[error("it {0} is")]
        #[serde(rename = "not told")]
        fn f() { say("a \"b\"\n\u{e9} \
            c"); raw(r#"d "e""#); 'x'; 7; }
        #[cfg(test)]
        mod tests { fn g() { say("of a test") } }
        fn h() { say("after") }
    "##;
    let mut found = Vec::new();
    read(source.parse().unwrap(), &mut |text| found.push(text));
    assert_eq!(found, ["it {0} is", "a \"b\"\n\u{e9} c", "d \"e\"", "after"]);
}
