//! What each process reads: the sections it needs and no other, so that an agent needs no database.

use crate::reader::SectionReader;
use crate::{
    AdminSettings, AgentSection, ApiSection, AppSettings, DatabaseSettings, LogSettings, MailPassword,
    MailSettings, MessageSettings, MetricsSettings, OidcSettings, OtelSettings, PlaneSection, RedisSettings,
    SentrySettings, SettingsErrors, SettingsSource,
};

macro_rules! process {
    ($(
        $(#[$meta:meta])*
        struct $name:ident $(where $check:ident($($of:ident),*))? { $($field:ident: $section:ty,)* }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone)]
        #[expect(missing_docs, reason = "each section's type says what it holds")]
        pub struct $name {
            $(pub $field: $section,)*
        }

        impl $name {
            /// Reads and checks everything; on failure every error at once.
            pub fn from_source(source: &SettingsSource) -> Result<Self, SettingsErrors> {
                let mut reader = SectionReader::new(source);
                $(let $field: Option<$section> = reader.section();)*
                $($check(&mut reader, $($of.as_ref()),*);)?
                reader.finish(|| Some(Self { $($field: $field?,)* }))
            }
        }
    )*};
}

process! {
    /// Everything that `slipway-api serve` reads.
    struct ApiSettings where check_api(app, api, metrics, oidc) {
        app: AppSettings,
        admin: AdminSettings,
        api: ApiSection,
        database: DatabaseSettings,
        redis: Option<RedisSettings>,
        messages: MessageSettings,
        mail: MailSettings,
        oidc: OidcSettings,
        metrics: MetricsSettings,
        log: LogSettings,
        otel: OtelSettings,
        sentry: SentrySettings,
    }

    /// Everything that `slipway-worker run` reads.
    struct WorkerSettings where require_account(mail, mail_password) {
        app: AppSettings,
        database: DatabaseSettings,
        redis: Option<RedisSettings>,
        messages: MessageSettings,
        mail: MailSettings,
        mail_password: MailPassword,
        metrics: MetricsSettings,
        log: LogSettings,
        otel: OtelSettings,
        sentry: SentrySettings,
    }

    /// Everything that `slipway-agent run` reads: no database, no secret key.
    struct AgentSettings {
        plane: PlaneSection,
        agent: AgentSection,
        metrics: MetricsSettings,
        log: LogSettings,
        otel: OtelSettings,
        sentry: SentrySettings,
    }

    /// What commands of the agent read that work on its host alone: they must work where the token is not.
    struct LocalSettings {
        agent: AgentSection,
        log: LogSettings,
        otel: OtelSettings,
        sentry: SentrySettings,
    }

    /// What `slipway-api migrate` reads: only the database, so that it runs where no other secret is.
    struct MigrateSettings {
        database: DatabaseSettings,
        log: LogSettings,
    }
}

/// An account has a name and a password.
fn require_account(
    reader: &mut SectionReader<'_>,
    mail: Option<&MailSettings>,
    password: Option<&MailPassword>,
) {
    let (Some(mail), Some(password)) = (mail, password) else {
        return;
    };
    match (&mail.user, &password.password) {
        (Some(_), None) => {
            let cure = "set SMTP_PASSWORD or SMTP_PASSWORD_FILE, or leave SMTP_USER out where the server asks for none";
            reader.fail("SMTP_USER", "has no password", cure);
        }
        (None, Some(_)) => reader.fail(
            "SMTP_PASSWORD",
            "belongs to no account",
            "set SMTP_USER, or remove it",
        ),
        _ => {}
    }
}

fn check_api(
    reader: &mut SectionReader<'_>,
    app: Option<&AppSettings>,
    api: Option<&ApiSection>,
    metrics: Option<&MetricsSettings>,
    oidc: Option<&OidcSettings>,
) {
    require_two_listeners(reader, api, metrics);
    if let (Some(app), Some(oidc)) = (app, oidc)
        && oidc.issuer.is_some()
        && app.public_url.is_none()
    {
        let problem = "needs an address to which browsers come back";
        let cure = "set PUBLIC_URL to the address at which people reach the control plane";
        reader.fail("OIDC_ISSUER", problem, cure);
    }
}

fn require_two_listeners(
    reader: &mut SectionReader<'_>,
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
