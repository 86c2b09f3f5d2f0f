//! The last check before a decision is carried out: it compares rows with the events that decided them.
//!
//! Somebody with the database but without the key can change a row, but not the event that decided it. `slipway audit
//! verify` finds such a change later. This check finds it before a host gets an instruction.

use std::collections::HashMap;
use std::iter;

use slipway_domain::digest::Digest;
use slipway_domain::snapshot::{CommandKind, RolloutSnapshot};
use slipway_domain::{
    CommandId, EnvironmentId, EnvironmentName, EnvironmentRoles, HostId, Instruction, PrincipalId, ReleaseId,
    Rights, Role, RolloutId, RolloutState, StepId, StepState, StorePath, TokenLimits,
};
use sqlx::PgConnection;
use tracing::warn;
use uuid::Uuid;

use super::access::AccessRecord;
use super::digests::{self, CommandRow, PrincipalRow, Tokens};
use super::sealed::{self, CausePrefix, Sealed};
use super::{AuditKey, kind, related};
use crate::StoreError;
use crate::agent::Assigned;

/// Fails unless the environment's rules are those of its newest event, and it was not deleted.
pub(crate) async fn environment(
    tx: &mut PgConnection,
    key: &AuditKey,
    id: EnvironmentId,
) -> Result<(), StoreError> {
    let now = digests::environments(tx, Some(id)).await?.pop();
    let now = now.ok_or_else(|| StoreError::not_found("environment", &id))?;
    let what = format!("environment {id}");
    match sealed::of_environment(tx, key, id, &kind::ENVIRONMENT).await? {
        Some(event) if event.event.kind == kind::ENVIRONMENT_DELETED => {
            still_over(&what, Some(&event), now.over)
        }
        event => compare(&what, event.as_ref(), now.digest),
    }
}

/// Fails unless these hosts were put into the environment, under their names and with their labels, and not retired.
pub(crate) async fn hosts(
    tx: &mut PgConnection,
    key: &AuditKey,
    environment: EnvironmentId,
    hosts: &[Uuid],
) -> Result<(), StoreError> {
    let events = sealed::of_hosts(tx, key, hosts).await?;
    let events: HashMap<Uuid, Sealed> = events
        .into_iter()
        .filter_map(|event| Some((event.event.host?.as_uuid(), event)))
        .collect();
    for now in digests::hosts(tx, Some(hosts)).await? {
        let what = format!("host {}", now.name);
        let event = events.get(&now.id);
        compare(&what, event, now.digest)?;
        let Some(Sealed { number, event }) = event else {
            continue;
        };
        if event.kind == kind::HOST_RETIRED || event.environment != Some(environment) {
            return Err(StoreError::Tampered(format!(
                "{what} is not where event {number} put it"
            )));
        }
    }
    Ok(())
}

/// Fails unless the release's closures are those that were registered.
pub(crate) async fn release(tx: &mut PgConnection, key: &AuditKey, id: ReleaseId) -> Result<(), StoreError> {
    let now = digests::release(tx, id).await?;
    let cause = (kind::RELEASE_CREATED, format!("release {id} "));
    let events = sealed::by_causes(tx, key, &[cause]).await?;
    compare(&format!("release {id}"), events.first(), now)
}

/// Fails unless the principal has the role that it was given, and its tokens were given to it.
pub(crate) async fn principal(
    tx: &mut PgConnection,
    key: &AuditKey,
    id: PrincipalId,
) -> Result<(), StoreError> {
    let row = principal_row(tx, id).await?;
    let tokens = digests::tokens(tx, Tokens::Of(id)).await?;
    let all = iter::once(AccessRecord::principal(&row)).chain(tokens.iter().map(AccessRecord::token));
    check_access(tx, key, all.collect()).await
}

/// The principal, with the role that it was given. One that was disabled must still be.
pub(crate) async fn role(
    tx: &mut PgConnection,
    key: &AuditKey,
    id: PrincipalId,
) -> Result<PrincipalRow, StoreError> {
    let row = principal_row(tx, id).await?;
    check_access(tx, key, vec![AccessRecord::principal(&row)]).await?;
    Ok(row)
}

