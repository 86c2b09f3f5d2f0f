//! Typed identifiers: a [`HostId`] cannot be passed where a [`StepId`] is wanted.
//!
//! Records have time-ordered ids (UUID v7), so that an index on them stays compact. An attempt's id is fully random
//! (UUID v4): nobody can guess the id of the next attempt, and no two attempts share one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is no {kind} id: give a UUID such as 0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10")]
pub struct IdError {
    kind: &'static str,
    value: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, format = "uuid"))]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is known to be this kind of id, such as a database column's.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID inside.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| IdError { kind: $kind, value: text.chars().take(80).collect() })
            }
        }
    };
    (v7 $(#[$doc:meta])* $name:ident, $kind:literal) => {
        id!($(#[$doc])* $name, $kind);

        impl $name {
            /// A new id that sorts after those made before it.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }
    };
}

id!(v7 /** A host. */ HostId, "host");
id!(v7 /** An environment. */ EnvironmentId, "environment");
id!(v7 /** A release. */ ReleaseId, "release");
id!(v7 /** A rollout. */ RolloutId, "rollout");
id!(v7 /** One host's part of a rollout. */ StepId, "step");
id!(v7 /** A person or a machine that may use the API. */ PrincipalId, "principal");
id!(v7 /** A token; not the token's secret. */ TokenId, "token");
id!(v7 /** An operator's command to a rollout. */ CommandId, "command");
id!(v7 /** A freeze of an environment. */ FreezeId, "freeze");
id!(v7 /** A destination of messages. */ DestinationId, "destination");
id!(/** A message to a destination; the same each time that it is sent. */ DeliveryId, "delivery");
id!(/** One try of a step on its host. */ AttemptId, "attempt");

impl AttemptId {
    /// A new id from the operating system's random source.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that makes attempt ids"
    )]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_input_and_its_kind() {
        let error = "web-1".parse::<HostId>().unwrap_err();
        assert!(error.to_string().starts_with("`web-1` is no host id"), "{error}");
    }

    #[test]
    fn text_and_json_round_trip() {
        let id = RolloutId::generate();
        assert_eq!(id.to_string().parse::<RolloutId>().unwrap(), id);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
    }
}
