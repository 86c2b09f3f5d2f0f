//! A client that asks the api through the proxy all the time and counts what fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use slipway_wire::route;
use tokio::task::JoinHandle;

use crate::nginx::Nginx;

/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(15);
/// As long as the proxy itself waits: a busy machine is slow, and the slowest answer is told.
const LIMIT: Duration = Duration::from_mins(1);

/// The client at work. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Probe {
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    total: AtomicU64,
    failed: AtomicU64,
    slowest_ms: AtomicU64,
    first_failure: Mutex<Option<String>>,
}

/// What it counted.
#[derive(Debug, Clone)]
pub(super) struct ProbeReport {
    /// All requests.
    pub(super) total: u64,
    /// Those without a 200.
    pub(super) failed: u64,
    /// The longest wait for an answer, in milliseconds.
    pub(super) slowest_ms: u64,
    /// What the first failure was.
    pub(super) first_failure: Option<String>,
}

impl Probe {
    /// Begins to ask: for the health, and for a list that takes a token and the database.
    pub(super) fn start(nginx: &Nginx, token: &SecretString) -> Result<Self> {
        let client = patient_client(nginx)?;
        let counts = Arc::new(Counts::default());
        let (shared, url) = (Arc::clone(&counts), nginx.api_url());
        let token = token.clone();
        let task = tokio::spawn(async move {
            for path in [route::HEALTH, route::HOSTS].iter().cycle() {
                let start = Instant::now();
                let request = client
                    .get(format!("{url}{path}"))
                    .bearer_auth(token.expose_secret());
                let problem = match request.send().await {
                    Ok(answer) if answer.status() == 200 => {
                        answer.bytes().await.err().map(|e| format!("{e:?}"))
                    }
                    Ok(answer) => Some(format!("{path} answered {}", answer.status())),
                    Err(error) => Some(format!("{path}: {error:?}")),
                };
                shared.count(start.elapsed(), problem);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Ok(Self { counts, task })
    }

    /// The counts so far.
    #[must_use]
    pub(super) fn report(&self) -> ProbeReport {
        let first = self
            .counts
            .first_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        ProbeReport {
            total: self.counts.total.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
            slowest_ms: self.counts.slowest_ms.load(Ordering::Relaxed),
            first_failure: first.clone(),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Counts {
    fn count(&self, took: Duration, problem: Option<String>) {
        self.total.fetch_add(1, Ordering::Relaxed);
        self.slowest_ms.fetch_max(
            u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        if let Some(problem) = problem {
            self.failed.fetch_add(1, Ordering::Relaxed);
            self.first_failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(problem);
        }
    }
}

/// Never tries twice, so that it sees every failure.
fn patient_client(nginx: &Nginx) -> Result<Client> {
    slipway_client::install_crypto_provider();
    let pem = std::fs::read(&nginx.ca).context("cannot read the run's authority")?;
    let root = reqwest::Certificate::from_pem(&pem)?;
    let client = Client::builder().tls_certs_only([root]).no_proxy().timeout(LIMIT);
    Ok(client.retry(reqwest::retry::never()).build()?)
}

/// The version of HTTP that the proxy speaks with a client that can do both.
pub(super) async fn http_version(nginx: &Nginx) -> Result<reqwest::Version> {
    let url = format!("{}{}", nginx.api_url(), route::LIVE);
    Ok(patient_client(nginx)?.get(url).send().await?.version())
}
