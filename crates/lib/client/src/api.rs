//! One method a route. See [`slipway_wire::route`] for what each does.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use slipway_domain::{
    EnvironmentName, Freeze, FreezeId, HostName, PrincipalName, ReleaseId, ReleaseRef, RolloutRef, TokenId,
};
use slipway_wire::access::{
    CreatePrincipal, CreateToken, LoginRequest, Principal, Token, TokenCreated, Whoami,
};
use slipway_wire::audit::{AuditReport, Event, EventQuery};
use slipway_wire::fleet::{
    AdoptHost, CreateEnvironment, CreateFreeze, CreateHost, Environment, Host, HostCreated, RestoreHost,
    UpdateEnvironment, UpdateHost,
};
use slipway_wire::kept::{KeepRelease, KeptRelease, ReleaseRoots, RootsQuery};
use slipway_wire::monitoring::Health;
use slipway_wire::output::{Output, OutputKnown, OutputPiece, OutputQuery};
use slipway_wire::page::{EnvironmentPageQuery, MAX_LIMIT, Page, PageQuery};
use slipway_wire::plan::{ReleaseHostPlans, RolloutHostPlans};
use slipway_wire::preflight::{PreflightQuery, PreflightReport};
use slipway_wire::release::{
    CreateDraft, CreateRelease, CreateSignedRelease, Draft, DraftPage, Release, ReleaseManifest,
    ReleaseSummary, SealDraft,
};
use slipway_wire::rollout::{CreateCommand, CreateRollout, Rollout, RolloutPlan, RolloutSummary};
use slipway_wire::route::{self, fill};
use slipway_wire::{Instruction, Observation};

use crate::client::{RawResponse, RetryRule};
use crate::{Client, ClientError};

/// Closures a request: far below the server's limit on bodies, however long the names are.
const PAGE_CLOSURES: usize = 1000;
/// Checking a long chain takes the server a while.
const VERIFY_TIMEOUT: Duration = Duration::from_mins(2);

impl Client {
    /// The admin's password for a token.
    pub async fn login(&self, login: &LoginRequest) -> Result<TokenCreated, ClientError> {
        self.post(route::LOGIN, login).await
    }

    /// Who the token is.
    pub async fn whoami(&self) -> Result<Whoami, ClientError> {
        self.get(route::WHOAMI).await
    }

    /// All principals, disabled ones too.
    pub async fn principals(&self) -> Result<Vec<Principal>, ClientError> {
        self.list(route::PRINCIPALS).await
    }

    /// A new principal.
    pub async fn create_principal(&self, principal: &CreatePrincipal) -> Result<Principal, ClientError> {
        self.make(route::PRINCIPALS, route::PRINCIPALS, principal).await
    }

    /// Disables a principal and all its tokens.
    pub async fn disable_principal(&self, name: &PrincipalName) -> Result<(), ClientError> {
        self.delete(&fill(route::PRINCIPAL, name)).await
    }

    /// A page of tokens without their secrets, the newest first.
    pub async fn tokens(&self, page: &PageQuery) -> Result<Page<Token>, ClientError> {
        self.get_with(route::TOKENS, page, None).await
    }

    /// All tokens, page by page.
    pub async fn all_tokens(&self) -> Result<Vec<Token>, ClientError> {
        let (mut all, mut query) = (Vec::new(), PageQuery::default());
        query.limit = Some(MAX_LIMIT);
        while take(&mut all, self.tokens(&query).await?, &mut query.after) {}
        Ok(all)
    }

    /// A new token; its secret is in the answer and never shown again.
    pub async fn create_token(&self, token: &CreateToken) -> Result<TokenCreated, ClientError> {
        self.make(route::TOKENS, route::TOKENS, token).await
    }

    /// Revokes a token, at once.
    pub async fn revoke_token(&self, id: TokenId) -> Result<(), ClientError> {
        self.delete(&fill(route::TOKEN, id)).await
    }

    /// All environments.
    pub async fn environments(&self) -> Result<Vec<Environment>, ClientError> {
        self.list(route::ENVIRONMENTS).await
    }

    /// A new environment.
    pub async fn create_environment(
        &self,
        environment: &CreateEnvironment,
    ) -> Result<Environment, ClientError> {
        self.make(route::ENVIRONMENTS, route::ENVIRONMENTS, environment)
            .await
    }

    /// One environment.
    pub async fn environment(&self, name: &EnvironmentName) -> Result<Environment, ClientError> {
        self.get(&fill(route::ENVIRONMENT, name)).await
    }

    /// Changes an environment.
    pub async fn update_environment(
        &self,
        name: &EnvironmentName,
        change: &UpdateEnvironment,
    ) -> Result<Environment, ClientError> {
        self.change(Method::PATCH, &fill(route::ENVIRONMENT, name), change)
            .await
    }

