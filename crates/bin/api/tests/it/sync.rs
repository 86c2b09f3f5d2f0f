//! Agents: observations, instructions, and waiting for them.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use slipway_domain::HostId;
use slipway_wire::route;
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::support::{Answer, TestApp, closure, observation};

async fn sync(app: &TestApp, token: &str, observation: &Value, prefer: Option<&str>) -> Answer {
    let mut request = Request::post(route::AGENT_SYNC)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    if let Some(prefer) = prefer {
        request = request.header("prefer", prefer);
    }
    app.send(request.body(Body::from(observation.to_string())).unwrap())
        .await
}

/// What the worker does when it begins an attempt. Gives the attempt.
async fn begin_staging(app: &TestApp, host: HostId) -> String {
    app.bring_steps(Some(host), "staging").await;
    sqlx::query_scalar("SELECT attempt::text FROM steps WHERE host_id = $1")
        .bind(host.as_uuid())
        .fetch_one(&app.pool)
        .await
        .unwrap()
}

/// Somebody with the database could otherwise make hosts act without a rollout and its approval.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_step_that_was_driven_by_hand_tells_its_host_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    app.rollout("prod", &["web-1"]).await;
    for state in ["staging", "activating", "reverting"] {
        sqlx::query("UPDATE steps SET state = $1, attempt = gen_random_uuid()")
            .bind(state)
            .execute(&app.pool)
            .await
            .unwrap();
        for prefer in [None, Some("wait=1")] {
            let told = sync(&app, &token, &observation("web-1"), prefer)
                .await
                .expect(200);
            assert_eq!(told.body, json!({ "do": "idle" }), "{state}");
        }
    }
}

/// One that leads takes the news of others along, who rely on it.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn news_are_noted_also_when_the_request_that_notes_them_is_cut_off(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tokens = app.fleet("prod", &["web-1", "web-2"]).await;
    let seen = ["web-1", "web-2"].map(|host| {
        let mut seen = observation(host);
        seen["live"] = json!(closure(host));
        seen
    });
    let mut log = PgConnection::connect_with(&app.pool.connect_options())
        .await
        .unwrap();
    sqlx::raw_sql("BEGIN; SELECT FROM event_head FOR UPDATE")
        .execute(&mut log)
        .await
        .unwrap();
    let waits = async || {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waits)
            .fetch_one(&app.pool)
            .await
            .unwrap()
            == 0
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = async {
        tokio::select! {
            _ = sync(&app, &tokens[0], &seen[0], None) => panic!("it does not wait for the log"),
            () = waits() => {}
        }
        // The first request is gone now.
        let second = sync(&app, &tokens[1], &seen[1], None);
        let free = async {
            sqlx::raw_sql("COMMIT").execute(&mut log).await.unwrap();
        };
        tokio::join!(second, free).0.expect(200);
    };
    tokio::time::timeout(Duration::from_secs(30), waited)
        .await
        .unwrap();
    let noted: i64 = sqlx::query_scalar("SELECT count(*) FROM hosts WHERE baseline IS NOT NULL")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(noted, 2);
}

