//! Operators' commands for a rollout. The worker carries them out.

use slipway_domain::event::{Actor, NewEvent};
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{CommandId, EnvironmentId, PrincipalId, RolloutId, RolloutState};
use tracing::instrument;

use crate::audit::digests::{self, CommandRow};
use crate::audit::{append, gate, kind as event_kind, related};
use crate::{AuditKey, Store, StoreError, row};

impl Store {
    /// Writes a command down for the worker; wake it afterwards.
    ///
    /// Refuses a command that the rollout's state does not allow, and an approval of one's own rollout. The worker checks
    /// both again when it takes the command. Refuses it too if author and approver may be one person, unless the
    /// environment permits that. An approval only covers the plan in the audit log.
    #[instrument(name = "db.rollout.command", level = "debug", skip_all, fields(rollout_id = %rollout, kind = kind.as_str()))]
    pub async fn request_command(
        &self,
        rollout: RolloutId,
        kind: CommandKind,
        principal: PrincipalId,
        reason: Option<&str>,
        key: &AuditKey,
    ) -> Result<(), StoreError> {
        self.transaction(async |tx| {
            let row = sqlx::query!(
                "SELECT r.state, r.author_id, a.name AS author, r.environment_id, e.name AS environment,
                        e.related_approval_allowed
                 FROM rollouts r
                 JOIN environments e ON e.id = r.environment_id
                 JOIN principals a ON a.id = r.author_id
                 WHERE r.id = $1 FOR NO KEY UPDATE OF r",
                rollout.as_uuid()
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::not_found("rollout", &rollout))?;
            let state: RolloutState = row::parse("rollout state", &row.state)?;
            if !kind.fits(state) {
                return Err(StoreError::CommandRefused { kind, state });
            }
            if kind == CommandKind::Approve && row.author_id == principal.as_uuid() {
                return Err(StoreError::SelfApproval);
            }
            let author = PrincipalId::from_uuid(row.author_id);
            let name = sqlx::query_scalar!("SELECT name FROM principals WHERE id = $1", principal.as_uuid())
                .fetch_optional(&mut *tx)
                .await?
                .ok_or_else(|| StoreError::not_found("principal", &principal))?;
            if kind == CommandKind::Approve
                && !row.related_approval_allowed
                && related::are_related(tx, key, author, principal).await?
            {
                return Err(StoreError::RelatedApproval {
                    author: row::parse("principal name", &row.author)?,
                    approver: row::parse("principal name", &name)?,
                    environment: row::parse("environment name", &row.environment)?,
                });
            }
            let plan = match kind {
                CommandKind::Approve => {
                    gate::principal(tx, key, principal).await?;
                    gate::plan(tx, key, rollout).await?
                }
                _ => digests::plan(tx, rollout).await?,
            };
            let command = CommandRow {
                id: CommandId::generate(),
                rollout,
                kind: kind.as_str().to_owned(),
                principal,
                reason: reason.map(ToOwned::to_owned),
            };
            sqlx::query!(
                "INSERT INTO rollout_commands (id, rollout_id, kind, principal_id, reason)
                 VALUES ($1, $2, $3, $4, $5)",
                command.id.as_uuid(),
                rollout.as_uuid(),
                kind.as_str(),
                principal.as_uuid(),
                reason
            )
            .execute(&mut *tx)
            .await?;
            let actor = Actor::Principal(row::parse("principal name", &name)?);
            let event = NewEvent {
                environment: Some(EnvironmentId::from_uuid(row.environment_id)),
                rollout: Some(rollout),
                ..NewEvent::new(actor, event_kind::COMMAND_REQUESTED, command.cause())
            };
            append(tx, key, &[event.deciding(&command.digest(&plan))]).await?;
            Ok(())
        })
        .await
    }
}
