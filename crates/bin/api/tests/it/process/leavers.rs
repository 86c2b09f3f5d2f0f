//! Clients that hang up in the middle of their requests.

use super::harness::{Setup, exchange, one_host, post, url};
use serde_json::json;
use sqlx::PgPool;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// A rollout that there is not.
const NO_ROLLOUT: &str = "/api/v1/rollouts/0198c0de-0000-7000-8000-000000000000";
/// How long the answer to a `BEGIN` takes, so that most who hang up do it while one is on its way.
const LATE: Duration = Duration::from_millis(20);
/// How many clients hang up at the same time, and how often all of them together.
const LEAVERS: usize = 4;
const LEAVES: usize = 400;

/// A way to Postgres on which every transaction is late to begin. Gives its port.
fn late_way(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
            }
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let begins = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&begins);
            std::thread::spawn(move || {
                carry(from, to, |bytes| {
                    if bytes.windows(5).any(|part| part == b"BEGIN") {
                        seen.store(true, Ordering::Relaxed);
                    }
                });
            });
            std::thread::spawn(move || {
                carry(server, client, |_| {
                    if begins.swap(false, Ordering::Relaxed) {
                        std::thread::sleep(LATE);
                    }
                });
            });
        }
    });
    own
}

fn carry(mut from: TcpStream, mut to: TcpStream, look: impl Fn(&[u8])) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        look(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

fn request(method: &str, path: &str, token: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request, and hangs up after a while that is another one each time.
fn leave(address: SocketAddr, admin: &str, n: usize) {
    let name = json!({ "name": format!("left-{n}") }).to_string();
    let text = match n % 3 {
        0 => request("POST", "/api/v1/environments", admin, &name),
        _ => request("GET", NO_ROLLOUT, admin, ""),
    };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(n as u64 % 60));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn clients_that_hang_up_cost_others_nothing(pool: PgPool) {
    let port = late_way(pool.connect_options().get_port());
    let server = Setup::new(url(&pool, Some(port)))
        .with("DATABASE_POOL_SIZE", 3)
        .with("DATABASE_MAX_OVERFLOW", 0)
        .with("DATABASE_ACQUIRE_TIMEOUT_SECONDS", 30)
        .serve();
    server.until_ready();
    let address = server.address();
    let (admin, host) = one_host(address);
    let left = Arc::new(AtomicUsize::new(0));
    let leavers: Vec<_> = (0..LEAVERS)
        .map(|_| {
            let (left, admin) = (Arc::clone(&left), admin.clone());
            std::thread::spawn(move || {
                loop {
                    let n = left.fetch_add(1, Ordering::Relaxed);
                    if n >= LEAVES {
                        return;
                    }
                    leave(address, &admin, n);
                }
            })
        })
        .collect();
    let mut rounds = 0;
    while rounds < 10 || left.load(Ordering::Relaxed) < LEAVES {
        rounds += 1;
        let mut seen = crate::support::observation("web-1");
        seen["counter"] = json!(rounds);
        let (status, problem) = post(address, "/api/v1/agent/sync", &host, "", &seen.to_string());
        assert_eq!(status, 200, "{problem}\n{}", server.log());
        let kept: i64 = sqlx::query_scalar("SELECT boot_counter FROM hosts WHERE name = 'web-1'")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(kept, rounds, "an acknowledged observation is not there");
        let name = format!("kept-{rounds}");
        let body = json!({ "name": name }).to_string();
        let (status, problem) = post(address, "/api/v1/environments", &admin, "", &body);
        assert_eq!(status, 201, "{problem}\n{}", server.log());
        let kept: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM environments WHERE name = $1)")
            .bind(&name)
            .fetch_one(&pool)
            .await
            .unwrap();
        assert!(kept, "an acknowledged environment is not there");
        for (path, expected) in [
            (NO_ROLLOUT, 404),
            ("/api/v1/environments", 200),
            ("/api/v1/hosts", 200),
            ("/api/v1/rollouts", 200),
            ("/api/v1/tokens", 200),
            ("/api/v1/events", 200),
        ] {
            let stream = TcpStream::connect(address).unwrap();
            let (status, text) = exchange(stream, &request("GET", path, &admin, "")).unwrap();
            assert_eq!(status, expected, "{path}: {text}\n{}", server.log());
        }
    }
    for leaver in leavers {
        leaver.join().unwrap();
    }
    // Not even the pool's second look found one. A rollback that is said twice is no harm.
    let log = server.log();
    for fault in ["already a transaction", "in an open transaction"] {
        assert!(!log.contains(fault), "{log}");
    }
}
