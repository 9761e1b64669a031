use serde_json::json;

use super::*;

fn told(mine: &Value, remote: &Value) -> Vec<String> {
    let (list, count) = differences(mine, remote, 100);
    assert_eq!(list.len(), count);
    let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    list.iter().map(|found| format!("{} {} {}", found.at, text(&found.mine), text(&found.remote))).collect()
}

#[test]
fn nodes_are_compared_by_their_ids_wherever_they_stand() {
    let mine = json!({"nodes": [{"id": "a", "text": "x"}, {"id": "b", "text": "y"}, {"id": 3, "text": "z"}]});
    let remote = json!({"nodes": [{"id": "c"}, {"id": 3, "text": "z"}, {"id": "a", "text": "w"}]});
    let expected =
        [r#"nodes[a].text "x" "w""#, r#"nodes[b] {"id":"b","text":"y"} -"#, r#"nodes[c] - {"id":"c"}"#];
    assert_eq!(told(&mine, &remote), expected);
    assert_eq!(differences(&mine, &remote, 1).0[0].node.as_deref(), Some("a"));
    assert_eq!(differences(&mine, &remote, 1).1, 3, "those that are not listed are counted");
}

#[test]
fn equal_versions_do_not_differ_and_order_alone_is_told_once() {
    let nodes = json!([{"id": "a"}, {"id": "b"}]);
    assert!(told(&nodes, &nodes).is_empty());
    assert_eq!(told(&nodes, &json!([{"id": "b"}, {"id": "a"}])).len(), 1);
    assert_eq!(told(&json!([1, 2]), &json!([2, 1])), [" [1,2] [2,1]"]);
}

#[test]
fn long_values_are_cut() {
    let long = json!({"text": "é".repeat(300), "vector": vec![0.5; 1536]});
    let (list, _) = differences(&long, &json!({}), 10);
    assert!(list.iter().all(|found| found.mine.as_ref().unwrap().to_string().len() < 500), "{list:?}");
}

#[test]
fn deep_nesting_ends() {
    let nested = |end: i32| (0..100).fold(json!(end), |inner, _| json!({ "x": inner }));
    assert_eq!(told(&nested(1), &nested(2)).len(), 1);
}
