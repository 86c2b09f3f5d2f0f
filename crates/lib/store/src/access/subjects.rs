//! What requests are about: the environments and hosts behind a name or an id.

use std::collections::BTreeSet;

use slipway_domain::rights::Subject;
use slipway_domain::{EnvironmentName, HostName, ReleaseId, RolloutId};
use tracing::instrument;

use crate::{Store, StoreError, bounded};

impl Store {
    /// These hosts with their environments, retired or not. None where one of them does not exist.
    #[instrument(name = "db.subject.hosts", level = "debug", skip_all, fields(names = names.len()))]
    pub async fn find_subject_of_hosts(
        &self,
        names: &BTreeSet<HostName>,
    ) -> Result<Option<Subject>, StoreError> {
        let wanted: Vec<&str> = names.iter().map(HostName::as_str).collect();
        let rows = bounded(async {
            Ok(sqlx::query!(
                r#"SELECT h.name AS "host: HostName", e.name AS "environment: EnvironmentName"
                   FROM hosts h JOIN environments e ON e.id = h.environment_id WHERE h.name = ANY($1)"#,
                &wanted as _
            )
            .fetch_all(&self.pool)
            .await?)
        })
        .await?;
        let subject = subject(rows.into_iter().map(|row| (row.environment, row.host)));
        Ok(subject.filter(|subject| subject.hosts.as_ref() == Some(names)))
    }

    /// The environment of a rollout, and the hosts that take part.
    #[instrument(name = "db.subject.rollout", level = "debug", skip_all, fields(rollout_id = %id))]
    pub async fn find_subject_of_rollout(&self, id: RolloutId) -> Result<Option<Subject>, StoreError> {
        let rows = bounded(async {
            Ok(sqlx::query!(
                r#"SELECT h.name AS "host: HostName", e.name AS "environment: EnvironmentName"
                   FROM rollouts r
                   JOIN environments e ON e.id = r.environment_id
                   JOIN steps s ON s.rollout_id = r.id
                   JOIN hosts h ON h.id = s.host_id
                   WHERE r.id = $1"#,
                id.as_uuid()
            )
            .fetch_all(&self.pool)
            .await?)
        })
        .await?;
        Ok(subject(rows.into_iter().map(|row| (row.environment, row.host))))
    }

    /// The hosts of a release, and their environments.
    #[instrument(name = "db.subject.release", level = "debug", skip_all, fields(%id))]
    pub async fn find_subject_of_release(&self, id: ReleaseId) -> Result<Option<Subject>, StoreError> {
        let rows = bounded(async {
            Ok(sqlx::query!(
                r#"SELECT h.name AS "host: HostName", e.name AS "environment: EnvironmentName"
                   FROM release_closures c
                   JOIN hosts h ON h.id = c.host_id
                   JOIN environments e ON e.id = h.environment_id
                   WHERE c.release_id = $1"#,
                id.as_uuid()
            )
            .fetch_all(&self.pool)
            .await?)
        })
        .await?;
        Ok(subject(rows.into_iter().map(|row| (row.environment, row.host))))
    }
}

fn subject(all: impl Iterator<Item = (EnvironmentName, HostName)>) -> Option<Subject> {
    let (environments, hosts): (BTreeSet<_>, BTreeSet<_>) = all.unzip();
    (!hosts.is_empty()).then_some(Subject {
        environments: Some(environments),
        hosts: Some(hosts),
    })
}
