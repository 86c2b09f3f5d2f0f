//! What a site answers to everybody.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use slipway_client::{Client, ClientBuilder, RawResponse};
use slipway_wire::monitoring::Status;
use slipway_wire::route;
use url::Url;

use super::{Check, Line};
use crate::Failure;

/// Where processes show their metrics, inside only.
const METRICS: &str = "/metrics";

/// What of a health report counts here; a team's own api may say more or less than Slipway's.
#[derive(Debug, Deserialize)]
struct Health {
    status: Option<Status>,
    version: Option<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    status: Status,
    latency_ms: Option<u64>,
    detail: Option<String>,
}

/// The address and the path of a URL with both.
pub fn split(url: &str) -> Result<(String, String), Failure> {
    // A word of the address's own, as the client would say it.
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    slipway_client::builder(address)?;
    let mut parsed = Url::parse(address).map_err(|_| Failure::usage(format!("`{address}` is not a URL")))?;
    let mut path = parsed.path().to_owned();
    if !query.is_empty() {
        path = format!("{path}?{query}");
    }
    parsed.set_path("");
    Ok((parsed.to_string(), path))
}

/// A client whose requests end in time.
pub fn client(builder: ClientBuilder, limit: Duration) -> Result<Client, Failure> {
    Ok(builder.connect_timeout(limit).request_timeout(limit).build()?)
}

/// Health with each dependency. `all` when both database and cache must be among them.
pub async fn health(client: &Client, of: &str, all: bool) -> Vec<Line> {
    let check = Check::new("health", of);
    let begun = Instant::now();
    let answer = match client.fetch(route::HEALTH).await {
        Ok(answer) => answer,
        Err(error) => {
            let mut lines = vec![check.failed_by(&error)];
            if all {
                lines.extend(["database", "redis"].map(|name| {
                    Check::new(name, of).not_checked("the api's health did not come", "see health above")
                }));
            }
            return lines;
        }
    };
    let health = match serde_json::from_slice::<Health>(&answer.body) {
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
    let mut lines = vec![match (answer.status, health.status) {
        (200, None | Some(Status::Ok)) => check.ok(seen),
        (200, Some(Status::Degraded)) => check.warn(format!("degraded: {seen}"), cure),
        _ => check.fail(format!("down: {seen}"), cure),
    }];
    for (name, dependency) in &health.dependencies {
        lines.push(depends(of, name, dependency));
    }
    for name in ["database", "redis"].iter().filter(|_| all) {
        if !health.dependencies.contains_key(*name) {
            lines.push(Check::new(*name, of).not_checked(
                "the health report does not name it",
                "use a slipway of the same version as the api",
            ));
        }
    }
    lines
}

fn depends(of: &str, name: &str, dependency: &Dependency) -> Line {
    let check = Check::new(name, of);
    let latency = dependency.latency_ms.map(|ms| format!("reachable, {ms} ms"));
    let detail = dependency.detail.clone();
    let cure = match name {
        "database" => "look at Postgres: systemctl status postgresql, and the api's log",
        "redis" => "look at Redis: systemctl status 'redis-*', and the api's log",
        "workers" => "start a worker, and look at its log",
        _ => "look at the api's log",
    };
    match dependency.status {
        Status::Ok => check.ok(latency.or(detail).unwrap_or_else(|| "reachable".to_owned())),
        Status::Degraded => check.warn(detail.unwrap_or_else(|| "degraded".to_owned()), cure),
        Status::Down => check.fail(detail.unwrap_or_else(|| "down".to_owned()), cure),
    }
}

/// Whether the process answers, or can serve.
pub async fn probe(client: &Client, of: &str, name: &'static str, path: &'static str) -> Line {
    let check = Check::new(name, of);
    let begun = Instant::now();
    match client.fetch(path).await {
        Ok(RawResponse {
            status: 200..=299, ..
        }) => check.ok(format!("in {} ms", begun.elapsed().as_millis())),
        Ok(answer) => check.fail(
            format!("{path} answered {}", answer.status),
            "see health above, and the api's log",
        ),
        Err(error) => check.failed_by(&error),
    }
}

/// Whether the metrics are kept from the outside.
pub async fn metrics_closed(client: &Client, of: &str) -> Line {
    let check = Check::new("metrics closed", of);
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
        Err(error) => check.not_checked(error.summary(), error.help().unwrap_or("see live above")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_before_its_path() {
        let at = |url| split(url).map_err(|failure| failure.detail().to_owned());
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(
            at("http://127.0.0.1:9103/status"),
            pair("http://127.0.0.1:9103/", "/status")
        );
        assert_eq!(at("http://a:1/s?stack=x"), pair("http://a:1/", "/s?stack=x"));
        assert!(at("a/status").unwrap_err().contains("no scheme"));
    }
}
