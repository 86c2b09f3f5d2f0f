//! What documents cost: how many are held in memory at once, and whether other requests go on while one is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Builder;
use axum::http::{Request, Response, StatusCode};
use futures_util::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use slipway_api::attachment::MOST_HELD;
use slipway_domain::digest::Digest;
use slipway_testkit::thread_cpu_time;
use slipway_wire::attachment::{MAX_DOCUMENT_BYTES, MAX_ENTRIES};
use slipway_wire::limits::{MESSAGE_CHARS, SEARCH_WORDS};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;

/// The least of some tries counts: this thread also computes the password's proof where a request opens a connection.
const TRIES: usize = 3;

/// A bill of materials as long as may be, with as many components as may be.
fn longest() -> String {
    // Of letters that take two bytes, and so are not quickly made small.
    let name = "É".repeat((MAX_DOCUMENT_BYTES / MAX_ENTRIES - 30) / 2);
    let all: Vec<Value> = (0..MAX_ENTRIES)
        .map(|n| json!({ "name": format!("{n:05}{name}x") }))
        .collect();
    let text = json!({ "bomFormat": "CycloneDX", "components": all }).to_string();
    assert!(text.len() <= MAX_DOCUMENT_BYTES);
    text
}

/// What this thread computes for something. In these tests it serves all requests.
async fn computed<T>(something: impl Future<Output = T>) -> (T, Duration) {
    let before = thread_cpu_time();
    let done = something.await;
    (done, thread_cpu_time().saturating_sub(before))
}

impl World {
    fn request(&self, method: &str, path: &str) -> Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.app.admin))
            .header("content-type", "application/json")
    }

    fn document(&self) -> Request<Body> {
        let path = route::fill(route::RELEASE_DOCUMENT, 1);
        let request = self.request("GET", &format!("{path}?kind=sbom"));
        request.body(Body::empty()).unwrap()
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app.router.clone().oneshot(request).await.unwrap()
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_thread_that_serves_requests_searches_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    let text = longest();
    world.attach("sbom", &text).await.expect(200);
    // The least that a search does.
    let (_, inline) = computed(async { text.to_lowercase() }).await;
    // Each is found at the end.
    let words: Vec<String> = (0..SEARCH_WORDS)
        .map(|n| format!("{}x", "%C3%A9".repeat(n)))
        .collect();
    let words = words.join("+");
    let mut took = [Duration::MAX; 2];
    for _ in 0..TRIES {
        for (least, query) in took
            .iter_mut()
            .zip(["?limit=1".to_owned(), format!("?limit=1&text={words}")])
        {
            let path = route::fill(route::RELEASE_COMPONENTS, 1);
            let request = world.request("GET", &format!("{path}{query}"));
            let (found, of_query) = computed(world.send(request.body(Body::empty()).unwrap())).await;
            *least = of_query.min(*least);
            let body = found.into_body().collect().await.unwrap().to_bytes();
            let told: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(told["total"], MAX_ENTRIES);
        }
    }
    eprintln!("without and with words: {took:?}, inline: {inline:?}");
    assert!(
        took[1] < took[0] + inline / 2,
        "without and with words: {took:?}, inline: {inline:?}"
    );
}

