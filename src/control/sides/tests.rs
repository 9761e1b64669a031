use super::*;
use cogzy_engine::model::{Item, Kept, VaultPath};

fn made(device: &str, is_this: bool) -> Made {
    Made { device: device.to_owned(), is_this, time: None }
}

#[test]
fn this_is_what_this_device_made_whichever_side_won() {
    let path = VaultPath::new("a.json").unwrap();
    let kept = vec![Kept { path: path.clone(), entry: None }];
    let conflict = Conflict::new(Item::File(path), kept, None);
    let keep = |text: &str, sides: &Sides| {
        chosen(&KeptVersion::try_from(text.to_owned()).unwrap(), sides, conflict.id)
    };
    let loser = Sides { lost: made("laptop", true), stands: Some(made("desk", false)) };
    let winner = Sides { lost: made("laptop", false), stands: Some(made("desk", true)) };
    for (said, on_loser, on_winner) in [
        ("this", Keep::Mine, Keep::Remote),
        ("mine", Keep::Mine, Keep::Mine),
        ("other", Keep::Remote, Keep::Mine),
        ("remote", Keep::Remote, Keep::Remote),
        ("laptop", Keep::Mine, Keep::Mine),
        ("desk", Keep::Remote, Keep::Remote),
        ("aside", Keep::Mine, Keep::Mine),
        ("stands", Keep::Remote, Keep::Remote),
        ("both", Keep::Both, Keep::Both),
    ] {
        assert_eq!(keep(said, &loser), Ok(on_loser), "{said}");
        assert_eq!(keep(said, &winner), Ok(on_winner), "{said}");
    }
    let third = Sides { lost: made("laptop", false), stands: Some(made("desk", false)) };
    for unclear in ["this", "other", "phone"] {
        assert!(keep(unclear, &third).is_err(), "{unclear}");
    }
    assert_eq!(third.choices(true)[0].0, "aside");
}
