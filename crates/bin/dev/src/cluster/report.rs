//! How it went, for people and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::probe::Counts;
use super::verdict::percentile;

/// Without writes at most, by the goals.
const POSTGRES_GOAL: Duration = Duration::from_secs(30);
const REDIS_GOAL: Duration = Duration::from_secs(15);

/// One fault and what came of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FaultResult {
    pub(super) fault: String,
    pub(super) place: &'static str,
    pub(super) member: String,
    /// Who leads Postgres afterwards.
    pub(super) leader_after: String,
    /// Milliseconds without a write: the worst client of the other members, and the member's own one.
    pub(super) postgres_ms: u64,
    pub(super) postgres_own_ms: Option<u64>,
    pub(super) redis_ms: u64,
    pub(super) redis_own_ms: Option<u64>,
    /// From the end of the fault.
    pub(super) whole_after_ms: u64,
    pub(super) postgres_lost: usize,
    pub(super) redis_lost: usize,
    /// Requests of the api that failed while it lasted, until all was whole again, however often the client library tried.
    pub(super) requests_failed: usize,
    /// Changes by the api that were cut in their commit, so that nobody knows whether they are done.
    pub(super) changes_unsure: usize,
    /// The longest request of the api, with all its tries.
    pub(super) longest_request_ms: u64,
    /// How many proofs that two members led at once came with it.
    pub(super) two_leaders: usize,
}

/// All of it.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) faults: Vec<FaultResult>,
    /// Acknowledged writes, and those of them that were missing after a fault or at the end.
    pub(super) postgres_written: usize,
    pub(super) postgres_lost: BTreeSet<String>,
    pub(super) redis_written: usize,
    pub(super) redis_lost: usize,
    /// What shows that two members led at once.
    pub(super) two_leaders: Vec<String>,
    /// Rollouts that were under way when a fault came, and succeeded.
    pub(super) rollouts: usize,
    /// Requests of the api.
    pub(super) requests: Counts,
    /// Why the run could not go on.
    pub(super) stopped: Option<String>,
    pub(super) seconds: f64,
}

impl FaultResult {
    /// In one line.
    pub(super) fn line(&self) -> String {
        let seconds = |ms| seconds(Duration::from_millis(ms));
        let own = |ms: Option<u64>| ms.map_or("-".to_owned(), seconds);
        format!(
            "on {}: no write in Postgres for {} (own client {}), in Redis for {} (own client {}); whole after {}; lost \
             {} and {}; {} requests failed, {} changes unsure, the longest {}; two leaders at once: {}",
            self.member,
            seconds(self.postgres_ms),
            own(self.postgres_own_ms),
            seconds(self.redis_ms),
            own(self.redis_own_ms),
            seconds(self.whole_after_ms),
            self.postgres_lost,
            self.redis_lost,
            self.requests_failed,
            self.changes_unsure,
            seconds(self.longest_request_ms),
            never_or(self.two_leaders)
        )
    }
}

impl Report {
    /// What must not be, in words.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = self.two_leaders.clone();
        problems.extend(self.stopped.clone());
        if !self.postgres_lost.is_empty() {
            let shown = self
                .postgres_lost
                .iter()
                .take(5)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            problems.push(format!(
                "{} acknowledged writes are lost: {shown}",
                self.postgres_lost.len()
            ));
        }
        problems
    }

    fn failed_outside(&self) -> usize {
        let during: usize = self.faults.iter().map(|fault| fault.requests_failed).sum();
        self.requests.failed.saturating_sub(during)
    }

    /// Faults that stopped writes for longer than the goals. A busy machine is slow, not wrong: the run does not fail.
    fn over_goal(&self) -> Vec<String> {
        let mut over = Vec::new();
        for fault in &self.faults {
            let times = [
                ("Postgres", fault.postgres_ms, POSTGRES_GOAL),
                ("Redis", fault.redis_ms, REDIS_GOAL),
            ];
            for (what, ms, goal) in times {
                let time = Duration::from_millis(ms);
                if time > goal {
                    over.push(format!(
                        "{} at the {} ({what}, {})",
                        fault.fault,
                        fault.place,
                        seconds(time)
                    ));
                }
            }
        }
        over
    }

    /// A table in Markdown, with a row for each kind of fault.
    pub(super) fn table(&self) -> String {
        let mut kinds: BTreeMap<(&str, &str), Vec<&FaultResult>> = BTreeMap::new();
        for fault in &self.faults {
            kinds.entry((&fault.fault, fault.place)).or_default().push(fault);
        }
        let mut text = String::from(
            "| fault | at the | times | Postgres: no write for, worst | its own client | Redis: no write for, worst | \
             lost in Postgres | lost in Redis | requests failed | changes unsure | longest request |\n\
             |---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for ((fault, place), all) in kinds {
            let worst = |of: fn(&FaultResult) -> Option<u64>| {
                let worst = all.iter().filter_map(|fault| of(fault)).max();
                worst.map_or("-".to_owned(), |ms| seconds(Duration::from_millis(ms)))
            };
            let _ = writeln!(
                text,
                "| {fault} | {place} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                all.len(),
                worst(|fault| Some(fault.postgres_ms)),
                worst(|fault| fault.postgres_own_ms),
                worst(|fault| Some(fault.redis_ms)),
                all.iter().map(|fault| fault.postgres_lost).sum::<usize>(),
                all.iter().map(|fault| fault.redis_lost).sum::<usize>(),
                all.iter().map(|fault| fault.requests_failed).sum::<usize>(),
                all.iter().map(|fault| fault.changes_unsure).sum::<usize>(),
                worst(|fault| Some(fault.longest_request_ms)),
            );
        }
        let _ = writeln!(text, "\n{}", self.summary());
        text
    }

    fn summary(&self) -> String {
        let of = |value: fn(&FaultResult) -> u64| {
            let values: Vec<Duration> = self
                .faults
                .iter()
                .map(|fault| Duration::from_millis(value(fault)))
                .collect();
            [50, 99, 100]
                .map(|rank| percentile(&values, rank).map_or("-".to_owned(), seconds))
                .join(", ")
        };
        let over = self.over_goal();
        format!(
            "{} faults in {:.0} minutes (seed {}). No write for (p50, p99, worst): Postgres {}; Redis {}. Acknowledged \
             and lost: Postgres {} and {}; Redis {} and {}. Two leaders at once: {}. Longer than {} and {}: {}. \
             Rollouts under way that succeeded: {}. Requests: {}, of which {} failed, {} of them outside a fault; {} \
             changes unsure; the longest request {}.",
            self.faults.len(),
            self.seconds / 60.0,
            self.seed,
            of(|fault| fault.postgres_ms),
            of(|fault| fault.redis_ms),
            self.postgres_written,
            self.postgres_lost.len(),
            self.redis_written,
            self.redis_lost,
            never_or(self.two_leaders.len()),
            seconds(POSTGRES_GOAL),
            seconds(REDIS_GOAL),
            if over.is_empty() {
                "none".to_owned()
            } else {
                over.join(", ")
            },
            self.rollouts,
            self.requests.all,
            self.requests.failed,
            self.failed_outside(),
            self.requests.unsure,
            seconds(Duration::from_millis(self.requests.longest_ms)),
        )
    }
}

const fn never_or(proofs: usize) -> &'static str {
    if proofs == 0 { "never" } else { "YES" }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
