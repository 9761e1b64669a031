//! The state that the cache keeps for the next start.

use super::checkpoints::{go_on, of_many};
use super::faulty::Faulty;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_device_that_only_reads_replays_no_more_than_a_few_generations_at_its_next_start() {
    let remote = Faulty::over(&made().await);
    let (mut writer, cache) = (remote.opened().await, Arc::<MapCache>::default());
    let mut head = go_on(&mut writer, None, 1).await;
    for _ in 0..5 {
        head = go_on(&mut writer, Some(head), 40).await;
        let mut reader = remote.open(&cache).await.unwrap().unwrap();
        reader.refresh(Depth::Whole).await.unwrap();
        let state = reader.snapshot(Some(head)).await.unwrap();
        reader.keep_state_if_due(head).await.unwrap();
        let again = remote.open(&cache).await.unwrap().unwrap();
        let kept = again.start.as_ref().map_or(0, |start| start.commit.seq);
        assert!(head.seq < kept + 2 * checkpoint::EVERY, "it would replay from {kept} to {head}");
        let mut again = again;
        again.refresh(Depth::Whole).await.unwrap();
        assert_eq!(again.snapshot(Some(head)).await.unwrap().tree, state.tree);
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_applies_no_changes_again_that_were_many() {
    let remote = Faulty::over(&made().await);
    let cache = Arc::<MapCache>::default();
    let mut log = remote.open(&cache).await.unwrap().unwrap();
    let first = publish(&mut log, &of_many(None, "first", 5000)).await;
    log.keep_state_if_due(first).await.unwrap();
    let start = async || {
        let log = remote.open(&cache).await.unwrap().unwrap();
        (log.start.as_ref().map(|start| start.commit), log)
    };
    assert_eq!(start().await.0, Some(first), "5,000 changes are many");
    let head = go_on(&mut log, Some(first), 20).await;
    log.keep_state_if_due(head).await.unwrap();
    let (kept, mut again) = start().await;
    assert_eq!(kept, Some(first), "40 are not");
    again.refresh(Depth::Whole).await.unwrap();
    let state = again.snapshot(Some(head)).await.unwrap();
    assert_eq!(state.tree, log.snapshot(Some(head)).await.unwrap().tree);
    // A copy that is damaged, or cut off, is no start.
    let damages: [fn(&mut Vec<u8>); 3] =
        [|part| part.truncate(part.len() - 1), |part| part.truncate(part.len() / 2), |part| part[0] = 9];
    for damage in damages {
        let [part] = <[String; 1]>::try_from(ObjectCache::keys(&*cache, "proved-part/")).unwrap();
        let mut bytes = ObjectCache::get(&*cache, &part).unwrap();
        damage(&mut bytes);
        cache.put(&part, &bytes);
        let (kept, mut again) = start().await;
        assert_eq!(kept, None);
        again.refresh(Depth::Whole).await.unwrap();
        again.keep_state_if_due(head).await.unwrap();
        assert_eq!(start().await.0, Some(head), "it is kept anew");
    }
}
