//! Receivers that are bad, and people who would have the control plane connect where it must not.

use std::time::{Duration, Instant};

use slipway_domain::DeliveryState;
use slipway_testkit::{Fleet, ScriptedAgent, closure};
use sqlx::PgPool;

use crate::receiver::{Answer, Receiver};
use crate::support::{SECRET, World};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_redirect_is_not_followed(pool: PgPool) {
    let (world, receiver, inside) = (
        World::new(pool).await,
        Receiver::start().await,
        Receiver::start().await,
    );
    world.webhook("ops", receiver.url()).await;
    receiver.answer([Answer::Redirect(inside.url())]);
    world.start();
    world.fleet.rollout(1).await;
    let delivery = world.tried("ops", 1).await;
    let error = delivery.last_error.unwrap();
    assert!(
        error.contains("answered 307, and redirects are not followed"),
        "{error}"
    );
    assert!(inside.got().is_empty());
}

/// The api refuses such addresses. A row may be older than its settings, and a name leads anywhere.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nothing_is_sent_to_an_address_that_is_not_allowed(pool: PgPool) {
    let (world, inside) = (World::new(pool).await, Receiver::start().await);
    let port = inside.address.port();
    let urls = [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://localhost:{port}/"),
        format!("http://localhost:{port}/"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ];
    for (n, url) in urls.iter().enumerate() {
        world.webhook(&format!("bad-{n}"), url).await;
    }
    world.start_with(&[]);
    world.fleet.rollout(1).await;
    for (n, url) in urls.iter().enumerate() {
        let error = world.tried(&format!("bad-{n}"), 1).await.last_error.unwrap();
        let is_told = ["not public", "unencrypted", "no address that messages may go to"];
        assert!(
            is_told.iter().any(|words| error.contains(words)),
            "{url}: {error}"
        );
    }
    assert!(inside.got().is_empty(), "{:?}", inside.got());
}

/// With one network allowed, the others are not: also by name, and for plain HTTP the public ones.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_network_that_is_allowed_opens_no_other_one(pool: PgPool) {
    let (world, inside) = (World::new(pool).await, Receiver::start().await);
    world
        .webhook("by-name", format!("http://localhost:{}/", inside.address.port()))
        .await;
    world.webhook("by-address", inside.url()).await;
    world.start_with(&[("MESSAGES_NETWORKS", "10.9.0.0/16")]);
    world.fleet.rollout(1).await;
    for name in ["by-name", "by-address"] {
        assert!(world.tried(name, 1).await.last_error.is_some());
    }
    assert!(inside.got().is_empty());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn receivers_that_hang_or_never_end_hold_nobody_up(pool: PgPool) {
    let (world, bad, good) = (
        World::new(pool).await,
        Receiver::start().await,
        Receiver::start().await,
    );
    world.webhook("bad", bad.url()).await;
    world.webhook("endless", Receiver::start().await.url()).await;
    world.webhook("good", good.url()).await;
    bad.answer([Answer::Hang]);
    world.start();
    let began = Instant::now();
    world.fleet.rollout(1).await;
    good.until(1).await;
    let delivery = world.tried("bad", 1).await;
    assert_eq!(delivery.last_error.as_deref(), Some("it did not answer in time"));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// Of an answer only its status counts: it is not read, whatever its length.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_answer_without_end_is_not_read(pool: PgPool) {
    let (world, receiver) = (World::new(pool).await, Receiver::start().await);
    world.webhook("ops", receiver.url()).await;
    receiver.answer([Answer::Endless]);
    world.start();
    let began = Instant::now();
    world.fleet.rollout(1).await;
    assert_eq!(world.tried("ops", 1).await.state, DeliveryState::Delivered);
    assert!(began.elapsed() < Duration::from_secs(20));
}

