//! How a host stands: the one word that is said of it.

use crate::named::named;

named! {
    /// How a host that is not retired stands, the worst first.
    Standing, "standing of a host", {
        /// It could not go back: a person must look.
        Stuck = "stuck",
        /// Two machines use its token, or its agent's journal is damaged.
        Trouble = "trouble",
        /// It was not heard of for a while.
        Offline = "offline",
        /// Its agent never came.
        NeverSeen = "never_seen",
        /// A rollout works on it.
        Changing = "changing",
        /// It is not as Slipway left it, or behind its environment's release.
        Drift = "drift",
        /// Something of its system runs only after a reboot.
        RebootPending = "reboot_pending",
        /// Nothing is to be said of it.
        Healthy = "healthy",
    }
}

impl Standing {
    /// Whether a person should look at the host.
    #[must_use]
    pub const fn asks_for_attention(self) -> bool {
        !matches!(self, Self::Changing | Self::Healthy)
    }
}
