//! What each process reads: the sections it needs and no other, so that an agent needs no database.

use crate::reader::Reader;
use crate::{
    AdminSettings, AgentSection, ApiSection, AppEnv, AppSettings, DatabaseSettings, LogSettings,
    MetricsSettings, OtelSettings, RedisSettings, SentrySettings, SettingsErrors, Source,
};

/// Everything that `slipway-api serve` reads.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// What api and worker share.
    pub app: AppSettings,
    /// The first operator's way in.
    pub admin: AdminSettings,
    /// The listener and its limits.
    pub api: ApiSection,
    /// The Postgres server and the pool.
    pub database: DatabaseSettings,
    /// Redis, if there is one.
    pub redis: Option<RedisSettings>,
    /// The metrics listener.
    pub metrics: MetricsSettings,
    /// Logging.
    pub log: LogSettings,
    /// Traces.
    pub otel: OtelSettings,
    /// Error reports.
    pub sentry: SentrySettings,
}

/// Everything that `slipway-worker run` reads.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// What api and worker share.
    pub app: AppSettings,
    /// The Postgres server and the pool.
    pub database: DatabaseSettings,
    /// Redis, if there is one.
    pub redis: Option<RedisSettings>,
    /// The metrics listener.
    pub metrics: MetricsSettings,
    /// Logging.
    pub log: LogSettings,
    /// Traces.
    pub otel: OtelSettings,
    /// Error reports.
    pub sentry: SentrySettings,
}

/// Everything that `slipway-agent run` reads: no database, no secret key.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// Where the process runs.
    pub env: AppEnv,
    /// The host and the control plane's address.
    pub agent: AgentSection,
    /// The metrics listener.
    pub metrics: MetricsSettings,
    /// Logging.
    pub log: LogSettings,
    /// Traces.
    pub otel: OtelSettings,
    /// Error reports.
    pub sentry: SentrySettings,
}

/// What `slipway-api migrate` reads: only the database, so that it runs where no other secret is.
#[derive(Debug, Clone)]
pub struct MigrateSettings {
    /// The Postgres server and the pool.
    pub database: DatabaseSettings,
    /// Logging.
    pub log: LogSettings,
}

impl ApiSettings {
    /// Reads and checks everything; on failure every error at once.
    pub fn from_source(source: &Source) -> Result<Self, SettingsErrors> {
        let mut reader = Reader::new(source);
        let app = reader.section();
        let admin = reader.section();
        let api = reader.section::<ApiSection>();
        let database = reader.section();
        let redis = reader.section();
        let metrics = reader.section::<MetricsSettings>();
        let (log, otel, sentry) = (reader.section(), reader.section(), reader.section());
        if let (Some(api), Some(metrics)) = (&api, &metrics)
            && metrics.addr(Some(api.host)) == Some(api.addr())
        {
            reader.fail(
                "METRICS_PORT",
                "is the port that the api itself listens on",
                "choose another port",
            );
        }
        reader.finish(|| {
            Some(Self {
                app: app?,
                admin: admin?,
                api: api?,
                database: database?,
                redis: redis?,
                metrics: metrics?,
                log: log?,
                otel: otel?,
                sentry: sentry?,
            })
        })
    }
}

impl WorkerSettings {
    /// Reads and checks everything; on failure every error at once.
    pub fn from_source(source: &Source) -> Result<Self, SettingsErrors> {
        let mut reader = Reader::new(source);
        let (app, database, redis) = (reader.section(), reader.section(), reader.section());
        let (metrics, log) = (reader.section(), reader.section());
        let (otel, sentry) = (reader.section(), reader.section());
        reader.finish(|| {
            Some(Self {
                app: app?,
                database: database?,
                redis: redis?,
                metrics: metrics?,
                log: log?,
                otel: otel?,
                sentry: sentry?,
            })
        })
    }
}

impl AgentSettings {
    /// Reads and checks everything; on failure every error at once.
    pub fn from_source(source: &Source) -> Result<Self, SettingsErrors> {
        let mut reader = Reader::new(source);
        let (agent, metrics, log) = (reader.section(), reader.section(), reader.section());
        let (otel, sentry) = (reader.section(), reader.section());
        let env = reader.app_env();
        reader.finish(|| {
            Some(Self {
                env,
                agent: agent?,
                metrics: metrics?,
                log: log?,
                otel: otel?,
                sentry: sentry?,
            })
        })
    }
}

impl MigrateSettings {
    /// Reads and checks everything; on failure every error at once.
    pub fn from_source(source: &Source) -> Result<Self, SettingsErrors> {
        let mut reader = Reader::new(source);
        let (database, log) = (reader.section(), reader.section());
        reader.finish(|| {
            Some(Self {
                database: database?,
                log: log?,
            })
        })
    }
}
