//! Changes that are taken one after the other and written once.

use proptest::prelude::*;

use super::*;

fn names() -> Names {
    let rows = vec![(Kind::Matrix, "nodes.npy".to_owned())];
    Names { key: "nodes".to_owned(), rows, rules: Rules::default(), seen: BTreeMap::new() }
}

/// A request: what it expects, and its changes.
type Asked = (Vec<Expectation>, Vec<Edit>);

/// Carries out requests together: the files, and what each was told.
fn together(vault: &Vault, requests: &[Asked]) -> (Vault, Vec<Option<String>>) {
    let (corpus, rows) = (Bytes(vault.corpus.clone().into_bytes()), Bytes(vault.matrix.clone()));
    let stood = Stood { corpus: Some(file(&corpus)), rows: vec![Some(file(&rows))] };
    let editable = Editable::read(names(), stood).unwrap();
    let mut editing = editable.editing().unwrap();
    let told = requests.iter().map(|(expected, edits)| match editing.look(expected, edits) {
        Ok(step) => {
            editing.take(step);
            None
        }
        Err(refused) => Some(refused.to_string()),
    });
    let told = told.collect();
    let edited = editing.finish().unwrap();
    let (mut corpus, mut matrix) = (Vec::new(), Vec::new());
    edited.write_corpus(&mut corpus).unwrap();
    edited.write_rows(0, &mut matrix).unwrap();
    (Vault { corpus: String::from_utf8(corpus).unwrap(), matrix }, told)
}

/// A change of a memory, whose field never looks like a row number.
fn edit() -> impl Strategy<Value = Edit> {
    let put = (0..6_u8, 0..3_u8, prop::option::of(0..4_u8)).prop_map(|(id, value, vector)| {
        let entry = format!("{{\"id\":\"m{id}\",\"t\":10{value}}}");
        let vector = vector.map(|number| Vector::Numbers(vec![f64::from(number); 2]));
        Edit { id: Id::text(&format!("m{id}")), put: Some(Put { entry, vector }) }
    });
    let delete = (0..6_u8).prop_map(|id| Edit { id: Id::text(&format!("m{id}")), put: None });
    prop_oneof![3 => put, 1 => delete]
}

/// Expects a memory's only field to hold 100 to 102, or to be absent.
fn expectation() -> impl Strategy<Value = Expectation> {
    (0..6_u8, 0..4_u8).prop_map(|(id, value)| {
        let digest = (value < 3).then(|| value::digest(&format!("10{value}")).unwrap());
        Expectation { id: Id::text(&format!("m{id}")), field: Some("t".to_owned()), digest }
    })
}

fn asked() -> impl Strategy<Value = Vec<Asked>> {
    let one = (prop::collection::vec(expectation(), 0..2), prop::collection::vec(edit(), 1..4));
    prop::collection::vec(one, 1..6)
}

proptest! {
    /// Whatever is asked, together or one after the other: the same memories in the same order with
    /// the same vectors, and the same is refused with the same words.
    #[test]
    fn together_is_as_one_after_the_other(count in 0..5_u8, requests in asked(), map in any::<bool>()) {
        let texts = (0..count).map(|id| match map {
            true => format!("\"m{id}\": {{\"id\":\"m{id}\",\"t\":10{id}}}"),
            false => format!("{{\"id\":\"m{id}\",\"t\":10{id}}}"),
        });
        let inside = texts.collect::<Vec<_>>().join(", ");
        let list = if map { format!("{{{inside}}}") } else { format!("[{inside}]") };
        let rows: Vec<f32> = (0..count).map(f32::from).collect();
        let before = vault(&format!("{{\"count\": {count}, \"nodes\": {list}}}"), &rows);
        let (result, told) = together(&before, &requests);
        let (mut stands, mut one_by_one) = (before, Vec::new());
        for request in requests {
            let (next, mut told) = together(&stands, &[request]);
            one_by_one.append(&mut told);
            stands = next;
        }
        prop_assert_eq!(told, one_by_one);
        prop_assert_eq!(numbers(&result), numbers(&stands));
        let bare = |vault: &Vault| vault.corpus.split_whitespace().collect::<String>();
        prop_assert_eq!(bare(&result), bare(&stands));
    }
}
