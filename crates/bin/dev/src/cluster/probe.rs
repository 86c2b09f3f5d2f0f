//! Clients of the api that ask and change all the time, with the client library and its way of trying again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use slipway_client::{Client, ClientError};
use slipway_domain::Role;
use slipway_wire::access::CreatePrincipal;
use slipway_wire::page::EnvironmentPageQuery;
use tokio::task::JoinHandle;

/// Between two questions.
const ASK: Duration = Duration::from_millis(200);
/// Between two changes. Each leaves something behind.
const CHANGE: Duration = Duration::from_secs(1);

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Good,
    Failed,
    /// It was cut in its commit: it may be done.
    Unsure,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    began: Instant,
    ended: Instant,
    outcome: Outcome,
}

/// How many requests there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Counts {
    pub(super) all: usize,
    pub(super) failed: usize,
    pub(super) unsure: usize,
    /// The longest one, with all its tries, in milliseconds.
    pub(super) longest_ms: u64,
}

/// Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Probe {
    asked: Arc<Mutex<Vec<Asked>>>,
    tasks: [JoinHandle<()>; 2],
}

impl Probe {
    pub(super) fn start(api: &Client) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (client, log) = (api.clone(), Arc::clone(&asked));
        let asking = tokio::spawn(async move {
            let query = EnvironmentPageQuery::default();
            loop {
                let began = Instant::now();
                note(&log, began, client.hosts(&query).await.map(drop));
                tokio::time::sleep(ASK).await;
            }
        });
        let (client, log) = (api.clone(), Arc::clone(&asked));
        let changing = tokio::spawn(async move {
            for number in 1.. {
                let Ok(name) = format!("probe-{number}").parse() else {
                    return;
                };
                let principal = CreatePrincipal {
                    name,
                    role: Role::Viewer,
                    environment_roles: slipway_domain::EnvironmentRoles::default(),
                };
                let began = Instant::now();
                note(&log, began, client.create_principal(&principal).await.map(drop));
                tokio::time::sleep(CHANGE).await;
            }
        });
        Self {
            asked,
            tasks: [asking, changing],
        }
    }

    /// Those that touch `from` to `to`.
    pub(super) fn between(&self, from: Instant, to: Instant) -> Counts {
        self.count(|one| one.began <= to && one.ended >= from)
    }

    /// All of them.
    pub(super) fn totals(&self) -> Counts {
        self.count(|_| true)
    }

    fn count(&self, counts: impl Fn(&Asked) -> bool) -> Counts {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Counts::default();
        for one in asked.iter().filter(|one| counts(one)) {
            all.all += 1;
            all.failed += usize::from(one.outcome == Outcome::Failed);
            all.unsure += usize::from(one.outcome == Outcome::Unsure);
            all.longest_ms = all.longest_ms.max(super::millis(one.ended - one.began));
        }
        all
    }
}

fn note(log: &Mutex<Vec<Asked>>, began: Instant, answer: Result<(), ClientError>) {
    let outcome = match answer {
        Ok(()) => Outcome::Good,
        Err(ClientError::Unsure { error, .. }) => {
            crate::say::say(&format!("    a change may be done: {error}"));
            Outcome::Unsure
        }
        Err(error) => {
            crate::say::say(&format!("    a request failed: {error}"));
            Outcome::Failed
        }
    };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(Asked {
        began,
        ended: Instant::now(),
        outcome,
    });
}

impl Drop for Probe {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
