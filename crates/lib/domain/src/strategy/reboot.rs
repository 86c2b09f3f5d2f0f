//! Reboots of a rollout's hosts.

use serde::{Deserialize, Serialize};

use super::{Canary, OnFailure, Strategy};

/// Between the end of all that a reboot takes and the dead-man.
const SLACK_SECONDS: u32 = 60;

/// Whether hosts reboot into a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Reboot {
    /// They are switched as they run.
    #[default]
    Never,
    /// A host whose plan says that it must reboot boots the release once, and commits it after its checks. All others are
    /// switched as they run.
    WhenNeeded,
    /// Every host boots the release once, and commits it after its checks.
    Always,
}

impl Reboot {
    /// Whether no host reboots.
    #[must_use]
    pub const fn is_never(&self) -> bool {
        matches!(self, Self::Never)
    }

    /// Whether a host reboots, given whether it must to run everything of the release.
    #[must_use]
    pub const fn applies(self, needed: bool) -> bool {
        match self {
            Self::Never => false,
            Self::WhenNeeded => needed,
            Self::Always => true,
        }
    }
}

impl Strategy {
    /// This strategy for a reboot of hosts that stay on what they run: each counts for itself, and its bounds leave time for
    /// the reboot.
    #[must_use]
    pub fn rebooting(&self) -> Self {
        let mut strategy = Self {
            order: Vec::new(),
            canary: Canary::Number(0),
            on_failure: OnFailure::RevertHost,
            retries: 0,
            reboot: Reboot::Always,
            allow_pending_reboot: false,
            ..self.clone()
        };
        let limits = &mut strategy.limits;
        let parts = [
            limits.activate_seconds,
            limits.reboot_seconds,
            strategy.verify.timeout_seconds,
            strategy.bake_seconds,
            SLACK_SECONDS,
        ];
        let needed = parts.into_iter().fold(0, u32::saturating_add);
        limits.deadman_seconds = limits.deadman_seconds.max(needed);
        strategy
    }

    /// The longest that a reboot of a host may take; 0 where none reboots.
    #[must_use]
    pub const fn reboot_bound(&self) -> u32 {
        if self.reboot.is_never() {
            0
        } else {
            self.limits.reboot_seconds
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::strategy::strict::Written;

    use super::*;

    #[test]
    fn what_was_stored_before_reboots_is_stored_as_it_was_and_leaves_none_pending() {
        let stored: Strategy = serde_json::from_str("{}").unwrap();
        assert_eq!(stored, Strategy::default());
        assert!(stored.reboot.is_never() && !stored.allow_pending_reboot);
        // So its digest stays the same, and a program from before reads it.
        let text = serde_json::to_string(&stored).unwrap();
        assert!(!text.contains("reboot"), "{text}");
        let own = r#"{"limits":{"reboot_seconds":90},"allow_pending_reboot":true}"#;
        let Written(own) = serde_json::from_str(own).unwrap();
        let text = serde_json::to_string(&own).unwrap();
        assert_eq!(serde_json::from_str::<Strategy>(&text).unwrap(), own);
    }

    #[test]
    fn a_reboot_of_hosts_fits_into_the_bounds_of_any_strategy() {
        let mut own = Strategy::default();
        own.limits.deadman_seconds = 400;
        own.allow_pending_reboot = true;
        own.retries = 3;
        let strategy = own.rebooting();
        strategy.check_alone().unwrap();
        assert_eq!((strategy.reboot, strategy.retries), (Reboot::Always, 0));
        assert_eq!(strategy.limits.deadman_seconds, 300 + 600 + 60 + 30 + 60);
        own.limits.deadman_seconds = 5000;
        assert_eq!(own.rebooting().limits.deadman_seconds, 5000);
    }

    #[test]
    fn a_host_reboots_as_the_strategy_says() {
        for (reboot, needed, not_needed) in [
            (Reboot::Never, false, false),
            (Reboot::WhenNeeded, true, false),
            (Reboot::Always, true, true),
        ] {
            assert_eq!(
                (reboot.applies(true), reboot.applies(false)),
                (needed, not_needed)
            );
        }
        let error = serde_json::from_str::<Written>(r#"{"reboot":"sometimes"}"#).unwrap_err();
        assert!(error.to_string().contains("when_needed"), "{error}");
    }
}
