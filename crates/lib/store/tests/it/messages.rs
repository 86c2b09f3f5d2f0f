//! The outbox: events become deliveries once, whoever queues them and whenever it dies.

use std::collections::BTreeSet;

use secrecy::SecretString;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{DeliveryState, MessageKind};
use slipway_store::messages::{Access, NewDestination, Sent, Taken};
use slipway_store::{NewCommand, Store, StoreError};
use slipway_testkit::audit_key;
use slipway_wire::message::{Delivery, UpdateDestination};
use sqlx::PgPool;

use crate::support::{Fleet, ada, claim, settle, sql, store};

mod conditions;

fn slack(name: &str) -> NewDestination {
    NewDestination {
        name: name.parse().unwrap(),
        access: Access::Slack {
            url: SecretString::from("https://hooks.example.org/secret".to_owned()),
        },
        shown: "https://hooks.example.org/…".to_owned(),
        environments: Vec::new(),
        messages: Vec::new(),
    }
}

async fn make(store: &Store, new: NewDestination) {
    store.create_destination(&new, &ada(&audit_key())).await.unwrap();
}

async fn deliveries(store: &Store, name: &str) -> Vec<Delivery> {
    let id = store.get_destination(&name.parse().unwrap()).await.unwrap().id;
    let mut all = store.list_deliveries(id, None, None, 100).await.unwrap();
    all.reverse();
    all
}

async fn kinds(store: &Store, name: &str) -> Vec<MessageKind> {
    let all = deliveries(store, name).await;
    all.into_iter().map(|delivery| delivery.message.kind).collect()
}

async fn queue(store: &Store) {
    while store.queue_events().await.unwrap() {}
}

async fn take(store: &Store) -> Vec<Taken> {
    store.take_deliveries(100, 60, &audit_key()).await.unwrap()
}

async fn finish(store: &Store, taken: &Taken, sent: Sent) {
    store.finish_delivery(taken, &sent, &audit_key()).await.unwrap();
}

/// A rollout that its author aborts before anything begins.
async fn aborted_rollout(fleet: &Fleet) {
    let rollout = fleet.rollout(1).await;
    let abort = NewCommand::new(rollout, CommandKind::Abort, fleet.author.id);
    fleet.store.request_command(abort, &fleet.key).await.unwrap();
    let lease = claim(&fleet.store, "w").await;
    settle(&fleet.store, &lease).await.unwrap();
}

