//! Which release or rollout people mean.

use slipway_domain::reference::{IdBeginning, Referable, Reference};
use slipway_domain::{
    EnvironmentId, EnvironmentName, ReleaseId, ReleaseName, ReleaseRef, RolloutId, RolloutRef,
};
use slipway_wire::rollout;
use tracing::instrument;

use crate::releases::{label, number};
use crate::{NoneYet, Store, StoreError, bounded};

/// The most that are named where a beginning is that of several.
const MAX_CANDIDATES: usize = 10;

impl Store {
    /// The release that is meant. Whether there is one of a whole id, its user finds out.
    ///
    /// Fails with [`StoreError::NotFound`] when there is none, with [`StoreError::Ambiguous`] when there are several, and with
    /// [`StoreError::NoEnvironment`] for the one before without an environment.
    #[instrument(name = "db.reference.release", level = "debug", skip_all, fields(%reference))]
    pub async fn resolve_release(&self, reference: &ReleaseRef) -> Result<ReleaseId, StoreError> {
        let found = match reference {
            Reference::Id(id) => return Ok(*id),
            Reference::Previous(None) => return Err(StoreError::NoEnvironment),
            Reference::Beginning(beginning) => return self.release_beginning(beginning).await,
            Reference::Number(number) => self.numbered_release(*number).await?,
            Reference::Name(name) => self.named_release(name).await?,
            Reference::Latest(environment) => {
                let id = self.id_of(environment.as_ref()).await?;
                let none = || environment.clone().map_or(NoneYet::Release, NoneYet::ReleaseFor);
                return Ok(self.latest_release(id).await?.ok_or_else(none)?);
            }
            Reference::Previous(Some(environment)) => {
                let of = self.get_environment_by_name(environment).await?;
                let none = || NoneYet::ReleaseBefore {
                    environment: environment.clone(),
                    present: of.value.release,
                };
                return Ok(self.previous_release(of.id).await?.ok_or_else(none)?);
            }
        };
        found.ok_or_else(|| missing(reference))
    }

    /// The rollout that is meant, as [`Self::resolve_release`].
    #[instrument(name = "db.reference.rollout", level = "debug", skip_all, fields(%reference))]
    pub async fn resolve_rollout(&self, reference: &RolloutRef) -> Result<RolloutId, StoreError> {
        let found = match reference {
            Reference::Id(id) => return Ok(*id),
            Reference::Beginning(beginning) => return self.rollout_beginning(beginning).await,
            Reference::Number(number) => self.numbered_rollout(*number).await?,
            Reference::Latest(environment) => return self.latest_rollout(environment.as_ref()).await,
            Reference::Previous(environment) => {
                let latest = self.latest_rollout(environment.as_ref()).await;
                let before = self.newest_rollout(environment.as_ref(), 1).await?;
                return latest.and(before.ok_or_else(|| NoneYet::RolloutBefore.into()));
            }
            // None of them has a name.
            Reference::Name(_) => None,
        };
        found.ok_or_else(|| missing(reference))
    }

    async fn id_of(
        &self,
        environment: Option<&EnvironmentName>,
    ) -> Result<Option<EnvironmentId>, StoreError> {
        Ok(match environment {
            Some(name) => Some(self.get_environment_by_name(name).await?.id),
            None => None,
        })
    }

    async fn numbered_release(&self, number: u64) -> Result<Option<ReleaseId>, StoreError> {
        let query = sqlx::query_scalar!(
            r#"SELECT id AS "id: ReleaseId" FROM releases WHERE seq = $1"#,
            number.cast_signed()
        );
        find(query.fetch_optional(&self.pool)).await
    }

    async fn named_release(&self, name: &ReleaseName) -> Result<Option<ReleaseId>, StoreError> {
        let query = sqlx::query_scalar!(
            r#"SELECT id AS "id: ReleaseId" FROM releases WHERE name = $1"#,
            name.as_str()
        );
        find(query.fetch_optional(&self.pool)).await
    }

    /// The newest release at all, or the newest that could be rolled out in an environment. Such a one has a closure for a
    /// host there, and no other environment's manifest.
    async fn latest_release(
        &self,
        environment: Option<EnvironmentId>,
    ) -> Result<Option<ReleaseId>, StoreError> {
        let query = sqlx::query_scalar!(
            r#"SELECT r.id AS "id: ReleaseId" FROM releases r
               WHERE $1::uuid IS NULL OR (
                   EXISTS (SELECT FROM release_closures c JOIN hosts h ON h.id = c.host_id
                           WHERE c.release_id = r.id AND h.environment_id = $1 AND h.retired_at IS NULL)
                   AND NOT EXISTS (SELECT FROM release_manifests m
                                   WHERE m.release_id = r.id AND m.environment_id <> $1))
               ORDER BY r.seq DESC LIMIT 1"#,
            environment.map(EnvironmentId::as_uuid)
        );
        find(query.fetch_optional(&self.pool)).await
    }

