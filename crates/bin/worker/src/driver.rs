//! The loop: claim, drive, and again at a wake-up or after a second.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use slipway_domain::decide::{Effect, decide};
use slipway_domain::{AttemptId, RolloutId, TraceParent};
use slipway_store::audit::AuditKey;
use slipway_store::worker::Lease;
use slipway_store::{Store, StoreError};
use slipway_telemetry::{LINES_ONLY, error_chain};
use slipway_wake::{Topic, Wake, WakeUp};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::field::display;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::contact::Contact;
use crate::tasks::{Done, Tasks};
use crate::{gauges, trace};

/// How long a lease lasts without being renewed, in seconds.
///
/// A dead worker's rollout goes on after at most this time plus the second until the next tick. That is well within
/// the promised 30 s.
pub const LEASE_SECONDS: u32 = 10;
const LEASE: Duration = Duration::from_secs(LEASE_SECONDS as u64);
/// How often leases are renewed, and rollouts looked at without a wake-up.
const TICK: Duration = Duration::from_secs(1);
/// The most rollouts that one worker claims at a tick. If there are more, they take turns, and other workers
/// claim some.
const MOST_LEASES: u32 = 64;
/// Rounds of one rollout before the others get their turn. Real ones are quiet after a handful.
const MOST_ROUNDS: u32 = 100;
/// How often a worker says that it is there, and counts rollouts.
const PRESENCE: Duration = Duration::from_secs(10);
/// How often plans that nobody needs are removed, a few at a time.
const COLLECT: Duration = Duration::from_mins(5);
/// How many parts of old output are removed at once: nothing is driven meanwhile.
const MOST_COLLECTED: usize = 5;

/// Drives rollouts until it is told to stop.
pub struct Driver {
    store: Store,
    wake: Wake,
    key: AuditKey,
    id: String,
    tasks: Tasks<Outcome>,
    /// Leases, and when each was taken or renewed.
    held: HashMap<RolloutId, (Lease, Instant)>,
    contact: Contact,
}

/// How driving a rollout ended.
enum Outcome {
    /// Nothing to do but wait.
    Quiet,
    /// There is more to do, and it is the others' turn.
    Unfinished,
    /// Somebody else has the lease.
    Lost,
    /// It failed; the next tick tries again.
    Failed,
}

impl Driver {
    /// A worker; `id` must belong to this run of this process alone.
    #[must_use]
    pub fn new(store: Store, wake: Wake, key: AuditKey, id: String) -> Self {
        Self {
            contact: Contact::begin(false, Instant::now()),
            store,
            wake,
            key,
            id,
            tasks: Tasks::new(),
            held: HashMap::new(),
        }
    }

    /// The same for a worker that found the database away when it began.
    #[must_use]
    pub fn after_an_absence(mut self) -> Self {
        self.contact = Contact::begin(true, Instant::now());
        self
    }

