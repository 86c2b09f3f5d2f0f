//! Which release or rollout a request means.
//!
//! The guard of a route finds it once, before it asks whether the caller may, and the handler gets what was allowed. If each
//! looked for itself, `latest` could be another one by then.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use slipway_domain::reference::Referable;
use slipway_domain::rights::Subject;
use slipway_domain::{EnvironmentName, Reference, ReleaseId, ReleaseRef, Role, RolloutId, RolloutRef};
use slipway_store::{NoneYet, StoreError};
use slipway_wire::problem::FieldProblem;

use crate::access::Subjects;
use crate::auth::RequestContext;
use crate::error::{ApiError, Result};
use crate::state::App;

/// What the path of a request means.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meant {
    /// This release.
    Release(ReleaseId),
    /// This rollout.
    Rollout(RolloutId),
    /// The route is not about one of these.
    Other,
}

impl Meant {
    /// Reads the parameter of the path and looks for what it means.
    pub(crate) async fn of(app: &App, subject: Subjects, path: Option<&RawPathParams>) -> Result<Self> {
        let Some((name, value)) = path.and_then(|path| path.iter().next()) else {
            return Ok(Self::Other);
        };
        Ok(match subject {
            Subjects::Release => Self::Release(app.store.resolve_release(&read(name, value)?).await?),
            Subjects::Rollout => Self::Rollout(app.store.resolve_rollout(&read(name, value)?).await?),
            _ => Self::Other,
        })
    }
}

fn read<Id: Referable>(name: &str, value: &str) -> Result<Reference<Id>> {
    Reference::from_str(value).map_err(|error| {
        let field = FieldProblem {
            field: name.to_owned(),
            detail: error.to_string(),
        };
        ApiError::Malformed(field.detail.clone(), vec![field])
    })
}

impl RequestContext {
    /// The release that a body or a query means. `latest` and `previous` are of the environment, if they name no other.
    ///
    /// To a token that does not see all releases, one that it may not see is not told apart from one that is not there.
    pub(crate) async fn release_in(
        &self,
        environment: &EnvironmentName,
        given: &ReleaseRef,
    ) -> Result<ReleaseId> {
        let given = given.clone().or_in(environment);
        let found = self.store.resolve_release(&given).await;
        if !self.caller.limits.hides() {
            return Ok(found?);
        }
        let is_own = matches!(&given, Reference::Latest(Some(of)) | Reference::Previous(Some(of)) if of == environment);
        match found.map_err(|error| ApiError::from(self.hide_present(error))) {
            Ok(id) => self.require_release(environment, id).await.map(|()| id),
            Err(error) if is_own || error.status().is_server_error() => Err(error),
            Err(error) => self.require(Role::Viewer, &Subject::default()).and(Err(error)),
        }
    }

    /// What an environment runs is nothing for a token of some of its hosts.
    fn hide_present(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::NoneYet(NoneYet::ReleaseBefore { environment, .. })
                if self.caller.limits.hosts.is_some() =>
            {
                let present = None;
                NoneYet::ReleaseBefore { environment, present }.into()
            }
            error => error,
        }
    }

    /// Whether the caller may see a release in this environment: the release may be of others alone. What is not there is
    /// refused like what may not be seen.
    async fn require_release(&self, environment: &EnvironmentName, release: ReleaseId) -> Result<()> {
        let subject = self
            .store
            .find_subject_of_release(release)
            .await?
            .unwrap_or_default();
        match &subject.environments {
            Some(environments) if environments.contains(environment) => Ok(()),
            _ => self.require(Role::Viewer, &subject),
        }
    }
}

impl RequestContext {
    /// The rollout that a query means, if the caller may see it. What is not there is refused like what may not be seen.
    pub(crate) async fn rollout_to_see(&self, given: &RolloutRef) -> Result<RolloutId> {
        let found = self.store.resolve_rollout(given).await.map_err(ApiError::from);
        let subject = match &found {
            Ok(id) => self.store.find_subject_of_rollout(*id).await?,
            Err(error) if error.status().is_server_error() => return found,
            Err(_) => None,
        };
        self.require(Role::Viewer, &subject.unwrap_or_default())?;
        found
    }
}

/// The release of the path.
#[derive(Debug)]
pub(crate) struct ReleaseParam(pub(crate) ReleaseId);

/// The rollout of the path.
#[derive(Debug)]
pub(crate) struct RolloutParam(pub(crate) RolloutId);

impl<S: Send + Sync> FromRequestParts<S> for ReleaseParam {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        match parts.extensions.get() {
            Some(Meant::Release(id)) => Ok(Self(*id)),
            _ => Err(ApiError::Internal(
                "the route is not declared as one of a release".into(),
            )),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RolloutParam {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        match parts.extensions.get() {
            Some(Meant::Rollout(id)) => Ok(Self(*id)),
            _ => Err(ApiError::Internal(
                "the route is not declared as one of a rollout".into(),
            )),
        }
    }
}
