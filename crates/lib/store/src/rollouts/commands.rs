//! Operators' commands for a rollout. The worker carries them out.

use slipway_domain::digest::Digest;
use slipway_domain::event::{Actor, NewEvent};
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{
    CommandId, EnvironmentId, EnvironmentName, HostName, PrincipalId, PrincipalName, RolloutId, RolloutState,
    StepState,
};
use sqlx::PgConnection;
use tracing::instrument;

use crate::audit::digests::{self, CommandRow};
use crate::audit::{append, gate, kind as event_kind, related};
use crate::fleet::offline_after;
use crate::{AuditKey, Store, StoreError, bounded, row};

/// What somebody asks of a rollout.
#[derive(Debug, Clone, Copy)]
pub struct NewCommand<'a> {
    /// Its id. The same one again is the same command, and changes nothing.
    pub id: CommandId,
    /// Of which rollout.
    pub rollout: RolloutId,
    /// What.
    pub kind: CommandKind,
    /// Who.
    pub principal: PrincipalId,
    /// Why, in their own words.
    pub reason: Option<&'a str>,
    /// The plans of hosts that an approval is for.
    pub plan: Option<Digest>,
}

impl<'a> NewCommand<'a> {
    /// Another one, without a reason.
    #[must_use]
    pub fn new(rollout: RolloutId, kind: CommandKind, principal: PrincipalId) -> Self {
        Self {
            id: CommandId::generate(),
            rollout,
            kind,
            principal,
            reason: None,
            plan: None,
        }
    }

    /// The same, with a reason.
    #[must_use]
    pub const fn because(mut self, reason: &'a str) -> Self {
        self.reason = Some(reason);
        self
    }
}

impl Store {
    /// Writes a command down for the worker; wake it afterwards.
    ///
    /// Refuses a command that the rollout's state does not allow, and an approval of one's own rollout. The worker checks
    /// both again when it takes the command. Refuses it too if author and approver may be one person, unless the
    /// environment permits that. An approval only covers the plan in the audit log.
    ///
    /// An approval of other plans of hosts than they have fails with [`StoreError::PlanMoved`]. It fails with
    /// [`StoreError::PlanUnknown`] while a host that is online still fetches.
    ///
    /// Gives the rollout that the command is for: one that comes again is for the rollout of the first time.
    #[instrument(
        name = "db.rollout.command", level = "debug", skip_all,
        fields(rollout_id = %command.rollout, kind = command.kind.as_str())
    )]
    pub async fn request_command(
        &self,
        command: NewCommand<'_>,
        key: &AuditKey,
    ) -> Result<RolloutId, StoreError> {
        let NewCommand {
            rollout,
            kind,
            principal,
            ..
        } = command;
        self.transaction(async |tx| {
            let row = sqlx::query!(
                "SELECT state, environment_id FROM rollouts WHERE id = $1 FOR NO KEY UPDATE",
                rollout.as_uuid()
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::not_found("rollout", &rollout))?;
            // Before all that could refuse it now: the first time it was taken.
            if let Some(rollout) = rollout_of(tx, command.id).await? {
                return Ok(rollout);
            }
            let state: RolloutState = row::parse("rollout state", &row.state)?;
            if !kind.fits(state) {
                return Err(StoreError::CommandRefused { kind, state });
            }
            let name = sqlx::query_scalar!("SELECT name FROM principals WHERE id = $1", principal.as_uuid())
                .fetch_optional(&mut *tx)
                .await?
                .ok_or_else(|| StoreError::not_found("principal", &principal))?;
            if kind == CommandKind::Approve {
                require_independent(tx, key, rollout, principal).await?;
            }
            let approved = command.plan.filter(|_| kind == CommandKind::Approve);
            let plan = match kind {
                CommandKind::Approve => {
                    if let Some(approved) = approved {
                        check_plan(tx, rollout, approved).await?;
                    }
                    gate::principal(tx, key, principal).await?;
                    gate::plan(tx, key, rollout).await?
                }
                _ => digests::plan(tx, rollout).await?,
            };
            let command = CommandRow {
                id: command.id,
                ..CommandRow::new(rollout, kind, principal, command.reason, approved)
            };
            let environment = EnvironmentId::from_uuid(row.environment_id);
            let event = insert_command(tx, &command, &name, environment, &plan).await?;
            append(tx, key, &[event]).await?;
            Ok(rollout)
        })
        .await
    }

    /// Why a principal who has the role cannot approve a rollout, if so: it started it, or is related to whoever did.
    #[instrument(name = "db.rollout.why_not_approve", level = "debug", skip_all, fields(rollout_id = %rollout))]
    pub async fn why_not_approve(
        &self,
        rollout: RolloutId,
        principal: PrincipalId,
        key: &AuditKey,
    ) -> Result<Option<StoreError>, StoreError> {
        bounded(async {
            let mut tx = self.begin_one_moment().await?;
            match require_independent(&mut tx, key, rollout, principal).await {
                Ok(()) => Ok(None),
                Err(error @ (StoreError::SelfApproval | StoreError::RelatedApproval { .. })) => {
                    Ok(Some(error))
                }
                Err(error) => Err(error),
            }
        })
        .await
    }
}

