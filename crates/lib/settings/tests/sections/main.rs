//! What each section accepts, what it makes of it, and what it says of the rest.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_settings::{
    AgentRunner, AgentSettings, ApiSection, ApiSettings, AppSettings, DatabaseHost, DatabaseSettings,
    ExposeSecret, LogFormat, LogSettings, MetricsSettings, MigrateSettings, PlaneSection, SettingsSource,
    SslMode, WorkerSettings,
};

const KEY: &str = "8c1f0b7a93d24e65f1aa02c7be5d9438670e1c9fd2b4a8537f6e10d9c3b5a274";
const TOKEN: &str = "slw_8c1f0b7a93d24e65f1aa02c7be5d9438670e1c9fd2b4a8537f6e10d9c3b5a274";

fn source(variables: &[(&str, &str)]) -> SettingsSource {
    SettingsSource::from_map(variables.iter().copied())
}

/// The one line that is wrong with `variables` as the section `$section` sees them.
macro_rules! complaint {
    ($section:ty, $variables:expr) => {{
        let errors = <$section>::from_source(&source($variables)).unwrap_err();
        assert_eq!(errors.errors().len(), 1, "{errors}");
        errors.to_string()
    }};
}

mod production;
mod redis;

#[test]
fn the_defaults_are_those_of_the_contract() {
    let minimal = [
        ("SECRET_KEY", KEY),
        ("ADMIN_PASSWORD", "x"),
        ("DATABASE_HOST", "/run/postgresql"),
    ];
    let settings = ApiSettings::from_source(&source(&minimal)).unwrap();
    assert_eq!(settings.api.addr().to_string(), "127.0.0.1:8000");
    assert_eq!(settings.api.threads, None);
    assert_eq!(settings.api.request_timeout, Duration::from_mins(2));
    assert_eq!(settings.api.keepalive, Duration::from_secs(5));
    assert_eq!(settings.api.shutdown_grace, Duration::from_secs(30));
    assert_eq!(
        (settings.database.pool_size, settings.database.max_overflow),
        (20, 10)
    );
    assert_eq!(settings.database.max_connections(), 30);
    assert_eq!(
        settings.database.host,
        DatabaseHost::Socket("/run/postgresql".into())
    );
    assert_eq!(settings.database.ssl_mode, SslMode::Prefer);
    assert_eq!(settings.app.store_dir, Path::new("/nix/store"));
    assert_eq!(settings.app.secret_key.expose()[..2], [0x8c, 0x1f]);
    assert_eq!(settings.app.secret_key.expose().len(), 32);
    assert!(settings.redis.is_none());
    assert_eq!(settings.metrics.addr(Some(settings.api.host)), None);
    assert_eq!(
        (settings.log.level.as_str(), settings.log.format),
        ("info", LogFormat::Json)
    );
    assert!(settings.otel.endpoint.is_none() && settings.sentry.dsn.is_none());
    assert!(WorkerSettings::from_source(&source(&minimal)).is_ok());
}

#[test]
fn migrating_needs_the_database_and_nothing_else() {
    assert!(MigrateSettings::from_source(&source(&[("DATABASE_HOST", "/run/postgresql")])).is_ok());
}

#[test]
fn an_agent_needs_no_database_and_no_key() {
    let variables = [
        ("AGENT_API_URL", "https://slipway.test"),
        ("AGENT_TOKEN", TOKEN),
        ("AGENT_HOST", "web-1"),
    ];
    let settings = AgentSettings::from_source(&source(&variables)).unwrap();
    assert_eq!(settings.agent.state_dir, Path::new("/var/lib/slipway-agent"));
    assert_eq!(settings.agent.runner, AgentRunner::Auto);
    assert_eq!(settings.agent.keep_releases, 3);
    assert_eq!(settings.plane.token.expose_secret(), TOKEN);
    let errors = AgentSettings::from_source(&source(&[])).unwrap_err();
    let names: Vec<_> = errors
        .errors()
        .iter()
        .map(|error| error.variable.as_str())
        .collect();
    assert_eq!(names, ["AGENT_API_URL", "AGENT_TOKEN", "AGENT_HOST"]);
    assert!(
        errors
            .to_string()
            .contains("set AGENT_TOKEN or AGENT_TOKEN_FILE, for example slw_"),
        "{errors}"
    );
}

#[test]
fn agent_values_are_checked() {
    let with = |name: &'static str, value: &'static str| {
        let mut variables = vec![
            ("AGENT_API_URL", "https://slipway.test"),
            ("AGENT_TOKEN", TOKEN),
            ("AGENT_HOST", "web-1"),
        ];
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value));
        variables
    };
    for (name, value, problem) in [
        ("AGENT_HOST", "Web-1", "has the wrong form"),
        ("AGENT_HOST", "web.example.org", "has the wrong form"),
        ("AGENT_HOST", "-web", "has the wrong form"),
        ("AGENT_TOKEN", "slw_123", "is not a Slipway token"),
        ("AGENT_API_URL", "slipway.test", "is not a URL"),
        ("AGENT_API_URL", "ftp://slipway.test", "is neither http nor https"),
        ("AGENT_API_URL", "https://slipway.test/?x=1", "has a query"),
        ("AGENT_STATE_DIR", "state", "has the wrong form"),
        ("AGENT_STATE_DIR", "/var/lib/../lib", "has the wrong form"),
        ("AGENT_RUNNER", "docker", "is not one of the words"),
        ("AGENT_KEEP_RELEASES", "0", "is out of range"),
    ] {
        let complaint = complaint!(AgentSettings, &with(name, value));
        assert!(
            complaint.starts_with(name) && complaint.contains(problem),
            "{complaint}"
        );
    }
}

