//! What requests are about, and whether a role in single environments and the limits of a token allow them.
//!
//! The guard of a route asks before its handler runs. Where only the body says what a request is about, the handler asks.
//! A route that says nothing is about everything, and so closed to tokens with limits.

use std::collections::BTreeSet;

use axum::extract::RawPathParams;
use slipway_domain::rights::{Refusal, Subject};
use slipway_domain::{EnvironmentName, FreezeId, HostName, Role, RolloutId, TokenCommand};
use slipway_store::AuthenticatedPrincipal;
use slipway_wire::fleet::Environment;

use crate::auth::{Access, RequestContext};
use crate::error::{ApiError, Result};
use crate::reference::Meant;
use crate::state::App;

/// What the requests of a route are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subjects {
    /// All environments, or none.
    Everything,
    /// Whoever asks: the handler shows and changes no more than the token may.
    Own,
    /// What the body or the query names: the handler asks.
    Named,
    /// The environment of the path.
    Environment,
    /// The environment of the path with all its hosts, also where they are only shown.
    Fleet,
    /// The host of the path.
    Host,
    /// The rollout of the path.
    Rollout,
    /// The release of the path.
    Release,
    /// The freeze of the path.
    Freeze,
}

/// What a route counts as for a token that is limited to commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Nothing that a limit could name.
    Undeclared,
    /// It changes nothing.
    Read,
    /// What the request asks for: the handler asks.
    Asked,
    /// This.
    Command(TokenCommand),
}

/// What the guard of a route asks of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) access: Access,
    pub(crate) subject: Subjects,
    pub(crate) does: Does,
}

impl Rule {
    /// Whether this principal may pass, beyond the strongest of its roles.
    pub(crate) async fn permit(
        self,
        app: &App,
        caller: &AuthenticatedPrincipal,
        path: Option<&RawPathParams>,
        meant: &Result<Meant>,
    ) -> Result<()> {
        let rights = caller.rights();
        match self.does {
            Does::Read | Does::Asked => {}
            Does::Undeclared => rights.require_command(None).map_err(ApiError::from)?,
            Does::Command(command) => rights.require_command(Some(command)).map_err(ApiError::from)?,
        }
        let Access::Role(least) = self.access else {
            return Ok(());
        };
        let is_plain = caller.limits.is_none() && caller.environment_roles.is_empty();
        let subject = match self.subject {
            // The role is enough, and was looked at.
            _ if is_plain => return Ok(()),
            Subjects::Own | Subjects::Named => return Ok(()),
            Subjects::Everything => Some(Subject::default()),
            _ => self.find(app, path, meant).await?,
        };
        match subject {
            Some(subject) => rights.require(least, &subject).map_err(ApiError::from),
            // What is not there is refused like what may not be seen, unless everything may.
            None => rights.require(least, &Subject::default()).map_err(ApiError::from),
        }
    }

    async fn find(
        self,
        app: &App,
        path: Option<&RawPathParams>,
        meant: &Result<Meant>,
    ) -> Result<Option<Subject>> {
        let Some((_, value)) = path.and_then(|path| path.iter().next()) else {
            return Ok(None);
        };
        let store = &app.store;
        Ok(match self.subject {
            Subjects::Environment => value.parse::<EnvironmentName>().ok().map(|name| self.whole(name)),
            Subjects::Fleet => value.parse().ok().map(Subject::environment),
            Subjects::Host => match value.parse::<HostName>() {
                Ok(name) => store.find_subject_of_hosts(&BTreeSet::from([name])).await?,
                Err(_) => None,
            },
            Subjects::Rollout | Subjects::Release => match meant {
                Ok(Meant::Rollout(id)) => store.find_subject_of_rollout(*id).await?,
                Ok(Meant::Release(id)) => store.find_subject_of_release(*id).await?,
                // None, or several: which ones is not for everybody.
                Ok(Meant::Other) | Err(_) => None,
            },
            Subjects::Freeze => match value.parse::<FreezeId>() {
                Ok(id) => store.find_freeze(id).await?.map(|(name, _)| self.whole(name)),
                Err(_) => None,
            },
            Subjects::Everything | Subjects::Own | Subjects::Named => None,
        })
    }

