//! Names that the disk holds in another Unicode form.

use super::*;

#[test]
fn a_file_whose_name_came_from_a_mac_is_found_and_replaced_where_it_stands() {
    let world = World::new();
    let (on_disk, plain) = ("traces/e\u{301}.json", path("traces/é.json"));
    world.write(on_disk, "old");
    assert_eq!(current(&RealFs, &world.layout(), &plain).unwrap(), digest("old"));
    let mut request = world.request();
    request.expected = [(plain.clone(), digest("old"))].into();
    request.writes = [(plain.clone(), path("a"))].into();
    world.run(&RealFs, &request, 1).unwrap();
    assert_eq!(world.read(on_disk).as_deref(), Some("new"));
    assert_eq!(world.read("traces/é.json"), None, "the file stands there twice");
    request.id = "second".into();
    (request.expected, request.writes) = ([(plain.clone(), digest("new"))].into(), BTreeMap::new());
    request.deletes = [plain].into();
    world.run(&RealFs, &request, 2).unwrap();
    assert_eq!(world.read(on_disk), None);
}
