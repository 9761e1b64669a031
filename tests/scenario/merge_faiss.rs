//! Merged groups as the real numpy and faiss read them: every row beside its memory, and every
//! neighbour the right one. `tests/merge/faiss_groups.py` writes the versions and reads the
//! results.
//!
//! `COGZY_TEST_FAISS` names a Python that has both; `.ci/run` has one.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File as Disk;
use std::path::Path;
use std::process::Command;

use cogzy_engine::fs::{Fs, ReadFile, RealFs};
use cogzy_engine::merge::{File, Names, Rules, Side, Unmerged, merge};
use cogzy_engine::vault::validate::Kind;
use cogzy_testkit::fresh_folder;
use serde_json::Value;

const GROUPS: u64 = 400;
/// Part of these that must have been searched: else nothing was tried.
const SOME: u64 = 2;
const FILES: [&str; 3] = ["nodes.json", "nodes.npy", "nodes.index"];

fn python(program: &OsStr, folder: &Path, act: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/merge/faiss_groups.py");
    let mut command = Command::new(program);
    command.args([script, act]).arg(folder).args([GROUPS.to_string(), "1".to_owned()]);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{act}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// The open files of a version, each with its length: the corpus, the array and the index.
fn open(folder: &Path) -> Vec<(Box<dyn ReadFile>, u64)> {
    let opened = FILES.iter().map(|name| {
        let path = folder.join(name);
        (RealFs.open(&path).unwrap(), std::fs::metadata(path).unwrap().len())
    });
    opened.collect()
}

fn side(opened: &[(Box<dyn ReadFile>, u64)]) -> Side<'_> {
    let of = |at: usize| File { file: opened[at].0.as_ref(), len: opened[at].1 };
    Side { corpus: of(0), rows: vec![of(1), of(2)] }
}

/// Merges the versions in a folder into `merged` below it. False if they are refused, as they are
/// to be where the array is stored by columns.
fn merged(folder: &Path) -> bool {
    let [base, here, there] = ["base", "here", "there"].map(|name| open(&folder.join(name)));
    let rows = vec![(Kind::Matrix, FILES[1].to_owned()), (Kind::Index, FILES[2].to_owned())];
    let names = Names { key: "nodes".to_owned(), rows, rules: Rules::default(), seen: BTreeMap::new() };
    let (base, here, there) = (side(&base), side(&here), side(&there));
    let merged = match merge(&names, Some(&base), &here, &there) {
        Ok(merged) => merged,
        Err(Unmerged::Fortran { .. }) => return false,
        Err(error) => panic!("{}: {error}", folder.display()),
    };
    let place = folder.join("merged");
    std::fs::create_dir(&place).unwrap();
    let file = |name: &str| Disk::create(place.join(name)).unwrap();
    merged.write_corpus(&mut file(FILES[0])).unwrap();
    for (at, name) in FILES.iter().skip(1).enumerate() {
        if !merged.leaves_out(at) {
            merged.write_rows(at, &mut file(name)).unwrap();
        }
    }
    true
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says where faiss is")]
fn numpy_and_faiss_read_every_merged_group_and_find_the_right_neighbours() {
    let Some(program) = std::env::var_os("COGZY_TEST_FAISS") else {
        eprintln!("skipped: COGZY_TEST_FAISS is not set");
        return;
    };
    let folder = fresh_folder();
    python(&program, folder.path(), "make");
    let merges = (0..GROUPS).filter(|number| merged(&folder.path().join(number.to_string()))).count();
    let told: Value = serde_json::from_str(&python(&program, folder.path(), "check")).unwrap();
    println!("{merges} groups merged, {} read by numpy and {} by faiss", told["read"], told["searched"]);
    assert_eq!(told["read"], merges);
    assert!(told["searched"].as_u64().unwrap() * SOME > GROUPS, "too few were tried: {told}");
}
