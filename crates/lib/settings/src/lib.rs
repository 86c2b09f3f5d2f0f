//! The environment as typed, validated and redacted settings. Every process uses this crate. It must never
//! show a secret in an error, a log or `Debug`.
//!
//! A process reads its settings once, at its start, and passes the structs on:
//!
//! ```no_run
//! use std::path::Path;
//! use slipway_settings::{ApiSettings, Source};
//!
//! let source = Source::load(Path::new("."))?;
//! let settings = ApiSettings::from_source(&source)?;
//! # Ok::<(), slipway_settings::SettingsErrors>(())
//! ```
//!
//! Priority: process environment, `.env.$APP_ENV`, `.env`, default. An empty value means the default. A secret `X` may
//! instead come as `X_FILE`, the path of a file, or as a systemd credential named `X`.
//!
//! [`registry`] is the one table of every variable: names, bounds, defaults and words. What is wrong is reported all at
//! once, each line with variable, value (redacted if secret), problem and cure.

mod core_dump;
mod describe;
mod dotenv;
mod error;
pub mod generate;
mod kind;
mod percent;
mod process;
mod reader;
mod redact;
pub mod registry;
mod rules;
mod secret_file;
mod sections;
mod source;
mod suggest;

pub use core_dump::forbid_core_dumps;
pub use describe::describe;
pub use error::{SettingsError, SettingsErrors};
pub use kind::Kind;
pub use process::{AgentSettings, ApiSettings, MigrateSettings, WorkerSettings};
pub use registry::Process;
pub use secrecy::{ExposeSecret, SecretString};
pub use sections::{
    AdminSettings, AgentSection, ApiSection, AppEnv, AppSettings, DatabaseHost, DatabaseSettings, LogFormat,
    LogSettings, MetricsSettings, OtelSettings, RedisServer, RedisSettings, Runner, SecretKey,
    SentrySettings, SslMode, TrustedProxies,
};
pub use source::{Origin, Source};
