use super::*;
use crate::model::Part;

#[test]
fn only_a_whole_row_of_the_very_content_counts() {
    let database = Database::in_memory().unwrap();
    let digest = |name: &str| Digest::of(name.as_bytes());
    let content = Content { digest: digest("content"), size: 7 };
    let parts = ["a", "b"].map(|name| Part { id: digest(name), len: 3 }).to_vec();
    let recipe = Recipe { depth: 0, parts };
    let chunks = vec![digest("a"), digest("b")];
    database.put_cut(content, &recipe, &chunks).unwrap();
    assert_eq!(database.cut(content).unwrap(), Some(Cut { recipe: recipe.clone(), chunks: chunks.clone() }));
    assert_eq!(database.cut(Content { size: 8, ..content }).unwrap(), None);
    assert_eq!(database.cut(Content { digest: digest("other"), ..content }).unwrap(), None);
    database.with(|db| db.execute("UPDATE cut SET chunks = zeroblob(64)", []).map(drop)).unwrap();
    assert_eq!(database.cut(content).unwrap(), None, "a row that the disk has damaged");
    database.put_cut(content, &recipe, &chunks).unwrap();
    database.clear_uploaded().unwrap();
    assert_eq!(database.cut(content).unwrap(), None, "a commit names it now");
    // There is an end to it.
    let many = vec![digest("x"); 1 << 16];
    for number in 0..40_u64 {
        let content = Content { digest: Digest::of(&number.to_le_bytes()), size: number };
        database.put_cut(content, &recipe, &many).unwrap();
    }
    let kept: i64 =
        database.with(|db| db.query_row("SELECT COUNT(*) FROM cut", [], |row| row.get(0))).unwrap();
    assert!((20..33).contains(&kept), "{kept} rows");
}