/// Reading the body, reading the document in it and hashing it are work of other threads. The hash alone is the measure.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_thread_that_serves_requests_neither_reads_nor_hashes_documents(pool: PgPool) {
    let world = World::new(pool).await;
    let text = longest();
    let (digest, inline) = computed(async { Digest::of_bytes(text.as_bytes()) }).await;
    let body = json!({ "kind": "sbom", "document": text }).to_string();
    let path = route::fill(route::RELEASE_ATTACHMENTS, 1);
    let attach = || {
        let body = Body::from(body.clone());
        world.request("POST", &path).body(body).unwrap()
    };
    let requests: [(&str, &dyn Fn() -> Request<Body>); 2] =
        [("attach", &attach), ("read", &|| world.document())];
    for (what, request) in requests {
        let mut took = Duration::MAX;
        for _ in 0..TRIES {
            let (answer, of_request) = computed(world.send(request())).await;
            took = of_request.min(took);
            assert_eq!(answer.status(), StatusCode::OK);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let told: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(told["digest"], digest.to_string());
        }
        eprintln!("{what}: {took:?}, inline: {inline:?}");
        assert!(took < inline / 2, "{what}: {took:?}, inline: {inline:?}");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn words_that_are_searched_for_are_few_and_short(pool: PgPool) {
    let world = World::new(pool).await;
    world.attach("sbom", &sbom(1)).await.expect(200);
    let (long, many) = ("x".repeat(MESSAGE_CHARS + 1), ["x"; SEARCH_WORDS + 1].join("+"));
    for (text, said) in [
        (long, "it has 2001 characters; use at most 2000"),
        (many, "it has 11 words; use at most 10"),
    ] {
        for path in [
            route::fill(route::RELEASE_COMPONENTS, 1),
            route::fill(route::RELEASE_VULNERABILITIES, 1),
            route::FLEET_HOSTS.to_owned(),
        ] {
            let refused = world.app.get(&format!("{path}?text={text}")).await.expect(422);
            assert!(refused.field("text").contains(said), "{path}: {:#}", refused.body);
        }
    }
    let most = ["x"; SEARCH_WORDS].join("+");
    let found = world
        .get(route::RELEASE_COMPONENTS, &format!("?text={most}"))
        .await
        .expect(200);
    assert_eq!(found.body["total"], 0);
}

/// Many upload at once, slowly. The api begins to read a few, sends the others away, and serves other requests meanwhile.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn only_a_few_uploads_are_begun_at_once(pool: PgPool) {
    const UPLOADS: usize = 24;

    let world = World::new(pool).await;
    let (begun, go_on) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let mut uploads = JoinSet::new();
    for n in 0..UPLOADS {
        let (begun, go_on) = (Arc::clone(&begun), go_on.clone());
        let body = json!({ "kind": "sbom", "document": sbom(n) }).to_string();
        let (first, second) = body.split_at(20);
        let second = Bytes::copy_from_slice(second.as_bytes());
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::copy_from_slice(first.as_bytes()))]);
        let rest = stream::once(async move {
            begun.fetch_add(1, Ordering::SeqCst);
            go_on.cancelled().await;
            Ok(second)
        });
        let path = route::fill(route::RELEASE_ATTACHMENTS, 1);
        let request = world
            .request("POST", &path)
            .body(Body::from_stream(first.chain(rest)));
        uploads.spawn(world.app.router.clone().oneshot(request.unwrap()));
    }
    for _ in MOST_HELD..UPLOADS {
        let refused = uploads.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let seconds: u64 = refused.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..10).contains(&seconds), "{seconds}");
    }
    assert_eq!(begun.load(Ordering::SeqCst), MOST_HELD);
    world.get(route::RELEASE_ATTACHMENTS, "").await.expect(200);
    go_on.cancel();
    while let Some(attached) = uploads.join_next().await {
        assert_eq!(attached.unwrap().unwrap().status(), StatusCode::OK);
    }
    world.attach("sbom", &sbom(1)).await.expect(200);
}

/// A document keeps its place while its bytes are in memory: the server drops the body before a slow client has them.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn only_a_few_answers_with_documents_are_held_at_once(pool: PgPool) {
    let world = World::new(pool).await;
    world.attach("sbom", &sbom(1)).await.expect(200);
    let mut held = Vec::new();
    for _ in 0..MOST_HELD {
        let answer = world.send(world.document()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        held.push(answer.into_body().collect().await.unwrap().to_bytes());
    }
    let refused = world.send(world.document()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    held.pop();
    assert_eq!(world.send(world.document()).await.status(), StatusCode::OK);
}
