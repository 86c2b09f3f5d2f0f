//! Names that people give: of hosts, environments, principals and destinations.

use crate::checked::checked_text;

/// The longest name, in bytes: the limit of a DNS label (RFC 1035, 2.3.4), so that a host's name can be one.
pub const MAX_NAME_BYTES: usize = 63;

/// Text that is no valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{value}` is not a valid {kind} name: use 1 to 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit"
)]
pub struct NameError {
    kind: &'static str,
    value: String,
}

fn check(kind: &'static str, text: &str) -> Result<(), NameError> {
    let edge = |c: Option<&u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let bytes = text.as_bytes();
    let is_name = bytes.len() <= MAX_NAME_BYTES
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-');
    if is_name {
        return Ok(());
    }
    Err(NameError {
        kind,
        value: text.chars().take(80).collect(),
    })
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        checked_text! {
            $(#[$doc])*
            #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
            $name, NameError, |text| check($kind, text)
        }
    };
}

name!(/** A host's name, unique in the whole control plane. */ HostName, "host");
name!(/** An environment's name, such as `prod`. */ EnvironmentName, "environment");
name!(/** A principal's name, such as `admin` or `ci`. */ PrincipalName, "principal");
name!(/** A destination's name, such as `on-call`. */ DestinationName, "destination");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "web-1", "0", &"x".repeat(63)] {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Web", "a_b", "a.b", "a b", "ä", &"x".repeat(64)] {
            let error = bad.parse::<HostName>().unwrap_err().to_string();
            assert!(error.contains("is not a valid host name: use 1 to 63"), "{error}");
        }
    }

    #[test]
    fn json_is_checked_too() {
        assert!(serde_json::from_str::<EnvironmentName>("\"../etc\"").is_err());
    }
}