async fn principal_row(tx: &mut PgConnection, id: PrincipalId) -> Result<PrincipalRow, StoreError> {
    let row = digests::principals(tx, Some(id)).await?.pop();
    row.ok_or_else(|| StoreError::not_found("principal", &id))
}

/// In one statement, however many there are.
async fn check_access(
    tx: &mut PgConnection,
    key: &AuditKey,
    all: Vec<AccessRecord>,
) -> Result<(), StoreError> {
    let causes: Vec<CausePrefix> = all.iter().flat_map(|access| access.causes.clone()).collect();
    let events = sealed::by_causes(tx, key, &causes).await?;
    all.iter().try_for_each(|access| access.check(&events))
}

/// The rollout's plan. Fails unless it equals the plan that was started.
pub(crate) async fn plan(tx: &mut PgConnection, key: &AuditKey, id: RolloutId) -> Result<Digest, StoreError> {
    let plan = digests::plan(tx, id).await?;
    started(tx, key, id, plan).await?;
    Ok(plan)
}

/// Those of these instructions that the log proves. A host's newest event decides, with its digest. An event of a release
/// before digests proves only the state of the step. For the other hosts the log says why they get no instruction.
///
/// A prior that no event recorded is left out. Going back must work all the same: the agent's own journal goes before it.
pub(crate) async fn proven_instructions(
    tx: &mut PgConnection,
    key: &AuditKey,
    mut instructions: HashMap<HostId, (Assigned, Instruction)>,
) -> Result<HashMap<HostId, Instruction>, StoreError> {
    let hosts: Vec<Uuid> = instructions.keys().copied().map(HostId::as_uuid).collect();
    let events = sealed::of_steps(tx, key, &hosts).await?;
    instructions.retain(|host, (assigned, _)| {
        let mut own = events.iter().filter(|event| event.event.host == Some(*host));
        let proved = own.any(|event| assigned.is_decided_by(&event.event));
        if !proved {
            // Somebody changed the database by hand, or the step has just moved on: its news come next.
            warn!(%host, "the host's step is not what its newest event says; the host is told nothing for now");
        }
        proved
    });
    let going_back = instructions
        .values()
        .filter_map(|(assigned, instruction)| match instruction {
            Instruction::Revert { prior: Some(_), .. } => Some(assigned.step.as_uuid()),
            _ => None,
        });
    let going_back: Vec<Uuid> = going_back.collect();
    let recorded = recorded_priors(tx, key, &going_back).await?;
    for (assigned, instruction) in instructions.values_mut() {
        if let Instruction::Revert { prior, .. } = instruction {
            *prior = prior
                .take()
                .filter(|prior| Some(prior) == recorded.get(&assigned.step));
        }
    }
    Ok(instructions
        .into_iter()
        .map(|(host, (_, instruction))| (host, instruction))
        .collect())
}

/// How a rollout compares with the log.
pub(crate) struct RolloutCheck {
    /// What is not as it was decided.
    pub(crate) swapped: Option<String>,
    /// Somebody had it not wait for windows and freezes.
    pub(crate) overridden: bool,
    /// Commands that wait and that nobody gave.
    pub(crate) forged: Vec<CommandId>,
    /// The priors of hosts that are out, as they were recorded: going back rests on these and not on the rows.
    pub(crate) priors: HashMap<StepId, StorePath>,
}

