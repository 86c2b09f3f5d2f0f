//! Login, principals and tokens.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use slipway_domain::{
    EnvironmentName, EnvironmentRoles, HostName, PrincipalName, Role, TokenCommand, TokenId, TokenLimits,
};

/// What every token begins with, so that scanners find leaked ones.
pub const TOKEN_PREFIX: &str = "slw_";

/// The most that a session of a browser lasts.
pub const SESSION_SECONDS: u32 = 12 * 3600;
/// A session that is not used for so long ends.
pub const SESSION_IDLE_SECONDS: u32 = 3600;

/// A token's secret. Shown once, when it is made; never in a Debug output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(transparent)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// Wraps a token.
    #[must_use]
    pub const fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The token itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for TokenSecret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(redacted)")
    }
}

/// `POST /login`.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The principal; only `admin` has a password, the one in `ADMIN_PASSWORD`.
    pub name: PrincipalName,
    /// The password.
    pub password: String,
    /// What the token is for, such as the machine's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The token to make, in place of one of `admin` that is good for 30 days. It is made with the password and not with
    /// a token, so it ends and is revoked with none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<CreateToken>,
}

impl fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A new token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenCreated {
    /// Its id, to revoke it by.
    pub id: TokenId,
    /// The token. It is shown now and never again.
    pub token: TokenSecret,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
}

/// `POST /tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// Whose; one's own when left out. Somebody else's takes the role `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalName>,
    /// What it is for.
    pub label: String,
    /// Days until it stops working, 1 to 3650. By default it works for ever, or as long as the token that asks. A token
    /// ends with the token that created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u32>,
    /// What it may be used for at most. What is left out is as the token that asks is limited; more than that one may,
    /// it never may.
    #[serde(
        default,
        deserialize_with = "strict_limits",
        skip_serializing_if = "TokenLimits::is_none"
    )]
    pub limits: TokenLimits,
    /// Whether it is for a browser: it ends after 12 hours, and after an hour without a request. Not with
    /// `expires_in_days`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub session: bool,
}

/// Limits as people send them. A token shows them too, which may come from a newer program.
#[derive(Deserialize)]
#[serde(remote = "TokenLimits", deny_unknown_fields, default = "TokenLimits::default")]
struct StrictLimits {
    environments: Option<BTreeSet<EnvironmentName>>,
    commands: Option<BTreeSet<TokenCommand>>,
    hosts: Option<BTreeSet<HostName>>,
}

fn strict_limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenLimits, D::Error> {
    StrictLimits::deserialize(deserializer)
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Whose, when it is a principal's.
    pub principal: Option<PrincipalName>,
    /// Whose, when it is a host's.
    pub host: Option<HostName>,
    /// What it is for.
    pub label: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// What it may be used for at most.
    #[serde(default, skip_serializing_if = "TokenLimits::is_none")]
    pub limits: TokenLimits,
    /// Whether it ends after an hour without a request, as those of browsers do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub session: bool,
}

/// `POST /principals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreatePrincipal {
    /// Its name.
    pub name: PrincipalName,
    /// What it may do.
    pub role: Role,
    /// What it may do in single environments, in place of that.
    #[serde(default, skip_serializing_if = "EnvironmentRoles::is_empty")]
    pub environment_roles: EnvironmentRoles,
}

/// Somebody who may use the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Principal {
    /// Its name.
    pub name: PrincipalName,
    /// What it may do.
    pub role: Role,
    /// What it may do in single environments, in place of that.
    #[serde(default, skip_serializing_if = "EnvironmentRoles::is_empty")]
    pub environment_roles: EnvironmentRoles,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was disabled.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// `GET /whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Whoami {
    /// A principal's token.
    Principal {
        /// Its name.
        name: PrincipalName,
        /// What it may do.
        role: Role,
        /// What it may do in single environments, in place of that.
        #[serde(default, skip_serializing_if = "EnvironmentRoles::is_empty")]
        environment_roles: EnvironmentRoles,
        /// What the token may be used for at most.
        #[serde(default, skip_serializing_if = "TokenLimits::is_none")]
        limits: TokenLimits,
        /// The token's id, to revoke it by. Earlier servers leave it out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<TokenId>,
    },
    /// A host's token, which may only sync.
    Host {
        /// The host.
        name: HostName,
    },
}
