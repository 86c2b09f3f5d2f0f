//! Stopping: drains, bounds and second signals.

use super::harness::{Setup, get, one_host, post, url};
use serde_json::json;
use sqlx::PgPool;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_server_drains(pool: PgPool) {
    let mut server = Setup::new(url(&pool, None)).serve();
    server.until_ready();
    let address = server.address();
    let (_, host) = one_host(address);
    let seen = crate::support::observation("web-1").to_string();
    let parked = std::thread::spawn(move || {
        let begin = Instant::now();
        (
            post(address, "/api/v1/agent/sync", &host, "prefer: wait=30\r\n", &seen),
            begin.elapsed(),
        )
    });
    // Somebody who sends one request after the other loses none: the last answer says that it is the last.
    let busy = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut buffer = [0; 2048];
        loop {
            stream
                .write_all(b"GET /api/v1/monitoring/live HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            let count = stream.read(&mut buffer).unwrap();
            let answer = String::from_utf8_lossy(&buffer[..count]).into_owned();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            if answer.contains("connection: close") {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let mut idle = TcpStream::connect(address).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    server.signal("-TERM");
    std::thread::sleep(Duration::from_millis(150));
    // Still answering, and no longer ready.
    assert_eq!(get(address, "/api/v1/monitoring/live").unwrap().0, 200);
    let (status, head) = get(address, "/api/v1/monitoring/ready").unwrap();
    assert_eq!(
        (status, head.contains("connection: close")),
        (503, true),
        "{head}"
    );
    busy.join().unwrap();
    let ((status, body), took) = parked.join().unwrap();
    assert_eq!((status, &body["do"]), (200, &json!("idle")));
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(server.exit(Duration::from_secs(10)), 0);
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(server.log().contains("stopped"), "{}", server.log());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_second_signal_ends_it_at_once(pool: PgPool) {
    let mut server = Setup::new(url(&pool, None)).serve();
    server.until_ready();
    // A request that never ends: its body does not come.
    let mut stuck = TcpStream::connect(server.address()).unwrap();
    stuck
        .write_all(b"POST /api/v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{")
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server.signal("-TERM");
    std::thread::sleep(Duration::from_secs(2));
    assert!(
        server.child.try_wait().unwrap().is_none(),
        "it did not wait for the request under way"
    );
    server.signal("-INT");
    server.exit(Duration::from_secs(5));
    assert!(server.log().contains("stopping at once"), "{}", server.log());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_grace_that_is_over_ends_it(pool: PgPool) {
    let mut server = Setup::new(url(&pool, None))
        .with("API_SHUTDOWN_GRACE_SECONDS", 1)
        .serve();
    server.until_ready();
    let mut stuck = TcpStream::connect(server.address()).unwrap();
    stuck
        .write_all(b"POST /api/v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{")
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let begin = Instant::now();
    server.signal("-TERM");
    server.exit(Duration::from_secs(8));
    assert!(
        begin.elapsed() >= Duration::from_millis(900),
        "{:?}",
        begin.elapsed()
    );
    assert!(server.log().contains("the grace is over"), "{}", server.log());
}
