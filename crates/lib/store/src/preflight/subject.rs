//! What a preflight looks at, read in one moment.

use std::collections::{BTreeMap, HashMap};

use slipway_domain::calendar::Hold;
use slipway_domain::drift::Drift;
use slipway_domain::facts::FACTS_AGE_SECONDS;
use slipway_domain::lives::Doubt;
use slipway_domain::preflight::{
    self, EnvironmentSubject, HostSubject, MANY_APPROVERS, PlaneSubject, ReleaseSubject, Subject,
};
use slipway_domain::snapshot::Preflight;
use slipway_domain::{
    EnvironmentId, EnvironmentName, HostFacts, HostId, HostName, Labels, PlanReport, PrincipalId,
    PrincipalName, ReleaseId, RolloutId, StepState, StorePath, Strategy, Timestamp,
};
use slipway_release::Signature;
use sqlx::PgConnection;
use sqlx::types::Json;
use tracing::instrument;
use uuid::Uuid;

use crate::audit::related;
use crate::fleet::offline_after;
use crate::plans::read_plans;
use crate::releases::manifests::committed_number;
use crate::row::{self, LenientJson};
use crate::worker::load_left_out;
use crate::{AuditKey, Store, StoreError, bounded};

/// How long a staged host may take to say how it is now.
const FACTS_WITHIN_SECONDS: i64 = 20;
/// How lately a worker was at work.
const WORKER_SECONDS: f64 = 60.0;
/// The most plans that are looked at, one for each kind of host.
const MAX_PLANS: usize = 20;

/// A release that somebody wants to roll out.
#[derive(Debug, Clone)]
pub struct PreflightOf {
    /// Where.
    pub environment: EnvironmentId,
    /// What.
    pub release: ReleaseId,
    /// Who asks, and would start it.
    pub by: PrincipalId,
    /// The control plane's version.
    pub version: String,
    /// What keeps rollouts of the environment from beginning now.
    pub hold: Option<Hold>,
}

impl Store {
    /// Everything that the checks of this release look at, and the ids of its hosts with their closures.
    #[instrument(name = "db.preflight.load", level = "debug", skip_all)]
    pub async fn load_preflight(
        &self,
        of: &PreflightOf,
        key: &AuditKey,
    ) -> Result<(Subject, HashMap<HostId, StorePath>), StoreError> {
        let pending = self.schema_state().await.ok();
        let walks = self.audit_walks(key).await?;
        bounded(async {
            let mut tx = self.begin_one_moment().await?;
            let (environment, now) = environment(&mut tx, of, key).await?;
            let hosts = hosts(&mut tx, of.environment, of.release, None).await?;
            let release = release(&mut tx, of.environment, of.release, &hosts).await?;
            let workers = sqlx::query_scalar!(
                r#"SELECT count(*) AS "workers!" FROM workers WHERE seen_at > now() - make_interval(secs => $1)"#,
                WORKER_SECONDS
            )
            .fetch_one(&mut *tx)
            .await?;
            tx.rollback().await?;
            let closures = hosts
                .iter()
                .map(|host| (host.id, host.subject.closure.clone()))
                .collect();
            let subject = Subject {
                now,
                release,
                environment,
                plane: PlaneSubject {
                    version: of.version.clone(),
                    workers: workers.unsigned_abs(),
                    audit_problem: walks.into_iter().find_map(|walk| walk.problem),
                    pending_migrations: pending.map(|state| match state {
                        crate::schema::SchemaState::Pending(versions) => versions.len() as u64,
                        _ => 0,
                    }),
                },
                hosts: hosts.into_iter().map(|host| host.subject).collect(),
            };
            Ok((subject, closures))
        })
        .await
    }
}

