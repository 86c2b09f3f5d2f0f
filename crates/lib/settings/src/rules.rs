//! What production demands of secrets beyond their form.

use crate::kind::Wrong;
use crate::registry::Variable;
use crate::sections::{DatabaseHost, DatabaseUrl, RedisUrl};

/// Passwords that are tried first by whoever finds the port.
const WELL_KNOWN: [&str; 14] = [
    "admin",
    "administrator",
    "change-me",
    "changeme",
    "default",
    "example",
    "letmein",
    "pass",
    "password",
    "postgres",
    "redis",
    "root",
    "secret",
    "slipway",
];
/// The shortest admin password, in characters.
const ADMIN_PASSWORD_CHARS: usize = 12;
/// A random key of 64 digits misses more than six of the sixteen with a probability below one in a hundred million.
const DISTINCT_DIGITS: usize = 10;

/// What is wrong with this value of a secret variable in production.
pub(crate) fn production(variable: &Variable, value: &str) -> Option<Wrong> {
    if value == variable.example {
        return Some(Wrong::new(
            "is the example value, which everybody knows",
            cure(variable.name),
        ));
    }
    match variable.name {
        "SECRET_KEY" => trivial(value).map(|problem| Wrong::new(problem, cure("SECRET_KEY"))),
        "AGENT_TOKEN" => {
            let digits = value.strip_prefix("slw_").unwrap_or(value);
            trivial(digits).map(|problem| Wrong::new(problem, cure("AGENT_TOKEN")))
        }
        "ADMIN_PASSWORD" if value.chars().count() < ADMIN_PASSWORD_CHARS => {
            let problem = format!("is shorter than {ADMIN_PASSWORD_CHARS} characters");
            Some(Wrong::new(problem, cure("ADMIN_PASSWORD")))
        }
        "ADMIN_PASSWORD" | "DATABASE_PASSWORD" | "REDIS_PASSWORD" => password(value, ""),
        "DATABASE_URL" => {
            let url = DatabaseUrl::parse(value).ok()?;
            match (&url.password, &url.host) {
                (Some(text), _) => password(text, &url.user),
                (None, DatabaseHost::Tcp(_)) => Some(Wrong::new(
                    "has no password, and the database is reached over the network",
                    "add one, or use the socket's folder as host",
                )),
                (None, DatabaseHost::Socket(_)) => None,
            }
        }
        "REDIS_URL" => {
            let url = RedisUrl::parse(value).ok()?;
            password(&url.password?, url.username.as_deref().unwrap_or_default())
        }
        _ => None,
    }
}

/// What is wrong with the password of that user (of a server) in production.
fn password(value: &str, user: &str) -> Option<Wrong> {
    // `changeme123!` is `changeme` to whoever guesses.
    let bare = value
        .trim_end_matches(|c: char| !c.is_alphabetic())
        .to_lowercase();
    let cure = "make one with: openssl rand -hex 16";
    if WELL_KNOWN.contains(&bare.as_str()) || value.is_empty() {
        return Some(Wrong::new("has a password that everybody tries first", cure));
    }
    (value == user).then(|| Wrong::new("has the user's name as password", cure))
}

/// What an empty, example or weak value is to be replaced by.
pub(crate) fn cure(name: &str) -> &'static str {
    match name {
        "SECRET_KEY" => "make one with: openssl rand -hex 32",
        "ADMIN_PASSWORD" => "make one with: openssl rand -base64 18",
        "AGENT_TOKEN" => "use the token printed by `slipway host create`",
        _ => "set it to a value of your own, or remove it",
    }
}

/// Why hex digits are no random key; `None` when they may be one.
fn trivial(digits: &str) -> Option<&'static str> {
    let digits = digits.to_ascii_lowercase().into_bytes();
    let mut distinct = digits.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < DISTINCT_DIGITS {
        return Some("has too few different digits to be random");
    }
    let repeats = |period: usize| digits.iter().skip(period).zip(&digits).all(|(a, b)| a == b);
    (1..=digits.len() / 2)
        .any(repeats)
        .then_some("repeats a pattern, so it is not random")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trivial_keys_are_told_from_random_ones() {
        assert!(trivial(&"0".repeat(64)).is_some());
        assert!(trivial(&"0123456789abcdef".repeat(4)).is_some());
        assert!(trivial(&"deadbeef".repeat(8)).is_some());
        assert!(
            trivial(&("0123456789abcdef".repeat(4) + "01")).is_some(),
            "a pattern cut short is still one"
        );
        let random = "8c1f0b7a93d24e65f1aa02c7be5d9438670e1c9fd2b4a8537f6e10d9c3b5a274";
        assert_eq!(trivial(random), None);
        assert_eq!(trivial(&random.to_uppercase()), None);
    }

    #[test]
    fn decorated_well_known_passwords_are_still_well_known() {
        for weak in [
            "postgres",
            "Postgres1",
            "changeme123!",
            "slipway",
            "",
            "slipway-2024",
        ] {
            assert!(password(weak, "app").is_some(), "{weak}");
        }
        assert!(password("app", "app").is_some());
        assert!(password("correct horse battery", "app").is_none());
    }
}
