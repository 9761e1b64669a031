use proptest::prelude::*;

use super::*;
use crate::model::{Digest, Entry};

proptest! {
    #[test]
    fn it_finds_what_folding_every_name_finds(
        names in prop::collection::vec("[aAkKsSbBéÉßſ\u{212a}ﬁfi/]{1,5}", 1..40),
        wanted in "[aAkKsSbBéÉßſ\u{212a}ﬁfi/]{1,5}",
    ) {
        let entry = Entry { digest: Digest::of(b""), size: 0, mtime_ms: 0, mode: 0, rows: None };
        let tree: Tree =
            names.iter().filter_map(|name| Some((VaultPath::new(name).ok()?, entry))).collect();
        let Ok(wanted) = VaultPath::new(&wanted) else { return Ok(()) };
        let twin = |other: &&VaultPath| **other != wanted && other.fold_key() == wanted.fold_key();
        let expected: Vec<&VaultPath> = tree.keys().filter(twin).collect();
        for times in [0, 1000] {
            prop_assert_eq!(&Alike::of(&tree, times).to(&wanted), &expected);
        }
        let (text, key) = (format!("{wanted}/"), format!("{}/", wanted.fold_key()));
        let begins = |other: &&VaultPath| other.fold_key().starts_with(&key) && !other.as_str().starts_with(&text);
        let inside = Alike::of(&tree, 0).inside(&wanted).is_some();
        prop_assert_eq!(inside, tree.keys().any(|other| begins(&other)));
    }
}