/// What stands in the way of a rollout's first activation, by its staged hosts.
pub(crate) async fn of_rollout(
    tx: &mut PgConnection,
    id: RolloutId,
    strategy: &Strategy,
) -> Result<Preflight, StoreError> {
    let rollout = sqlx::query!(
        r#"SELECT r.environment_id AS "environment: EnvironmentId", r.release_id AS "release: ReleaseId",
                  e.name AS "name: EnvironmentName", now() AS "now!"
           FROM rollouts r JOIN environments e ON e.id = r.environment_id WHERE r.id = $1"#,
        id.as_uuid()
    )
    .fetch_one(&mut *tx)
    .await?;
    let hosts = hosts(&mut *tx, rollout.environment, rollout.release, Some(id)).await?;
    let now = rollout.now;
    let awaited = hosts.iter().find(|host| host.is_awaited(now));
    let awaited = awaited.map(|host| host.subject.name.clone());
    let release = release(tx, rollout.environment, rollout.release, &hosts).await?;
    let subject = Subject {
        now,
        release,
        environment: EnvironmentSubject {
            name: rollout.name,
            strategy: strategy.clone(),
            approval_required: false,
            approvers: 0,
            related: Vec::new(),
            open_rollout: None,
            hold: None,
            out: Vec::new(),
        },
        plane: PlaneSubject::default(),
        hosts: hosts.into_iter().map(|host| host.subject).collect(),
    };
    let obstacles = if awaited.is_some() {
        Vec::new()
    } else {
        preflight::obstacles(&subject, &strategy.skip_checks)
    };
    Ok(Preflight { awaited, obstacles })
}

struct Host {
    id: HostId,
    subject: HostSubject,
    /// The attempt of its staged step, and since when it is staged.
    staged: Option<(Uuid, Timestamp)>,
}

impl Host {
    /// Whether its agent sends facts, and has not since the closure was staged.
    fn is_awaited(&self, now: Timestamp) -> bool {
        let (Some((attempt, since)), Some((at, facts))) = (self.staged, &self.subject.facts) else {
            return false;
        };
        let sends = (now - *at).num_seconds() <= FACTS_AGE_SECONDS;
        let told = facts.attempt.is_some_and(|told| told.as_uuid() == attempt);
        sends && self.subject.online && !told && (now - since).num_seconds() < FACTS_WITHIN_SECONDS
    }
}

async fn environment(
    tx: &mut PgConnection,
    of: &PreflightOf,
    key: &AuditKey,
) -> Result<(EnvironmentSubject, Timestamp), StoreError> {
    let row = sqlx::query!(
        r#"SELECT e.name AS "name: EnvironmentName", e.strategy AS "strategy: Strategy", e.approval_required,
                  e.related_approval_allowed, now() AS "now!",
                  (SELECT r.seq FROM rollouts r WHERE r.environment_id = e.id AND r.finished_at IS NULL LIMIT 1) AS open
           FROM environments e WHERE e.id = $1"#,
        of.environment.as_uuid()
    )
    .fetch_one(&mut *tx)
    .await?;
    let (approvers, related) = if row.approval_required {
        approvers(tx, of, key, row.related_approval_allowed).await?
    } else {
        (0, Vec::new())
    };
    let left_out = load_left_out(tx, of.environment, None).await?;
    let mut out: Vec<HostName> = left_out.into_values().map(|host| host.name).collect();
    out.sort();
    let subject = EnvironmentSubject {
        name: row.name,
        strategy: row.strategy,
        approval_required: row.approval_required,
        approvers,
        related,
        open_rollout: row.open.map(|seq| seq.to_string()),
        hold: of.hold.clone(),
        out,
    };
    Ok((subject, row.now))
}

/// How many others could approve what the one who asks starts, and who with the role could not.
async fn approvers(
    tx: &mut PgConnection,
    of: &PreflightOf,
    key: &AuditKey,
    may_be_related: bool,
) -> Result<(u64, Vec<PrincipalName>), StoreError> {
    let rows = sqlx::query!(
        r#"SELECT p.id AS "id: PrincipalId", p.name AS "name: PrincipalName" FROM principals p, environments e
           WHERE e.id = $1 AND p.id <> $2 AND p.disabled_at IS NULL
             AND coalesce(p.environment_roles->>e.name, p.role) IN ('approver', 'admin')
           ORDER BY p.name"#,
        of.environment.as_uuid(),
        of.by.as_uuid()
    )
    .fetch_all(&mut *tx)
    .await?;
    if may_be_related {
        return Ok(((rows.len() as u64).min(MANY_APPROVERS), Vec::new()));
    }
    let candidates = rows.into_iter().map(|row| (row.id, row.name)).collect();
    related::part_related(tx, key, of.by, candidates, MANY_APPROVERS).await
}

