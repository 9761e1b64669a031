use tokio::time::Instant;

use super::*;
use crate::remote::MemoryRemote;

/// Clock that follows tokio's paused time.
#[derive(Debug)]
struct Virtual(Instant);

impl Clock for Virtual {
    fn now_ns(&self) -> i64 {
        0
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

fn paced(up: Option<u64>, down: Option<u64>) -> Paced<MemoryRemote> {
    Paced::new(MemoryRemote::default(), up, down, Arc::new(Virtual(Instant::now())))
}

#[tokio::test(start_paused = true)]
async fn uploads_stay_within_the_rate_with_any_number_of_concurrent_calls() {
    let remote = paced(Some(1000), None);
    let began = Instant::now();
    let keys: Vec<String> = (0..11).map(|number| format!("k{number}")).collect();
    let puts = keys.iter().map(|key| remote.put(key, Bytes::from(vec![0; 500])));
    futures_util::future::try_join_all(puts).await.unwrap();
    // The first goes at once; the ten before the last take half a second each.
    assert_eq!(began.elapsed().as_secs_f64().round(), 5.0);
    remote.list("", None).await.unwrap();
    remote.get("k0", Span::UpTo(1000)).await.unwrap();
    assert_eq!(began.elapsed().as_secs_f64().round(), 5.0, "an unlimited call waited");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let idle = Instant::now();
    remote.put("a", Bytes::from(vec![0; 2000])).await.unwrap();
    remote.put("b", Bytes::from(vec![0; 1])).await.unwrap();
    assert_eq!(idle.elapsed().as_secs_f64().round(), 2.0, "an idle hour was credited");
}

#[tokio::test(start_paused = true)]
async fn downloads_are_paid_for_even_if_their_length_was_unknown() {
    let remote = paced(None, Some(100));
    remote.put("k", Bytes::from(vec![7; 1000])).await.unwrap();
    let began = Instant::now();
    remote.get("k", Span::Part(0..300)).await.unwrap();
    remote.get("k", Span::UpTo(1000)).await.unwrap();
    assert_eq!(began.elapsed().as_secs_f64().round(), 3.0);
    remote.get("k", Span::Part(0..1)).await.unwrap();
    assert_eq!(began.elapsed().as_secs_f64().round(), 13.0);
}
