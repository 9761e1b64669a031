//! Clashes in which the side here ranks higher.

use super::*;

fn ranked() -> Names {
    let rank = Rank { field: "source".to_owned(), order: vec!["user".to_owned(), "agent".to_owned()] };
    Names { rules: Rules { rank: Some(rank), ..Rules::default() }, ..names() }
}

/// A vault of one memory, with `source` as it is spelled in JSON.
fn one(text: &str, tag: u8, source: &str, vector: f32) -> Vault {
    vault(&format!(r#"{{"nodes":[{{"id":"a","text":"{text}","tag":{tag}{source}}}]}}"#), &[vector])
}

#[test]
fn the_higher_rank_stands_whichever_side_it_is_on_and_the_other_entry_is_kept() {
    let base = one("old", 1, "", 1.0);
    let (user, agent) = (r#","source":"user""#, r#","source":"agent""#);
    // Ranks here and there; an equal one, an unknown one and none leave the version that stands.
    let cases = [
        (user, agent, true),
        (user, "", true),
        (agent, user, false),
        (agent, agent, false),
        ("", agent, false),
        (r#","source":"cloud""#, "", false),
        (r#","source":["user"]"#, agent, false),
    ];
    for (ours, theirs, here_wins) in cases {
        let (here, there) = (one("ours", 1, ours, 2.0), one("theirs", 9, theirs, 3.0));
        let told = merge_by(&ranked(), [Some(&base), Some(&here), Some(&there)], |merged| {
            let (mut corpus, mut rows, mut lost) = (Vec::new(), Vec::new(), Vec::new());
            merged.write_corpus(&mut corpus).unwrap();
            merged.write_rows(0, &mut rows).unwrap();
            let loser = if here_wins { Version::There } else { Version::Here };
            let other = if here_wins { Version::Here } else { Version::There };
            assert!(merged.loses(loser) && !merged.loses(other), "{ours} {theirs}");
            merged.write_lost(loser, &mut lost).unwrap();
            for clash in merged.clashes() {
                let ranks = clash.ranks.as_ref().unwrap();
                assert_eq!(ranks.here_wins, here_wins, "{ours} {theirs}");
                assert_eq!(ranks.here.as_deref() == Some("user"), ours == user);
            }
            [corpus, rows, lost].map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        });
        let [corpus, rows, lost] = told.unwrap();
        let (stands, loses, vector) =
            if here_wins { ("ours", "theirs", 2.0) } else { ("theirs", "ours", 3.0) };
        assert!(corpus.contains(stands) && !corpus.contains(loses), "{corpus}");
        assert!(lost.contains(loses) && !lost.contains(stands), "{lost}");
        let expected = matrix("<f4", 2, &[vector]);
        assert_eq!(rows, String::from_utf8_lossy(&expected), "{ours} {theirs}");
    }
}

#[test]
fn a_rank_decides_about_fields_and_about_no_deletion_nor_a_memory_that_both_added() {
    let base = vault(r#"{"nodes":[{"id":"a","t":1},{"id":"b"}]}"#, &[1.0, 2.0]);
    let here = vault(
        r#"{"nodes":[{"id":"a","t":2,"source":"user"},{"id":"b"},{"id":"c","t":1,"source":"user"}]}"#,
        &[1.0, 2.0, 3.0],
    );
    let there = vault(r#"{"nodes":[{"id":"b"},{"id":"c","t":2,"source":"agent"}]}"#, &[2.0, 4.0]);
    let told = merge_by(&ranked(), [Some(&base), Some(&here), Some(&there)], |merged| {
        let mut corpus = Vec::new();
        merged.write_corpus(&mut corpus).unwrap();
        assert!(merged.clashes().iter().all(|clash| clash.ranks.is_none()));
        (String::from_utf8(corpus).unwrap(), merged.clashes().len())
    });
    assert_eq!(told.unwrap(), (there.corpus, 2));
}