fn failed() -> Sent {
    Sent::Failed {
        error: "it answered 500".to_owned(),
        after_seconds: 60,
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn each_event_is_queued_once_by_however_many_workers(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    for name in ["one", "two", "three"] {
        let fleet = Fleet::of(1).environment(name).seed(&store).await;
        fleet.rollout(1).await;
    }
    let workers = (0..8).map(|_| async {
        for _ in 0..5 {
            store.queue_events().await.unwrap();
        }
    });
    futures_util::future::join_all(workers).await;
    queue(&store).await;
    let all = deliveries(&store, "ops").await;
    let environments: Vec<_> = all
        .iter()
        .map(|one| one.message.data.environment.clone().unwrap().to_string())
        .collect();
    assert_eq!(environments, ["one", "two", "three"], "in the order of the log");
    queue(&store).await;
    assert_eq!(deliveries(&store, "ops").await, all);
}

/// A worker that dies between the two would lose messages, or send them twice.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_cursor_and_the_deliveries_move_together_or_not_at_all(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    let fleet = Fleet::of(1).seed(&store).await;
    fleet.rollout(1).await;
    let fails = "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''dies here''; END';
                 CREATE TRIGGER die BEFORE UPDATE ON message_cursor FOR EACH ROW EXECUTE FUNCTION die()";
    sql(&pool, fails).await;
    assert!(store.queue_events().await.is_err());
    assert_eq!(deliveries(&store, "ops").await, []);
    sql(&pool, "DROP TRIGGER die ON message_cursor").await;
    queue(&store).await;
    let first = deliveries(&store, "ops").await;
    assert_eq!(first.len(), 1);
    // The same events again, as if nobody had moved the cursor: the same ids, so nothing is queued twice.
    sql(&pool, "UPDATE message_cursor SET number = 0").await;
    queue(&store).await;
    assert_eq!(deliveries(&store, "ops").await, first);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_destination_gets_what_it_wants_from_when_it_is_there(pool: PgPool) {
    let store = store(&pool);
    let (one, two) = (
        Fleet::of(1).environment("one").seed(&store).await,
        Fleet::of(1).environment("two").seed(&store).await,
    );
    queue(&store).await;
    make(&store, slack("all")).await;
    make(
        &store,
        NewDestination {
            environments: vec!["two".parse().unwrap()],
            ..slack("of-two")
        },
    )
    .await;
    make(
        &store,
        NewDestination {
            messages: vec![MessageKind::HostStuck],
            ..slack("stuck")
        },
    )
    .await;
    make(&store, slack("off")).await;
    let off = UpdateDestination {
        enabled: Some(false),
        ..UpdateDestination::default()
    };
    store
        .update_destination(&"off".parse().unwrap(), &off, &ada(&audit_key()))
        .await
        .unwrap();
    one.rollout(1).await;
    two.rollout(1).await;
    queue(&store).await;
    for (name, count) in [("all", 2), ("of-two", 1), ("stuck", 0), ("off", 0)] {
        assert_eq!(deliveries(&store, name).await.len(), count, "{name}");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_delivery_is_one_senders_until_its_lease_is_over(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    Fleet::of(1).seed(&store).await.rollout(1).await;
    queue(&store).await;
    let all = futures_util::future::join_all((0..6).map(|_| take(&store))).await;
    let mut taken: Vec<Taken> = all.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1);
    let dead = taken.remove(0);
    assert_eq!(take(&store).await.len(), 0);
    // Its sender dies; another one sends it again.
    sql(&pool, "UPDATE deliveries SET leased_until = now()").await;
    let again = take(&store).await.remove(0);
    assert_eq!((again.id, again.attempts), (dead.id, 2));
    finish(&store, &dead, failed()).await;
    assert_eq!(
        deliveries(&store, "ops").await[0].last_error,
        None,
        "its word counts no more"
    );
    finish(&store, &again, Sent::Delivered).await;
    let delivery = deliveries(&store, "ops").await.remove(0);
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 2));
    assert_eq!(take(&store).await.len(), 0);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn within_a_rollout_each_message_waits_for_the_one_before_it(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    aborted_rollout(&Fleet::of(1).approval_required().seed(&store).await).await;
    let other = Fleet::of(1).environment("other").seed(&store).await;
    other.rollout(1).await;
    queue(&store).await;
    let kinds = |taken: &[Taken]| -> Vec<MessageKind> {
        taken
            .iter()
            .map(|taken| taken.message.as_ref().unwrap().kind)
            .collect()
    };
    let taken = take(&store).await;
    assert_eq!(
        kinds(&taken),
        [MessageKind::ApprovalWanted, MessageKind::RolloutStarted]
    );
    finish(&store, &taken[0], failed()).await;
    finish(&store, &taken[1], Sent::Delivered).await;
    assert_eq!(
        kinds(&take(&store).await),
        [],
        "the first one is to be sent again before"
    );
    sql(&pool, "UPDATE deliveries SET next_at = now(), until = now()").await;
    let taken = take(&store).await;
    finish(&store, &taken[0], failed()).await;
    assert_eq!(deliveries(&store, "ops").await[0].state, DeliveryState::Dead);
    assert_eq!(
        kinds(&take(&store).await),
        [MessageKind::RolloutAborted],
        "what is dead holds nobody up"
    );
}

/// One that takes a long time must not use up what a sender can do at once.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_destination_has_few_under_way_at_once_and_others_have_theirs(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("slow")).await;
    make(&store, slack("other")).await;
    for n in 0..6 {
        Fleet::of(1)
            .environment(&format!("e{n}"))
            .seed(&store)
            .await
            .rollout(1)
            .await;
    }
    queue(&store).await;
    let taken = take(&store).await;
    for name in ["slow", "other"] {
        assert_eq!(
            taken
                .iter()
                .filter(|one| one.destination.as_str() == name)
                .count(),
            4,
            "{name}"
        );
    }
    assert_eq!(take(&store).await.len(), 0);
    let other: Vec<&Taken> = taken
        .iter()
        .filter(|one| one.destination.as_str() == "other")
        .collect();
    finish(&store, other[0], Sent::Delivered).await;
    let more = take(&store).await;
    let more: Vec<&str> = more.iter().map(|one| one.destination.as_str()).collect();
    assert_eq!(more, ["other"], "no more than four at once");
}

/// One worker has fewer places than slow destinations together would take.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whoever_has_the_fewest_under_way_comes_first_however_many_take(pool: PgPool) {
    let store = store(&pool);
    let names = ["a", "b", "c"];
    for name in names {
        make(&store, slack(name)).await;
    }
    for n in 0..8 {
        let fleet = Fleet::of(1).environment(&format!("e{n}")).seed(&store).await;
        fleet.rollout(1).await;
    }
    queue(&store).await;
    let key = audit_key();
    let mut taken = store.take_deliveries(4, 60, &key).await.unwrap();
    let of = |taken: &[Taken], name: &str| {
        let theirs = taken.iter().filter(|one| one.destination.as_str() == name);
        theirs.count()
    };
    assert_eq!(taken.len(), 4);
    assert!(names.iter().all(|name| of(&taken, name) >= 1), "{taken:?}");
    // None of them ends, and one place is free at a time: it goes to whom has the fewest.
    for _ in 0..5 {
        taken.extend(store.take_deliveries(1, 60, &key).await.unwrap());
    }
    assert_eq!(names.map(|name| of(&taken, name)), [3, 3, 3]);
    let all = futures_util::future::join_all((0..8).map(|_| store.take_deliveries(16, 60, &key))).await;
    taken.extend(all.into_iter().flat_map(Result::unwrap));
    assert_eq!(names.map(|name| of(&taken, name)), [4, 4, 4]);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_is_dead_is_replayed_with_its_id_and_in_order(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    for name in ["one", "two"] {
        Fleet::of(1).environment(name).seed(&store).await.rollout(1).await;
    }
    queue(&store).await;
    let before: Vec<_> = deliveries(&store, "ops").await.iter().map(|one| one.id).collect();
    let name = "ops".parse().unwrap();
    let set = |enabled| UpdateDestination {
        enabled: Some(enabled),
        ..UpdateDestination::default()
    };
    store
        .update_destination(&name, &set(false), &ada(&audit_key()))
        .await
        .unwrap();
    let error = store.replay_destination(&name).await.unwrap_err();
    assert!(matches!(error, StoreError::DestinationDisabled { .. }), "{error}");
    assert!(matches!(
        store.queue_test(&name, &ada(&audit_key())).await,
        Err(StoreError::DestinationDisabled { .. })
    ));
    let now = store
        .update_destination(&name, &set(true), &ada(&audit_key()))
        .await
        .unwrap();
    assert_eq!((now.enabled, now.dead, now.disabled_because), (true, 2, None));
    assert_eq!(store.replay_destination(&name).await.unwrap(), 2);
    let taken: Vec<_> = take(&store).await.into_iter().map(|one| one.id).collect();
    assert_eq!(taken, before);
    let error = store.replay_delivery(before[0]).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::NotDead {
                state: DeliveryState::Waiting,
                ..
            }
        ),
        "{error}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_happens_to_destinations_is_in_the_log_without_their_secrets(pool: PgPool) {
    let store = store(&pool);
    let (key, name) = (audit_key(), "ops".parse().unwrap());
    make(&store, slack("ops")).await;
    let error = store
        .create_destination(&slack("ops"), &ada(&key))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::NameTaken {
                what: "destination",
                ..
            }
        ),
        "{error}"
    );
    let change = UpdateDestination {
        messages: Some(vec![MessageKind::HostStuck]),
        ..UpdateDestination::default()
    };
    store
        .update_destination(&name, &change, &ada(&key))
        .await
        .unwrap();
    store.delete_destination(&name, &ada(&key)).await.unwrap();
    assert!(matches!(
        store.delete_destination(&name, &ada(&key)).await,
        Err(StoreError::NotFound { .. })
    ));
    let events = store.list_all_events(0, 100).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.event.kind.as_str(), event.event.cause.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "destination.created",
                "ops (slack) gets all messages about all environments"
            ),
            (
                "destination.changed",
                "ops gets host.stuck about all environments"
            ),
            ("destination.deleted", "ops is deleted"),
        ]
    );
    assert!(store.verify_chain(&key).await.unwrap().problem.is_none());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn there_is_an_end_to_destinations_and_to_old_deliveries(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    Fleet::of(1).seed(&store).await.rollout(1).await;
    queue(&store).await;
    let old = "UPDATE deliveries SET state = 'delivered', finished_at = now() - interval '8 days'";
    sql(&pool, old).await;
    assert_eq!(store.collect_deliveries().await.unwrap(), 1);
    sql(
        &pool,
        "INSERT INTO destinations (id, name, kind, shown, created_by)
         SELECT gen_random_uuid(), 'd' || n, 'email', '', 'x' FROM generate_series(1, 99) AS n",
    )
    .await;
    let error = store
        .create_destination(&slack("more"), &ada(&audit_key()))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::TooManyDestinations { .. }), "{error}");
}

