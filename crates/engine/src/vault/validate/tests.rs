//! Files that numpy and FAISS wrote (tests/data), the same files damaged, and groups composed of
//! facts.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::fs::RealFs;

const CORPUS: fn() -> Kind = || Kind::Corpus("nodes".to_owned());

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data")
}

fn examined(folder: &Path, name: &str, kind: &Kind, search: Search) -> Facts {
    let seen = RealFs.lstat(&folder.join(name)).unwrap();
    examine(&RealFs, folder, name, &seen, kind, search).unwrap().expect("the file is stable")
}

/// File in memory, which is only read at offsets.
pub(crate) struct Bytes<B>(pub(crate) B);

impl<B> io::Read for Bytes<B> {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl<B: AsRef<[u8]> + Send + Sync> crate::fs::ReadFile for Bytes<B> {
    fn stat(&self) -> io::Result<FileStat> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let part = self.0.as_ref().get(start..start + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(part);
        Ok(())
    }
}

fn facts_of(bytes: &[u8], kind: &Kind) -> Facts {
    let file = Bytes(bytes);
    let looked = |search| read_facts(Block::new(&file, bytes.len() as u64), kind, search).unwrap();
    let (full, sampled) = (looked(Search::Full), looked(Search::Sample));
    assert_eq!(matches!(full, Facts::Broken { .. }), matches!(sampled, Facts::Broken { .. }));
    full
}

fn why(facts: Facts) -> String {
    match facts {
        Facts::Broken { why } => why,
        other => panic!("the file was accepted: {other:?}"),
    }
}

#[test]
fn numpy_arrays_are_read_in_every_form() {
    for (name, dtype) in [
        ("f2_c", "<f2"),
        ("f2_fortran", "<f2"),
        ("f4_c", "<f4"),
        ("f4_fortran", "<f4"),
        ("f8_c", "<f8"),
        ("f8_fortran", "<f8"),
        ("f4_big_endian", ">f4"),
        ("f4_v2", "<f4"),
        ("f4_v3", "<f4"),
        ("i8", "<i8"),
    ] {
        let facts = examined(&data(), &format!("{name}.npy"), &Kind::Matrix, Search::Full);
        assert_eq!(facts, Facts::Matrix { shape: vec![40, 8], dtype: dtype.into(), unreal: None }, "{name}");
    }
    let shape = |name| match examined(&data(), name, &Kind::Matrix, Search::Full) {
        Facts::Matrix { shape, .. } => shape,
        other => panic!("{other:?}"),
    };
    assert_eq!((shape("empty.npy"), shape("flat.npy")), (vec![0, 8], vec![40]));
}

#[test]
fn elements_that_are_not_finite_are_found_at_their_row() {
    for dtype in ["f2", "f4", "f8"] {
        for (name, value) in [("nan", "NaN"), ("inf", "inf"), ("minus_inf", "-inf")] {
            let facts = examined(&data(), &format!("{dtype}_{name}.npy"), &Kind::Matrix, Search::Full);
            let Facts::Matrix { unreal: Some(at), .. } = facts else { panic!("{dtype} {name}: not found") };
            assert_eq!((at.row, at.column, at.value.as_str()), (17, 3, value), "{dtype} {name}");
        }
    }
    let fortran = examined(&data(), "f4_fortran_nan.npy", &Kind::Matrix, Search::Full);
    assert!(matches!(fortran, Facts::Matrix { unreal: Some(at), .. } if (at.row, at.column) == (17, 3)));
}

#[test]
fn a_sample_includes_the_first_and_the_last_row_of_a_long_array() {
    let (rows, columns) = (40_000_usize, 16_usize);
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.bytes());
    let data = bytes.len();
    bytes.resize(data + rows * columns * 4, 0);
    let folder = tempfile::tempdir().unwrap();
    for (row, sampled) in [(0, true), (rows - 1, true), (500, false)] {
        let mut wrong = bytes.clone();
        let at = data + (row * columns + 5) * 4;
        wrong[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(folder.path().join("x"), wrong).unwrap();
        for (search, sees) in [(Search::Full, true), (Search::Sample, sampled)] {
            let Facts::Matrix { unreal, .. } = examined(folder.path(), "x", &Kind::Matrix, search) else {
                panic!("the array is valid")
            };
            assert_eq!(unreal.map(|at| at.row), sees.then_some(row as u64), "{row} {search:?}");
        }
    }
}

#[test]
fn headers_that_numpy_does_not_read_are_refused() {
    for (version, dtype, shape, is_read) in [
        (1, "<f4", "(2,)", true),
        (1, "<f4", "(2L,)", true),
        (3, "<f4", "(2L,)", false),
        (1, "<f4", "(2)", false),
        (1, "<f4", "(02,)", false),
        (1, "<f04", "(2,)", false),
        (1, "<f+4", "(2,)", false),
        (3, "<f4", &format!("(2,){}", " ".repeat(10_000)), false),
    ] {
        let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}");
        for (before, is_read) in [("", is_read), ("\n ", false)] {
            let header = format!("{before}{text}");
            let length = u32::try_from(header.len()).unwrap().to_le_bytes();
            let length = if version == 1 { &length[..2] } else { &length };
            let bytes = [b"\x93NUMPY".as_slice(), &[version, 0], length, header.as_bytes(), &[0; 8]].concat();
            let facts = facts_of(&bytes, &Kind::Matrix);
            assert_eq!(matches!(facts, Facts::Matrix { .. }), is_read, "{version} {header:?}: {facts:?}");
        }
    }
}

