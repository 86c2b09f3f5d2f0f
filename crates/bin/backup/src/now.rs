//! Doing a kind of work now: here, or by the systemd unit that has the right account and the secrets.

use std::time::Duration;

use tokio::time::timeout;

use crate::config::Config;
use crate::failure::{BackupFailure, Result};
use crate::kind::BackupKind;
use crate::program::Program;
use crate::state::{self, Done};
use crate::{drill, dump, offsite, verify, wal};

/// Beyond the work's own bound: starting, waiting for a lock, recording.
const AROUND: Duration = Duration::from_hours(2);

/// Does it in this process, and records how it ended.
pub(crate) async fn here(config: &Config, kind: BackupKind) -> Result<Done> {
    // On the heap: it holds what all five hold.
    let work = Box::pin(async {
        match kind {
            BackupKind::Dump => dump::make(config).await,
            BackupKind::WalBase => wal::base(config).await,
            BackupKind::Offsite => offsite::copy(config).await,
            BackupKind::Verify => verify::run(config).await,
            BackupKind::Drill => drill::run(config).await,
        }
    });
    // Every program and statement has its own bound, and says more; this is for what none of them covers.
    let limit = bound(config, kind);
    let bounded = async {
        timeout(limit, work).await.unwrap_or_else(|_| {
            let limit = crate::text::duration(limit);
            Err(BackupFailure::new(format!("{kind} did not end within {limit}"))
                .cure("see whether the server, the disk or the other place answers at all"))
        })
    };
    state::recorded(&config.state_dir, kind, bounded).await
}

fn bound(config: &Config, kind: BackupKind) -> Duration {
    config.times(kind).map_or(AROUND, |times| times.timeout + AROUND)
}

/// Does it by its unit if it has one, else here.
pub(crate) async fn run(config: &Config, kind: BackupKind) -> Result<String> {
    let Some(unit) = config.units.get(&kind) else {
        return here(config, kind).await.map(|done| done.detail);
    };
    // The unit's own bound is longer by the wait for another run.
    let started = Program::new("systemctl", bound(config, kind) + AROUND)
        .args(["start", unit])
        .run()
        .await;
    let record = state::read(&config.state_dir, kind)?;
    match (
        started,
        record.last_run.and_then(|run| Some((run.error?, run.cure))),
    ) {
        (Ok(_), _) => Ok(record
            .last_success
            .map_or_else(|| "done".to_owned(), |success| success.detail)),
        (Err(_), Some((error, cure))) => {
            let failure = BackupFailure::new(error);
            Err(match cure {
                Some(cure) => failure.cure(cure),
                None => failure.cure(format!("journalctl -u {unit}")),
            })
        }
        (Err(failure), None) => Err(failure
            .during(format!("{unit} did not start"))
            .cure(format!("run it as root; journalctl -u {unit}"))),
    }
}
