//! Digests of rows as they are stored. The event of a decision carries one, and a check computes it again to
//! compare.
//!
//! What is in a digest never changes its name or its place, for older events carry it. A new column goes to the end with
//! [`Digester::field_opt`], and is left out while it has its default.

use slipway_domain::digest::{Digest, Digester};
use slipway_domain::host_plan::rollout_digest;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{
    CommandId, EnvironmentId, HostName, PrincipalId, ReleaseId, RolloutId, StepState, StorePath, Timestamp,
    TokenId,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{StoreError, row};

/// A row's digest, with what else its event says of it.
pub(crate) struct Decided {
    /// The row's id.
    pub(crate) id: Uuid,
    /// What its event must say, as far as an event without a digest says it too.
    pub(crate) cause: String,
    /// Its digest.
    pub(crate) digest: Digest,
    /// Whether it was taken out of use: deleted, disabled or revoked.
    pub(crate) over: bool,
}

/// A release with its closures, in the order of its hosts' ids, in whatever order they came.
pub(crate) async fn release(tx: &mut PgConnection, id: ReleaseId) -> Result<Digest, StoreError> {
    let row = sqlx::query!(
        "SELECT flake_ref, rev, nar_hash, message, author_id, name FROM releases WHERE id = $1",
        id.as_uuid()
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| StoreError::not_found("release", &id))?;
    let mut digester = Digester::new("release");
    digester
        .field("id", id)
        .field("author", row.author_id)
        .field_opt("flake_ref", row.flake_ref)
        .field_opt("rev", row.rev)
        .field_opt("nar_hash", row.nar_hash)
        .field_opt("message", row.message);
    let closures = sqlx::query!(
        "SELECT host_id, closure FROM release_closures WHERE release_id = $1 ORDER BY host_id",
        id.as_uuid()
    )
    .fetch_all(&mut *tx)
    .await?;
    for row in closures {
        digester.field("host", row.host_id).field("closure", row.closure);
    }
    signed(tx, id, &mut digester).await?;
    digester.field_opt("name", row.name);
    Ok(digester.finish())
}

/// What was signed of a release, as it is stored: the text itself and not what is said of it.
async fn signed(tx: &mut PgConnection, id: ReleaseId, digester: &mut Digester) -> Result<(), StoreError> {
    let row = sqlx::query!(
        "SELECT environment_id, number, expires_at, digest, manifest, signatures FROM release_manifests WHERE release_id = $1",
        id.as_uuid()
    )
    .fetch_optional(tx)
    .await?;
    if let Some(row) = row {
        digester
            .field("manifest_environment", row.environment_id)
            .field("manifest_number", row.number)
            .field("manifest_expires", row.expires_at.timestamp_micros())
            .field("manifest_digest", row.digest)
            .field("manifest", Digest::of_bytes(&row.manifest));
        for signature in row.signatures {
            digester.field("signature", signature);
        }
    }
    Ok(())
}

/// What a rollout is to do: its strategy, and the place and the closure of every host.
pub(crate) async fn plan(tx: &mut PgConnection, id: RolloutId) -> Result<Digest, StoreError> {
    let row = sqlx::query!(
        r#"SELECT environment_id, release_id, author_id, strategy::text AS "strategy!", not_before FROM rollouts WHERE id = $1"#,
        id.as_uuid()
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| StoreError::not_found("rollout", &id))?;
    let mut digester = Digester::new("plan");
    digester
        .field("rollout", id)
        .field("environment", row.environment_id)
        .field("release", row.release_id)
        .field("author", row.author_id)
        .field("strategy", row.strategy);
    let steps = sqlx::query!(
        "SELECT id, host_id, wave, closure, nullif(host_group, 0) AS host_group, nullif(canary, wave = 0) AS canary, cluster
         FROM steps WHERE rollout_id = $1 ORDER BY host_id",
        id.as_uuid()
    )
    .fetch_all(tx)
    .await?;
    for step in steps {
        digester
            .field("step", step.id)
            .field("host", step.host_id)
            .field("wave", step.wave)
            .field("closure", step.closure)
            .field_opt("group", step.host_group)
            .field_opt("canary", step.canary)
            .field_opt("cluster", step.cluster);
    }
    digester.field_opt("not_before", row.not_before.map(|at| at.timestamp_micros()));
    Ok(digester.finish())
}

/// What people approve of a rollout: its hosts' closures, and their plans as far as they are known.
pub(crate) async fn host_plans(tx: &mut PgConnection, id: RolloutId) -> Result<Digest, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT h.name AS "name: HostName", s.closure AS "closure: StorePath", s.plan->>'digest' AS plan
           FROM steps s JOIN hosts h ON h.id = s.host_id WHERE s.rollout_id = $1"#,
        id.as_uuid()
    )
    .fetch_all(tx)
    .await?;
    let hosts = rows
        .iter()
        .map(|row| (&row.name, &row.closure, row::lenient(row.plan.as_deref())));
    Ok(rollout_digest(id, hosts))
}

