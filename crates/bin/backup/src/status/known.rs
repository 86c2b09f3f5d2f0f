//! What is known of the backups: on one host from its own records, in a cluster from those that all members share.

use slipway_wire::backup::BackupCluster;

use crate::clock::{self, Time};
use crate::config::Config;
use crate::failure::BackupFailure;
use crate::kind::BackupKind;
use crate::members::{self, Members, Place};
use crate::state::{self, Record};
use crate::{restore, shared};

/// Who leads, and whether a restore is unfinished.
pub(super) async fn cluster(config: &Config, members: &Members) -> BackupCluster {
    let view = members.look().await;
    let paused = view.as_ref().is_ok_and(|view| view.paused);
    let (leader, trouble) = match members::place_in(config, view).await {
        Ok(Place::Leads) => (Some(members.member.clone()), None),
        Ok(Place::Follows(leader)) => (leader, None),
        Err(failure) => (None, Some(failure)),
    };
    let trouble = restore::unfinished(config).or(trouble);
    BackupCluster {
        name: members.name.clone(),
        member: members.member.clone(),
        leader,
        paused,
        error: trouble.as_ref().map(BackupFailure::summary),
        cure: trouble.and_then(|failure| failure.remedy().map(ToOwned::to_owned)),
    }
}

/// The member that leads, if it is another one.
pub(super) fn elsewhere(cluster: &BackupCluster) -> Option<String> {
    cluster.leader.clone().filter(|leader| *leader != cluster.member)
}

/// What is known of a kind: of this host, or of the cluster.
pub(super) struct Known {
    pub(super) record: Record,
    pub(super) unreadable: Option<BackupFailure>,
    pub(super) running: bool,
    pub(super) maker: Option<String>,
    pub(super) watched_by: Option<String>,
}

impl Known {
    pub(super) async fn read(
        config: &Config,
        kind: BackupKind,
        cluster: Option<&BackupCluster>,
        now: Time,
    ) -> Self {
        let running = state::is_running(&config.state_dir, kind);
        let Some(cluster) = cluster.filter(|_| shared::is_shared(kind)) else {
            let (record, unreadable) = match state::read(&config.state_dir, kind) {
                Ok(record) => (record, None),
                Err(failure) => (Record::default(), Some(failure)),
            };
            return Self {
                record,
                unreadable,
                running,
                maker: None,
                watched_by: None,
            };
        };
        let watched_by = elsewhere(cluster);
        let (found, failure) = shared::read(config, kind).await;
        // Where another one leads, a server that is away has alerts of its own.
        let unreadable = failure.filter(|_| found.is_none() && watched_by.is_none());
        let Some(found) = found else {
            return Self {
                record: Record::default(),
                unreadable,
                running,
                maker: None,
                watched_by,
            };
        };
        // Whether another member's run goes on cannot be seen from here, so it may take as long as it is allowed to.
        let running = if found.member == cluster.member {
            running
        } else {
            let run = found.record.last_run.as_ref();
            run.is_some_and(|run| clock::age(run.started, now) < crate::now::bound(config, kind))
        };
        Self {
            record: found.record,
            unreadable,
            running,
            maker: found.maker,
            watched_by,
        }
    }
}
