//! All checks at once, each within its time limit.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use slipway_client::{Client, ClientError};
use slipway_domain::HostName;
use slipway_wire::route;
use tokio::task::{self, JoinError, JoinSet};

use crate::result::tell_obstacles_once;
use crate::tls::TlsEndpoint;
use crate::{
    CheckResult, PendingCheck, ReplicaAddress, Site, StatusPage, audit, backups, fleet, inside, jobs, site,
    tls,
};

/// What can be checked.
#[derive(Debug)]
pub enum VerifyTarget {
    /// An address that clients use.
    Site(Site),
    /// An address of which only the certificate is known.
    Certificate(Site),
    /// A replica of a stack's api, by its Unix socket and not through the proxy.
    Socket {
        /// The stack.
        stack: String,
        /// The socket.
        path: PathBuf,
    },
    /// A replica of a stack's service that is no api, as it listens on this host.
    Service {
        /// The stack.
        stack: String,
        /// The replica: `web-1`.
        replica: String,
        /// Where it takes requests.
        listener: ReplicaAddress,
        /// What it must answer; none where a connection is enough.
        path: Option<String>,
    },
    /// The scheduled jobs of a stack.
    Jobs {
        /// The stack.
        stack: String,
        /// Their names.
        names: Vec<String>,
        /// The file with the metrics of their runs.
        metrics_file: PathBuf,
    },
    /// The metrics listener of a stack's process.
    Metrics {
        /// The stack.
        stack: String,
        /// The service, such as `api` or `worker`.
        process: String,
        /// Its page.
        page: StatusPage,
    },
    /// Units of this host that must be active.
    Units {
        /// The stack that needs them.
        stack: String,
        /// Their names.
        units: Vec<String>,
    },
    /// The backups of one stack, or of all stacks that the page knows.
    Backups {
        /// The one stack.
        stack: Option<String>,
        /// The page of `slipway-backup exporter`.
        page: StatusPage,
    },
    /// The hosts and the audit log of a control plane.
    ControlPlane {
        /// Asks it, with a token.
        client: Client,
        /// What the caller's user can do about an error of the API.
        advice: Advice,
    },
    /// One host of a control plane.
    Host {
        /// Asks the control plane, with a token.
        client: Client,
        /// The host.
        name: HostName,
        /// What the caller's user can do about an error of the API.
        advice: Advice,
    },
    /// Something that needs no check: its result.
    Known(CheckResult),
}

/// Says what somebody can do about an error of the API, if anything.
#[derive(Clone)]
pub struct Advice(Arc<Advise>);

type Advise = dyn Fn(&ClientError) -> Option<Cow<'static, str>> + Send + Sync;

impl Advice {
    /// What this function says.
    #[must_use]
    pub fn new(advise: impl Fn(&ClientError) -> Option<Cow<'static, str>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(advise))
    }

    pub(crate) fn on(&self, error: &ClientError) -> Option<Cow<'static, str>> {
        (self.0)(error)
    }
}

impl fmt::Debug for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Advice")
    }
}

/// Checks all targets. The results come in the order of the targets.
pub async fn run(targets: Vec<VerifyTarget>, limit: Duration, now: DateTime<Utc>) -> Vec<CheckResult> {
    let mut checks = Checks::new(limit, now);
    for target in targets {
        checks.begin_target(target);
    }
    checks.finish().await
}

struct Checks {
    limit: Duration,
    now: DateTime<Utc>,
    running: JoinSet<Vec<CheckResult>>,
    /// What each task checks, with its place among the results.
    pending: HashMap<task::Id, (usize, PendingCheck)>,
    count: usize,
    ready: Vec<(usize, Vec<CheckResult>)>,
}

impl Checks {
    fn new(limit: Duration, now: DateTime<Utc>) -> Self {
        Self {
            limit,
            now,
            running: JoinSet::new(),
            pending: HashMap::new(),
            count: 0,
            ready: Vec::new(),
        }
    }

