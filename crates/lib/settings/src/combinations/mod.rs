//! The sections, each with what can only be said of several of its variables together.

mod oidc;
mod redis;

use std::net::IpAddr;

use url::{Host, Url};

use crate::error::SettingsErrors;
use crate::reader::{Section, SectionReader};
use crate::sections::{
    APP_ENV, AdminSettings, AgentSection, ApiSection, AppSettings, DatabaseSettings, LogSettings,
    MailPassword, MailSettings, MessageSettings, MetricsSettings, OidcSettings, OtelSettings, PlaneSection,
    RedisParts, RedisSettings, SentrySettings,
};
use crate::source::SettingsSource;
use crate::values::SslMode;
use crate::variable::VariableGroup;

use oidc::check_oidc;
use redis::check_redis;

macro_rules! sections {
    ($($section:ty: $settings:ty = $raw:ty $(, $check:ident)?;)*) => {
        /// Every group, in the order of the reference page.
        pub(crate) static GROUPS: &[VariableGroup] = &[APP_ENV, $(<$raw>::GROUP,)*];

        $(impl Section for $settings {
            const GROUP: VariableGroup = <$raw>::GROUP;
            type Raw = $raw;

            $(fn check(reader: &mut SectionReader<'_>) {
                $check(reader);
            })?
        }

        impl $section {
            /// Reads this section by itself, for tools and tests that need no more. On failure every error at once.
            pub fn from_source(source: &SettingsSource) -> Result<$settings, SettingsErrors> {
                let mut reader = SectionReader::new(source);
                let section = reader.section();
                reader.finish(|| section)
            }
        })*
    };
}

sections! {
    AppSettings: AppSettings = AppSettings;
    AdminSettings: AdminSettings = AdminSettings;
    DatabaseSettings: DatabaseSettings = DatabaseSettings, check_database;
    RedisSettings: Option<RedisSettings> = RedisParts, check_redis;
    ApiSection: ApiSection = ApiSection;
    MessageSettings: MessageSettings = MessageSettings;
    MailSettings: MailSettings = MailSettings, check_mail;
    MailPassword: MailPassword = MailPassword;
    OidcSettings: OidcSettings = OidcSettings, check_oidc;
    MetricsSettings: MetricsSettings = MetricsSettings;
    LogSettings: LogSettings = LogSettings;
    OtelSettings: OtelSettings = OtelSettings, check_otel;
    SentrySettings: SentrySettings = SentrySettings;
    PlaneSection: PlaneSection = PlaneSection, check_plane;
    AgentSection: AgentSection = AgentSection;
}

/// The host's token is for nobody on the way to read.
fn check_plane(reader: &mut SectionReader<'_>) {
    if reader.env().is_production() && is_readable_on_the_way(reader.field("api_url")) {
        reader.fail(
            "AGENT_API_URL",
            "would send the host's token unencrypted",
            "use an https:// address; http:// is for this machine only",
        );
    }
}

/// A server needs a sender, and the other way round.
fn check_mail(reader: &mut SectionReader<'_>) {
    let (host, from) = (
        reader.field("host").map(str::to_owned),
        reader.field("from").is_some(),
    );
    match (&host, from) {
        (Some(_), false) => {
            let cure = "set SMTP_FROM, such as Slipway <slipway@example.org>";
            reader.fail("SMTP_HOST", "has no sender", cure);
        }
        (None, true) if !reader.is_set("SMTP_HOST") => {
            reader.fail(
                "SMTP_FROM",
                "has no server that takes e-mail",
                "set SMTP_HOST, or remove it",
            );
        }
        _ => {}
    }
    let is_here = host.as_deref().is_none_or(|host| {
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    });
    if reader.env().is_production() && reader.field("tls") == Some("none") && !is_here {
        reader.fail(
            "SMTP_TLS",
            "would send messages to another machine unencrypted",
            "set starttls or tls; none is for a server on this machine",
        );
    }
}

/// Nor is an account's key.
fn check_otel(reader: &mut SectionReader<'_>) {
    let has_headers = reader.field("headers").is_some();
    if reader.env().is_production() && has_headers && is_readable_on_the_way(reader.field("endpoint")) {
        reader.fail(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "would send the values of OTEL_EXPORTER_OTLP_HEADERS unencrypted",
            "use an https:// address; http:// is for this machine only",
        );
    }
}

/// Whether the address is plain HTTP to another machine.
fn is_readable_on_the_way(address: Option<&str>) -> bool {
    let Some(Ok(url)) = address.map(Url::parse) else {
        return false;
    };
    let is_loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "http" && !is_loopback
}

const DATABASE_PARTS: [&str; 5] = [
    "DATABASE_HOST",
    "DATABASE_PORT",
    "DATABASE_NAME",
    "DATABASE_USER",
    "DATABASE_PASSWORD",
];

fn check_database(reader: &mut SectionReader<'_>) {
    reader.refuse_both("DATABASE_URL", &DATABASE_PARTS);
    if reader.is_set("DATABASE_URL") {
        check_database_url(reader);
    } else if !reader.is_set("DATABASE_HOST") {
        reader.fail(
            "DATABASE_HOST",
            "is not set, and neither is DATABASE_URL",
            "set one of them; a socket folder such as /run/postgresql will do",
        );
    } else if reader.env().is_production()
        && !reader.is_set("DATABASE_PASSWORD")
        && reader
            .text("DATABASE_HOST")
            .is_some_and(|host| !host.starts_with('/'))
    {
        reader.fail(
            "DATABASE_PASSWORD",
            "is not set, and the database is reached over the network",
            "set DATABASE_PASSWORD_FILE, or DATABASE_HOST to the socket's folder",
        );
    }
    if reader.is_set("DATABASE_SSL_ROOT_CERT") && !verifies(reader) {
        reader.fail(
            "DATABASE_SSL_ROOT_CERT",
            "has no effect, because certificates are not verified",
            "set DATABASE_SSL_MODE=verify-full, or remove it",
        );
    }
}

/// What can only be said of the URL together with other variables.
fn check_database_url(reader: &mut SectionReader<'_>) {
    if reader.url.contains_key("ssl_mode") {
        reader.refuse_both("DATABASE_URL", &["DATABASE_SSL_MODE"]);
    }
    if reader.url.contains_key("ssl_root_cert") {
        reader.refuse_both("DATABASE_URL", &["DATABASE_SSL_ROOT_CERT"]);
        if !verifies(reader) {
            reader.fail(
                "DATABASE_URL",
                "has an sslrootcert without effect, because certificates are not verified",
                "add sslmode=verify-full, or remove it",
            );
        }
    }
}

/// Whether the mode in force checks certificates: the URL's, or else the variable's.
fn verifies(reader: &SectionReader<'_>) -> bool {
    let mode = reader.field("ssl_mode").and_then(|mode| mode.parse().ok());
    mode.is_some_and(SslMode::verifies)
}