#[test]
fn faiss_indexes_of_every_type_are_read() {
    for (name, family) in [
        ("flat_l2", "Flat"),
        ("flat_ip", "Flat"),
        ("flat_l1", "Flat"),
        ("ivf_flat", "IVF,Flat"),
        ("ivf_sparse", "IVF,Flat"),
        ("ivf_mapped", "IVF,Flat"),
        ("ivf_hnsw", "IVF,Flat"),
        ("ivf_pq", "IVF,PQ"),
        ("ivf_sq", "IVF,SQ"),
        ("hnsw_flat", "HNSW,Flat"),
        ("hnsw_sq", "HNSW,SQ"),
        ("pq", "PQ"),
        ("sq", "SQ"),
        ("id_map", "IDMap,Flat"),
        ("id_map2", "IDMap2,Flat"),
        ("id_map_hnsw", "IDMap2,HNSW,Flat"),
    ] {
        let bytes = std::fs::read(data().join(format!("{name}.index"))).unwrap();
        let facts = facts_of(&bytes, &Kind::Index);
        assert_eq!(facts, Facts::Index { family: Some(family.into()), dim: 8, rows: 40 }, "{name}");
        for cut in 0..bytes.len() {
            let why = why(facts_of(&bytes[..cut], &Kind::Index));
            assert!(why.contains("byte"), "{name} cut at {cut}: {why}");
        }
        let longer = [bytes.as_slice(), b"x"].concat();
        assert!(why(facts_of(&longer, &Kind::Index)).contains("but the file has"), "{name}");
    }
    let unknown = examined(&data(), "unknown_lsh.index", &Kind::Index, Search::Full);
    assert_eq!(unknown, Facts::Index { family: None, dim: 0, rows: 0 });
}

#[test]
fn arrays_that_contradict_their_header_are_refused() {
    let whole = std::fs::read(data().join("f4_c.npy")).unwrap();
    for cut in 0..whole.len() {
        let why = why(facts_of(&whole[..cut], &Kind::Matrix));
        assert!(why.contains("byte"), "cut at {cut}: {why}");
    }
    let why_of = |name: &str| why(examined(&data(), name, &Kind::Matrix, Search::Full));
    assert!(why_of("objects.npy").contains("pickle"));
    assert!(why_of("records.npy").contains("records"));
    let with = |header: &str| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        bytes.extend(header.bytes());
        why(facts_of(&bytes, &Kind::Matrix))
    };
    let huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 4), }";
    assert!(with(huge).contains("more than there can be"), "{}", with(huge));
    let large = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1536), }";
    assert!(with(large).contains("12288000000000 bytes"), "{}", with(large));
    for bad in [
        "",
        "{",
        "{}",
        "{'descr': '<f4'}",
        "{'shape': (1,), 'descr': 4, 'fortran_order': False}",
        "__import__('os')",
    ] {
        assert!(with(bad).contains("not what numpy writes"), "{bad}: {}", with(bad));
    }
    let mut claims = b"\x93NUMPY\x02\x00".to_vec();
    claims.extend(u32::MAX.to_le_bytes());
    assert!(why(facts_of(&claims, &Kind::Matrix)).contains("claims 4294967295 bytes"));
}