#[test]
fn an_agent_in_production_speaks_https() {
    let mut variables = vec![
        ("APP_ENV", "production"),
        ("AGENT_TOKEN", TOKEN),
        ("AGENT_HOST", "web-1"),
        ("AGENT_API_URL", ""),
    ];
    for (url, fine) in [
        ("https://slipway.test", true),
        ("http://slipway.test", false),
        ("http://10.0.0.1:8000", false),
        ("http://127.0.0.1:8000", true),
        ("http://[::1]:8000", true),
        ("http://localhost:8000", true),
    ] {
        variables[3].1 = url;
        let result = PlaneSection::from_source(&source(&variables));
        assert_eq!(result.is_ok(), fine, "{url}");
        if let Err(errors) = result {
            assert!(
                errors
                    .to_string()
                    .contains("would send the host's token unencrypted; use an https://"),
                "{errors}"
            );
        }
    }
}

#[test]
fn numbers_ports_and_addresses_have_bounds() {
    for (name, value, problem) in [
        ("API_PORT", "0", "is not a port; give a number from 1 to 65535"),
        ("API_PORT", "65536", "is not a port"),
        (
            "API_TRUSTED_PROXIES",
            "127.0.0.1,10.0.0.9/24",
            "has `10.0.0.9/24`, which is an address within a \
             network; give the network 10.0.0.0/24, or the address alone: 10.0.0.9",
        ),
        ("API_PORT", " 80", "is not a port"),
        ("API_HOST", "localhost", "is not an IP address; give 127.0.0.1"),
        ("API_THREADS", "0", "is out of range; give 1 to 512 threads"),
        ("API_THREADS", "-1", "is not a whole number"),
        (
            "API_REQUEST_TIMEOUT_SECONDS",
            "1.5",
            "is not a whole number; give 1 to 3600 seconds",
        ),
        (
            "API_KEEPALIVE_SECONDS",
            "99999999999999999999",
            "is not a whole number",
        ),
        ("API_SHUTDOWN_GRACE_SECONDS", "3601", "is out of range"),
    ] {
        let complaint = complaint!(ApiSection, &[(name, value)]);
        let expected = format!("{name}={value} (from environment): {problem}");
        assert!(complaint.starts_with(&expected), "{complaint}");
    }
    let settings = ApiSection::from_source(&source(&[("API_HOST", "::"), ("API_THREADS", "2")])).unwrap();
    assert_eq!(settings.addr().to_string(), "[::]:8000");
    assert_eq!(settings.threads.map(std::num::NonZero::get), Some(2));
}

#[test]
fn log_levels_are_levels_and_not_typing_mistakes() {
    for fine in ["info", "OFF", "warn,slipway_api=debug", "info, sqlx::query=warn"] {
        assert!(
            LogSettings::from_source(&source(&[("LOG_LEVEL", fine)])).is_ok(),
            "{fine}"
        );
    }
    for bad in ["inof", "info,", "slipway", "slipway=loud", "[span]=info", "=info"] {
        let complaint = complaint!(LogSettings, &[("LOG_LEVEL", bad)]);
        assert!(
            complaint.contains("is not a list of levels; give one of off, error,"),
            "{complaint}"
        );
    }
}

#[test]
fn the_metrics_listener_is_where_the_process_serves() {
    let metrics = |variables: &[(&str, &str)]| MetricsSettings::from_source(&source(variables)).unwrap();
    let port = metrics(&[("METRICS_PORT", "9100")]);
    assert_eq!(
        port.addr(Some("0.0.0.0".parse().unwrap())).unwrap().to_string(),
        "0.0.0.0:9100"
    );
    assert_eq!(port.addr(None).unwrap().to_string(), "127.0.0.1:9100");
    let both = metrics(&[("METRICS_PORT", "9100"), ("METRICS_HOST", "10.0.0.1")]);
    assert_eq!(
        both.addr(Some("0.0.0.0".parse().unwrap())).unwrap().to_string(),
        "10.0.0.1:9100"
    );

    let variables = [
        ("SECRET_KEY", KEY),
        ("ADMIN_PASSWORD", "x"),
        ("DATABASE_HOST", "/run/postgresql"),
        ("METRICS_PORT", "8000"),
    ];
    let complaint = complaint!(ApiSettings, &variables);
    assert!(
        complaint.starts_with("METRICS_PORT=8000 (from environment): is the port that the api itself"),
        "{complaint}"
    );
}

