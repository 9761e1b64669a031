//! The merge of memories beside a small model of it in Python, over random versions.
//!
//! It needs a `python3`, with nothing but its own library. The whole run
//! (`COGZY_TEST_WHOLE=1`) tries 10,000 cases.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cogzy_engine::fs::{Fs, ReadFile, RealFs};
use cogzy_engine::merge::{Clash, File, Names, Rank, Rules, Side, Unmerged, merge};
use cogzy_engine::vault::validate::Kind;
use cogzy_testkit::memories;
use cogzy_testkit::rng::Rng;
use cogzy_testkit::{amount, fresh_folder};
use serde_json::{Map, Value, json};

/// Memories by id, each with its vector.
type Memories = BTreeMap<u8, (Map<String, Value>, u8)>;

/// The values that a field may have: few, so that sides agree and clash.
fn value(rng: &mut Rng) -> Value {
    let values =
        [json!("a"), json!("b"), json!(7), json!(null), json!([1, "x"]), json!({"k": 2.5}), json!(true)];
    rng.pick(&values).clone()
}

fn memory(rng: &mut Rng, id: u8) -> (Map<String, Value>, u8) {
    let mut fields = Map::from_iter([("id".to_owned(), json!(format!("m{id}")))]);
    for name in ["text", "tags", "x\"y", "seen"] {
        if rng.below(3) > 0 {
            fields.insert(name.to_owned(), value(rng));
        }
    }
    if rng.below(2) == 0 {
        fields.insert("source".to_owned(), source(rng));
    }
    (fields, u8::try_from(rng.below(200)).unwrap())
}

/// A rank, or what is none.
fn source(rng: &mut Rng) -> Value {
    rng.pick(&[json!("user"), json!("agent"), json!("cloud"), json!(1)]).clone()
}

/// Ranks and fields that no vector comes from, as the model has them, or none.
fn rules(rng: &mut Rng) -> Option<Rules> {
    let rank = Rank { field: "source".to_owned(), order: vec!["user".to_owned(), "agent".to_owned()] };
    let no_embed = ["tags".to_owned()].into();
    (rng.below(3) > 0).then(|| Rules { rank: Some(rank), no_embed, ..Rules::default() })
}

fn edited(rng: &mut Rng, base: &Memories) -> Memories {
    let mut memories = base.clone();
    for _ in 0..rng.below(8) {
        // Both sides are busy with the same few.
        let most = if rng.below(2) == 0 { 3 } else { 24 };
        let id = u8::try_from(rng.below(most)).unwrap();
        match rng.below(9) {
            0 => drop(memories.remove(&id)),
            1 => drop(memories.insert(id, memory(rng, id))),
            _ => {
                let name = *rng.pick(&["text", "tags", "new", "seen", "source"]);
                let value = if name == "source" { source(rng) } else { value(rng) };
                let vector = u8::try_from(rng.below(200)).unwrap();
                let Some(known) = memories.get_mut(&id) else { continue };
                if rng.below(4) == 0 {
                    known.0.remove(name);
                } else {
                    known.0.insert(name.to_owned(), value);
                }
                if rng.below(2) == 0 {
                    known.1 = vector;
                }
                if rng.below(2) == 0 {
                    known.0.insert("source".to_owned(), source(rng));
                }
            }
        }
    }
    memories
}

/// A version in some order, as the model reads it.
fn version(rng: &mut Rng, memories: &Memories) -> Vec<(Map<String, Value>, u8)> {
    let mut list: Vec<_> = memories.values().cloned().collect();
    if rng.below(3) == 0 {
        list.reverse();
    }
    list
}

/// The files of a version, written as some program writes them.
fn write(folder: &Path, name: &str, list: &[(Map<String, Value>, u8)], pretty: bool) {
    let entries: Vec<&Map<String, Value>> = list.iter().map(|(memory, _)| memory).collect();
    let text = if pretty { serde_json::to_string_pretty(&entries) } else { serde_json::to_string(&entries) };
    let text = text.unwrap();
    std::fs::write(folder.join(format!("{name}.json")), text).unwrap();
    let rows: Vec<f32> = list.iter().map(|(_, vector)| f32::from(*vector)).collect();
    std::fs::write(folder.join(format!("{name}.npy")), memories::matrix(&rows)).unwrap();
}

