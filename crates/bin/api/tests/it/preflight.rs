//! `GET /environments/{name}/preflight` asks the agents that wait, and judges what they and the database say.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use slipway_domain::Role;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{TestApp, closure, observation};

fn facts(of: Option<(&str, &str)>) -> Value {
    let mut facts =
        json!({ "memory": { "total_bytes": 1 << 30, "available_bytes": 1 << 29, "swap_free_bytes": 0 } });
    if let Some((host, availability)) = of {
        facts["closure"] = json!({
            "path": closure(host), "availability": availability, "download_bytes": 1, "unpacked_bytes": 1,
        });
    }
    facts
}

struct Fleet {
    app: TestApp,
    hosts: Vec<String>,
    release: String,
}

impl Fleet {
    async fn new(pool: PgPool) -> Self {
        let app = TestApp::new(pool).await;
        let hosts = app.fleet("prod", &["web-1", "web-2"]).await;
        let release = app.release(&["web-1", "web-2"]).await;
        Self { app, hosts, release }
    }

    async fn sync(&self, host: usize, facts: Option<Value>) -> Value {
        let mut seen = observation(&format!("web-{}", host + 1));
        if let Some(facts) = facts {
            seen["facts"] = facts;
        }
        let answer = self
            .app
            .call(Method::POST, route::AGENT_SYNC, &self.hosts[host], Some(seen));
        answer.await.expect(200).body
    }

    /// An agent that waits for what it is told, as real ones do.
    async fn parked(&self, host: usize) -> Value {
        let request = Request::builder()
            .method(Method::POST)
            .uri(route::AGENT_SYNC)
            .header("authorization", format!("Bearer {}", self.hosts[host]))
            .header("content-type", "application/json")
            .header("prefer", "wait=20")
            .body(Body::from(observation(&format!("web-{}", host + 1)).to_string()));
        self.app.send(request.unwrap()).await.expect(200).body
    }

    async fn preflight(&self) -> Value {
        let path = route::fill(route::PREFLIGHT, "prod");
        let path = format!("{path}?release={}", self.release);
        self.app.get(&path).await.expect(200).body
    }
}

fn of<'a>(report: &'a Value, check: &str) -> Vec<&'a Value> {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|finding| finding["check"] == check)
        .collect()
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn agents_that_wait_are_asked_and_answer_while_somebody_waits(pool: PgPool) {
    let it = Fleet::new(pool).await;
    it.sync(0, Some(facts(None))).await;
    it.sync(1, None).await;
    let began = Instant::now();
    let (report, ()) = tokio::join!(it.preflight(), async {
        let told = it.parked(0).await;
        assert_eq!(told["do"], "probe", "{told}");
        assert_eq!(told["closure"], closure("web-1"));
        it.sync(0, Some(facts(Some(("web-1", "missing"))))).await;
    });
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    // The agent of web-2 is of before facts: it is not asked, and nothing of it is passed.
    assert_eq!(report.get("unanswered"), None, "{report}");
    assert_eq!((&report["blocked"], &report["hosts"]), (&json!(true), &json!(2)));
    let paths = of(&report, "cache-paths");
    let outcome = |outcome: &str| paths.iter().find(|found| found["outcome"] == outcome).unwrap();
    assert_eq!(outcome("blocking")["hosts"], json!(["web-1"]));
    assert_eq!(outcome("unknown")["hosts"], json!(["web-2"]));
    let memory = of(&report, "memory");
    assert_eq!(memory.len(), 2, "{memory:?}");
    // Answered: nobody is asked again.
    assert_eq!(
        it.app
            .app
            .store
            .find_probes(&[it.app.host_id("web-1").await])
            .await
            .unwrap()
            .len(),
        0
    );
    // No worker runs here.
    assert_eq!(of(&report, "workers")[0]["outcome"], "blocking");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_agent_that_does_not_answer_is_named_in_time(pool: PgPool) {
    let it = Fleet::new(pool).await;
    it.sync(0, Some(facts(None))).await;
    let began = Instant::now();
    let report = it.preflight().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(report["unanswered"], json!(["web-1"]));
    assert_eq!(of(&report, "cache")[0]["outcome"], "unknown");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn facts_are_bounded_and_those_that_are_too_long_are_not_kept(pool: PgPool) {
    let it = Fleet::new(pool).await;
    let certificates: Vec<Value> = (0..1000)
        .map(|n| json!({ "file": format!("/c/{n}\u{0}{}", "x".repeat(800)), "expires": null }))
        .collect();
    it.sync(0, Some(json!({ "certificates": certificates }))).await;
    let kept: Value = sqlx::query_scalar("SELECT facts FROM host_facts")
        .fetch_one(&it.app.pool)
        .await
        .unwrap();
    let kept = kept["certificates"].as_array().unwrap();
    assert_eq!(kept.len(), 64);
    assert!(
        kept[0]["file"].as_str().unwrap().chars().count() <= 401,
        "{}",
        kept[0]
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_is_not_there_is_told(pool: PgPool) {
    let it = Fleet::new(pool).await;
    let viewer = it.app.principal("v", Role::Viewer).await;
    let ask = async |environment: &str, release: &str| {
        let path = route::fill(route::PREFLIGHT, environment);
        it.app
            .call(Method::GET, &format!("{path}?release={release}"), &viewer, None)
            .await
    };
    ask("prod", &it.release).await.expect(200);
    ask("none", &it.release).await.expect(404);
    ask("prod", "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10")
        .await
        .expect(404);
    ask("prod", "no-release").await.expect(404);
    ask("prod", "No-Release").await.expect(400);
    // An environment that the release has no host of.
    it.app
        .post(route::ENVIRONMENTS, json!({ "name": "empty" }))
        .await
        .expect(201);
    let report = ask("empty", &it.release).await.expect(200).body;
    assert_eq!(of(&report, "release-hosts")[0]["outcome"], "blocking");
}
