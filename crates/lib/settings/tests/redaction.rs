//! A secret is in no output, whatever is wrong with it or around it.

use proptest::prelude::*;
use slipway_settings::{
    AdminSettings, AgentSettings, ApiSettings, Process, SettingsSource, WorkerSettings, describe, registry,
};

const CANARY: &str = "canary7c41";

/// Everything that a process may print about its settings.
fn everything(source: &SettingsSource) -> String {
    let mut text = format!("{source:?}\n{source:#?}\n{:?}\n", source.warnings());
    for process in [Process::Api, Process::Worker, Process::Agent] {
        text += &describe(process, source);
    }
    macro_rules! settings {
        ($($settings:ty),*) => {$(
            match <$settings>::from_source(source) {
                Ok(settings) => text += &format!("{settings:?}\n{settings:#?}\n"),
                Err(errors) => text += &format!("{errors}\n{errors:?}\n{:?}\n", errors.errors()),
            }
        )*};
    }
    settings!(ApiSettings, WorkerSettings, AgentSettings, AdminSettings);
    text.to_lowercase()
}

/// Valid settings of all three processes, to be changed.
fn valid() -> Vec<(&'static str, String)> {
    [
        (
            "SECRET_KEY",
            "8c1f0b7a93d24e65f1aa02c7be5d9438670e1c9fd2b4a8537f6e10d9c3b5a274",
        ),
        ("ADMIN_PASSWORD", "correct horse battery"),
        ("DATABASE_URL", "postgres://app:3c9d5f@db/slipway"),
        ("REDIS_URL", "redis://:3c9d5f@cache"),
        ("SENTRY_DSN", "https://3c9d5f@sentry.test/1"),
        ("AGENT_API_URL", "https://slipway.test"),
        (
            "AGENT_TOKEN",
            "slw_8c1f0b7a93d24e65f1aa02c7be5d9438670e1c9fd2b4a8537f6e10d9c3b5a274",
        ),
        ("AGENT_HOST", "web-1"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

fn with(name: &'static str, value: String, env: &str) -> SettingsSource {
    let mut variables = valid();
    let replaced = if let Some((section, _)) = name.split_once('_') {
        section
    } else {
        name
    };
    variables
        .retain(|(known, _)| *known != name && !(known.ends_with("_URL") && known.starts_with(replaced)));
    variables.push((name, value));
    variables.push(("APP_ENV", env.to_owned()));
    SettingsSource::from_map(variables)
}

fn secrets() -> impl Strategy<Value = &'static str> {
    let names: Vec<_> = registry::variables()
        .filter(|variable| variable.secret)
        .map(|variable| variable.name)
        .collect();
    proptest::sample::select(names)
}

#[test]
fn the_valid_settings_are_valid() {
    let source = with("AGENT_HOST", "web-2".into(), "production");
    ApiSettings::from_source(&source).unwrap();
}

#[test]
fn non_secret_addresses_with_credentials_are_hidden_too() {
    for name in ["AGENT_API_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
        let text = everything(&with(
            name,
            format!("https://user:{CANARY}@host.test"),
            "development",
        ));
        assert!(
            text.contains("carries credentials") && !text.contains(CANARY),
            "{text}"
        );
    }
}

#[test]
fn a_redis_password_in_the_place_of_the_user_is_hidden_too() {
    let text = everything(&with(
        "REDIS_URL",
        format!("redis://{CANARY}@cache"),
        "development",
    ));
    assert!(
        text.contains("redis://:password@host") && !text.contains(CANARY),
        "{text}"
    );
}

proptest! {
    #[test]
    fn invariant_10_a_secret_is_never_shown(
        name in secrets(),
        before in "[ -~]{0,12}",
        after in "[ -~]{0,12}",
        env in proptest::sample::select(vec!["development", "production"]),
    ) {
        // In a URL the first words are no secret; the next test is about those.
        let plain = if name.ends_with("_URL") { "x" } else { "" };
        let text = everything(&with(name, format!("{plain}{before}{CANARY}{after}"), env));
        prop_assert!(!text.contains(CANARY), "{}", text);
    }

    #[test]
    fn a_password_in_a_url_is_never_shown(
        scheme in proptest::sample::select(vec!["postgres", "redis", "unix", "rediss", "mysql"]),
        user in "[a-z]{0,4}",
        before in "[0-9a-z/?#@:%&= \\[\\]\\\\]{0,6}",
        after in "[0-9a-z/?#@:%&= \\[\\]\\\\]{0,6}",
        tail in proptest::sample::select(vec!["h/d", "h:1/2", "h", "/d?host=/s", "h/d?sslmode=require", ""]),
        name in proptest::sample::select(vec!["DATABASE_URL", "REDIS_URL"]),
    ) {
        let url = format!("{scheme}://{user}:{before}{CANARY}{after}@{tail}");
        let text = everything(&with(name, url.clone(), "development"));
        prop_assert!(!text.contains(CANARY), "{url}\n{text}");
    }

    #[test]
    fn a_password_in_the_query_of_a_socket_is_never_shown(
        before in "[0-9a-z%+]{0,6}",
        key in proptest::sample::select(vec!["pass", "password", "PASS", "db"]),
    ) {
        let text = everything(&with("REDIS_URL", format!("unix:///s?db=1&{key}={before}{CANARY}"), "development"));
        prop_assert!(!text.contains(CANARY), "{text}");
    }
}
