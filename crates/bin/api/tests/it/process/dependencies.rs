//! Postgres and Redis that go and come, and workers that are not there.

use super::harness::{Setup, free_port, get, one_host, post, url};
use crate::support::HASH;
use serde_json::json;
use sqlx::PgPool;
use std::net::TcpListener;
use std::time::Duration;

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_database_may_go_and_come(pool: PgPool) {
    let gate = Gate::new(pool.connect_options().get_port());
    gate.close();
    let server = Setup::new(url(&pool, Some(gate.port))).serve();
    // Live at once, ready only when the database is there.
    server.until("/api/v1/monitoring/live", 200);
    server.until("/api/v1/monitoring/ready", 503);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(
        server
            .log()
            .contains("the database cannot be reached; trying again every second"),
        "{}",
        server.log()
    );
    gate.open();
    server.until_ready();
    let (admin, host) = one_host(server.address());
    let seen = crate::support::observation("web-1").to_string();
    let release = json!({ "closures": { "web-1": format!("/nix/store/{HASH}-a") } }).to_string();

    gate.close();
    let (status, problem) = post(server.address(), "/api/v1/agent/sync", &host, "", &seen);
    assert_eq!(
        (status, &problem["type"]),
        (503, &json!("urn:slipway:problem:unavailable"))
    );
    let id = problem["request_id"].as_str().unwrap();
    let cause = server
        .log()
        .lines()
        .find(|line| line.contains(id) && line.contains("the database is not available"))
        .map(str::len);
    assert!(
        cause.is_some(),
        "the cause is not in the log under {id}:\n{}",
        server.log()
    );
    let (status, problem) = post(server.address(), "/api/v1/releases", &admin, "", &release);
    // It never came to a commit, so a client may send it again.
    assert_eq!((status, &problem["nothing_done"]), (503, &json!(true)));
    server.until("/api/v1/monitoring/ready", 503);
    let (status, health) = get(server.address(), "/api/v1/monitoring/health").unwrap();
    assert!(
        status == 503 && health.contains(r#""database":{"status":"down""#),
        "{health}"
    );
    assert!(!health.contains("127.0.0.1"), "{health}");

    gate.open();
    server.until_ready();
    assert_eq!(
        post(server.address(), "/api/v1/releases", &admin, "", &release).0,
        201
    );
    assert_eq!(
        post(server.address(), "/api/v1/agent/sync", &host, "", &seen).0,
        200
    );
}

/// Sets the database read-only or not, for every connection from now on, and ends those that there are.
async fn set_read_only(pool: &PgPool, read_only: &str) {
    let name = pool.connect_options().get_database().unwrap().to_owned();
    let change = format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = {read_only}");
    let mut admin = pool.acquire().await.unwrap();
    for statement in [
        "SET default_transaction_read_only = off",
        &change,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    ] {
        sqlx::raw_sql(statement).execute(&mut *admin).await.unwrap();
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_database_that_takes_no_writes_shows(pool: PgPool) {
    let server = Setup::new(url(&pool, None)).serve();
    server.until_ready();
    set_read_only(&pool, "on").await;
    server.until("/api/v1/monitoring/ready", 503);
    let (status, health) = get(server.address(), "/api/v1/monitoring/health").unwrap();
    assert!(status == 503 && health.contains("takes no writes"), "{health}");
    set_read_only(&pool, "off").await;
    server.until_ready();
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn health_is_answered_while_a_query_of_it_hangs(pool: PgPool) {
    let server = Setup::new(url(&pool, None)).serve();
    server.until_ready();
    let mut holder = slipway_testkit::begin(&pool).await;
    // The database answers to a ping all the while.
    sqlx::query("LOCK TABLE workers IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *holder)
        .await
        .unwrap();
    // An answer of the database is good for a second.
    server.until("/api/v1/monitoring/ready", 503);
    for path in ["/api/v1/monitoring/ready", "/api/v1/monitoring/health"] {
        let begin = std::time::Instant::now();
        assert_eq!(get(server.address(), path).unwrap().0, 503);
        // The lock is waited for at most 10 s, and a statement 30 s.
        assert!(
            begin.elapsed() < Duration::from_secs(8),
            "{path}: {:?}",
            begin.elapsed()
        );
    }
    holder.rollback().await.unwrap();
    server.until_ready();
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn redis_may_be_gone_from_the_start(pool: PgPool) {
    let server = Setup::new(url(&pool, None))
        .with("REDIS_URL", format!("redis://127.0.0.1:{}", free_port()))
        .serve();
    server.until_ready();
    one_host(server.address());
    let (status, health) = get(server.address(), "/api/v1/monitoring/health").unwrap();
    assert_eq!(status, 200);
    assert!(
        health.contains(r#""status":"degraded""#) && health.contains("Redis is away"),
        "{health}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn missing_workers_show(pool: PgPool) {
    let server = Setup::new(url(&pool, None)).serve();
    server.until_ready();
    let health = || get(server.address(), "/api/v1/monitoring/health").unwrap();
    let (status, text) = health();
    assert_eq!(status, 200);
    assert!(
        text.contains(r#""status":"degraded""#) && text.contains("no worker was seen for 30 s"),
        "{text}"
    );

    slipway_store::Store::from_pool(pool.clone())
        .note_worker("one", "test")
        .await
        .unwrap();
    // An answer of the database is good for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let (_, text) = health();
    assert!(text.contains(r#""workers":{"status":"ok""#), "{text}");
}

/// A way to Postgres that can be cut.
struct Gate {
    port: u16,
    open: std::sync::Arc<tokio::sync::watch::Sender<bool>>,
}

impl Gate {
    /// Must be called within a runtime of several threads, or one that is not blocked: it has a thread of its own.
    fn new(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = std::sync::Arc::new(tokio::sync::watch::channel(true).0);
        let state = std::sync::Arc::clone(&open);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((mut client, _)) = listener.accept().await {
                    let mut state = state.subscribe();
                    tokio::spawn(async move {
                        if !*state.borrow() {
                            return;
                        }
                        let mut server = tokio::net::TcpStream::connect(("127.0.0.1", target))
                            .await
                            .unwrap();
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                            _ = state.wait_for(|open| !open) => {}
                        }
                    });
                }
            });
        });
        Self { port, open }
    }

    fn close(&self) {
        self.open.send_replace(false);
    }

    fn open(&self) {
        self.open.send_replace(true);
    }
}
