//! What a caller may do where: a role for each environment, and the limits of the token.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::named::named;
use crate::snapshot::CommandKind;
use crate::{EnvironmentName, HostName, Role};

/// The most names in one limit.
pub const MAX_LIMIT_NAMES: usize = 500;

named! {
    /// What changes something, for tokens that may do no other thing.
    TokenCommand, "command of tokens", {
        /// Register releases.
        Release = "release",
        /// Start rollouts.
        Start = "start",
        /// Approve rollouts.
        Approve = "approve",
        /// Pause rollouts.
        Pause = "pause",
        /// Resume rollouts.
        Resume = "resume",
        /// Revert rollouts.
        Revert = "revert",
        /// Abort rollouts.
        Abort = "abort",
        /// Have rollouts not wait for windows and freezes.
        OverrideFreeze = "override_freeze",
        /// Freeze environments, and end freezes.
        Freeze = "freeze",
        /// Make, change, retire and restore hosts, and make their tokens.
        Host = "host",
        /// Make, change and delete environments.
        Environment = "environment",
        /// Make and disable principals.
        Principal = "principal",
        /// Make and revoke tokens.
        Token = "token",
        /// Make, change, test and delete destinations of messages, and replay deliveries.
        Destination = "destination",
    }
}

impl From<CommandKind> for TokenCommand {
    fn from(kind: CommandKind) -> Self {
        match kind {
            CommandKind::Approve => Self::Approve,
            CommandKind::Pause => Self::Pause,
            CommandKind::Resume => Self::Resume,
            CommandKind::Revert => Self::Revert,
            CommandKind::Abort => Self::Abort,
            CommandKind::OverrideFreeze => Self::OverrideFreeze,
        }
    }
}

/// Roles in single environments, in place of the one that holds everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvironmentRoles(pub BTreeMap<EnvironmentName, Role>);

impl EnvironmentRoles {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// They in words, to go on after the role that holds everywhere. Empty for none.
    #[must_use]
    pub fn words(&self) -> String {
        let all = self.0.iter();
        let all: Vec<String> = all
            .map(|(environment, role)| format!(", {role} in {environment}"))
            .collect();
        all.concat()
    }
}

/// What a token may be used for at most, whatever its principal may do. What is left out is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenLimits {
    /// Only in these environments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environments: Option<BTreeSet<EnvironmentName>>,
    /// Only these commands, besides reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<BTreeSet<TokenCommand>>,
    /// Only where no other host is touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<BTreeSet<HostName>>,
}

