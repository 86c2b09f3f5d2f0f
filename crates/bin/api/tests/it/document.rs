//! The `OpenAPI` document.

use std::path::Path;

use slipway_api::auth::Access;
use slipway_api::openapi;
use slipway_api::router::endpoints;

#[test]
fn the_document_and_the_table_have_the_same_routes() {
    let document = serde_json::to_value(openapi::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut described: Vec<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .keys()
                .map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let mut served: Vec<String> = endpoints()
        .iter()
        .map(|endpoint| format!("{} {}", endpoint.method, endpoint.path))
        .collect();
    described.sort();
    served.sort();
    assert_eq!(described, served);
    for endpoint in endpoints() {
        let operation = &paths[endpoint.path][endpoint.method.as_str().to_lowercase()];
        assert_eq!(
            operation["security"].is_array(),
            endpoint.access != Access::Open,
            "{}",
            endpoint.path
        );
        assert!(
            operation["summary"].is_string() && operation["operationId"].is_string(),
            "{operation:#}"
        );
    }
}

#[test]
fn operations_have_names_of_their_own() {
    let document = serde_json::to_value(openapi::document()).unwrap();
    let mut names: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/openapi.json");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, openapi::JSON.as_str()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == *openapi::JSON,
        "docs/openapi.json is not up to date; run this test with UPDATE_GENERATED=1"
    );
}