/// Compares a rollout with the log: its plan, its commands and, where one was needed, its approval. Where it may begin
/// something, also the rules of its environment, which say when.
pub(crate) async fn rollout(
    tx: &mut PgConnection,
    key: &AuditKey,
    environment_id: EnvironmentId,
    row: &RolloutSnapshot,
) -> Result<RolloutCheck, StoreError> {
    let (id, state) = (row.id, row.state);
    let plan = digests::plan(tx, id).await?;
    let requests = match sealed::of_rollout(tx, key, id, kind::COMMAND_REQUESTED).await {
        Ok(requests) => requests,
        // Then none of them counts.
        Err(StoreError::Tampered(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let commands = commands(tx, id).await?;
    let is_real =
        |recorded: &RecordedCommand| requests.iter().any(|event| is_event_of(event, recorded, &plan));
    let forged = commands
        .iter()
        .filter(|recorded| recorded.outcome == CommandOutcome::Waits && !is_real(recorded))
        .map(|recorded| recorded.command.id)
        .collect();
    let taken = |recorded: &&RecordedCommand| recorded.outcome == CommandOutcome::Taken && is_real(recorded);
    let approval = commands
        .iter()
        .find(|recorded| recorded.command.is_approval() && taken(recorded));
    let overrides = CommandKind::OverrideFreeze.as_str();
    let overridden = commands
        .iter()
        .any(|recorded| recorded.command.kind == overrides && taken(&recorded));
    let (priors, as_recorded) = priors(tx, key, id).await?;
    let decided = async {
        as_recorded?;
        if matches!(state, RolloutState::Staging | RolloutState::Rolling) {
            environment(&mut *tx, key, environment_id).await?;
        }
        let waited = started(&mut *tx, key, id, plan).await?;
        // One that is aborted while it waits needed none.
        if waited && !matches!(state, RolloutState::PendingApproval | RolloutState::Aborted) {
            return approved(tx, key, id, approval).await;
        }
        Ok(())
    };
    let swapped = match decided.await {
        Ok(()) => None,
        Err(error @ StoreError::Tampered(_)) => Some(error.to_string()),
        Err(error) => return Err(error),
    };
    Ok(RolloutCheck {
        swapped,
        overridden,
        forged,
        priors,
    })
}

/// The recorded priors of a rollout's hosts that are out, and whether their rows say the same.
async fn priors(
    tx: &mut PgConnection,
    key: &AuditKey,
    id: RolloutId,
) -> Result<(HashMap<StepId, StorePath>, Result<(), StoreError>), StoreError> {
    let rows = sqlx::query!(
        "SELECT id, prior FROM steps WHERE rollout_id = $1 AND state = ANY($2)",
        id.as_uuid(),
        &StepState::OUT.map(StepState::as_str) as _
    )
    .fetch_all(&mut *tx)
    .await?;
    let steps: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let recorded = recorded_priors(tx, key, &steps).await?;
    let swapped = rows.iter().find(|row| {
        let recorded = recorded.get(&StepId::from_uuid(row.id));
        recorded.map(StorePath::as_str) != row.prior.as_deref()
    });
    let as_recorded = swapped.map_or(Ok(()), |row| {
        let problem = format!("the prior of step {} is not what its event recorded", row.id);
        Err(StoreError::Tampered(problem))
    });
    Ok((recorded, as_recorded))
}

/// What events recorded as the priors of these steps.
async fn recorded_priors(
    tx: &mut PgConnection,
    key: &AuditKey,
    steps: &[Uuid],
) -> Result<HashMap<StepId, StorePath>, StoreError> {
    if steps.is_empty() {
        return Ok(HashMap::new());
    }
    let events = sealed::of_priors(tx, key, steps).await?;
    let priors = events
        .into_iter()
        .filter_map(|Sealed { event, .. }| Some((event.step?, event.to?.parse().ok()?)));
    Ok(priors.collect())
}

/// Fails unless this plan was started; says whether the rollout had to wait for an approval.
async fn started(
    tx: &mut PgConnection,
    key: &AuditKey,
    id: RolloutId,
    plan: Digest,
) -> Result<bool, StoreError> {
    let event = sealed::of_rollout(tx, key, id, kind::ROLLOUT_CREATED)
        .await?
        .pop();
    let what = format!("the strategy or a closure of rollout {id}");
    compare(&what, event.as_ref(), plan)?;
    Ok(event.is_some_and(|event| event.event.to.as_deref() == Some(RolloutState::PendingApproval.as_str())))
}

/// Fails unless somebody who may approve did, and did not start it, neither themselves nor by a principal of their own.
///
/// The environment's present rule counts: a rollout that it no longer permits stops.
async fn approved(
    tx: &mut PgConnection,
    key: &AuditKey,
    id: RolloutId,
    approval: Option<&RecordedCommand>,
) -> Result<(), StoreError> {
    let refuse = |why: &str| Err(StoreError::Tampered(format!("rollout {id} {why}")));
    let Some(RecordedCommand { command, .. }) = approval else {
        return refuse("waited for an approval, and nobody gave it");
    };
    principal(tx, key, command.principal).await?;
    let row = sqlx::query!(
        r#"SELECT p.role AS "role: Role", p.environment_roles AS "environment_roles: EnvironmentRoles",
                e.name AS "environment: EnvironmentName", r.author_id, r.environment_id, r.approved_plan,
                e.related_approval_allowed
         FROM rollouts r JOIN environments e ON e.id = r.environment_id, principals p
         WHERE r.id = $1 AND p.id = $2"#,
        id.as_uuid(),
        command.principal.as_uuid()
    )
    .fetch_one(&mut *tx)
    .await?;
    if row.author_id == command.principal.as_uuid() {
        return refuse("was approved by its own author");
    }
    if row.approved_plan != command.plan {
        return refuse("has another approved plan than its approval names");
    }
    if let Some(approved) = &command.plan
        && digests::host_plans(tx, id).await?.to_string() != *approved
    {
        return refuse("has hosts whose plans are not those that were approved");
    }
    let rights = Rights {
        role: row.role,
        environment_roles: &row.environment_roles,
        limits: &TokenLimits::default(),
    };
    if rights.role_in(&row.environment) < Role::Approver {
        return refuse("was approved by somebody who may not");
    }
    if related::are_related(tx, key, PrincipalId::from_uuid(row.author_id), command.principal).await? {
        environment(tx, key, EnvironmentId::from_uuid(row.environment_id)).await?;
        if !row.related_approval_allowed {
            return refuse(
                "was approved by a principal related to its author, which the environment does not permit",
            );
        }
    }
    Ok(())
}

/// Whether the event is the one of this command. One of a release before digests is taken by its words.
fn is_event_of(event: &Sealed, recorded: &RecordedCommand, plan: &Digest) -> bool {
    let event = &event.event;
    let digest = recorded.command.digest(plan);
    event.actor.name() == recorded.by
        && event.cause_text() == recorded.command.cause()
        && event.digest().is_none_or(|sealed| sealed == digest)
}

/// A command of an operator, or one that somebody wrote into the database.
struct RecordedCommand {
    command: CommandRow,
    by: String,
    outcome: CommandOutcome,
}

#[derive(PartialEq, Eq)]
enum CommandOutcome {
    Waits,
    Taken,
    Refused,
}

/// Every command of a rollout.
async fn commands(tx: &mut PgConnection, id: RolloutId) -> Result<Vec<RecordedCommand>, StoreError> {
    let rows = sqlx::query!(
        "SELECT c.id, c.kind, c.principal_id, p.name AS principal, c.reason, c.plan, c.applied_at, c.refused
         FROM rollout_commands c JOIN principals p ON p.id = c.principal_id WHERE c.rollout_id = $1 ORDER BY c.seq",
        id.as_uuid()
    )
    .fetch_all(tx)
    .await?;
    let commands = rows.into_iter().map(|row| RecordedCommand {
        command: CommandRow {
            id: CommandId::from_uuid(row.id),
            rollout: id,
            kind: row.kind,
            principal: PrincipalId::from_uuid(row.principal_id),
            reason: row.reason,
            plan: row.plan,
        },
        by: row.principal,
        outcome: match (row.applied_at, row.refused) {
            (None, _) => CommandOutcome::Waits,
            (Some(_), None) => CommandOutcome::Taken,
            (Some(_), Some(_)) => CommandOutcome::Refused,
        },
    });
    Ok(commands.collect())
}

/// Fails when an event took something out of use that is in use.
pub(super) fn still_over(what: &str, end: Option<&Sealed>, is_over: bool) -> Result<(), StoreError> {
    match end {
        Some(end) if !is_over => Err(StoreError::Tampered(format!(
            "{what} was taken out of use by event {}, and is not any more",
            end.number
        ))),
        _ => Ok(()),
    }
}

/// Fails when there is no event at all, or one with another digest. One of a release before digests proves no more than
/// that the row is real.
pub(super) fn compare(what: &str, event: Option<&Sealed>, now: Digest) -> Result<(), StoreError> {
    let Some(event) = event else {
        return Err(StoreError::Tampered(format!(
            "no event says how {what} came to be"
        )));
    };
    match event.event.digest() {
        Some(digest) if digest != now => Err(differs(what, event)),
        _ => Ok(()),
    }
}

pub(super) fn differs(what: &str, event: &Sealed) -> StoreError {
    StoreError::Tampered(format!("{what} is not what event {} decided", event.number))
}