impl TokenLimits {
    /// Whether nothing is limited.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.environments.is_none() && self.commands.is_none() && self.hosts.is_none()
    }

    /// Whether what is shown is limited.
    #[must_use]
    pub const fn hides(&self) -> bool {
        self.environments.is_some() || self.hosts.is_some()
    }

    /// These limits, with those of the token that makes it where they say nothing.
    #[must_use]
    pub fn or(self, maker: &Self) -> Self {
        Self {
            environments: self.environments.or_else(|| maker.environments.clone()),
            commands: self.commands.or_else(|| maker.commands.clone()),
            hosts: self.hosts.or_else(|| maker.hosts.clone()),
        }
    }

    /// What a token with these limits could do that one with the limits `of` cannot.
    #[must_use]
    pub fn beyond(&self, of: &Self) -> Option<Wider> {
        beyond(
            "environments",
            self.environments.as_ref(),
            of.environments.as_ref(),
        )
        .or_else(|| beyond("commands", self.commands.as_ref(), of.commands.as_ref()))
        .or_else(|| beyond("hosts", self.hosts.as_ref(), of.hosts.as_ref()))
    }

    /// It in words, for people and causes. Empty for no limit.
    #[must_use]
    pub fn words(&self) -> String {
        let parts = [
            list("environments", self.environments.as_ref()),
            list("commands", self.commands.as_ref()),
            list("hosts", self.hosts.as_ref()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// What one token could do and another cannot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; the token that asks may not, and none can make one that may do more than itself")]
pub struct Wider {
    /// The limit that it is about.
    pub field: &'static str,
    what: String,
}

fn beyond<T: Ord + Display>(
    field: &'static str,
    wants: Option<&BTreeSet<T>>,
    may: Option<&BTreeSet<T>>,
) -> Option<Wider> {
    let may = may?;
    let what = match wants {
        None => format!("it would not be limited to {field}"),
        Some(wants) => {
            let first = wants.difference(may).next()?;
            format!("it would be good for `{first}`")
        }
    };
    Some(Wider { field, what })
}

fn list<T: Display>(name: &str, set: Option<&BTreeSet<T>>) -> Option<String> {
    let all: Vec<String> = set?.iter().map(ToString::to_string).collect();
    Some(format!("{name} {}", all.join(", ")))
}

/// What a request is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Its environments; none: all of them.
    pub environments: Option<BTreeSet<EnvironmentName>>,
    /// The hosts that it touches or shows; none: any of those environments.
    pub hosts: Option<BTreeSet<HostName>>,
}

impl Subject {
    /// One environment, with whatever is in it.
    #[must_use]
    pub fn environment(name: EnvironmentName) -> Self {
        Self {
            environments: Some(BTreeSet::from([name])),
            hosts: None,
        }
    }

    /// Hosts of one environment.
    #[must_use]
    pub fn hosts(environment: EnvironmentName, hosts: impl IntoIterator<Item = HostName>) -> Self {
        Self {
            environments: Some(BTreeSet::from([environment])),
            hosts: Some(hosts.into_iter().collect()),
        }
    }
}

/// What a caller may do.
#[derive(Debug, Clone, Copy)]
pub struct Rights<'a> {
    /// The role that holds everywhere.
    pub role: Role,
    /// Roles in single environments, in place of it.
    pub environment_roles: &'a EnvironmentRoles,
    /// The limits of the token.
    pub limits: &'a TokenLimits,
}

/// Why a caller may not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The role is too weak.
    #[error("this takes the role {least}{place}, and it is {role}")]
    Role {
        /// The least role that may.
        least: Role,
        /// The caller's role there.
        role: Role,
        /// Where, in words.
        place: String,
    },
    /// The token is limited.
    #[error("the token is limited to the {0}; use one that may do this")]
    Limit(String),
}

impl Rights<'_> {
    /// The role in an environment.
    #[must_use]
    pub fn role_in(&self, environment: &EnvironmentName) -> Role {
        *self.environment_roles.0.get(environment).unwrap_or(&self.role)
    }

    /// The strongest role in any environment.
    #[must_use]
    pub fn strongest(&self) -> Role {
        self.environment_roles
            .0
            .values()
            .fold(self.role, |one, other| one.max(*other))
    }

    /// Whether it may do what takes this role with what the request is about.
    pub fn require(&self, least: Role, subject: &Subject) -> Result<(), Refusal> {
        if let Some(may) = &self.limits.environments
            && !subject
                .environments
                .as_ref()
                .is_some_and(|these| these.is_subset(may))
        {
            return Err(Refusal::Limit(self.limits.words()));
        }
        if let Some(may) = &self.limits.hosts
            && !subject.hosts.as_ref().is_some_and(|these| these.is_subset(may))
        {
            return Err(Refusal::Limit(self.limits.words()));
        }
        let Some(environments) = &subject.environments else {
            return enough(self.role, least, String::new());
        };
        environments.iter().try_for_each(|environment| {
            enough(
                self.role_in(environment),
                least,
                format!(" in the environment `{environment}`"),
            )
        })
    }

    /// Whether it may give this command.
    pub fn require_command(&self, command: Option<TokenCommand>) -> Result<(), Refusal> {
        match &self.limits.commands {
            Some(may) if !command.is_some_and(|command| may.contains(&command)) => {
                Err(Refusal::Limit(self.limits.words()))
            }
            _ => Ok(()),
        }
    }
}

