//! Making a rollout.

use std::collections::{BTreeMap, BTreeSet};

use slipway_domain::event::{Actor, NewEvent};
use slipway_domain::plan::{Wave, cluster_of};
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{
    EnvironmentId, EnvironmentName, HostName, Labels, PrincipalId, ReleaseId, RolloutId, RolloutState,
    StepId, Strategy, Timestamp, TraceParent,
};
use sqlx::PgConnection;
use sqlx::types::Json;
use tracing::instrument;
use uuid::Uuid;

use super::commands::insert_command;
use crate::audit::digests::CommandRow;
use crate::audit::{append, digests, gate, kind};
use crate::error::OnConstraint;
use crate::releases::{check_rollout, label_of, number};
use crate::{AuditKey, Store, StoreError, row};

/// A rollout to be made. The caller has checked the strategy and planned the waves.
#[derive(Debug, Clone)]
pub struct NewRollout {
    /// Its id, new or [of its request](crate::AuditKey::derive).
    pub id: RolloutId,
    /// Where.
    pub environment: EnvironmentId,
    /// What.
    pub release: ReleaseId,
    /// How.
    pub strategy: Strategy,
    /// Which host in which wave, from [`slipway_domain::plan::waves`].
    pub waves: Vec<Wave>,
    /// Who.
    pub author: PrincipalId,
    /// It begins nothing on a host before.
    pub not_before: Option<Timestamp>,
    /// Why it is not to wait for the environment's windows and freezes. Whoever starts it may override them.
    pub override_freeze: Option<String>,
    /// Where its spans hang.
    pub traceparent: Option<TraceParent>,
    /// Whether hosts were left out by name that the release has a closure for.
    pub narrowed: bool,
}

impl Store {
    /// Makes a rollout with its steps. It waits for an approval if the environment asks for one.
    ///
    /// Fails with [`StoreError::EnvironmentBusy`] if one is open there already. Fails with all hosts of the waves that
    /// are not in the environment, are retired, or have no closure in the release. Fails with
    /// [`StoreError::LabelsChanged`] when hosts are no longer of the group of their wave. Fails with
    /// [`StoreError::Tampered`] when the environment, a host, the release or the author's role is not what the audit log
    /// says.
    #[instrument(name = "db.rollout.create", level = "debug", skip_all, fields(release = %new.release))]
    pub async fn create_rollout(&self, new: &NewRollout, key: &AuditKey) -> Result<RolloutId, StoreError> {
        self.transaction(async |tx| {
            let environment = lock_environment(tx, new.environment).await?;
            gate::environment(tx, key, new.environment).await?;
            if new.waves.iter().all(|wave| wave.hosts.is_empty()) {
                return Err(StoreError::NoHosts {
                    environment: environment.name,
                });
            }
            let author =
                sqlx::query_scalar!("SELECT name FROM principals WHERE id = $1", new.author.as_uuid())
                    .fetch_optional(&mut *tx)
                    .await?
                    .ok_or_else(|| StoreError::not_found("principal", &new.author))?;
            let id = new.id;
            let state = if environment.approval_required {
                RolloutState::PendingApproval
            } else {
                RolloutState::Staging
            };
            let seq = sqlx::query_scalar!(
                "INSERT INTO rollouts (id, environment_id, release_id, strategy, state, author_id, traceparent, not_before,
                                       narrowed)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING seq",
                id.as_uuid(),
                new.environment.as_uuid(),
                new.release.as_uuid(),
                Json(&new.strategy) as _,
                state.as_str(),
                new.author.as_uuid(),
                new.traceparent.as_ref().map(TraceParent::as_str),
                new.not_before,
                new.narrowed
            )
            .fetch_one(&mut *tx)
            .await
            .on_constraint("rollouts_release_id_fkey", || {
                StoreError::not_found("release", &new.release)
            })?;
            gate::principal(tx, key, new.author).await?;
            gate::release(tx, key, new.release).await?;
            check_rollout(tx, new.release, new.environment).await?;
            let steps = insert_steps(tx, key, id, new, &environment.name).await?;
            let actor = Actor::Principal(row::parse("principal name", &author)?);
            let waves = new.waves.iter().filter(|wave| !wave.hosts.is_empty()).count();
            let release = label_of(tx, new.release).await?;
            let cause = format!("rollout #{seq} of release {release} to {steps} hosts in {waves} waves");
            let event = NewEvent {
                environment: Some(new.environment),
                rollout: Some(id),
                to: Some(state.to_string()),
                ..NewEvent::new(actor, kind::ROLLOUT_CREATED, cause)
            };
            let plan = digests::plan(tx, id).await?;
            let mut events = vec![event.deciding(&plan)];
            if let Some(why) = &new.override_freeze {
                let command = CommandRow::new(id, CommandKind::OverrideFreeze, new.author, Some(why), None);
                events.push(insert_command(tx, &command, &author, new.environment, &plan).await?);
            }
            append(tx, key, &events).await?;
            Ok(id)
        })
        .await
    }
}

