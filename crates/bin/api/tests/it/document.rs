//! The `OpenAPI` document.

use std::path::Path;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Map, Value, json};
use slipway_api::auth::Access;
use slipway_api::openapi;
use slipway_api::router::{Endpoint, endpoints};
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{TestApp, closure};

/// What an agent saw is cut to a length and never refused, and a password is as long as its owner likes.
const WITHOUT_BOUNDS: [&str; 3] = ["Observation", "AttemptReport", "LoginRequest.password"];

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
        let operation = &paths[&endpoint.path][endpoint.method.as_str().to_lowercase()];
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
fn the_committed_document_is_as_generated() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/openapi.json");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, openapi::JSON.as_str()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == *openapi::JSON,
        "docs/openapi.json is not up to date; renew it: UPDATE_GENERATED=1 cargo test generated"
    );
}

fn document() -> Value {
    serde_json::to_value(openapi::document()).unwrap()
}

fn operation<'a>(document: &'a Value, endpoint: &Endpoint) -> &'a Value {
    &document["paths"][&endpoint.path][endpoint.method.as_str().to_lowercase()]
}

/// The schema that a reference leads to, with its name.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> (&'a str, &'a Value) {
    match schema["$ref"].as_str().and_then(|to| to.rsplit('/').next()) {
        Some(name) => (name, &document["components"]["schemas"][name]),
        None => ("", schema),
    }
}

/// Says where a value can be of any size.
fn unbounded(document: &Value, schema: &Value, place: &str, found: &mut Vec<String>) {
    let (name, schema) = resolve(document, schema);
    let place = if name.is_empty() { place } else { name };
    if WITHOUT_BOUNDS.contains(&place) {
        return;
    }
    for part in schema["oneOf"].as_array().into_iter().flatten() {
        unbounded(document, part, place, found);
    }
    let has = |keys: &[&str]| keys.iter().any(|key| schema.get(*key).is_some());
    let is = |kind: &str| {
        let of = &schema["type"];
        of == kind
            || of
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|of| of == kind))
    };
    let is_bounded = if is("string") {
        has(&["maxLength", "pattern", "format", "enum"])
    } else if is("integer") {
        has(&["minimum"]) && has(&["maximum", "format"])
    } else {
        true
    };
    if !is_bounded {
        found.push(place.to_owned());
    }
    for (field, value) in schema["properties"].as_object().into_iter().flatten() {
        unbounded(document, value, &format!("{place}.{field}"), found);
    }
    for part in ["additionalProperties", "propertyNames", "items"] {
        if schema[part].is_object() {
            unbounded(document, &schema[part], &format!("{place}.{part}"), found);
        }
    }
}

#[test]
fn every_value_of_a_request_has_a_bound_in_the_document() {
    let document = document();
    let mut found = Vec::new();
    for endpoint in endpoints() {
        let operation = operation(&document, &endpoint);
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        if body.is_object() {
            unbounded(&document, body, &endpoint.path, &mut found);
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            // What is not understood of a preference is ignored, as its RFC says.
            if parameter["in"] != "header" {
                unbounded(&document, &parameter["schema"], &endpoint.path, &mut found);
            }
        }
    }
    assert_eq!(found, [""; 0]);
}

/// A good request for each route that takes a body, but for the agent's.
fn good_requests(release: &str) -> Vec<(&'static str, Method, String, Value)> {
    let strategy = || serde_json::to_value(slipway_domain::Strategy::default()).unwrap();
    let words = json!({ "flake_ref": "github:a/b", "rev": "0", "nar_hash": "sha256-" });
    let closures = json!({ "web-1": closure("web-1") });
    let post = |route: &'static str, body| (route, Method::POST, route.to_owned(), body);
    let command = route::fill(route::ROLLOUT_COMMANDS, release);
    vec![
        post(
            route::LOGIN,
            json!({ "name": "admin", "password": "x", "label": "x" }),
        ),
        post(route::PRINCIPALS, json!({ "name": "ci", "role": "viewer" })),
        post(route::TOKENS, json!({ "label": "x", "expires_in_days": 1 })),
        post(
            route::ENVIRONMENTS,
            json!({ "name": "test", "strategy": strategy(), "windows": ["09:00-16:00 UTC"] }),
        ),
        (
            route::ENVIRONMENT_FREEZES,
            Method::POST,
            route::fill(route::ENVIRONMENT_FREEZES, "prod"),
            json!({ "until": "2126-01-01T00:00:00Z", "reason": "x" }),
        ),
        (
            route::ENVIRONMENT,
            Method::PATCH,
            route::fill(route::ENVIRONMENT, "prod"),
            json!({ "strategy": strategy() }),
        ),
        post(
            route::HOSTS,
            json!({ "name": "web-2", "environment": "prod", "labels": { "a": "b" } }),
        ),
        (
            route::HOST,
            Method::PATCH,
            route::fill(route::HOST, "web-1"),
            json!({ "environment": "prod" }),
        ),
        post(
            route::RELEASES,
            json!({ "closures": closures, "source": words, "message": "x" }),
        ),
        post(
            route::SIGNED_RELEASES,
            json!({ "manifest": "{}", "signatures": ["x"], "message": "x" }),
        ),
        post(route::DRAFTS, json!({ "source": words, "message": "x" })),
        (
            route::DRAFT_CLOSURES,
            Method::POST,
            route::fill(route::DRAFT_CLOSURES, release),
            json!({ "closures": closures }),
        ),
        (
            route::DRAFT_SEAL,
            Method::POST,
            route::fill(route::DRAFT_SEAL, release),
            json!({ "hosts": 1 }),
        ),
        post(
            route::ROLLOUTS,
            json!({ "environment": "prod", "release": release, "strategy": strategy(), "override_freeze": "x" }),
        ),
        (
            route::ROLLOUT_COMMANDS,
            Method::POST,
            command,
            json!({ "command": "pause", "reason": "x" }),
        ),
    ]
}