/// A row of a newer program is passed over in lists, and its sender says why it cannot be sent.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_message_of_a_newer_program_stops_nobody(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    for name in ["one", "two"] {
        Fleet::of(1).environment(name).seed(&store).await.rollout(1).await;
    }
    queue(&store).await;
    let newer = "UPDATE deliveries SET message = jsonb_set(message, '{type}', '\"rollout.levitated\"')
                 WHERE message #>> '{data,environment}' = 'one'";
    sql(&pool, newer).await;
    let taken = take(&store).await;
    assert_eq!(taken.iter().filter(|one| one.message.is_none()).count(), 1);
    assert_eq!(kinds(&store, "ops").await, [MessageKind::RolloutStarted]);
    let ids: BTreeSet<_> = taken.iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), 2);
}

/// A program of before an upgrade that was taken back reads no newer message. It tells nobody else to wait for ever.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_a_newer_program_wrote_holds_its_rollout_up_for_minutes_only(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    aborted_rollout(&Fleet::of(1).seed(&store).await).await;
    queue(&store).await;
    let all = [
        MessageKind::RolloutStarted,
        MessageKind::RolloutReverting,
        MessageKind::RolloutAborted,
    ];
    assert_eq!(kinds(&store, "ops").await, all);
    let newer = "UPDATE deliveries SET message = jsonb_set(message, '{type}', '\"rollout.levitated\"')
                 WHERE message ->> 'type' = 'rollout.started'";
    sql(&pool, newer).await;
    for tries in 1..=3 {
        for waits in deliveries(&store, "ops").await {
            assert_eq!(
                waits.waits_for_words().as_deref(),
                Some("waits for a message that a newer program wrote"),
                "{waits:?}"
            );
        }
        let taken = take(&store).await;
        assert_eq!(taken.len(), 1, "try {tries}: {taken:?}");
        assert!(taken[0].message.is_none());
        let unreadable = Sent::Failed {
            error: slipway_store::messages::UNREADABLE.to_owned(),
            after_seconds: 0,
        };
        finish(&store, &taken[0], unreadable).await;
    }
    let [second, third] = deliveries(&store, "ops").await.try_into().unwrap();
    assert_eq!(second.waits_for, None);
    assert_eq!(
        third.waits_for.as_ref().map(|earlier| earlier.id),
        Some(second.id),
        "it goes ahead of no message that can be read"
    );
    let taken = take(&store).await;
    let read: Vec<_> = taken.iter().filter_map(|one| one.message.as_ref()).collect();
    assert_eq!(read.len(), 1, "the next one goes ahead: {taken:?}");
    assert_eq!(read[0].kind, MessageKind::RolloutReverting);
    // The one that nobody can read is still tried, for a program that can.
    assert_eq!(taken.len(), 2, "{taken:?}");
}
