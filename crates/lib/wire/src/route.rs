//! Every path of the API. `{name}` is a path parameter; [`fill`] puts values in.
//!
//! Every list is a [`Page`](crate::page::Page), those that are never long too: then it has no `next`. Making something is
//! answered 201, a `DELETE` 204 without a body, a command 202.

/// What every path begins with.
pub const PREFIX: &str = "/api/v1";
/// `POST` (`LoginRequest`, `TokenCreated`): the admin's password for a token.
pub const LOGIN: &str = "/api/v1/login";
/// `GET` (`OidcOffer`), `POST` (`{}`, `OidcBegun`): sign-in through a provider.
pub const OIDC: &str = "/api/v1/login/oidc";
/// `POST` (`FinishOidc`, `TokenCreated`): the end of such a sign-in.
pub const OIDC_FINISH: &str = "/api/v1/login/oidc/finish";
/// `GET` (`Whoami`): who the token is.
pub const WHOAMI: &str = "/api/v1/whoami";
/// `GET` (`Page<Principal>`), `POST` (`CreatePrincipal`, `Principal`).
pub const PRINCIPALS: &str = "/api/v1/principals";
/// `DELETE`: disables the principal and all its tokens.
pub const PRINCIPAL: &str = "/api/v1/principals/{name}";
/// `GET` (`PageQuery`, `Page<Token>`, the newest first), `POST` (`CreateToken`, `TokenCreated`).
pub const TOKENS: &str = "/api/v1/tokens";
/// `DELETE`: revokes the token.
pub const TOKEN: &str = "/api/v1/tokens/{id}";
/// `GET` (`Page<Environment>`), `POST` (`CreateEnvironment`, `Environment`).
pub const ENVIRONMENTS: &str = "/api/v1/environments";
/// `GET` (`Environment`), `PATCH` (`UpdateEnvironment`, `Environment`); `DELETE` deletes one without hosts.
pub const ENVIRONMENT: &str = "/api/v1/environments/{name}";
/// `POST` (`CreateFreeze`, `Freeze`): rollouts of the environment begin nothing for a time.
pub const ENVIRONMENT_FREEZES: &str = "/api/v1/environments/{name}/freezes";
/// `DELETE`: ends a freeze.
pub const FREEZE: &str = "/api/v1/freezes/{id}";
/// `GET` (`PreflightQuery`, `PreflightReport`): what stands in the way of rolling a release out there.
pub const PREFLIGHT: &str = "/api/v1/environments/{name}/preflight";
/// `GET` (`EnvironmentPageQuery`, `Page<Host>`, by name), `POST` (`CreateHost`, `HostCreated`).
pub const HOSTS: &str = "/api/v1/hosts";
/// `GET` (`Host`), `PATCH` (`UpdateHost`, `Host`); `DELETE` retires the host.
pub const HOST: &str = "/api/v1/hosts/{name}";
/// `POST` (`RestoreHost`, `HostCreated`): takes a retired host back, with a new token.
pub const HOST_RESTORE: &str = "/api/v1/hosts/{name}/restore";
/// `POST` (`AdoptHost`, `Host`, 200): accepts what drifts on a host as what is expected of it.
pub const HOST_ADOPT: &str = "/api/v1/hosts/{name}/adopt";
/// `POST` (`{}`, `TokenCreated`): a new token for the host; the old ones are revoked.
pub const HOST_TOKEN: &str = "/api/v1/hosts/{name}/token";
/// `GET` (`Fleet`): how many hosts there are, by environment, standing and release.
pub const FLEET: &str = "/api/v1/fleet";
/// `GET` (`FleetHostsQuery`, `FleetHosts`): the hosts that the token may see, the worst first.
pub const FLEET_HOSTS: &str = "/api/v1/fleet/hosts";
/// `GET` (`EnvironmentPageQuery`, `Page<HostStanding>`, by name): how each host stands, and nothing else of it.
pub const FLEET_STANDINGS: &str = "/api/v1/fleet/standings";
/// `GET` (`PageQuery`, `Page<ReleaseSummary>`, the newest first), `POST` (`CreateRelease`, `Release`).
pub const RELEASES: &str = "/api/v1/releases";
/// `POST` (`CreateDraft`, `Draft`): begins a release that is too long for one request.
pub const DRAFTS: &str = "/api/v1/drafts";
/// `POST` (`DraftPage`, `Draft`): writes closures into a draft.
pub const DRAFT_CLOSURES: &str = "/api/v1/drafts/{id}/closures";
/// `POST` (`SealDraft`, `Release`): makes a release of a draft.
pub const DRAFT_SEAL: &str = "/api/v1/drafts/{id}/seal";
/// `POST` (`CreateSignedRelease`, `Release`): a release by its signed manifest.
pub const SIGNED_RELEASES: &str = "/api/v1/signed-releases";
/// `GET` (`Release`).
pub const RELEASE: &str = "/api/v1/releases/{id}";
/// `POST` (`KeepRelease`, `KeptRelease`, 200): keeps a release from the cache's collector; `DELETE` no longer.
pub const RELEASE_KEEP: &str = "/api/v1/releases/{id}/keep";
/// `GET` (`RootsQuery`, `ReleaseRoots`): every closure in use, for the cache's collector.
pub const RELEASE_ROOTS: &str = "/api/v1/release-roots";
/// `GET` (`Page<Attachment>`, the newest last), `POST` (`AttachDocument`, `Attachment`, 200).
pub const RELEASE_ATTACHMENTS: &str = "/api/v1/releases/{id}/attachments";
/// `GET` (`DocumentQuery`, `AttachedDocument`): a document as it was attached.
pub const RELEASE_DOCUMENT: &str = "/api/v1/releases/{id}/document";
/// `GET` (`EntriesQuery`, `ReleaseComponents`): what the newest bill of materials names.
pub const RELEASE_COMPONENTS: &str = "/api/v1/releases/{id}/components";
/// `GET` (`EntriesQuery`, `ReleaseVulnerabilities`): what the newest report knows.
pub const RELEASE_VULNERABILITIES: &str = "/api/v1/releases/{id}/vulnerabilities";
/// `GET` (`ReleaseManifest`): the manifest as it was signed.
pub const RELEASE_MANIFEST: &str = "/api/v1/releases/{id}/manifest";
/// `GET` (`ReleaseHostPlans`): what it changes on its hosts, as far as they have fetched it.
pub const RELEASE_HOST_PLANS: &str = "/api/v1/releases/{id}/host-plans";
/// `GET` (`HostPlan`): the plan with a digest.
pub const HOST_PLAN: &str = "/api/v1/host-plans/{digest}";
/// `GET` (`EnvironmentPageQuery`, `Page<RolloutSummary>`, the newest first), `POST` (`CreateRollout`, `Rollout`).
pub const ROLLOUTS: &str = "/api/v1/rollouts";
/// `POST` (`CreateRollout`, `RolloutPlan`, 200): the waves that it would have; nothing begins.
pub const ROLLOUT_PLANS: &str = "/api/v1/rollout-plans";
/// `GET` (`Rollout`).
pub const ROLLOUT: &str = "/api/v1/rollouts/{id}";
/// `GET` (`RolloutHostPlans`): what it changes on its hosts, and the digest of it that an approval names.
pub const ROLLOUT_HOST_PLANS: &str = "/api/v1/rollouts/{id}/host-plans";
/// `GET` (`EventQuery`, `Page<Event>`, the oldest first): with `Prefer: wait=` it waits for news. There are more when
/// the page is full; the next begins after its last number.
pub const ROLLOUT_EVENTS: &str = "/api/v1/rollouts/{id}/events";
/// `GET` (`OutputQuery`, `Page<Output>`, the oldest first): what its hosts print; with `Prefer: wait=` it waits for more.
pub const ROLLOUT_OUTPUT: &str = "/api/v1/rollouts/{id}/output";
/// `POST` (`CreateCommand`, `Rollout` as it stands): approve, pause, resume, revert, abort or override a freeze.
pub const ROLLOUT_COMMANDS: &str = "/api/v1/rollouts/{id}/commands";
/// `GET` (`EventQuery`, `Page<Event>`, the oldest first): all events.
pub const EVENTS: &str = "/api/v1/events";
/// `GET` (`AuditReport`): checks the whole chain and its seals on the server.
pub const AUDIT_VERIFY: &str = "/api/v1/audit/verify";
/// `GET` (`Page<Destination>`, by name), `POST` (`CreateDestination`, `DestinationCreated`).
pub const DESTINATIONS: &str = "/api/v1/destinations";
/// `GET` (`Destination`), `PATCH` (`UpdateDestination`, `Destination`); `DELETE` deletes it with its deliveries.
pub const DESTINATION: &str = "/api/v1/destinations/{name}";
/// `POST` (`{}`, `Delivery`): sends a test there.
pub const DESTINATION_TEST: &str = "/api/v1/destinations/{name}/test";
/// `GET` (`DeliveryQuery`, `Page<Delivery>`, the newest first): what was sent there, and what was not.
pub const DELIVERIES: &str = "/api/v1/destinations/{name}/deliveries";
/// `POST` (`{}`, `Replayed`, 200): sends what is dead there again.
pub const DESTINATION_REPLAY: &str = "/api/v1/destinations/{name}/replay";
/// `GET` (`Delivery`).
pub const DELIVERY: &str = "/api/v1/deliveries/{id}";
/// `POST` (`{}`, `Delivery`, 200): sends a dead one again.
pub const DELIVERY_REPLAY: &str = "/api/v1/deliveries/{id}/replay";
/// `POST` (`Observation`, `Instruction`): an agent's observation for its next instruction.
pub const AGENT_SYNC: &str = "/api/v1/agent/sync";
/// `POST` (`OutputPiece`, `OutputKnown`, 200): the next piece of what an attempt prints on the agent's host.
pub const AGENT_OUTPUT: &str = "/api/v1/agent/output";
/// `GET` (`ReleaseManifest`): the manifest of a release that names the agent's host.
pub const AGENT_MANIFEST: &str = "/api/v1/agent/releases/{id}/manifest";
/// `GET` (`Health`): the whole, with each dependency.
pub const HEALTH: &str = "/api/v1/monitoring/health";
/// `GET`: the process answers.
pub const LIVE: &str = "/api/v1/monitoring/live";
/// `GET`: the process can serve.
pub const READY: &str = "/api/v1/monitoring/ready";
/// `GET`: the `OpenAPI` document.
pub const OPENAPI: &str = "/api/v1/openapi.json";

/// The path with its one parameter filled in. Values are ids and names, which need no escaping.
#[must_use]
pub fn fill(route: &str, value: impl std::fmt::Display) -> String {
    let (before, rest) = route.split_once('{').unwrap_or((route, ""));
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    format!("{before}{value}{after}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_path_begins_with_the_prefix() {
        for path in [
            super::LOGIN,
            super::HOST_TOKEN,
            super::AGENT_SYNC,
            super::LIVE,
            super::OPENAPI,
        ] {
            assert!(path.starts_with(super::PREFIX), "{path}");
        }
    }

    #[test]
    fn a_parameter_is_filled_in_where_it_stands() {
        assert_eq!(super::fill(super::ROLLOUT_EVENTS, 7), "/api/v1/rollouts/7/events");
        assert_eq!(super::fill(super::HOST, "web-1"), "/api/v1/hosts/web-1");
    }
}