    /// What the environment ran before what it runs. It is the release of the newest rollout that succeeded for the whole of
    /// it, but for the present release.
    async fn previous_release(&self, environment: EnvironmentId) -> Result<Option<ReleaseId>, StoreError> {
        let query = sqlx::query_scalar!(
            r#"WITH ran AS (
                   SELECT seq, release_id FROM rollouts
                   WHERE environment_id = $1 AND state = 'succeeded' AND narrowed IS NOT TRUE
               )
               SELECT release_id AS "id: ReleaseId" FROM ran
               WHERE release_id <> (SELECT release_id FROM ran ORDER BY seq DESC LIMIT 1)
               ORDER BY seq DESC LIMIT 1"#,
            environment.as_uuid()
        );
        find(query.fetch_optional(&self.pool)).await
    }

    async fn numbered_rollout(&self, number: u64) -> Result<Option<RolloutId>, StoreError> {
        let query = sqlx::query_scalar!(
            r#"SELECT id AS "id: RolloutId" FROM rollouts WHERE seq = $1"#,
            number.cast_signed()
        );
        find(query.fetch_optional(&self.pool)).await
    }

    async fn latest_rollout(&self, environment: Option<&EnvironmentName>) -> Result<RolloutId, StoreError> {
        let none = || {
            environment
                .cloned()
                .map_or(NoneYet::Rollout, NoneYet::RolloutOf)
                .into()
        };
        self.newest_rollout(environment, 0).await?.ok_or_else(none)
    }

    /// The newest rollout, or the one so many before it.
    async fn newest_rollout(
        &self,
        environment: Option<&EnvironmentName>,
        before: i64,
    ) -> Result<Option<RolloutId>, StoreError> {
        let environment = self.id_of(environment).await?;
        let query = sqlx::query_scalar!(
            r#"SELECT id AS "id: RolloutId" FROM rollouts WHERE $1::uuid IS NULL OR environment_id = $1
               ORDER BY seq DESC OFFSET $2 LIMIT 1"#,
            environment.map(EnvironmentId::as_uuid),
            before
        );
        find(query.fetch_optional(&self.pool)).await
    }

    async fn release_beginning(&self, beginning: &IdBeginning) -> Result<ReleaseId, StoreError> {
        let (low, high) = beginning.range();
        let found = bounded(async {
            Ok(sqlx::query!(
                r#"SELECT id AS "id: ReleaseId", seq, name AS "name: ReleaseName", rev FROM releases
                   WHERE id BETWEEN $1 AND $2 ORDER BY seq DESC LIMIT $3"#,
                low,
                high,
                limit()
            )
            .fetch_all(&self.pool)
            .await?)
        });
        let found = found.await?.into_iter().map(|row| {
            let label = label(row.id, row.seq, row.name, row.rev);
            (row.id, format!("{label}, {}", row.id))
        });
        only(beginning, found.collect())
    }

    async fn rollout_beginning(&self, beginning: &IdBeginning) -> Result<RolloutId, StoreError> {
        let (low, high) = beginning.range();
        let found = bounded(async {
            Ok(sqlx::query!(
                r#"SELECT r.id AS "id: RolloutId", r.seq, e.name AS environment FROM rollouts r
                   JOIN environments e ON e.id = r.environment_id
                   WHERE r.id BETWEEN $1 AND $2 ORDER BY r.seq DESC LIMIT $3"#,
                low,
                high,
                limit()
            )
            .fetch_all(&self.pool)
            .await?)
        });
        let found = found.await?.into_iter().map(|row| {
            let label = rollout::label(row.id, Some(number(row.seq)));
            (row.id, format!("{label} of {}, {}", row.environment, row.id))
        });
        only(beginning, found.collect())
    }
}

/// What a query for one id finds.
async fn find<Id>(query: impl Future<Output = sqlx::Result<Option<Id>>>) -> Result<Option<Id>, StoreError> {
    bounded(async { Ok(query.await?) }).await
}

/// One more than are named, which tells that there are more.
fn limit() -> i64 {
    i64::try_from(MAX_CANDIDATES + 1).unwrap_or(i64::MAX)
}

/// The only one that was found.
fn only<Id: Referable>(beginning: &IdBeginning, mut found: Vec<(Id, String)>) -> Result<Id, StoreError> {
    match found.as_slice() {
        [] => Err(StoreError::not_found(Id::KIND, beginning)),
        [(id, _)] => Ok(*id),
        _ => {
            let more = found.len() > MAX_CANDIDATES;
            found.truncate(MAX_CANDIDATES);
            let mut candidates: Vec<String> = found.into_iter().map(|(_, words)| words).collect();
            if more {
                candidates.push("and more".to_owned());
            }
            Err(StoreError::Ambiguous {
                what: Id::KIND,
                beginning: beginning.to_string(),
                candidates,
            })
        }
    }
}

/// There is none. A number is shown as people write it.
fn missing<Id: Referable>(reference: &Reference<Id>) -> StoreError {
    match reference {
        Reference::Number(number) => StoreError::not_found(Id::KIND, &format!("#{number}")),
        other => StoreError::not_found(Id::KIND, other),
    }
}
