//! Who hears of alerts: a real server that Alertmanager's webhook posts to. It also plays a target whose answer can be
//! made garbage.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::ports::loopback;
use crate::run::Run;

/// What a target says that is well.
const METRICS: &str = "# TYPE answers gauge\nanswers 1\n";
/// What no parser of metrics takes.
const GARBAGE: &str = "<html>502 Bad Gateway</html>\n";

/// Whether an alert begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    /// It fires.
    Firing,
    /// It is over.
    Resolved,
}

/// One alert of a message.
#[derive(Debug, Clone)]
pub struct HeardAlert {
    /// When the message came.
    pub at: Instant,
    /// Whether it begins or ends.
    pub status: AlertStatus,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl HeardAlert {
    /// A label, or nothing.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug, Deserialize)]
struct Message {
    alerts: Vec<MessageAlert>,
}

#[derive(Debug, Deserialize)]
struct MessageAlert {
    status: AlertStatus,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Vec<HeardAlert>>,
    garbage: AtomicBool,
}

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Webhook {
    /// Its port on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Webhook {
    /// Listens on a port of the run.
    pub async fn start(run: &Run) -> Result<Self> {
        let port = run.ports.reserve()?;
        let shared = Arc::new(Shared::default());
        let router = Router::new()
            .route("/alerts", post(hear))
            .route("/metrics", get(metrics))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind(loopback(port)).await;
        let listener = listener.context("cannot listen for alerts")?;
        let server = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { port, shared, server })
    }

    /// Where alerts are posted to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/alerts", self.port)
    }

    /// All that was heard, the oldest first.
    #[must_use]
    pub fn heard(&self) -> Vec<HeardAlert> {
        let heard = self.shared.heard.lock();
        heard.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers its metrics with garbage from now on, or no longer.
    pub fn answer_garbage(&self, garbage: bool) {
        self.shared.garbage.store(garbage, Ordering::Relaxed);
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn hear(State(shared): State<Arc<Shared>>, Json(message): Json<Message>) {
    let at = Instant::now();
    let alerts = message.alerts.into_iter().map(|alert| HeardAlert {
        at,
        status: alert.status,
        labels: alert.labels,
    });
    let mut heard = shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
    heard.extend(alerts);
}

async fn metrics(State(shared): State<Arc<Shared>>) -> &'static str {
    if shared.garbage.load(Ordering::Relaxed) {
        GARBAGE
    } else {
        METRICS
    }
}
