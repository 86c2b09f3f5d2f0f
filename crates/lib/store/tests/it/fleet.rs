//! Environments and hosts.

use std::collections::BTreeMap;

use slipway_domain::{ReleaseId, Strategy};
use slipway_store::{StoreError, TokenHash};
use slipway_testkit::{ScriptedAgent, audit_key};
use slipway_wire::fleet::{CreateEnvironment, CreateHost, UpdateEnvironment};
use sqlx::PgPool;

use crate::support::{Fleet, ada, claim, new_environment, new_host, settle, sql, store};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_environment_is_made_changed_and_listed(pool: PgPool) {
    let (store, key) = (store(&pool), audit_key());
    let new = new_environment("prod");
    let made = store.create_environment(&new, &ada(&key)).await.unwrap();
    assert_eq!(store.get_environment_by_name(&new.name).await.unwrap(), made);
    let error = store.create_environment(&new, &ada(&key)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the environment name `prod` is taken; choose another"
    );

    let other = CreateEnvironment {
        name: "dev".parse().unwrap(),
        ..new.clone()
    };
    store.create_environment(&other, &ada(&key)).await.unwrap();
    let names: Vec<_> = store
        .list_environments()
        .await
        .unwrap()
        .into_iter()
        .map(|e| e.name)
        .collect();
    assert_eq!(names, [other.name, new.name.clone()]);

    let strategy = Strategy {
        retries: 3,
        ..Strategy::default()
    };
    let change = UpdateEnvironment {
        strategy: Some(strategy.clone()),
        ..UpdateEnvironment::default()
    };
    let changed = store
        .update_environment(&new.name, &change, &ada(&key))
        .await
        .unwrap();
    assert_eq!((&changed.strategy, changed.approval_required), (&strategy, false));
    let change = UpdateEnvironment {
        approval_required: Some(true),
        own_strategy_allowed: Some(true),
        ..UpdateEnvironment::default()
    };
    let changed = store
        .update_environment(&new.name, &change, &ada(&key))
        .await
        .unwrap();
    assert_eq!((&changed.strategy, changed.approval_required), (&strategy, true));
    assert!(changed.own_strategy_allowed && !changed.related_approval_allowed);

    let stage = "stage".parse().unwrap();
    assert!(store.find_environment_by_name(&stage).await.unwrap().is_none());
    for error in [
        store.get_environment_by_name(&stage).await.unwrap_err(),
        store
            .update_environment(&stage, &change, &ada(&key))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "there is no environment `stage`");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_is_made_seen_and_retired(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let (name, id) = fleet.host(0);

    let mut agent = ScriptedAgent::new(id, name.clone(), None);
    agent.sync(store).await;
    let host = store.get_host_by_name(&name).await.unwrap();
    assert!(host.online);
    assert_eq!(host.agent_version.as_deref(), Some("test"));
    assert_eq!(host.environment, fleet.environment.name);
    sql(
        &pool,
        "UPDATE hosts SET last_seen_at = now() - interval '46 seconds'",
    )
    .await;
    assert!(!store.get_host_by_name(&name).await.unwrap().online);
    let nothing = ReleaseId::generate();
    let online = async || {
        let hosts = store.list_fleet(nothing, fleet.environment.id).await.unwrap();
        let online = hosts.into_iter().filter(|(_, host)| host.online);
        online.map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(online().await, []);
    agent.sync(store).await;
    assert_eq!(online().await, std::slice::from_ref(&name));

    let environment = store
        .get_environment_by_name(&fleet.environment.name)
        .await
        .unwrap();
    assert_eq!((environment.hosts, environment.open_rollout), (2, None));
    store.retire_host(&name, &ada(key)).await.unwrap();
    store.retire_host(&name, &ada(key)).await.unwrap();
    let listed = store
        .list_hosts(Some(fleet.environment.id), None, 10)
        .await
        .unwrap();
    assert_eq!(
        listed.into_iter().map(|host| host.name).collect::<Vec<_>>(),
        [fleet.host(1).0]
    );
    assert!(store.get_host_by_name(&name).await.unwrap().retired_at.is_some());
    assert_eq!(
        store
            .get_environment_by_name(&fleet.environment.name)
            .await
            .unwrap()
            .hosts,
        1
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_name_is_unique_in_the_whole_control_plane(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let mut new = CreateHost {
        labels: BTreeMap::from([("role".to_owned(), "web".to_owned())]),
        ..new_host("prod-0", "prod")
    };
    let hash = TokenHash::of("slw_x");
    let error = store.create_host(&new, hash, &ada(key)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the host name `prod-0` is taken; choose another"
    );
    new.name = "web-1".parse().unwrap();
    let (host, token) = store.create_host(&new, hash, &ada(key)).await.unwrap();
    assert_eq!(store.get_host_by_name(&new.name).await.unwrap(), host);
    assert_eq!((&host.labels, token.host), (&new.labels, Some(new.name.clone())));
    new.environment = "stage".parse().unwrap();
    let error = store.create_host(&new, hash, &ada(key)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no environment `stage`");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_under_way_is_not_retired(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let rollout = fleet.rollout(1).await;
    let number = fleet
        .store
        .get_rollout(rollout)
        .await
        .unwrap()
        .summary
        .number
        .unwrap();
    let name = fleet.host(0).0;
    let error = fleet
        .store
        .retire_host(&name, &ada(&fleet.key))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::HostBusy { .. }));
    assert_eq!(
        error.to_string(),
        format!("host `prod-0` is part of the open rollout #{number}: wait until it is over, or abort it")
    );
    // Nobody was ever seen: the rollout skips both hosts and is over.
    settle(&fleet.store, &claim(&fleet.store, "w").await)
        .await
        .unwrap();
    fleet.store.retire_host(&name, &ada(&fleet.key)).await.unwrap();
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn text_that_cannot_be_stored_is_refused_in_words(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    for labels in [("a\0", "b"), ("a", "\0b")] {
        let new = CreateHost {
            labels: BTreeMap::from([(labels.0.to_owned(), labels.1.to_owned())]),
            ..new_host("web-1", "prod")
        };
        let (hash, by) = (TokenHash::of("slw_x"), ada(&fleet.key));
        let error = fleet.store.create_host(&new, hash, &by).await.unwrap_err();
        assert!(matches!(error, StoreError::Unstorable(_)), "{error:?}");
        assert!(error.to_string().contains("NUL character"), "{error}");
    }
}