#[test]
fn corpora_are_counted_in_every_form() {
    for (text, count) in [
        ("[]", 0),
        ("[{\"id\": \"a\"}, {}, 3]", 3),
        ("{\"version\": 1, \"nodes\": [1, 2]}", 2),
        ("{\"nodes\": {\"a\": {}, \"b\": {}, \"c\": {}}, \"version\": {\"nodes\": []}}", 3),
        ("{\"a\": {\"nodes\": [1, 2, 3]}, \"b\": {}}", 2),
        (" { } ", 0),
        ("[\"\u{1f9e0}\", \"ü\"]\n", 2),
    ] {
        assert_eq!(facts_of(text.as_bytes(), &CORPUS()), Facts::Corpus { count }, "{text}");
    }
}

#[test]
fn an_invalid_corpus_is_refused_with_the_position() {
    let long = format!("[\"{}\u{e9}\"]", "x".repeat(300_000));
    let mut latin = long.replace('\u{e9}', "e").into_bytes();
    latin[300_002] = 0xe9;
    assert_eq!(facts_of(long.as_bytes(), &CORPUS()), Facts::Corpus { count: 1 });
    assert_eq!(why(facts_of(&latin, &CORPUS())), "it is not UTF-8 at byte 300002");
    for (text, says) in [
        (b"[1, 2".as_slice(), "ends at byte 5"),
        (b"", "ends at byte 0"),
        (b"[1, NaN]", "column 5"),
        (b"[1] [2]", "trailing characters"),
        (b"3", "expected an array"),
        (b"{\"nodes\": 3}", "expected an array or an object in `nodes`"),
        (b"[\"\xff\"]", "not UTF-8 at byte 2"),
        (b"[\"\xef", "not UTF-8 at byte 2"),
    ] {
        let why = why(facts_of(text, &CORPUS()));
        assert!(why.contains(says), "{text:?}: {why}");
    }
}

#[test]
fn a_character_across_two_blocks_is_valid() {
    for pad in (64 << 10) - 6..(64 << 10) + 2 {
        let text = format!("[\"{}\u{1f9e0}\u{e9}\"]", "x".repeat(pad));
        assert_eq!(facts_of(text.as_bytes(), &CORPUS()), Facts::Corpus { count: 1 }, "{pad}");
    }
}

#[test]
fn clusters_are_understood_in_all_their_forms() {
    for (text, assigned, highest) in [
        ("{\"k\": 64, \"assign\": [0, 1, -1]}", Some(3), None),
        ("{\"labels\": {\"a\": 1, \"b\": 1}}", Some(2), None),
        ("[0, 0, 1]", Some(3), None),
        ("{\"clusters\": [{\"id\": 0, \"members\": [4, 9]}, {\"members\": [2]}]}", None, Some(9)),
        ("{\"clusters\": {\"0\": {\"node_ids\": [\"a\", \"b\"]}}}", None, None),
        ("{\"something\": \"else\"}", None, None),
    ] {
        assert_eq!(
            facts_of(text.as_bytes(), &Kind::Clusters),
            Facts::Clusters { assigned, highest },
            "{text}"
        );
    }
    assert!(why(facts_of(b"{\"assign\": [0, 1", &Kind::Clusters)).contains("ends at byte 16"));
}

fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

