//! What production demands of secrets beyond their form.

use std::collections::BTreeSet;

use crate::error::InvalidValue;
use crate::registry::Variable;
use crate::values::Fields;

/// Passwords that are tried first by whoever finds the port.
const WELL_KNOWN: &str = "admin administrator change-me changeme default example letmein pass password postgres redis \
                          root secret slipway";
/// The shortest admin password, in characters.
const ADMIN_PASSWORD_CHARS: usize = 12;
/// A random key of 64 digits misses more than six of the sixteen with a probability below one in a hundred million.
const DISTINCT_DIGITS: usize = 10;

/// Refuses a value of a secret variable that is not fit for production; `fields` are what the value says.
pub(crate) fn check(variable: &Variable, value: &str, fields: &Fields) -> Result<(), InvalidValue> {
    let name = variable.name;
    let wrong = |problem: &str| Err(InvalidValue::new(problem, cure(name)));
    if value == variable.example() {
        return wrong("is the example value, which everybody knows");
    }
    match name {
        "SECRET_KEY" | "AGENT_TOKEN" => match trivial(value.trim_start_matches("slw_")) {
            Some(problem) => wrong(problem),
            None => Ok(()),
        },
        "ADMIN_PASSWORD" if value.chars().count() < ADMIN_PASSWORD_CHARS => {
            wrong(&format!("is shorter than {ADMIN_PASSWORD_CHARS} characters"))
        }
        "ADMIN_PASSWORD"
        | "DATABASE_PASSWORD"
        | "SMTP_PASSWORD"
        | "REDIS_PASSWORD"
        | "REDIS_SENTINEL_PASSWORD" => check_password(value, ""),
        "DATABASE_URL" | "REDIS_URL" => match fields.get("password") {
            Some(password) => {
                let user = fields.get("user").or(fields.get("username"));
                check_password(password, user.map_or("", String::as_str))
            }
            None if name == "DATABASE_URL" && !fields["host"].starts_with('/') => Err(InvalidValue::new(
                "has no password, and the database is reached over the network",
                "add one, or use the socket's folder as host",
            )),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Refuses a bad password of that user (of a server).
fn check_password(value: &str, user: &str) -> Result<(), InvalidValue> {
    // `changeme123!` is `changeme` to whoever guesses.
    let bare = value
        .trim_end_matches(|c: char| !c.is_alphabetic())
        .to_lowercase();
    let cure = "make one with: openssl rand -hex 16";
    if WELL_KNOWN.split(' ').any(|known| known == bare) || value.is_empty() {
        return Err(InvalidValue::new(
            "has a password that everybody tries first",
            cure,
        ));
    }
    if value == user {
        return Err(InvalidValue::new("has the user's name as password", cure));
    }
    Ok(())
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
    let distinct: BTreeSet<&u8> = digits.iter().collect();
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
            assert!(check_password(weak, "app").is_err(), "{weak}");
        }
        assert!(check_password("app", "app").is_err());
        assert!(check_password("correct horse battery", "app").is_ok());
    }
}
