//! What several tests share.

use std::collections::BTreeMap;
use std::time::Duration;

use slipway_domain::decide::decide;
use slipway_domain::event::Actor;
use slipway_domain::plan::Wave;
use slipway_domain::{AttemptId, Instruction, RolloutId, Strategy};
use slipway_settings::{DatabaseHost, DatabaseSettings, SslMode};
use slipway_store::{Applied, EventAuthor, Lease, RolloutsOf, Store, StoreError};
use slipway_testkit::{ScriptedAgent, audit_key, closure, database_password};
use slipway_wire::fleet::{CreateEnvironment, CreateHost, UpdateHost};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

pub(crate) use slipway_testkit::{Fleet, store};

pub(crate) const SECONDS: u32 = 30;

/// The person at the keyboard.
pub(crate) fn ada(key: &slipway_store::AuditKey) -> EventAuthor<'_> {
    EventAuthor::new(Actor::Principal("ada".parse().unwrap()), key)
}

/// An environment where everything is as when nothing is said.
pub(crate) fn new_environment(name: &str) -> CreateEnvironment {
    CreateEnvironment {
        name: name.parse().unwrap(),
        strategy: Strategy::default(),
        approval_required: false,
        own_strategy_allowed: false,
        related_approval_allowed: false,
        windows: Vec::new(),
    }
}

/// A host without labels.
pub(crate) fn new_host(name: &str, environment: &str) -> CreateHost {
    CreateHost {
        name: name.parse().unwrap(),
        environment: environment.parse().unwrap(),
        labels: BTreeMap::new(),
    }
}

/// A wave of these hosts, of the only group there is.
pub(crate) fn wave(number: u32, hosts: &[&str]) -> Wave {
    Wave {
        group: 0,
        canary: number == 0,
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
    }
}

/// The change that moves a host there.
pub(crate) fn to(environment: &str) -> UpdateHost {
    UpdateHost {
        environment: Some(environment.parse().unwrap()),
        ..UpdateHost::default()
    }
}

/// Runs SQL that only a test would.
pub(crate) async fn sql(pool: &PgPool, text: &str) -> u64 {
    sqlx::raw_sql(text).execute(pool).await.unwrap().rows_affected()
}

/// The settings that lead to a test's own database, through this port if given.
pub(crate) fn settings(options: &PgConnectOptions, port: Option<u16>) -> DatabaseSettings {
    DatabaseSettings {
        host: DatabaseHost::Tcp(options.get_host().to_owned()),
        port: port.unwrap_or(options.get_port()),
        name: options.get_database().unwrap().to_owned(),
        user: options.get_username().to_owned(),
        password: database_password(options).map(Into::into),
        process_role: None,
        ssl_mode: SslMode::Disable,
        ssl_root_cert: None,
        pool_size: 20,
        max_overflow: 10,
        acquire_timeout: Duration::from_secs(5),
    }
}

/// The one lease that there is to take.
pub(crate) async fn claim(store: &Store, worker: &str) -> Lease {
    let mut leases = store.claim_rollouts(worker, SECONDS, 10).await.unwrap();
    assert!(leases.len() <= 1, "{leases:?}");
    leases.pop().expect("there is no rollout to claim")
}

/// The rollouts that are not over.
pub(crate) async fn open_rollouts(store: &Store) -> Vec<RolloutId> {
    let mut rollouts = store
        .list_rollouts(RolloutsOf::default(), None, 100)
        .await
        .unwrap();
    rollouts.retain(|rollout| rollout.finished_at.is_none());
    rollouts.into_iter().map(|rollout| rollout.id).collect()
}

/// Why each command that a worker took was refused, the oldest first; `None` for one that was carried out.
pub(crate) async fn refusals(pool: &PgPool) -> Vec<Option<String>> {
    let sql = "SELECT refused FROM rollout_commands WHERE applied_at IS NOT NULL ORDER BY seq";
    sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
}

/// Decides and applies until there is nothing more to decide.
pub(crate) async fn settle(store: &Store, lease: &Lease) -> Result<Vec<Applied>, StoreError> {
    let key = audit_key();
    let mut all = Vec::new();
    for _ in 0..100 {
        let (snapshot, now) = store.load_snapshot(lease, &key).await?;
        let changes = decide(&snapshot, now, &mut AttemptId::random);
        if changes.is_empty() {
            return Ok(all);
        }
        all.push(store.apply(lease, &changes, &key).await?);
    }
    panic!("it never comes to rest");
}

/// An agent for each host of a fleet, all on version 0.
pub(crate) fn agents(fleet: &Fleet) -> Vec<ScriptedAgent> {
    fleet
        .hosts
        .iter()
        .map(|(name, id)| ScriptedAgent::new(*id, name.clone(), Some(closure(name.as_str(), 0))))
        .collect()
}

/// Lets every agent report and obey, and the worker decide, until nothing moves.
pub(crate) async fn drive(fleet: &Fleet, agents: &mut [ScriptedAgent], lease: &Lease) {
    for _ in 0..50 {
        let mut moved = false;
        for agent in agents.iter_mut() {
            let (recorded, told) = agent.sync(&fleet.store).await;
            moved |= recorded.news || told != Instruction::Idle;
        }
        let applied = settle(&fleet.store, lease).await.unwrap();
        if !moved && applied.is_empty() {
            return;
        }
    }
    panic!("it never comes to rest");
}

/// Makes the log one that a release before digests would have written: computed and sealed again with the real key.
pub(crate) async fn strip_digests(pool: &PgPool, key: &slipway_store::AuditKey) {
    sql(pool, "ALTER TABLE events DISABLE TRIGGER USER").await;
    let mut hash = slipway_domain::event::GENESIS;
    for mut record in store(pool).list_all_events(0, 1000).await.unwrap() {
        record.event.cause = record.event.cause_text().to_owned();
        hash = slipway_domain::event::chain_hash(&hash, record.number, record.at, &record.event);
        sqlx::query("UPDATE events SET cause = $2, hash = $3, seal = $4 WHERE number = $1")
            .bind(record.number)
            .bind(record.event.cause)
            .bind(hash.as_slice())
            .bind(key.seal(&hash).as_slice())
            .execute(pool)
            .await
            .unwrap();
    }
    sqlx::query("UPDATE event_head SET hash = $1")
        .bind(hash.as_slice())
        .execute(pool)
        .await
        .unwrap();
    sql(pool, "ALTER TABLE events ENABLE TRIGGER USER").await;
}