struct LockedEnvironment {
    name: EnvironmentName,
    approval_required: bool,
}

/// Only one rollout is made at a time in an environment, so that their order is the order of their numbers.
async fn lock_environment(tx: &mut PgConnection, id: EnvironmentId) -> Result<LockedEnvironment, StoreError> {
    let row = sqlx::query!(
        "SELECT name, approval_required FROM environments WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE",
        id.as_uuid()
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| StoreError::not_found("environment", &id))?;
    let name = row::parse("environment name", &row.name)?;
    let open = sqlx::query_scalar!(
        "SELECT seq FROM rollouts WHERE environment_id = $1 AND finished_at IS NULL",
        id.as_uuid()
    )
    .fetch_optional(tx)
    .await?;
    match open {
        Some(seq) => Err(StoreError::EnvironmentBusy {
            environment: name,
            number: number(seq),
        }),
        None => Ok(LockedEnvironment {
            name,
            approval_required: row.approval_required,
        }),
    }
}

async fn insert_steps(
    tx: &mut PgConnection,
    key: &AuditKey,
    rollout: RolloutId,
    new: &NewRollout,
    environment: &EnvironmentName,
) -> Result<usize, StoreError> {
    let mut waves: BTreeMap<&str, (i32, &Wave)> = BTreeMap::new();
    for (number, wave) in (0_i32..).zip(&new.waves) {
        waves.extend(wave.hosts.iter().map(|host| (host.as_str(), (number, wave))));
    }
    let names: Vec<&str> = waves.keys().copied().collect();
    let hosts = sqlx::query!(
        r#"SELECT h.id, h.name, h.labels AS "labels: Json<Labels>", c.closure
         FROM hosts h JOIN release_closures c ON c.host_id = h.id AND c.release_id = $1
         WHERE h.name = ANY($2) AND h.environment_id = $3 AND h.retired_at IS NULL
         ORDER BY h.name FOR KEY SHARE OF h"#,
        new.release.as_uuid(),
        &names as _,
        new.environment.as_uuid()
    )
    .fetch_all(&mut *tx)
    .await?;
    let found: BTreeSet<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let planned = new.waves.iter().flat_map(|wave| &wave.hosts);
    let unknown: Vec<HostName> = planned
        .filter(|name| !found.contains(name.as_str()))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(StoreError::UnknownHosts {
            problem: format!("not hosts of environment `{environment}` with a closure in the release"),
            names: unknown,
        });
    }
    let ids: Vec<Uuid> = hosts.iter().map(|_| StepId::generate().as_uuid()).collect();
    let host_ids: Vec<Uuid> = hosts.iter().map(|host| host.id).collect();
    gate::hosts(tx, key, new.environment, &host_ids).await?;
    let (mut numbers, mut groups, mut canaries) = (Vec::new(), Vec::new(), Vec::new());
    let mut moved = Vec::new();
    for host in &hosts {
        let Some((number, wave)) = waves.get(host.name.as_str()) else {
            continue;
        };
        if wave.group != new.strategy.group_of(&host.labels) {
            moved.push(row::parse("host name", &host.name)?);
        }
        numbers.push(*number);
        groups.push(i32::try_from(wave.group).unwrap_or(i32::MAX));
        canaries.push(wave.canary);
    }
    if !moved.is_empty() {
        return Err(StoreError::LabelsChanged { names: moved });
    }
    let clusters: Vec<Option<&str>> = hosts.iter().map(|host| cluster_of(&host.labels)).collect();
    let closures: Vec<&str> = hosts.iter().map(|host| host.closure.as_str()).collect();
    sqlx::query!(
        "INSERT INTO steps (id, rollout_id, host_id, wave, closure, host_group, canary, cluster)
         SELECT id, $1, host_id, wave, closure, host_group, canary, cluster
         FROM unnest($2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::integer[], $7::boolean[], $8::text[])
              AS s (id, host_id, wave, closure, host_group, canary, cluster)",
        rollout.as_uuid(),
        &ids,
        &host_ids,
        &numbers,
        &closures as _,
        &groups,
        &canaries,
        &clusters as _
    )
    .execute(tx)
    .await?;
    Ok(hosts.len())
}
