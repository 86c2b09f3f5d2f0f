//! What a site answers to everybody.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use slipway_client::{Client, ClientBuilder, ClientError, RawResponse};
use slipway_wire::monitoring::Status;
use slipway_wire::route;

use crate::page::bounded;
use crate::{Advice, CheckResult, PendingCheck};

/// Where processes show their metrics, inside only.
const METRICS: &str = "/metrics";

/// What of a health report counts here; a team's own api may say more or less than Slipway's.
#[derive(Debug, Deserialize)]
struct HealthReport {
    status: Option<Status>,
    version: Option<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, DependencyReport>,
}

#[derive(Debug, Deserialize)]
struct DependencyReport {
    status: Status,
    latency_ms: Option<u64>,
    detail: Option<String>,
}

/// An address that clients use.
#[derive(Debug)]
pub struct Site {
    pub(crate) of: String,
    pub(crate) client: Client,
    pub(crate) ca_pem: Vec<u8>,
    pub(crate) is_readable_on_the_way: bool,
    pub(crate) is_control_plane: bool,
}

impl Site {
    /// The site that `builder` is for. The results call it `of`.
    ///
    /// A control plane must name its database and its cache in the health report.
    pub fn new(
        of: impl Into<String>,
        builder: ClientBuilder,
        limit: Duration,
        is_control_plane: bool,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            of: of.into(),
            ca_pem: builder.ca_pem().to_vec(),
            is_readable_on_the_way: builder.is_readable_on_the_way(),
            client: bounded(builder, limit)?,
            is_control_plane,
        })
    }
}

/// Health with each dependency. With `all`, both database and cache must be among them.
pub(crate) async fn health(check: PendingCheck, of: &str, client: &Client, all: bool) -> Vec<CheckResult> {
    let begun = Instant::now();
    let answer = match client.fetch(route::HEALTH).await {
        Ok(answer) => answer,
        Err(error) => {
            let result = check.fail_by(&error);
            let unknown = ["database", "redis"].map(|name| {
                PendingCheck::new(name, of)
                    .not_checked(
                        "skipped because the api's health did not come",
                        "see `health` above",
                    )
                    .met(result.obstacle.as_deref().cloned())
            });
            let mut results = vec![result];
            results.extend(unknown.into_iter().filter(|_| all));
            return results;
        }
    };
    let health = match serde_json::from_slice::<HealthReport>(&answer.body) {
        Ok(health) if matches!(answer.status, 200 | 503) => health,
        _ => {
            return vec![check.fail(
                format!(
                    "{} answered {}, and no health report",
                    route::HEALTH,
                    answer.status
                ),
                "check that the address is the api's, and that the proxy passes /api/v1/monitoring/ on",
            )];
        }
    };
    let version = health.version.map(|version| format!(", version {version}"));
    let seen = format!(
        "{}{}, in {} ms",
        answer.status,
        version.unwrap_or_default(),
        begun.elapsed().as_millis()
    );
    let cure = "see its dependencies below; else look at the api's log";
    let mut results = vec![match (answer.status, health.status) {
        (200, None | Some(Status::Ok)) => check.ok(seen),
        (200, Some(Status::Degraded)) => check.warn(format!("degraded: {seen}"), cure),
        _ => check.fail(format!("down: {seen}"), cure),
    }];
    for (name, report) in &health.dependencies {
        results.push(dependency(of, name, report));
    }
    for name in ["database", "redis"].iter().filter(|_| all) {
        if !health.dependencies.contains_key(*name) {
            results.push(PendingCheck::new(*name, of).not_checked(
                "the health report does not name it",
                "use a slipway of the same version as the api",
            ));
        }
    }
    results
}

fn dependency(of: &str, name: &str, report: &DependencyReport) -> CheckResult {
    let check = PendingCheck::new(name, of);
    let latency = report.latency_ms.map(|ms| format!("reachable, {ms} ms"));
    let detail = report.detail.clone();
    let cure = match name {
        "database" => "look at Postgres: systemctl status postgresql, and the api's log",
        "redis" => "look at Redis: systemctl status 'redis-*', and the api's log",
        "workers" => "start a worker, and look at its log",
        _ => "look at the api's log",
    };
    match report.status {
        Status::Ok => check.ok(latency.or(detail).unwrap_or_else(|| "reachable".to_owned())),
        Status::Degraded => check.warn(detail.unwrap_or_else(|| "degraded".to_owned()), cure),
        Status::Down => check.fail(detail.unwrap_or_else(|| "down".to_owned()), cure),
    }
}

/// Whether the process answers, or can serve.
pub(crate) async fn probe(check: PendingCheck, client: &Client, path: &str) -> CheckResult {
    let begun = Instant::now();
    match client.fetch(path).await {
        Ok(RawResponse {
            status: 200..=299, ..
        }) => check.ok(format!("in {} ms", begun.elapsed().as_millis())),
        Ok(answer) => check.fail(
            format!("{path} answered {}", answer.status),
            "see `health`, and the api's log",
        ),
        Err(error) => check.fail_by(&error),
    }
}

/// Whether the metrics are kept from the outside.
pub(crate) async fn metrics_closed(check: PendingCheck, client: &Client) -> CheckResult {
    match client.fetch(METRICS).await {
        Ok(RawResponse {
            status: 200..=299, ..
        }) => check.fail(
            format!("{METRICS} is open to everybody"),
            "close it in the proxy, as the module's does: location /metrics { return 404; }",
        ),
        Ok(RawResponse {
            status: status @ (401 | 403 | 404 | 410),
            ..
        }) => check.ok(format!("{METRICS} answers {status}")),
        Ok(answer) => check.not_checked(
            format!("{METRICS} answered {}, which says neither", answer.status),
            "have the proxy answer it with 404",
        ),
        Err(error) => {
            let advice = Advice::new(|error| error.help().map(Cow::Borrowed));
            check.not_checked_by(&error, &advice)
        }
    }
}
