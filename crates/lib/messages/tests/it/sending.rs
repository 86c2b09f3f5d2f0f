//! What receivers get, and when they get it again.

use secrecy::SecretString;
use serde_json::json;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{DeliveryState, MessageKind};
use slipway_store::NewCommand;
use slipway_store::messages::Access;
use slipway_testkit::{Fleet, audit_key, wait_until};
use sqlx::PgPool;
use standardwebhooks::Webhook;

use crate::receiver::{Answer, Receiver, SOON};
use crate::support::{SECRET, World};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_webhook_is_as_standard_webhooks_asks(pool: PgPool) {
    let (world, receiver) = (World::new(pool).await, Receiver::start().await);
    world.webhook("ops", receiver.url()).await;
    world.start();
    let rollout = world.fleet.rollout(1).await;
    let got = receiver.until(1).await.remove(0);
    // Somebody else's implementation of the specification.
    let verifier = Webhook::new(SECRET).unwrap();
    verifier.verify(&got.body, &got.headers).unwrap();
    assert_eq!(got.uri.path(), "/hooks/a-secret-path");
    assert_eq!(got.header("content-type"), "application/json");
    assert!(got.header("user-agent").starts_with("slipway-worker/"));
    let delivery = world.tried("ops", 1).await;
    assert_eq!(delivery.state, DeliveryState::Delivered);
    assert_eq!(got.header("webhook-id"), delivery.id.to_string());
    let body = got.json();
    assert_eq!(body["type"], "rollout.approval_wanted");
    assert_eq!(
        body["data"]["url"],
        format!("https://slipway.example.org/rollouts/{rollout}")
    );
    assert_eq!(body["data"]["environment"], "prod");
    assert_eq!(body["data"]["by"], "ada");
    let text = body["data"]["text"].as_str().unwrap();
    assert!(
        text.starts_with("prod: rollout #1 of #1 waits for approval, by ada"),
        "{text}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_is_not_taken_comes_again_with_the_same_id_and_body(pool: PgPool) {
    let (world, receiver) = (World::new(pool).await, Receiver::start().await);
    world.webhook("ops", receiver.url()).await;
    receiver.answer([
        Answer::Status(500),
        Answer::Status(404),
        Answer::Later(600),
        Answer::Status(200),
    ]);
    world.start();
    world.fleet.rollout(1).await;
    for (attempts, error) in [
        (1, "it answered 500 Internal Server Error"),
        (2, "it answered 404 Not Found"),
        (3, "it answered 429 Too Many Requests"),
    ] {
        let delivery = world.tried("ops", attempts).await;
        assert_eq!(
            (delivery.state, delivery.last_error.as_deref()),
            (DeliveryState::Waiting, Some(error))
        );
        let wait = (delivery.next_at.unwrap() - world.store.now().await.unwrap()).num_seconds();
        let expected = [3..=6, 20..=36, 580..=600][attempts as usize - 1].clone();
        assert!(expected.contains(&wait), "after try {attempts}: {wait} s");
        world.let_time_pass().await;
    }
    let got = receiver.until(4).await;
    assert_eq!(world.tried("ops", 4).await.state, DeliveryState::Delivered);
    let verifier = Webhook::new(SECRET).unwrap();
    for again in &got {
        assert_eq!(again.header("webhook-id"), got[0].header("webhook-id"));
        assert_eq!(again.body, got[0].body);
        verifier.verify(&again.body, &again.headers).unwrap();
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_receiver_that_answers_500_for_a_day_leaves_dead_letters_that_can_be_replayed(pool: PgPool) {
    let (world, receiver) = (World::new(pool).await, Receiver::start().await);
    world.webhook("ops", receiver.url()).await;
    receiver.answer([Answer::Status(500), Answer::Status(500)]);
    world.start();
    world.fleet.rollout(1).await;
    world.tried("ops", 1).await;
    world.let_a_day_pass().await;
    let dead = world.tried("ops", 2).await;
    assert_eq!(dead.state, DeliveryState::Dead, "{dead:?}");
    assert_eq!(world.store.delivery_backlogs().await.unwrap()[0].dead, 1);
    world.store.replay_delivery(dead.id).await.unwrap();
    let got = receiver.until(3).await;
    assert_eq!(got[2].header("webhook-id"), got[0].header("webhook-id"));
    wait_until("its end", SOON, async || {
        let delivery = world.store.get_delivery(dead.id).await.unwrap();
        (delivery.state == DeliveryState::Delivered).then_some(())
    })
    .await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn messages_of_a_rollout_are_in_order_and_another_rollout_does_not_wait(pool: PgPool) {
    let (world, receiver) = (World::new(pool).await, Receiver::start().await);
    world.webhook("ops", receiver.url()).await;
    receiver.answer([Answer::Status(500)]);
    let first = world.fleet.rollout(1).await;
    // A person ends the first one while nobody takes its first message.
    let ada = world.fleet.author.id;
    let abort = world.store.request_command(
        NewCommand::new(first, CommandKind::Abort, ada).because("too early"),
        &world.fleet.key,
    );
    abort.await.unwrap();
    world.decide().await;
    world.start();
    world.tried("ops", 1).await;
    let other = Fleet::of(1).environment("other").seed(&world.store).await;
    let second = other.rollout(1).await;
    let types = |of: &str| -> Vec<serde_json::Value> {
        let mine = receiver.got().into_iter().map(|got| got.json());
        mine.filter(|body| body["data"]["rollout"] == of)
            .map(|body| body["type"].clone())
            .collect()
    };
    let (first, second) = (first.to_string(), second.to_string());
    wait_until("the second rollout's message", SOON, async || {
        (types(&second) == [json!("rollout.started")]).then_some(())
    })
    .await;
    assert_eq!(
        types(&first),
        ["rollout.approval_wanted"],
        "the next one waits for it"
    );
    world.let_time_pass().await;
    wait_until("the rest", SOON, async || {
        (types(&first).len() == 3).then_some(())
    })
    .await;
    assert_eq!(
        types(&first),
        [
            "rollout.approval_wanted",
            "rollout.approval_wanted",
            "rollout.aborted"
        ]
    );
    let last = receiver.got().pop().unwrap().json();
    assert_eq!(
        (&last["data"]["by"], &last["data"]["reason"]),
        (&json!("ada"), &json!("too early"))
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_receiver_that_is_gone_gets_nothing_more_and_the_log_says_so(pool: PgPool) {
    let (world, receiver) = (World::new(pool).await, Receiver::start().await);
    world.webhook("ops", receiver.url()).await;
    receiver.answer([Answer::Status(410)]);
    world.start();
    world.fleet.rollout(1).await;
    let destination = wait_until("the end of the destination", SOON, async || {
        let found = world
            .store
            .get_destination(&"ops".parse().unwrap())
            .await
            .unwrap();
        (!found.enabled).then_some(found)
    })
    .await;
    assert_eq!(
        destination.disabled_because.as_deref(),
        Some("it answered 410 Gone")
    );
    assert_eq!((destination.waiting, destination.dead), (0, 1));
    let events = world.store.list_all_events(0, 1000).await.unwrap();
    let event = &events.last().unwrap().event;
    assert_eq!(
        (event.kind.as_str(), event.actor.kind()),
        ("destination.disabled", "rules")
    );
    assert!(
        world
            .store
            .verify_chain(&audit_key())
            .await
            .unwrap()
            .problem
            .is_none()
    );
    assert!(
        world
            .store
            .replay_destination(&"ops".parse().unwrap())
            .await
            .is_err()
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn slack_and_matrix_get_the_forms_that_they_take(pool: PgPool) {
    let (world, receiver) = (World::new(pool).await, Receiver::start().await);
    let url = || SecretString::from(receiver.url());
    world.destination("slack", Access::Slack { url: url() }).await;
    let matrix = Access::Matrix {
        url: format!("http://{}/", receiver.address).into(),
        room: "!abc/..:example.org".to_owned(),
        token: "syt_secret".to_owned().into(),
    };
    world.destination("matrix", matrix).await;
    world.start();
    world.fleet.rollout(1).await;
    let got = receiver.until(2).await;
    let slack = got.iter().find(|got| got.method == "POST").unwrap();
    let text = slack.json()["text"].as_str().unwrap().to_owned();
    assert!(
        text.starts_with("prod: rollout #1 of #1 waits") && text.ends_with("|Open>"),
        "{text}"
    );
    let matrix = got.iter().find(|got| got.method == "PUT").unwrap();
    let delivery = world.tried("matrix", 1).await;
    assert_eq!(
        matrix.uri.path(),
        format!(
            "/_matrix/client/v3/rooms/%21abc%2F%2E%2E%3Aexample%2Eorg/send/m.room.message/{}",
            delivery.id
        )
    );
    assert_eq!(matrix.header("authorization"), "Bearer syt_secret");
    assert_eq!(matrix.json()["msgtype"], "m.text");
    assert_eq!(delivery.message.kind, MessageKind::ApprovalWanted);
}
