//! What production refuses beyond what is refused everywhere.

use slipway_settings::{ApiSettings, DatabaseSettings, PlaneSection};

use super::{KEY, source};

#[test]
fn production_refuses_weak_secrets_that_development_accepts() {
    for (name, value, problem) in [
        ("SECRET_KEY", "0".repeat(64), "has too few different digits"),
        ("SECRET_KEY", "0123456789abcdef".repeat(4), "repeats a pattern"),
        (
            "SECRET_KEY",
            "00112233445566778899aabbccddeeff".repeat(2),
            "is the example value",
        ),
        ("SECRET_KEY", String::new(), "is empty; make one with"),
        (
            "ADMIN_PASSWORD",
            "elevenchars".to_owned(),
            "is shorter than 12 characters",
        ),
        (
            "ADMIN_PASSWORD",
            "slipway-development".to_owned(),
            "is the example value",
        ),
        (
            "ADMIN_PASSWORD",
            "changeme12345".to_owned(),
            "has a password that everybody tries first",
        ),
        (
            "DATABASE_PASSWORD",
            "postgres".to_owned(),
            "has a password that everybody tries first",
        ),
        ("DATABASE_PASSWORD", String::new(), "is empty"),
        (
            "REDIS_PASSWORD",
            "redis".to_owned(),
            "has a password that everybody tries first",
        ),
        (
            "DATABASE_URL",
            "postgres://app:app@h/d".to_owned(),
            "has the user's name as password",
        ),
        (
            "DATABASE_URL",
            "postgres://app@h/d".to_owned(),
            "has no password, and the database is reached over",
        ),
        (
            "REDIS_URL",
            "redis://:secret@h".to_owned(),
            "has a password that everybody tries first",
        ),
    ] {
        let mut variables = vec![
            ("SECRET_KEY", KEY),
            ("ADMIN_PASSWORD", "correct horse battery"),
            ("DATABASE_HOST", "/run/postgresql"),
            ("DATABASE_PASSWORD", "3c9d5f"),
            ("REDIS_HOST", "cache"),
        ];
        let replaced = if name == "DATABASE_URL" {
            "DATABASE_"
        } else {
            "REDIS_URL"
        };
        variables.retain(|(known, _)| {
            *known != name && !known.starts_with(replaced) && !(name == "REDIS_URL" && *known == "REDIS_HOST")
        });
        variables.push((name, &value));
        if name != "SECRET_KEY" && !value.is_empty() {
            ApiSettings::from_source(&source(&variables)).unwrap();
        }
        variables.push(("APP_ENV", "production"));
        let complaint = complaint!(ApiSettings, &variables);
        assert!(
            complaint.starts_with(name) && complaint.contains(problem),
            "{name}: {complaint}"
        );
    }
}

#[test]
fn production_wants_a_database_password_over_the_network_only() {
    let over = |host| [("APP_ENV", "production"), ("DATABASE_HOST", host)];
    assert!(DatabaseSettings::from_source(&source(&over("/run/postgresql"))).is_ok());
    let complaint = complaint!(DatabaseSettings, &over("127.0.0.1"));
    assert!(
        complaint.starts_with("DATABASE_PASSWORD: is not set, and the database is reached over"),
        "{complaint}"
    );
}

#[test]
fn an_example_token_is_refused_in_production() {
    let example = slipway_settings::registry::find("AGENT_TOKEN").unwrap().example();
    let variables = [
        ("APP_ENV", "production"),
        ("AGENT_API_URL", "https://slipway.test"),
        ("AGENT_TOKEN", example),
        ("AGENT_HOST", "web-1"),
    ];
    assert!(complaint!(PlaneSection, &variables).contains("is the example value"));
}
