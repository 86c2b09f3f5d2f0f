//! What each process reads: the sections it needs and no other, so that an agent needs no database.

use crate::reader::Reader;
use crate::{
    AdminSettings, AgentSection, ApiSection, AppSettings, DatabaseSettings, LogSettings, MetricsSettings,
    OtelSettings, PlaneSection, RedisSettings, SentrySettings, SettingsErrors, Source,
};

macro_rules! process {
    ($(
        $(#[$meta:meta])*
        struct $name:ident $(where $check:ident($($of:ident),*))? { $($(#[$about:meta])* $field:ident: $section:ty,)* }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $($(#[$about])* pub $field: $section,)*
        }

        impl $name {
            /// Reads and checks everything; on failure every error at once.
            pub fn from_source(source: &Source) -> Result<Self, SettingsErrors> {
                let mut reader = Reader::new(source);
                $(let $field: Option<$section> = reader.section();)*
                $($check(&mut reader, $($of.as_ref()),*);)?
                reader.finish(|| Some(Self { $($field: $field?,)* }))
            }
        }
    )*};
}

process! {
    /// Everything that `slipway-api serve` reads.
    struct ApiSettings where require_two_listeners(api, metrics) {
        /// What api and worker share.
        app: AppSettings,
        /// The first operator's way in.
        admin: AdminSettings,
        /// The listener and its limits.
        api: ApiSection,
        /// The Postgres server and the pool.
        database: DatabaseSettings,
        /// Redis, if there is one.
        redis: Option<RedisSettings>,
        /// The metrics listener.
        metrics: MetricsSettings,
        /// Logging.
        log: LogSettings,
        /// Traces.
        otel: OtelSettings,
        /// Error reports.
        sentry: SentrySettings,
    }

    /// Everything that `slipway-worker run` reads.
    struct WorkerSettings {
        /// What api and worker share.
        app: AppSettings,
        /// The Postgres server and the pool.
        database: DatabaseSettings,
        /// Redis, if there is one.
        redis: Option<RedisSettings>,
        /// The metrics listener.
        metrics: MetricsSettings,
        /// Logging.
        log: LogSettings,
        /// Traces.
        otel: OtelSettings,
        /// Error reports.
        sentry: SentrySettings,
    }

    /// Everything that `slipway-agent run` reads: no database, no secret key.
    struct AgentSettings {
        /// The control plane.
        plane: PlaneSection,
        /// The host.
        agent: AgentSection,
        /// The metrics listener.
        metrics: MetricsSettings,
        /// Logging.
        log: LogSettings,
        /// Traces.
        otel: OtelSettings,
        /// Error reports.
        sentry: SentrySettings,
    }

    /// What commands of the agent read that work on its host alone: they must work where the token is not.
    struct LocalSettings {
        /// The host.
        agent: AgentSection,
        /// Logging.
        log: LogSettings,
        /// Traces.
        otel: OtelSettings,
        /// Error reports.
        sentry: SentrySettings,
    }

    /// What `slipway-api migrate` reads: only the database, so that it runs where no other secret is.
    struct MigrateSettings {
        /// The Postgres server and the pool.
        database: DatabaseSettings,
        /// Logging.
        log: LogSettings,
    }
}

fn require_two_listeners(
    reader: &mut Reader<'_>,
    api: Option<&ApiSection>,
    metrics: Option<&MetricsSettings>,
) {
    if let (Some(api), Some(metrics)) = (api, metrics)
        && metrics.addr(Some(api.host)) == Some(api.addr())
    {
        let problem = "is the port that the api itself listens on";
        reader.fail("METRICS_PORT", problem, "choose another port");
    }
}
