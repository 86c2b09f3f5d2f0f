//! What requests are about: the environments and hosts behind a name or an id.

use std::collections::BTreeSet;

use slipway_domain::rights::Subject;
use slipway_domain::{EnvironmentName, HostName, ReleaseId, RolloutId};
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Map;
use tracing::instrument;

use crate::{Store, StoreError, bounded};

/// A host, and where it is.
struct Place {
    host: HostName,
    environment: EnvironmentName,
}

impl Store {
    /// These hosts with their environments, retired or not. None where one of them does not exist.
    #[instrument(name = "db.subject.hosts", level = "debug", skip_all, fields(names = names.len()))]
    pub async fn find_subject_of_hosts(
        &self,
        names: &BTreeSet<HostName>,
    ) -> Result<Option<Subject>, StoreError> {
        let wanted: Vec<&str> = names.iter().map(HostName::as_str).collect();
        let found = self.subject_of(sqlx::query_as!(
            Place,
            r#"SELECT h.name AS "host: HostName", e.name AS "environment: EnvironmentName"
                   FROM hosts h JOIN environments e ON e.id = h.environment_id WHERE h.name = ANY($1)"#,
            &wanted as _
        ));
        Ok(found
            .await?
            .filter(|subject| subject.hosts.as_ref() == Some(names)))
    }

    /// The environment of a rollout, and the hosts that take part.
    #[instrument(name = "db.subject.rollout", level = "debug", skip_all, fields(rollout_id = %id))]
    pub async fn find_subject_of_rollout(&self, id: RolloutId) -> Result<Option<Subject>, StoreError> {
        self.subject_of(sqlx::query_as!(
            Place,
            r#"SELECT h.name AS "host: HostName", e.name AS "environment: EnvironmentName"
                   FROM rollouts r
                   JOIN environments e ON e.id = r.environment_id
                   JOIN steps s ON s.rollout_id = r.id
                   JOIN hosts h ON h.id = s.host_id
                   WHERE r.id = $1"#,
            id.as_uuid()
        ))
        .await
    }

    /// The hosts of a release, and their environments.
    #[instrument(name = "db.subject.release", level = "debug", skip_all, fields(%id))]
    pub async fn find_subject_of_release(&self, id: ReleaseId) -> Result<Option<Subject>, StoreError> {
        self.subject_of(sqlx::query_as!(
            Place,
            r#"SELECT h.name AS "host: HostName", e.name AS "environment: EnvironmentName"
                   FROM release_closures c
                   JOIN hosts h ON h.id = c.host_id
                   JOIN environments e ON e.id = h.environment_id
                   WHERE c.release_id = $1"#,
            id.as_uuid()
        ))
        .await
    }

    /// All of these hosts together.
    async fn subject_of<Read>(
        &self,
        query: Map<'_, Postgres, Read, PgArguments>,
    ) -> Result<Option<Subject>, StoreError>
    where
        Read: FnMut(PgRow) -> Result<Place, sqlx::Error> + Send,
    {
        let places = bounded(async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        let all = places.into_iter().map(|place| (place.environment, place.host));
        let (environments, hosts): (BTreeSet<_>, BTreeSet<_>) = all.unzip();
        Ok((!hosts.is_empty()).then_some(Subject {
            environments: Some(environments),
            hosts: Some(hosts),
        }))
    }
}