fn enough(role: Role, least: Role, place: String) -> Result<(), Refusal> {
    if role >= least {
        Ok(())
    } else {
        Err(Refusal::Role { least, role, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(environments: &[&str], commands: &[TokenCommand], hosts: &[&str]) -> TokenLimits {
        TokenLimits {
            environments: (!environments.is_empty())
                .then(|| environments.iter().map(|name| name.parse().unwrap()).collect()),
            commands: (!commands.is_empty()).then(|| commands.iter().copied().collect()),
            hosts: (!hosts.is_empty()).then(|| hosts.iter().map(|name| name.parse().unwrap()).collect()),
        }
    }

    #[test]
    fn no_token_is_within_a_narrower_one() {
        use TokenCommand::{Release, Start};
        let none = TokenLimits::default();
        let narrow = limits(&["dev"], &[Start], &["web-1"]);
        assert_eq!(narrow.beyond(&none), None);
        assert_eq!(narrow.beyond(&narrow), None);
        for wide in [
            none.clone(),
            limits(&["dev", "prod"], &[Start], &["web-1"]),
            limits(&["prod"], &[Start], &["web-1"]),
            limits(&["dev"], &[Start, Release], &["web-1"]),
            limits(&["dev"], &[Start], &["web-2"]),
            limits(&["dev"], &[Start], &[]),
            limits(&["dev"], &[], &["web-1"]),
            limits(&[], &[Start], &["web-1"]),
        ] {
            let wider = wide.beyond(&narrow).unwrap();
            assert!(wider.to_string().contains("do more than itself"), "{wider}");
        }
        assert_eq!(none.or(&narrow), narrow, "what is left out comes from the maker");
        let named = limits(&["prod"], &[], &[]).or(&narrow);
        assert!(named.beyond(&narrow).is_some(), "what is named is not cut down");
    }

    #[test]
    fn a_role_holds_where_it_was_given() {
        let roles = EnvironmentRoles(BTreeMap::from([
            ("dev".parse().unwrap(), Role::Admin),
            ("prod".parse().unwrap(), Role::Viewer),
        ]));
        let limits = TokenLimits::default();
        let rights = Rights {
            role: Role::Deployer,
            environment_roles: &roles,
            limits: &limits,
        };
        let of = |name: &str| Subject::environment(name.parse().unwrap());
        assert_eq!(rights.strongest(), Role::Admin);
        assert_eq!(rights.require(Role::Admin, &of("dev")), Ok(()));
        assert_eq!(rights.require(Role::Deployer, &of("test")), Ok(()));
        let refused = rights.require(Role::Deployer, &of("prod")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "this takes the role deployer in the environment `prod`, and it is viewer"
        );
        let both = Subject {
            environments: Some(["dev", "prod"].map(|name| name.parse().unwrap()).into()),
            hosts: None,
        };
        assert!(
            rights.require(Role::Deployer, &both).is_err(),
            "it takes the role in all of them"
        );
        assert!(
            rights.require(Role::Admin, &Subject::default()).is_err(),
            "elsewhere it is a deployer"
        );
    }

    #[test]
    fn a_limit_closes_whatever_is_not_named() {
        let roles = EnvironmentRoles::default();
        let limits = limits(&["dev"], &[TokenCommand::Start], &["web-1"]);
        let rights = Rights {
            role: Role::Admin,
            environment_roles: &roles,
            limits: &limits,
        };
        let hosts = |environment: &str, names: &[&str]| {
            Subject::hosts(
                environment.parse().unwrap(),
                names.iter().map(|name| name.parse().unwrap()),
            )
        };
        assert_eq!(rights.require(Role::Admin, &hosts("dev", &["web-1"])), Ok(()));
        for beyond in [
            hosts("prod", &["web-1"]),
            hosts("dev", &["web-1", "web-2"]),
            Subject::environment("dev".parse().unwrap()),
            Subject::default(),
        ] {
            let refused = rights.require(Role::Viewer, &beyond).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "the token is limited to the environments dev; commands start; hosts web-1; use one that may do this"
            );
        }
        assert_eq!(rights.require_command(Some(TokenCommand::Start)), Ok(()));
        assert!(rights.require_command(Some(TokenCommand::Release)).is_err());
        assert!(
            rights.require_command(None).is_err(),
            "a route that names no command is closed"
        );
    }
}
