//! Appending to the chain.

use slipway_domain::event::{NewEvent, chain_hash};
use slipway_domain::{EnvironmentId, HostId, RolloutId, StepId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::AuditKey;
use crate::{StoreError, row};

/// Puts events at the end of the chain, in this order, at the transaction's instant.
///
/// Call it last in a transaction: from here to the commit nobody else can append.
pub(crate) async fn append(
    tx: &mut PgConnection,
    key: &AuditKey,
    events: &[NewEvent],
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let head = sqlx::query!(r#"SELECT number, hash, now() AS "now!" FROM event_head FOR UPDATE"#)
        .fetch_one(&mut *tx)
        .await?;
    let mut hash = row::hash("event hash", head.hash)?;
    let mut number = head.number;
    let mut columns = Columns::default();
    for event in events {
        number += 1;
        hash = chain_hash(&hash, number, head.now, event);
        columns.push(number, event, hash.to_vec(), key.seal(&hash).to_vec());
    }
    columns.insert(tx, key).await?;
    sqlx::query!(
        "UPDATE event_head SET number = $1, hash = $2",
        number,
        hash.as_slice()
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Events by column, to write any number of them in one statement.
#[derive(Default)]
struct Columns<'a> {
    numbers: Vec<i64>,
    actor_kinds: Vec<&'a str>,
    actor_names: Vec<&'a str>,
    kinds: Vec<&'a str>,
    environments: Vec<Option<Uuid>>,
    rollouts: Vec<Option<Uuid>>,
    steps: Vec<Option<Uuid>>,
    hosts: Vec<Option<Uuid>>,
    froms: Vec<Option<&'a str>>,
    tos: Vec<Option<&'a str>>,
    causes: Vec<&'a str>,
    hashes: Vec<Vec<u8>>,
    seals: Vec<Vec<u8>>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, number: i64, event: &'a NewEvent, hash: Vec<u8>, seal: Vec<u8>) {
        self.numbers.push(number);
        self.actor_kinds.push(event.actor.kind());
        self.actor_names.push(event.actor.name());
        self.kinds.push(&event.kind);
        self.environments
            .push(event.environment.map(EnvironmentId::as_uuid));
        self.rollouts.push(event.rollout.map(RolloutId::as_uuid));
        self.steps.push(event.step.map(StepId::as_uuid));
        self.hosts.push(event.host.map(HostId::as_uuid));
        self.froms.push(event.from.as_deref());
        self.tos.push(event.to.as_deref());
        self.causes.push(&event.cause);
        self.hashes.push(hash);
        self.seals.push(seal);
    }

    async fn insert(&self, tx: &mut PgConnection, key: &AuditKey) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO events (number, at, actor_kind, actor_name, kind, environment_id, rollout_id, step_id,
                                 host_id, from_state, to_state, cause, hash, seal, seal_key)
             SELECT number, now(), actor_kind, actor_name, kind, environment_id, rollout_id, step_id,
                    host_id, from_state, to_state, cause, hash, seal, $14
             FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[],
                         $8::uuid[], $9::text[], $10::text[], $11::text[], $12::bytea[], $13::bytea[])
                  AS e (number, actor_kind, actor_name, kind, environment_id, rollout_id, step_id,
                        host_id, from_state, to_state, cause, hash, seal)",
            &self.numbers,
            &self.actor_kinds as _,
            &self.actor_names as _,
            &self.kinds as _,
            &self.environments as _,
            &self.rollouts as _,
            &self.steps as _,
            &self.hosts as _,
            &self.froms as _,
            &self.tos as _,
            &self.causes as _,
            &self.hashes,
            &self.seals,
            key.fingerprint(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }
}
