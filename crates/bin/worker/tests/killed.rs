//! The program itself, killed while a message is on its way.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use secrecy::SecretString;
use slipway_domain::DeliveryState;
use slipway_domain::event::Actor;
use slipway_store::messages::{Access, NewDestination};
use slipway_store::{AuditKey, EventAuthor};
use slipway_testkit::{Fleet, database_url, store, wait_until};
use sqlx::PgPool;

/// More than a lease, which is what a message waits for after its sender died.
const PATIENCE: Duration = Duration::from_mins(2);
/// In hex, the key with which [`slipway_testkit::audit_key`] seals.
const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// The worker as a process.
struct Worker(Child);

impl Worker {
    fn start(pool: &PgPool) -> Self {
        let dir = std::env::temp_dir();
        let child = Command::new(env!("CARGO_BIN_EXE_slipway-worker"))
            .arg("run")
            .current_dir(dir)
            .env_clear()
            .env(
                "DATABASE_URL",
                String::from(database_url(&pool.connect_options(), None)),
            )
            .env("SECRET_KEY", KEY)
            .env("MESSAGES_NETWORKS", "127.0.0.0/8")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Worker {
    /// As by SIGKILL: nothing of it runs to its end.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A request, read to its end; the answer is for the test to give.
struct Held {
    id: String,
    body: String,
    stream: TcpStream,
}

/// Takes requests one after the other, and answers none.
fn receive() -> (u16, mpsc::Receiver<Held>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if let Some((id, body)) = read(&mut stream) {
                let _ = send.send(Held { id, body, stream });
            }
        }
    });
    (port, received)
}

fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).ok()?.to_lowercase();
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_start_matches(':').trim().to_owned())
    };
    let mut body = vec![0; header("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    Some((header("webhook-id")?, String::from_utf8(body).ok()?))
}

async fn next(received: &mpsc::Receiver<Held>) -> Held {
    wait_until("a message", PATIENCE, async || received.try_recv().ok()).await
}

/// Nobody knows whether the receiver kept what the dead worker had sent. So it is sent again, under the same id.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_message_whose_sender_was_killed_is_sent_again_with_the_same_id(pool: PgPool) {
    let store = store(&pool);
    let (port, received) = receive();
    let key = AuditKey::from_bytes(&[7; 32]);
    let new = NewDestination {
        name: "ops".parse().unwrap(),
        access: Access::Standard {
            url: SecretString::from(format!("http://127.0.0.1:{port}/")),
            secret: SecretString::from("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
        },
        shown: format!("http://127.0.0.1:{port}"),
        environments: Vec::new(),
        messages: Vec::new(),
    };
    let by = EventAuthor::new(Actor::Console, &key);
    let destination = store.create_destination(&new, &by).await.unwrap().id;
    let fleet = Fleet::of(1).approval_required().seed(&store).await;
    fleet.rollout(1).await;

    let worker = Worker::start(&pool);
    let first = next(&received).await;
    drop(worker);
    drop(first.stream);
    let waits = store
        .list_deliveries(destination, None, None, 10)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (waits.state, waits.attempts),
        (DeliveryState::Waiting, 1),
        "nothing was marked"
    );

    // The lease of the dead one runs out by itself; the test need not wait for the whole of it.
    sqlx::query("UPDATE deliveries SET leased_until = now() + interval '2 seconds'")
        .execute(&pool)
        .await
        .unwrap();
    let _worker = Worker::start(&pool);
    let mut again = next(&received).await;
    assert_eq!((again.id, again.body), (first.id.clone(), first.body));
    again
        .stream
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .unwrap();
    let done = wait_until("its end", PATIENCE, async || {
        let delivery = store
            .list_deliveries(destination, None, None, 10)
            .await
            .unwrap()
            .remove(0);
        (delivery.state == DeliveryState::Delivered).then_some(delivery)
    })
    .await;
    assert_eq!((done.id.to_string(), done.attempts), (first.id, 2));
    assert!(received.try_recv().is_err(), "and not once more");
}

/// Killed at any other moment: before it queued, between two events, or after it marked. Nothing is lost.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn workers_that_are_killed_again_and_again_lose_nothing(pool: PgPool) {
    let store = store(&pool);
    let (port, received) = receive();
    let key = AuditKey::from_bytes(&[7; 32]);
    let new = NewDestination {
        name: "ops".parse().unwrap(),
        access: Access::Slack {
            url: SecretString::from(format!("http://127.0.0.1:{port}/")),
        },
        shown: format!("http://127.0.0.1:{port}"),
        environments: Vec::new(),
        messages: Vec::new(),
    };
    let by = EventAuthor::new(Actor::Console, &key);
    let destination = store.create_destination(&new, &by).await.unwrap().id;
    drop(received);
    let mut made = 0;
    for round in 0..4_u64 {
        let worker = Worker::start(&pool);
        let fleet = Fleet::of(1)
            .environment(&format!("e{round}"))
            .approval_required()
            .seed(&store)
            .await;
        fleet.rollout(1).await;
        made += 1;
        tokio::time::sleep(Duration::from_millis(400 * round)).await;
        drop(worker);
    }
    let _worker = Worker::start(&pool);
    let all = wait_until("every message", PATIENCE, async || {
        let all = store.list_deliveries(destination, None, None, 100).await.unwrap();
        (all.len() >= made).then_some(all)
    })
    .await;
    assert_eq!(all.len(), made);
}
