//! Documents that are read in blocks of any size.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::*;
use crate::merge::Rules;
use crate::vault::validate::tests::Bytes;

/// Ids and texts of a corpus that is read in blocks of so many bytes, or why there are none.
fn read(text: &str, blocks: usize) -> Result<Vec<(String, String)>, String> {
    let names =
        Names { key: "nodes".to_owned(), rows: Vec::new(), rules: Rules::default(), seen: BTreeMap::new() };
    let file = Bytes(text.as_bytes());
    let block = Block::new(&file, text.len() as u64).in_blocks_of(blocks);
    let document = Document::read(block, &names, Version::Now).map_err(|error| error.to_string())?;
    let entry = |entry: &Entry| (entry.id.told().to_owned(), document.text(&entry.value).unwrap());
    Ok(document.entries.iter().map(entry).collect())
}

#[test]
fn entries_are_the_same_whatever_the_blocks() {
    let long = "a text that is longer than most blocks, with \\\"quotes\\\" and Zoë ".repeat(9);
    let entries = [
        format!(r#"{{"id": "n0", "content": "{long}", "tags": ["id", {{"id": 3}}]}}"#),
        r#"{"i\u0064":7,"weight":-2.5e3}"#.to_owned(),
        format!(r#"{{"x": {{"id": "{long}"}}, "id": "Zoë\n", "": null}}"#),
        r#"{ "id" : "n3" }"#.to_owned(),
    ];
    let ids = ["n0", "7", "Zoë\n", "n3"];
    let wanted: Vec<(String, String)> = ids.map(ToOwned::to_owned).into_iter().zip(entries.clone()).collect();
    let corpus = format!(r#"{{"version": {{"id": 1}}, "nodes": [ {} ], "edges": []}}"#, entries.join(" ,\n"));
    // A reader that others keep finds the same values.
    let list: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&corpus).unwrap();
    let raw: Vec<Box<RawValue>> = serde_json::from_str(list["nodes"].get()).unwrap();
    assert_eq!(raw.iter().map(|raw| raw.get().to_owned()).collect::<Vec<_>>(), entries);
    for blocks in (1..200).chain([1 << 10, 1 << 18]) {
        assert_eq!(read(&corpus, blocks).as_ref(), Ok(&wanted), "blocks of {blocks}");
    }
}

#[test]
fn what_cannot_be_taken_is_said_alike_whatever_the_blocks() {
    let wrong = [
        r#"[{"id": "a", "x": 1, "\u0078": 2}]"#,
        r#"[{"id": "a"}, {"x": 1}]"#,
        r#"[{"id": "a"}, {"id": "\u0061"}]"#,
        r#"{"nodes": [], "nodes": []}"#,
        r#"[{"id": "a"}, {"id": "b"]"#,
        r#"[{"id": "a"}] 1"#,
    ];
    for text in wrong {
        let first = read(text, 1 << 18).unwrap_err();
        for blocks in 1..40 {
            assert_eq!(read(text, blocks).as_ref(), Err(&first), "{text} in blocks of {blocks}");
        }
    }
    // A member that counts them makes no entry unreadable.
    assert_eq!(read(r#"[{"id": "a", "n": 0}, {"id": "b", "n": 1.0}]"#, 5).unwrap().len(), 2);
    // Members beside the list, and before it, are no entries.
    assert_eq!(read(r#"{"x": {"y": 1, "y": 2}, "nodes": [{"id": "a"}]}"#, 7).unwrap().len(), 1);
}
