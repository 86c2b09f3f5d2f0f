//! What scripts print: kept once and in order, shown to whoever may see the rollout, and bounded whatever a host sends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use slipway_domain::AttemptId;
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{Answer, TestApp};

/// A rollout whose hosts were told to activate.
struct World {
    app: TestApp,
    rollout: String,
    tokens: Vec<String>,
    attempts: Vec<String>,
}

impl World {
    async fn new(pool: PgPool, hosts: &[&str]) -> Self {
        let app = TestApp::new(pool).await;
        let tokens = app.fleet("prod", hosts).await;
        let rollout = app.rollout("prod", hosts).await;
        app.bring_steps(None, "activating").await;
        let attempts = sqlx::query_scalar(
            "SELECT s.attempt::text FROM steps s JOIN hosts h ON h.id = s.host_id ORDER BY array_position($1, h.name)",
        )
        .bind(hosts.iter().map(ToString::to_string).collect::<Vec<_>>())
        .fetch_all(&app.pool)
        .await
        .unwrap();
        Self {
            app,
            rollout,
            tokens,
            attempts,
        }
    }

    async fn send(&self, host: usize, piece: Value) -> Answer {
        let call = self
            .app
            .call(Method::POST, route::AGENT_OUTPUT, &self.tokens[host], Some(piece));
        call.await
    }

    /// Sends a piece of the host's switch; gives where to go on.
    async fn tell(&self, host: usize, start: usize, text: &str) -> usize {
        let piece = piece(&self.attempts[host], start, text);
        let answer = self.send(host, piece).await.expect(200);
        usize::try_from(answer.body["next"].as_u64().unwrap()).unwrap()
    }

    async fn shown(&self, query: &str) -> Value {
        let path = route::fill(route::ROLLOUT_OUTPUT, &self.rollout);
        self.app.get(&format!("{path}?{query}")).await.expect(200).body
    }

