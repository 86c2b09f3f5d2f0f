//! Notes whether hosts drift, as soon as their agents report something new.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slipway_domain::HostId;
use slipway_telemetry::error_chain;

use crate::state::App;

/// Notes the drift of many hosts in few transactions, because the audit log has one writer at a time.
///
/// Many report at once in a rollout, and after a start.
#[derive(Debug, Default)]
pub(crate) struct DriftNotes {
    waiting: Mutex<BTreeSet<HostId>>,
    /// Whoever has it notes all that wait.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl DriftNotes {
    fn waiting(&self) -> MutexGuard<'_, BTreeSet<HostId>> {
        // Every change is whole before anything can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes whether the host drifts by now. What fails here is found by a worker.
pub(crate) async fn note(app: &App, host: HostId) {
    let notes = &app.drift_notes;
    notes.waiting().insert(host);
    let turn = Arc::clone(&notes.turn).lock_owned().await;
    let hosts = {
        let mut waiting = notes.waiting();
        // An earlier request has noted this host.
        if !waiting.contains(&host) {
            return;
        }
        mem::take(&mut *waiting)
    };
    let app = App::clone(app);
    // The request may be cut off, and the others rely on it.
    let work = tokio::spawn(async move {
        let hosts: Vec<HostId> = hosts.into_iter().collect();
        if let Err(error) = app.store.note_drift(Some(&hosts), &app.audit_key).await {
            tracing::warn!(
                error = error_chain(&error),
                hosts = hosts.len(),
                "cannot note the drift of hosts"
            );
        }
        drop(turn);
    });
    if work.await.is_err() {
        tracing::error!("the task that notes drift panicked");
    }
}
