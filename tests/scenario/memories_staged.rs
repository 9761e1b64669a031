//! Vectors of memories as rows of an array that a program has put beside the vault.

use std::path::PathBuf;

use cogzy_testkit::fresh_folder;
use cogzy_testkit::memories::matrix;
use serde_json::{Value, json};

use super::memories::{kept, post, shown};
use super::merge_by_hand::ten;
use crate::support::process::Machine;

fn stage(machine: &Machine, name: &str, bytes: &[u8]) -> PathBuf {
    let path = machine.root.join("sync/incoming").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// An array as numpy saves it.
fn npy(dtype: &str, fortran: &str, shape: &str, rows: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(118_u16.to_le_bytes());
    bytes.extend(format!("{text:117}\n").into_bytes());
    bytes.extend(rows);
    bytes
}

fn put(id: &str, vector: Value) -> Value {
    json!({"group": "nodes", "entry": {"id": id, "content": id}, "vector": vector})
}

fn request(id: &str, puts: &[Value]) -> Value {
    json!({"transaction_id": id, "puts": puts})
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_come_from_the_rows_of_a_staged_array_which_is_taken_away() {
    let folder = fresh_folder();
    let (machine, daemon) = kept(folder.path()).await;
    let staged = stage(&machine, "batch/new.npy", &matrix(&[20.0, 21.0, 22.0]));
    let puts = [
        put("x", json!({"staged": "batch/new.npy", "row": 2})),
        // The whole path is as good as the name, and other forms stand beside it.
        put("n1", json!({"staged": staged.to_str().unwrap(), "row": 0})),
        put("y", json!([5.0, 5.0])),
    ];
    let (status, done) = post(&machine, request("one", &puts)).await;
    assert_eq!((status, done["files"].as_object().unwrap().len()), (Some(200), 3), "{done}");
    let mut expected = ten();
    for (id, vector) in [("x", 22.0), ("n1", 20.0), ("y", 5.0)] {
        expected.insert(id.to_owned(), (id.to_owned(), vector));
    }
    assert_eq!(shown(&machine), expected);
    assert!(!staged.exists(), "it was not taken away");
    // Its answer may have been lost on the way.
    assert_eq!(post(&machine, request("one", &puts)).await, (status, done));
    assert_eq!(shown(&machine), expected);
    let (status, refused) = post(&machine, request("two", &puts)).await;
    assert_eq!(status, Some(422), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("there is no such file below"), "{refused}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_that_cannot_be_taken_is_named_with_what_is_wrong_and_stays() {
    let folder = fresh_folder();
    let (machine, daemon) = kept(folder.path()).await;
    let good = stage(&machine, "good.npy", &matrix(&[1.0, f32::NAN]));
    let four = [0_u8; 4];
    for (name, bytes) in [
        ("none.npy", b"no array at all".to_vec()),
        ("short.npy", matrix(&[1.0, 2.0])[..130].to_vec()),
        ("flat.npy", npy("<f4", "False", "(1,)", &four)),
        ("columns.npy", npy("<f4", "True", "(1, 2)", &[four, four].concat())),
        ("wide.npy", npy("<f4", "False", "(1, 3)", &[four; 3].concat())),
        ("double.npy", npy("<f8", "False", "(1, 1)", &[four; 2].concat())),
        ("pickle.npy", npy("|O", "False", "(1, 1)", &[four; 2].concat())),
        ("big.npy", npy(">f4", "False", "(1, 2)", &[four; 2].concat())),
    ] {
        stage(&machine, name, &bytes);
    }
    let outside = machine.home.join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("secret.npy"), matrix(&[1.0])).unwrap();
    std::os::unix::fs::symlink(outside.join("secret.npy"), machine.root.join("sync/incoming/link.npy"))
        .unwrap();
    std::os::unix::fs::symlink(&outside, machine.root.join("sync/incoming/folder")).unwrap();
    for (staged, row, words) in [
        ("good.npy", json!(2), "staged good.npy: there is no row 2: it has 2, counted from 0"),
        ("good.npy", json!(1), "element 0 of its vector, row 1 of good.npy, is no finite number"),
        (
            "good.npy",
            json!(-1),
            r#"expected a vector: a list of numbers, {"base64": TEXT}, or {"staged": FILE"#,
        ),
        ("absent.npy", json!(0), "staged absent.npy: there is no such file below"),
        ("none.npy", json!(0), "staged none.npy: it is no .npy file"),
        ("short.npy", json!(0), "staged short.npy: it is shorter than its header says"),
        ("flat.npy", json!(0), "staged flat.npy: its shape is (1): expected rows and columns"),
        ("columns.npy", json!(0), "staged columns.npy: it is stored by columns (Fortran order)"),
        ("wide.npy", json!(0), "row 0 of wide.npy, with 3 elements of <f4, and the others have 2 of <f4"),
        ("double.npy", json!(0), "row 0 of double.npy, with 1 elements of <f8, and the others have 2 of <f4"),
        ("pickle.npy", json!(0), "it holds Python objects (a pickle), which are never read"),
        ("big.npy", json!(0), "row 0 of big.npy, with 2 elements of >f4, and the others have 2 of <f4"),
        ("link.npy", json!(0), "staged link.npy: there is no such file below"),
        ("folder/secret.npy", json!(0), "staged folder/secret.npy: "),
        ("folder", json!(0), "staged folder: there is no such file below"),
        ("../conflicts/a.npy", json!(0), "expected the name of a file below"),
        ("/etc/hostname", json!(0), "expected the name of a file below"),
    ] {
        let before = shown(&machine);
        let asked = request("t", &[put("a", json!({"staged": staged, "row": row}))]);
        let (status, refused) = post(&machine, asked).await;
        assert_eq!((status, shown(&machine)), (Some(422), before), "{staged}: {refused}");
        assert!(refused["detail"].as_str().unwrap().contains(words), "{words}: {refused}");
    }
    assert!(good.exists() && outside.join("secret.npy").exists());
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_vectors_of_a_vault_may_be_staged_and_are_of_32_bits() {
    let folder = fresh_folder();
    let (machine, daemon) = kept(folder.path()).await;
    let put = |staged: &str| json!({"group": "episodes", "entry": {"id": "e"}, "vector": {"staged": staged, "row": 0}});
    stage(&machine, "double.npy", &npy("<f8", "False", "(1, 2)", &[0; 16]));
    let (status, refused) = post(&machine, request("double", &[put("double.npy")])).await;
    let told = refused["detail"].as_str().unwrap();
    assert_eq!(status, Some(422));
    assert!(told.contains("with 2 elements of <f8, and the others have 2 of <f4"), "{told}");
    stage(&machine, "first.npy", &matrix(&[3.0]));
    assert_eq!(post(&machine, request("first", &[put("first.npy")])).await.0, Some(200));
    let array = machine.read("vectors/episodes.npy").unwrap();
    assert_eq!(cogzy_testkit::memories::rows(&array), [3.0]);
    assert_eq!(daemon.terminate().await.0, Some(0));
}