/// The rollout of a command that was written down.
async fn rollout_of(tx: &mut PgConnection, command: CommandId) -> Result<Option<RolloutId>, StoreError> {
    let rollout = sqlx::query_scalar!(
        r#"SELECT rollout_id AS "rollout: RolloutId" FROM rollout_commands WHERE id = $1"#,
        command.as_uuid()
    );
    Ok(rollout.fetch_optional(tx).await?)
}

/// Refuses an approval by whoever started the rollout, and by one who is related to them, unless the environment permits
/// that.
async fn require_independent(
    tx: &mut PgConnection,
    key: &AuditKey,
    rollout: RolloutId,
    principal: PrincipalId,
) -> Result<(), StoreError> {
    let row = sqlx::query!(
        r#"SELECT r.author_id, a.name AS "author: PrincipalName", p.name AS "approver: PrincipalName",
                  e.name AS "environment: EnvironmentName", e.related_approval_allowed
           FROM rollouts r
           JOIN environments e ON e.id = r.environment_id
           JOIN principals a ON a.id = r.author_id
           JOIN principals p ON p.id = $2
           WHERE r.id = $1"#,
        rollout.as_uuid(),
        principal.as_uuid()
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| StoreError::not_found("rollout", &rollout))?;
    if row.author_id == principal.as_uuid() {
        return Err(StoreError::SelfApproval);
    }
    let author = PrincipalId::from_uuid(row.author_id);
    if !row.related_approval_allowed && related::are_related(tx, key, author, principal).await? {
        return Err(StoreError::RelatedApproval {
            author: row.author,
            approver: row.approver,
            environment: row.environment,
        });
    }
    Ok(())
}

/// Writes a command down within a transaction, and gives the event that says so.
pub(super) async fn insert_command(
    tx: &mut PgConnection,
    command: &CommandRow,
    by: &str,
    environment: EnvironmentId,
    plan: &Digest,
) -> Result<NewEvent, StoreError> {
    sqlx::query!(
        "INSERT INTO rollout_commands (id, rollout_id, kind, principal_id, reason, plan)
         VALUES ($1, $2, $3, $4, $5, $6)",
        command.id.as_uuid(),
        command.rollout.as_uuid(),
        command.kind,
        command.principal.as_uuid(),
        command.reason,
        command.plan
    )
    .execute(tx)
    .await?;
    let actor = Actor::Principal(row::parse("principal name", by)?);
    let event = NewEvent {
        environment: Some(environment),
        rollout: Some(command.rollout),
        ..NewEvent::new(actor, event_kind::COMMAND_REQUESTED, command.cause())
    };
    Ok(event.deciding(&command.digest(plan)))
}

/// Fails unless the hosts' plans are those that the approver saw. The worker looks again when it takes the approval.
async fn check_plan(tx: &mut PgConnection, rollout: RolloutId, approved: Digest) -> Result<(), StoreError> {
    let now = digests::host_plans(tx, rollout).await?;
    if approved != now {
        return Err(StoreError::PlanMoved { approved, now });
    }
    let fetches = StepState::FETCHING.map(StepState::as_str);
    let missing = sqlx::query_scalar!(
        r#"SELECT h.name AS "name: HostName" FROM steps s JOIN hosts h ON h.id = s.host_id
           WHERE s.rollout_id = $1 AND s.state = ANY($2) AND h.last_seen_at > now() - make_interval(secs => $3)
           ORDER BY h.name LIMIT 1"#,
        rollout.as_uuid(),
        &fetches as _,
        offline_after()
    )
    .fetch_optional(tx)
    .await?;
    missing.map_or(Ok(()), |host| Err(StoreError::PlanUnknown { host }))
}