    fn begin_target(&mut self, target: VerifyTarget) {
        let (limit, now) = (self.limit, self.now);
        match target {
            VerifyTarget::Site(site) => self.begin_site(site),
            VerifyTarget::Certificate(site) => self.begin_certificate(&site),
            VerifyTarget::Socket { stack, path } => {
                let check = PendingCheck::new(inside::socket_check(&path), &stack);
                self.begin(check, async move |check| {
                    vec![inside::socket(check, &stack, &path, limit).await]
                });
            }
            VerifyTarget::Metrics { stack, process, page } => {
                let check = PendingCheck::new(format!("metrics {process}"), &stack);
                self.begin(check, async move |check| {
                    vec![inside::metrics(check, &stack, &process, &page).await]
                });
            }
            VerifyTarget::Service {
                stack,
                replica,
                listener,
                path,
            } => {
                let check = PendingCheck::new(format!("service {replica}"), &stack);
                let unit = format!("{stack}-{replica}");
                self.begin(check, async move |check| {
                    vec![inside::service(check, &unit, &listener, path.as_deref(), limit).await]
                });
            }
            VerifyTarget::Jobs {
                stack,
                names,
                metrics_file,
            } => self.add_all(jobs::check(&stack, &names, &metrics_file)),
            VerifyTarget::Units { stack, units } => {
                let check = PendingCheck::new("units", stack);
                self.begin(check, async move |check| vec![inside::units(check, &units).await]);
            }
            VerifyTarget::Backups { stack, page } => {
                let check = PendingCheck::new("backup", stack.as_ref().unwrap_or(&page.url));
                self.begin(check, async move |check| {
                    backups::check(check, stack.as_deref(), &page, now).await
                });
            }
            VerifyTarget::ControlPlane { client, advice } => {
                let of = client.url().as_str().trim_end_matches('/').to_owned();
                let (hosts, log) = (PendingCheck::new("hosts", &of), PendingCheck::new("audit", of));
                let (of_hosts, for_hosts) = (client.clone(), advice.clone());
                self.begin(hosts, async move |check| {
                    fleet::check(check, &of_hosts, now, &for_hosts).await
                });
                self.begin(log, async move |check| {
                    vec![audit::check(check, &client, &advice).await]
                });
            }
            VerifyTarget::Host { client, name, advice } => {
                let check = PendingCheck::new("host", name.as_str());
                self.begin(check, async move |check| {
                    fleet::check_host(check, &client, &name, now, &advice).await
                });
            }
            VerifyTarget::Known(result) => self.add(result),
        }
    }

    fn begin_certificate(&mut self, site: &Site) {
        let (limit, now) = (self.limit, self.now);
        match TlsEndpoint::of(site) {
            Ok(endpoint) => self.begin(PendingCheck::new("certificate", &site.of), async move |check| {
                tls::check(check, &endpoint, limit, now).await
            }),
            Err(result) => self.add(result),
        }
    }

    fn begin_site(&mut self, site: Site) {
        self.begin_certificate(&site);
        for (name, path) in [("live", route::LIVE), ("ready", route::READY)] {
            let client = site.client.clone();
            self.begin(PendingCheck::new(name, &site.of), async move |check| {
                vec![site::probe(check, &client, path).await]
            });
        }
        let (of, client) = (site.of.clone(), site.client.clone());
        self.begin(PendingCheck::new("health", &of), async move |check| {
            site::health(check, &of, &client, site.is_control_plane).await
        });
        self.begin(PendingCheck::new("metrics closed", site.of), async move |check| {
            vec![site::metrics_closed(check, &site.client).await]
        });
    }

    fn add(&mut self, result: CheckResult) {
        self.add_all(vec![result]);
    }

    fn add_all(&mut self, results: Vec<CheckResult>) {
        self.ready.push((self.count, results));
        self.count += 1;
    }

    /// Begins a check. It has a bound of its own besides that of each of its requests.
    fn begin<F>(&mut self, check: PendingCheck, run: impl FnOnce(PendingCheck) -> F)
    where
        F: Future<Output = Vec<CheckResult>> + Send + 'static,
    {
        let limit = self.limit;
        let results = run(check.clone());
        let late = check.clone();
        let task = self.running.spawn(async move {
            // A moment more than a request has, so that the request's own error is what is shown.
            let bounded = tokio::time::timeout(limit + Duration::from_millis(500), results);
            bounded.await.unwrap_or_else(|_| {
                vec![late.not_checked(
                    format!("it did not end in {} s", limit.as_secs()),
                    "give it longer: --timeout SECONDS",
                )]
            })
        });
        self.pending.insert(task.id(), (self.count, check));
        self.count += 1;
    }

    async fn finish(mut self) -> Vec<CheckResult> {
        while let Some(done) = self.running.join_next_with_id().await {
            let id = done.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
            let Some((place, check)) = self.pending.remove(&id) else {
                continue;
            };
            // A panic was shown already; that nothing is known must show too.
            let panicked = |_| {
                vec![check.not_checked(
                    "the check ended in a panic",
                    "please report it with what was shown",
                )]
            };
            let results = done.map_or_else(panicked, |(_, results)| results);
            self.ready.push((place, results));
        }
        self.ready.sort_by_key(|(place, _)| *place);
        let mut results: Vec<_> = self.ready.into_iter().flat_map(|(_, results)| results).collect();
        tell_obstacles_once(&mut results);
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_check_that_panics_is_named_in_its_place() {
        let mut checks = Checks::new(Duration::from_secs(9), DateTime::UNIX_EPOCH);
        for name in ["one", "two", "three"] {
            checks.begin(PendingCheck::new(name, "x"), async move |check| {
                assert_ne!(name, "two", "as the test asks for");
                vec![check.ok("")]
            });
        }
        let results = checks.finish().await;
        let lines: Vec<_> = results
            .iter()
            .map(|result| (result.check.as_str(), result.state))
            .collect();
        let (ok, unknown) = (crate::CheckState::Ok, crate::CheckState::NotChecked);
        assert_eq!(lines, [("one", ok), ("two", unknown), ("three", ok)]);
        assert_eq!(results[1].seen, "the check ended in a panic");
    }
}