fn group(nodes: u64, rows: u64, index: (u64, u64)) -> std::collections::BTreeMap<VaultPath, Facts> {
    let matrix = Facts::Matrix { shape: vec![rows, 8], dtype: "<f4".into(), unreal: None };
    let flat = Facts::Index { family: Some("Flat".into()), rows: index.0, dim: index.1 };
    [
        ("corpus/nodes.json", Facts::Corpus { count: nodes }),
        ("vectors/nodes.npy", matrix),
        ("indexes/faiss.index", flat),
    ]
    .into_iter()
    .map(|(name, facts)| (path(name), facts))
    .collect()
}

#[test]
fn a_group_fits_if_all_counts_agree_and_the_message_names_both() {
    assert_eq!(check(&group(40, 40, (40, 8))), vec![]);
    assert_eq!(check(&group(0, 0, (0, 8))), vec![]);
    let told = |members| check(&members).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    assert_eq!(
        told(group(41, 40, (40, 8))),
        "vectors/nodes.npy has 40 rows, but corpus/nodes.json has 41 entries"
    );
    assert_eq!(
        told(group(40, 0, (0, 8))),
        "vectors/nodes.npy has 0 rows, but corpus/nodes.json has 40 entries"
    );
    assert_eq!(
        told(group(40, 40, (39, 8))),
        "indexes/faiss.index has 39 vectors, but vectors/nodes.npy has 40 rows"
    );
    assert_eq!(
        told(group(40, 40, (40, 9))),
        "indexes/faiss.index has vectors of 9 dimensions, but vectors/nodes.npy has 8 columns"
    );
    let mut without = group(40, 40, (39, 8));
    without.remove(&path("vectors/nodes.npy"));
    assert_eq!(told(without), "indexes/faiss.index has 39 vectors, but corpus/nodes.json has 40 entries");
    let mut whole = group(40, 40, (40, 8));
    whole.insert(
        path("vectors/nodes.npy"),
        Facts::Matrix { shape: vec![40, 8], dtype: "<i8".into(), unreal: None },
    );
    assert_eq!(
        told(whole.clone()),
        "vectors/nodes.npy holds elements of type <i8: vectors are of <f2, <f4 or <f8"
    );
    whole.insert(
        path("vectors/nodes.npy"),
        Facts::Matrix { shape: vec![40], dtype: "<f4".into(), unreal: None },
    );
    assert!(told(whole).contains("has the shape (40)"));
    let mut clusters = group(40, 40, (40, 8));
    clusters.insert(path("indexes/clusters.json"), Facts::Clusters { assigned: Some(39), highest: None });
    assert_eq!(
        told(clusters),
        "indexes/clusters.json assigns 39 nodes, but corpus/nodes.json has 40 entries"
    );
}

#[test]
fn a_file_that_changed_has_no_facts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nodes.json");
    std::fs::write(&file, "[1]").unwrap();
    let seen = RealFs.lstat(&file).unwrap();
    std::fs::write(&file, "[1, 2]").unwrap();
    assert_eq!(examine(&RealFs, folder.path(), "nodes.json", &seen, &CORPUS(), Search::Full).unwrap(), None);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(examine(&RealFs, folder.path(), "nodes.json", &seen, &CORPUS(), Search::Full).unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A damaged file is either read or refused. Nothing panics, and nothing is allocated by what
    /// it claims.
    #[test]
    fn damaged_files_are_read_or_refused(
        which in 0..20_usize, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut names: Vec<_> = std::fs::read_dir(data()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.retain(|name| name.extension().is_some_and(|end| end == "npy" || end == "index"));
        names.sort();
        let name = &names[which * names.len() / 20];
        let mut bytes = std::fs::read(name).unwrap();
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let reach = bytes.len().min(200);
        for (at, byte) in edits.iter().filter(|_| reach > 0) {
            bytes[at.index(reach)] = *byte;
        }
        for kind in [Kind::Matrix, Kind::Index, CORPUS(), Kind::Clusters] {
            let _either = facts_of(&bytes, &kind);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:0-9a-z\u{e9} -]{0,60}") {
        for kind in [CORPUS(), Kind::Clusters] {
            let _either = facts_of(text.as_bytes(), &kind);
        }
    }
}
