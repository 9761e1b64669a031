//! Random histories and random bytes.

use proptest::prelude::*;

use super::*;

/// Step of a random run: a device commits a change of one path on its last known head, or
/// refreshes.
#[derive(Debug, Clone)]
enum Move {
    Commit { device: usize, file: u8, content: Option<u8> },
    Look { device: usize },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let device = 0_usize..3;
    let one = prop_oneof![
        3 => (device.clone(), 0_u8..6, prop::option::weighted(0.8, 0_u8..4))
            .prop_map(|(device, file, content)| Move::Commit { device, file, content }),
        2 => device.prop_map(|device| Move::Look { device }),
    ];
    prop::collection::vec(one, 1..24)
}

const FILES: [&str; 6] = ["a", "b", "c/d", "corpus/nodes.json", "vectors/nodes.npy", "indexes/i"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// However three devices fork, merge and cross their merges, all end up with one head and one
    /// tree. Every committed version is in the tree or in a conflict, or was replaced by a commit
    /// that had seen it.
    #[test]
    fn all_devices_end_up_with_one_head(moves in moves()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let remote = made().await;
            let mut logs = vec![opened(&remote).await, opened(&remote).await, opened(&remote).await];
            let mut heads: Vec<Option<CommitKey>> = vec![None; 3];
            for (number, step) in moves.into_iter().enumerate() {
                match step {
                    Move::Look { device } => {
                        logs[device].refresh(Depth::Whole).await.unwrap();
                        heads[device] = logs[device].settle().await.unwrap();
                    }
                    Move::Commit { device, file, content } => {
                        let content = content.map(|byte| format!("{device} {number} {byte}"));
                        let name = FILES[usize::from(file)];
                        let next = commit(heads[device], u8::try_from(device).unwrap(), &[(name, content.as_deref())]);
                        logs[device].publish(&next).await.unwrap();
                        heads[device] = Some(next.key);
                    }
                }
            }
            let mut ends = Vec::new();
            for log in &mut logs {
                log.refresh(Depth::Whole).await.unwrap();
                let head = log.settle().await.unwrap();
                let snapshot = log.snapshot(head).await.unwrap();
                ends.push((head, snapshot.tree.clone(), snapshot.conflicts.clone(), snapshot.ages.clone()));
            }
            let mut fresh = opened(&remote).await;
            let head = fresh.settle().await.unwrap();
            let snapshot = fresh.snapshot(head).await.unwrap();
            ends.push((head, snapshot.tree.clone(), snapshot.conflicts.clone(), snapshot.ages.clone()));
            for end in &ends[1..] {
                assert_eq!(end, &ends[0]);
            }
        });
    }

    /// Damaged bytes are never accepted as a commit and never make the reader panic.
    #[test]
    fn damaged_commits_are_refused(at in 0_usize..2000, bit in 0_u8..8, cut in any::<bool>()) {
        let whole = commit(None, 1, &[("a", Some("x")), ("b", None)]);
        let mut bytes = whole.bytes.to_vec();
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        match format::decode_commit("x", &bytes) {
            Err(_) => {}
            // A bit that readers ignore may change, but not the result.
            Ok((key, found)) => {
                let (_, original) = format::decode_commit("x", &whole.bytes).unwrap();
                prop_assert!(key != whole.key || found == original, "damage went unnoticed at byte {}", at);
            }
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(format::decode_commit("x", &bytes).is_err());
        prop_assert!(format::decode_header("vault-01010101010101010101010101010101.json", &bytes).is_err());
        let framed = [b"CGZcmt\x01\x00\x01".as_slice(), &bytes].concat();
        prop_assert!(format::decode_commit("x", &framed).is_err());
    }
}
