//! A client of the api that asks all the time, and tries a failed request once more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use secrecy::{ExposeSecret as _, SecretString};
use slipway_wire::route;
use tokio::task::JoinHandle;

use crate::nginx::Nginx;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(200);
/// Between a failure and the one other try.
const RETRY: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(30);

/// One request, with its second try if it had one.
#[derive(Debug, Clone)]
struct Asked {
    began: Instant,
    ended: Instant,
    failed: bool,
}

/// Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Probe {
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Probe {
    pub(super) fn start(nginx: &Nginx, token: &SecretString) -> Result<Self> {
        let pem = std::fs::read(&nginx.ca).context("cannot read the run's authority")?;
        let root = reqwest::Certificate::from_pem(&pem)?;
        let client = reqwest::Client::builder()
            .tls_certs_only([root])
            .no_proxy()
            .timeout(LIMIT);
        let client = client.retry(reqwest::retry::never()).build()?;
        let url = format!("{}{}", nginx.api_url(), route::HOSTS);
        let token = token.clone();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let once = async || {
                let request = client.get(&url).bearer_auth(token.expose_secret());
                matches!(request.send().await, Ok(answer) if answer.status() == 200)
            };
            loop {
                let began = Instant::now();
                let mut good = once().await;
                if !good {
                    tokio::time::sleep(RETRY).await;
                    good = once().await;
                }
                let ended = Instant::now();
                log.lock().unwrap_or_else(PoisonError::into_inner).push(Asked {
                    began,
                    ended,
                    failed: !good,
                });
                tokio::time::sleep(PAUSE).await;
            }
        });
        Ok(Self { asked, task })
    }

    /// How many requests were made, and how many failed that touch `from` to `to`.
    pub(super) fn failed(&self, from: Instant, to: Instant) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let touching = asked.iter().filter(|one| one.began <= to && one.ended >= from);
        touching.filter(|one| one.failed).count()
    }

    /// How many requests were made, and how many of all failed.
    pub(super) fn totals(&self) -> (usize, usize) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        (asked.len(), asked.iter().filter(|one| one.failed).count())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}