async fn until_parked(app: &TestApp, hosts: usize) {
    for _ in 0..200 {
        if app.app.parking.hosts().len() == hosts {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!(
        "{} hosts are parked instead of {hosts}",
        app.app.parking.hosts().len()
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_agent_is_told_what_to_do_and_its_words_are_kept(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let idle = sync(&app, &token, &observation("web-1"), None).await.expect(200);
    assert_eq!(idle.body, json!({ "do": "idle" }));
    assert_eq!(idle.header("preference-applied"), "");
    app.rollout("prod", &["web-1"]).await;
    let host = app.host_id("web-1").await;
    let attempt = begin_staging(&app, host).await;
    // At once, although it would wait.
    let begin = Instant::now();
    let told = sync(&app, &token, &observation("web-1"), Some("wait=30"))
        .await
        .expect(200);
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert_eq!(told.header("preference-applied"), "wait=30");
    assert_eq!(
        (&told.body["do"], &told.body["attempt"]),
        (&json!("stage"), &json!(attempt))
    );
    assert_eq!(told.body["closure"], closure("web-1"));

    let mut seen = observation("web-1");
    seen["report"] = json!({ "attempt": attempt, "phase": "staging", "prior": null, "verdict": null,
        "message": "x".repeat(5000) });
    assert_eq!(
        sync(&app, &token, &seen, None).await.expect(200).body["do"],
        "idle"
    );
    let host = app.get(&route::fill(route::HOST, "web-1")).await.body;
    assert_eq!(host["report"]["phase"], "staging");
    assert_eq!(host["report"]["message"].as_str().unwrap().len(), 4000);
    assert_eq!(host["agent_version"], "1.0.0");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_bad_observation_names_its_field(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    for (field, value, said) in [
        ("live", json!("/nix/store/../x"), "is not a store path"),
        ("clock", json!("yesterday"), "input contains invalid characters"),
        ("report", json!({ "attempt": "1", "phase": "staged" }), "UUID"),
        (
            "report",
            json!({ "attempt": "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10", "phase": "done" }),
            "expected one of",
        ),
    ] {
        let mut seen = observation("web-1");
        seen[field] = value;
        let answer = sync(&app, &token, &seen, None).await.expect(400);
        let told = &answer.body["fields"][0];
        assert!(
            told["field"].as_str().unwrap().starts_with(field),
            "{:#}",
            answer.body
        );
        assert!(
            told["detail"].as_str().unwrap().contains(said),
            "{:#}",
            answer.body
        );
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_parked_agent_is_woken_through_redis(pool: PgPool) {
    let app = TestApp::with_redis(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    app.rollout("prod", &["web-1"]).await;
    let host = app.host_id("web-1").await;
    // The subscription is there once a wake-up gets through.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begin = Instant::now();
    let (told, attempt) = tokio::join!(
        async { sync(&app, &token, &observation("web-1"), Some("wait=30")).await },
        async {
            until_parked(&app, 1).await;
            let attempt = begin_staging(&app, host).await;
            app.app.wake.publish_hosts(&[host]).await;
            attempt
        }
    );
    assert_eq!(
        (&told.body["do"], &told.body["attempt"]),
        (&json!("stage"), &json!(attempt))
    );
    assert!(
        begin.elapsed() < Duration::from_millis(1500),
        "{:?}",
        begin.elapsed()
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_parked_agent_hears_without_redis_too(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    app.rollout("prod", &["web-1"]).await;
    let host = app.host_id("web-1").await;
    let begin = Instant::now();
    let (told, attempt) = tokio::join!(
        async { sync(&app, &token, &observation("web-1"), Some("wait=30")).await },
        async {
            until_parked(&app, 1).await;
            begin_staging(&app, host).await
        }
    );
    assert_eq!(told.body["attempt"], attempt);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_agent_without_news_waits_its_time_and_no_longer(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let begin = Instant::now();
    let told = sync(&app, &token, &observation("web-1"), Some("wait=1"))
        .await
        .expect(200);
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(3)).contains(&begin.elapsed()),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(told.body["do"], "idle");
    assert!(app.app.parking.hosts().is_empty());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_newer_sync_and_a_drain_answer_the_one_that_waits(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let seen = observation("web-1");
    let begin = Instant::now();
    let (older, newer, ()) = tokio::join!(
        async { sync(&app, &token, &seen, Some("wait=30")).await },
        async {
            until_parked(&app, 1).await;
            sync(&app, &token, &seen, Some("wait=29")).await
        },
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            app.stop.cancel();
        }
    );
    for answer in [older.expect(200), newer.expect(200)] {
        assert_eq!(answer.body["do"], "idle");
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let late = sync(&app, &token, &seen, Some("wait=30")).await.expect(200);
    assert_eq!(
        (&late.body["do"], late.header("connection")),
        (&json!("idle"), "close")
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_agent_that_goes_away_leaves_its_place(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let seen = observation("web-1");
    tokio::select! {
        _ = sync(&app, &token, &seen, Some("wait=30")) => panic!("answered without news"),
        () = until_parked(&app, 1) => {}
    }
    until_parked(&app, 0).await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn old_news_and_a_second_machine_are_refused_by_name_and_shown(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let seen = |boot: &str, counter: u64| {
        let mut seen = observation("web-1");
        seen["boot_id"] = json!(boot);
        seen["counter"] = json!(counter);
        seen
    };
    sync(&app, &token, &seen("first", 2_000_000_000), None)
        .await
        .expect(200);
    let old = sync(&app, &token, &seen("first", 1_000_000_000), None).await;
    assert_eq!(old.kind(), "old-observation");
    assert!(old.detail().contains("`web-1` is older"), "{}", old.detail());
    let old = old.expect(409);
    assert_eq!(old.header("content-type"), "application/problem+json");

    // A machine that was booted after the first one, which lives.
    sync(&app, &token, &seen("second", 1_000_000_000), None)
        .await
        .expect(200);
    let two = sync(&app, &token, &seen("first", 2_000_000_001), None).await;
    assert_eq!(two.kind(), "two-lives");
    let two = two.expect(409);
    assert!(two.detail().contains("slipway host token"), "{}", two.detail());
    let host = app.get("/api/v1/hosts/web-1").await.expect(200);
    let trouble = host.body["trouble"].as_str().unwrap();
    assert!(two.detail().ends_with(trouble), "{trouble}");
    assert_eq!(host.body["unknown"], Value::Null);
}
