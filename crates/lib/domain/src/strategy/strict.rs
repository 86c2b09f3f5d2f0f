//! Strategies from people: an unknown field is a typing error and is refused.
//!
//! [`Strategy`] itself ignores unknown fields. Stored or received data may come from a newer program, and an
//! older one must go on with the fields that it knows. The compiler keeps the fields here the same.

use serde::{Deserialize, Deserializer};

use super::group::deserialize_strict as deserialize_groups;
use super::{Canary, Group, Limits, Offline, OnFailure, Reboot, Share, Strategy, Verify};

/// A strategy that a person wrote: reads as [`Strategy`] does, and refuses unknown fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Written(#[serde(deserialize_with = "deserialize")] pub Strategy);

/// For a field of a request: `#[serde(deserialize_with = "strict::deserialize")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Strategy, D::Error> {
    StrictStrategy::deserialize(deserializer)
}

/// As [`deserialize`], for a field that may be left out.
pub fn deserialize_opt<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Strategy>, D::Error> {
    Ok(Option::<Written>::deserialize(deserializer)?.map(|Written(strategy)| strategy))
}

#[derive(Deserialize)]
#[serde(remote = "Strategy", deny_unknown_fields, default = "Strategy::default")]
struct StrictStrategy {
    #[serde(deserialize_with = "deserialize_groups")]
    order: Vec<Group>,
    canary: Canary,
    batch: Share,
    max_unavailable: Share,
    bake_seconds: u32,
    #[serde(with = "StrictVerify")]
    verify: Verify,
    on_failure: OnFailure,
    offline: Offline,
    retries: u32,
    #[serde(with = "StrictLimits")]
    limits: Limits,
    skip_checks: Vec<String>,
    reboot: Reboot,
    allow_pending_reboot: bool,
}

#[derive(Deserialize)]
#[serde(remote = "Verify", deny_unknown_fields, default = "Verify::default")]
struct StrictVerify {
    passes: u32,
    interval_seconds: u32,
    timeout_seconds: u32,
}

#[derive(Deserialize)]
#[serde(remote = "Limits", deny_unknown_fields, default = "Limits::default")]
#[expect(
    clippy::struct_field_names,
    reason = "the fields of `Limits`, whose unit is in their names"
)]
struct StrictLimits {
    stage_seconds: u32,
    activate_seconds: u32,
    deadman_seconds: u32,
    revert_seconds: u32,
    offline_seconds: u32,
    person_seconds: u32,
    reboot_seconds: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_is_refused_from_people_and_passed_over_from_a_newer_program() {
        for text in [
            r#"{"batches": 2}"#,
            r#"{"verify": {"pases": 2}}"#,
            r#"{"limits": {"stage": 2}}"#,
        ] {
            let error = serde_json::from_str::<Written>(text).unwrap_err().to_string();
            assert!(
                error.contains("unknown field") && error.contains("expected one of"),
                "{text}: {error}"
            );
            assert_eq!(
                serde_json::from_str::<Strategy>(text).unwrap(),
                Strategy::default()
            );
        }
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let Written(strategy) = serde_json::from_str(r#"{"verify": {"passes": 9}, "retries": 1}"#).unwrap();
        let expected = Strategy {
            retries: 1,
            verify: Verify {
                passes: 9,
                ..Verify::default()
            },
            ..Strategy::default()
        };
        assert_eq!(strategy, expected);
        assert_eq!(
            serde_json::from_str::<Written>("{}").unwrap().0,
            Strategy::default()
        );
    }
}