    /// Freezes an environment for a time.
    pub async fn create_freeze(
        &self,
        environment: &EnvironmentName,
        freeze: &CreateFreeze,
    ) -> Result<Freeze, ClientError> {
        let path = fill(route::ENVIRONMENT_FREEZES, environment);
        self.make(route::ENVIRONMENT_FREEZES, &path, freeze).await
    }

    /// Ends a freeze.
    pub async fn delete_freeze(&self, id: FreezeId) -> Result<(), ClientError> {
        self.delete(&fill(route::FREEZE, id)).await
    }

    /// Deletes an environment that has no hosts.
    pub async fn delete_environment(&self, name: &EnvironmentName) -> Result<(), ClientError> {
        self.delete(&fill(route::ENVIRONMENT, name)).await
    }

    /// A page of hosts, by name.
    pub async fn hosts(&self, query: &EnvironmentPageQuery) -> Result<Page<Host>, ClientError> {
        self.get_with(route::HOSTS, query, None).await
    }

    /// All hosts, of one environment or of all, page by page.
    pub async fn all_hosts(&self, environment: Option<&EnvironmentName>) -> Result<Vec<Host>, ClientError> {
        let mut all = Vec::new();
        let mut query = EnvironmentPageQuery {
            environment: environment.cloned(),
            after: None,
            limit: Some(MAX_LIMIT),
        };
        while take(&mut all, self.hosts(&query).await?, &mut query.after) {}
        Ok(all)
    }

    /// A new host; its agent's token is in the answer and never shown again.
    pub async fn create_host(&self, host: &CreateHost) -> Result<HostCreated, ClientError> {
        self.make(route::HOSTS, route::HOSTS, host).await
    }

    /// One host.
    pub async fn host(&self, name: &HostName) -> Result<Host, ClientError> {
        self.get(&fill(route::HOST, name)).await
    }

    /// Retires a host and revokes its token.
    pub async fn retire_host(&self, name: &HostName) -> Result<(), ClientError> {
        self.delete(&fill(route::HOST, name)).await
    }

    /// Changes a host.
    pub async fn update_host(&self, name: &HostName, change: &UpdateHost) -> Result<Host, ClientError> {
        self.change(Method::PATCH, &fill(route::HOST, name), change).await
    }

    /// Takes a retired host back; its agent's new token is in the answer and never shown again.
    pub async fn restore_host(
        &self,
        name: &HostName,
        restore: &RestoreHost,
    ) -> Result<HostCreated, ClientError> {
        self.make(route::HOST_RESTORE, &fill(route::HOST_RESTORE, name), restore)
            .await
    }

    /// Accepts what drifts on a host.
    pub async fn adopt_host(&self, name: &HostName, adopt: &AdoptHost) -> Result<Host, ClientError> {
        self.change(Method::POST, &fill(route::HOST_ADOPT, name), adopt)
            .await
    }

    /// A new token for a host's agent; its old ones are revoked.
    pub async fn new_host_token(&self, name: &HostName) -> Result<TokenCreated, ClientError> {
        self.make(
            route::HOST_TOKEN,
            &fill(route::HOST_TOKEN, name),
            &serde_json::json!({}),
        )
        .await
    }

    /// A page of releases, the newest first.
    pub async fn releases(&self, page: &PageQuery) -> Result<Page<ReleaseSummary>, ClientError> {
        self.get_with(route::RELEASES, page, None).await
    }

    /// A new release. One of many hosts is written page by page and is there once all of it is.
    pub async fn create_release(&self, release: &CreateRelease) -> Result<Release, ClientError> {
        if release.closures.len() <= PAGE_CLOSURES {
            return self.make(route::RELEASES, route::RELEASES, release).await;
        }
        let draft = CreateDraft {
            source: release.source.clone(),
            message: release.message.clone(),
            name: release.name.clone(),
        };
        let draft: Draft = self.make(route::DRAFTS, route::DRAFTS, &draft).await?;
        let all: Vec<_> = release.closures.iter().collect();
        for page in all.chunks(PAGE_CLOSURES) {
            let closures = page.iter().map(|(host, path)| ((*host).clone(), (*path).clone()));
            let page = DraftPage {
                closures: closures.collect(),
            };
            let path = fill(route::DRAFT_CLOSURES, draft.id);
            let request = self.request(Method::POST, &path, None).json(&page);
            // The same page twice changes nothing.
            let _: Draft = self.json(&path, self.send(request, RetryRule::Always).await?)?;
        }
        let seal = SealDraft {
            hosts: u32::try_from(all.len()).unwrap_or(u32::MAX),
        };
        let path = fill(route::DRAFT_SEAL, draft.id);
        let made: Release = self.make(route::DRAFT_SEAL, &path, &seal).await?;
        let sent = release
            .closures
            .iter()
            .map(|(host, closure)| (host.as_str(), closure.as_str()));
        // No event covers a draft, so somebody with the database could change it between two pages.
        if made
            .closures
            .iter()
            .map(|(host, closure)| (host.as_str(), closure.as_str()))
            .ne(sent)
        {
            let detail = format!(
                "release {} holds other closures than were sent: somebody changed the database by hand. Do not roll it \
                 out; see `slipway audit verify`, and release again",
                made.id
            );
            return Err(self.bad_answer(&path, StatusCode::CREATED, detail));
        }
        Ok(made)
    }