    async fn texts(&self, query: &str) -> Vec<String> {
        let page = self.shown(query).await;
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| item["text"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn stored(&self) -> i64 {
        sqlx::query_scalar("SELECT coalesce(sum(octet_length(text) + 128), 0)::bigint FROM output_pieces")
            .fetch_one(&self.app.pool)
            .await
            .unwrap()
    }
}

fn piece(attempt: &str, start: usize, text: &str) -> Value {
    json!({ "attempt": attempt, "job": "activate-1", "start": start, "end": start + text.len().max(1), "text": text })
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn pieces_are_kept_once_and_in_order_whatever_is_sent_again(pool: PgPool) {
    let world = World::new(pool, &["web-1"]).await;
    assert_eq!(world.tell(0, 0, "one\n").await, 4);
    // The answer was lost; the agent began again; it went wrong; pieces overlap or leave a gap.
    for (start, text) in [(0, "one\n"), (0, "one\ntwo\n"), (2, "e\ntwo\n"), (9, "nine\n")] {
        assert_eq!(world.tell(0, start, text).await, 4, "{start} {text:?}");
    }
    assert_eq!(world.tell(0, 4, "two\n").await, 8);
    let mut skipping = piece(&world.attempts[0], 1008, "end\n");
    skipping["skipped"] = json!(1000);
    assert_eq!(
        world.send(0, skipping.clone()).await.expect(200).body["next"],
        1012
    );
    assert_eq!(world.send(0, skipping).await.expect(200).body["next"], 1012);
    // Another job of the attempt has an output of its own.
    let mut other = piece(&world.attempts[0], 0, "hook\n");
    other["job"] = json!("before-activate-1");
    world.send(0, other).await.expect(200);
    assert_eq!(world.texts("").await, ["one\n", "two\n", "end\n", "hook\n"]);
    let page = world.shown("").await;
    let last = &page["items"][2];
    assert_eq!(
        (
            &last["host"],
            &last["job"],
            &last["attempt"],
            &last["number"],
            &last["skipped"]
        ),
        (
            &json!("web-1"),
            &json!("activate-1"),
            &json!(world.attempts[0]),
            &json!(3),
            &json!(1000)
        )
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn only_plain_text_is_kept_of_what_a_host_sends(pool: PgPool) {
    let world = World::new(pool, &["web-1"]).await;
    let next = world
        .tell(
            0,
            0,
            "\u{1b}[31mred\u{1b}[0m \u{202e}left\0\u{8}\r\n<script>alert(1)</script>\n",
        )
        .await;
    assert_eq!(
        world.texts("").await,
        ["red \u{fffd}left\u{fffd}\n<script>alert(1)</script>\n"]
    );
    // Of nothing but escapes no text is left, and it is known all the same.
    assert_eq!(world.tell(0, next, "\u{1b}[0m").await, next + 4);
    assert_eq!(world.texts("after=1").await, [""]);
}

/// As somebody who has taken over a host.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_writes_for_its_own_attempts_and_within_bounds(pool: PgPool) {
    let world = World::new(pool, &["web-1", "web-2"]).await;
    let own = &world.attempts[0];
    for attempt in [&world.attempts[1], &AttemptId::random().to_string()] {
        let answer = world.send(0, piece(attempt, 0, "x\n")).await;
        assert_eq!(answer.kind(), "not-found");
        answer.expect(404);
    }
    let admin = &world.app.admin;
    let call = world.app.call(
        Method::POST,
        route::AGENT_OUTPUT,
        admin,
        Some(piece(own, 0, "x\n")),
    );
    call.await.expect(403);
    let mut long = piece(own, 0, "x");
    long["text"] = json!("x".repeat(32 * 1024 + 1));
    let mut swollen = piece(own, 0, "x");
    // Each of these becomes three bytes.
    swollen["text"] = json!("a\0".repeat(16 * 1024));
    for (field, wrong) in [
        ("text", long),
        ("text", swollen),
        (
            "end",
            json!({ "attempt": own, "job": "activate-1", "start": 0, "end": 16385, "text": "x" }),
        ),
        (
            "end",
            json!({ "attempt": own, "job": "activate-1", "start": 9, "end": 9, "text": "x" }),
        ),
        (
            "end",
            json!({ "attempt": own, "job": "activate-1", "start": 9, "end": 8, "text": "x" }),
        ),
        (
            "end",
            json!({ "attempt": own, "job": "activate-1", "start": u64::MAX - 1, "end": u64::MAX, "text": "x" }),
        ),
        (
            "skipped",
            json!({ "attempt": own, "job": "activate-1", "start": 1, "end": 2, "skipped": 2, "text": "x" }),
        ),
        (
            "job",
            json!({ "attempt": own, "job": "", "start": 0, "end": 1, "text": "x" }),
        ),
        (
            "job",
            json!({ "attempt": own, "job": "../etc", "start": 0, "end": 1, "text": "x" }),
        ),
        (
            "job",
            json!({ "attempt": own, "job": "a".repeat(41), "start": 0, "end": 1, "text": "x" }),
        ),
    ] {
        let answer = world.send(0, wrong.clone()).await.expect(422);
        assert!(!answer.field(field).is_empty(), "{wrong}");
    }
    assert_eq!(world.stored().await, 0);

    // Of a rollout that is over, for an hour; of an attempt that another one followed, as long.
    world.tell(0, 0, "during\n").await;
    let age = async |hours: i32| {
        let finish =
            "UPDATE rollouts SET state = 'succeeded', finished_at = now() - make_interval(hours => $1)";
        sqlx::query(finish)
            .bind(hours)
            .execute(&world.app.pool)
            .await
            .unwrap();
    };
    age(0).await;
    assert_eq!(world.tell(0, 7, "after\n").await, 13);
    age(2).await;
    world.send(0, piece(own, 13, "much later\n")).await.expect(404);
    assert_eq!(world.texts("").await, ["during\n", "after\n"]);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_end_of_an_attempt_is_taken_after_the_next_one_began(pool: PgPool) {
    let world = World::new(pool, &["web-1"]).await;
    world.tell(0, 0, "first\n").await;
    let again = "UPDATE steps SET attempt = gen_random_uuid(), failures = 1";
    sqlx::query(again).execute(&world.app.pool).await.unwrap();
    assert_eq!(world.tell(0, 6, "last\n").await, 11);
    let old = "UPDATE output_pieces SET at = now() - interval '2 hours'";
    sqlx::query(old).execute(&world.app.pool).await.unwrap();
    world
        .send(0, piece(&world.attempts[0], 11, "x\n"))
        .await
        .expect(404);
}

/// A host that prints without end uses up its own share, of whatever jobs and pieces, and nobody else's.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_flood_uses_up_the_hosts_own_share_alone(pool: PgPool) {
    let world = World::new(pool, &["web-1", "web-2"]).await;
    let text = "x".repeat(16 * 1024 - 1) + "\n";
    let mut full = false;
    for job in 1..=100 {
        let mut piece = piece(&world.attempts[0], 0, &text);
        piece["job"] = json!(format!("revert-{job}"));
        full = world.send(0, piece).await.expect(200).body["full"] == true;
        if full {
            break;
        }
    }
    assert!(full);
    let stored = world.stored().await;
    assert!((400 * 1024..=512 * 1024 + 128).contains(&stored), "{stored}");
    // Not one byte more, not even as marks.
    for job in 200..210 {
        let mut piece = piece(&world.attempts[0], 0, "x\n");
        piece["job"] = json!(format!("revert-{job}"));
        assert_eq!(world.send(0, piece).await.expect(200).body["full"], true);
    }
    assert_eq!(world.stored().await, stored);
    let newest = world.shown("newest_first=true&limit=1").await;
    assert_eq!(newest["items"][0]["cut"], true, "{newest:#}");
    world.tell(1, 0, "the other\n").await;
    assert_eq!(world.texts("host=web-2").await, ["the other\n"]);

    // Empty pieces have a price as well.
    let nearly = "UPDATE host_outputs SET bytes = 512 * 1024 - 1000 WHERE NOT is_cut";
    sqlx::query(nearly).execute(&world.app.pool).await.unwrap();
    let mut sent = 0;
    loop {
        let mut piece = piece(&world.attempts[1], 10 + sent, "");
        piece["end"] = json!(11 + sent);
        if world.send(1, piece).await.expect(200).body["full"] == true {
            break;
        }
        sent += 1;
        assert!(sent < 10);
    }
    assert_eq!(sent, 7);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn output_is_searched_by_host_and_text_and_read_page_by_page(pool: PgPool) {
    let world = World::new(pool, &["web-1", "web-2"]).await;
    let next = world.tell(0, 0, "restarting nginx\nreloading\n").await;
    world.tell(1, 0, "100% of a_b\\c\n").await;
    world.tell(0, next, "NGINX is up\n").await;
    assert_eq!(world.texts("host=web-1").await.len(), 2);
    assert_eq!(
        world.texts("search=Nginx").await,
        ["restarting nginx\n", "NGINX is up\n"]
    );
    assert_eq!(world.texts("search=Nginx&host=web-2").await, [""; 0]);
    for literal in ["0%25", "a_b", "b%5Cc"] {
        assert_eq!(
            world.texts(&format!("search={literal}")).await.len(),
            1,
            "{literal}"
        );
    }
    assert_eq!(world.texts("search=0_").await, [""; 0]);
    let newest = world.shown("newest_first=true&limit=1").await;
    assert_eq!(
        (&newest["items"][0]["number"], &newest["next"]),
        (&json!(3), &json!("3"))
    );
    let first = world.shown("limit=2").await;
    assert_eq!(first["next"], "2");
    assert_eq!(world.texts("limit=2&after=2").await, ["NGINX is up\n"]);
    let of = route::fill(route::ROLLOUT_OUTPUT, &world.rollout);
    for (query, status) in [
        ("host=web-9", 404),
        ("after=-1", 422),
        ("limit=0", 422),
        ("search=", 422),
        (&*format!("search={}", "x".repeat(201)), 422),
        ("surch=x", 400),
    ] {
        let answer = world.app.get(&format!("{of}?{query}")).await;
        assert_eq!(answer.status, status, "{query}: {:#}", answer.body);
    }
    let unknown = route::fill(route::ROLLOUT_OUTPUT, AttemptId::random());
    world.app.get(&unknown).await.expect(404);
    // A page ends at its bound on bytes, and says where to go on.
    let text = "y".repeat(16 * 1024 - 1) + "\n";
    let mut at = next + 12;
    for _ in 0..20 {
        at = world.tell(0, at, &text).await;
    }
    let page = world.shown("limit=500").await;
    let bytes = page.to_string().len();
    assert!((256 * 1024..300 * 1024).contains(&bytes), "{bytes}");
    let rest = world
        .shown(&format!("limit=500&after={}", page["next"].as_str().unwrap()))
        .await;
    let items = |page: &Value| page["items"].as_array().unwrap().len();
    assert_eq!(items(&page) + items(&rest), 23);
    assert_eq!(rest["next"], Value::Null);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn who_waits_hears_of_output_at_once(pool: PgPool) {
    let world = World::new(pool, &["web-1"]).await;
    let path = route::fill(route::ROLLOUT_OUTPUT, &world.rollout);
    let ask = |wait: &str| {
        let request = Request::get(&path)
            .header("authorization", format!("Bearer {}", world.app.admin))
            .header("prefer", format!("wait={wait}"));
        world.app.send(request.body(Body::empty()).unwrap())
    };
    let begin = Instant::now();
    let empty = ask("1").await.expect(200);
    assert_eq!(empty.body["items"], json!([]));
    assert!(begin.elapsed() >= Duration::from_secs(1));
    let begin = Instant::now();
    let (heard, _) = tokio::join!(ask("30"), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.tell(0, 0, "news\n").await
    });
    assert_eq!(heard.expect(200).body["items"][0]["text"], "news\n");
    assert!(
        begin.elapsed() < Duration::from_millis(2500),
        "{:?}",
        begin.elapsed()
    );
    // Another replica took the next piece: this one hears of it from the database.
    let begin = Instant::now();
    let after = format!("{path}?after=1");
    let waiting = Request::get(&after)
        .header("authorization", format!("Bearer {}", world.app.admin))
        .header("prefer", "wait=30");
    let other = TestApp::with(world.app.pool.clone(), slipway_wake::Wake::none(), &[]).await;
    let (heard, _) = tokio::join!(world.app.send(waiting.body(Body::empty()).unwrap()), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let next = piece(&world.attempts[0], 5, "from elsewhere\n");
        other
            .call(Method::POST, route::AGENT_OUTPUT, &world.tokens[0], Some(next))
            .await
            .expect(200)
    });
    assert_eq!(heard.expect(200).body["items"][0]["text"], "from elsewhere\n");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

/// Hosts print at once while somebody reads on and on: every piece is read once, and those of a host in order.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_reader_misses_and_repeats_nothing_while_many_hosts_print(pool: PgPool) {
    const PIECES: usize = 25;
    let names: Vec<String> = (1..=8).map(|n| format!("web-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = World::new(pool, &names).await;
    let writing = (0..names.len()).map(|host| {
        let world = &world;
        async move {
            let mut at = 0;
            for n in 0..PIECES {
                at = world.tell(host, at, &format!("{n}\n")).await;
            }
        }
    });
    let reading = async {
        let (mut after, mut read) = (0, BTreeMap::<String, Vec<String>>::new());
        while read.values().map(Vec::len).sum::<usize>() < names.len() * PIECES {
            let page = world.shown(&format!("limit=7&after={after}")).await;
            for item in page["items"].as_array().unwrap() {
                let number = item["number"].as_i64().unwrap();
                assert_eq!(number, after + 1);
                after = number;
                let host = item["host"].as_str().unwrap().to_owned();
                read.entry(host)
                    .or_default()
                    .push(item["text"].as_str().unwrap().to_owned());
            }
        }
        read
    };
    let (_, read) = tokio::join!(futures_util::future::join_all(writing), reading);
    let all: Vec<String> = (0..PIECES).map(|n| format!("{n}\n")).collect();
    assert_eq!(read.len(), names.len());
    assert!(read.values().all(|lines| *lines == all), "{read:?}");
}