/// Environments: this one, or all.
pub(crate) async fn environments(
    tx: &mut PgConnection,
    only: Option<EnvironmentId>,
) -> Result<Vec<Decided>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id, name, strategy::text AS "strategy!", approval_required, own_strategy_allowed,
                  related_approval_allowed, nullif(calendar, '{}')::text AS calendar, deleted_at
           FROM environments WHERE $1::uuid IS NULL OR id = $1"#,
        only.map(EnvironmentId::as_uuid)
    )
    .fetch_all(tx)
    .await?;
    let decided = rows.into_iter().map(|row| {
        let mut digester = Digester::new("environment");
        digester
            .field("id", row.id)
            .field("name", &row.name)
            .field("strategy", row.strategy)
            .field("approval_required", row.approval_required)
            .field_opt("own_strategy_allowed", row.own_strategy_allowed.then_some(true))
            .field_opt(
                "related_approval_allowed",
                row.related_approval_allowed.then_some(true),
            )
            .field_opt("calendar", row.calendar);
        Decided {
            id: row.id,
            cause: String::new(),
            digest: digester.finish(),
            over: row.deleted_at.is_some(),
        }
    });
    Ok(decided.collect())
}

/// Principals: this one, or all.
pub(crate) async fn principals(
    tx: &mut PgConnection,
    only: Option<PrincipalId>,
) -> Result<Vec<PrincipalRow>, StoreError> {
    let rows = sqlx::query_as!(
        PrincipalRow,
        "SELECT id, name, role, made_by, nullif(environment_roles, '{}')::text AS environment_roles, disabled_at
         FROM principals WHERE $1::uuid IS NULL OR id = $1",
        only.map(PrincipalId::as_uuid)
    )
    .fetch_all(tx)
    .await?;
    Ok(rows)
}

/// What is decided of a principal, as it is stored.
pub(crate) struct PrincipalRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) made_by: Option<Uuid>,
    /// As they are stored, if there are any.
    pub(crate) environment_roles: Option<String>,
    pub(crate) disabled_at: Option<Timestamp>,
}

impl PrincipalRow {
    pub(crate) fn decided(&self) -> Decided {
        let mut digester = Digester::new("principal");
        digester
            .field("id", self.id)
            .field("name", &self.name)
            .field("role", &self.role)
            .field_opt("made_by", self.made_by)
            .field_opt("environment_roles", self.environment_roles.as_deref());
        Decided {
            id: self.id,
            cause: format!("{} is a new {}", self.name, self.role),
            digest: digester.finish(),
            over: self.disabled_at.is_some(),
        }
    }
}

/// Which tokens are wanted.
#[derive(Clone, Copy)]
pub(crate) enum Tokens {
    One(TokenId),
    /// Those of a principal that work.
    Of(PrincipalId),
    All,
}

/// Tokens with their owners.
pub(crate) async fn tokens(tx: &mut PgConnection, wanted: Tokens) -> Result<Vec<TokenRow>, StoreError> {
    let (one, of) = match wanted {
        Tokens::One(id) => (Some(id.as_uuid()), None),
        Tokens::Of(id) => (None, Some(id.as_uuid())),
        Tokens::All => (None, None),
    };
    let rows = sqlx::query_as!(
        TokenRow,
        r#"SELECT t.id, t.principal_id, t.host_id, coalesce(p.name, h.name, '') AS "owner!", t.sha256, t.expires_at,
                  t.parent_id, t.made_by, nullif(t.limits, '{}')::text AS limits, t.revoked_at
           FROM tokens t LEFT JOIN principals p ON p.id = t.principal_id LEFT JOIN hosts h ON h.id = t.host_id
           WHERE ($1::uuid IS NULL OR t.id = $1)
             AND ($2::uuid IS NULL OR t.principal_id = $2 AND t.revoked_at IS NULL
                  AND (t.expires_at IS NULL OR t.expires_at > now()))"#,
        one,
        of
    )
    .fetch_all(tx)
    .await?;
    Ok(rows)
}

/// What is decided of a token, as it is stored.
pub(crate) struct TokenRow {
    pub(crate) id: Uuid,
    pub(crate) principal_id: Option<Uuid>,
    pub(crate) host_id: Option<Uuid>,
    /// The name of its principal or host.
    pub(crate) owner: String,
    pub(crate) sha256: Vec<u8>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) parent_id: Option<Uuid>,
    pub(crate) made_by: Option<Uuid>,
    /// As they are stored, if there are any.
    pub(crate) limits: Option<String>,
    pub(crate) revoked_at: Option<Timestamp>,
}