/// The merge by the program, in the words of the model.
fn merged(folder: &Path, has_base: bool, rules: Rules) -> Value {
    let open = |name: String| -> (Box<dyn ReadFile>, u64) {
        let path = folder.join(name);
        (RealFs.open(&path).unwrap(), std::fs::metadata(path).unwrap().len())
    };
    let files: Vec<_> = ["base", "here", "there"]
        .map(|name| (open(format!("{name}.json")), open(format!("{name}.npy"))))
        .into_iter()
        .collect();
    let sides: Vec<Side<'_>> = files
        .iter()
        .map(|(corpus, rows)| Side {
            corpus: File { file: corpus.0.as_ref(), len: corpus.1 },
            rows: vec![File { file: rows.0.as_ref(), len: rows.1 }],
        })
        .collect();
    let rows = vec![(Kind::Matrix, "nodes.npy".to_owned())];
    let rules = Rules { quiet: ["seen".to_owned()].into(), ..rules };
    let names = Names { key: "nodes".to_owned(), rows, rules, seen: BTreeMap::new() };
    let merged = match merge(&names, has_base.then_some(&sides[0]), &sides[1], &sides[2]) {
        Ok(merged) => merged,
        Err(Unmerged::RowNumber { .. }) => return json!({"refused": "row number"}),
        Err(Unmerged::EmbeddedAnew { .. }) => return json!({"refused": "embedded anew"}),
        Err(other) => panic!("{other}"),
    };
    let (mut corpus, mut rows) = (Vec::new(), Vec::new());
    merged.write_corpus(&mut corpus).unwrap();
    merged.write_rows(0, &mut rows).unwrap();
    let corpus: Vec<Value> = serde_json::from_slice(&corpus).unwrap();
    let rows = memories::rows(&rows);
    assert_eq!(corpus.len(), rows.len());
    let list: Vec<Value> = corpus.iter().zip(rows).map(|(memory, row)| json!([memory, row as u8])).collect();
    let here_wins = |clash: &Clash| clash.ranks.as_ref().is_some_and(|ranks| ranks.here_wins);
    let clashes = merged.clashes().iter().map(|clash| json!([clash.id, clash.field, here_wins(clash)]));
    json!({"merged": list, "clashes": sorted(clashes.collect())})
}

fn sorted(mut clashes: Vec<Value>) -> Vec<Value> {
    clashes.sort_by_key(ToString::to_string);
    clashes
}

#[test]
fn the_merge_of_memories_is_that_of_the_model() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/merge/model.py");
    let mut command = Command::new("python3");
    let started = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut model) = started else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let folder = fresh_folder();
    let mut rng = Rng::new(1);
    let (mut cases, mut ours) = (String::new(), Vec::new());
    for _ in 0..amount(400, 10_000) {
        let count = rng.below(20);
        let base: Memories =
            (0..count).map(|id| u8::try_from(id).unwrap()).map(|id| (id, memory(&mut rng, id))).collect();
        let (here, there) = (edited(&mut rng, &base), edited(&mut rng, &base));
        let lists = [&base, &here, &there].map(|memories| version(&mut rng, memories));
        // A side that changed nothing is written as the base is: else it would be another file.
        let changed = lists[0] != lists[1] && lists[0] != lists[2];
        let pretty = rng.below(2) == 0;
        for (name, list) in ["base", "here", "there"].iter().zip(&lists) {
            write(folder.path(), name, list, if changed { rng.below(2) == 0 } else { pretty });
        }
        let has_base = rng.below(5) > 0;
        let [base, here, there] = lists;
        let base = has_base.then_some(base);
        let rules = rules(&mut rng);
        let case = json!({"base": base, "here": here, "there": there, "rules": rules.is_some()});
        cases += &format!("{case}\n");
        ours.push(merged(folder.path(), has_base, rules.unwrap_or_default()));
    }
    let mut input = model.stdin.take().unwrap();
    let asked = cases.clone();
    let asking = std::thread::spawn(move || input.write_all(asked.as_bytes()).unwrap());
    let answered = model.wait_with_output().unwrap();
    asking.join().unwrap();
    assert!(answered.status.success(), "the model failed");
    let answers = String::from_utf8(answered.stdout).unwrap();
    assert_eq!(answers.lines().count(), ours.len());
    let (mut merges, mut clashes, mut won) = (0, 0, 0);
    for ((answer, ours), case) in answers.lines().zip(&ours).zip(cases.lines()) {
        let mut model: Value = serde_json::from_str(answer).unwrap();
        if let Some(Value::Array(list)) = model.get("clashes").cloned() {
            model["clashes"] = sorted(list).into();
        }
        assert_eq!(ours, &model, "{case}");
        merges += usize::from(ours.get("merged").is_some());
        clashes += usize::from(ours["clashes"].as_array().is_some_and(|list| !list.is_empty()));
        let told = ours["clashes"].as_array().into_iter().flatten();
        won += told.filter(|clash| clash[2] == true).count();
    }
    let told = format!("{merges} merges, {clashes} with clashes, of which {won} were won here");
    assert!(merges * 2 > ours.len() && clashes * 10 > ours.len() && won * 50 > ours.len(), "{told}");
}
