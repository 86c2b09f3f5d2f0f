//! Hosts that come back or move, and environments that go.

use slipway_domain::EnvironmentName;
use slipway_store::{Caller, StoreError, TokenHash};
use slipway_testkit::ScriptedAgent;
use sqlx::PgPool;

use crate::support::{Fleet, ada, claim, new_environment, new_host, settle, sql, store, to};

async fn kinds(pool: &PgPool) -> Vec<String> {
    let sql = "SELECT kind FROM events ORDER BY number DESC LIMIT 4";
    let mut kinds: Vec<String> = sqlx::query_scalar(sql).fetch_all(pool).await.unwrap();
    kinds.reverse();
    kinds
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_retired_host_is_taken_back_with_a_new_token_and_nothing_remembered(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, by) = (&fleet.store, ada(&fleet.key));
    let (name, id) = fleet.host(0);
    let hash = TokenHash::of("slw_old");
    store.replace_host_token(id, "agent", hash, &by).await.unwrap();
    let mut machine = ScriptedAgent::new(id, name.clone(), None);
    machine.sync(store).await;
    // A second machine takes the first one's place, and both are heard.
    let mut other = machine.clone();
    "0ther".clone_into(&mut other.boot_id);
    other.sync(store).await;
    machine.counter = Some(1_000_000_000);
    let word = machine.observation(store.now().await.unwrap());
    store.record_observation(id, &word).await.unwrap_err();
    // A step that was stuck when the machine was given up.
    fleet.rollout(1).await;
    sql(
        &pool,
        "UPDATE steps SET state = 'stuck', attempt = gen_random_uuid()",
    )
    .await;
    sql(&pool, "UPDATE rollouts SET state = 'failed', finished_at = now()").await;
    let error = store.restore_host(&name, None, hash, &by).await.unwrap_err();
    assert!(error.to_string().contains("is not retired"), "{error}");

    store.retire_host(&name, &by).await.unwrap();
    let taken = store
        .create_host(&new_host(name.as_str(), "prod"), hash, &by)
        .await
        .unwrap_err();
    assert!(
        taken
            .to_string()
            .contains("is that of a host that was retired on 20")
            && taken.to_string().contains("slipway host restore prod-0"),
        "{taken}"
    );
    let moved = store
        .update_host(&name, &to(fleet.environment.name.as_str()), &by)
        .await
        .unwrap_err();
    assert!(matches!(moved, StoreError::Retired { .. }), "{moved}");

    let fresh = TokenHash::of("slw_fresh");
    let (back, token) = store.restore_host(&name, None, fresh, &by).await.unwrap();
    assert_eq!((back.id, back.retired_at, back.online), (id, None, false));
    assert_eq!(
        (back.last_seen_at, &back.live, &back.trouble),
        (None, &None, &None)
    );
    let forgotten = "SELECT boot_id IS NULL AND boot_counter IS NULL AND second_life_at IS NULL FROM hosts";
    let forgotten: bool = sqlx::query_scalar(forgotten).fetch_one(&pool).await.unwrap();
    assert!(forgotten);
    assert!(
        store.authenticate(&hash, &fleet.key).await.unwrap().is_none(),
        "its old token stays refused"
    );
    let caller = Caller::Host {
        id,
        name: name.clone(),
    };
    assert_eq!(token.host.as_ref(), Some(&name));
    assert_eq!(
        store.authenticate(&fresh, &fleet.key).await.unwrap(),
        Some(caller)
    );
    let assignment = store.find_assigned(&[id]).await.unwrap().remove(0).assignment;
    assert_eq!(
        assignment.attempt, None,
        "the machine that comes back knows nothing of that attempt"
    );
    assert_eq!(
        kinds(&pool).await,
        ["host.retired", "host.restored", "token.revoked", "token.created"]
    );
    let heard = machine.sync(store).await.0;
    assert!(
        heard.assigned.is_some(),
        "nothing is in doubt of the machine that comes back"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_moves_only_while_no_rollout_is_at_it(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let (store, by) = (&fleet.store, ada(&fleet.key));
    let stage: EnvironmentName = "stage".parse().unwrap();
    store
        .create_environment(&new_environment("stage"), &by)
        .await
        .unwrap();
    let (name, id) = fleet.host(0);
    let error = store.update_host(&name, &to("nowhere"), &by).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no environment `nowhere`");

    fleet.rollout(1).await;
    let error = store.update_host(&name, &to("stage"), &by).await.unwrap_err();
    assert!(matches!(error, StoreError::HostBusy { .. }), "{error}");
    settle(store, &claim(store, "w").await).await.unwrap();

    let moved = store.update_host(&name, &to("stage"), &by).await.unwrap();
    assert_eq!((moved.id, &moved.environment), (id, &stage));
    let head = store.event_head().await.unwrap();
    store.update_host(&name, &to("stage"), &by).await.unwrap();
    assert_eq!(
        store.event_head().await.unwrap(),
        head,
        "a host that is there already stays"
    );
    assert_eq!(kinds(&pool).await.pop().as_deref(), Some("host.moved"));
    let left = store
        .list_hosts(Some(fleet.environment.id), None, 10)
        .await
        .unwrap();
    assert_eq!(
        left.into_iter().map(|host| host.name).collect::<Vec<_>>(),
        [fleet.host(1).0]
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_environment_goes_when_it_is_empty_and_comes_back_with_its_history(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, by) = (&fleet.store, ada(&fleet.key));
    let (prod, name) = (fleet.environment.name.clone(), fleet.host(0).0);
    let rollout = fleet.rollout(1).await;
    settle(store, &claim(store, "w").await).await.unwrap();
    let error = store.delete_environment(&prod, &by).await.unwrap_err();
    assert!(error.to_string().contains("has 1 hosts; move them"), "{error}");

    store.retire_host(&name, &by).await.unwrap();
    store.delete_environment(&prod, &by).await.unwrap();
    assert!(store.list_environments().await.unwrap().is_empty());
    let gone = format!("there is no environment `{prod}`");
    let hash = TokenHash::of("slw_new");
    for error in [
        store.delete_environment(&prod, &by).await.unwrap_err(),
        store.get_environment_by_name(&prod).await.unwrap_err(),
        store
            .create_host(&new_host("web-1", "prod"), hash, &by)
            .await
            .unwrap_err(),
        store
            .restore_host(&name, None, TokenHash::of("slw_x"), &by)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.to_string(), gone);
    }
    assert_eq!(
        store.get_rollout(rollout).await.unwrap().summary.environment,
        prod
    );

    let again = store
        .create_environment(&new_environment("prod"), &by)
        .await
        .unwrap();
    assert_eq!(again.id, fleet.environment.id);
    assert_eq!(
        kinds(&pool).await[2..],
        ["environment.deleted", "environment.created"]
    );
    store
        .create_host(&new_host("web-1", "prod"), hash, &by)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_host_comes_into_an_environment_that_goes(pool: PgPool) {
    let fleet = Fleet::of(0).seed(&store(&pool)).await;
    let (store, by) = (&fleet.store, ada(&fleet.key));
    for round in 0..20 {
        let name = format!("env-{round}");
        store
            .create_environment(&new_environment(&name), &by)
            .await
            .unwrap();
        let new = new_host(&format!("web-{round}"), &name);
        let hash = TokenHash::of(&format!("slw_{round}"));
        let environment: EnvironmentName = name.parse().unwrap();
        let (made, deleted) = tokio::join!(
            store.create_host(&new, hash, &by),
            store.delete_environment(&environment, &by)
        );
        assert_ne!(made.is_ok(), deleted.is_ok(), "{made:?} {deleted:?}");
    }
}

/// The token is shown once: whoever loses the answer has none, and the old ones are revoked.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_new_token_is_answered_whatever_happens_to_the_row_after_the_commit(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let by = ada(&fleet.key);
    let (name, _) = fleet.host(0);
    fleet
        .store
        .create_environment(&new_environment("other"), &by)
        .await
        .unwrap();
    fleet.store.retire_host(&name, &by).await.unwrap();
    // Somebody writes what no read of the host survives, at the very moment of the commit.
    let trigger = "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                       UPDATE hosts SET live = 'no path' WHERE id = new.id; RETURN NULL; END $$;
                   CREATE CONSTRAINT TRIGGER spoil AFTER UPDATE OF environment_id ON hosts
                       DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spoil()";
    sql(&pool, trigger).await;
    let hash = TokenHash::of("slw_back");
    let (host, _) = fleet.store.restore_host(&name, None, hash, &by).await.unwrap();
    assert_eq!((&host.name, host.retired_at), (&name, None));
    assert!(
        fleet
            .store
            .authenticate(&hash, &fleet.key)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        fleet.store.get_host_by_name(&name).await.is_err(),
        "the test spoils nothing"
    );

    sql(&pool, "UPDATE hosts SET live = NULL").await;
    let moved = fleet.store.update_host(&name, &to("other"), &by).await.unwrap();
    assert_eq!(moved.environment.as_str(), "other");
}
