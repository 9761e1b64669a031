//! The reader must count and refuse exactly what a parser counts and refuses, wherever the blocks
//! of the file end.

use std::fmt;

use proptest::prelude::*;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::count;
use crate::vault::validate::block::Block;
use crate::vault::validate::json::DEPTH;
use crate::vault::validate::tests::Bytes;

fn counted(bytes: &[u8], key: &str, buffer: usize) -> Result<u64, String> {
    let file = Bytes(bytes);
    count(Block::new(&file, bytes.len() as u64).in_blocks_of(buffer), key).map_err(|error| error.to_string())
}

/// Count by serde of a text in memory: of a whole corpus, or of its member.
struct Parsed<'a> {
    key: Option<&'a str>,
}

impl<'de> DeserializeSeed<'de> for Parsed<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<u64, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Parsed<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<u64, A::Error> {
        let mut count = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let (mut count, mut inside) = (0, None);
        while let Some(name) = map.next_key::<String>()? {
            count += 1;
            if self.key == Some(&name) {
                inside = Some(map.next_value_seed(Parsed { key: None })?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(inside.unwrap_or(count))
    }
}

fn parsed(bytes: &[u8], key: &str) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut json = serde_json::Deserializer::from_str(text);
    let count = Parsed { key: Some(key) }.deserialize(&mut json).ok()?;
    json.end().ok().map(|()| count)
}

/// Pieces of a document. A sequence of them is a document, almost one, or none.
fn pieces() -> impl Strategy<Value = Vec<&'static str>> {
    let some = prop::sample::select(vec![
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"nodes\"",
        "\"nodes\":[",
        "\"n\\u006fdes\":{",
        "\"a\":",
        "\"\"",
        "\"\\\"\"",
        "\"é🧠\"",
        "\"\\n\\u00e9\"",
        "\"a text of more than thirty-two bytes, which is passed over at once\"",
        "0",
        "-1",
        "12.50e+3",
        "1e5",
        "-",
        "01",
        "1.",
        "1e",
        "true",
        "false",
        "null",
        "nul",
        "\u{1}",
        "\"\t\"",
        "\"\\x\"",
        " ",
        "\n",
        "\r\t",
        "\"",
    ]);
    prop::collection::vec(some, 0..12)
}

/// Document, as compact or as loose as JSON allows.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter_map("JSON has no infinity", |number| serde_json::Number::from_f64(number)
            .map(|number| number.to_string())),
        ".{0,40}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    let name = prop_oneof![Just("nodes".to_owned()), "[a-z]{0,3}", "\\PC{0,50}"];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let member = (name.clone(), inner.clone())
            .prop_map(|(name, value)| format!("{} : {value}", serde_json::to_string(&name).unwrap()));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|all| format!("{{ {}\n}}", all.join(" ,"))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_are_counted_as_by_a_parser(pieces in pieces(), buffer in 1..40_usize) {
        let text = pieces.concat();
        prop_assert_eq!(counted(text.as_bytes(), "nodes", buffer).ok(), parsed(text.as_bytes(), "nodes"), "{}", text);
    }

    #[test]
    fn documents_are_counted_as_by_a_parser(
        text in document(), buffer in 1..40_usize, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = text.into_bytes();
        let len = bytes.len();
        for (at, byte) in edits {
            bytes[at.index(len)] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(len));
        }
        prop_assert_eq!(counted(&bytes, "nodes", buffer).ok(), parsed(&bytes, "nodes"), "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn errors_name_their_byte_and_line() {
    for (text, says) in [
        ("[1,\n {\"a\" 2}]", "expected `:` at byte 10 (line 2 column 7)"),
        ("[1,]", "expected a value at byte 3 (line 1 column 4)"),
        ("{\"a\": 1,}", "expected a name in quotation marks at byte 8 (line 1 column 9)"),
        ("[1 2]", "expected `,` or `]` at byte 3 (line 1 column 4)"),
        ("[{\"a\": 1 2}]", "expected `,` or `}` at byte 9 (line 1 column 10)"),
        ("[-x]", "expected a digit at byte 2 (line 1 column 3)"),
        ("[\"\\u00g0\"]", "an escape that JSON does not know at byte 6 (line 1 column 7)"),
        ("[\"\n\"]", "a control character in a text, which has to be escaped at byte 2 (line 1 column 3)"),
        ("[]\n\n[]", "trailing characters at byte 4 (line 3 column 1)"),
        (
            "\"nodes\"",
            "expected an array, an object with `nodes`, or a map by id at byte 0 (line 1 column 1)",
        ),
        ("[\"\\u12", "it ends at byte 6, inside of what it says"),
        ("[12", "it ends at byte 3, inside of what it says"),
    ] {
        for buffer in [1, 3, 4096] {
            assert_eq!(counted(text.as_bytes(), "nodes", buffer), Err(says.to_owned()), "{text}");
        }
    }
}

#[test]
fn deep_nesting_is_counted_and_excessive_nesting_is_refused() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert_eq!(counted(&nested(100_000), "nodes", 4096), Ok(1));
    assert_eq!(counted(&nested(DEPTH + 2), "nodes", 4096), Ok(1));
    let refused = counted(&nested(DEPTH + 3), "nodes", 4096).unwrap_err();
    assert_eq!(refused, "nested more than 1048576 times at byte 1048578 (line 1 column 1048579)");
}

#[test]
fn an_escape_for_half_a_character_is_accepted() {
    assert_eq!(counted(b"{\"\\ud83e\": \"\\ud83e\", \"b\": 1}", "nodes", 7), Ok(2));
}