impl TokenRow {
    pub(crate) fn decided(&self) -> Decided {
        let mut digester = Digester::new("token");
        digester
            .field("id", self.id)
            .field_opt("principal", self.principal_id)
            .field_opt("host", self.host_id)
            .field("sha256", hex::encode(&self.sha256))
            .field_opt("expires_at", self.expires_at.map(|at| at.timestamp_micros()))
            .field_opt("parent", self.parent_id)
            .field_opt("made_by", self.made_by)
            .field_opt("limits", self.limits.as_deref());
        Decided {
            id: self.id,
            cause: format!("token {} of {} (", self.id, self.owner),
            digest: digester.finish(),
            over: self.revoked_at.is_some(),
        }
    }
}

/// A host as it was put into the fleet. What is seen of it is no decision.
pub(crate) struct HostNow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) environment: Uuid,
    /// Of its name and its labels; where it is and whether it was retired its events say themselves.
    pub(crate) digest: Digest,
    /// Whether it was retired.
    pub(crate) over: bool,
}

/// Hosts: these, or all.
pub(crate) async fn hosts(tx: &mut PgConnection, only: Option<&[Uuid]>) -> Result<Vec<HostNow>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id, name, environment_id, nullif(labels, '{}')::text AS labels, retired_at
           FROM hosts WHERE $1::uuid[] IS NULL OR id = ANY($1) ORDER BY id"#,
        only
    )
    .fetch_all(tx)
    .await?;
    let hosts = rows.into_iter().map(|row| {
        let mut digester = Digester::new("host");
        digester
            .field("id", row.id)
            .field("name", &row.name)
            .field_opt("labels", row.labels);
        HostNow {
            id: row.id,
            name: row.name,
            environment: row.environment_id,
            digest: digester.finish(),
            over: row.retired_at.is_some(),
        }
    });
    Ok(hosts.collect())
}

/// What a step decides for its host.
pub(crate) struct StepDecision<'a> {
    pub(crate) host: Uuid,
    pub(crate) state: StepState,
    pub(crate) attempt: Option<Uuid>,
    pub(crate) closure: &'a str,
    /// As it is stored.
    pub(crate) strategy: &'a str,
    /// The plan that was approved for the host.
    pub(crate) approved_plan: Option<Digest>,
}

impl StepDecision<'_> {
    /// Whether a host may be told the closure in this state: in `verifying` too, for it may have lost its journal.
    ///
    /// Going back and staying must work even after the plan was changed, so digests of those states do not
    /// cover it.
    pub(crate) const fn rests_on_plan(state: StepState) -> bool {
        matches!(
            state,
            StepState::Staging | StepState::Activating | StepState::Verifying
        )
    }

    pub(crate) fn digest(&self) -> Digest {
        let goes_on = Self::rests_on_plan(self.state);
        // An approval may come while the host fetches.
        let activates = matches!(self.state, StepState::Activating | StepState::Verifying);
        let mut digester = Digester::new("step");
        digester
            .field("host", self.host)
            .field("state", self.state)
            .field_opt("attempt", self.attempt)
            .field_opt("closure", goes_on.then_some(self.closure))
            .field_opt("strategy", goes_on.then_some(self.strategy))
            .field_opt("approved_plan", self.approved_plan.filter(|_| activates));
        digester.finish()
    }
}

/// What a person asked of a rollout; for an approval with the plan that was approved.
pub(crate) struct CommandRow {
    pub(crate) id: CommandId,
    pub(crate) rollout: RolloutId,
    pub(crate) kind: String,
    pub(crate) principal: PrincipalId,
    pub(crate) reason: Option<String>,
    /// The plan that an approval is for, as it is stored.
    pub(crate) plan: Option<String>,
}

impl CommandRow {
    /// A new one.
    pub(crate) fn new(
        rollout: RolloutId,
        kind: CommandKind,
        principal: PrincipalId,
        reason: Option<&str>,
        plan: Option<Digest>,
    ) -> Self {
        Self {
            id: CommandId::generate(),
            rollout,
            kind: kind.as_str().to_owned(),
            principal,
            reason: reason.map(ToOwned::to_owned),
            plan: plan.map(String::from),
        }
    }

    pub(crate) fn is_approval(&self) -> bool {
        self.kind == CommandKind::Approve.as_str()
    }

    pub(crate) fn digest(&self, plan: &Digest) -> Digest {
        let mut digester = Digester::new("command");
        digester
            .field("id", self.id)
            .field("rollout", self.rollout)
            .field("kind", &self.kind)
            .field("principal", self.principal)
            .field_opt("reason", self.reason.as_deref())
            .field_opt("plan", self.is_approval().then_some(plan))
            .field_opt("host_plans", self.plan.as_deref());
        digester.finish()
    }

    /// What its event says, with a digest or without one.
    pub(crate) fn cause(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.kind),
            None => self.kind.clone(),
        }
    }
}