    /// One release.
    pub async fn release(&self, release: impl Into<ReleaseRef>) -> Result<Release, ClientError> {
        self.get(&fill(route::RELEASE, release.into())).await
    }

    /// A page of rollouts, the newest first.
    pub async fn rollouts(&self, query: &EnvironmentPageQuery) -> Result<Page<RolloutSummary>, ClientError> {
        self.get_with(route::ROLLOUTS, query, None).await
    }

    /// A new rollout.
    pub async fn create_rollout(&self, rollout: &CreateRollout) -> Result<Rollout, ClientError> {
        self.make(route::ROLLOUTS, route::ROLLOUTS, rollout).await
    }

    /// The waves that a rollout would have; nothing begins.
    pub async fn plan_rollout(&self, rollout: &CreateRollout) -> Result<RolloutPlan, ClientError> {
        self.post(route::ROLLOUT_PLANS, rollout).await
    }

    /// One rollout with its steps.
    pub async fn rollout(&self, rollout: impl Into<RolloutRef>) -> Result<Rollout, ClientError> {
        self.get(&fill(route::ROLLOUT, rollout.into())).await
    }

    /// What a rollout changes on its hosts.
    pub async fn rollout_host_plans(
        &self,
        rollout: impl Into<RolloutRef>,
    ) -> Result<RolloutHostPlans, ClientError> {
        self.get(&fill(route::ROLLOUT_HOST_PLANS, rollout.into())).await
    }

    /// What a release changes on its hosts, as far as it is known.
    pub async fn release_host_plans(
        &self,
        release: impl Into<ReleaseRef>,
    ) -> Result<ReleaseHostPlans, ClientError> {
        self.get(&fill(route::RELEASE_HOST_PLANS, release.into())).await
    }

    /// What stands in the way of rolling a release out. The agents of its hosts are asked, so it takes some seconds.
    pub async fn preflight(
        &self,
        environment: &EnvironmentName,
        release: impl Into<ReleaseRef>,
    ) -> Result<PreflightReport, ClientError> {
        let path = fill(route::PREFLIGHT, environment);
        let query = PreflightQuery {
            release: release.into(),
        };
        self.get_with(&path, &query, None).await
    }

    /// Events of a rollout, the oldest first. With `wait`, and when there are none yet, the server waits that long
    /// (whole seconds) for one.
    pub async fn rollout_events(
        &self,
        rollout: impl Into<RolloutRef>,
        query: &EventQuery,
        wait: Option<Duration>,
    ) -> Result<Page<Event>, ClientError> {
        self.get_with(&fill(route::ROLLOUT_EVENTS, rollout.into()), query, wait)
            .await
    }

    /// What the hosts of a rollout printed, the oldest first. With `wait`, and when there is none yet, the server waits that
    /// long (whole seconds) for some.
    pub async fn rollout_output(
        &self,
        rollout: impl Into<RolloutRef>,
        query: &OutputQuery,
        wait: Option<Duration>,
    ) -> Result<Page<Output>, ClientError> {
        self.get_with(&fill(route::ROLLOUT_OUTPUT, rollout.into()), query, wait)
            .await
    }

    /// Approves, pauses, resumes, reverts or aborts. The answer is the rollout's present state; events tell the result.
    pub async fn command_rollout(
        &self,
        rollout: impl Into<RolloutRef>,
        command: &CreateCommand,
    ) -> Result<Rollout, ClientError> {
        let route = route::ROLLOUT_COMMANDS;
        self.make(route, &fill(route, rollout.into()), command).await
    }

    /// Events of everything, the oldest first.
    pub async fn events(&self, query: &EventQuery) -> Result<Page<Event>, ClientError> {
        self.get_with(route::EVENTS, query, None).await
    }

    /// As [`Self::events`]. When there are none yet, the server waits that long (whole seconds) for one.
    pub async fn events_within(
        &self,
        query: &EventQuery,
        wait: Duration,
    ) -> Result<Page<Event>, ClientError> {
        self.get_with(route::EVENTS, query, Some(wait)).await
    }

