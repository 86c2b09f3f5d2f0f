//! The environment as typed, validated and redacted settings. Every process uses this crate. It must never
//! show a secret in an error, a log or `Debug`.
//!
//! A process reads its settings once, at its start, and passes the structs on:
//!
//! ```no_run
//! use std::path::Path;
//! use slipway_settings::{ApiSettings, SettingsSource};
//!
//! let source = SettingsSource::load(Path::new("."))?;
//! let settings = ApiSettings::from_source(&source)?;
//! # Ok::<(), slipway_settings::SettingsErrors>(())
//! ```
//!
//! Priority: process environment, `.env.$APP_ENV`, `.env`, default. An empty value means the default. A secret `X` may
//! instead come as `X_FILE`, the path of a file, or as a systemd credential named `X`.
//!
//! Each section declares its variables and its struct's fields in one table. [`registry`] lists the tables. What is wrong
//! is reported all at once, each line with variable, value (redacted if secret), problem and cure.

mod combinations;
mod core_dump;
mod describe;
mod dotenv;
mod error;
pub mod generate;
mod process;
mod production;
mod reader;
mod redact;
pub mod registry;
mod secret_file;
mod sections;
mod source;
mod value_kind;
mod values;
mod variable;

pub use core_dump::forbid_core_dumps;
pub use describe::describe;
pub use error::{SettingsError, SettingsErrors};
pub use process::{AgentSettings, ApiSettings, LocalSettings, MigrateSettings, WorkerSettings};
pub use secrecy::{ExposeSecret, SecretString};
pub use sections::{
    AdminSettings, AgentSection, ApiSection, AppSettings, DatabaseSettings, LogSettings, MailPassword,
    MailSettings, MessageSettings, MetricsSettings, OidcSettings, OtelSettings, PlaneSection, RedisSettings,
    RedisTls, SentrySettings,
};
pub use source::{Origin, SettingsSource};
pub use values::{
    AgentBootLoader, AgentRunner, AppEnv, DatabaseHost, LogFormat, Networks, OidcDomains, OidcRole,
    OidcRoles, OtlpHeaders, RedisServer, SecretKey, SmtpTls, SslMode, TrustedProxies, is_address,
};
pub use variable::{Process, Variable};