/// What a receiver answers may quote anything, such as the token that it was sent.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_secret_is_in_an_error_or_readable_in_the_database(pool: PgPool) {
    let (world, receiver) = (World::new(pool).await, Receiver::start().await);
    world.webhook("ops", receiver.url()).await;
    world
        .webhook("nobody", "http://127.0.0.1:1/hooks/a-secret-path")
        .await;
    world
        .webhook("no-name", "http://no-such-name.invalid/hooks/a-secret-path")
        .await;
    receiver.answer([Answer::Status(500)]);
    world.start();
    world.fleet.rollout(1).await;
    for name in ["ops", "nobody", "no-name"] {
        let error = world.tried(name, 1).await.last_error.unwrap();
        assert!(
            !error.contains("secret-path") && !error.contains("own words"),
            "{error}"
        );
    }
    let mut all = String::new();
    for table in ["destinations", "deliveries", "events", "conditions"] {
        let rows: Vec<String> = sqlx::query_scalar(&format!("SELECT to_jsonb(t)::text FROM {table} t"))
            .fetch_all(&world.pool)
            .await
            .unwrap();
        all.extend(rows);
    }
    assert!(all.contains("no-name"));
    for secret in ["a-secret-path", SECRET.trim_start_matches("whsec_")] {
        assert!(!all.contains(secret), "{secret}");
        // A bytea is shown in hex.
        let hex = hex::encode(secret);
        assert!(!all.contains(&hex), "{secret} in hex");
    }
}

/// Somebody with the database puts the sealed secrets of one destination beside an address of their own.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn secrets_are_never_sent_to_an_address_that_was_written_into_the_database(pool: PgPool) {
    let (world, receiver, evil) = (
        World::new(pool).await,
        Receiver::start().await,
        Receiver::start().await,
    );
    world.webhook("ops", receiver.url()).await;
    world.webhook("evil", evil.url()).await;
    let swap = "UPDATE destinations SET sealed = (SELECT sealed FROM destinations WHERE name = 'ops') WHERE name = 'evil'";
    sqlx::query(swap).execute(&world.pool).await.unwrap();
    let change = "UPDATE destinations SET shown = 'https://evil.example.org' WHERE name = 'ops'";
    sqlx::query(change).execute(&world.pool).await.unwrap();
    world.start();
    world.fleet.rollout(1).await;
    for name in ["ops", "evil"] {
        let error = world.tried(name, 1).await.last_error.unwrap();
        assert!(error.contains("somebody changed the database by hand"), "{error}");
    }
    assert!(receiver.got().is_empty() && evil.got().is_empty());
}

/// A host may print a password where its check failed. Nobody outside is told what it said.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_a_host_says_is_in_no_message(pool: PgPool) {
    let (world, receiver) = (World::new(pool).await, Receiver::start().await);
    world.webhook("ops", receiver.url()).await;
    let fleet = Fleet::of(1).environment("shop").seed(&world.store).await;
    let (name, id) = fleet.host(0);
    let mut agent = ScriptedAgent::new(id, name.clone(), Some(closure(name.as_str(), 0)));
    agent.failing = true;
    agent.sync(&world.store).await;
    fleet.rollout(1).await;
    for _ in 0..10 {
        world.decide().await;
        agent.sync(&world.store).await;
        if let Some(report) = &mut agent.report {
            report.message = Some("check `login` failed: password hunter2".to_owned());
        }
    }
    let events = world.store.list_all_events(0, 1000).await.unwrap();
    assert!(
        events.iter().any(|event| event.event.cause.contains("hunter2")),
        "the log has it"
    );
    world.start();
    let got = receiver.until(3).await;
    let types: Vec<_> = got.iter().map(|got| got.json()["type"].clone()).collect();
    assert_eq!(
        types,
        ["rollout.started", "rollout.reverting", "rollout.reverted"]
    );
    for got in got {
        assert!(
            !String::from_utf8_lossy(&got.body).contains("hunter2"),
            "{:?}",
            got.body
        );
    }
    let last = world.deliveries("ops").await.pop().unwrap();
    assert_eq!(last.message.data.hosts[0].name, name, "which host it was is told");
}
