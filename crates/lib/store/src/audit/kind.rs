//! Kinds of events that decide something, so that whoever writes one and whoever compares it mean the same.

/// The rules of an environment, the newest of which counts.
pub(crate) const ENVIRONMENT: [&str; 2] = [ENVIRONMENT_CREATED, ENVIRONMENT_CHANGED];
/// A new environment.
pub(crate) const ENVIRONMENT_CREATED: &str = "environment.created";
/// New rules of an environment.
pub(crate) const ENVIRONMENT_CHANGED: &str = "environment.changed";
/// A new principal with its role.
pub(crate) const PRINCIPAL_CREATED: &str = "principal.created";
/// The end of a principal.
pub(crate) const PRINCIPAL_DISABLED: &str = "principal.disabled";
/// A new token with its owner.
pub(crate) const TOKEN_CREATED: &str = "token.created";
/// The end of a token.
pub(crate) const TOKEN_REVOKED: &str = "token.revoked";
/// The end of a host. Every `host.` event that names an environment says that the host is there.
pub(crate) const HOST_RETIRED: &str = "host.retired";
/// A live system that changed without a rollout.
pub(crate) const HOST_LIVE: &str = "host.live";
/// A release with all its closures.
pub(crate) const RELEASE_CREATED: &str = "release.created";
/// A rollout with its plan.
pub(crate) const ROLLOUT_CREATED: &str = "rollout.created";
/// What a person asked of a rollout.
pub(crate) const COMMAND_REQUESTED: &str = "command.requested";
