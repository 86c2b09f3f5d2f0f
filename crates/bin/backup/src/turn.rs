//! Which member of a cluster does a kind of work. What is made once for all, the leader makes: a standby cancels long reads when
//! they keep it from following. Each member looks after its own files, and drills go on where they disturb least.

use crate::config::Config;
use crate::dumps::Dumps;
use crate::failure::Result;
use crate::kind::BackupKind;
use crate::members::{self, Place};
use crate::{shared, state};

/// Why there is nothing to do on this member, if there is not, in one line.
pub(crate) async fn not_ours(config: &Config, kind: BackupKind) -> Result<Option<String>> {
    let Some(members) = &config.cluster else {
        return Ok(None);
    };
    if shared::is_shared(kind) {
        return Ok(match members::place(config).await? {
            Place::Leads => None,
            place @ Place::Follows(Some(_)) => Some(format!(
                "nothing to do on {}: {} and makes it for the cluster {}",
                members.member,
                place.leader(),
                members.name
            )),
            Place::Follows(None) => Some(format!(
                "nothing made on {}: no member leads the cluster {}, and the next leader makes it",
                members.member, members.name
            )),
        });
    }
    if kind != BackupKind::Drill || drills_dump(config).await || drills_archive(config).await? {
        return Ok(None);
    }
    state::skipped(&config.state_dir, kind).await?;
    Ok(Some(format!(
        "nothing to drill on {}: the newest dump is another member's, and standbys drill the archive",
        members.member
    )))
}

/// Whether the newest dump is here.
pub(crate) async fn drills_dump(config: &Config) -> bool {
    let Some(dump) = &config.dump else {
        return false;
    };
    if config.cluster.is_none() {
        return true;
    }
    let own = Dumps::new(&dump.directory)
        .list()
        .ok()
        .and_then(|(mut all, _)| all.pop());
    let Some(own) = own else {
        return false;
    };
    let (newest, _) = shared::read(config, BackupKind::Dump).await;
    newest
        .and_then(|shared| shared.record.last_success?.subject)
        .is_none_or(|subject| subject == own.id)
}

/// Whether this member replays the archive in a drill: a standby does, and the leader if there is none.
pub(crate) async fn drills_archive(config: &Config) -> Result<bool> {
    let (Some(members), true) = (&config.cluster, config.wal.is_some()) else {
        return Ok(config.wal.is_some());
    };
    if members::place(config).await? != Place::Leads {
        return Ok(true);
    }
    let view = members.look().await;
    Ok(view.is_ok_and(|view| {
        !view
            .members
            .iter()
            .any(|seen| seen.name != members.member && seen.runs())
    }))
}

/// Whether this member reads what all members share, in a verification.
pub(crate) async fn verifies_shared(config: &Config) -> Result<bool> {
    Ok(members::place(config).await? == Place::Leads)
}
