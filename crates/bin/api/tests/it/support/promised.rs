//! Holds what the tests send and get against docs/openapi.json, which clients are generated from.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::panic::catch_unwind;

use axum::http::{Method, Uri};
use boon::{Compiler, Schemas};
use serde_json::{Map, Value, json};
use slipway_api::openapi;
use slipway_wire::route;
use sqlx::PgPool;

use super::TestApp;

const DOCUMENT: &str = "http://slipway.invalid/openapi.json";

thread_local! {
    static PROMISED: RefCell<Promised> = RefCell::new(Promised::read());
}

struct Promised {
    document: Value,
    compiler: Compiler,
    schemas: Schemas,
}

impl Promised {
    fn read() -> Self {
        let mut document: Value = serde_json::from_str(&openapi::JSON).unwrap();
        let mut parts = Vec::new();
        note_parts(&document, &mut parts);
        for (name, schema) in document["components"]["schemas"].as_object_mut().unwrap() {
            if !parts.contains(&format!("#/components/schemas/{name}")) {
                close(schema);
            }
        }
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(DOCUMENT, document.clone()).unwrap();
        Self {
            document,
            compiler,
            schemas: Schemas::new(),
        }
    }

    /// What the document says of this request, with its place; nothing of paths that are no part of the API.
    fn operation(&self, method: &Method, path: &str) -> Option<(String, &Value)> {
        let paths = self.document["paths"].as_object()?;
        let method = method.as_str().to_lowercase();
        // A word in a path goes before a parameter: /releases/drafts is no release.
        let parameters = |template: &&String| template.matches('{').count();
        let template = paths
            .keys()
            .filter(|template| fits(template, path))
            .min_by_key(parameters)?;
        let operation = paths[template].get(&method)?;
        Some((pointer(&["paths", template, &method]), operation))
    }

    /// The place that this one refers to.
    fn resolve(&self, place: String) -> String {
        let to = self.document.pointer(&place).and_then(|at| at["$ref"].as_str());
        to.map_or(place, |to| to.trim_start_matches('#').to_owned())
    }

    /// What is wrong with this value by the schema of this content.
    fn against(&mut self, content: &str, value: &Value) -> Result<(), String> {
        let types = self.document.pointer(content).and_then(Value::as_object);
        let Some(kind) = types
            .into_iter()
            .flat_map(Map::keys)
            .find(|kind| kind.contains("json"))
        else {
            let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
            return if is_empty || value.is_string() {
                Ok(())
            } else {
                Err(format!("{content} promises no JSON"))
            };
        };
        if !types.is_some_and(|types| types[kind]["schema"].is_object()) {
            return Ok(());
        }
        // A fragment has no braces.
        let place = format!("{content}{}", pointer(&[kind, "schema"]))
            .replace('{', "%7B")
            .replace('}', "%7D");
        let place = format!("{DOCUMENT}#{place}");
        let schema = self
            .compiler
            .compile(&place, &mut self.schemas)
            .map_err(|error| format!("{error:#}"))?;
        self.schemas
            .validate(value, schema)
            .map_err(|error| format!("{error}"))
    }
}

/// What other schemas are made of: `allOf` these.
fn note_parts(value: &Value, parts: &mut Vec<String>) {
    for part in value["allOf"].as_array().into_iter().flatten() {
        parts.extend(part["$ref"].as_str().map(ToOwned::to_owned));
    }
    let object = value.as_object().into_iter().flat_map(Map::values);
    let list = value.as_array().into_iter().flatten();
    object.chain(list).for_each(|inner| note_parts(inner, parts));
}

/// Clients may get more than they know. These tests may not: what an answer has, the document names.
fn close(schema: &mut Value) {
    let is_open = schema.get("additionalProperties").is_none();
    if is_open && (schema["properties"].is_object() || schema["allOf"].is_array()) {
        schema["unevaluatedProperties"] = false.into();
    }
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    fields.into_iter().flatten().for_each(|(_, field)| close(field));
    let variants = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    variants.into_iter().flatten().for_each(close);
    schema.get_mut("items").into_iter().for_each(close);
}

/// Fails unless the document promises this answer.
#[track_caller]
pub(super) fn assert_promised(method: &Method, uri: &Uri, status: u16, body: &Value) {
    PROMISED.with_borrow_mut(|promised| {
        let Some((place, operation)) = promised.operation(method, uri.path()) else {
            return;
        };
        let answer = status.to_string();
        assert!(
            operation["responses"].get(&answer).is_some(),
            "docs/openapi.json knows no {status} of {method} {uri}: {body:#}"
        );
        let place = promised.resolve(place + &pointer(&["responses", &answer]));
        if let Err(error) = promised.against(&(place + "/content"), body) {
            panic!("{method} {uri} answered {status} with what docs/openapi.json does not promise: {error}\n{body:#}");
        }
    });
}

/// Fails unless the document lets clients ask this, which the API took.
#[track_caller]
pub(super) fn assert_askable(method: &Method, uri: &Uri, body: Option<&Value>) {
    PROMISED.with_borrow_mut(|promised| {
        let Some((place, operation)) = promised.operation(method, uri.path()) else {
            return;
        };
        let known: Vec<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        for (name, _) in uri.query().into_iter().flat_map(pairs) {
            assert!(
                known.contains(&name),
                "{method} {uri} took `{name}`, which docs/openapi.json does not name"
            );
        }
        let Some(body) = body else { return };
        if let Err(error) = promised.against(&(place + "/requestBody/content"), body) {
            panic!("{method} {uri} took what docs/openapi.json does not allow: {error}\n{body:#}");
        }
    });
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn fits(template: &str, path: &str) -> bool {
    let mut parts = template.split('/').zip(path.split('/'));
    template.split('/').count() == path.split('/').count()
        && parts.all(|(want, got)| want == got || (want.starts_with('{') && !got.is_empty()))
}

/// A JSON pointer to these keys.
fn pointer(keys: &[&str]) -> String {
    let mut pointer = String::new();
    for key in keys {
        let _ = write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_the_document_does_not_promise_is_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = app.get(route::WHOAMI).await.expect(200).body;
    let uri = Uri::from_static(route::WHOAMI);
    let fails = |status: u16, body: &Value| {
        catch_unwind(|| assert_promised(&Method::GET, &uri, status, body)).is_err()
    };
    assert!(!fails(200, &body));
    assert!(fails(201, &body), "another status");
    for (field, value) in [("extra", json!(1)), ("role", json!("Admin")), ("name", json!(7))] {
        let mut changed = body.clone();
        changed[field] = value;
        assert!(fails(200, &changed), "{changed:#}");
    }
    let mut less = body;
    less.as_object_mut().unwrap().remove("name").unwrap();
    assert!(fails(200, &less), "{less:#}");
}