/// The value with everything that the schema bounds just beyond its bound, one at a time.
fn beyond(document: &Value, schema: &Value, value: &Value) -> Vec<Value> {
    let (_, schema) = resolve(document, schema);
    if let Some(fields) = value.as_object() {
        let mut all = Vec::new();
        let mut put = |field: &str, wrong: Value| {
            let mut changed = fields.clone();
            changed.insert(field.to_owned(), wrong);
            all.push(Value::Object(changed));
        };
        for (field, inner) in fields {
            let inner_schema = schema["properties"]
                .get(field)
                .unwrap_or(&schema["additionalProperties"]);
            for wrong in beyond(document, inner_schema, inner) {
                put(field, wrong);
            }
        }
        if schema["propertyNames"].is_object() {
            put("?", fields.values().next().cloned().unwrap_or_default());
        }
        if schema["minProperties"] == 1 {
            all.push(Value::Object(Map::new()));
        }
        if let Some(most) = schema["maxProperties"].as_u64() {
            let many = (0..=most).map(|n| (format!("a{n}"), json!("b")));
            all.push(Value::Object(many.collect()));
        }
        return all;
    }
    let one_of = schema["oneOf"].as_array().into_iter().flatten();
    let mut all: Vec<Value> = one_of
        .filter(|part| part["$ref"].is_string())
        .flat_map(|part| beyond(document, part, value))
        .collect();
    if let Some(most) = schema["maxLength"].as_u64() {
        all.push(Value::from("x".repeat(usize::try_from(most).unwrap() + 1)));
    }
    if schema["minLength"] == 1 {
        all.push(json!(""));
    }
    if schema["pattern"].is_string() {
        all.push(json!("?"));
    }
    if schema["format"] == "uuid" {
        all.push(json!("7"));
    }
    if schema["enum"].is_array() {
        all.push(json!("nothing"));
    }
    all.extend(schema["maximum"].as_u64().map(|most| json!(most + 1)));
    all.extend(schema["minimum"].as_i64().map(|least| json!(least - 1)));
    all
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_is_beyond_a_documented_bound_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let release = app.release(&["web-1"]).await;
    let document = document();
    let mut tried = 0;
    for (route, method, path, good) in good_requests(&release) {
        let endpoint = endpoints()
            .into_iter()
            .find(|e| e.path == route && e.method == method);
        let operation = operation(&document, &endpoint.unwrap());
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        for wrong in beyond(&document, schema, &good) {
            let answer = app
                .call(method.clone(), &path, &app.admin, Some(wrong.clone()))
                .await;
            let shown: String = wrong.to_string().chars().take(300).collect();
            assert!(
                [400, 422].contains(&answer.status),
                "{method} {path} {shown}: {} {:#}",
                answer.status,
                answer.body
            );
            tried += 1;
        }
    }
    assert!(tried > 40, "{tried}");
    for path in [
        route::HOSTS,
        route::RELEASES,
        route::ROLLOUTS,
        route::TOKENS,
        route::EVENTS,
    ] {
        for query in [
            "limit=0",
            "limit=501",
            "limit=-1",
            "after=-1",
            &format!("after={}", "9".repeat(64)),
        ] {
            let answer = app.get(&format!("{path}?{query}")).await;
            assert!(
                [400, 422].contains(&answer.status),
                "{path}?{query}: {}",
                answer.status
            );
        }
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn every_answer_is_documented(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let host = app.fleet("prod", &["web-1"]).await.remove(0);
    let viewer = app.principal("eve", Role::Viewer).await;
    let release = app.release(&["web-1"]).await;
    let document = document();
    let large = " ".repeat(slipway_api::error::MAX_BODY_BYTES + 1);
    for endpoint in endpoints() {
        let documented = operation(&document, &endpoint)["responses"].as_object().unwrap();
        let names = ["nobody", "web-1", release.as_str(), "%3F"];
        let count = if endpoint.path.contains('{') {
            names.len()
        } else {
            1
        };
        for name in &names[..count] {
            let path = if count == 1 {
                endpoint.path.clone()
            } else {
                route::fill(&endpoint.path, name)
            };
            for token in [
                None,
                Some("slw_none"),
                Some(&*host),
                Some(&*viewer),
                Some(&*app.admin),
            ] {
                for (media, body) in [
                    ("application/json", "{}"),
                    ("application/json", "{"),
                    ("text/plain", "x"),
                    ("application/json", &large),
                ] {
                    let mut request = Request::builder()
                        .method(endpoint.method.clone())
                        .uri(&path)
                        .header("content-type", media);
                    if let Some(token) = token {
                        request = request.header("authorization", format!("Bearer {token}"));
                    }
                    let answer = app.send(request.body(Body::from(body.to_owned())).unwrap()).await;
                    assert!(
                        documented.contains_key(&answer.status.to_string()),
                        "{} {path}: {} is not among {:?}",
                        endpoint.method,
                        answer.status,
                        documented.keys().collect::<Vec<_>>()
                    );
                }
            }
        }
    }
}
