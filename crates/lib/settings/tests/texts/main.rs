//! What every setting makes of every kind of value, word for word: `texts.txt` holds all that people are told.
//!
//! `UPDATE_GENERATED=1` writes the file anew; whoever changes a text sees it in the file's diff.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod several;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use slipway_settings::registry::{self, Variable};
use slipway_settings::{AgentSettings, ApiSettings, SettingsErrors, SettingsSource};

const KEY: &str = "8c1f0b7a93d24e65f1aa02c7be5d9438670e1c9fd2b4a8537f6e10d9c3b5a274";
/// Its form is all that settings look at.
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----";

/// Good settings of all processes, with a URL or with the parts that it stands for.
fn good(name: &str) -> BTreeMap<String, String> {
    let mut all = vec![
        ("SECRET_KEY", KEY.to_owned()),
        ("ADMIN_PASSWORD", "correct horse battery".to_owned()),
        ("AGENT_API_URL", "https://slipway.test".to_owned()),
        ("AGENT_TOKEN", format!("slw_{KEY}")),
        ("AGENT_HOST", "web-1".to_owned()),
    ];
    if name.starts_with("DATABASE_") && name != "DATABASE_URL" && name != "DATABASE_SSL_ROOT_CERT" {
        all.push(("DATABASE_HOST", "db".to_owned()));
        all.push(("DATABASE_PASSWORD", "3c9d5f".to_owned()));
    } else {
        all.push((
            "DATABASE_URL",
            "postgres://app:3c9d5f@db/slipway?sslmode=verify-full".to_owned(),
        ));
    }
    match name {
        "REDIS_SENTINELS" => {}
        "REDIS_SENTINEL_MASTER" | "REDIS_SENTINEL_PASSWORD" => all.push(("REDIS_SENTINELS", "a".to_owned())),
        _ if name.starts_with("REDIS_TLS_") => {
            all.push(("REDIS_HOST", "cache".to_owned()));
            all.push(("REDIS_TLS", "on".to_owned()));
            if name == "REDIS_TLS_CERTIFICATE" {
                all.push(("REDIS_TLS_KEY", PRIVATE_KEY.to_owned()));
            } else if name == "REDIS_TLS_KEY" {
                all.push(("REDIS_TLS_CERTIFICATE", "/etc/ssl/redis.pem".to_owned()));
            }
        }
        "REDIS_USER" => {
            all.push(("REDIS_HOST", "cache".to_owned()));
            all.push(("REDIS_PASSWORD", "3c9d5f".to_owned()));
        }
        _ if name.starts_with("REDIS_") && name != "REDIS_URL" => {
            all.push(("REDIS_HOST", "cache".to_owned()));
        }
        _ => all.push(("REDIS_URL", "redis://:3c9d5f@cache".to_owned())),
    }
    if name == "METRICS_HOST" {
        all.push(("METRICS_PORT", "9100".to_owned()));
    }
    // Without a server or a provider, nothing else of it would be looked at.
    if name.starts_with("SMTP_") {
        all.push(("SMTP_HOST", "mail.test".to_owned()));
        all.push(("SMTP_FROM", "ops@slipway.test".to_owned()));
    }
    if name.starts_with("OIDC_") {
        all.push(("PUBLIC_URL", "https://slipway.test".to_owned()));
        all.push(("OIDC_ISSUER", "https://login.test".to_owned()));
        all.push(("OIDC_CLIENT_ID", "slipway".to_owned()));
        all.push(("OIDC_CLIENT_SECRET", "3c9d5f".to_owned()));
        all.push(("OIDC_ROLES", "admin=platform".to_owned()));
    }
    all.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Values that are wrong for one kind or another, or nearly so.
fn values(example: &str, default: Option<&str>) -> Vec<String> {
    let mut all: Vec<String> = include_str!("values.txt").lines().map(unescape).collect();
    let long = [
        KEY.to_owned(),
        KEY.to_uppercase(),
        KEY[1..].to_owned(),
        format!("{KEY}0"),
        format!("{KEY}{KEY}"),
        format!("{KEY},{KEY}"),
        format!("{KEY}, {KEY}"),
        format!("{KEY},"),
        format!("slw_{KEY}"),
        format!("SLW_{KEY}"),
        format!("slw_{}", "0".repeat(64)),
        format!("slw_{KEY}0"),
        "0".repeat(64),
        "é".repeat(32),
        "0123456789abcdef".repeat(4),
        "x".repeat(63),
        "x".repeat(64),
        "x.".repeat(127),
        "x".repeat(9000),
    ];
    all.extend(long);
    all.push(example.to_owned());
    all.extend(default.map(str::to_owned));
    all
}

/// What cannot stand in a line of `values.txt` as it is.
fn unescape(line: &str) -> String {
    [("\\n", "\n"), ("\\0", "\0"), ("\\u202e", "\u{202e}")]
        .iter()
        .fold(line.to_owned(), |text, (written, meant)| {
            text.replace(written, meant)
        })
}

/// A long value is named by its beginning and its length.
fn label(value: &str) -> String {
    if value.chars().count() <= 70 {
        return format!("{value:?}");
    }
    let start: String = value.chars().take(12).collect();
    format!("{start:?}…{}", value.chars().count())
}

/// What the process that reads the variable says, or how its settings differ from good ones.
fn outcome(name: &str, variables: &BTreeMap<String, String>, good: &str) -> String {
    let source = SettingsSource::from_map(variables.clone());
    let read = read(name, &source);
    let text = match read {
        Err(errors) => errors.to_string(),
        Ok(settings) => {
            let before: Vec<&str> = good.lines().collect();
            let changed = settings
                .lines()
                .filter(|line| !before.contains(line))
                .map(str::trim);
            format!("accepted: {}", changed.collect::<Vec<_>>().join(" "))
        }
    };
    let value = &variables[name];
    let text = text
        .replace(&format!("{value:?}"), "…")
        .replace(&format!("`{value}`"), "`…`");
    // What is shown is the value, escaped and cut.
    match text.split_once(" (from environment)") {
        Some((shown, rest)) if shown.starts_with(&format!("{name}=")) && !shown.ends_with("=<redacted>") => {
            format!("{name}=… (from environment){rest}")
        }
        _ => text,
    }
}

fn read(name: &str, source: &SettingsSource) -> Result<String, SettingsErrors> {
    if name.starts_with("AGENT_") {
        AgentSettings::from_source(source).map(|settings| format!("{settings:#?}"))
    } else {
        ApiSettings::from_source(source).map(|settings| format!("{settings:#?}"))
    }
}

/// What the variable makes of each value, in groups of values that get the same answer.
fn outcomes(variable: &Variable, env: &str) -> BTreeMap<String, Vec<String>> {
    let name = variable.name;
    let mut variables = good(name);
    variables.insert("APP_ENV".to_owned(), env.to_owned());
    let before = read(name, &SettingsSource::from_map(variables.clone())).unwrap_or_default();
    let mut outcomes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for value in values(variable.example(), variable.default) {
        let label = label(&value);
        variables.insert(name.to_owned(), value);
        outcomes
            .entry(outcome(name, &variables, &before))
            .or_default()
            .push(label);
    }
    outcomes
}

fn single(text: &mut String) {
    for variable in registry::variables() {
        let development = outcomes(variable, "development");
        writeln!(text, "\n## {}\n", variable.name).unwrap();
        list(text, &development);
        let is_strict = variable.secret || ["AGENT_API_URL", "DATABASE_HOST"].contains(&variable.name);
        if !is_strict {
            continue;
        }
        let mut production = outcomes(variable, "production");
        production.retain(|outcome, values| development.get(outcome) != Some(values));
        if !production.is_empty() {
            writeln!(text, "\n## {} in production\n", variable.name).unwrap();
            list(text, &production);
        }
    }
}

/// The answers with their values; of the most usual answer only the number of values.
fn list(text: &mut String, outcomes: &BTreeMap<String, Vec<String>>) {
    let most = outcomes.values().map(Vec::len).max().unwrap_or_default();
    for (outcome, values) in outcomes {
        let values = if values.len() == most && most > 40 {
            format!("{most} values, such as {}", values[0])
        } else {
            values.join(" ")
        };
        writeln!(text, "{outcome}\n  {values}").unwrap();
    }
}

#[test]
fn every_text_is_as_generated() {
    let mut text = String::from("Made by tests/texts: what every setting makes of every kind of value.\n");
    single(&mut text);
    several::several(&mut text);
    several::files(&mut text);
    assert!(
        registry::find("API_PORT").is_some() && !text.contains("correct horse"),
        "{text}"
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/texts/texts.txt");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let reviewed = fs::read_to_string(&path).unwrap_or_default();
    let lines = text.lines().zip(reviewed.lines()).enumerate();
    for (number, (message, reviewed)) in lines {
        assert_eq!(message, reviewed, "line {} of texts.txt", number + 1);
    }
    assert_eq!(text.lines().count(), reviewed.lines().count());
}
