//! Metrics with a series for each host, each waiting rollout and each destination. Ones that are gone have none.

use slipway_domain::Timestamp;
use slipway_store::audit::{AuditWalk, Walk};
use slipway_store::fleet::{Waiting, WatchedFleet};
use slipway_store::messages::Backlog;
use slipway_telemetry::Family;

/// Every family, in the order of [`of`].
struct Families {
    waiting: Family,
    seen: Family,
    stuck: Family,
    drift: Family,
    drift_kind: Family,
    out: Family,
    read: Family,
    verified: Family,
    verified_at: Family,
    swept_at: Family,
    events: Family,
    undelivered: Family,
    oldest: Family,
    dead: Family,
    disabled: Family,
}

impl Families {
    fn new() -> Self {
        Self {
            waiting: Family::gauge(
                "slipway_rollout_waiting_seconds",
                "How long an open rollout has been waiting, by reason: approval, paused, verdict. The oldest 200.",
            ),
            seen: Family::gauge(
                "slipway_host_last_seen_timestamp_seconds",
                "When a host was last heard of, since 1970; 0: never.",
            ),
            stuck: Family::gauge(
                "slipway_host_stuck",
                "1 when a host could not go back, and a person must look.",
            ),
            drift: Family::gauge(
                "slipway_host_drift",
                "1 when a host is not as Slipway left it, or behind its environment's release.",
            ),
            drift_kind: Family::gauge(
                "slipway_host_drift_kind",
                "1 for each kind of drift on a host: live, profile, unit, behind.",
            ),
            out: Family::gauge("slipway_host_out", "1 while a rollout has a host out, by phase."),
            read: Family::gauge(
                "slipway_fleet_read_timestamp_seconds",
                "When this worker last read the state of hosts and rollouts, since 1970.",
            ),
            verified: Family::gauge(
                "slipway_audit_verified",
                "1 when the last checks of the audit log found it whole, else 0.",
            ),
            verified_at: Family::gauge(
                "slipway_audit_verified_timestamp_seconds",
                "When the check of new events last reached the newest one, since 1970.",
            ),
            swept_at: Family::gauge(
                "slipway_audit_swept_timestamp_seconds",
                "When the check of all events last reached the newest one, since 1970.",
            ),
            events: Family::gauge(
                "slipway_audit_verified_events",
                "The number of the last event that was checked and right.",
            ),
            undelivered: Family::gauge(
                "slipway_deliveries_waiting",
                "Messages that a destination has not taken yet.",
            ),
            oldest: Family::gauge(
                "slipway_delivery_waiting_seconds",
                "How long the oldest message that a destination has not taken yet has waited; 0: there is none.",
            ),
            dead: Family::gauge(
                "slipway_deliveries_dead",
                "Messages that a destination did not take in a day, and that are sent no more unless somebody replays them.",
            ),
            disabled: Family::gauge(
                "slipway_destination_disabled",
                "1 when a destination gets no messages.",
            ),
        }
    }

    fn all(self) -> Vec<Family> {
        vec![
            self.waiting,
            self.seen,
            self.stuck,
            self.drift,
            self.drift_kind,
            self.out,
            self.read,
            self.verified,
            self.verified_at,
            self.swept_at,
            self.events,
            self.undelivered,
            self.oldest,
            self.dead,
            self.disabled,
        ]
    }
}

/// Names without numbers, while nothing is known.
pub(crate) fn empty() -> Vec<Family> {
    Families::new().all()
}

/// What was seen at `now`.
pub(crate) fn of(
    fleet: &WatchedFleet,
    walks: &[AuditWalk],
    backlogs: &[Backlog],
    now: Timestamp,
) -> Vec<Family> {
    let mut all = Families::new();
    for rollout in &fleet.waiting {
        let id = rollout.rollout.to_string();
        let reason = match rollout.reason {
            Waiting::Approval => "approval",
            Waiting::Paused => "paused",
            Waiting::Verdict => "verdict",
        };
        let labels = [
            ("environment", rollout.environment.as_str()),
            ("rollout", &id),
            ("reason", reason),
        ];
        all.waiting.push(&labels, rollout.seconds);
    }
    for host in &fleet.hosts {
        let labels = [
            ("environment", host.environment.as_str()),
            ("name", host.name.as_str()),
        ];
        all.seen.push(&labels, host.last_seen_at.map_or(0.0, seconds));
        all.stuck.push(&labels, truth(host.is_stuck()));
        if let Some(kinds) = &host.drift {
            all.drift.push(&labels, truth(!kinds.is_empty()));
            let [environment, name] = labels;
            for kind in kinds {
                all.drift_kind
                    .push(&[environment, name, ("kind", kind.as_str())], 1.0);
            }
        }
        if let Some(phase) = host.out {
            let [environment, name] = labels;
            all.out.push(&[environment, name, ("phase", phase.as_str())], 1.0);
        }
    }
    all.read.push(&[], seconds(now));
    if !walks.is_empty() {
        all.verified
            .push(&[], truth(walks.iter().all(|walk| walk.problem.is_none())));
    }
    for walk in walks {
        let (at, events) = match walk.walk {
            Walk::Newest => (&mut all.verified_at, Some(&mut all.events)),
            Walk::Whole => (&mut all.swept_at, None),
        };
        if let Some(ended) = walk.ended_at {
            at.push(&[], seconds(ended));
        }
        if let Some(events) = events {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            events.push(&[], walk.number as f64);
        }
    }
    for backlog in backlogs {
        let labels = [
            ("destination", backlog.destination.as_str()),
            ("kind", backlog.kind.as_str()),
        ];
        all.undelivered.push(&labels, backlog.waiting.into());
        all.oldest.push(&labels, backlog.oldest_seconds);
        all.dead.push(&labels, backlog.dead.into());
        all.disabled.push(&labels, truth(!backlog.enabled));
    }
    all.all()
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 are far below 2^53"
)]
fn seconds(at: Timestamp) -> f64 {
    at.timestamp_millis() as f64 / 1e3
}
