//! Connections that idle, dribble or bring too much, and what they leave in the log and the metrics.

use super::harness::{PROGRAM, Server, Setup, exchange, free_port, get, one_host, post, url};
use crate::support::{PASSWORD, SECRET_KEY};
use serde_json::json;
use sqlx::PgPool;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn idle_and_dribbling_connections_are_closed(pool: PgPool) {
    let server = Setup::new(url(&pool, None))
        .with("API_KEEPALIVE_SECONDS", 1)
        .serve();
    server.until_ready();
    let mut kept = TcpStream::connect(server.address()).unwrap();
    let request = b"GET /api/v1/monitoring/live HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut buffer = [0; 2048];
    kept.write_all(request).unwrap();
    assert!(kept.read(&mut buffer).unwrap() > 0);
    std::thread::sleep(Duration::from_millis(400));
    kept.write_all(request).unwrap();
    assert!(kept.read(&mut buffer).unwrap() > 0, "closed before its time");
    let begin = Instant::now();
    kept.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(kept.read(&mut buffer).unwrap(), 0);
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(4)).contains(&begin.elapsed()),
        "{:?}",
        begin.elapsed()
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_header_over_the_limit_is_refused_and_one_below_it_is_not(pool: PgPool) {
    let server = Setup::new(url(&pool, None)).serve();
    server.until_ready();
    let send = |bytes: usize, fields: usize| {
        let fields = format!("x: {}\r\n", "x".repeat(bytes / fields)).repeat(fields);
        let header = format!("GET /api/v1/monitoring/live HTTP/1.1\r\nconnection: close\r\n{fields}\r\n");
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let _ = stream.write_all(header.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    for (bytes, fields) in [(32_000, 1), (31_000, 90)] {
        let answer = send(bytes, fields);
        assert!(
            answer.starts_with("HTTP/1.1 200"),
            "{bytes} in {fields}: {answer}"
        );
    }
    for (bytes, fields) in [(32_768, 1), (48_700, 1), (40_000, 90), (100_000, 1)] {
        let answer = send(bytes, fields);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{bytes} in {fields}: {answer}"
        );
    }
    server.until("/api/v1/monitoring/live", 200);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_large_body_is_answered_over_a_real_connection(pool: PgPool) {
    let server = Setup::new(url(&pool, None)).serve();
    server.until_ready();
    let (admin, _) = one_host(server.address());
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(10 * 1024 * 1024));
    let (status, problem) = post(server.address(), "/api/v1/environments", &admin, "", &body);
    assert_eq!(
        (status, &problem["type"]),
        (413, &json!("urn:slipway:problem:body-too-large"))
    );
    // The length that was announced is a lie in both directions.
    let token =
        format!("authorization: Bearer {admin}\r\ncontent-type: application/json\r\nconnection: close\r\n");
    let lie =
        format!("POST /api/v1/environments HTTP/1.1\r\nhost: x\r\n{token}content-length: 17\r\n\r\n{body}");
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let _ = stream.write_all(lie.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );
    let head = format!(
        "POST /api/v1/environments HTTP/1.1\r\nhost: x\r\n{token}content-length: 99999999\r\nexpect: 100-continue\r\n\r\n"
    );
    let (status, text) = exchange(TcpStream::connect(server.address()).unwrap(), &head).unwrap();
    assert_eq!(status, 413, "{text}");
    server.until("/api/v1/monitoring/live", 200);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn metrics_are_on_a_listener_of_their_own(pool: PgPool) {
    let metrics = free_port();
    let server = Setup::new(url(&pool, None)).with("METRICS_PORT", metrics).serve();
    server.until_ready();
    get(server.address(), "/api/v1/hosts/secret-name").unwrap();
    let (status, text) = get(([127, 0, 0, 1], metrics).into(), "/metrics").unwrap();
    assert_eq!(status, 200);
    for wanted in [
        r#"http_requests_total{method="GET",route="/api/v1/hosts/{name}",status="401"} 1"#,
        "http_request_duration_seconds_bucket",
        "http_requests_in_flight",
        "slipway_authentication_failures_total 1",
        "slipway_parked_requests",
    ] {
        assert!(text.contains(wanted), "no {wanted}:\n{text}");
    }
    assert!(!text.contains("secret-name") && !server.log().contains("secret-name"));
    assert_eq!(get(server.address(), "/metrics").unwrap().0, 404);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn invariant_10_nothing_secret_is_logged(pool: PgPool) {
    let mut database = slipway_testkit::database_url(&pool.connect_options(), None);
    if database.password().is_none() {
        // A server that asks for none takes any.
        database.set_password(Some("hunter2")).unwrap();
    }
    let password = database.password().unwrap().to_owned();
    let server = Setup::new(database.into()).with("LOG_LEVEL", "trace").serve();
    server.until_ready();
    let (admin, host) = one_host(server.address());
    let seen = crate::support::observation("web-1").to_string();
    assert_eq!(
        post(server.address(), "/api/v1/agent/sync", &host, "", &seen).0,
        200
    );
    get(server.address(), "/api/v1/hosts?environment=needle").unwrap();
    let log = server.log();
    assert!(log.contains("/api/v1/agent/sync"), "{log}");
    for secret in [&admin[..], &host, PASSWORD, SECRET_KEY, &password, "needle"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn waiting_agents_leave_room_for_others(pool: PgPool) {
    let setup = Setup::new(url(&pool, None))
        .with("DATABASE_POOL_SIZE", 4)
        .with("DATABASE_MAX_OVERFLOW", 0)
        .with("DATABASE_ACQUIRE_TIMEOUT_SECONDS", 20);
    let log = std::fs::File::create(setup.log()).unwrap();
    let child = setup
        .command("/bin/sh")
        .args(["-c", &format!("ulimit -n 64 && exec {PROGRAM} serve")])
        .stderr(log)
        .spawn()
        .unwrap();
    let server = Server { setup, child };
    server.until_ready();
    let address = server.address();
    let (admin, _) = one_host(address);
    let agents: Vec<_> = (10..50)
        .map(|n| {
            let body = json!({ "name": format!("web-{n}"), "environment": "prod" }).to_string();
            let made = post(address, "/api/v1/hosts", &admin, "", &body).1;
            (n, made["token"]["token"].as_str().unwrap().to_owned())
        })
        .map(|(n, token)| {
            std::thread::spawn(move || {
                let seen = crate::support::observation(&format!("web-{n}")).to_string();
                post(address, "/api/v1/agent/sync", &token, "prefer: wait=8\r\n", &seen)
            })
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    // Everybody else is served meanwhile.
    assert_eq!(get(address, "/api/v1/monitoring/ready").unwrap().0, 200);
    assert_eq!(
        post(
            address,
            "/api/v1/principals",
            &admin,
            "",
            r#"{"name":"ci","role":"viewer"}"#
        )
        .0,
        201
    );
    let answers: Vec<_> = agents.into_iter().map(|agent| agent.join().unwrap()).collect();
    let sent_away = answers
        .iter()
        .filter(|(status, problem)| *status == 503 && problem["type"] == "urn:slipway:problem:unavailable")
        .count();
    let idle = answers
        .iter()
        .filter(|(status, body)| *status == 200 && body["do"] == "idle")
        .count();
    assert!(
        sent_away >= 8 && sent_away + idle == 40,
        "{sent_away} sent away, {idle} idle:\n{answers:#?}"
    );
}