    /// Drives until `stop`; then finishes what is under way and gives its leases back, so that nobody has to wait.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut wake_ups = self.wake.subscribe(Topic::Rollouts);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut presence = tokio::time::interval(PRESENCE);
        presence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut collect = tokio::time::interval(COLLECT);
        collect.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {
                    self.claim().await;
                    self.note_second_lives().await;
                }
                _ = presence.tick() => self.show_presence().await,
                _ = collect.tick() => {
                    self.collect_plans().await;
                    self.collect_output().await;
                }
                Some(done) = self.tasks.next(), if !self.tasks.is_empty() => self.finish(&done),
                wake_up = wake_ups.recv() => match wake_up {
                    WakeUp::Rollouts(rollouts) => self.awaken(&rollouts).await,
                    WakeUp::Reconnected => self.claim().await,
                    WakeUp::Hosts(_) => {}
                },
            }
        }
        while let Some(done) = self.tasks.next().await {
            if let Some(Outcome::Lost) = done.outcome {
                self.held.remove(&done.rollout);
            }
        }
        for (lease, _) in self.held.values() {
            if let Err(error) = self.store.release_lease(lease).await {
                warn!(rollout_id = %lease.rollout, error = error_chain(&error), "lease not given back; it runs out by itself");
            }
        }
        if let Err(error) = self.store.forget_worker(&self.id).await {
            warn!(error = error_chain(&error), "counts as there for a little longer");
        }
    }

    /// For health checks and people; no decision depends on it. It also records live systems that changed without a
    /// rollout, if the api did not.
    async fn show_presence(&self) {
        let shown = async {
            self.store
                .note_worker(&self.id, env!("CARGO_PKG_VERSION"))
                .await?;
            gauges::rollouts(&self.store.count_rollouts().await?);
            self.store.note_drift(None, &self.key).await?;
            Ok::<_, StoreError>(())
        };
        if let Err(error) = shown.await {
            warn!(
                error = error_chain(&error),
                "cannot say that this worker is there"
            );
        }
    }

    /// Stored plans are large, and nobody reads old ones.
    async fn collect_plans(&self) {
        match self.store.collect_plans().await {
            Ok(0) => {}
            Ok(plans) => info!(plans, "removed plans that nobody needs any more"),
            Err(error) => warn!(
                error = error_chain(&error),
                "cannot remove old plans; trying again"
            ),
        }
    }

    /// What was printed long ago goes, a bounded part at a time.
    async fn collect_output(&self) {
        for _ in 0..MOST_COLLECTED {
            match self.store.collect_output().await {
                Ok(None) => return,
                Ok(Some(pieces)) => info!(pieces, "removed output of old rollouts"),
                Err(error) => {
                    warn!(
                        error = error_chain(&error),
                        "cannot remove old output; trying again"
                    );
                    return;
                }
            }
        }
    }

    /// Renews leases, takes free ones, and drives every rollout of these.
    async fn claim(&mut self) {
        let began = Instant::now();
        let leases = match self
            .store
            .claim_rollouts(&self.id, LEASE_SECONDS, MOST_LEASES)
            .await
        {
            Ok(leases) => leases,
            Err(error) => {
                warn!(error = error_chain(&error), "cannot claim rollouts; trying again");
                return;
            }
        };
        self.contact.answered(Instant::now());
        // Those whose turn it was not are held until they run out.
        self.held.retain(|_, (_, since)| since.elapsed() < LEASE);
        for lease in leases {
            let before = self.held.insert(lease.rollout, (lease.clone(), began));
            if before.is_none_or(|(before, _)| before.epoch != lease.epoch) {
                info!(rollout_id = %lease.rollout, "took the lease");
            }
            self.drive(lease);
        }
        gauges::leases(self.held.len());
    }

    /// Second machines under one token are an event, whether or not a rollout is under way.
    async fn note_second_lives(&self) {
        match self.store.note_second_lives(&self.key).await {
            Ok(hosts) => {
                for host in hosts {
                    warn!(%host, "two machines use this host's token; nothing that they say counts");
                }
            }
            Err(error) => warn!(
                error = error_chain(&error),
                "cannot look for second machines; trying again"
            ),
        }
    }

    /// News of rollouts: drives those that are held, and looks once for free leases if some are not.
    async fn awaken(&mut self, rollouts: &HashSet<RolloutId>) {
        let leases: Vec<Lease> = rollouts
            .iter()
            .filter_map(|rollout| self.held.get(rollout))
            .filter(|(_, since)| since.elapsed() < LEASE)
            .map(|(lease, _)| lease.clone())
            .collect();
        let elsewhere = leases.len() < rollouts.len();
        for lease in leases {
            self.drive(lease);
        }
        if elsewhere {
            self.claim().await;
        }
    }

    fn drive(&mut self, lease: Lease) {
        let (store, wake, key) = (self.store.clone(), self.wake.clone(), self.key.clone());
        let trace_id = lease.traceparent.as_ref().map(TraceParent::trace_id);
        // Every second, also where there is nothing to do: for lines alone.
        let span = info_span!(target: LINES_ONLY, "drive", rollout_id = %lease.rollout, epoch = lease.epoch, trace_id);
        let (rollout, contact) = (lease.rollout, self.contact);
        self.tasks.drive(
            rollout,
            async move { drive(&store, &wake, &key, &lease, contact).await }.instrument(span),
        );
    }

    fn finish(&mut self, done: &Done<Outcome>) {
        let again = match done.outcome {
            Some(Outcome::Lost) => {
                self.held.remove(&done.rollout);
                false
            }
            Some(Outcome::Unfinished) => true,
            Some(Outcome::Quiet) => done.news,
            // The next tick tries again.
            Some(Outcome::Failed) | None => false,
        };
        if let Some((lease, _)) = self.held.get(&done.rollout).filter(|_| again) {
            self.drive(lease.clone());
        }
    }
}

/// Rounds of read, decide, write and wake until nothing changes.
async fn drive(store: &Store, wake: &Wake, key: &AuditKey, lease: &Lease, contact: Contact) -> Outcome {
    for _ in 0..MOST_ROUNDS {
        let started = Instant::now();
        match one_round(store, wake, key, lease, contact).await {
            Ok(true) => gauges::round(started.elapsed()),
            Ok(false) => return Outcome::Quiet,
            Err(StoreError::StaleLease { detail, .. }) => {
                info!(detail, "another worker drives this rollout now");
                return Outcome::Lost;
            }
            Err(error) => {
                warn!(
                    error = error_chain(&error),
                    "cannot drive the rollout; trying again"
                );
                return Outcome::Failed;
            }
        }
    }
    Outcome::Unfinished
}

async fn one_round(
    store: &Store,
    wake: &Wake,
    key: &AuditKey,
    lease: &Lease,
    contact: Contact,
) -> Result<bool, StoreError> {
    let (mut snapshot, now) = store.load_snapshot(lease, key).await?;
    contact.excuse(&mut snapshot, Instant::now(), now);
    let changes = decide(&snapshot, now, &mut AttemptId::random);
    if changes.is_empty() {
        return Ok(false);
    }
    let round = trace::round(lease);
    let applied = store
        .apply(lease, &changes, key)
        .instrument(round.clone())
        .await?;
    for change in &changes {
        trace::change(&round, lease, &snapshot, change);
        match &change.effect {
            Effect::Rollout { from, to, .. } => info!(%from, %to, cause = change.cause, "rollout changed"),
            Effect::Step {
                step,
                from,
                to,
                attempt,
                ..
            } => {
                let known = snapshot.steps.iter().find(|s| s.id == *step);
                let host = known.map(|s| s.name.as_str());
                // The attempt that begins, or else the one under way.
                let attempt_id = attempt.or_else(|| known.and_then(|s| s.attempt)).map(display);
                info!(host, attempt_id, %from, %to, cause = change.cause, "step changed");
            }
            other => debug!(?other, cause = change.cause, "noted"),
        }
        gauges::change(&change.effect);
    }
    wake.publish_hosts(&applied.hosts).await;
    Ok(true)
}
