//! Kinds of events, so that whoever writes one and whoever compares it mean the same.

/// The rules of an environment and its end, the newest of which counts.
pub(crate) const ENVIRONMENT: [&str; 3] = [ENVIRONMENT_CREATED, ENVIRONMENT_CHANGED, ENVIRONMENT_DELETED];
/// A new environment.
pub(crate) const ENVIRONMENT_CREATED: &str = "environment.created";
/// New rules of an environment.
pub(crate) const ENVIRONMENT_CHANGED: &str = "environment.changed";
/// The end of an environment.
pub(crate) const ENVIRONMENT_DELETED: &str = "environment.deleted";
/// A new principal with its role.
pub(crate) const PRINCIPAL_CREATED: &str = "principal.created";
/// The end of a principal.
pub(crate) const PRINCIPAL_DISABLED: &str = "principal.disabled";
/// A new token with its owner.
pub(crate) const TOKEN_CREATED: &str = "token.created";
/// The end of a token.
pub(crate) const TOKEN_REVOKED: &str = "token.revoked";
/// A new host in its environment.
pub(crate) const HOST_CREATED: &str = "host.created";
/// A retired host that came back, into this environment.
pub(crate) const HOST_RESTORED: &str = "host.restored";
/// Another environment for a host.
pub(crate) const HOST_MOVED: &str = "host.moved";
/// The end of a host.
pub(crate) const HOST_RETIRED: &str = "host.retired";
/// A live system that changed without a rollout. It is noted and decides nothing.
pub(crate) const HOST_LIVE: &str = "host.live";
/// Something on a host that is no longer as Slipway left it. It is noted and decides nothing.
pub(crate) const HOST_DRIFTED: &str = "host.drifted";
/// Something on a host that is as expected again. It is noted and decides nothing.
pub(crate) const HOST_DRIFT_ENDED: &str = "host.drift_ended";
/// What runs on a host when nothing is expected of it yet: from then on it is.
pub(crate) const HOST_FIRST_SEEN: &str = "host.first_seen";
/// What runs on a host, accepted by somebody as what is expected of it.
pub(crate) const HOST_ADOPTED: &str = "host.adopted";
/// Two machines that use one host's token. It is noted and decides nothing.
pub(crate) const HOST_TWO_LIVES: &str = "host.two_lives";
/// A release with all its closures.
pub(crate) const RELEASE_CREATED: &str = "release.created";
/// A release that no cache may collect. It is noted and decides nothing.
pub(crate) const RELEASE_KEPT: &str = "release.kept";
/// A release that caches may collect again. It is noted and decides nothing.
pub(crate) const RELEASE_UNKEPT: &str = "release.unkept";
/// A document that is attached to a release. It is noted and decides nothing.
pub(crate) const RELEASE_ATTACHED: &str = "release.attached";
/// A rollout with its plan.
pub(crate) const ROLLOUT_CREATED: &str = "rollout.created";
/// A step's new state, with what its host is told by it.
pub(crate) const STEP_STATE: &str = "step.state";
/// What ran on a step's host before it, and is to run again when it goes back.
pub(crate) const STEP_PRIOR: &str = "step.prior";
/// What a step's host would change by the switch, as its agent computed it. It is noted and decides nothing.
pub(crate) const STEP_PLAN: &str = "step.plan";
/// What a person asked of a rollout.
pub(crate) const COMMAND_REQUESTED: &str = "command.requested";
/// A new destination of messages. It is noted and decides nothing.
pub(crate) const DESTINATION_CREATED: &str = "destination.created";
/// Other rules of a destination, or one that gets messages again. It is noted and decides nothing.
pub(crate) const DESTINATION_CHANGED: &str = "destination.changed";
/// A destination that gets no messages any more. It is noted and decides nothing.
pub(crate) const DESTINATION_DISABLED: &str = "destination.disabled";
/// The end of a destination. It is noted and decides nothing.
pub(crate) const DESTINATION_DELETED: &str = "destination.deleted";
