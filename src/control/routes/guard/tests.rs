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