    /// An environment as such: reading it shows no host, and changing it concerns them all.
    fn whole(self, name: EnvironmentName) -> Subject {
        Subject {
            hosts: (self.does == Does::Read).then(BTreeSet::new),
            ..Subject::environment(name)
        }
    }
}

impl RequestContext {
    /// Whether the caller may do what takes this role with what the request is about.
    pub(crate) fn require(&self, least: Role, subject: &Subject) -> Result<()> {
        self.caller
            .rights()
            .require(least, subject)
            .map_err(ApiError::from)
    }

    /// As [`Self::require`], of an environment before its hosts are known.
    pub(crate) fn require_in(&self, least: Role, environment: &EnvironmentName) -> Result<()> {
        self.require(least, &Subject::hosts(environment.clone(), []))
    }

    /// As [`Self::require`], of hosts wherever they are.
    pub(crate) async fn require_hosts(&self, least: Role, hosts: BTreeSet<HostName>) -> Result<()> {
        if self.caller.limits.is_none() && self.caller.environment_roles.is_empty() {
            return self.require(least, &Subject::default());
        }
        match self.store.find_subject_of_hosts(&hosts).await? {
            Some(subject) => self.require(least, &subject),
            None => self.require(least, &Subject::default()),
        }
    }

    /// Takes the open rollout out of what is shown of an environment, unless the caller may see all of its hosts.
    pub(crate) async fn hide_rollout(&self, environment: &mut Environment) -> Result<()> {
        environment.open_rollout = self.visible(environment.open_rollout).await?;
        if environment.open_rollout.is_none() {
            environment.open_rollout_number = None;
        }
        Ok(())
    }

    /// The open rollout of an environment, if the caller may see all of its hosts.
    pub(crate) async fn visible(&self, open: Option<RolloutId>) -> Result<Option<RolloutId>> {
        let Some(id) = open.filter(|_| self.caller.limits.hosts.is_some()) else {
            return Ok(open);
        };
        let subject = self.store.find_subject_of_rollout(id).await?;
        Ok(subject
            .is_some_and(|subject| self.require(Role::Viewer, &subject).is_ok())
            .then_some(id))
    }

    /// Whether a list that is asked for is of an environment that may be seen whole.
    pub(crate) fn require_list(&self, environment: Option<&EnvironmentName>) -> Result<()> {
        let subject = environment.map_or_else(Subject::default, |name| Subject::environment(name.clone()));
        self.require(Role::Viewer, &subject)
            .map_err(|error| match (error, environment) {
                (ApiError::Forbidden(words), None) => ApiError::Forbidden(format!(
                    "{words}, or ask for the list of one environment with `environment`"
                )),
                (error, _) => error,
            })
    }

    /// Whether the token is good for this command.
    pub(crate) fn require_command(&self, command: TokenCommand) -> Result<()> {
        self.caller
            .rights()
            .require_command(Some(command))
            .map_err(ApiError::from)
    }

    /// The caller's role where a rollout is. One that does not exist is the handler's to refuse.
    pub(crate) async fn role_for_rollout(&self, id: RolloutId) -> Result<Role> {
        if self.caller.environment_roles.is_empty() {
            return Ok(self.caller.role);
        }
        let subject = self.store.find_subject_of_rollout(id).await?;
        let environments = subject
            .and_then(|subject| subject.environments)
            .unwrap_or_default();
        let roles = environments.iter().map(|environment| self.role_in(environment));
        Ok(roles.min().unwrap_or(self.caller.role))
    }

    /// The caller's role in an environment.
    pub(crate) fn role_in(&self, environment: &EnvironmentName) -> Role {
        self.caller.rights().role_in(environment)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Forbidden(refusal.to_string())
    }
}