#[test]
fn a_secret_key_is_long_hex() {
    for (value, problem) in [
        ("dev", "is not made of hex digits"),
        (&KEY[..62], "is shorter than 64 hex digits"),
        (&(KEY.to_owned() + "0"), "has an odd number"),
    ] {
        let complaint = complaint!(AppSettings, &[("SECRET_KEY", value)]);
        let expected = format!("SECRET_KEY=<redacted> (from environment): {problem}");
        assert!(
            complaint.starts_with(&expected) && complaint.ends_with("openssl rand -hex 32"),
            "{complaint}"
        );
    }
    let long = KEY.to_uppercase().repeat(2);
    assert!(AppSettings::from_source(&source(&[("SECRET_KEY", &long)])).is_ok());
}

fn database(variables: &[(&str, &str)]) -> DatabaseSettings {
    DatabaseSettings::from_source(&source(variables)).unwrap()
}

#[test]
fn a_database_url_is_taken_apart() {
    let url = "postgresql://app:p%40ss%2Fw+rd@db.test:5433/fleet?sslmode=verify-full&sslrootcert=/ca.pem";
    let settings = database(&[("DATABASE_URL", url)]);
    assert_eq!(settings.host, DatabaseHost::Tcp("db.test".into()));
    assert_eq!(
        (settings.port, settings.name.as_str(), settings.user.as_str()),
        (5433, "fleet", "app")
    );
    assert_eq!(settings.password.unwrap().expose_secret(), "p@ss/w+rd");
    assert_eq!(settings.ssl_mode, SslMode::VerifyFull);
    assert_eq!(settings.ssl_root_cert, Some(PathBuf::from("/ca.pem")));

    let socket = DatabaseHost::Socket("/run/postgresql".into());
    let slipway = "postgres:///slipway?host=/run/postgresql&user=slipway";
    assert_eq!(database(&[("DATABASE_URL", slipway)]).host, socket);
    assert_eq!(
        database(&[("DATABASE_URL", "postgres://u@%2Frun%2Fpostgresql/d")]).host,
        socket
    );
    let six = database(&[("DATABASE_URL", "postgres://u@[::1]/d")]);
    assert_eq!((six.host, six.port), (DatabaseHost::Tcp("::1".into()), 5432));
    let mode = [
        ("DATABASE_URL", "postgres://u@h/d"),
        ("DATABASE_SSL_MODE", "require"),
    ];
    assert_eq!(database(&mode).ssl_mode, SslMode::Require);
}

#[test]
fn a_database_url_that_is_not_understood_is_refused() {
    for (url, problem) in [
        ("db.test/fleet", "is not a URL"),
        ("mysql://u:p@h/d", "does not begin with postgres://"),
        ("postgres://u:p@h", "names no database"),
        ("postgres://h/d", "names no user"),
        ("postgres:///d?user=u", "names no host"),
        ("postgres://u:p%4@h/d", "is badly percent-encoded"),
        ("postgres://u:12/x@h/d", "contains an unencoded / or @"),
        ("postgres://u:p@h/d#x", "contains an unencoded #"),
        ("postgres://u:p@h/d?sslmode=on", "has an unknown sslmode"),
        (
            "postgres://u:p@h/d?connect_timeout=3",
            "has a parameter that Slipway does not know",
        ),
        ("postgres://u:p@h:0/d", "has port 0"),
    ] {
        let complaint = complaint!(DatabaseSettings, &[("DATABASE_URL", url)]);
        let expected = format!("DATABASE_URL=<redacted> (from environment): {problem}");
        assert!(complaint.starts_with(&expected), "{url}: {complaint}");
    }
}

#[test]
fn the_database_is_said_once() {
    let complaint = complaint!(DatabaseSettings, &[]);
    assert!(
        complaint.starts_with("DATABASE_HOST: is not set, and neither is DATABASE_URL"),
        "{complaint}"
    );
    let complaint = complaint!(
        DatabaseSettings,
        &[("DATABASE_URL", "postgres://u:p@h/d"), ("DATABASE_USER", "other")]
    );
    assert!(complaint.contains("DATABASE_USER=other (from environment): is set together with DATABASE_URL"));
    let twice = [
        ("DATABASE_URL", "postgres://u@h/d?sslmode=require"),
        ("DATABASE_SSL_MODE", "prefer"),
    ];
    assert!(complaint!(DatabaseSettings, &twice).starts_with("DATABASE_SSL_MODE=prefer"));
    let idle = [("DATABASE_HOST", "db"), ("DATABASE_SSL_ROOT_CERT", "/ca.pem")];
    assert!(
        complaint!(DatabaseSettings, &idle).contains("has no effect, because certificates are not verified")
    );
    let idle = [("DATABASE_URL", "postgres://u@h/d?sslrootcert=/ca.pem")];
    assert!(complaint!(DatabaseSettings, &idle).contains("has an sslrootcert without effect"));
}
