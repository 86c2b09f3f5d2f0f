//! One table a section: what a group of variables means once read, and all there is to know of each variable.

mod agent;
mod control_plane;
mod database;
mod messages;
mod oidc;
mod redis;
mod telemetry;

pub use agent::{AgentSection, PlaneSection};
pub use control_plane::{AdminSettings, ApiSection, AppSettings};
pub use database::DatabaseSettings;
pub use messages::{MailPassword, MailSettings, MessageSettings};
pub use oidc::OidcSettings;
pub use redis::{RedisSettings, RedisTls};
pub use telemetry::{LogSettings, MetricsSettings, OtelSettings, SentrySettings};

pub(crate) use control_plane::APP_ENV;
pub(crate) use redis::RedisParts;

/// Durations are set in whole seconds, as the variable's name says.
fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<std::time::Duration, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(std::time::Duration::from_secs)
}
