//! One file a section: what a group of variables with one prefix means once read.

mod admin;
mod agent;
mod api;
mod app;
mod database;
mod database_url;
mod log;
mod metrics;
mod otel;
mod proxies;
mod redis;
mod redis_url;
mod sentry;

pub use admin::AdminSettings;
pub use agent::{AgentSection, Runner};
pub use api::ApiSection;
pub use app::{AppEnv, AppSettings, SecretKey};
pub use database::{DatabaseHost, DatabaseSettings, SslMode};
pub use log::{LogFormat, LogSettings};
pub use metrics::MetricsSettings;
pub use otel::OtelSettings;
pub use proxies::TrustedProxies;
pub use redis::{RedisServer, RedisSettings};
pub use sentry::SentrySettings;

pub(crate) use database_url::DatabaseUrl;
pub(crate) use redis::parse_nodes as parse_sentinels;
pub(crate) use redis_url::RedisUrl;

/// Durations are set in whole seconds, as the variable's name says.
fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<std::time::Duration, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(std::time::Duration::from_secs)
}
