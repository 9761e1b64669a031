//! Every route is in the OpenAPI document with its methods, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use tokio::sync::{mpsc, watch};

use super::*;
use crate::control::board::Board;
use crate::control::pulse::Pulse;
use crate::control::{board, events};
use cogzy_engine::clock::{SystemClock, SystemEntropy};
use cogzy_engine::fs::RealFs;
use cogzy_engine::plan::{Brakes, Limits};
use cogzy_engine::remote::{MemoryRemote, Meter};
use cogzy_engine::state::{Database, FilterRecord};
use cogzy_engine::sync::{Engine, Merge, Ports, Settings, StaleIndex};
use cogzy_engine::vault::{Filter, Layout};

fn handles() -> Handles {
    // No daemon takes commands: a request that needs one is refused at once.
    let (commands, _) = mpsc::channel(1);
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::new());
    let board = Board::new(board::tests::status(), Meter::default(), clock.clone());
    let ports = Ports {
        fs: Arc::new(RealFs),
        remote: Arc::new(MemoryRemote::default()),
        meter: Meter::default(),
        database: Arc::new(Database::in_memory().unwrap()),
        clock,
        entropy: Arc::new(SystemEntropy),
    };
    let settings = Settings {
        remote: "memory:".into(),
        device_name: "test".into(),
        settle: Duration::ZERO,
        rehash: Duration::MAX,
        filter: Filter::new(&[], &[]).unwrap(),
        filter_record: FilterRecord::default(),
        brakes: Brakes { max_delete_percent: 50, max_shrink_percent: 50, min_files: 20 },
        limits: Limits::default(),
        threads: NonZeroUsize::MIN,
        trash: Duration::MAX,
        retention: cogzy_engine::sync::Retention {
            generations: 100,
            age: Duration::ZERO,
            grace: Duration::ZERO,
        },
        max_invalid: Duration::MAX,
        stale_index: StaleIndex::default(),
        merge: Merge::default(),
        rules: cogzy_engine::sync::Rules::default(),
        texts: cogzy_engine::model::Texts::default(),
        search: cogzy_engine::vault::validate::Search::Full,
        seen: None,
    };
    let engine = Engine::new(Layout::new(folder.path()), ports, settings);
    let events = events::tests::events(folder.path());
    let pulse = Pulse::new(Duration::MAX, Arc::new(SystemClock::new()));
    Handles::new(board, commands, events, watch::Sender::new(false), pulse, engine)
}

async fn answer(method: &Method, path: &str, headers: &[(&str, &str)]) -> StatusCode {
    let service = TowerToHyperService::new(router(handles()));
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    service.call(request.body(Body::empty()).unwrap()).await.unwrap().status()
}

fn documented() -> BTreeMap<String, BTreeSet<Method>> {
    let document = serde_json::to_value(openapi::family(&families()).document).unwrap();
    let methods = |operations: &serde_json::Value| {
        let names = operations.as_object().unwrap().keys();
        names.map(|name| name.to_uppercase().parse().unwrap()).collect()
    };
    let paths = document["paths"].as_object().unwrap();
    paths.iter().map(|(path, operations)| (path.clone(), methods(operations))).collect()
}

#[tokio::test]
async fn every_route_is_in_the_document_with_its_methods() {
    let documented = documented();
    let routes: Vec<&str> =
        families().into_iter().flat_map(|family| family.routes).map(|route| route.path).collect();
    let named: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
    assert_eq!(routes.iter().copied().collect::<BTreeSet<_>>(), named);
    assert_eq!(routes.len(), named.len(), "a route stands twice");
    for (path, methods) in &documented {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let taken =
                answer(&method, &path.replace("{id}", "0"), &[]).await != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(taken, methods.contains(&method), "{method} {path}");
        }
    }
}

#[test]
fn every_schema_that_the_document_names_is_in_it() {
    let document = serde_json::to_value(openapi::family(&families()).document).unwrap();
    let text = document.to_string();
    let named = text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for name in named {
        assert!(document["components"]["schemas"][name].is_object(), "{name} is named but not described");
    }
    assert!(document["components"]["schemas"]["StatusDocument"]["properties"]["holds"].is_object());
}

#[tokio::test]
async fn browsers_and_unknown_resources_are_refused() {
    assert_eq!(answer(&Method::GET, "/v1/status", &[]).await, StatusCode::OK);
    for header in ["origin", "referer"] {
        let refused = answer(&Method::GET, "/v1/status", &[(header, "http://localhost")]).await;
        assert_eq!(refused, StatusCode::FORBIDDEN, "{header}");
    }
    assert_eq!(answer(&Method::GET, "/v1/nothing", &[]).await, StatusCode::NOT_FOUND);
    assert_eq!(
        answer(&Method::POST, "/v1/sync", &[("content-length", "1073741824")]).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

/// One lost pack may hold thousands of files, and a restore may name as many.
#[tokio::test]
async fn long_lists_are_taken_where_a_request_names_many_things() {
    for path in ["/v1/restore", "/v1/verify", "/v1/conflicts/resolve"] {
        let answered = answer(&Method::POST, path, &[("content-length", "1048576")]).await;
        assert_ne!(answered, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
}
