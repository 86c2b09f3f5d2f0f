//! Doing a kind of work now: here, or by the systemd unit that has the right account and the secrets.

use std::time::Duration;

use tokio::time::timeout;

use crate::config::Config;
use crate::failure::{BackupFailure, Result};
use crate::kind::BackupKind;
use crate::program::Program;
use crate::state::{self, Done};
use crate::{drill, dump, offsite, shared, turn, verify, wal};

/// Beyond the work's own bound: starting, waiting for a lock, recording.
const AROUND: Duration = Duration::from_hours(2);

/// Does it in this process, and records how it ended. On a member whose work it is not, it says whose it is.
pub(crate) async fn here(config: &Config, kind: BackupKind) -> Result<Done> {
    if let Some(why) = turn::not_ours(config, kind).await? {
        return Ok(Done {
            detail: why,
            ..Done::default()
        });
    }
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
    match &config.cluster {
        Some(members) if shared::is_shared(kind) => {
            let begun = state::Record::begun(&config.state_dir, kind);
            if let Err(failure) = shared::write(config, kind, &members.member, begun).await {
                tracing::warn!(
                    kind = kind.name(),
                    "cannot record the beginning: {}",
                    failure.summary()
                );
            }
            let done = state::recorded(&config.state_dir, kind, bounded).await;
            let record = state::read(&config.state_dir, kind)?;
            let written = shared::write(config, kind, &members.member, record).await;
            match (done, written) {
                (Ok(_), Err(failure)) => Err(failure.during("the work is done and cannot be recorded")),
                (done, _) => done,
            }
        }
        _ => state::recorded(&config.state_dir, kind, bounded).await,
    }
}

/// How long a run of the kind may take, with all that is around it.
pub(crate) fn bound(config: &Config, kind: BackupKind) -> Duration {
    config.times(kind).map_or(AROUND, |times| times.timeout + AROUND)
}

/// Does it by its unit if it has one, else here.
pub(crate) async fn run(config: &Config, kind: BackupKind) -> Result<String> {
    let Some(unit) = config.units.get(&kind) else {
        return here(config, kind).await.map(|done| done.detail);
    };
    // The unit says the same to its log only.
    let ours = turn::not_ours(config, kind).await?;
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
        (Ok(_), _) if ours.is_some() => Ok(ours.unwrap_or_default()),
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
