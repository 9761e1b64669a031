use super::*;
use crate::control::sides::Made;
use cogzy_engine::model::Kept;

#[test]
fn the_document_of_a_comparison_keeps_its_form() {
    let path = VaultPath::new("a.json").unwrap();
    let kept = vec![Kept { path: path.clone(), entry: None }];
    let conflict = Conflict::new(Item::File(path.clone()), kept, None);
    let listed = ListedConflict { conflict, here: true, unmerged: None, part_of: None };
    let mut compared = [FileComparison { path, standing: None, differing: None, differences: vec![] }];
    let [first] = &mut compared;
    compare(br#"{"x":1}"#, br#"{"x":2}"#, first);
    let lost = Made { device: "laptop".to_owned(), is_this: true, time: None };
    let sides = Sides { lost, stands: None };
    let document =
        ComparedDocument { schema: SchemaVersion, conflict: &listed, sides: &sides, compared: &compared };
    let id = listed.conflict.id;
    assert_eq!(
        serde_json::to_string(&document).unwrap(),
        format!(
            concat!(
                r#"{{"schema":1,"conflict":{{"id":"{}","item":{{"file":"a.json"}},"files":[{{"path":"a.json","#,
                r#""entry":null}}],"origin":null,"here":true}},"lost":{{"device":"laptop","is_this":true,"time":null}},"#,
                r#""stands":null,"compared":[{{"path":"a.json","standing":null,"#,
                r#""differing":1,"differences":[{{"node":null,"at":"x","mine":1,"remote":2}}]}}]}}"#
            ),
            id
        )
    );
}