    /// Has the server check the whole chain of events and its seals.
    pub async fn verify_audit(&self) -> Result<AuditReport, ClientError> {
        let path = route::AUDIT_VERIFY;
        let request = self.request(Method::GET, path, None).timeout(VERIFY_TIMEOUT);
        self.json(path, self.send(request, RetryRule::Always).await?)
    }

    /// Reports what an agent sees and gets its next instruction. With `wait`, the server waits that long (whole
    /// seconds) for one that is not `idle`.
    ///
    /// Sent once: an agent has its own loop, and its observation may have changed by the next try.
    pub async fn agent_sync(
        &self,
        observation: &Observation,
        wait: Option<Duration>,
    ) -> Result<Instruction, ClientError> {
        let path = route::AGENT_SYNC;
        let request = self.request(Method::POST, path, wait).json(observation);
        self.json(path, self.send(request, RetryRule::No).await?)
    }

    /// The next piece of what an attempt prints on the agent's host. Sent once: an agent has its own loop.
    pub async fn agent_output(&self, piece: &OutputPiece) -> Result<OutputKnown, ClientError> {
        let path = route::AGENT_OUTPUT;
        let request = self.request(Method::POST, path, None).json(piece);
        self.json(path, self.send(request, RetryRule::No).await?)
    }

    /// The signed manifest of a release that names the agent's host.
    pub async fn agent_manifest(&self, release: ReleaseId) -> Result<ReleaseManifest, ClientError> {
        self.get(&fill(route::AGENT_MANIFEST, release)).await
    }

    /// A release by its signed manifest.
    pub async fn create_signed_release(&self, release: &CreateSignedRelease) -> Result<Release, ClientError> {
        self.make(route::SIGNED_RELEASES, route::SIGNED_RELEASES, release)
            .await
    }

    /// Keeps a release from the cache's collector.
    pub async fn keep_release(
        &self,
        release: impl Into<ReleaseRef>,
        keep: &KeepRelease,
    ) -> Result<KeptRelease, ClientError> {
        self.change(Method::POST, &fill(route::RELEASE_KEEP, release.into()), keep)
            .await
    }

    /// Keeps a release no longer.
    pub async fn unkeep_release(&self, release: impl Into<ReleaseRef>) -> Result<(), ClientError> {
        self.delete(&fill(route::RELEASE_KEEP, release.into())).await
    }

    /// Every closure in use.
    pub async fn release_roots(&self, query: &RootsQuery) -> Result<ReleaseRoots, ClientError> {
        self.get_with(route::RELEASE_ROOTS, query, None).await
    }

    /// A release's manifest as it was signed.
    pub async fn release_manifest(
        &self,
        release: impl Into<ReleaseRef>,
    ) -> Result<ReleaseManifest, ClientError> {
        self.get(&fill(route::RELEASE_MANIFEST, release.into())).await
    }

    /// The health of the API and its dependencies. A server that says that it is down is an answer, not an error.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let path = route::HEALTH;
        let answer = self
            .send(self.request(Method::GET, path, None), RetryRule::No)
            .await?;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE
            && let Ok(health) = serde_json::from_slice(&answer.body)
        {
            return Ok(health);
        }
        self.json(path, answer)
    }

    /// Whether the process answers.
    pub async fn live(&self) -> Result<(), ClientError> {
        self.probe(route::LIVE).await
    }

    /// Whether the process can serve.
    pub async fn ready(&self) -> Result<(), ClientError> {
        self.probe(route::READY).await
    }

    /// The API described in `OpenAPI`.
    pub async fn openapi(&self) -> Result<serde_json::Value, ClientError> {
        self.get(route::OPENAPI).await
    }

    /// Gets any path below the address, with its `?` part, and returns the raw answer. For paths that are not
    /// routes of the API.
    pub async fn fetch(&self, path_and_query: &str) -> Result<RawResponse, ClientError> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let request = self.request(Method::GET, path, None);
        let request = if query.is_empty() {
            request
        } else {
            let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
            request.query(&pairs)
        };
        let answer = self.send(request, RetryRule::No).await?;
        Ok(RawResponse {
            status: answer.status.as_u16(),
            body: answer.body,
        })
    }

    async fn probe(&self, path: &str) -> Result<(), ClientError> {
        let answer = self
            .send(self.request(Method::GET, path, None), RetryRule::No)
            .await?;
        self.success(path, answer).map(drop)
    }

    pub(crate) async fn list<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Vec<T>, ClientError> {
        let page: Page<T> = self.get(path).await?;
        Ok(page.items)
    }
}

/// Takes a page in; whether there is another one.
fn take<T>(all: &mut Vec<T>, page: Page<T>, after: &mut Option<String>) -> bool {
    all.extend(page.items);
    // A server that repeats the same page must not keep us here for ever.
    let more = page.next.is_some() && page.next != *after;
    *after = page.next;
    more
}