async fn release(
    tx: &mut PgConnection,
    environment: EnvironmentId,
    release: ReleaseId,
    hosts: &[Host],
) -> Result<ReleaseSubject, StoreError> {
    let manifest = sqlx::query!(
        "SELECT number, expires_at, signatures FROM release_manifests WHERE release_id = $1",
        release.as_uuid()
    )
    .fetch_optional(&mut *tx)
    .await?;
    let committed = committed_number(tx, environment).await?;
    let without_closure = sqlx::query_scalar!(
        r#"SELECT name AS "name: HostName" FROM hosts h
           WHERE environment_id = $1 AND retired_at IS NULL
             AND NOT EXISTS (SELECT FROM release_closures c WHERE c.release_id = $2 AND c.host_id = h.id)
           ORDER BY name LIMIT 1000"#,
        environment.as_uuid(),
        release.as_uuid()
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut digests: BTreeMap<String, usize> = BTreeMap::new();
    for report in hosts.iter().filter_map(|host| host.subject.plan.as_ref()) {
        *digests.entry(report.digest.to_string()).or_default() += 1;
    }
    let digests: Vec<String> = digests.into_keys().take(MAX_PLANS).collect();
    let plans = read_plans(tx, &digests).await?.into_values().collect();
    Ok(ReleaseSubject {
        expires: manifest.as_ref().map(|manifest| manifest.expires_at),
        number: manifest.as_ref().map(|manifest| manifest.number.unsigned_abs()),
        signed_by: manifest.map_or_else(Vec::new, |manifest| signers(&manifest.signatures)),
        committed_number: committed.map(i64::unsigned_abs),
        without_closure,
        plans,
    })
}

/// The keys that the signatures name. Whether the signatures are good, the hosts find out.
fn signers(signatures: &[String]) -> Vec<String> {
    let read = signatures
        .iter()
        .filter_map(|text| text.parse::<Signature>().ok());
    read.map(|signature| signature.to_string()).collect()
}

/// The environment's hosts that the release has a closure for; of a rollout those that are staged in it.
async fn hosts(
    tx: &mut PgConnection,
    environment: EnvironmentId,
    release: ReleaseId,
    rollout: Option<RolloutId>,
) -> Result<Vec<Host>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT h.id AS "id: HostId", h.name AS "name: HostName", h.labels AS "labels: Json<Labels>", c.closure,
                  h.last_seen_at, coalesce(h.last_seen_at > now() - make_interval(secs => $4), false) AS "online!",
                  h.agent_version, h.clock_skew_seconds, h.second_life_at, h.boot_replaced_at, h.live, h.boot_default,
                  h.unsettled IS NOT NULL AS "unsettled!", h.journal_trouble, now() AS "now!",
                  f.at AS "at?", f.facts AS "facts?: LenientJson<HostFacts>",
                  p.plan AS "plan?: LenientJson<PlanReport>",
                  h.drift AS "drift!: LenientJson<Vec<Drift>>", s.attempt AS "attempt?", s.since AS "since?"
           FROM release_closures c
           JOIN hosts h ON h.id = c.host_id
           LEFT JOIN host_facts f ON f.host_id = h.id
           LEFT JOIN steps s ON s.host_id = h.id AND s.rollout_id = $3
           LEFT JOIN LATERAL (
               SELECT plan FROM steps WHERE steps.host_id = h.id AND steps.closure = c.closure AND steps.plan IS NOT NULL
               ORDER BY seq DESC LIMIT 1
           ) p ON true
           WHERE c.release_id = $1 AND h.environment_id = $2 AND h.retired_at IS NULL
             AND ($3::uuid IS NULL OR s.state = $5)
           ORDER BY h.name"#,
        release.as_uuid(),
        environment.as_uuid(),
        rollout.map(RolloutId::as_uuid),
        offline_after(),
        StepState::Staged.as_str()
    )
    .fetch_all(tx)
    .await?;
    let hosts = rows.into_iter().map(|row| {
        let facts: Option<HostFacts> = row.facts.and_then(Option::from);
        let doubt = Doubt::of(row.second_life_at, row.boot_replaced_at, row.now);
        Ok(Host {
            id: row.id,
            staged: row.attempt.zip(row.since),
            subject: HostSubject {
                name: row.name,
                labels: row.labels.0,
                closure: row::parse("store path", &row.closure)?,
                seen: row.last_seen_at,
                online: row.online,
                agent_version: row.agent_version,
                clock_skew_seconds: row.clock_skew_seconds,
                doubt: doubt.map(|doubt| doubt.words().to_owned()),
                live: row::parse_opt("store path", row.live.as_deref())?,
                boot_default: row::parse_opt("store path", row.boot_default.as_deref())?,
                drift: row.drift.into(),
                unsettled: row.unsettled,
                journal_trouble: row.journal_trouble,
                plan: row.plan.and_then(Option::from),
                facts: row.at.zip(facts),
            },
        })
    });
    hosts.collect()
}
