use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::*;

#[tokio::test(start_paused = true)]
async fn large_bodies_wait_for_each_other_and_all_are_answered() {
    const LONG: usize = 15 << 20;
    let (now, highest) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (held, most) = (Arc::clone(&now), Arc::clone(&highest));
    let handler = async move |body: axum::body::Bytes| {
        most.fetch_max(held.fetch_add(body.len(), Ordering::SeqCst) + body.len(), Ordering::SeqCst);
        // Virtual time: the work of a request that takes long.
        tokio::time::sleep(Duration::from_secs(60)).await;
        held.fetch_sub(body.len(), Ordering::SeqCst);
    };
    let bounds = Bounds::new(16 << 20, &Bounds::places());
    let bounded = from_fn_with_state(bounds, bound_body);
    let router: Router = Router::new()
        .route("/", post(handler).layer(bounded))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let service = TowerToHyperService::new(router);
    let body = axum::body::Bytes::from(vec![0; LONG]);
    let asked = (0..12).map(|_| {
        let request = Request::post("/").header("content-length", LONG).body(Body::from(body.clone()));
        service.call(request.unwrap())
    });
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
    let highest = highest.load(Ordering::SeqCst);
    assert!((LONG..=ALL_BODIES).contains(&highest), "{highest} bytes were held at once");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_read_before_it_is_refused() {
    const MOST: usize = 1000;
    let bounded = from_fn_with_state(Bounds::new(MOST, &Bounds::places()), bound_body);
    let router: Router = Router::new().route("/", post(async || ()).layer(bounded));
    let service = TowerToHyperService::new(router);
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let pieces = futures_util::stream::iter((0..10).map(move |_| {
        counted.fetch_add(MOST, Ordering::SeqCst);
        Ok::<_, std::convert::Infallible>(vec![0_u8; MOST])
    }));
    let request = Request::post("/").header("content-length", 10 * MOST).body(Body::from_stream(pieces));
    let answer = service.call(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(taken.load(Ordering::SeqCst), 10 * MOST, "the client would see a broken connection");
}
